"""Lossless prediction of pixels from their neighbours: what is left of a photograph compresses better than PNG's.

Planes R - G, G and B - G modulo 256 (photographs are nearly grey), then each pixel less the median of its left
neighbour a, its upper neighbour b and a + b - c, c being the one above a. The median is a at a horizontal edge, b at a
vertical one, and the plane through the three elsewhere: the predictor of LOCO-I (Weinberger, Seroussi & Sapiro 2000,
IEEE Trans. Image Processing 9(8), doi:10.1109/83.855427), without its contexts.

Prediction starts anew in each tile, so that a window is restored from the tiles that it touches.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from numba import njit

GREEN = 1


@njit(cache=True, nogil=True, inline="always")
def _median(left: int, up: int, corner: int) -> int:
    """Median of left, up and left + up - corner."""
    return max(min(left, up), min(max(left, up), left + up - corner))


@njit(cache=True, nogil=True)
def _residuals_of(plane: np.ndarray, tile_px: int, residuals: np.ndarray) -> None:
    height_px, width_px = plane.shape
    for y in range(height_px):
        for x in range(width_px):
            has_left, has_up = x % tile_px > 0, y % tile_px > 0
            left = np.int32(plane[y, x - 1]) if has_left else (np.int32(plane[y - 1, x]) if has_up else np.int32(0))
            up = np.int32(plane[y - 1, x]) if has_up else left
            corner = np.int32(plane[y - 1, x - 1]) if has_left and has_up else up
            residuals[y, x] = np.uint8((np.int32(plane[y, x]) - _median(left, up, corner)) & 255)


def predicted(pictures_srgb8: UInt8[np.ndarray, "n h w 3"], tile_px: int) -> UInt8[np.ndarray, "n 3 h w"]:
    """Residuals of pictures, plane by plane: R - G, G, B - G."""
    planes = np.array(pictures_srgb8.transpose(0, 3, 1, 2), order="C")  # always a copy
    planes[:, 0] -= planes[:, GREEN]
    planes[:, 2] -= planes[:, GREEN]
    residuals = np.empty_like(planes)
    for picture, into in zip(planes, residuals, strict=True):
        for plane, plane_into in zip(picture, into, strict=True):
            _residuals_of(plane, tile_px, plane_into)
    return residuals


@njit(cache=True, nogil=True)
def restore_window(tile: np.ndarray, top: int, bottom: int, left: int, right: int, window: np.ndarray) -> None:
    """Pixels [top, bottom) x [left, right) of a tile of residuals (3, h, w) into `window` (h, w, 3), sRGB.

    The tile is overwritten. The three planes advance together: each pixel waits for the one before it, and three
    such chains keep a processor busy.
    """
    for y in range(bottom):
        above = max(y - 1, 0)
        red, green, blue = np.int32(0), np.int32(0), np.int32(0)
        corner_red, corner_green, corner_blue = np.int32(0), np.int32(0), np.int32(0)
        if y > 0:
            red, green, blue = np.int32(tile[0, above, 0]), np.int32(tile[1, above, 0]), np.int32(tile[2, above, 0])
            corner_red, corner_green, corner_blue = red, green, blue
        for x in range(right):
            if y > 0:
                up_red, up_green = np.int32(tile[0, above, x]), np.int32(tile[1, above, x])
                up_blue = np.int32(tile[2, above, x])
            else:
                up_red, up_green, up_blue = red, green, blue
                corner_red, corner_green, corner_blue = red, green, blue
            red = (np.int32(tile[0, y, x]) + _median(red, up_red, corner_red)) & 255
            green = (np.int32(tile[1, y, x]) + _median(green, up_green, corner_green)) & 255
            blue = (np.int32(tile[2, y, x]) + _median(blue, up_blue, corner_blue)) & 255
            corner_red, corner_green, corner_blue = up_red, up_green, up_blue
            tile[0, y, x], tile[1, y, x], tile[2, y, x] = red, green, blue
            if y >= top and x >= left:
                window[y - top, x - left, 0] = (red + green) & 255
                window[y - top, x - left, 1] = green
                window[y - top, x - left, 2] = (blue + green) & 255
