"""The texture of rain too small to draw: its second-order statistics, slab by slab.

Drops under `min_streak_width_px` cover pixel p for parts a(p) of the exposure. Their number is Poisson, so what they
let through, u = prod(1 - a), has E u = exp(-Int lambda a) and Var u / (E u)^2 = exp(K) - 1, K = Int lambda a(p)^2. The
mean is part of the veil (scene.drops.unresolved_optical_depth). The texture is f = u / E u: noise of mean 1 and
variance K that runs along the streaks (optics.texture_field draws it).

A drop of area A, image width w and path l covers its pixels with the product of two profiles of unit sum: across, the
pixel convolved with the drop and with its drift per row; along, the pixel convolved with the drop and its path. A
box of width b on pixels has the sum of squares 1 - b/3 (b <= 1) or (1 - 1/(3b)) / b, so each drop gives K its
lambda A^2 R_across R_along.

The rain is split into slabs of distance with streaks of about one length. A slab becomes Poisson numbers of equal
drops, as many as keep the ratio of third to second moment, summed along and across the streak with taps
(e, 1, ..., 1, e) whose length keeps the integral scale Sum K(lag) / K(0). Long streaks whose directions differ, by
turbulence and by size, are split among three directions. Choices: the directions of the middle of the picture; at most
four slabs. Variance and correlation agree with pictures of every drop within a tenth
(tests/physics/test_texture.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from jaxtyping import Float, Int, UInt8
from numba import njit

from rainsynth.scene.camera import Camera
from rainsynth.scene.drops import drops_per_m3, resolved_ends_m, size_bins
from rainsynth.scene.rain_event import RainEvent

CELLS_AN_OCTAVE = 4  # of distance, in the integrals over it
BINS_TOGETHER = 4  # neighbouring bins of diameter are one here, 4 % wide
SLAB_LENGTH_RATIO = 2.0  # streaks within a slab differ in length by about this much
MOST_SLABS = 4
LEAST_FAN_PX = 1.5  # streaks whose ends lie this far apart by their directions are split among three
FAN = np.array([-0.85, 0.0, 0.85])  # choice: overlap as far as a normal spread of standard deviation 1 does
LEAST_VARIANCE = 1e-7  # rain with less moves no pixel by a tenth of a code
BOX_OVER_DISC = np.sqrt(3) / 2  # a box with the variance of a disc's profile is this much narrower
POISSON_STEPS = 4096
LARGEST_POISSON_MEAN = 60.0  # beyond, larger drops to the same variance: Gaussian either way

# Columns of the moments of a cell of distance
VARIANCE, SECOND, THIRD, ACROSS, ALONG, SLOPE, SLOPE_SQUARED = range(7)


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """Noise with the statistics of undrawn rain. Arrays have one entry a part: a slab, or one direction of it.

    `poisson` are equally likely numbers of drops in a pixel; `along_ones` and `along_end` the taps along a streak,
    `across_end` those across it; `amplitude` what one drop takes at a tap of 1; `variance` the part's K; `slope`
    pixels sideways per pixel along the streak. `lying` streaks run along rows instead of columns.
    `depth_m` and `variance_before` tabulate the K of all drops nearer than a depth.
    """

    near_m: Float[np.ndarray, "parts"]
    far_m: Float[np.ndarray, "parts"]
    variance: Float[np.ndarray, "parts"]
    poisson: UInt8[np.ndarray, "parts 4096"]
    along_ones: Int[np.ndarray, "parts"]
    along_end: Float[np.ndarray, "parts"]
    across_end: Float[np.ndarray, "parts"]
    amplitude: Float[np.ndarray, "parts"]
    slope: Float[np.ndarray, "parts"]
    lying: bool
    depth_m: Float[np.ndarray, "cells"]
    variance_before: Float[np.ndarray, "cells"]

    def share_before(self, depth_m: Float[np.ndarray, "d"]) -> Float[np.ndarray, "parts d"]:
        """Share of each part's variance that lies before a background at `depth_m`."""
        before, near, far = (
            np.interp(z_m, self.depth_m, self.variance_before) for z_m in (depth_m, self.near_m, self.far_m)
        )
        return np.clip((before - near[:, None]) / (far - near)[:, None], 0, 1)


