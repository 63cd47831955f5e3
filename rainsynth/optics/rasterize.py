"""Coverage of every pixel by the streaks: which fraction of the exposure, and of the pixel, a drop hides it.

A streak's coverages add up to its `area_px2` to rounding, clipped at the frame and by what stands before it (the
projected-area invariant). Overlapping streaks multiply: what is left of a pixel is the product of (1 - a_i).
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt16
from numba import njit

from rainsynth.layer_steps import UNIT_STEPS
from rainsynth.optics.depth_table import SceneDepth, scene_depth
from rainsynth.optics.streak import Streaks

TABLE_STEPS = 2048
ROWS_AT_ONCE = 128  # of float32, which stay in the cache while streaks are drawn
STRETCH = 3.0  # drops wider than a pixel that move less than this many times their size are sampled point by point
SAMPLES_PER_PIXEL = 4  # points across a pixel for such a drop,
SAMPLES_PER_AXIS = 8  # or as many as put this many across its smaller axis
SHORTEST_REACH = 0.05  # of a thin drop that stands still, in half its height: keeps the quotient of its path finite
STRAIGHT_SLOPE = 0.02  # a row's drift, in half widths, under which the mean over the row is its value at mid-row


def _profile_tables() -> tuple[np.ndarray, np.ndarray]:
    """Integral of a disc's marginal density 2/pi sqrt(1 - u^2), and the integral of that, over u in [-1, 1]."""
    u = np.linspace(-1, 1, TABLE_STEPS + 1)
    root = np.sqrt(np.maximum(1 - u * u, 0))
    once = 0.5 + (u * root + np.arcsin(u)) / np.pi
    twice = u / 2 + (-(root**3) / 3 + u * np.arcsin(u) + root) / np.pi
    return once, twice - twice[0]


DISC_CDF, DISC_CDF_INTEGRAL = _profile_tables()


