"""The light that drops carry: each is a fisheye lens that shows its surroundings upside down.

Geometric optics of a sphere of water: light that leaves a drop towards the camera at rho (0 at the disc's middle, 1 at
its rim) came from delta = 2 (asin rho - asin(rho / n)) off the line of sight, up to 82 degrees: a view 165 degrees
wide, half of its light from within 24 degrees. A drop too small to be seen in detail has the mean of that view as its
light.

Most of that view lies outside the picture. Above its top edge the sky of a rainy day goes on: the CIE overcast sky,
three times as bright at the zenith as at the horizon, which lights a white surface to 7/9 of its zenith. To the sides
and below, the scene goes on as at the edge. Both are choices.

The kernel of that view is round; a sum of products k(x, y) = Sum_r s_r u_r(x) u_r(y) of 8 terms is within 0.2 % of it,
so the mean over any picture is a few small matrix products, with the exact weight of every cell and of the edges that
go on.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from jaxtyping import Float
from numba import njit

from rainsynth.scene.camera import Camera

REFRACTIVE_INDEX = 1.333
REFRACTED_FRACTION = 0.94  # Garg & Nayar (2007), doi:10.1007/s11263-006-0028-6: the rest is reflected
WIDEST_DEFLECTION_RAD = np.radians(65)  # 99 % of the refracted light; a flat picture cannot show much more
REACH = float(np.tan(WIDEST_DEFLECTION_RAD))  # of the kernel, in focal lengths
KERNEL_CELLS = 50  # a focal length, in the kernel that is taken apart
TERMS = 8
LONGER_SIDE_CELLS = 24  # of the grid of light, or fewer:
GRID_CELLS_A_FOCAL_LENGTH = (
    12.0  # the light varies over 24 degrees; linear to 1 % over cells of 5, flat at the very edge
)
SCENE_CELLS_A_FOCAL_LENGTH = 26.0
HORIZON_POINTS = 8
SKY_ROWS, SKY_COLUMNS = 24, 32
RIM_SAMPLES = 4000
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
    y_px, x_px = _grid_places(camera, window)
    horizon_px = min(max(camera.principal_y_px, 0.0), float(camera.height_px))
    along_px = (np.arange(HORIZON_POINTS) + 0.5) / HORIZON_POINTS * camera.width_px
    light = drop_light_at(
        light_linear, camera, sky_linear, np.append(y_px, horizon_px), np.concatenate([x_px, along_px])
    )
    return np.ascontiguousarray(light[:-1, : len(x_px)]), light[-1, len(x_px) :].mean(axis=0)


def _grid_places(
    camera: Camera, window: tuple[int, int, int, int] | None
) -> tuple[Float[np.ndarray, "gh"], Float[np.ndarray, "gw"]]:
    """Heights and places of the grid of light, in pixels of the picture."""
    top, left, height, width = window or (0, 0, camera.height_px, camera.width_px)
    cell_px = max(
        max(camera.height_px, camera.width_px) / LONGER_SIDE_CELLS, camera.focal_px / GRID_CELLS_A_FOCAL_LENGTH
    )
    least, cell_px = (1, cell_px) if window is None else (2, cell_px / 2)  # a window is small: flat at less of its edge
    rows, columns = max(least, round(height / cell_px)), max(least, round(width / cell_px))
    return top + (np.arange(rows) + 0.5) * height / rows, left + (np.arange(columns) + 0.5) * width / columns


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
    light_linear = _coarser(light_linear, camera)
    rows, columns = light_linear.shape[:2]
    y_edges = (np.arange(rows + 1) / rows * camera.height_px - camera.principal_y_px) / camera.focal_px
    x_edges = (np.arange(columns + 1) / columns * camera.width_px - camera.principal_x_px) / camera.focal_px
    y = (y_px - camera.principal_y_px) / camera.focal_px
    x = (x_px - camera.principal_x_px) / camera.focal_px
    sky_from = min(y_edges[0], 0.0)  # the sky begins above the picture, and above the horizon
    left, right = x_edges[0] - REACH, x_edges[-1] + REACH
    sky_y = sky_from - (sky_from - y_edges[0] + REACH) * np.arange(SKY_ROWS, -1, -1) / SKY_ROWS
    sky_x = left + (right - left) * np.arange(SKY_COLUMNS + 1) / SKY_COLUMNS
    y_edges[0], y_edges[-1] = sky_from, np.inf
    x_edges[0], x_edges[-1] = -np.inf, np.inf
    refracted = np.zeros((len(y), len(x), 3))
    sky = _overcast_sky(sky_y, sky_x, sky_linear)
    _add_view(refracted, sky, *kernel_terms(), y, x, sky_y, sky_x)
    _add_view(refracted, light_linear, *kernel_terms(), y, x, y_edges, x_edges)
    reflected = (1 - REFRACTED_FRACTION) * light_linear.mean(axis=(0, 1))
    return np.maximum(REFRACTED_FRACTION * refracted + reflected, 0).astype(np.float32)


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


def _overcast_sky(
    y_edges: Float[np.ndarray, "r+1"], x_edges: Float[np.ndarray, "c+1"], sky_linear: float
) -> Float[np.ndarray, "r c 3"]:
    """CIE overcast sky L = zenith (1 + 2 sin elevation) / 3 in cells of the picture's plane, focal length 1; grey."""
    up = -0.5 * (y_edges[1:] + y_edges[:-1])[:, None]
    right = 0.5 * (x_edges[1:] + x_edges[:-1])
    luminance = sky_linear * (1 + 2 * up / np.sqrt(up**2 + right**2 + 1)) / 3
    return np.repeat(luminance[..., None], 3, axis=2)


