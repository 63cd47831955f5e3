"""A folder of clean photographs, with depth from files or a model where there is some."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from pipelines.generate_config import DepthModelConfig, PhotographsConfig
from rainsynth.checks import InputError
from rainsynth.pictures import list_photos, read_photo
from rainsynth.scene.background import Background
from rainsynth.scene.depth_file import ARRAY_SUFFIXES, DEPTH_SUFFIXES, read_depth_m
from rainsynth.scene.depth_fill import fill_unknown_depth_m
from rainsynth.scene.depth_model import DepthModel, OnnxDepth

NAMED_AT_ONCE = 9  # unreadable pictures that a message names, after the first


@dataclass(frozen=True, slots=True)
class Photograph:
    """A picture file of a folder: its relative name, size once upright, and the SHA-256 of the file.

    `depth` is the relative name of its depth map in the folder of depth, and `depth_sha256` the map's; "" without one.
    """

    name: str
    height_px: int
    width_px: int
    sha256: str
    depth: str = ""
    depth_sha256: str = ""


@dataclass(frozen=True, slots=True)
class Broken:
    """A picture file of a folder that cannot be used, or whose depth map cannot, and why."""

    name: str
    reason: str


def survey(folder: Path, depth_folder: Path | None = None) -> list[Photograph]:
    """All photographs of a folder in the order of their names, and which of them have a depth map.

    Every photograph is read whole, no depth map is. Raises InputError that names those that cannot be.
    """
    found = look_at(photograph_names(folder, depth_folder), folder, depth_folder)
    return usable(found, skip_broken=False)[0]


def photograph_names(folder: Path, depth_folder: Path | None = None) -> list[str]:
    """Relative names of the photographs of a folder; InputError where there are none, or no folder of depth."""
    if depth_folder is not None and not depth_folder.is_dir():
        raise InputError(f"depth must be a folder of depth maps, got {str(depth_folder)!r}. Does it exist?")
    names = [path.relative_to(folder).as_posix() for path in list_photos(folder)]
    if depth_folder is not None and depth_folder.resolve() != folder.resolve():
        _check_some_found(names, folder, depth_folder)
    return names


def look_at(
    names: Sequence[str],
    folder: Path,
    depth_folder: Path | None = None,
    convention: str | None = None,
    scale_m: float | None = None,
) -> list[Photograph | Broken]:
    """Read photographs whole, and where a `convention` is given their depth maps too: what each is, or why it cannot
    be used.
    """
    found: list[Photograph | Broken] = []
    for name in names:
        try:
            found.append(_photograph(folder, name, depth_folder, convention, scale_m))
        except InputError as error:
            found.append(Broken(name, str(error)))
    return found


def usable(found: Sequence[Photograph | Broken], *, skip_broken: bool) -> tuple[list[Photograph], list[Broken]]:
    """Photographs that can be used, and those that are skipped. InputError where none may be, or none is left."""
    photographs = [item for item in found if isinstance(item, Photograph)]
    broken = [item for item in found if isinstance(item, Broken)]
    if broken and not (skip_broken and photographs):
        others = [item.name for item in broken[1:]]
        named = ", ".join(others[:NAMED_AT_ONCE]) + _and_more(len(others) - NAMED_AT_ONCE)
        also = f" So are {named}." if others else ""
        raise InputError(f"{broken[0].reason.rstrip('.')}.{also} --skip-broken goes on without what cannot be read.")
    return photographs, broken


def find_depth(folder: Path, name: str, depth_folder: Path | None) -> Path | None:
    """The depth map of a photograph: the same name in `depth_folder`, with the suffix of a depth file.

    In the photographs' own folder only arrays count, since a picture there is another photograph. Two maps for one
    photograph are an InputError.
    """
    if depth_folder is None:
        return None
    own = depth_folder.resolve() == folder.resolve()
    candidates = [depth_folder / Path(name).with_suffix(s) for s in (ARRAY_SUFFIXES if own else DEPTH_SUFFIXES)]
    found = [path for path in candidates if path.is_file()]
    if len(found) > 1:
        raise InputError(f"depth must hold one map for {name}, got {' and '.join(path.name for path in found)}.")
    return found[0] if found else None


def load_background(
    folder: Path,
    name: str,
    depth_folder: Path | None,
    *,
    convention: str = "auto",
    scale_m: float | None = None,
    model: DepthModel | None = None,
) -> Background:
    """A photograph as a background.

    Its depth is that of its map in `depth_folder`, read by `convention` and `scale_m`, where there is one, with what is
    unknown filled; else that of `model`; else the level ground of Background.
    """
    image_srgb8 = read_photo(folder / name)
    depth_path = find_depth(folder, name, depth_folder)
    if depth_path is not None:
        return Background(image_srgb8, depth_of_file_m(depth_path, image_srgb8, convention, scale_m))
    return Background(image_srgb8, model(image_srgb8) if model else None)


def depth_of_file_m(
    path: Path, image_srgb8: UInt8[np.ndarray, "h w 3"], convention: str = "auto", scale_m: float | None = None
) -> Float[np.ndarray, "h w"]:
    """Depth map of a photograph from a file [m], with what is unknown filled along the photograph's edges."""
    depth_m = read_depth_m(path, convention, scale_m)
    _check_same_size(depth_m.shape, image_srgb8.shape[:2], path)
    return fill_unknown_depth_m(depth_m, image_srgb8)