def texture_of(event: RainEvent, camera: Camera, far_m: float, min_streak_width_px: float) -> Texture | None:
    """Texture of the undrawn drops between `near_m` and `far_m`; None where it shows in no pixel."""
    if far_m <= camera.near_m * 1.001 or event.rain_rate_mm_h == 0:
        return None
    cells = max(2, int(np.ceil(np.log2(far_m / camera.near_m) * CELLS_AN_OCTAVE)))
    edge_m = np.geomspace(camera.near_m, far_m, cells + 1)
    moments, lying = _moments_of(event, camera, edge_m, min_streak_width_px), False
    if abs(moments[:, SLOPE].sum()) > moments[:, VARIANCE].sum():
        moments, lying = _moments_of(event, camera, edge_m, min_streak_width_px, lying=True), True
    if moments[:, VARIANCE].sum() < LEAST_VARIANCE:
        return None
    first = _slab_edges(moments)
    parts = [part for a, b in pairwise(first) for part in _parts(moments[a:b].sum(axis=0), edge_m[a], edge_m[b])]
    return Texture(
        **{name: np.array([part[name] for part in parts]) for name in parts[0]},
        lying=lying,
        depth_m=edge_m,
        variance_before=np.concatenate([[0.0], np.cumsum(moments[:, VARIANCE])]),
    )


