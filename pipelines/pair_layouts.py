"""Where pairs of pictures lie in folders: of trainers, and of the field's sets as their authors hand them out.

A layout is two paths inside a folder, without their suffix. {name} is what both pictures of a pair share, {path} the
same with sub-folders; {take} numbers the rainy pictures of one target; {pie}, {rainy} and {x2} are spelled either way.
Read from the code of each project, named beside it; `pipelines/benchmark_sets.py` says which set comes in which.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import UInt8

from rainsynth.checks import InputError
from rainsynth.pictures import PHOTO_SUFFIXES, photo_size_px, read_photo

Picture = UInt8[np.ndarray, "h w 3"]
Key = tuple[str, str]  # name and pie: what both pictures of a pair share
SizeOf = Callable[[Path], tuple[int, int]]
Halves = Literal["", "clean left", "rainy left"]  # "": two files; else both pictures stand side by side in one

# What may stand for each part of a template, and how a path is told of which only the name is known.
PARTS = {
    "{path}": "(?P<name>.+)",
    "{name}": "(?P<name>[^/]+)",
    "{take}": r"(?P<take>\d+)",
    "{pie}": "(?P<pie>pie-|)",
    "{rainy}": "(?:rainy|rain)",
    "{x2}": "(?:X2/|)",
}
TOLD = {"{take}": "1", "{pie}": "", "{rainy}": "rainy", "{x2}": "X2/"}


@dataclass(frozen=True, slots=True)
class Layout:
    """Paths of both pictures of a pair inside a folder. `most`: pairs that its reader looks for, 0 for all."""

    rainy: str
    target: str
    numbered: bool = False
    most: int = 0
    halves: Halves = ""

    def paths(self, name: str) -> tuple[str, str]:
        """Paths at which the pair is written, as PNG."""
        return told(self.rainy, name) + ".png", told(self.target, name) + ".png"

    def words(self) -> str:
        """Both paths with NAME for what they share."""
        rainy, target = told(self.rainy, "NAME"), told(self.target, "NAME")
        if self.halves:
            left, right = ("clean", "rainy") if self.halves == "clean left" else ("rainy", "clean")
            return f"{rainy} with the {left} picture left of the {right} one"
        return f"{rainy} and {target}"


# Those that pairs are written in: Restormer, MPRNet and what follows them (Rain13K); BasicSR's PairedImageDataset, with
# a `meta_info_file` of lines "NAME.png (H,W,3)"; PReNet's prepare_data_RainTrainH, which looks for the first 1800.
LAYOUTS = {
    "input-target": Layout("input/{path}", "target/{path}"),
    "basicsr": Layout("lq/{path}", "gt/{path}"),
    "prenet": Layout("rain-{name}", "norain-{name}", numbered=True, most=1800),
}
# Those that sets are handed out in, besides.
SET_LAYOUTS = {
    "prenet-test": Layout("{rainy}/rain-{name}", "norain-{name}", numbered=True),  # PReNet's statistic_rain100H.m
    "rain-norain": Layout("{rainy}/rain-{name}", "norain/norain-{name}", numbered=True),
    "rain-norain-equal": Layout("{rainy}/{name}", "norain/{name}", numbered=True),  # RCDNet's data/test/small
    "jorder": Layout("rain/{x2}norain-{name}x2", "norain/norain-{name}", numbered=True),  # rain_data_test_Light
    "rain12": Layout("{name}_in", "{name}_GT", numbered=True),  # Li et al. 2016, li_cvpr16_rain.zip
    "rain12-prenet": Layout("{rainy}/{name}", "groundtruth/{name}", numbered=True),  # PReNet's statistic_rain12.m
    "ddn": Layout("rainy_image/{name}_{take}", "ground_truth/{name}", numbered=True),  # Fu et al. 2017
    "spa": Layout("rain/{name}", "gt/{name}gt", numbered=True),  # SPANet's real_test_1000.txt
    "raindrop": Layout("data/{name}_rain", "gt/{name}_clean", numbered=True),  # Qian et al. 2018, test_a, test_b
    # RainDS_syn of Quan et al. 2021 (its DerainDataset.py), and RainDS_real with equal names.
    "rainds-streaks": Layout("rainstreak/{pie}rain-{name}", "gt/{pie}norain-{name}", numbered=True),
    "rainds-drops": Layout("raindrop/{pie}rd-{name}", "gt/{pie}norain-{name}", numbered=True),
    "rainds-both": Layout("rainstreak_raindrop/{pie}rd-rain-{name}", "gt/{pie}norain-{name}", numbered=True),
    "rainds-real-streaks": Layout("rainstreak/{name}", "gt/{name}", numbered=True),
    "rainds-real-drops": Layout("raindrop/{name}", "gt/{name}", numbered=True),
    "rainds-real-both": Layout("rainstreak_raindrop/{name}", "gt/{name}", numbered=True),
}
# Both pictures in one: any folder of pictures looks like that, so these are named, never guessed.
SIDE_BY_SIDE = {
    "clean-rainy": Layout("{name}", "{name}", numbered=True, halves="clean left"),  # ID-CGAN: which_direction=BtoA
    "rainy-clean": Layout("{name}", "{name}", numbered=True, halves="rainy left"),  # DID-MDN's datasets/pix2pix.py
}
GUESSED = LAYOUTS | SET_LAYOUTS
KNOWN = GUESSED | SIDE_BY_SIDE


@dataclass(frozen=True, slots=True)
class PairFiles:
    """Two pictures that belong together, in two files or side by side in one."""

    name: str
    rainy: Path
    target: Path
    height_px: int
    width_px: int
    halves: Halves = ""

    def read(self) -> tuple[Picture, Picture]:
        """The rainy picture and its target."""
        rainy = read_photo(self.rainy)
        if not self.halves:
            return rainy, read_photo(self.target)
        left, right = (np.ascontiguousarray(half) for half in (rainy[:, : self.width_px], rainy[:, self.width_px :]))
        return (left, right) if self.halves == "rainy left" else (right, left)


@dataclass(frozen=True, slots=True)
class Matched:
    """What a layout finds in a folder: pairs by their name in order, pictures without partner, and those of neither.

    `lonely` holds a picture and the path without suffix that its partner would have; `others` lie in the folders of
    the pairs, with names that the layout has no place for. `both_sides`: rainy pictures and targets are there.
    """

    pairs: dict[str, tuple[Path, Path]]
    lonely: list[tuple[Path, str]]
    others: list[Path]
    both_sides: bool


def list_pictures(folder: Path) -> list[Path]:
    """Pictures in a folder and below, in the order of their paths; InputError for a folder that is not there."""
    if not folder.is_dir():
        raise InputError(f"pairs must be in a folder, got {str(folder)!r}. Does it exist?")
    found = (path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES)
    return sorted(path for path in found if not path.name.startswith(".") and path.is_file())


def match_pairs(folder: Path, layout: Layout, pictures: list[Path] | None = None) -> Matched:
    """Pairs that a layout finds among the pictures of a folder, by their names alone.

    Raises InputError for two pictures of one name, such as a.png and a.jpg.
    """
    pictures = list_pictures(folder) if pictures is None else pictures
    rainy, target = (_named(folder, template, pictures) for template in (layout.rainy, layout.target))
    target_of = {key: path for key, path in target.values()}
    partnered = {key for key, _ in rainy.values()}
    lonely = [(path, told(layout.target, *key)) for key, path in rainy.values() if key not in target_of]
    lonely += [(path, told(layout.rainy, *key)) for key, path in target.values() if key not in partnered]
    matched = {path for _, path in (*rainy.values(), *target.values())}
    places = {path.parent for path in matched}
    others = [path for path in pictures if path.parent in places and path not in matched]
    names = sorted((name for name, (key, _) in rainy.items() if key in target_of), key=_order(layout))
    pairs = {name: (rainy[name][1], target_of[rainy[name][0]]) for name in names}
    return Matched(pairs, sorted(lonely), others, bool(rainy and target))


def find_pairs(folder: Path, layout: Layout) -> list[PairFiles]:
    """Pairs of a folder in the order of their names; numbers count as numbers. InputError unless all are pairs."""
    matched = match_pairs(folder, layout)
    check_partners(folder, matched)
    if not matched.pairs:
        raise InputError(f"{folder} must hold pairs {layout.words()}, got none.")
    return paired_files(matched, layout)


def check_partners(folder: Path, matched: Matched) -> None:
    """Raise InputError for a picture that has no partner."""
    if matched.lonely:
        picture, lacking = matched.lonely[0]
        has = picture.relative_to(folder).with_suffix("").as_posix()
        raise InputError(
            f"{folder} must hold pairs, got {has} without {lacking} ({len(matched.lonely)} such). Names must be equal."
        )


def paired_files(matched: Matched, layout: Layout, size_px: SizeOf = photo_size_px) -> list[PairFiles]:
    """Matched pairs with their sizes (height, width), which `size_px` tells once of each file."""
    size_px = cache(size_px)
    return [pair_files(name, *paths, layout.halves, size_px) for name, paths in matched.pairs.items()]


def pair_files(name: str, rainy: Path, target: Path, halves: Halves = "", size_px: SizeOf = photo_size_px) -> PairFiles:
    """A pair with its size, from the headers of its files; InputError for two sizes, and for one without halves."""
    sizes = size_px(rainy), size_px(target)
    if sizes[0] != sizes[1]:
        words = " and ".join(f"{width}x{height} px" for height, width in sizes)
        raise InputError(f"{rainy} must have the size of {target}, got {words}.")
    height_px, width_px = sizes[0]
    if not halves:
        return PairFiles(name, rainy, target, height_px, width_px)
    if width_px % 2:
        raise InputError(
            f"{rainy} must be two pictures of one size side by side, got {width_px}x{height_px} px. "
            "An odd width has no halves: is it a single picture?"
        )
    return PairFiles(name, rainy, target, height_px, width_px // 2, halves)


def layout_of(folder: Path) -> str:
    """Name of the layout in which a folder holds most pairs; InputError where none fits, or more than one."""
    pictures = list_pictures(folder)
    matched = {name: match_pairs(folder, layout, pictures) for name, layout in GUESSED.items()}
    most = max(len(one.pairs) for one in matched.values())
    best = [name for name, one in matched.items() if most and len(one.pairs) == most]
    if len(best) > 1:
        raise InputError(f"{folder} must hold pairs of one layout, got {' and '.join(best)}. --layout names one.")
    if best:
        return best[0]
    for name, one in matched.items():
        if one.both_sides:  # and no names fit: find_pairs says which
            return name
    raise InputError(
        f"{folder} must hold input/ and target/, lq/ and gt/, or rain-N.png and norain-N.png, or be in the layout of "
        "a known set. --layout names one."
    )


def told(template: str, name: str, pie: str = "") -> str:
    """A path of the template for what both pictures of a pair share, other parts in one of their spellings."""
    path = template.replace("{path}", name).replace("{name}", name).replace("{pie}", pie)
    for part, spelling in TOLD.items():
        path = path.replace(part, spelling)
    return path


def _named(folder: Path, template: str, pictures: Iterable[Path]) -> dict[str, tuple[Key, Path]]:
    """Pictures that fit a template by their own names, each with what it shares with its partner."""
    words = re.split(r"(\{\w+\})", template)
    pattern = re.compile("".join(PARTS[word] if word in PARTS else re.escape(word) for word in words))
    found: dict[str, tuple[Key, Path]] = {}
    for path in pictures:
        match = pattern.fullmatch(path.relative_to(folder).with_suffix("").as_posix())
        if match is None:
            continue
        parts = match.groupdict()
        key = parts["name"], parts.get("pie") or ""
        name = f"{key[1]}{key[0]}" + (f"_{parts['take']}" if "take" in parts else "")
        if name in found:
            raise InputError(f"{path} must be the only picture of its name, got {found[name][1].name} beside it.")
        found[name] = key, path
    return found


def _order(layout: Layout) -> Callable[[str], tuple[Any, ...]]:
    """Order of names: as text, or with the numbers in them as numbers."""
    if not layout.numbered:
        return lambda name: (name,)
    return lambda name: tuple(int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name))
