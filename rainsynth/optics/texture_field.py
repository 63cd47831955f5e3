"""Drawing the texture of undrawn rain: noise summed along streaks, row by row.

Every number is a function of (key, part, row, column), so bands of rows may be drawn apart and give the same bytes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from jaxtyping import UInt16
from numba import njit

from rainsynth.counters import random_bits, random_row
from rainsynth.layer_steps import TEXTURE_ONE
from rainsynth.optics.depth_table import CODE_SHIFT, SceneDepth, table_depths_m
from rainsynth.optics.texture import MOST_PARTS, POISSON_STEPS, Texture

PARTS_A_HASH = 2  # parts that share 32 random bits, 12 for each
BITS_A_PART = 12
HASHES_A_ROW = -(-MOST_PARTS // PARTS_A_HASH)
ROWS_ABOVE = 65536  # at most, of streaks that reach into the picture


def draw_texture(
    out16: UInt16[np.ndarray, "h w"],
    texture: Texture,
    depth: SceneDepth,
    key: int,
    rows: tuple[int, int],
) -> None:
    """Fill rows [first, last) of `out16` with f = u / E u in steps of 1/32768, before the depth of the whole picture.

    f = 1 - X + (X^2 - Var X) / 2, X the noise: exp(-X) over its mean to third order.
    """
    weights = np.sqrt(texture.share_before(table_depths_m(depth))).astype(np.float32)
    taps = texture.along_ones, texture.along_end, texture.across_end, texture.slope
    strength = texture.amplitude, texture.mean_number, texture.variance
    depth_bits = depth.narrow_m.view(np.int32)
    _draw(out16, *rows, np.uint64(key), weights, depth_bits, depth.first_code, texture.poisson, taps, strength)


def lying_texture(texture: Texture, depth: SceneDepth, key: int, shape: tuple[int, ...]) -> UInt16[np.ndarray, "h w"]:
    """The texture of streaks that run along rows: `draw_texture` in a turned picture."""
    turned16 = np.empty(shape[::-1], dtype=np.uint16)
    turned_m = np.ascontiguousarray(np.broadcast_to(depth.narrow_m, shape).T)
    draw_texture(turned16, texture, replace(depth, narrow_m=turned_m), key, (0, shape[1]))
    return np.ascontiguousarray(turned16.T)


@njit(cache=True, nogil=True)
def hash_counter(y: int, part: int) -> int:
    """Counter of the random bits that a part has in a row, shared by as many parts as a hash has bits for."""
    return (y + ROWS_ABOVE) * HASHES_A_ROW + part // PARTS_A_HASH


@njit(cache=True, nogil=True)
def _draw(out, top, bottom, key, weights, depth_bits, first_code, poisson, taps, strength):  # type: ignore[no-untyped-def]
    """See the module; `out` is turned where streaks lie, so that they always run down its columns."""
    ones, along, across = taps[0].astype(np.int64), taps[1].astype(np.float32), taps[2].astype(np.float32)
    amplitude, variance = strength[0].astype(np.float32), strength[2].astype(np.float32)
    means = (strength[1] * (ones + 2 * along) * (1 + 2 * across) * amplitude).astype(np.float32)
    parts, width = len(ones), out.shape[1]
    shifts = _shifts(taps[3], top, bottom)
    start = -shifts.max() - 1  # first column of the slanted frames in which streaks are upright
    wide = int(width + shifts.max() - shifts.min() + 2)
    ring = np.zeros((parts, ones.max() + 2, wide), dtype=np.uint8)
    summed = np.zeros((parts, wide), dtype=np.int32)
    line, bits = np.empty(wide, dtype=np.float32), np.empty(wide, dtype=np.uint32)
    noise, mean_square = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    for y in range(top - ones.max() - 1, bottom):
        noise[:], mean_square[:] = 0, 0
        for part in range(parts):
            if part % PARTS_A_HASH == 0:
                random_row(bits, np.uint32(random_bits(key, hash_counter(y, part)) >> np.uint64(32)), start)
            if y < top - ones[part] - 1:
                continue
            size = ones[part] + 2
            new, oldest, old = ring[part, y % size], ring[part, (y + 1) % size], ring[part, (y + 2) % size]
            _look_up(new, bits, np.uint32(BITS_A_PART * (part % PARTS_A_HASH)), poisson[part])
            _sum_along(line, summed[part], new, oldest, old, along[part])
            if y < top:
                continue
            first = int(-shifts[part, y - top] - start)
            here = line[first : first + width]
            left, right = line[first - 1 : first + width - 1], line[first + 1 : first + width + 1]
            if depth_bits.shape[1] == 1:
                weight = weights[part, y]
                mean_square += weight**2 * variance[part]
                _add(noise, here, left, right, weight * amplitude[part], across[part], weight * means[part])
            else:
                _add_before(
                    noise, mean_square, here, left, right, weights[part], depth_bits[y], first_code,
                    amplitude[part], across[part], means[part], variance[part],
                )  # fmt: skip
        if y >= top:
            _store(out[y], noise, mean_square)


@njit(cache=True, nogil=True)
def _shifts(slope: np.ndarray, top: int, bottom: int) -> np.ndarray:
    """Pixels by which each part's streaks are aside in each row, (parts, rows)."""
    shifts = np.empty((len(slope), bottom - top), dtype=np.int64)
    for part in range(len(slope)):
        for y in range(top, bottom):
            shifts[part, y - top] = int(np.floor(slope[part] * y + 0.5))
    return shifts


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
def _add(noise, here, left, right, weight, end, mean):  # type: ignore[no-untyped-def]
    """Sum across with taps (e, 1, e), and add to the noise of other parts."""
    for x in range(noise.shape[0]):
        noise[x] += weight * (here[x] + end * (left[x] + right[x])) - mean


@njit(cache=True, nogil=True)
def _add_before(  # type: ignore[no-untyped-def]
    noise, mean_square, here, left, right, weights, depth_bits, first_code, amplitude, end, mean, variance
):
    """The same before a background of its own depth in every pixel."""
    for x in range(noise.shape[0]):
        weight = weights[(depth_bits[x] >> CODE_SHIFT) - first_code]
        noise[x] += weight * (amplitude * (here[x] + end * (left[x] + right[x])) - mean)
        mean_square[x] += weight * weight * variance


@njit(cache=True, nogil=True)
def _store(out, noise, mean_square):  # type: ignore[no-untyped-def]
    one, half, most = np.float32(1), np.float32(0.5), np.float32(2 - 1 / TEXTURE_ONE)
    for x in range(out.shape[0]):
        factor = one - noise[x] + half * (noise[x] * noise[x] - mean_square[x])
        out[x] = np.uint16(min(max(factor, np.float32(0)), most) * np.float32(TEXTURE_ONE) + half)
