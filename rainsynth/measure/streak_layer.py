"""The rain layer of a pair: what was added to the clean picture, how grey it is, how much it covers, how bright.

All on display codes. A channel at 255 hides how much was added to it, so measurements leave saturated channels out,
and pixels where all three are saturated altogether.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Int16, Real, UInt8

from rainsynth.checks import InputError, check_in_range
from rainsynth.metrics import check_pair

SRGB8 = UInt8[np.ndarray, "h w 3"]

SATURATED_CODE = 255
COVERAGE_CODES = (3, 10, 30)  # choice: a code that hardly anybody sees, one that all see, one that hides texture
COVERED_CODES = 10  # choice: a pixel counts as covered above this; levels are those of covered pixels
LEVEL_PERCENTILES = (5, 50, 95)


def streak_layer(rainy_srgb8: SRGB8, clean_srgb8: SRGB8) -> Int16[np.ndarray, "h w 3"]:
    """S = rainy - clean for every channel [codes], -255 to 255; too small where the rainy channel is saturated."""
    check_pair(rainy_srgb8, clean_srgb8)
    return rainy_srgb8.astype(np.int16) - clean_srgb8


def measurable_mask(rainy_srgb8: SRGB8) -> Bool[np.ndarray, "h w"]:
    """Pixels with a channel below 255: those whose S is known."""
    return np.any(rainy_srgb8 < SATURATED_CODE, axis=-1)


def grey_layer(rainy_srgb8: SRGB8, clean_srgb8: SRGB8) -> Int16[np.ndarray, "h w"]:
    """One S for each pixel [codes]: the rounded mean over its unsaturated channels.

    Where all channels are saturated it is the largest of the three, a lower bound of what was added.
    """
    layer = streak_layer(rainy_srgb8, clean_srgb8)
    known = rainy_srgb8 < SATURATED_CODE
    count = known.sum(axis=-1)
    mean = np.rint((layer * known).sum(axis=-1) / np.maximum(count, 1))
    return np.where(count > 0, mean, layer.max(axis=-1)).astype(np.int16)


def greyness_fraction(rainy_srgb8: SRGB8, clean_srgb8: SRGB8) -> float:
    """Share of pixels whose unsaturated channels have all the same S, among those with two such channels or more.

    1 for grey rain added on display codes; NaN where every pixel has two saturated channels.
    """
    layer = streak_layer(rainy_srgb8, clean_srgb8)
    known = rainy_srgb8 < SATURATED_CODE
    comparable = known.sum(axis=-1) >= 2
    if not comparable.any():
        return float("nan")
    highest = np.where(known, layer, np.iinfo(np.int16).min).max(axis=-1)
    lowest = np.where(known, layer, np.iinfo(np.int16).max).min(axis=-1)
    return float(np.mean((highest == lowest)[comparable]))


def additive_residual_codes(rainy_srgb8: SRGB8, clean_srgb8: SRGB8) -> float:
    """How far a pair is from grey rain that was added [codes, RMS]: rainy - min(255, clean + S), S >= 0 of each pixel.

    S is `grey_layer`, the least-squares fit of one whole number to the channels. 0 means bit-exact.
    """
    added = np.maximum(grey_layer(rainy_srgb8, clean_srgb8), 0)[..., None]
    fitted = np.minimum(SATURATED_CODE, clean_srgb8 + added)
    return float(np.sqrt(np.mean(np.square(rainy_srgb8.astype(np.float64) - fitted))))


def is_additive(rainy_srgb8: SRGB8, clean_srgb8: SRGB8) -> bool:
    """Whether a pair is, bit for bit, min(255, clean + S) with one grey S >= 0."""
    return additive_residual_codes(rainy_srgb8, clean_srgb8) == 0


def coverage_fraction(
    layer_codes: Real[np.ndarray, "h w"],
    mask: Bool[np.ndarray, "h w"] | None = None,
    above_codes: Sequence[float] = COVERAGE_CODES,
) -> tuple[float, ...]:
    """Share of the picture, or of `mask`, where S is above each of `above_codes`."""
    values = masked_values(layer_codes, mask)
    return tuple(float(np.mean(values > code)) for code in above_codes)


def levels_codes(
    layer_codes: Real[np.ndarray, "h w"],
    mask: Bool[np.ndarray, "h w"] | None = None,
    percentiles: Sequence[float] = LEVEL_PERCENTILES,
    above_codes: float = COVERED_CODES,
) -> tuple[float, ...]:
    """Percentiles of S [codes] among pixels where it is above `above_codes`; NaN where no pixel is covered."""
    check_in_range(percentiles, 0, 100, "percentiles")
    values = masked_values(layer_codes, mask)
    covered = values[values > above_codes]
    if covered.size == 0:
        return (float("nan"),) * len(percentiles)
    return tuple(float(level) for level in np.percentile(covered, percentiles))


def masked_values(layer_codes: Real[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"] | None) -> Real[np.ndarray, "n"]:
    """The layer's values inside `mask`. Raises InputError unless the layer is (H, W), and the mask fits it."""
    if layer_codes.ndim != 2:
        raise InputError(
            f"layer_codes must be (H, W), got {layer_codes.shape}. grey_layer makes one of three channels."
        )
    if mask is None:
        return layer_codes.ravel()
    if mask.shape != layer_codes.shape or mask.dtype != np.bool_:
        raise InputError(f"mask must be boolean of shape {layer_codes.shape}, got {mask.dtype} of shape {mask.shape}.")
    if not mask.any():
        raise InputError("mask must hold at least one pixel, got none. Is the whole picture saturated?")
    return layer_codes[mask]
