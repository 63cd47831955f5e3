"""The light that drops carry: each is a fisheye lens that shows its surroundings upside down.

Geometric optics of a sphere of water: light that leaves a drop towards the camera at rho (0 at the disc's middle, 1 at
its rim) came from delta = 2 (asin rho - asin(rho / n)) off the line of sight, up to 82 degrees: a view 165 degrees
wide, half of its light from within 24 degrees. A drop too small to be seen in detail has the mean of that view as its
light.

Most of that view lies outside the picture. Above its top edge the sky of a rainy day goes on: the CIE overcast sky,
three times as bright at the zenith as at the horizon, which lights a white surface to 7/9 of its zenith. To the sides
and below, the scene goes on as at the edge. Both are choices.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Float
from scipy.signal import fftconvolve

from rainsynth.scene.camera import Camera

REFRACTIVE_INDEX = 1.333
REFRACTED_FRACTION = 0.94  # Garg & Nayar (2007), doi:10.1007/s11263-006-0028-6: the rest is reflected
WIDEST_DEFLECTION_RAD = np.radians(65)  # 99 % of the refracted light; a flat picture cannot show much more
LONGER_SIDE_CELLS = 24  # the light varies over 24 degrees: a grid this coarse resolves it at any field of view
CELLS_PER_FOCAL_LENGTH = 26.0
RIM_SAMPLES = 4000
ZENITH_OVER_WHITE = 9 / 7  # CIE overcast sky: horizontal illuminance is 7/9 pi times the zenith luminance
WHITE_PERCENTILE = 95
LUMINANCE_WEIGHTS = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)  # ITU-R BT.709


def drop_light_grid(
    image_linear: Float[np.ndarray, "h w 3"], camera: Camera, sky_linear: float
) -> Float[np.ndarray, "gh gw 3"]:
    """Light of a drop seen before each part of the picture, linear RGB on a coarse grid that spans the picture.

    0.94 times the mean of the scene over the drop's refracted view, plus 0.06 times the picture's mean for what it
    reflects. `sky_linear` is the luminance of the sky's zenith, 1.0 = diffuse white.
    """
    height_px, width_px = image_linear.shape[:2]
    cell_px = max(max(height_px, width_px) / LONGER_SIDE_CELLS, camera.focal_px / CELLS_PER_FOCAL_LENGTH)
    cells = (max(1, round(width_px / cell_px)), max(1, round(height_px / cell_px)))
    coarse = cv2.resize(image_linear, cells, interpolation=cv2.INTER_AREA).reshape(cells[1], cells[0], 3)
    kernel = refraction_kernel(camera.focal_px / cell_px)
    reach = kernel.shape[0] // 2
    surroundings = np.pad(coarse, ((reach, reach), (reach, reach), (0, 0)), mode="edge").astype(np.float64)
    sky = _overcast_sky(camera, cell_px, reach, surroundings.shape[1], sky_linear)
    surroundings[: len(sky)] = sky
    refracted = fftconvolve(surroundings, kernel[..., None], mode="valid", axes=(0, 1))
    light = REFRACTED_FRACTION * refracted + (1 - REFRACTED_FRACTION) * coarse.mean(axis=(0, 1))
    return np.maximum(light, 0).astype(np.float32)


def estimated_sky_linear(image_linear: Float[np.ndarray, "h w 3"]) -> float:
    """Zenith luminance of the overcast sky over a photograph: 9/7 of its white, taken as its 95th percentile (choice).

    An overcast sky lights a white surface to 7/9 of its zenith. A photograph exposed for a dark subject has a brighter
    sky than this estimate: its white is beyond the display's.
    """
    luminance = cv2.transform(image_linear, LUMINANCE_WEIGHTS[None])
    return ZENITH_OVER_WHITE * float(np.percentile(luminance, WHITE_PERCENTILE))


def airlight_of(grid: Float[np.ndarray, "gh gw 3"], camera: Camera) -> Float[np.ndarray, "3"]:
    """Colour of the veil where none is given: the mean drop light along the horizon, linear RGB (choice).

    The drops that are not drawn carry the same light as those that are; far ones lie along the horizon.
    """
    row = int(np.clip(camera.principal_y_px / camera.height_px * grid.shape[0], 0, grid.shape[0] - 1))
    return grid[row].mean(axis=0)


def window_grid(
    grid: Float[np.ndarray, "gh gw 3"], camera: Camera, window: tuple[int, int, int, int]
) -> Float[np.ndarray, "wh ww 3"]:
    """The part of a picture's grid that spans a window (top, left, height, width) of it, about as fine."""
    top, left, height, width = window
    rows = max(2, int(np.ceil(height / camera.height_px * grid.shape[0])) + 1)
    columns = max(2, int(np.ceil(width / camera.width_px * grid.shape[1])) + 1)
    y_px = top + (np.arange(rows) + 0.5) / rows * height
    x_px = left + (np.arange(columns) + 0.5) / columns * width
    map_y = (y_px * grid.shape[0] / camera.height_px - 0.5).astype(np.float32)
    map_x = (x_px * grid.shape[1] / camera.width_px - 0.5).astype(np.float32)
    map_xy = np.meshgrid(map_x, map_y)
    return cv2.remap(grid, map_xy[0], map_xy[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def _overcast_sky(
    camera: Camera, cell_px: float, reach: int, columns: int, sky_linear: float
) -> Float[np.ndarray, "r c 1"]:
    """Sky in those of the `reach` rows above the picture that look up: L = zenith (1 + 2 sin elevation) / 3 (CIE)."""
    up_px = (np.arange(reach, 0, -1) - 0.5) * cell_px + camera.principal_y_px
    up_px = up_px[up_px > 0]
    margin_cells = (columns - camera.width_px / cell_px) / 2
    right_px = (np.arange(columns) + 0.5 - margin_cells) * cell_px - camera.principal_x_px
    distance_px = np.sqrt(up_px[:, None] ** 2 + right_px**2 + camera.focal_px**2)
    return (sky_linear * (1 + 2 * up_px[:, None] / distance_px) / 3)[..., None]


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
