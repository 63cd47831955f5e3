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

import numpy as np
from jaxtyping import Float, UInt8
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
MOST_PARTS = MOST_SLABS * len(FAN)
LEAST_VARIANCE = 1e-7  # rain with less moves no pixel by a tenth of a code
BOX_OVER_DISC = np.sqrt(3) / 2  # a box with the variance of a disc's profile is this much narrower
POISSON_STEPS = 4096
LARGEST_NUMBER = 255  # that a table holds
LARGEST_POISSON_MEAN = 60.0  # beyond, larger drops to the same variance: Gaussian either way

# Columns of the moments of a cell of distance
VARIANCE, SECOND, THIRD, ACROSS, ALONG, SLOPE, SLOPE_SQUARED = range(7)
MOMENTS = 7
# Numbers of a part, in the order in which they are found
PART_NUMBERS = (
    "near_m", "far_m", "variance", "amplitude", "slope", "along_ones", "along_end", "across_end", "mean_number",
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Texture:
    """Noise with the statistics of undrawn rain. Arrays have one entry a part: a slab, or one direction of it.

    `variance` is the part's K; `amplitude` what one drop takes at a tap of 1; `slope` pixels sideways per pixel along
    the streak; `along_ones` (whole numbers) and `along_end` the taps along a streak, `across_end` those across it.
    `poisson` are equally likely numbers of drops in a pixel, `mean_number` their mean. `lying` streaks run along rows
    instead of columns. `depth_m` and `variance_before` tabulate the K of all drops nearer than a depth.
    """

    near_m: Float[np.ndarray, "parts"]
    far_m: Float[np.ndarray, "parts"]
    variance: Float[np.ndarray, "parts"]
    amplitude: Float[np.ndarray, "parts"]
    slope: Float[np.ndarray, "parts"]
    along_ones: Float[np.ndarray, "parts"]
    along_end: Float[np.ndarray, "parts"]
    across_end: Float[np.ndarray, "parts"]
    mean_number: Float[np.ndarray, "parts"]
    poisson: UInt8[np.ndarray, "parts 4096"]
    lying: bool
    depth_m: Float[np.ndarray, "cells"]
    variance_before: Float[np.ndarray, "cells"]

    def share_before(self, depth_m: Float[np.ndarray, "d"]) -> Float[np.ndarray, "parts d"]:
        """Share of each part's variance that lies before a background at `depth_m`."""
        return _share_before(depth_m, self.depth_m, self.variance_before, self.near_m, self.far_m)


def texture_of(event: RainEvent, camera: Camera, far_m: float, min_streak_width_px: float) -> Texture | None:
    """Texture of the undrawn drops between `near_m` and `far_m`; None where it shows in no pixel."""
    if far_m <= camera.near_m * 1.001 or event.rain_rate_mm_h == 0:
        return None
    edge_m = _cell_edges_m(float(camera.near_m), far_m)
    moments, lying = _moments_of(event, camera, edge_m, min_streak_width_px)
    before = np.concatenate([[0.0], np.cumsum(moments[:, VARIANCE])])
    if before[-1] < LEAST_VARIANCE:
        return None
    numbers = np.empty((len(PART_NUMBERS), MOST_PARTS))
    poisson = np.empty((MOST_PARTS, POISSON_STEPS), dtype=np.uint8)
    parts = _fill_parts(numbers, poisson, moments, edge_m, _slab_edges(moments))
    named = dict(zip(PART_NUMBERS, numbers[:, :parts], strict=True))
    return Texture(**named, poisson=poisson[:parts], lying=lying, depth_m=edge_m, variance_before=before)


def _moments_of(
    event: RainEvent, camera: Camera, edge_m: Float[np.ndarray, "cells+1"], min_streak_width_px: float
) -> tuple[Float[np.ndarray, "cells 7"], bool]:
    """Moments of the coverage by undrawn drops in each cell of distance, for the middle of the picture.

    And whether streaks lie: most of them are nearer to the rows than to the columns.
    """
    bins = size_bins()
    middle_x = (camera.width_px / 2 - camera.principal_x_px) / camera.focal_px
    middle_y = (camera.height_px / 2 - camera.principal_y_px) / camera.focal_px
    right_m_s, away_m_s = map(float, event.wind_m_s)
    return _moments_and_lying(
        edge_m,
        (drops_per_m3(event), bins.horizontal_mm, bins.vertical_mm, bins.fall_speed_m_s),
        resolved_ends_m(camera, min_streak_width_px),
        (right_m_s - middle_x * away_m_s, middle_y * away_m_s, float(event.turbulence_m_s)),
        tuple(map(float, (camera.focal_px, camera.exposure_s, camera.aperture_mm * 1e-3, camera.focus_m))),
    )


@njit(cache=True, nogil=True)
def _cell_edges_m(near_m: float, far_m: float) -> np.ndarray:
    """Edges of the cells of distance, in equal ratios."""
    cells = max(2, int(np.ceil(np.log2(far_m / near_m) * CELLS_AN_OCTAVE)))
    step = (np.log10(far_m) - np.log10(near_m)) / cells
    edge_m = 10 ** (np.log10(near_m) + np.arange(cells + 1) * step)
    edge_m[0], edge_m[-1] = near_m, far_m
    return edge_m


@njit(cache=True, nogil=True)
def _share_before(depth_m, edge_m, variance_before, near_m, far_m):  # type: ignore[no-untyped-def]
    """Part of each part's variance that is nearer than each depth, (parts, depths); linear within a cell."""
    before = np.interp(depth_m, edge_m, variance_before)
    near, far = np.interp(near_m, edge_m, variance_before), np.interp(far_m, edge_m, variance_before)
    share = np.empty((len(near), len(before)))
    for part in range(len(near)):
        for i in range(len(before)):
            share[part, i] = min(max((before[i] - near[part]) / (far[part] - near[part]), 0.0), 1.0)
    return share


@njit(cache=True, nogil=True)
def _moments_and_lying(edge_m, drops, resolved_m, motion, lens):  # type: ignore[no-untyped-def]
    moments = _moments(edge_m, drops, resolved_m, motion, lens, False)
    if abs(moments[:, SLOPE].sum()) > moments[:, VARIANCE].sum():
        return _moments(edge_m, drops, resolved_m, motion, lens, True), True
    return moments, False


@njit(cache=True, nogil=True, error_model="numpy")
def _moments(edge_m, drops, resolved_m, motion, lens, lying):  # type: ignore[no-untyped-def]
    """Moments of all cells; bins of diameter are taken together, at the middle one."""
    per_m3, horizontal_mm, vertical_mm, fall_m_s = drops
    aside_m_s, rise_m_s, turbulence_m_s = motion
    focal_px, exposure_s, aperture_m, focus_m = lens
    moments = np.zeros((len(edge_m) - 1, MOMENTS))
    for first in range(0, len(per_m3), BINS_TOGETHER):
        size = first + BINS_TOGETHER // 2
        drops_per_m3 = per_m3[first : first + BINS_TOGETHER].sum()
        wide_m, high_m = horizontal_mm[size] * 1e-3, vertical_mm[size] * 1e-3
        ahead, aside = fall_m_s[size] - rise_m_s, aside_m_s
        if lying:
            ahead, aside = aside, ahead
        slope = aside / ahead if abs(ahead) > 1e-3 else 0.0
        fan = turbulence_m_s / max(abs(ahead), 0.1)
        for cell in range(len(edge_m) - 1):
            low_m = max(edge_m[cell], resolved_m[size])
            if low_m >= edge_m[cell + 1]:
                continue
            z_m = np.sqrt(low_m * edge_m[cell + 1])
            scale = focal_px / z_m
            area_px2 = np.pi / 4 * scale * scale * wide_m * high_m
            blur_px = focal_px * aperture_m * abs(1 / z_m - 1 / focus_m)
            across_px2, along_px2 = (scale * wide_m) ** 2 + blur_px**2, (scale * high_m) ** 2 + blur_px**2
            if lying:
                across_px2, along_px2 = along_px2, across_px2
            path_px = scale * exposure_s * abs(ahead)
            drift_px = abs(slope) * min(1.0, path_px)
            across = _sum_of_squares(np.sqrt(BOX_OVER_DISC**2 * across_px2 + drift_px**2))
            along = _sum_of_squares(np.sqrt(BOX_OVER_DISC**2 * along_px2 + path_px**2))
            drops_a_pixel = drops_per_m3 * (edge_m[cell + 1] ** 3 - low_m**3) / (3 * focal_px**2)
            second = drops_a_pixel * area_px2**2
            moments[cell, VARIANCE] += second * across * along
            moments[cell, SECOND] += second
            moments[cell, THIRD] += second * area_px2
            moments[cell, ACROSS] += second * across
            moments[cell, ALONG] += second * along
            moments[cell, SLOPE] += second * across * along * slope
            moments[cell, SLOPE_SQUARED] += second * across * along * (slope**2 + fan**2)
    return moments


@njit(cache=True, nogil=True, error_model="numpy")
def _sum_of_squares(box_px: float) -> float:
    """Mean sum of the squared parts of a box of `box_px` on pixels."""
    return 1 - box_px / 3 if box_px <= 1 else (1 - 1 / (3 * box_px)) / box_px


@njit(cache=True, nogil=True)
def _slab_edges(moments: np.ndarray) -> np.ndarray:
    """Cells at which slabs begin, and the end: slabs of equal ratio of streak lengths where the variance is."""
    variance = moments[:, VARIANCE]
    before = np.cumsum(variance) / variance.sum()
    length_px = moments[:, ACROSS] / np.maximum(variance, 1e-30)
    near, far = np.searchsorted(before, 0.05), min(np.searchsorted(before, 0.95), len(variance) - 1)
    ratio = max(length_px[near] / max(length_px[far], 1.0), 1.0)
    slabs = min(max(int(np.ceil(np.log(ratio) / np.log(SLAB_LENGTH_RATIO))), 1), MOST_SLABS)
    first, count = np.zeros(MOST_SLABS + 1, dtype=np.int64), 1
    for slab in range(1, slabs):
        shorter = (length_px < length_px[near] * ratio ** (-slab / slabs)) & (variance > 0)
        cell = np.argmax(shorter)
        if shorter[cell] and cell > first[count - 1] and before[cell - 1] > 0 and before[cell] < 1:
            first[count] = cell
            count += 1
    first[count] = len(variance)
    return first[: count + 1]


@njit(cache=True, nogil=True)
def _fill_parts(numbers, poisson, moments, edge_m, first):  # type: ignore[no-untyped-def]
    """Write equal drops and taps with the moments of each slab, in one direction or split among three; their count."""
    part = 0
    for slab in range(len(first) - 1):
        total = moments[first[slab] : first[slab + 1]].sum(axis=0)
        variance, length_px = total[VARIANCE], total[ACROSS] / total[VARIANCE]
        slope = total[SLOPE] / variance
        spread = np.sqrt(max(total[SLOPE_SQUARED] / variance - slope**2, 0))
        slopes = slope + spread * (FAN if spread * length_px > LEAST_FAN_PX else FAN[1:2])
        along_ones, along_end = taps_of_length(length_px, int(max(length_px, 1.0)))
        _, across_end = taps_of_length(min(total[ALONG] / variance, 3.0), 1)
        per_pixel = total[SECOND] ** 3 / total[THIRD] ** 2 / len(slopes)
        mean_number, variance_of_number = _fill_poisson(poisson[part], min(per_pixel, LARGEST_POISSON_MEAN))
        squares = (along_ones + 2 * along_end**2) * (1 + 2 * across_end**2)
        variance /= len(slopes)
        amplitude = np.sqrt(variance / (variance_of_number * squares))
        for direction in range(len(slopes)):
            numbers[:, part] = np.array([
                edge_m[first[slab]], edge_m[first[slab + 1]], variance, amplitude, slopes[direction],
                float(along_ones), along_end, across_end, mean_number,
            ])  # fmt: skip
            poisson[part] = poisson[part - direction]
            part += 1
    return part


@njit(cache=True, nogil=True)
def taps_of_length(length_px: float, ones: int) -> tuple[int, float]:
    """(m, e) of taps (e, 1, ..., 1, e) with m ones whose (sum)^2 / sum of squares is `length_px`, at least 1."""
    length_px = max(length_px, 1.0)
    # (m + 2e)^2 = L (m + 2e^2)  ->  (4 - 2L) e^2 + 4 m e + m^2 - L m = 0
    square, linear, constant = 4 - 2 * length_px, 4 * ones, ones**2 - length_px * ones
    if abs(square) < 1e-9:
        return ones, -constant / linear
    return ones, (-linear + np.sqrt(max(linear**2 - 4 * square * constant, 0))) / (2 * square)


@njit(cache=True, nogil=True)
def _fill_poisson(numbers: np.ndarray, mean: float) -> tuple[float, float]:
    """Fill a table with equally likely Poisson numbers, the i-th where the CDF is (i + 1/2) / n; mean and variance."""
    number, probability, filled = 0, np.exp(-mean), 0
    cumulated, total, squares = probability, 0, 0
    while filled < len(numbers):
        upto = int(np.floor(cumulated * len(numbers) - 0.5)) + 1 if number < LARGEST_NUMBER else len(numbers)
        upto = min(upto, len(numbers))
        numbers[filled:upto] = number
        total += number * (upto - filled)
        squares += number**2 * (upto - filled)
        filled = upto
        number += 1
        probability *= mean / number
        cumulated += probability
    if squares == 0:  # too rare for the table: one part of it
        numbers[-1] = total = squares = 1
    mean_number = total / len(numbers)
    return mean_number, squares / len(numbers) - mean_number**2
