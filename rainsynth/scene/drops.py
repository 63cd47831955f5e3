"""The drops that one picture resolves: a Poisson sample of the camera's view volume.

A drop is resolved when its image is at least `min_streak_width_px` wide. The rest of the rain is a mean optical depth
(`unresolved_optical_depth`), so that resolved drops and veil together have the optical depth of all the rain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rainsynth.physics.drop_shape import axis_ratio, projected_area_ratio
from rainsynth.physics.drop_size import MAX_DIAMETER_MM, MIN_DIAMETER_MM, drop_density_per_m3_mm
from rainsynth.physics.extinction import extinction_per_km
from rainsynth.physics.fall_speed import fall_speed_m_s
from rainsynth.scene.camera import Camera
from rainsynth.scene.rain_event import RainEvent

DIAMETER_BINS = 400  # logarithmic, 1.1 % wide
TURBULENCE_REACH = 4  # drops beyond this many standard deviations of sideways speed may miss the frame's margin
NO_DROPS = np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Drops:
    """Resolved drops at the middle of the exposure; every array (n,) float64."""

    diameter_mm: Float[np.ndarray, "n"]
    x_m: Float[np.ndarray, "n"]
    y_m: Float[np.ndarray, "n"]
    z_m: Float[np.ndarray, "n"]
    velocity_x_m_s: Float[np.ndarray, "n"]
    velocity_y_m_s: Float[np.ndarray, "n"]
    velocity_z_m_s: Float[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.diameter_mm)


def horizontal_diameter_mm(diameter_mm: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Horizontal axis of a flattened drop, D (b/a)^(-1/3) [mm]."""
    return diameter_mm / np.cbrt(axis_ratio(diameter_mm))


def diameter_bins_mm() -> tuple[Float[np.ndarray, "bins"], Float[np.ndarray, "bins"]]:
    """(centre, width) of the diameter bins of every sum over a spectrum [mm]."""
    edges_mm = np.geomspace(MIN_DIAMETER_MM, MAX_DIAMETER_MM, DIAMETER_BINS + 1)
    return np.sqrt(edges_mm[1:] * edges_mm[:-1]), np.diff(edges_mm)


def farthest_resolved_m(
    diameter_mm: Float[np.ndarray, "n"], camera: Camera, min_streak_width_px: float
) -> Float[np.ndarray, "n"]:
    """Distance out to which a drop of `diameter_mm` is at least `min_streak_width_px` wide in the picture [m]."""
    return camera.focal_px * horizontal_diameter_mm(diameter_mm) * 1e-3 / min_streak_width_px


def sample_drops(
    event: RainEvent, camera: Camera, far_m: float, min_streak_width_px: float, rng: np.random.Generator
) -> Drops:
    """Resolved drops between `near_m` and `far_m` whose streaks may touch the picture.

    Their number in each bin of diameter is Poisson with mean N(D) dD times the volume in which such a drop is
    resolved: the view pyramid, widened on every side by what a drop travels in the exposure. Positions are uniform
    in that volume.
    """
    diameter_mm, width_mm = diameter_bins_mm()
    near_m = camera.near_m
    end_m = np.clip(farthest_resolved_m(diameter_mm, camera, min_streak_width_px), near_m, max(far_m, near_m))
    margins_m = _margins_m(diameter_mm, event, camera)
    section = _section_coefficients(camera, *margins_m)
    powers = np.arange(1, 4)
    parts_m3 = section * (end_m ** powers[:, None] - near_m ** powers[:, None]) / powers[:, None]
    density_per_m3 = drop_density_per_m3_mm(diameter_mm, event.rain_rate_mm_h, event.spectrum, event.normalize)
    expected = density_per_m3 * width_mm * parts_m3.sum(axis=0)
    counts = rng.poisson(expected)
    bins = np.repeat(np.arange(DIAMETER_BINS), counts)
    if len(bins) == 0:
        return Drops(*[NO_DROPS] * 7)

    z_m = _sample_distance_m(parts_m3[:, bins], near_m, end_m[bins], rng)
    half_ratio = np.sqrt(diameter_mm[1] / diameter_mm[0])
    drop_mm = diameter_mm[bins] * half_ratio ** rng.uniform(-1, 1, len(bins))
    left, right, top, bottom = _view_slopes(camera)
    margin_x_m, margin_y_m = margins_m[0][bins], margins_m[1][bins]
    x_m = rng.uniform(left * z_m - margin_x_m, right * z_m + margin_x_m)
    y_m = rng.uniform(top * z_m - margin_y_m, bottom * z_m + margin_y_m)
    sway_m_s = event.turbulence_m_s * np.clip(rng.standard_normal((2, len(bins))), -TURBULENCE_REACH, TURBULENCE_REACH)
    return Drops(
        diameter_mm=drop_mm,
        x_m=x_m,
        y_m=y_m,
        z_m=z_m,
        velocity_x_m_s=event.wind_m_s[0] + sway_m_s[0],
        velocity_y_m_s=fall_speed_m_s(np.clip(drop_mm, MIN_DIAMETER_MM, MAX_DIAMETER_MM)),
        velocity_z_m_s=event.wind_m_s[1] + sway_m_s[1],
    )


