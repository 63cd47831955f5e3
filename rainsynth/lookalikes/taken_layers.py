"""Streaks that were taken off rainy photographs, laid over other ones: the rain of a place itself, by no model of it.

`rainsynth fit --layers` writes them, as pictures of grey codes. They are as true as the network that took them. Where a
photograph was white it says only how much was added at the least, and skies and roofs are seen in its layer: those
pixels are blue, and windows are laid where few of them are.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, UInt8

from rainsynth.display_blend import WHITE_CODE
from rainsynth.pictures import read_photo

CACHED_LAYERS = 256
PLACES_TRIED = 8  # choice: of layers of Rain100H 11 % is white, of windows of 128 px then 5 %


def taken_codes(
    height_px: int, width_px: int, drawn: Mapping[str, Any], rng: np.random.Generator
) -> Float[np.ndarray, "h w"]:
    """A window of the layer `kind` in the folder `layers`, float32 [codes]: of PLACES_TRIED the one that is known best.

    A window that is larger than the layer goes on at its other side. Raises InputError for a layer that is not there.
    """
    layer = read_layer(Path(drawn["layers"]) / drawn["kind"])
    unknown = unknown_of(layer)
    windows = [window_of(unknown.shape, height_px, width_px, rng) for _ in range(PLACES_TRIED)]
    best = min(windows, key=lambda window: int(np.count_nonzero(unknown[window])))
    return layer[..., 0][best].astype(np.float32)


def window_of(
    size_px: tuple[int, ...], height_px: int, width_px: int, rng: np.random.Generator
) -> tuple[np.ndarray, ...]:
    """Indices of rows and columns of a window by chance."""
    sides = zip(size_px, (height_px, width_px), strict=True)
    return np.ix_(*((int(rng.integers(max(has - side, 0) + 1)) + np.arange(side)) % has for has, side in sides))


def picture_of_layer(codes: UInt8[np.ndarray, "h w"], unknown: Bool[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """A layer as a picture: grey, but blue where its codes are the least that there may have been."""
    picture = np.repeat(np.where(unknown, np.minimum(codes, WHITE_CODE - 1), codes)[..., None], 3, axis=2)
    picture[..., 2][unknown] = WHITE_CODE
    return picture


def unknown_of(picture: UInt8[np.ndarray, "h w 3"]) -> Bool[np.ndarray, "h w"]:
    """Where such a picture is not grey."""
    return picture[..., 2] != picture[..., 0]


@lru_cache(maxsize=CACHED_LAYERS)
def read_layer(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """The picture of a layer from its file; read once."""
    return read_photo(path)
