"""What methods are measured on: pairs of shards, of a folder or a named set, and photographs of real rain."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from pipelines.audit_pairs import spread
from pipelines.benchmark_pairs import find_set, opaque_size_px
from pipelines.benchmark_sets import BenchmarkSet
from rainsynth.checks import InputError, check_choice
from rainsynth.metrics import SSIM_WINDOW_PX
from rainsynth.pictures import list_photos, read_photo
from rainsynth.presets import rain_class
from rainsynth.sample import RainSample
from rainsynth.shards.reader import ShardSet, StoredSample, open_shards
from rainsynth.shards.schema import SHARD_GLOB

Picture = UInt8[np.ndarray, "h w 3"]
Mask = Bool[np.ndarray, "h w"]
TARGETS = ("clean", "veiled")
ANY_PAIRS = "pairs"  # name of the set that any other folder is
VISIBLE_CODES = 3  # a difference of more is seen; up to this a pixel counts as equal


class Rainy(Protocol):
    """A rainy picture by its name."""

    @property
    def name(self) -> str: ...
    @property
    def rainy_srgb8(self) -> Picture: ...


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A rainy picture, its target and the clean photograph; shards know the class of rain and where its layers are.

    `streak_mask`: pixels that streaks cover. `veil_mask`: pixels beside them that a veil changes by more than 3 codes.
    """

    name: str
    rainy_srgb8: Picture
    target_srgb8: Picture
    clean_srgb8: Picture
    rain_class: str = ""
    streak_mask: Mask | None = None
    veil_mask: Mask | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Photograph:
    """A photograph of real rain, of which nobody knows how it would be without."""

    name: str
    rainy_srgb8: Picture


T_co = TypeVar("T_co", bound=Rainy, covariant=True)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Pictures(Generic[T_co]):
    """Rainy pictures in order, each read when asked for, from any thread.

    sizes_px    (height, width)
    aliases     for each picture the paths without suffix that a result of it may have in a folder
    remarks     what was left out or is odd, a line each
    benchmark   the named set, for pairs that were asked for as one
    truth       whether there are targets
    """

    names: list[str]
    sizes_px: list[tuple[int, int]]
    aliases: list[tuple[str, ...]]
    read: Callable[[int], T_co]
    remarks: list[str] = field(default_factory=list)
    benchmark: BenchmarkSet | None = None
    truth: bool = True

    def __post_init__(self) -> None:
        for name, size_px in zip(self.names, self.sizes_px, strict=True):
            if min(size_px) < SSIM_WINDOW_PX:
                raise InputError(
                    f"{name} must be at least {SSIM_WINDOW_PX} px a side, got {size_px[1]}x{size_px[0]} px. "
                    "SSIM compares windows of that size."
                )

    def __len__(self) -> int:
        return len(self.names)

    def some(self, most: int) -> Pictures[T_co]:
        """At most so many of them, evenly spread."""
        chosen = spread(len(self), most)
        return replace(
            self,
            names=[self.names[index] for index in chosen],
            sizes_px=[self.sizes_px[index] for index in chosen],
            aliases=[self.aliases[index] for index in chosen],
            read=lambda index: self.read(chosen[index]),
        )

    def __iter__(self) -> Iterator[T_co]:
        return (self.read(index) for index in range(len(self)))


