"""From drops in the air to streaks on the sensor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rainsynth.optics.defocus import circle_of_confusion_px
from rainsynth.physics.drop_shape import axis_ratio
from rainsynth.scene.camera import Camera
from rainsynth.scene.drops import Drops, horizontal_diameter_mm


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
    scale = camera.focal_px / drops.z_m
    width_px = scale * 1e-3 * horizontal_diameter_mm(drops.diameter_mm)
    height_px = width_px * axis_ratio(drops.diameter_mm)
    blur_px = circle_of_confusion_px(camera, drops.z_m)
    start_x_px, start_y_px = _image_at(drops, camera, -camera.exposure_s / 2)
    end_x_px, end_y_px = _image_at(drops, camera, camera.exposure_s / 2)
    return Streaks(
        start_x_px=start_x_px,
        start_y_px=start_y_px,
        end_x_px=end_x_px,
        end_y_px=end_y_px,
        width_px=np.hypot(width_px, blur_px),
        height_px=np.hypot(height_px, blur_px),
        area_px2=np.pi / 4 * width_px * height_px,
        z_m=drops.z_m,
    )


def _image_at(drops: Drops, camera: Camera, time_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the drops' centres are imaged `time_s` after mid-exposure [px]; no nearer than half the near limit."""
    z_m = np.maximum(drops.z_m + time_s * drops.velocity_z_m_s, camera.near_m / 2)
    x_px = camera.principal_x_px + camera.focal_px * (drops.x_m + time_s * drops.velocity_x_m_s) / z_m
    y_px = camera.principal_y_px + camera.focal_px * (drops.y_m + time_s * drops.velocity_y_m_s) / z_m
    return x_px, y_px
