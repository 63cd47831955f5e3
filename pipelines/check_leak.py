"""`rainsynth check-leak`: backgrounds of one set that are in another although changed."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageDraw

from pipelines.progress import progress
from pipelines.sheets import contact_sheet
from rainsynth.checks import InputError
from rainsynth.fingerprint import Leak, find_leaks, fingerprint_of, shared_fractions, unpack
from rainsynth.fingerprint.match import MIN_INLIERS
from rainsynth.pictures import list_photos, read_photo
from rainsynth.shards.reader import open_shards
from rainsynth.shards.schema import SHARD_GLOB

Picture = UInt8[np.ndarray, "h w 3"]
SHEET_ROWS = 50
WHOLE_FRACTION = 0.97  # a picture of which this much is shared is not called cropped
SAME_SCALE = 0.02  # scales this near to 1 are not told
SAME_ANGLE_DEG = 1.5
OUTLINE_COLOUR = (255, 0, 0)
OUTLINE_SHARE = 1 / 160  # of the picture's longer side


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """A background of a set: its name, how to read it, and its fingerprint where it is stored.

    A stored fingerprint is the whole photograph's; what is read of it may be a window.
    """

    name: str
    read: Callable[[], Picture]
    fingerprint: UInt8[np.ndarray, "bytes"] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LeakReport:
    """Backgrounds of both sets, their fingerprints, and the leaks between them."""

    train: list[Background]
    test: list[Background]
    train_fingerprints: list[np.ndarray]
    test_fingerprints: list[np.ndarray]
    leaks: list[Leak]

    def lines(self) -> list[str]:
        """One line a leak: both names, the inliers, and what was done to the first picture to get the second."""
        return [
            f"{self.train[leak.train].name}  {self.test[leak.test].name}  {leak.similarity.inliers} inliers"
            f"  {self.change(leak)}"
            for leak in self.leaks
        ]

    def change(self, leak: Leak) -> str:
        """The change from the training picture to the test picture, in words."""
        return describe_change(leak, self.train_fingerprints[leak.train], self.test_fingerprints[leak.test])

    def featureless(self) -> list[str]:
        """Names of backgrounds that show too little to be found again."""
        sets = ((self.train, self.train_fingerprints), (self.test, self.test_fingerprints))
        return [
            background.name
            for backgrounds, fingerprints in sets
            for background, fingerprint in zip(backgrounds, fingerprints, strict=True)
            if len(unpack(fingerprint).places) < MIN_INLIERS
        ]

    def as_dict(self) -> dict[str, Any]:
        """Everything that was found, for JSON."""
        return {
            "train_backgrounds": len(self.train),
            "test_backgrounds": len(self.test),
            "featureless": self.featureless(),
            "leaks": [self._leak_as_dict(leak) for leak in self.leaks],
        }

    def _leak_as_dict(self, leak: Leak) -> dict[str, Any]:
        shares = _shares(leak, self.train_fingerprints[leak.train], self.test_fingerprints[leak.test])
        mirrored, angle_deg = _turn(leak)
        return {
            "train": self.train[leak.train].name,
            "test": self.test[leak.test].name,
            "inliers": leak.similarity.inliers,
            "expected_by_chance": leak.expected_by_chance,
            "thumbnail_agreement": leak.similarity.agreement,
            "change": self.change(leak),
            "mirrored": mirrored,
            "angle_deg": angle_deg,
            "scale": leak.similarity.scale,
            "train_shared_fraction": shares[0],
            "test_shared_fraction": shares[1],
        }


def check_leak(train: Path, test: Path, threads: int | None = None) -> LeakReport:
    """Backgrounds of `train` that are in `test` although cropped, turned, mirrored, scaled, compressed or rained on."""
    threads = threads or os.cpu_count() or 1
    train_backgrounds, train_fingerprints = _fingerprinted(train, threads)
    test_backgrounds, test_fingerprints = _fingerprinted(test, threads)
    with progress("compare", len(test_backgrounds)) as advance:
        leaks = find_leaks(train_fingerprints, test_fingerprints, threads=threads, advance=advance)
    return LeakReport(
        train=train_backgrounds,
        test=test_backgrounds,
        train_fingerprints=train_fingerprints,
        test_fingerprints=test_fingerprints,
        leaks=leaks,
    )


def read_backgrounds(path: Path) -> list[Background]:
    """Backgrounds of a data set, all parts of a split or one, of a shard, of a folder with `target/` or `input/`, or of
    pictures.

    Clean pictures where there are some: those of shards, or of target/; else those of input/, or of the folder.
    """
    files = [path] if path.is_file() else sorted(path.rglob(SHARD_GLOB))
    if files:
        known: set[tuple[bytes, bytes]] = set()
        return [background for file in files for background in _shard_backgrounds(file, known)]
    if not path.is_dir():
        raise InputError(f"{path} must be a folder of pictures, of pairs or of shards, got nothing there. Is it right?")
    folder = next((path / part for part in ("target", "input") if (path / part).is_dir()), path)
    return [
        Background(photo.relative_to(path).as_posix(), lambda photo=photo: read_photo(photo))  # type: ignore[misc]
        for photo in list_photos(folder)
    ]


def describe_change(leak: Leak, train_fingerprint: np.ndarray, test_fingerprint: np.ndarray) -> str:
    """What makes the test picture of the training picture, such as "cropped to 40 %, mirrored, scaled 0.70"."""
    train_share, test_share = _shares(leak, train_fingerprint, test_fingerprint)
    mirrored, angle_deg = _turn(leak)
    told = []
    if train_share < WHOLE_FRACTION and test_share < WHOLE_FRACTION:
        told.append(f"{train_share:.0%} of the first is {test_share:.0%} of the second")
    elif train_share < WHOLE_FRACTION:
        told.append(f"cropped to {train_share:.0%}")
    elif test_share < WHOLE_FRACTION:
        told.append(f"the first is cropped to {test_share:.0%} of the second")
    if mirrored:
        told.append("mirrored")
    if abs(angle_deg) > SAME_ANGLE_DEG:
        told.append(f"turned {angle_deg:.0f} degrees")
    if abs(math.log(leak.similarity.scale)) > SAME_SCALE:
        told.append(f"scaled {leak.similarity.scale:.2f}")
    return ", ".join(told).replace("%", " %") or "same place and size"


def leak_sheet(report: LeakReport) -> Picture:
    """Leaks side by side, the likeliest chance first, at most 50; in red what of a picture the other one shows."""
    weakest = sorted(report.leaks, key=lambda leak: leak.similarity.inliers)[:SHEET_ROWS]
    return contact_sheet([_sheet_row(report, leak) for leak in weakest], cell_width_px=420)


def _sheet_row(report: LeakReport, leak: Leak) -> list[tuple[str, Picture]]:
    train, test = report.train[leak.train], report.test[leak.test]
    sizes_px = [
        _size_px(fingerprints[row])
        for fingerprints, row in ((report.train_fingerprints, leak.train), (report.test_fingerprints, leak.test))
    ]
    similarity = leak.similarity
    outlines = (similarity.inverse().to_b(_corners(sizes_px[1])), similarity.to_b(_corners(sizes_px[0])))
    told = ("", f": {similarity.inliers} inliers, {report.change(leak)}")
    row = []
    for background, outline, size_px, words in zip((train, test), outlines, sizes_px, told, strict=True):
        picture = background.read()
        if picture.shape[1::-1] == size_px:
            row.append((background.name + words, _outlined(picture, outline)))
        else:
            row.append((f"a window of {background.name}{words}", picture))
    return row


def _outlined(picture: Picture, outline_px: np.ndarray) -> Picture:
    """A picture with an outline, cut where it leaves the picture."""
    image = Image.fromarray(picture)
    line_px = max(1, round(max(image.size) * OUTLINE_SHARE))
    inside = np.clip(outline_px, line_px, np.array(image.size) - line_px)
    ImageDraw.Draw(image).line([tuple(p) for p in [*inside, inside[0]]], fill=OUTLINE_COLOUR, width=line_px)
    return np.array(image)


def _fingerprinted(path: Path, threads: int) -> tuple[list[Background], list[np.ndarray]]:
    """Backgrounds of a set and their fingerprints; a photograph that stands in several shards counts once."""

    def fingerprint(background: Background) -> np.ndarray:
        return fingerprint_of(background.read()) if background.fingerprint is None else background.fingerprint

    backgrounds = read_backgrounds(path)
    distinct: dict[tuple[str, bytes], tuple[Background, np.ndarray]] = {}
    with progress(f"fingerprints of {path}", len(backgrounds)) as advance, ThreadPoolExecutor(threads) as pool:
        for background, found in zip(backgrounds, pool.map(fingerprint, backgrounds), strict=True):
            distinct.setdefault((background.name, found.tobytes()), (background, found))
            advance()
    return [background for background, _ in distinct.values()], [found for _, found in distinct.values()]


def _shard_backgrounds(file: Path, known: set[tuple[bytes, bytes]]) -> Iterator[Background]:
    """Backgrounds of a shard, each once; with fingerprints in it, those that are not `known` by name and SHA-256."""
    shards = open_shards(file)
    rows, first_samples = np.unique(shards.background_rows, return_index=True)
    stored = shards.fingerprints
    for row, sample in zip(rows.tolist(), first_samples.tolist(), strict=True):
        name, sha256 = shards.backgrounds[row].tolist()
        if stored is not None:
            if (name, sha256) in known:
                continue
            known.add((name, sha256))
        fingerprint = None if stored is None else stored[row].copy()
        yield Background(name.decode(), partial(_clean_picture, file, sample), fingerprint)


def _clean_picture(file: Path, sample: int) -> Picture:
    return open_shards(file)[sample].clean_srgb8


def _turn(leak: Leak) -> tuple[bool, float]:
    """Whether the picture is mirrored left to right, and its turn after that [degrees, clockwise, -180 to 180]."""
    angle_deg = math.degrees(leak.similarity.angle_rad) + 180 * leak.similarity.mirrored
    return leak.similarity.mirrored, (angle_deg + 180) % 360 - 180


def _shares(leak: Leak, train_fingerprint: np.ndarray, test_fingerprint: np.ndarray) -> tuple[float, float]:
    return shared_fractions(leak.similarity, _size_px(train_fingerprint), _size_px(test_fingerprint))


def _size_px(fingerprint: np.ndarray) -> tuple[int, int]:
    features = unpack(fingerprint)
    return features.width_px, features.height_px


def _corners(size_px: tuple[int, int]) -> np.ndarray:
    width_px, height_px = size_px
    return np.array([(0, 0), (width_px, 0), (width_px, height_px), (0, height_px)], dtype=np.float64)