def unhidden_fraction(streaks: Streaks, depth_m: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Part of the exposure for which each pixel is free of drops, prod(1 - a_i), float32.

    A streak covers only pixels whose depth is beyond it. Alpha is one minus this.
    """
    free = np.ones(depth_m.shape, dtype=np.float32)
    cover(free, streaks, scene_depth(depth_m), (0, depth_m.shape[0]), additive=False)
    return free


def coverage_sum(streaks: Streaks, depth_m: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Sum of the single coverages a_i over the streaks in each pixel, float32 (overlaps add)."""
    total = np.zeros(depth_m.shape, dtype=np.float32)
    cover(total, streaks, scene_depth(depth_m), (0, depth_m.shape[0]), additive=True)
    return total


def draw_alpha16(
    alpha16: UInt16[np.ndarray, "h w"],
    streaks: Streaks,
    depth: SceneDepth,
    rows: tuple[int, int],
) -> None:
    """Fill rows [first, last) of `alpha16` with what streaks cover, 1 - prod(1 - a_i), in steps of 1/65535."""
    for first in range(*rows, ROWS_AT_ONCE):
        last = min(first + ROWS_AT_ONCE, rows[1])
        free = np.ones((last - first, alpha16.shape[1]), dtype=np.float32)
        cover(free, streaks, depth, (first, last), additive=False)
        _alpha_steps(alpha16[first:last], free)


@njit(cache=True, nogil=True, error_model="numpy")
def _alpha_steps(alpha16: np.ndarray, free: np.ndarray) -> None:
    one, steps, half = np.float32(1), np.float32(UNIT_STEPS), np.float32(0.5)
    for y in range(free.shape[0]):
        for x in range(free.shape[1]):
            alpha16[y, x] = np.uint16(max(one - free[y, x], np.float32(0)) * steps + half)


def cover(
    out: Float[np.ndarray, "h w"],
    streaks: Streaks,
    depth: SceneDepth,
    rows: tuple[int, int],
    *,
    additive: bool,
) -> None:
    """Cover rows [first, last) of a picture, all that `out` holds, by streaks: multiply by (1 - a_i), or add a_i.

    `depth` is that of the whole picture.
    """
    if len(streaks.area_px2) == 0:
        return
    _rasterize(
        out,
        *rows,
        depth.narrow_m,
        depth.nearest_m,
        streaks.start_x_px,
        streaks.start_y_px,
        streaks.end_x_px,
        streaks.end_y_px,
        streaks.width_px,
        streaks.height_px,
        streaks.area_px2,
        streaks.z_m,
        additive,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _look_up(table: np.ndarray, u: float) -> float:
    """Linear interpolation of a table over [-1, 1]; `u` must lie within."""
    position = (u + 1) * (0.5 * TABLE_STEPS)
    index = min(int(position), TABLE_STEPS - 1)
    return table[index] + (position - index) * (table[index + 1] - table[index])


@njit(cache=True, nogil=True, error_model="numpy")
def _cdf(u: float) -> float:
    """Part of a disc of radius 1 left of u."""
    if u <= -1:
        return 0.0
    if u >= 1:
        return 1.0
    return _look_up(DISC_CDF, u)


@njit(cache=True, nogil=True, error_model="numpy")
def _cdf_integral(u: float) -> float:
    """Integral of `_cdf` up to u."""
    if u <= -1:
        return 0.0
    if u >= 1:
        return u
    return _look_up(DISC_CDF_INTEGRAL, u)


@njit(cache=True, nogil=True, error_model="numpy")
def _mean_cdf(edge: float, centre: float, drift: float, per_half: float) -> float:
    """Part of a disc left of `edge`, averaged while its centre moves from `centre` by `drift` half widths."""
    u = (edge - centre) * per_half
    if abs(drift) < STRAIGHT_SLOPE:
        return _cdf(u - 0.5 * drift)
    return (_cdf_integral(u) - _cdf_integral(u - drift)) / drift


@njit(cache=True, nogil=True, error_model="numpy")
def _cover(out: np.ndarray, y: int, x: int, coverage: float, additive: bool) -> None:
    if additive:
        out[y, x] += np.float32(coverage)
    else:
        out[y, x] *= np.float32(1) - np.float32(min(coverage, 1.0))


@njit(cache=True, nogil=True, error_model="numpy")
def _rasterize(  # type: ignore[no-untyped-def]
    out, top, bottom, depth_m, nearest_m, start_x, start_y, end_x, end_y, width, height, area, z_m, additive
):
    frame = (top, bottom, 0, out.shape[1])
    for i in range(len(area)):
        size = max(width[i], height[i])
        margin = size + 1  # a streak's last pixel drifts with it to its end
        if max(start_y[i], end_y[i]) + margin < top or min(start_y[i], end_y[i]) - margin > bottom:
            continue
        dx, dy = end_x[i] - start_x[i], end_y[i] - start_y[i]
        mid_x, mid_y = 0.5 * (start_x[i] + end_x[i]), 0.5 * (start_y[i] + end_y[i])
        z = z_m[i] if z_m[i] >= nearest_m else -1.0  # nothing in the picture can hide it
        if size > 1 and np.sqrt(dx * dx + dy * dy) < STRETCH * size:
            _short_streak(out, frame, depth_m, mid_x, mid_y, dx, dy, width[i], height[i], area[i], z, additive)
        elif abs(dy) >= abs(dx):
            _long_streak(out, frame, depth_m, mid_x, mid_y, dx, dy, width[i], height[i], area[i], z, additive, False)
        else:
            _long_streak(out, frame, depth_m, mid_y, mid_x, dy, dx, height[i], width[i], area[i], z, additive, True)


@njit(cache=True, nogil=True, error_model="numpy")
def _seen(depth_m: np.ndarray, y: int, x: int, z: float) -> bool:
    """Whether a drop at distance z stands before what the pixel shows; z < 0 says that all do."""
    return z < 0 or depth_m[y, x if depth_m.shape[1] > 1 else 0] > z


@njit(cache=True, nogil=True, error_model="numpy")
def _long_streak(  # type: ignore[no-untyped-def]
    out, frame, depth_m, mid_n, mid_m, dn, dm, size_n, size_m, area, z, additive, turned
):
    """Streak longer than the drop, or thin: marginal along its main axis m times cross-section n, centred on its path.

    The cross-section of the swept ellipse has the half width `half_n` along n; its marginal along m is the path's
    uniform density convolved with the ellipse's own. Weights along each axis add up to one, so the whole to `area`.
    """
    slope = dn / dm if abs(dm) > 1 else dn * np.sign(dm)  # a pixel's row drifts no farther than the drop moves
    half_m = 0.5 * size_m
    reach = max(0.5 * abs(dm), SHORTEST_REACH * half_m)
    half_n = 0.5 * np.sqrt(size_n * size_n + slope * slope * size_m * size_m)
    top, bottom, left, right = frame
    start_m, end_m, start_n, end_n = (left, right, top, bottom) if turned else (top, bottom, left, right)
    first_m = max(int(np.floor(mid_m - reach - half_m)), start_m)
    last_m = min(int(np.floor(mid_m + reach + half_m)), end_m - 1)
    per_half_m, per_half_n, spread = 1 / half_m, 1 / half_n, 2 * reach / half_m
    drift, per_spread = slope * per_half_n, 1 / spread
    before = 0.0
    for m in range(first_m, last_m + 2):
        low = (m - mid_m + reach) * per_half_m
        upto = (
            low * per_spread
            if 1 <= low <= spread - 1
            else (_cdf_integral(low) - _cdf_integral(low - spread)) * per_spread
        )
        if m > first_m:
            weight = area * (upto - before)
            centre = mid_n + slope * (m - 1 - mid_m)
            lower, upper = min(centre, centre + slope) - half_n, max(centre, centre + slope) + half_n
            first_n, last_n = max(int(np.floor(lower)), start_n), min(int(np.floor(upper)), end_n - 1)
            part_before = _mean_cdf(first_n, centre, drift, per_half_n) if first_n > lower else 0.0
            for n in range(first_n, last_n + 1):
                part = _mean_cdf(n + 1.0, centre, drift, per_half_n) if n + 1.0 < upper else 1.0
                y, x = (n, m - 1) if turned else (m - 1, n)
                if _seen(depth_m, y, x, z):
                    _cover(out, y - frame[0], x, weight * (part - part_before), additive)
                part_before = part
        before = upto


@njit(cache=True, nogil=True, error_model="numpy")
def _short_streak(  # type: ignore[no-untyped-def]
    out, frame, depth_m, mid_x, mid_y, dx, dy, width, height, area, z, additive
):
    """Drop that moves a few times its own size at most: exact time of cover at points, scaled to add up to `area`."""
    half_x, half_y = 0.5 * width + 0.5 * abs(dx), 0.5 * height + 0.5 * abs(dy)
    left, right = int(np.floor(mid_x - half_x)), int(np.floor(mid_x + half_x))
    top, bottom = int(np.floor(mid_y - half_y)), int(np.floor(mid_y + half_y))
    samples = max(SAMPLES_PER_PIXEL, int(np.ceil(SAMPLES_PER_AXIS / min(width, height))))
    patch = np.zeros((bottom - top + 1, right - left + 1))
    total = 0.0
    for row in range(patch.shape[0]):
        for column in range(patch.shape[1]):
            for k in range(samples * samples):
                y = top + row + (k // samples + 0.5) / samples - mid_y
                x = left + column + (k % samples + 0.5) / samples - mid_x
                patch[row, column] += _covered_time(2 * x / width, 2 * y / height, 2 * dx / width, 2 * dy / height)
            total += patch[row, column]
    if total == 0:
        patch[(bottom - top) // 2, (right - left) // 2] = total = 1.0
    for row in range(max(0, frame[0] - top), min(patch.shape[0], frame[1] - top)):
        for column in range(max(0, frame[2] - left), min(patch.shape[1], frame[3] - left)):
            y, x = top + row, left + column
            if patch[row, column] > 0 and _seen(depth_m, y, x, z):
                _cover(out, y - frame[0], x, area * patch[row, column] / total, additive)


@njit(cache=True, nogil=True, error_model="numpy")
def _covered_time(x: float, y: float, dx: float, dy: float) -> float:
    """Part of the exposure for which a unit disc moving from -(dx, dy)/2 to (dx, dy)/2 covers the point (x, y)."""
    length2 = dx * dx + dy * dy
    if length2 < 1e-12:
        return 1.0 if x * x + y * y < 1 else 0.0
    along = (x * dx + y * dy) / length2
    across2 = (x * dy - y * dx) ** 2 / length2
    if across2 >= 1:
        return 0.0
    half_chord = np.sqrt((1 - across2) / length2)
    return max(0.0, min(along + half_chord, 0.5) - max(along - half_chord, -0.5))
