"""Pictures of several methods by name: which there are, that they can be compared, and their bytes for a browser."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pipelines.picture_encoding import encode_picture
from rainsynth.checks import InputError
from rainsynth.pictures import UNREADABLE, check_eight_bit, list_photos, photo_size_px, read_photo

BROWSER_FORMATS = {"PNG": "image/png", "JPEG": "image/jpeg"}  # sent as they are
# A worse copy, which nobody who looks takes for the better one: blurred, and pressed until blocks show.
BLUR_FRACTION = 0.015  # standard deviation of the blur, of the shorter side
LEAST_BLUR_PX = 2.0
WORSE_JPEG_QUALITY = 8  # of 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RatedPicture:
    """One picture as each method made it.

    files        of each method, in the study's order
    reference    what all began with, such as the rainy picture, or None
    media_type   of the files if a browser takes all as they are and they have one format; "" if PNGs must be made:
                 a format of one's own would give a method away
    """

    name: str
    height_px: int
    width_px: int
    files: tuple[Path, ...]
    reference: Path | None
    media_type: str


def method_names(folders: list[Path]) -> tuple[str, ...]:
    """Names of methods: of their folders if these differ, else the paths as they were given."""
    if len(folders) < 2:
        raise InputError(f"rate must have at least two folders of pictures, got {len(folders)}.")
    if len({folder.resolve() for folder in folders}) < len(folders):
        raise InputError("rate must have different folders, got one of them twice.")
    names = tuple(folder.resolve().name for folder in folders)
    return names if len(set(names)) == len(names) else tuple(folder.as_posix() for folder in folders)


def rated_pictures(folders: list[Path], reference: Path | None = None) -> tuple[RatedPicture, ...]:
    """The pictures of all methods' folders, in the order of their names.

    Raises InputError unless all folders hold the same names (whatever the suffix), every picture has 8 bits and the
    same size everywhere, and no file is a link that leads out of its folder. A reference folder may hold more.
    """
    found = [_pictures_in(folder) for folder in folders]
    for folder, names in zip(folders[1:], found[1:], strict=True):
        _check_same(folders[0], set(found[0]), folder, set(names))
    references = _pictures_in(reference) if reference is not None else {}
    if reference is not None and (missing := sorted(set(found[0]) - set(references))):
        raise InputError(f"--reference {reference} must hold every picture, got none named {missing[0]!r}.")
    return tuple(_rated(name, tuple(names[name] for names in found), references.get(name)) for name in sorted(found[0]))


def _pictures_in(folder: Path) -> dict[str, Path]:
    """Pictures of a folder, sub-folders included, by their path in it without the suffix."""
    found: dict[str, Path] = {}
    for path in list_photos(folder):
        name = path.relative_to(folder).with_suffix("").as_posix()
        if name in found:
            raise InputError(f"{path} must be the only picture of its name, got {found[name].name} beside it.")
        check_inside(path, folder)
        found[name] = path
    return found


def check_inside(path: Path, folder: Path) -> None:
    """Raise InputError for a link that leads out of its folder: what is there is nobody's to see."""
    if not path.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{path} must lie inside its folder, got a link out of it. Copy the file there.")


def _check_same(first: Path, names: set[str], other: Path, others: set[str]) -> None:
    lonely = sorted(names ^ others)
    if lonely:
        has, lacks = (first, other) if lonely[0] in names else (other, first)
        raise InputError(
            f"{lacks} must hold the pictures of {has}, got none named {lonely[0]!r} ({len(lonely)} such). "
            "Names must be equal."
        )


def _rated(name: str, files: tuple[Path, ...], reference: Path | None) -> RatedPicture:
    everything = [*files, *([reference] if reference is not None else [])]
    sizes_px = [photo_size_px(path) for path in everything]
    for path, size_px in zip(everything, sizes_px, strict=True):
        if size_px != sizes_px[0]:
            told = " and ".join(f"{width}x{height} px" for height, width in (size_px, sizes_px[0]))
            raise InputError(f"{path} must have the size of {everything[0]}, got {told}.")
    formats = {_browser_format(path) for path in everything}
    return RatedPicture(
        name=name,
        height_px=sizes_px[0][0],
        width_px=sizes_px[0][1],
        files=files,
        reference=reference,
        media_type=formats.pop() if len(formats) == 1 else "",
    )


def _browser_format(path: Path) -> str:
    """Media type of a file that browsers show as `read_photo` reads it, or ""; InputError if it has not 8 bits."""
    try:
        with Image.open(path) as opened:
            check_eight_bit(opened, path)
            plain = not opened.has_transparency_data and getattr(opened, "n_frames", 1) == 1
            return BROWSER_FORMATS.get(opened.format or "", "") if plain else ""
    except UNREADABLE as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} must be a readable picture, got: {' '.join(str(error).split())}.") from None


def sha256_of_pictures(pictures: Iterable[RatedPicture]) -> str:
    """SHA-256 over the files of all pictures, in order: by it a study knows its pictures again."""
    digest = hashlib.sha256()
    for picture in pictures:
        for path in (*picture.files, *([picture.reference] if picture.reference is not None else [])):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def picture_bytes(path: Path, media_type: str) -> tuple[bytes, str]:
    """A picture for a browser and its media type: the file itself, or, where `media_type` is "", a PNG of its pixels.

    The PNG keeps an embedded colour profile, so that all methods are shown alike.
    """
    if media_type:
        return path.read_bytes(), media_type
    return encode_picture(read_photo(path), "PNG", icc=_profile(path)), BROWSER_FORMATS["PNG"]


def worse_picture_bytes(path: Path) -> tuple[bytes, str]:
    """A plainly worse copy of a picture as a PNG, for an attention check."""
    return encode_picture(spoil(read_photo(path)), "PNG", icc=_profile(path)), BROWSER_FORMATS["PNG"]


def spoil(photo_srgb8: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """A plainly worse copy: blurred by 1.5 % of the shorter side (2 px at least), then a JPEG of quality 8."""
    sigma_px = max(LEAST_BLUR_PX, BLUR_FRACTION * min(photo_srgb8.shape[:2]))
    stream = io.BytesIO()
    Image.fromarray(cv2.GaussianBlur(photo_srgb8, (0, 0), sigma_px)).save(stream, "JPEG", quality=WORSE_JPEG_QUALITY)
    return np.array(Image.open(stream))


def _profile(path: Path) -> bytes:
    with Image.open(path) as opened:
        return opened.info.get("icc_profile") or b""
