"""Pairs of pictures in a folder, `input/` and `target/` with equal names, read as a set of shards is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from mspfn.pair_source import SRGB8
from mspfn.picture_cache import CACHE_BYTES, PictureCache
from rainsynth.checks import InputError
from rainsynth.pictures import list_photos, photo_size_px, read_photo

INPUT_FOLDER, TARGET_FOLDER = "input", "target"


@dataclass(frozen=True, eq=False)
class FolderPair:
    """A rainy picture and its target, (H, W, 3) uint8."""

    rainy_srgb8: SRGB8
    clean_srgb8: SRGB8

    @property
    def veiled_srgb8(self) -> SRGB8:
        """The same: a folder has one target, whether that keeps the veil or not."""
        return self.clean_srgb8


class PairFolder:
    """Pairs of a folder in the order of their names: len(), [i], .crop(i, top, left, size), .table.

    The columns of `table` are name, height_px, width_px and rain_rate_mm_h, which nobody knows here: NaN.
    Decoded pictures are kept up to `cache_bytes`.
    Raises InputError unless both sub-folders hold the same names, and each pair has one size.
    """

    def __init__(self, path: Path | str, *, cache_bytes: int = CACHE_BYTES) -> None:
        self.path = Path(path)
        inputs, targets = (names_in(self.path / folder) for folder in (INPUT_FOLDER, TARGET_FOLDER))
        single = sorted(set(inputs) ^ set(targets))
        if single:
            raise InputError(
                f"{self.path} must hold the same names in {INPUT_FOLDER}/ and {TARGET_FOLDER}/, "
                f"got {len(single)} in one only, such as {single[0]}."
            )
        self.names = inputs
        self.decoded = PictureCache(read_photo, bytes_of, cache_bytes)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> FolderPair:
        name = self.names[index]
        pair = FolderPair(*(self.decoded[self.path / folder / name] for folder in (INPUT_FOLDER, TARGET_FOLDER)))
        if pair.rainy_srgb8.shape != pair.clean_srgb8.shape:
            raise InputError(
                f"{self.path} must hold pairs of one size, got {pair.rainy_srgb8.shape[:2]} and "
                f"{pair.clean_srgb8.shape[:2]} for {name}."
            )
        return pair

    def crop(self, index: int, top: int, left: int, size: int) -> FolderPair:
        """A window of `size` x `size` pixels of a pair."""
        pair, window = self[index], np.s_[top : top + size, left : left + size]
        return FolderPair(pair.rainy_srgb8[window], pair.clean_srgb8[window])

    @cached_property
    def table(self) -> np.ndarray:
        """One row a pair, from the headers of the pictures in `input/`."""
        longest = max(len(name.encode()) for name in self.names)
        columns = [
            ("name", f"S{longest}"),
            ("height_px", np.int64),
            ("width_px", np.int64),
            ("rain_rate_mm_h", np.float64),
        ]
        sizes = [photo_size_px(self.path / INPUT_FOLDER / name) for name in self.names]
        rows = [(name.encode(), *size, np.nan) for name, size in zip(self.names, sizes, strict=True)]
        return np.array(rows, dtype=columns)


def names_in(folder: Path) -> list[str]:
    """Pictures of a folder, by their path inside it."""
    return [path.relative_to(folder).as_posix() for path in list_photos(folder)]


def bytes_of(picture: SRGB8) -> int:
    """Memory that a decoded picture takes."""
    return picture.nbytes
