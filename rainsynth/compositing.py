"""Light blended over the photograph: veil first, streaks before it, then the sensor.

    veiled = J t + A (1 - t)                 Koschmieder's law, t the transmission of all rain that is not drawn
    rainy  = (1 - alpha) veiled + alpha E    alpha the part of the exposure a drop covers, E the drop light

in linear light, encoded to 8 bit at the end. Streaks are taken to lie before the whole veil (choice: drawn drops are
near, and the veil before them is thin). Layers come in their storage types, so that composing them again gives the same
bytes.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8, UInt16
from numba import njit

from rainsynth.color import CODE_OF_LINEAR, ENCODE_STEPS, LINEAR_OF_CODE
from rainsynth.sensor import SensorNoise, standard_normal

UNIT_STEPS = 65535  # alpha and transmission are stored as uint16 steps of 1/65535


def to_unit16(fraction: Float[np.ndarray, "*shape"]) -> UInt16[np.ndarray, "*shape"]:
    """Fraction in [0, 1] -> its storage type, uint16 steps of 1/65535."""
    return (np.clip(fraction, 0, 1) * np.float32(UNIT_STEPS) + np.float32(0.5)).astype(np.uint16)


def from_unit16(steps: UInt16[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Stored fraction -> float32."""
    return steps * np.float32(1 / UNIT_STEPS)


def compose(
    clean_srgb8: UInt8[np.ndarray, "h w 3"],
    transmission16: UInt16[np.ndarray, "h w"],
    airlight_linear: Float[np.ndarray, "3"],
    streak_alpha16: UInt16[np.ndarray, "h w"],
    light_grid_linear: Float[np.ndarray, "gh gw 3"],
    noise: SensorNoise,
) -> UInt8[np.ndarray, "h w 3"]:
    """The rainy picture from its layers."""
    out = np.empty_like(clean_srgb8)
    _compose(
        out,
        clean_srgb8,
        transmission16,
        np.asarray(airlight_linear, dtype=np.float32),
        streak_alpha16,
        light_grid_linear,
        np.uint64(noise.key),
        noise.full_well_e,
        noise.read_noise_e,
    )
    return out


def compose_veiled(
    clean_srgb8: UInt8[np.ndarray, "h w 3"],
    transmission16: UInt16[np.ndarray, "h w"],
    airlight_linear: Float[np.ndarray, "3"],
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with its veil but without streaks and noise."""
    no_streaks = np.zeros(transmission16.shape, dtype=np.uint16)
    no_light = np.zeros((1, 1, 3), dtype=np.float32)
    return compose(clean_srgb8, transmission16, airlight_linear, no_streaks, no_light, SensorNoise())


def spread_grid(grid: Float[np.ndarray, "gh gw c"], height_px: int, width_px: int) -> Float[np.ndarray, "h w c"]:
    """A grid that spans the picture, interpolated to every pixel as `compose` does it, float32."""
    out = np.empty((height_px, width_px, grid.shape[2]), dtype=np.float32)
    _spread(out, grid)
    return out


@njit(cache=True, nogil=True)
def _cell(position: int, size_px: int, cells: int) -> tuple[int, int, float]:
    """The two cells whose centres enclose the middle of a pixel, and the weight of the second."""
    place = min(max((position + 0.5) * cells / size_px - 0.5, 0.0), cells - 1.0)
    first = int(place)
    return first, min(first + 1, cells - 1), np.float32(place - first)  # type: ignore[return-value]


@njit(cache=True, nogil=True)
def _spread(out: np.ndarray, grid: np.ndarray) -> None:
    one = np.float32(1)
    for y in range(out.shape[0]):
        top, bottom, down = _cell(y, out.shape[0], grid.shape[0])
        for x in range(out.shape[1]):
            left, right, across = _cell(x, out.shape[1], grid.shape[1])
            for c in range(out.shape[2]):
                upper = (one - across) * grid[top, left, c] + across * grid[top, right, c]
                lower = (one - across) * grid[bottom, left, c] + across * grid[bottom, right, c]
                out[y, x, c] = (one - down) * upper + down * lower


@njit(cache=True, nogil=True)
def _compose(out, clean, transmission16, airlight, alpha16, grid, key, full_well_e, read_noise_e):  # type: ignore[no-untyped-def]
    one, unit = np.float32(1), np.float32(1 / UNIT_STEPS)
    height, width = out.shape[:2]
    for y in range(height):
        top, bottom, down = _cell(y, height, grid.shape[0])
        for x in range(width):
            t = transmission16[y, x] * unit
            alpha = alpha16[y, x] * unit
            left, right, across = (0, 0, np.float32(0)) if alpha == 0 else _cell(x, width, grid.shape[1])
            for c in range(3):
                light = t * LINEAR_OF_CODE[clean[y, x, c]] + (one - t) * airlight[c]
                if alpha > 0:
                    upper = (one - across) * grid[top, left, c] + across * grid[top, right, c]
                    lower = (one - across) * grid[bottom, left, c] + across * grid[bottom, right, c]
                    light = (one - alpha) * light + alpha * ((one - down) * upper + down * lower)
                if full_well_e > 0:
                    variance = (light + read_noise_e * read_noise_e / full_well_e) / full_well_e
                    light += np.float32(np.sqrt(variance) * standard_normal(key, (y * width + x) * 3 + c))
                light = min(max(light, np.float32(0)), one)
                out[y, x, c] = CODE_OF_LINEAR[int(light * np.float32(ENCODE_STEPS) + np.float32(0.5))]