@njit(cache=True, nogil=True)
def _add_view(view, scene, strengths, integrals, y, x, y_edges, x_edges):  # type: ignore[no-untyped-def]
    """Add to each point (y, x) the scene's cells, weighted with the integral of the kernel over each."""
    rows, columns = scene.shape[:2]
    line = np.empty((columns, 3))
    down, across = np.empty((len(y), rows)), np.empty((len(x), columns))
    for term in range(len(strengths)):
        _cell_weights(down, integrals[term], y, y_edges)
        _cell_weights(across, integrals[term], x, x_edges)
        for i in range(len(y)):
            line[:] = 0
            for row in range(rows):
                weight = strengths[term] * down[i, row]
                if weight != 0:
                    for column in range(columns):
                        for c in range(3):
                            line[column, c] += weight * scene[row, column, c]
            for j in range(len(x)):
                for column in range(columns):
                    for c in range(3):
                        view[i, j, c] += across[j, column] * line[column, c]


@njit(cache=True, nogil=True)
def _cell_weights(weights: np.ndarray, table: np.ndarray, at: np.ndarray, edges: np.ndarray) -> None:
    """Integral of one term over each cell, seen from each place."""
    for i in range(weights.shape[0]):
        before = _integral(table, edges[0] - at[i])
        for cell in range(weights.shape[1]):
            upto = _integral(table, edges[cell + 1] - at[i])
            weights[i, cell] = upto - before
            before = upto


@njit(cache=True, nogil=True)
def _integral(table: np.ndarray, at: float) -> float:
    """Integral of a term from -REACH to `at`, between the entries of its table."""
    if at <= -REACH:
        return 0.0
    if at >= REACH:
        return table[-1]
    position = (at + REACH) / (2 * REACH) * (len(table) - 1)
    first = int(position)
    return table[first] + (position - first) * (table[first + 1] - table[first])


@lru_cache(maxsize=1)
def kernel_terms() -> tuple[Float[np.ndarray, "terms"], Float[np.ndarray, "terms k"]]:
    """The refracted view as a sum of products: strength of each term, and the integral of its function from -REACH on.

    Scaled so that the kernel's integral over the plane is 1.
    """
    kernel = refraction_kernel(KERNEL_CELLS)
    values, vectors = np.linalg.eigh(kernel)
    largest = np.argsort(-np.abs(values))[:TERMS]
    reach_cells = kernel.shape[0] / 2
    edges = np.linspace(-REACH, REACH, 4 * kernel.shape[0]) * KERNEL_CELLS + reach_cells
    integrals = np.concatenate([np.zeros((TERMS, 1)), np.cumsum(vectors[:, largest].T, axis=1)], axis=1)
    sampled = np.stack([np.interp(edges, np.arange(kernel.shape[0] + 1), row) for row in integrals])
    sampled -= sampled[:, :1]
    strengths = values[largest]
    return strengths / (strengths @ sampled[:, -1] ** 2), sampled


def refraction_kernel(focal_cells: float) -> Float[np.ndarray, "k k"]:
    """Weight of each direction in a drop's refracted view, on a picture plane of focal length `focal_cells`; sums to 1.

    A ring of the disc between rho and rho + d rho carries 2 rho d rho times the transmission of its two surfaces.
    """
    rho = (np.arange(RIM_SAMPLES) + 0.5) / RIM_SAMPLES
    deflection_rad = 2 * (np.arcsin(rho) - np.arcsin(rho / REFRACTIVE_INDEX))
    weight = 2 * rho * (1 - fresnel_reflectance(rho)) ** 2
    kept = deflection_rad < WIDEST_DEFLECTION_RAD
    radius_cells = focal_cells * np.tan(deflection_rad[kept])
    reach = max(1, int(np.ceil(radius_cells[-1])))
    per_radius = np.gradient(np.cumsum(weight[kept]), radius_cells)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    radius = np.maximum(np.hypot(x, y), 0.25)
    kernel = np.interp(radius, radius_cells, per_radius / radius_cells, right=0.0)
    return kernel / kernel.sum()


def fresnel_reflectance(sine: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Reflectance of a water surface for unpolarised light under the angle of incidence asin(sine)."""
    cos_in = np.sqrt(1 - sine**2)
    cos_out = np.sqrt(1 - (sine / REFRACTIVE_INDEX) ** 2)
    across = (cos_in - REFRACTIVE_INDEX * cos_out) / (cos_in + REFRACTIVE_INDEX * cos_out)
    along = (REFRACTIVE_INDEX * cos_in - cos_out) / (REFRACTIVE_INDEX * cos_in + cos_out)
    return 0.5 * (across**2 + along**2)
