"""The light that drops carry: each is a fisheye lens that shows its surroundings upside down.

A drop too small to be seen in detail has the mean of its refracted view as its light (see optics.refracted_view).

Most of that view lies outside the picture. Above its top edge the sky of a rainy day goes on: the CIE overcast sky,
three times as bright at the zenith as at the horizon, which lights a white surface to 7/9 of its zenith. To the sides
and below, the scene goes on as at the edge. Both are choices.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float
from numba import njit

from rainsynth.optics.refracted_view import REACH, add_view, kernel_terms
from rainsynth.scene.camera import Camera

REFRACTED_FRACTION = 0.94  # Garg & Nayar (2007), doi:10.1007/s11263-006-0028-6: the rest is reflected
LONGER_SIDE_CELLS = 24  # of the grid of light, or fewer:
GRID_CELLS_A_FOCAL_LENGTH = (
    12.0  # the light varies over 24 degrees; linear to 1 % over cells of 5, flat at the very edge
)
SCENE_CELLS_A_FOCAL_LENGTH = 26.0
HORIZON_POINTS = 8
SKY_ROWS, SKY_COLUMNS = 24, 32
ZENITH_OVER_WHITE = 9 / 7  # CIE overcast sky: horizontal illuminance is 7/9 pi times the zenith luminance


def drop_light(
    light_linear: Float[np.ndarray, "rows columns 3"],
    camera: Camera,
    sky_linear: float,
    window: tuple[int, int, int, int] | None = None,
) -> tuple[Float[np.ndarray, "gh gw 3"], Float[np.ndarray, "3"]]:
    """Light of a drop before each part of the picture, and the colour of the veil where none is given; linear RGB.

    The light is on a coarse grid that spans the picture, or a `window` (top, left, height, width) of it: 0.94 times the
    mean of the scene over the drop's refracted view, plus 0.06 times the picture's mean for what it reflects.
    `light_linear` is the picture, or its means over cells that span it (Background.light_linear). `sky_linear` is the
    luminance of the sky's zenith, 1.0 = diffuse white.

    The veil is the mean drop light along the horizon, or along the picture's edge that is nearest to it (choice): drops
    that are not drawn carry the same light as those that are, and far ones lie along the horizon.
    """
    top, left, height, width = window or (0, 0, camera.height_px, camera.width_px)
    rows, columns = _grid_cells(camera, height, width, whole=window is None)
    horizon_px = min(max(camera.principal_y_px, 0.0), float(camera.height_px))
    y_px = _middles(top, height, rows, np.array([horizon_px]))
    x_px = _middles(left, width, columns, (np.arange(HORIZON_POINTS) + 0.5) / HORIZON_POINTS * camera.width_px)
    light = drop_light_at(light_linear, camera, sky_linear, y_px, x_px)
    horizon_linear = light[-1, columns:].sum(axis=0) / np.float32(HORIZON_POINTS)
    return np.ascontiguousarray(light[:-1, :columns]), horizon_linear


def _grid_cells(camera: Camera, height: int, width: int, *, whole: bool) -> tuple[int, int]:
    """Rows and columns of the grid of light of the whole picture, or of a window of it."""
    cell_px = max(
        max(camera.height_px, camera.width_px) / LONGER_SIDE_CELLS, camera.focal_px / GRID_CELLS_A_FOCAL_LENGTH
    )
    least, cell_px = (1, cell_px) if whole else (2, cell_px / 2)  # a window is small: flat at less of its edge
    return max(least, round(height / cell_px)), max(least, round(width / cell_px))


@njit(cache=True, nogil=True)
def _middles(start: int, length: int, cells: int, further: np.ndarray) -> np.ndarray:
    """Middles of the cells of a length, and then further places."""
    places = np.empty(cells + len(further))
    places[:cells] = start + (np.arange(cells) + 0.5) * length / cells
    places[cells:] = further
    return places


def estimated_sky_linear(white_linear: float) -> float:
    """Zenith luminance of the overcast sky over a photograph: 9/7 of its white (choice).

    An overcast sky lights a white surface to 7/9 of its zenith. A photograph exposed for a dark subject has a brighter
    sky than this estimate: its white is beyond the display's.
    """
    return ZENITH_OVER_WHITE * white_linear


def drop_light_at(
    light_linear: Float[np.ndarray, "rows columns 3"],
    camera: Camera,
    sky_linear: float,
    y_px: Float[np.ndarray, "m"],
    x_px: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "m n 3"]:
    """Light of drops before every crossing of the heights `y_px` and the places `x_px` of a picture, linear RGB."""
    down = float(camera.height_px), float(camera.principal_y_px), float(camera.focal_px)
    across = float(camera.width_px), float(camera.principal_x_px), float(camera.focal_px)
    scene_linear = _coarser(light_linear, camera)
    return _light_at(scene_linear, down, across, float(sky_linear), y_px, x_px, kernel_terms())


def _coarser(light_linear: Float[np.ndarray, "r c 3"], camera: Camera) -> Float[np.ndarray, "m n 3"]:
    """Light in cells of at least a 26th of the focal length, whose edge is what goes on beyond the picture."""
    rows, columns = light_linear.shape[:2]
    least_px = camera.focal_px / SCENE_CELLS_A_FOCAL_LENGTH
    fewer = (
        max(1, min(columns, round(camera.width_px / least_px))),
        max(1, min(rows, round(camera.height_px / least_px))),
    )
    light_linear = np.ascontiguousarray(light_linear, dtype=np.float64)
    if fewer == (columns, rows):
        return light_linear
    return cv2.resize(light_linear, fewer, interpolation=cv2.INTER_AREA).reshape(fewer[1], fewer[0], 3)


@njit(cache=True, nogil=True)
def _light_at(light_linear, down, across, sky_linear, y_px, x_px, kernel):  # type: ignore[no-untyped-def]
    """See `drop_light_at`; `down` and `across` are size, principal point and focal length of the camera."""
    y_edges, x_edges = _cell_edges(light_linear.shape[0], down), _cell_edges(light_linear.shape[1], across)
    y, x = (y_px - down[1]) / down[2], (x_px - across[1]) / across[2]
    sky_from = min(y_edges[0], 0.0)  # the sky begins above the picture, and above the horizon
    left, right = x_edges[0] - REACH, x_edges[-1] + REACH
    sky_y = sky_from - (sky_from - y_edges[0] + REACH) * np.arange(SKY_ROWS, -1, -1) / SKY_ROWS
    sky_x = left + (right - left) * np.arange(SKY_COLUMNS + 1) / SKY_COLUMNS
    y_edges[0], y_edges[-1] = sky_from, np.inf
    x_edges[0], x_edges[-1] = -np.inf, np.inf
    grey, refracted = np.zeros((len(y), 1, len(x))), np.empty((len(y), 3, len(x)))
    add_view(grey, _overcast_sky(sky_y, sky_x, sky_linear), kernel, y, x, sky_y, sky_x)
    refracted[:] = grey
    add_view(refracted, light_linear.transpose(0, 2, 1).copy(), kernel, y, x, y_edges, x_edges)
    light = np.empty((len(y), len(x), 3), dtype=np.float32)
    for c in range(3):
        reflected = (1 - REFRACTED_FRACTION) * light_linear[:, :, c].mean()
        light[:, :, c] = np.maximum(REFRACTED_FRACTION * refracted[:, c] + reflected, 0)
    return light


@njit(cache=True, nogil=True)
def _cell_edges(cells, axis):  # type: ignore[no-untyped-def]
    """Edges of the cells that span the picture along one axis, in focal lengths from the optical axis."""
    size_px, principal_px, focal_px = axis
    return (np.arange(cells + 1) / cells * size_px - principal_px) / focal_px


@njit(cache=True, nogil=True)
def _overcast_sky(y_edges: np.ndarray, x_edges: np.ndarray, sky_linear: float) -> np.ndarray:
    """CIE overcast sky L = zenith (1 + 2 sin elevation) / 3 in cells of the picture's plane, (rows, 1, columns); grey.

    The plane is at focal length 1.
    """
    sky = np.empty((len(y_edges) - 1, 1, len(x_edges) - 1))
    for row in range(len(y_edges) - 1):
        up = -0.5 * (y_edges[row + 1] + y_edges[row])
        for column in range(len(x_edges) - 1):
            right = 0.5 * (x_edges[column + 1] + x_edges[column])
            sky[row, 0, column] = sky_linear * (1 + 2 * up / np.sqrt(up**2 + right**2 + 1)) / 3
    return sky