def find_pairs(path: Path, target: str = "clean", set_name: str | None = None) -> Pictures[Pair]:
    """Pairs of shards, or of a folder in a known layout or that of the set `set_name`.

    Headers of all files are read at once. Raises InputError, a line that names the file: unequal sizes, no partner,
    another set's layout, not 8-bit, transparent.
    """
    check_choice(target, TARGETS, "target")
    if path.is_file() or any(path.glob(SHARD_GLOB)):
        if set_name is not None:
            raise InputError(f"--set-name is for a folder of pictures, got the shards {str(path)!r}.")
        return _stored_pairs(open_shards(path), target)
    found = find_set(set_name or ANY_PAIRS, path)
    idle = [] if target == "clean" else [f"--target {target} is for shards: pairs of pictures have one target"]

    def read(index: int) -> Pair:
        rainy, clean = found.pairs[index].read()
        return Pair(found.pairs[index].name, rainy, clean, clean)

    return Pictures(
        names=[pair.name for pair in found.pairs],
        sizes_px=[(pair.height_px, pair.width_px) for pair in found.pairs],
        aliases=[_aliases(path, pair.rainy, pair.name) for pair in found.pairs],
        read=read,
        remarks=[*found.remarks, *idle],
        benchmark=found.benchmark,
    )


def find_photographs(folder: Path) -> Pictures[Photograph]:
    """Photographs of a folder and below. Raises InputError for one that is not 8-bit or is transparent."""
    files = list_photos(folder)
    names = [path.relative_to(folder).as_posix() for path in files]
    return Pictures(
        names=names,
        sizes_px=[opaque_size_px(path) for path in files],
        aliases=[_aliases(folder, path, path.stem) for path in files],
        read=lambda index: Photograph(names[index], read_photo(files[index])),
        truth=False,
    )


def pair_of_sample(name: str, sample: StoredSample | RainSample, layers: Sequence[str], target: str) -> Pair:
    """A sample with its target, "clean" or "veiled", and its masks as far as its `layers` tell them."""
    streaks = sample.streak_mask if "streak_alpha16" in layers else None
    veil = None
    if streaks is not None and "transmission16" in layers:
        veil = differs(sample.veiled_srgb8, sample.clean_srgb8) & ~streaks
    return Pair(
        name=name,
        rainy_srgb8=sample.rainy_srgb8,
        target_srgb8=sample.clean_srgb8 if target == "clean" else sample.veiled_srgb8,
        clean_srgb8=sample.clean_srgb8,
        rain_class=rain_class(sample.parameters.get("rain_rate_mm_h", float("nan"))),
        streak_mask=streaks,
        veil_mask=veil,
    )


def differs(one_srgb8: Picture, other_srgb8: Picture, codes: int = VISIBLE_CODES) -> Mask:
    """Pixels at which two pictures differ by more than `codes` in any channel."""
    red, green, blue = cv2.split(cv2.absdiff(one_srgb8, other_srgb8))
    return cv2.max(cv2.max(red, green), blue) > codes


def grown(mask: Mask, side_px: int) -> Mask:
    """Pixels about which a square of so many px a side, an odd number, holds any pixel of a mask."""
    return cv2.dilate(mask.view(np.uint8), np.ones((side_px, side_px), np.uint8)) > 0


def _aliases(folder: Path, rainy: Path, name: str) -> tuple[str, ...]:
    """The rainy picture's path, the same below its first folder (input/...), its file name, and the pair's name."""
    inside = rainy.relative_to(folder).with_suffix("")
    below = Path(*inside.parts[1:]) if len(inside.parts) > 1 else inside
    return tuple(dict.fromkeys((below.as_posix(), inside.as_posix(), inside.name, name)))


def _stored_pairs(shards: ShardSet, target: str) -> Pictures[Pair]:
    columns = shards.table.dtype.names or ()
    numbers = [str(number) for number in shards.table["index"]] if "index" in columns else []
    numbers = numbers or [str(place) for place in range(len(shards))]
    given = [name.decode() for name in shards.table["name"]] if "name" in columns else []
    names = given if len(set(given)) == len(shards) else [f"sample {number}" for number in numbers]
    own = [(name, f"{place:06d}", numbers[place]) for place, name in enumerate(names)]  # the second as exported
    return Pictures(
        names=names,
        sizes_px=[shards.size_px(index) for index in range(len(shards))],
        aliases=[tuple(dict.fromkeys(one)) for one in own],
        read=lambda index: pair_of_sample(names[index], shards[index], shards.layer_names(index), target),
    )