def depth_model(config: DepthModelConfig | None) -> OnnxDepth | None:
    """The depth model of a config, loaded."""
    if config is None:
        return None
    return OnnxDepth(
        config.file,
        kind=config.kind,
        near_m=config.near_m,
        far_m=config.far_m,
        scale_m=config.scale_m,
        normalization=config.normalization,
        short_side_px=config.short_side_px,
        multiple_px=config.multiple_px,
    )


def depth_summary(photographs: list[Photograph], config: PhotographsConfig) -> str:
    """One line that says where the photographs' depth comes from; "" where no depth was asked for."""
    if not config.depth and config.depth_model is None:
        return ""
    with_map = sum(bool(photo.depth) for photo in photographs)
    others = f"the model {Path(config.depth_model.file).name}" if config.depth_model else "the level-ground prior"
    without = len(photographs) - with_map
    told = f"depth: {with_map} of {len(photographs)} photographs have a depth map"
    return f"{told}, {without} by {others}" if without else told


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _and_more(count: int) -> str:
    return f" and {count} more" if count > 0 else ""


def _photograph(
    folder: Path, name: str, depth_folder: Path | None, convention: str | None, scale_m: float | None
) -> Photograph:
    """One photograph, read whole with its depth map; InputError where either cannot be."""
    path = folder / name
    height_px, width_px = read_photo(path).shape[:2]
    depth_path = find_depth(folder, name, depth_folder)
    if depth_folder is None or depth_path is None:
        return Photograph(name, height_px, width_px, sha256_of(path))
    if convention is not None:
        _check_same_size(read_depth_m(depth_path, convention, scale_m).shape, (height_px, width_px), depth_path)
    depth_name = depth_path.relative_to(depth_folder).as_posix()
    return Photograph(name, height_px, width_px, sha256_of(path), depth_name, sha256_of(depth_path))


def _check_same_size(depth_shape: tuple[int, ...], photo_shape: tuple[int, ...], path: Path) -> None:
    if depth_shape != photo_shape:
        raise InputError(
            f"{path} must have its photograph's size {photo_shape[1]}x{photo_shape[0]},"
            f" got {depth_shape[1]}x{depth_shape[0]}. rainsynth.scene.depth_file.resized_depth_m brings it there."
        )


def _check_some_found(names: list[str], folder: Path, depth_folder: Path) -> None:
    """A folder of depth in which no photograph finds its map is a mistake."""
    if not any(find_depth(folder, name, depth_folder) for name in names):
        wanted = Path(names[0]).with_suffix("").as_posix()
        raise InputError(
            f"depth must hold a map for some photograph, got none in {str(depth_folder)!r}."
            f" Maps have their photograph's name: {wanted}.npy, .npz, .png or .tif."
        )