def _moments_of(
    event: RainEvent,
    camera: Camera,
    edge_m: Float[np.ndarray, "cells+1"],
    min_streak_width_px: float,
    *,
    lying: bool = False,
) -> Float[np.ndarray, "cells 7"]:
    """Moments of the coverage by undrawn drops of every cell of distance, for the middle of the picture."""
    bins = size_bins()
    middle_x = (camera.width_px / 2 - camera.principal_x_px) / camera.focal_px
    middle_y = (camera.height_px / 2 - camera.principal_y_px) / camera.focal_px
    right_m_s, away_m_s = event.wind_m_s
    centre = slice(BINS_TOGETHER // 2, None, BINS_TOGETHER)
    return _moments(
        edge_m,
        drops_per_m3(event).reshape(-1, BINS_TOGETHER).sum(axis=1),
        bins.horizontal_mm[centre] * 1e-3,
        bins.vertical_mm[centre] * 1e-3,
        bins.fall_speed_m_s[centre] - middle_y * away_m_s,
        right_m_s - middle_x * away_m_s,
        event.turbulence_m_s,
        resolved_ends_m(camera, min_streak_width_px)[centre],
        camera.focal_px,
        camera.exposure_s,
        camera.aperture_mm * 1e-3,
        camera.focus_m,
        lying,
    )


@njit(cache=True, nogil=True)
def _sum_of_squares(box_px: float) -> float:
    """Mean sum of the squared parts of a box of `box_px` on pixels."""
    return 1 - box_px / 3 if box_px <= 1 else (1 - 1 / (3 * box_px)) / box_px


@njit(cache=True, nogil=True)
def _moments(  # type: ignore[no-untyped-def]
    edge_m,
    per_m3,
    wide_m,
    high_m,
    down_m_s,
    right_m_s,
    turbulence_m_s,
    resolved_m,
    focal_px,
    exposure_s,
    aperture_m,
    focus_m,
    lying,
):
    moments = np.zeros((len(edge_m) - 1, 7))
    for cell in range(len(edge_m) - 1):
        for size in range(len(per_m3)):
            low_m = max(edge_m[cell], resolved_m[size])
            if low_m >= edge_m[cell + 1]:
                continue
            z_m = np.sqrt(low_m * edge_m[cell + 1])
            scale = focal_px / z_m
            area_px2 = np.pi / 4 * scale * scale * wide_m[size] * high_m[size]
            blur_px = focal_px * aperture_m * abs(1 / z_m - 1 / focus_m)
            across_px, along_px = np.hypot(scale * wide_m[size], blur_px), np.hypot(scale * high_m[size], blur_px)
            ahead_m_s, aside_m_s = down_m_s[size], right_m_s
            if lying:
                across_px, along_px, ahead_m_s, aside_m_s = along_px, across_px, aside_m_s, ahead_m_s
            path_px = scale * exposure_s * abs(ahead_m_s)
            slope = aside_m_s / ahead_m_s if abs(ahead_m_s) > 1e-3 else 0.0
            drift_px = abs(slope) * min(1.0, path_px)
            across_px = np.sqrt((BOX_OVER_DISC * across_px) ** 2 + drift_px**2)
            along_px = np.sqrt((BOX_OVER_DISC * along_px) ** 2 + path_px**2)
            fan = turbulence_m_s / max(abs(ahead_m_s), 0.1)
            density = per_m3[size] * (edge_m[cell + 1] ** 3 - low_m**3) / (3 * focal_px**2)  # drops per pixel
            second = density * area_px2**2
            across, along = _sum_of_squares(across_px), _sum_of_squares(along_px)
            moments[cell, VARIANCE] += second * across * along
            moments[cell, SECOND] += second
            moments[cell, THIRD] += second * area_px2
            moments[cell, ACROSS] += second * across
            moments[cell, ALONG] += second * along
            moments[cell, SLOPE] += second * across * along * slope
            moments[cell, SLOPE_SQUARED] += second * across * along * (slope**2 + fan**2)
    return moments


def _slab_edges(moments: Float[np.ndarray, "cells 7"]) -> Int[np.ndarray, "slabs+1"]:
    """Cells at which slabs begin, and the end: slabs of equal ratio of streak lengths where the variance is."""
    variance = moments[:, VARIANCE]
    before = np.cumsum(variance) / variance.sum()
    length_px = moments[:, ACROSS] / np.maximum(variance, 1e-30)
    near, far = np.searchsorted(before, (0.05, 0.95))
    ratio = max(length_px[near] / max(length_px[min(far, len(variance) - 1)], 1.0), 1.0)
    slabs = int(np.clip(np.ceil(np.log(ratio) / np.log(SLAB_LENGTH_RATIO)), 1, MOST_SLABS))
    limits_px = length_px[near] * ratio ** (-np.arange(1, slabs) / slabs)
    cells = [int(np.argmax((length_px < limit_px) & (variance > 0))) for limit_px in limits_px]
    return np.unique([0, *(cell for cell in cells if before[cell] < 1), len(variance)])


def _parts(moments: Float[np.ndarray, "7"], near_m: float, far_m: float) -> list[dict[str, Any]]:
    """Equal drops and taps with the moments of one slab, in one direction or split among three."""
    variance, length_px = moments[VARIANCE], moments[ACROSS] / moments[VARIANCE]
    slope = moments[SLOPE] / variance
    spread = np.sqrt(max(moments[SLOPE_SQUARED] / variance - slope**2, 0))
    slopes = slope + spread * FAN if spread * length_px > LEAST_FAN_PX else np.array([slope])
    along_ones, along_end = taps_of_length(length_px)
    _, across_end = taps_of_length(min(moments[ALONG] / variance, 3.0), ones=1)
    per_pixel = moments[SECOND] ** 3 / moments[THIRD] ** 2 / len(slopes)
    poisson = np.empty(POISSON_STEPS, dtype=np.uint8)
    drop_variance = _fill_poisson(poisson, min(per_pixel, LARGEST_POISSON_MEAN))
    squares = (along_ones + 2 * along_end**2) * (1 + 2 * across_end**2)
    shared = {
        "near_m": near_m,
        "far_m": far_m,
        "variance": variance / len(slopes),
        "poisson": poisson,
        "along_ones": along_ones,
        "along_end": along_end,
        "across_end": across_end,
        "amplitude": np.sqrt(variance / len(slopes) / (drop_variance * squares)),
    }
    return [shared | {"slope": slope} for slope in slopes]


def taps_of_length(length_px: float, ones: int | None = None) -> tuple[int, float]:
    """(m, e) of taps (e, 1, ..., 1, e) with m ones whose (sum)^2 / sum of squares is `length_px`, at least 1."""
    length_px = max(length_px, 1.0)
    ones = int(length_px) if ones is None else ones
    # (m + 2e)^2 = L (m + 2e^2)  ->  (4 - 2L) e^2 + 4 m e + m^2 - L m = 0
    square, linear, constant = 4 - 2 * length_px, 4 * ones, ones**2 - length_px * ones
    if abs(square) < 1e-9:
        return ones, -constant / linear
    return ones, (-linear + np.sqrt(max(linear**2 - 4 * square * constant, 0))) / (2 * square)


@njit(cache=True, nogil=True)
def _fill_poisson(numbers: np.ndarray, mean: float) -> float:
    """Fill a table with equally likely Poisson numbers; their variance."""
    number, probability = 0, np.exp(-mean)
    cumulated, total, squares = probability, 0.0, 0.0
    for i in range(len(numbers)):
        while (i + 0.5) / len(numbers) > cumulated and number < 255:
            number += 1
            probability *= mean / number
            cumulated += probability
        numbers[i] = number
        total += number
        squares += number * number
    if squares == 0:  # too rare for the table: one part of it
        numbers[-1] = total = squares = 1
    return squares / len(numbers) - (total / len(numbers)) ** 2
