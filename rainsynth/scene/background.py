"""The clean photograph and how far away what it shows is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt8

from rainsynth.checks import InputError, check_in_range, check_photo
from rainsynth.scene.camera import Camera

# Choices of the depth prior: a camera at eye height over flat ground, something 60 m away behind it, and a horizon
# that is only known to within about 3 degrees.
EYE_HEIGHT_M = 1.5
PRIOR_FAR_M = 60.0
HORIZON_SOFTNESS = 0.05
MAX_DEPTH_M = 60_000.0


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """A clean photograph (H, W, 3) uint8 RGB and its depth along the optical axis [m].

    `depth_m` is a map (H, W), one number for the whole picture, or None for a level ground seen from eye height
    (see `ground_plane_depth_m`). Depths are 0.01 to 60,000 m; unknown (NaN) or zero depth is refused.
    """

    image_srgb8: UInt8[np.ndarray, "h w 3"]
    depth_m: Float[np.ndarray, "h w"] | float | None = None

    def __post_init__(self) -> None:
        check_photo(self.image_srgb8)
        if self.depth_m is None:
            return
        if np.ndim(self.depth_m) not in (0, 2) or (
            np.ndim(self.depth_m) == 2 and np.shape(self.depth_m) != self.image_srgb8.shape[:2]
        ):
            raise InputError(
                f"depth_m must have the photograph's shape {self.image_srgb8.shape[:2]}, got {np.shape(self.depth_m)}."
                " Resize the depth map to the photograph first."
            )
        hint = "Fill unknown depth first; is it in mm?"
        check_in_range(self.depth_m, 0.01, MAX_DEPTH_M, "depth_m", hint)

    def depth_map_m(self, camera: Camera) -> Float[np.ndarray, "h w"]:
        """Depth of every pixel, float32 [m]."""
        shape = self.image_srgb8.shape[:2]
        if self.depth_m is None:
            return ground_plane_depth_m(camera)
        return np.ascontiguousarray(np.broadcast_to(np.asarray(self.depth_m, dtype=np.float32), shape))


def ground_plane_depth_m(camera: Camera) -> Float[np.ndarray, "h w"]:
    """Depth prior for a photograph that comes without depth, float32 [m]: 1 / z = slope / 1.5 m + 1 / 60 m.

    `slope` is how far below the horizon a row looks, (y - principal_y_px) / f_px, bent smoothly to 0 above it:
    s ln(1 + exp(slope / s)), s = 0.05. A level camera 1.5 m over flat ground, nothing farther than 60 m, and no
    edge at a horizon that may lie elsewhere. A choice, for photographs about which nothing is known.
    """
    slope = (np.arange(camera.height_px) + 0.5 - camera.principal_y_px) / camera.focal_px
    bent = HORIZON_SOFTNESS * np.logaddexp(0, slope / HORIZON_SOFTNESS)
    column_m = (1 / (bent / EYE_HEIGHT_M + 1 / PRIOR_FAR_M)).astype(np.float32)
    return np.repeat(column_m[:, None], camera.width_px, axis=1)
