"""Blur of what is out of focus."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from rainsynth.scene.camera import Camera


def circle_of_confusion_px(camera: Camera, z_m: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
    """Diameter of the blur disc of a point at distance z [px]: c = f_px A |1/z - 1/z_focus|, A the aperture.

    Thin lens; the focal length is neglected against the focus distance (c is low by f / z_focus, 0.1 % for a 6 mm
    lens focused at 6 m).
    """
    return camera.focal_px * camera.aperture_mm * 1e-3 * np.abs(1 / z_m - 1 / camera.focus_m)
