"""Drawing the texture of undrawn rain: noise summed along streaks, row by row.

Every number is a function of (key, slab, row, column), so bands of rows may be drawn apart and give the same bytes.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt16
from numba import njit

from rainsynth.counters import random_bits, random_row
from rainsynth.optics.depth_table import CODE_SHIFT, table_depths_m
from rainsynth.optics.texture import POISSON_STEPS, Texture

TEXTURE_ONE = 32768  # uint16 steps of 1/32768: 0 to 2
SLABS_A_HASH = 2  # slabs that share 32 random bits, 12 for each


def draw_texture(
    out16: UInt16[np.ndarray, "h w"],
    texture: Texture,
    narrow_m: Float[np.ndarray, "h narrow"],
    key: int,
    rows: tuple[int, int],
) -> None:
    """Fill rows [first, last) of `out16` with f = u / E u in steps of 1/32768, before depth (see optics.depth_table).

    f = 1 - X + (X^2 - Var X) / 2, X the noise: exp(-X) over its mean to third order.
    """
    depth_bits = narrow_m.view(np.int32)
    weights = np.sqrt(texture.share_before(table_depths_m(narrow_m))).astype(np.float32)
    _draw(
        out16,
        rows[0],
        rows[1],
        np.uint64(key),
        weights,
        depth_bits,
        int(depth_bits.min() >> CODE_SHIFT),
        texture.poisson,
        texture.along_ones,
        texture.along_end.astype(np.float32),
        texture.across_end.astype(np.float32),
        texture.amplitude.astype(np.float32),
        texture.variance.astype(np.float32),
        texture.slope,
    )


def lying_texture(
    texture: Texture, narrow_m: Float[np.ndarray, "h narrow"], key: int, shape: tuple[int, ...]
) -> UInt16[np.ndarray, "h w"]:
    """The texture of streaks that run along rows: `draw_texture` in a turned picture."""
    turned16 = np.empty(shape[::-1], dtype=np.uint16)
    turned_m = np.ascontiguousarray(np.broadcast_to(narrow_m, shape).T)
    draw_texture(turned16, texture, turned_m, key, (0, shape[1]))
    return np.ascontiguousarray(turned16.T)


@njit(cache=True, nogil=True)
def _draw(  # type: ignore[no-untyped-def]
    out, top, bottom, key, weights, depth_bits, first_code, poisson, ones, along, across, amplitude, variance, slope
):
    """See the module; `out` is turned where streaks lie, so that they always run down its columns."""
    slabs, width = len(ones), out.shape[1]
    shifts = np.empty((slabs, bottom - top), dtype=np.int64)
    for slab in range(slabs):
        for y in range(top, bottom):
            shifts[slab, y - top] = int(np.floor(slope[slab] * y + 0.5))
    start = -shifts.max() - 1  # first column of the slanted frames in which streaks are upright
    wide = int(width + shifts.max() - shifts.min() + 2)
    ring = np.zeros((slabs, ones.max() + 2, wide), dtype=np.uint8)
    summed = np.zeros((slabs, wide), dtype=np.int32)
    line = np.empty(wide, dtype=np.float32)
    bits = np.empty(wide, dtype=np.uint32)
    noise = np.empty(width, dtype=np.float32)
    spread = np.empty(width, dtype=np.float32)
    means = np.empty(slabs, dtype=np.float32)
    for slab in range(slabs):
        means[slab] = poisson[slab].mean() * (ones[slab] + 2 * along[slab]) * (1 + 2 * across[slab]) * amplitude[slab]
    for y in range(top - ones.max() - 1, bottom):
        mean_square = np.float32(0)
        for slab in range(slabs):
            if slab % SLABS_A_HASH == 0:
                random_row(bits, np.uint32(random_bits(key, (y + 65536) * 8 + slab) >> np.uint64(32)), start)
            if y < top - ones[slab] - 1:
                continue
            size = ones[slab] + 2
            new, oldest, old = ring[slab, y % size], ring[slab, (y + 1) % size], ring[slab, (y + 2) % size]
            _look_up(new, bits, np.uint32(12 * (slab % SLABS_A_HASH)), poisson[slab])
            _sum_along(line, summed[slab], new, oldest, old, along[slab])
            if y < top:
                continue
            first = int(-shifts[slab, y - top] - start)
            here, aside = (
                line[first : first + width],
                (line[first - 1 : first + width - 1], line[first + 1 : first + width + 1]),
            )
            if depth_bits.shape[1] == 1:
                weight = weights[slab, y]
                mean_square += weight**2 * variance[slab]
                _add(noise, here, *aside, weight * amplitude[slab], across[slab], weight * means[slab], slab == 0)
            else:
                _add_before(
                    noise, spread, here, *aside, weights[slab], depth_bits[y], first_code,
                    amplitude[slab], across[slab], means[slab], variance[slab], slab == 0,
                )  # fmt: skip
        if y >= top and depth_bits.shape[1] == 1:
            _store(out[y], noise, mean_square)
        elif y >= top:
            _store_before(out[y], noise, spread)


@njit(cache=True, nogil=True)
def _look_up(numbers, bits, shift, table):  # type: ignore[no-untyped-def]
    last = np.uint32(POISSON_STEPS - 1)
    for x in range(numbers.shape[0]):
        numbers[x] = table[(bits[x] >> shift) & last]


@njit(cache=True, nogil=True)
def _sum_along(line, summed, new, oldest, old, end):  # type: ignore[no-untyped-def]
    """Numbers summed with taps (e, 1, ..., 1, e) ending in row `new`; `summed` moves on to the next row's ones."""
    for x in range(line.shape[0]):
        line[x] = np.float32(summed[x]) + end * (np.float32(new[x]) + np.float32(oldest[x]))
        summed[x] += np.int32(new[x]) - np.int32(old[x])


