"""What a drop shows of its surroundings: the refracted view of a sphere of water, and means of a scene under it.

Light that leaves a drop towards the camera at rho (0 at the disc's middle, 1 at its rim) came from
delta = 2 (asin rho - asin(rho / n)) off the line of sight, up to 82 degrees: a view 165 degrees wide, half of its light
from within 24 degrees.

The kernel of that view is round; a sum of products k(x, y) = Sum_r s_r u_r(x) u_r(y) of 8 terms is within 0.2 % of it,
so the mean over any picture is a few small matrix products, with the exact weight of every cell.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from jaxtyping import Float
from numba import njit

REFRACTIVE_INDEX = 1.333
WIDEST_DEFLECTION_RAD = np.radians(65)  # 99 % of the refracted light; a flat picture cannot show much more
REACH = float(np.tan(WIDEST_DEFLECTION_RAD))  # of the kernel, in focal lengths
KERNEL_CELLS = 50  # a focal length, in the kernel that is taken apart
TERMS = 8
RIM_SAMPLES = 4000


@njit(cache=True, nogil=True)
def add_view(view, scene, kernel, y, x, y_edges, x_edges):  # type: ignore[no-untyped-def]
    """Add to each point (y, x) the scene's cells, weighted with the integral of the kernel over each.

    `scene` is (rows, channels, columns) and `view` (points of y, channels, points of x), so that inner loops run over
    neighbours in memory. Edges and points are in focal lengths; `kernel` is `kernel_terms()`.
    """
    strengths, integrals = kernel
    down, across = np.empty((len(y), scene.shape[0])), np.empty((scene.shape[2], len(x)))
    at_y, at_x = _places(y, y_edges, integrals.shape[1]), _places(x, x_edges, integrals.shape[1])
    lines = np.empty((len(y), scene.shape[1], scene.shape[2]))
    for term in range(len(strengths)):
        _cell_weights(down, integrals[term], at_y)
        _cell_weights(across.T, integrals[term], at_x)
        down *= strengths[term]
        _sum_rows(lines, down, scene)
        _add_columns(view, lines, across)


@njit(cache=True, nogil=True)
def _sum_rows(lines: np.ndarray, down: np.ndarray, scene: np.ndarray) -> None:
    """lines[i] = Sum_row down[i, row] scene[row]"""
    rows, channels, columns = scene.shape
    lines[:] = 0
    for i in range(lines.shape[0]):
        for row in range(rows):
            weight = down[i, row]
            if weight == 0:
                continue
            for c in range(channels):
                for column in range(columns):
                    lines[i, c, column] += weight * scene[row, c, column]


@njit(cache=True, nogil=True)
def _add_columns(view: np.ndarray, lines: np.ndarray, across: np.ndarray) -> None:
    """view[i] += Sum_column across[column] lines[i, :, column]"""
    points, channels, columns = lines.shape
    for i in range(points):
        for c in range(channels):
            for column in range(columns):
                light = lines[i, c, column]
                for j in range(across.shape[1]):
                    view[i, c, j] += light * across[column, j]


@njit(cache=True, nogil=True)
def _places(at: np.ndarray, edges: np.ndarray, entries: int) -> np.ndarray:
    """Where each edge, seen from each place, lies in a table from -REACH to REACH, (places, edges), in entries."""
    places = np.empty((len(at), len(edges)))
    for i in range(len(at)):
        for k in range(len(edges)):
            position = (edges[k] - at[i] + REACH) / (2 * REACH) * (entries - 1)
            places[i, k] = min(max(position, 0.0), entries - 1.0)
    return places


@njit(cache=True, nogil=True)
def _cell_weights(weights: np.ndarray, table: np.ndarray, places: np.ndarray) -> None:
    """Integral of one term over each cell, seen from each place."""
    for i in range(weights.shape[0]):
        before = _between(table, places[i, 0])
        for cell in range(weights.shape[1]):
            upto = _between(table, places[i, cell + 1])
            weights[i, cell] = upto - before
            before = upto


@njit(cache=True, nogil=True)
def _between(table: np.ndarray, place: float) -> float:
    """Linear between the entries of a table."""
    first = int(place)
    after = min(first + 1, len(table) - 1)
    return table[first] + (place - first) * (table[after] - table[first])


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