def unresolved_optical_depth(
    event: RainEvent, camera: Camera, depth_m: Float[np.ndarray, "n"], min_streak_width_px: float
) -> Float[np.ndarray, "n"]:
    """Mean optical depth from the lens to `depth_m` of all rain that is not drawn, and of mist.

    All rain has beta z. Resolved drops take their geometric part out of it, between `near_m` and the distance out
    to which each is resolved: 1e-6 pi/4 Int N(D) D^2 (b/a)^(1/3) (min(z, z_D) - near) dD.
    """
    total_per_km = extinction_per_km(event.rain_rate_mm_h, event.spectrum, event.normalize, event.q_ext)
    diameter_mm, width_mm = diameter_bins_mm()
    end_m = farthest_resolved_m(diameter_mm, camera, min_streak_width_px)
    density_per_m3 = drop_density_per_m3_mm(diameter_mm, event.rain_rate_mm_h, event.spectrum, event.normalize)
    area_m2 = 1e-6 * np.pi / 4 * diameter_mm**2 * projected_area_ratio(diameter_mm)
    per_m = density_per_m3 * width_mm * area_m2
    path_m = np.maximum(np.minimum(depth_m[:, None], end_m) - camera.near_m, 0)
    resolved = path_m @ per_m
    return np.maximum((total_per_km + event.mist_per_km) * 1e-3 * depth_m - resolved, 0)


def _margins_m(
    diameter_mm: Float[np.ndarray, "n"], event: RainEvent, camera: Camera
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """How far outside the view pyramid, sideways and upright, a drop may be at mid-exposure and still be seen [m]."""
    sway_m_s = TURBULENCE_REACH * event.turbulence_m_s
    half_exposure_s = camera.exposure_s / 2
    towards_m = half_exposure_s * (abs(event.wind_m_s[1]) + sway_m_s)  # the pyramid is wider where the drop ends
    size_m = 0.5e-3 * (horizontal_diameter_mm(diameter_mm) + camera.aperture_mm)
    widest_slope = np.abs(_view_slopes(camera)).max()
    margin_x_m = half_exposure_s * (abs(event.wind_m_s[0]) + sway_m_s) + size_m + towards_m * widest_slope
    margin_y_m = half_exposure_s * fall_speed_m_s(diameter_mm) + size_m + towards_m * widest_slope
    return margin_x_m, margin_y_m


def _view_slopes(camera: Camera) -> tuple[float, float, float, float]:
    """Left, right, top and bottom of the view pyramid per metre of distance, widened by defocus beyond the focus."""
    blur = 0.5e-3 * camera.aperture_mm / camera.focus_m
    return (
        -camera.principal_x_px / camera.focal_px - blur,
        (camera.width_px - camera.principal_x_px) / camera.focal_px + blur,
        -camera.principal_y_px / camera.focal_px - blur,
        (camera.height_px - camera.principal_y_px) / camera.focal_px + blur,
    )


def _section_coefficients(
    camera: Camera, margin_x_m: Float[np.ndarray, "n"], margin_y_m: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "3 n"]:
    """Coefficients c_k of the widened pyramid's cross-section c_0 + c_1 z + c_2 z^2 [m^2]."""
    left, right, top, bottom = _view_slopes(camera)
    wide, high = right - left, bottom - top
    return np.stack(
        [
            4 * margin_x_m * margin_y_m,
            2 * (wide * margin_y_m + high * margin_x_m),
            np.full_like(margin_x_m, wide * high),
        ]
    )


def _sample_distance_m(
    parts_m3: Float[np.ndarray, "3 n"], near_m: float, end_m: Float[np.ndarray, "n"], rng: np.random.Generator
) -> Float[np.ndarray, "n"]:
    """Distance drawn with density c_0 + c_1 z + c_2 z^2: pick a power by its volume, then invert that power's CDF."""
    pick = rng.uniform(size=len(end_m)) * parts_m3.sum(axis=0)
    power = 1.0 + (pick > parts_m3[0]) + (pick > parts_m3[0] + parts_m3[1])
    low, high = near_m**power, end_m**power
    return (low + (high - low) * rng.uniform(size=len(end_m))) ** (1 / power)
