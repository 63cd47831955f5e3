"""From drops in the air to streaks on the sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numba import njit

from rainsynth.optics.defocus import circle_of_confusion_px
from rainsynth.physics.drop_shape import axis_ratio
from rainsynth.scene.camera import Camera
from rainsynth.scene.drops import Drops


@dataclass(frozen=True, slots=True, eq=False)
class Streaks:
    """Images of drops that cross the sensor during the exposure; every array (n,) float64, in pixels.

    A streak is an ellipse of `width_px` x `height_px` that moves from its start to its end at constant speed.
    `area_px2` is what its coverages add up to over an unbounded sensor: the area of the sharp image of the drop,
    whatever blur or motion spread it over.
    """

    start_x_px: Float[np.ndarray, "n"]
    start_y_px: Float[np.ndarray, "n"]
    end_x_px: Float[np.ndarray, "n"]
    end_y_px: Float[np.ndarray, "n"]
    width_px: Float[np.ndarray, "n"]
    height_px: Float[np.ndarray, "n"]
    area_px2: Float[np.ndarray, "n"]
    z_m: Float[np.ndarray, "n"]


def project(drops: Drops, camera: Camera) -> Streaks:
    """Pinhole image of each drop's straight path through the exposure, blurred by the lens.

    Width f_px D (b/a)^(-1/3) / z, height f_px D (b/a)^(2/3) / z, length f_px v T / z. Size and blur are those at
    mid-exposure. Blur adds its second moment: an ellipse convolved with a disc of diameter c keeps its area weight and
    gets sqrt(width^2 + c^2) by sqrt(height^2 + c^2).
    """
    columns = np.empty((8, len(drops)))
    _project(
        columns,
        drops.diameter_mm,
        axis_ratio(drops.diameter_mm),
        circle_of_confusion_px(camera, drops.z_m),
        (drops.x_m, drops.y_m, drops.z_m),
        (drops.velocity_x_m_s, drops.velocity_y_m_s, drops.velocity_z_m_s),
        tuple(map(float, (camera.focal_px, camera.principal_x_px, camera.principal_y_px))),
        (float(camera.exposure_s), float(camera.near_m)),
    )
    return Streaks(*columns)


@njit(cache=True, nogil=True)
def _project(columns, diameter_mm, ratio, blur_px, place_m, velocity_m_s, lens, limits):  # type: ignore[no-untyped-def]
    """Write the streaks in the order of Streaks; no end of one is nearer than half the near limit."""
    focal_px, principal_x_px, principal_y_px = lens
    exposure_s, near_m = limits
    for i in range(len(diameter_mm)):
        x_m, y_m, z_m = place_m[0][i], place_m[1][i], place_m[2][i]
        right_m_s, down_m_s, away_m_s = velocity_m_s[0][i], velocity_m_s[1][i], velocity_m_s[2][i]
        for end in range(2):
            time_s = (end - 0.5) * exposure_s
            distance_m = max(z_m + time_s * away_m_s, near_m / 2)
            columns[2 * end, i] = principal_x_px + focal_px * (x_m + time_s * right_m_s) / distance_m
            columns[2 * end + 1, i] = principal_y_px + focal_px * (y_m + time_s * down_m_s) / distance_m
        width_px = focal_px / z_m * 1e-3 * (diameter_mm[i] / np.cbrt(ratio[i]))
        height_px = width_px * ratio[i]
        columns[4, i] = np.hypot(width_px, blur_px[i])
        columns[5, i] = np.hypot(height_px, blur_px[i])
        columns[6, i] = np.pi / 4 * width_px * height_px
        columns[7, i] = z_m
