"""What training reads: pairs of a rainy picture and its targets, stored, in a folder, or rendered when asked for."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from jaxtyping import UInt8

TARGETS = ("clean", "veiled")

SRGB8 = UInt8[np.ndarray, "h w 3"]


class Pair(Protocol):
    """A rainy picture and its two targets, (H, W, 3) uint8."""

    @property
    def rainy_srgb8(self) -> SRGB8: ...
    @property
    def clean_srgb8(self) -> SRGB8: ...
    @property
    def veiled_srgb8(self) -> SRGB8: ...


class PairSource(Protocol):
    """What rainsynth.shards.ShardSet, PairFolder, RenderedPairs and Mixture are.

    `table` has a row for every sample, with at least rain_rate_mm_h, NaN where nobody knows it, height_px and width_px.
    A source that is handed to a worker process is pickled.
    """

    @property
    def table(self) -> np.ndarray: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Pair: ...
    def crop(self, index: int, top: int, left: int, size: int, /) -> Pair: ...


def target_of(pair: Pair, target: str) -> SRGB8:
    """The picture that training aims at: "clean", all rain gone, or "veiled", streaks gone and the veil kept."""
    return pair.veiled_srgb8 if target == "veiled" else pair.clean_srgb8
