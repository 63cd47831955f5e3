"""Light blended over the photograph: veil first, drops before it, then the sensor.

    veiled = J t + A (1 - t)                  Koschmieder's law, t the mean transmission of all rain that is not drawn
    rainy  = E + (1 - alpha) f (veiled - E)   alpha the part of the exposure a drawn drop covers, E the drop light,
                                              f the texture of rain too small to draw, 1 in the mean

in linear light, encoded to 8 bit at the end. Drops are taken to lie before the whole veil (choice: drawn drops are
near, and the veil before them is thin). Layers come in their storage types, so that composing them again gives the same
bytes.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8, UInt16
from numba import njit

from rainsynth.bands import over_bands
from rainsynth.color import CODE_OF_ROOT, LINEAR_OF_CODE, ROOT_STEPS
from rainsynth.layer_steps import TEXTURE_ONE, UNIT_STEPS, no_texture
from rainsynth.sensor import SensorNoise, draw_noise_row


def compose(
    clean_srgb8: UInt8[np.ndarray, "h w 3"],
    transmission16: UInt16[np.ndarray, "h w"],
    airlight_linear: Float[np.ndarray, "3"],
    streak_alpha16: UInt16[np.ndarray, "h w"],
    light_grid_linear: Float[np.ndarray, "gh gw 3"],
    noise: SensorNoise,
    *,
    texture16: UInt16[np.ndarray, "h w"] | None = None,
    threads: int = 1,
) -> UInt8[np.ndarray, "h w 3"]:
    """The rainy picture from its layers, in linear light; the same bytes on any number of threads."""
    height_px, width_px = clean_srgb8.shape[:2]
    out = np.empty((height_px, width_px, 3), dtype=np.uint8)
    layers = (
        np.ascontiguousarray(clean_srgb8),
        _narrow(transmission16),
        np.asarray(airlight_linear, dtype=np.float32),
        _narrow(streak_alpha16),
        _narrow(no_texture(height_px, width_px) if texture16 is None else texture16),
        np.ascontiguousarray(light_grid_linear, dtype=np.float32),
        np.uint64(noise.key),
        float(noise.full_well_e),
        float(noise.read_noise_e),
    )
    over_bands(lambda top, bottom: _compose(out, top, bottom, *layers), height_px, threads)
    return out


def compose_veiled(
    clean_srgb8: UInt8[np.ndarray, "h w 3"],
    transmission16: UInt16[np.ndarray, "h w"],
    airlight_linear: Float[np.ndarray, "3"],
) -> UInt8[np.ndarray, "h w 3"]:
    """The picture with its veil but without streaks, texture and noise."""
    no_streaks = np.broadcast_to(np.uint16(0), transmission16.shape)
    no_light = np.zeros((1, 1, 3), dtype=np.float32)
    return compose(clean_srgb8, transmission16, airlight_linear, no_streaks, no_light, SensorNoise())


def spread_grid(grid: Float[np.ndarray, "gh gw c"], height_px: int, width_px: int) -> Float[np.ndarray, "h w c"]:
    """A grid that spans the picture, interpolated linearly to every pixel, float32."""
    out = np.empty((height_px, width_px, grid.shape[2]), dtype=np.float32)
    _spread(out, np.ascontiguousarray(grid, dtype=np.float32))
    return out


def _narrow(layer: UInt16[np.ndarray, "h w"]) -> UInt16[np.ndarray, "h narrow"]:
    """A layer in memory order; (H, 1) where it repeats one column."""
    return layer[:, :1].copy() if layer.strides[1] == 0 else np.ascontiguousarray(layer)


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
def _compose(  # type: ignore[no-untyped-def]
    out, first, last, clean, transmission16, airlight, alpha16, texture16, grid, key, full_well_e, read_noise_e
):
    """Rows [first, last). A row passes through short loops, a channel at a time, which compilers turn into vectors."""
    height, width = out.shape[:2]
    veil, kept = np.empty(width, dtype=np.float32), np.empty(width, dtype=np.float32)
    light, drops = np.empty((3, width), dtype=np.float32), np.empty((3, width), dtype=np.float32)
    normal = np.empty((3, width if full_well_e > 0 else 0), dtype=np.float32)
    codes = np.empty((3, width), dtype=np.uint16)
    cells = np.empty((grid.shape[1], 3), dtype=np.float32)
    for y in range(first, last):
        _unit_row(veil, transmission16[y])
        _kept_row(kept, alpha16[y], texture16[y])
        top, bottom, down = _cell(y, height, grid.shape[0])
        for j in range(grid.shape[1]):
            for c in range(3):
                cells[j, c] = (np.float32(1) - down) * grid[top, j, c] + down * grid[bottom, j, c]
        for c in range(3):
            _light_row(drops[c], cells[:, c])
        for x in range(width):
            for c in range(3):
                light[c, x] = LINEAR_OF_CODE[clean[y, x, c]]
        if full_well_e > 0:
            draw_noise_row(normal, key, y * width)
        for c in range(3):
            _blend_row(light[c], veil, airlight[c], kept, drops[c])
            if full_well_e > 0:
                _noise_row(
                    light[c], normal[c], np.float32(1 / full_well_e), np.float32((read_noise_e / full_well_e) ** 2)
                )
            _root_row(codes[c], light[c])
            for x in range(width):
                out[y, x, c] = CODE_OF_ROOT[codes[c, x]]


@njit(cache=True, nogil=True)
def _unit_row(fraction: np.ndarray, steps: np.ndarray) -> None:
    unit = np.float32(1 / UNIT_STEPS)
    if len(steps) == 1:
        fraction[:] = steps[0] * unit
        return
    for x in range(fraction.shape[0]):
        fraction[x] = steps[x] * unit


@njit(cache=True, nogil=True)
def _kept_row(kept: np.ndarray, alpha16: np.ndarray, texture16: np.ndarray) -> None:
    """(1 - alpha) f: what drops leave of the light behind them."""
    one, texture_unit = np.float32(1), np.float32(1 / TEXTURE_ONE)
    _unit_row(kept, alpha16)
    if len(texture16) == 1:
        factor = texture16[0] * texture_unit
        for x in range(kept.shape[0]):
            kept[x] = (one - kept[x]) * factor
    else:
        for x in range(kept.shape[0]):
            kept[x] = (one - kept[x]) * (texture16[x] * texture_unit)


@njit(cache=True, nogil=True)
def _light_row(drops: np.ndarray, cells: np.ndarray) -> None:
    """Light of the drops along a row, linear between the centres of the grid's cells."""
    width, count = drops.shape[0], cells.shape[0]
    pitch = width / count
    x = 0
    for cell in range(-1, count):
        end = width if cell == count - 1 else min(int(np.ceil((cell + 1.5) * pitch - 0.5)), width)
        left, right = cells[max(cell, 0)], cells[min(cell + 1, count - 1)]
        rise = np.float32((right - left) / pitch)
        start = np.float32(left + rise * np.float32(x + 0.5 - (cell + 0.5) * pitch))
        _ramp(drops[x:end], start, rise)
        x = max(x, end)


@njit(cache=True, nogil=True)
def _ramp(values: np.ndarray, start: float, rise: float) -> None:
    for i in range(values.shape[0]):
        values[i] = start + rise * np.float32(i)


@njit(cache=True, nogil=True)
def _blend_row(light, veil, airlight, kept, drops):  # type: ignore[no-untyped-def]
    one = np.float32(1)
    for x in range(light.shape[0]):
        veiled = veil[x] * light[x] + (one - veil[x]) * airlight
        light[x] = drops[x] + kept[x] * (veiled - drops[x])


@njit(cache=True, nogil=True)
def _noise_row(light, normal, per_electron, read_variance):  # type: ignore[no-untyped-def]
    for x in range(light.shape[0]):
        variance = max(light[x], np.float32(0)) * per_electron + read_variance
        light[x] += np.sqrt(variance) * normal[x]


@njit(cache=True, nogil=True)
def _root_row(codes, light):  # type: ignore[no-untyped-def]
    for x in range(light.shape[0]):
        within = min(max(light[x], np.float32(0)), np.float32(1))
        codes[x] = np.uint16(np.sqrt(within) * np.float32(ROOT_STEPS) + np.float32(0.5))