@njit(cache=True, nogil=True)
def _add(noise, here, left, right, weight, end, mean, afresh):  # type: ignore[no-untyped-def]
    """Sum across with taps (e, 1, e), and add to the noise of other slabs."""
    if afresh:
        noise[:] = 0
    for x in range(noise.shape[0]):
        noise[x] += weight * (here[x] + end * (left[x] + right[x])) - mean


@njit(cache=True, nogil=True)
def _add_before(  # type: ignore[no-untyped-def]
    noise, spread, here, left, right, weights, depth_bits, first_code, amplitude, end, mean, variance, afresh
):
    """The same before a background of its own depth in every pixel."""
    if afresh:
        noise[:] = 0
        spread[:] = 0
    for x in range(noise.shape[0]):
        weight = weights[(depth_bits[x] >> CODE_SHIFT) - first_code]
        noise[x] += weight * (amplitude * (here[x] + end * (left[x] + right[x])) - mean)
        spread[x] += weight * weight * variance


@njit(cache=True, nogil=True)
def _store(out, noise, mean_square):  # type: ignore[no-untyped-def]
    one, half, most = np.float32(1), np.float32(0.5), np.float32(2 - 1 / TEXTURE_ONE)
    for x in range(out.shape[0]):
        factor = one - noise[x] + half * (noise[x] * noise[x] - mean_square)
        out[x] = np.uint16(min(max(factor, np.float32(0)), most) * np.float32(TEXTURE_ONE) + half)


@njit(cache=True, nogil=True)
def _store_before(out, noise, spread):  # type: ignore[no-untyped-def]
    one, half, most = np.float32(1), np.float32(0.5), np.float32(2 - 1 / TEXTURE_ONE)
    for x in range(out.shape[0]):
        factor = one - noise[x] + half * (noise[x] * noise[x] - spread[x])
        out[x] = np.uint16(min(max(factor, np.float32(0)), most) * np.float32(TEXTURE_ONE) + half)
