"""Widths, lengths and edges of streaks, from the autocorrelation of a rain layer.

Where streaks fall independently of each other and add up, the layer's autocovariance is that of a single streak times
their number, however many overlap (Campbell's theorem; Rice 1944, doi:10.1002/j.1538-7305.1944.tb00874.x). A flat
streak of width w and length l has a triangle of base 2 w across and of base 2 l along its direction. So what is
measured is that of the streaks that carry the layer's variance: the bright and large ones count most.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, Real
from scipy import fft

from rainsynth.checks import InputError, check_count
from rainsynth.measure.streak_layer import masked_values

REACH_PX = 96  # choice: the autocorrelation is taken up to this distance; about as long as the longest streaks
SAMPLE_PX = 0.25
# Streaks of other directions add to the autocorrelation along the main one only so near to the centre.
SKIPPED_WIDTHS = 3.0
WINDOW_PX = 4  # pixels that an edge is compared with, itself in the middle


def autocorrelation(
    layer_codes: Real[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"] | None = None, reach_px: int = REACH_PX
) -> Float[np.ndarray, "size size"]:
    """Autocorrelation of a layer for shifts of up to `reach_px` each way, centre 1; pixels outside `mask` are left out.

    In a smaller picture the reach is its shorter side less 2. Raises InputError for a layer without any variation.
    """
    check_count(reach_px, 4, 4096, "reach_px")
    values = masked_values(layer_codes, mask)
    if values.max() == values.min():
        raise InputError(f"layer_codes must vary over the picture, got {values[0]} everywhere. Is there rain in it?")
    inside = np.ones(layer_codes.shape) if mask is None else mask.astype(np.float64)
    deviation = (layer_codes - values.mean()) * inside
    reach_px = min(reach_px, min(layer_codes.shape) - 2)
    covariance, pixels = (_sums_of_products(field, reach_px) for field in (deviation, inside))
    mean_product = covariance / np.maximum(pixels, 1)
    return mean_product / mean_product[reach_px, reach_px]


def _sums_of_products(field: Float[np.ndarray, "h w"], reach_px: int) -> Float[np.ndarray, "size size"]:
    """Sum over the picture of field(p) field(p + shift), for every shift of up to `reach_px` each way."""
    shape = [fft.next_fast_len(side + reach_px, real=True) for side in field.shape]
    products = fft.irfft2(np.abs(fft.rfft2(field, shape)) ** 2, shape)
    shifts = np.arange(-reach_px, reach_px + 1)
    return products[np.ix_(shifts, shifts)]


def correlation_at(
    correlation: Float[np.ndarray, "size size"],
    direction_deg: Real[np.ndarray, "*n"] | float,
    distance_px: Real[np.ndarray, "*n"],
) -> Float[np.ndarray, "*n"]:
    """Autocorrelation at a distance along a direction; between pixels by bilinear interpolation."""
    centre = correlation.shape[0] // 2
    angle_rad = np.deg2rad(direction_deg)
    x_px = np.atleast_2d(centre + np.sin(angle_rad) * distance_px).astype(np.float32)
    y_px = np.atleast_2d(centre + np.cos(angle_rad) * distance_px).astype(np.float32)
    sampled = cv2.remap(correlation.astype(np.float32), x_px, y_px, cv2.INTER_LINEAR)
    return sampled.reshape(np.shape(distance_px))


def width_px(correlation: Float[np.ndarray, "size size"], direction_deg: float) -> float:
    """Width of streaks along `direction_deg` [px]: full width at half maximum of the autocorrelation across them.

    That of a flat streak is its width, within 5 % from 1 px; that of a Gaussian profile is sqrt(2) times its own full
    width at half maximum.
    """
    distance_px = np.arange(0, correlation.shape[0] // 2, SAMPLE_PX)
    across = correlation_at(correlation, direction_deg + 90, distance_px)
    return 2 * _first_below(across, distance_px, 0.5)


def length_px(correlation: Float[np.ndarray, "size size"], direction_deg: float) -> float:
    """Length of streaks along `direction_deg` [px]: the base of the triangle that the autocorrelation falls along.

    c(d) = a (1 - d / l) beyond d1, three widths, where streaks of other directions no longer add: with
    c(d2) = c(d1) / 2 it is l = 2 d2 - d1. Smoothed over 3 px first, against the steps of slanted edges. Within 10 % for
    flat streaks from 1 px wide; of mixed lengths the long ones count most. At most 2 reach - d1.
    """
    skipped_px = min(SKIPPED_WIDTHS * width_px(correlation, direction_deg), correlation.shape[0] / 8)
    distance_px = np.arange(skipped_px, correlation.shape[0] // 2, SAMPLE_PX)
    along = correlation_at(cv2.blur(correlation, (3, 3)), direction_deg, distance_px)
    return 2 * _first_below(along, distance_px, 0.5 * along[0]) - skipped_px


def _first_below(values: Float[np.ndarray, "n"], distance_px: Float[np.ndarray, "n"], threshold: float) -> float:
    """First distance at which `values` fall below a threshold, between samples linearly; the last if they never do."""
    below = np.flatnonzero(values < threshold)
    if below.size == 0 or below[0] == 0:
        return float(distance_px[-1] if below.size == 0 else distance_px[0])
    after = below[0]
    step = (values[after - 1] - threshold) / (values[after - 1] - values[after])
    return float(distance_px[after - 1] + step * (distance_px[after] - distance_px[after - 1]))


def edge_sharpness(layer_codes: Real[np.ndarray, "h w"], mask: Bool[np.ndarray, "h w"] | None = None) -> float:
    """How much of an edge's height lies between two pixels: 1 for hard edges, 0.5 for a Gaussian 2 px wide.

    Mean of |S(x+1) - S(x)| over the range of S within the four pixels around, weighted by the step: horizontal steps,
    so for rain within 45 degrees of vertical. Other streaks beside an edge lower it. NaN without any edge.
    """
    masked_values(layer_codes, mask)
    windows = np.lib.stride_tricks.sliding_window_view(layer_codes.astype(np.float64), WINDOW_PX, axis=1)
    step = np.abs(windows[..., 2] - windows[..., 1])
    height = windows.max(axis=-1) - windows.min(axis=-1)
    if mask is not None:
        step = step * np.lib.stride_tricks.sliding_window_view(mask, WINDOW_PX, axis=1).all(axis=-1)
    total = step.sum()
    return float((step * step / np.maximum(height, 1e-9)).sum() / total) if total > 0 else float("nan")
