"""The clean photograph and how far away what it shows is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from rainsynth.checks import InputError, check_in_range, check_photo
from rainsynth.scene.camera import Camera
from rainsynth.scene.photo_light import cell_light, white_of

# Choices of the depth prior: a camera at eye height over flat ground, something 60 m away behind it, and a horizon
# that is only known to within about 3 degrees.
EYE_HEIGHT_M = 1.5
PRIOR_FAR_M = 60.0
HORIZON_SOFTNESS = 0.05
MAX_DEPTH_M = 60_000.0


@dataclass(frozen=True, eq=False)
class Background:
    """A clean photograph (H, W, 3) uint8 RGB and its depth along the optical axis [m].

    `depth_m` is a map (H, W), one number for the whole picture, a function of the photograph that returns a map, or
    None for a level ground seen from eye height (see `ground_plane_depth_m`). Depths are 0.01 to 60,000 m; unknown
    (NaN) or zero depth is refused. What is computed from the photograph is kept, so a background that is rained on
    many times, or window by window, is faster used again than made anew.
    """

    image_srgb8: UInt8[np.ndarray, "h w 3"]
    depth_m: Any = None

    def __post_init__(self) -> None:
        check_photo(self.image_srgb8)
        if callable(self.depth_m):
            object.__setattr__(self, "depth_m", self.depth_m(self.image_srgb8))
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
        """Depth of every pixel, float32 [m]; a read-only view of one column where rows have one depth each."""
        shape = self.image_srgb8.shape[:2]
        if self.depth_m is None:
            return ground_plane_depth_m(camera)
        if np.ndim(self.depth_m) == 2:
            return self._map_m
        return np.broadcast_to(np.float32(self.depth_m), shape)

    @cached_property
    def _map_m(self) -> Float[np.ndarray, "h w"]:
        return np.ascontiguousarray(self.depth_m, dtype=np.float32)

    def light_linear(self, highlight_linear: float = 1.0) -> Float[np.ndarray, "rows columns 3"]:
        """Mean linear light of a coarse grid of cells that spans the photograph; what it clips counts this much."""
        light, clipped = self._cell_light
        return light if highlight_linear == 1 else light + (highlight_linear - 1) * clipped

    @cached_property
    def _cell_light(self) -> Float[np.ndarray, "2 rows columns 3"]:
        return cell_light(self.image_srgb8)

    @cached_property
    def white_linear(self) -> float:
        """White of the photograph: the 95th percentile of its luminance (choice)."""
        return white_of(self.image_srgb8)


def ground_plane_depth_m(camera: Camera) -> Float[np.ndarray, "h w"]:
    """Depth prior for a photograph that comes without depth, float32 [m]: 1 / z = slope / 1.5 m + 1 / 60 m.

    `slope` is how far below the horizon a row looks, (y - principal_y_px) / f_px, bent smoothly to 0 above it:
    s ln(1 + exp(slope / s)), s = 0.05. A level camera 1.5 m over flat ground, nothing farther than 60 m, and no
    edge at a horizon that may lie elsewhere. A choice, for photographs about which nothing is known.
    """
    return np.broadcast_to(_ground_plane_column_m(camera)[:, None], (camera.height_px, camera.width_px))


@lru_cache(maxsize=16)
def _ground_plane_column_m(camera: Camera) -> Float[np.ndarray, "h"]:
    slope = (np.arange(camera.height_px) + 0.5 - camera.principal_y_px) / camera.focal_px
    bent = HORIZON_SOFTNESS * np.logaddexp(0, slope / HORIZON_SOFTNESS)
    return (1 / (bent / EYE_HEIGHT_M + 1 / PRIOR_FAR_M)).astype(np.float32)
