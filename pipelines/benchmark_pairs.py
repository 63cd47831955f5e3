"""Pairs of a named set in a folder, in whichever of its layouts they lie; what is not right is refused, by its file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from pipelines.audit_pairs import spread
from pipelines.benchmark_sets import SETS, BenchmarkSet, set_named
from pipelines.pair_layouts import (
    GUESSED,
    KNOWN,
    SIDE_BY_SIDE,
    Matched,
    PairFiles,
    check_partners,
    list_pictures,
    match_pairs,
    paired_files,
)
from rainsynth.checks import InputError, one_line
from rainsynth.measure.alignment import find_alignment
from rainsynth.metrics import luma
from rainsynth.pictures import UNREADABLE, check_eight_bit, photo_size_px

LOOKED_AT = 3  # pictures whose halves are compared


@dataclass(frozen=True, slots=True)
class FoundSet:
    """A named set as it lies in a folder: its pairs in order, a line on each thing that was left out or is odd."""

    benchmark: BenchmarkSet
    layout: str
    pairs: list[PairFiles]
    remarks: list[str] = field(default_factory=list)


def find_set(name: str, folder: Path) -> FoundSet:
    """Pairs of the set of this name; headers of all files are read, pixels only of those that have transparency.

    Raises InputError, one line that names the file: unequal sizes, no partner, another set's layout, not 8-bit,
    transparent, halves that show different scenes.
    """
    benchmark = set_named(name)
    pictures = list_pictures(folder)
    layout, matched = _best_layout(benchmark, folder, pictures)
    matched, remarks = _without_strays(benchmark, folder, matched)
    check_partners(folder, matched)
    if matched.others:
        first, more = matched.others[0].relative_to(folder), len(matched.others) - 1
        remarks.append(f"left out for their names: {first}" + (f" and {more} more" if more else ""))
    pairs = paired_files(matched, KNOWN[layout], opaque_size_px)
    return FoundSet(benchmark, layout, pairs, remarks + _remarks_on_halves(pairs))


def opaque_size_px(path: Path) -> tuple[int, int]:
    """(height, width) of an 8-bit picture; InputError for one that is deeper or transparent anywhere.

    A fourth channel that hides nothing passes: pictures of RainDS have one.
    """
    try:
        with Image.open(path) as opened:
            check_eight_bit(opened, path)
            if opened.has_transparency_data:
                least = int(np.asarray(opened.convert("RGBA").getchannel("A")).min())
                if least < 255:
                    raise InputError(
                        f"{path} must be opaque, got transparency down to {least} of 255. "
                        "Is it a cut-out or a screenshot? A copy without its alpha channel would show other pixels."
                    )
    except InputError:
        raise
    except UNREADABLE as error:
        raise InputError(one_line(f"{path} must be a readable picture, got: {error}.")) from None
    return photo_size_px(path)


def _best_layout(benchmark: BenchmarkSet, folder: Path, pictures: list[Path]) -> tuple[str, Matched]:
    """The layout of the set that finds most pairs; side by side only where names fit nothing else."""
    matched = {name: match_pairs(folder, KNOWN[name], pictures) for name in benchmark.all_layouts}
    apart = [name for name in matched if name not in SIDE_BY_SIDE]
    best = max(apart, key=lambda name: len(matched[name].pairs))
    if matched[best].pairs:
        return best, matched[best]
    foreign = _foreign_layout(folder, pictures, benchmark)
    if not foreign:
        for name, one in matched.items():
            if name in SIDE_BY_SIDE and one.pairs:
                return name, one
        for name in apart:
            if matched[name].both_sides:
                check_partners(folder, matched[name])
    wanted = " or ".join(KNOWN[name].words() for name in benchmark.all_layouts[:2])
    raise InputError(f"{folder} must hold {benchmark.title} as {wanted}, got {foreign or _nothing(folder, pictures)}")


def _foreign_layout(folder: Path, pictures: list[Path], benchmark: BenchmarkSet) -> str:
    """In which layout of other sets the folder holds pairs, and whose that is; "" for none."""
    counts = {
        name: len(match_pairs(folder, layout, pictures).pairs)
        for name, layout in GUESSED.items()
        if name not in benchmark.all_layouts
    }
    best = max(counts, key=lambda name: counts[name])
    if not counts[best]:
        return ""
    whose = [name for name, one in SETS.items() if best in one.layouts]
    words = f"{counts[best]} pairs {GUESSED[best].words()}."
    return f"{words} It looks like {' or '.join(whose)}." if whose else words


def _nothing(folder: Path, pictures: list[Path]) -> str:
    """What there is instead of pairs: pictures, or a sub-folder that holds pairs."""
    for inner in sorted({folder / path.relative_to(folder).parts[0] for path in pictures}):
        if inner.is_dir():
            below = [path for path in pictures if inner in path.parents]
            if any(match_pairs(inner, layout, below).pairs for layout in GUESSED.values()):
                return f"no pair there, but in its sub-folder {inner.name}/. Is that the set?"
    return f"{len(pictures)} pictures and no pair. Is it the folder above or below?"


def _without_strays(benchmark: BenchmarkSet, folder: Path, matched: Matched) -> tuple[Matched, list[str]]:
    """The same without pictures that the authors' archive holds too many."""
    stems = {path: path.relative_to(folder).with_suffix("").as_posix() for path, _ in matched.lonely}
    strays = [path for path, stem in stems.items() if stem in benchmark.strays]
    kept = [(path, lacking) for path, lacking in matched.lonely if path not in strays]
    remarks = [f"{path.relative_to(folder)} has no partner in the authors' archive either: left out" for path in strays]
    return replace(matched, lonely=kept), remarks


def _remarks_on_halves(pairs: list[PairFiles]) -> list[str]:
    """What looks wrong with pictures that hold both halves; InputError where they are two scenes."""
    if not pairs or not pairs[0].halves:
        return []
    darker, looked_at = 0, [pairs[index] for index in spread(len(pairs), LOOKED_AT)]
    for pair in looked_at:
        rainy, clean = pair.read()
        if not find_alignment(rainy, clean).same_scene:
            raise InputError(
                f"{pair.rainy} must hold a rainy and a clean picture side by side, got halves of different scenes. "
                "Is it a single picture?"
            )
        darker += bool(luma(rainy).mean() < luma(clean).mean())  # rain of these sets is added light
    if 2 * darker <= len(looked_at):
        return []
    return [
        f"the halves taken for rainy are darker than their targets in {darker} of {len(looked_at)} pictures looked at: "
        f"are they the other way round ({pairs[0].halves} is expected)?"
    ]
