"""The light of a photograph, coarsely: what drops before it see, and its white.

Both are read from a regular sample of the pixels: about 12 across each cell, which a picture's detail moves by less
than its own noise.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8
from numba import njit

from rainsynth.color import LINEAR_OF_CODE

LONGER_SIDE_CELLS = 32  # drops see 24 degrees at a glance; cells are smaller than that in views up to 150 degrees wide
SAMPLES_A_CELL = 12  # pixels across
SAMPLED_SIDE = LONGER_SIDE_CELLS * SAMPLES_A_CELL
WHITE_PERCENTILE = 95
CLIPPED_CODE = 254
LUMINANCE_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])  # ITU-R BT.709
LUMINANCE_STEPS = 4096


def cell_light(image_srgb8: UInt8[np.ndarray, "h w 3"]) -> Float[np.ndarray, "2 rows columns 3"]:
    """Mean linear light of the cells of a grid that spans the picture, 32 along its longer side.

    And the part of that light that comes from pixels with a channel at the display's white, which may be lamps or sky
    far brighter than the picture can say.
    """
    height_px, width_px = image_srgb8.shape[:2]
    cell_px = max(height_px, width_px) / LONGER_SIDE_CELLS
    rows, columns = max(1, round(height_px / cell_px)), max(1, round(width_px / cell_px))
    sums = np.zeros((2, min(rows, height_px), min(columns, width_px), 3))
    _add_cells(sums, np.ascontiguousarray(image_srgb8), _stride(image_srgb8))
    return sums


def white_of(image_srgb8: UInt8[np.ndarray, "h w 3"]) -> float:
    """95th percentile of the luminance of a picture, to 1/4096 of display white."""
    histogram = np.zeros(LUMINANCE_STEPS, dtype=np.int64)
    _count_luminance(histogram, np.ascontiguousarray(image_srgb8), _stride(image_srgb8))
    before = np.cumsum(histogram)
    return float(np.searchsorted(before, before[-1] * WHITE_PERCENTILE / 100) / (LUMINANCE_STEPS - 1))


def _stride(image_srgb8: UInt8[np.ndarray, "h w 3"]) -> int:
    return -(-max(image_srgb8.shape[:2]) // SAMPLED_SIDE)


@njit(cache=True, nogil=True)
def _add_cells(cells: np.ndarray, image: np.ndarray, stride: int) -> None:
    rows, columns = cells.shape[1:3]
    counts = np.zeros((rows, columns))
    for y in range(min(stride // 2, image.shape[0] - 1), image.shape[0], stride):
        row = y * rows // image.shape[0]
        for x in range(min(stride // 2, image.shape[1] - 1), image.shape[1], stride):
            column = x * columns // image.shape[1]
            counts[row, column] += 1
            clipped = max(image[y, x, 0], image[y, x, 1], image[y, x, 2]) >= CLIPPED_CODE
            for c in range(3):
                light = LINEAR_OF_CODE[image[y, x, c]]
                cells[0, row, column, c] += light
                if clipped:
                    cells[1, row, column, c] += light
    for row in range(rows):
        for column in range(columns):
            for c in range(3):
                cells[0, row, column, c] /= counts[row, column]
                cells[1, row, column, c] /= counts[row, column]


@njit(cache=True, nogil=True)
def _count_luminance(histogram: np.ndarray, image: np.ndarray, stride: int) -> None:
    for y in range(min(stride // 2, image.shape[0] - 1), image.shape[0], stride):
        for x in range(min(stride // 2, image.shape[1] - 1), image.shape[1], stride):
            luminance = 0.0
            for c in range(3):
                luminance += LUMINANCE_WEIGHTS[c] * LINEAR_OF_CODE[image[y, x, c]]
            histogram[min(int(luminance * (LUMINANCE_STEPS - 1) + 0.5), LUMINANCE_STEPS - 1)] += 1
