"""Where each drop of a sample is and how it moves, and what drops cover together: the compiled loops of scene.drops."""

from __future__ import annotations

import numpy as np
from numba import njit

from rainsynth.counters import two_normals, two_uniforms

NUMBERS_A_DROP = 4  # counters that one drop uses up


@njit(cache=True, nogil=True)
def volumes_m3(near_m, end_m, margins_m, slopes):  # type: ignore[no-untyped-def]
    """Volume in which drops of each bin may be seen, in three parts (3, bins): of the powers 0, 1 and 2 of distance.

    The cross-section of the view pyramid, widened by margins, is c_0 + c_1 z + c_2 z^2.
    """
    volumes = np.empty((3, len(end_m)))
    wide, high = slopes[1] - slopes[0], slopes[3] - slopes[2]
    for size in range(len(end_m)):
        aside_m, upright_m, far_m = margins_m[0, size], margins_m[1, size], end_m[size]
        volumes[0, size] = 4 * aside_m * upright_m * (far_m - near_m)
        volumes[1, size] = (wide * upright_m + high * aside_m) * (far_m**2 - near_m**2)
        volumes[2, size] = wide * high * (far_m**3 - near_m**3) / 3
    return volumes


@njit(cache=True, nogil=True)
def resolved_optical_depth(depth_m, per_m, near_m, end_m):  # type: ignore[no-untyped-def]
    """Mean optical depth of resolved drops from `near_m` to each depth; `per_m` is that of a metre of each bin's.

    `end_m`, out to which a bin is resolved, ascends with the diameter.
    """
    bins = len(per_m)
    whole, cut_per_m = np.zeros(bins + 1), np.zeros(bins + 1)  # of drops resolved up to their end, and beyond the depth
    for size in range(bins):
        whole[size + 1] = whole[size] + per_m[size] * (end_m[size] - near_m)
        cut_per_m[bins - 1 - size] = cut_per_m[bins - size] + per_m[bins - 1 - size]
    depth = np.empty(len(depth_m))
    for i, first_cut in enumerate(np.searchsorted(end_m, depth_m)):
        depth[i] = whole[first_cut] + cut_per_m[first_cut] * max(depth_m[i] - near_m, 0.0)
    return depth


@njit(cache=True, nogil=True)
def place_drops(  # type: ignore[no-untyped-def]
    columns,
    key,
    counts,
    parts_m3,
    near_m,
    end_m,
    margins_m,
    slopes,
    diameter_mm,
    edge_fall_speed_m_s,
    turbulence_m_s,
    wind_right_m_s,
    wind_away_m_s,
):
    """Size, place and velocity of every drop, bin by bin, into the rows of `columns` in the order of Drops."""
    log_ratio = np.log(diameter_mm[1] / diameter_mm[0])
    drop = 0
    for size in range(len(counts)):
        one, two = parts_m3[0, size], parts_m3[0, size] + parts_m3[1, size]
        volume_m3 = two + parts_m3[2, size]
        for _ in range(counts[size]):
            counter = drop * NUMBERS_A_DROP
            power, place = two_uniforms(key, counter)
            right, down = two_uniforms(key, counter + 1)
            within, _ = two_uniforms(key, counter + 2)
            sway_right, sway_away = two_normals(key, counter + 3)
            z_m = _distance_m(power * volume_m3, one, two, near_m, end_m[size], place)
            left_m, right_m = slopes[0] * z_m - margins_m[0, size], slopes[1] * z_m + margins_m[0, size]
            top_m, bottom_m = slopes[2] * z_m - margins_m[1, size], slopes[3] * z_m + margins_m[1, size]
            columns[0, drop] = diameter_mm[size] * np.exp((within - 0.5) * log_ratio)
            columns[1, drop] = left_m + (right_m - left_m) * right
            columns[2, drop] = top_m + (bottom_m - top_m) * down
            columns[3, drop] = z_m
            columns[4, drop] = wind_right_m_s + turbulence_m_s * sway_right
            columns[5, drop] = (1 - within) * edge_fall_speed_m_s[size] + within * edge_fall_speed_m_s[size + 1]
            columns[6, drop] = wind_away_m_s + turbulence_m_s * sway_away
            drop += 1


@njit(cache=True, nogil=True)
def _distance_m(pick_m3: float, one: float, two: float, near_m: float, end_m: float, place: float) -> float:
    """Distance drawn with density c_0 + c_1 z + c_2 z^2: pick a power by its volume, then invert that power's CDF."""
    if pick_m3 < one:
        return near_m + (end_m - near_m) * place
    if pick_m3 < two:
        return np.sqrt(near_m**2 + (end_m**2 - near_m**2) * place)
    return np.cbrt(near_m**3 + (end_m**3 - near_m**3) * place)
