"""The drops that one picture resolves: a Poisson sample of the camera's view volume.

A drop is resolved when its image is at least `min_streak_width_px` wide. The rest of the rain is a mean optical depth
(`unresolved_optical_depth`), so that resolved drops and veil together have the optical depth of all the rain.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from rainsynth.physics.drop_shape import axis_ratio, projected_area_ratio
from rainsynth.physics.drop_size import MAX_DIAMETER_MM, MIN_DIAMETER_MM, drop_density_per_m3_mm
from rainsynth.physics.extinction import extinction_per_km
from rainsynth.physics.fall_speed import fall_speed_m_s
from rainsynth.scene.camera import Camera
from rainsynth.scene.drop_places import place_drops, resolved_optical_depth, volumes_m3
from rainsynth.scene.rain_event import RainEvent

DIAMETER_BINS = 400  # logarithmic, 1.1 % wide
TURBULENCE_REACH = 4  # drops beyond this many standard deviations of sideways speed may miss the frame's margin


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


@dataclass(frozen=True, slots=True, eq=False)
class SizeBins:
    """Bins of diameter of every sum over a spectrum, and what all drops of a bin share; every array (400,) float64.

    `edge_fall_speed_m_s` (401,) belongs to the edges of the bins.
    """

    diameter_mm: Float[np.ndarray, "bins"]
    width_mm: Float[np.ndarray, "bins"]
    horizontal_mm: Float[np.ndarray, "bins"]
    vertical_mm: Float[np.ndarray, "bins"]
    area_m2: Float[np.ndarray, "bins"]
    fall_speed_m_s: Float[np.ndarray, "bins"]
    edge_fall_speed_m_s: Float[np.ndarray, "edges"]


@lru_cache(maxsize=1)
def size_bins() -> SizeBins:
    """The bins of diameter, 0.1 to 8 mm."""
    edges_mm = np.geomspace(MIN_DIAMETER_MM, MAX_DIAMETER_MM, DIAMETER_BINS + 1)
    diameter_mm = np.sqrt(edges_mm[1:] * edges_mm[:-1])
    horizontal_mm = horizontal_diameter_mm(diameter_mm)
    return SizeBins(
        diameter_mm=diameter_mm,
        width_mm=np.diff(edges_mm),
        horizontal_mm=horizontal_mm,
        vertical_mm=horizontal_mm * axis_ratio(diameter_mm),
        area_m2=1e-6 * np.pi / 4 * diameter_mm**2 * projected_area_ratio(diameter_mm),
        fall_speed_m_s=fall_speed_m_s(diameter_mm),
        edge_fall_speed_m_s=fall_speed_m_s(np.clip(edges_mm, MIN_DIAMETER_MM, MAX_DIAMETER_MM)),
    )


@lru_cache(maxsize=64)
def _drops_per_m3(rain_rate_mm_h: float, spectrum: str, normalize: bool) -> Float[np.ndarray, "bins"]:
    bins = size_bins()
    return drop_density_per_m3_mm(bins.diameter_mm, rain_rate_mm_h, spectrum, normalize) * bins.width_mm


def drops_per_m3(event: RainEvent) -> Float[np.ndarray, "bins"]:
    """Drops of each bin of diameter in a cubic metre of air [m^-3]."""
    return _drops_per_m3(event.rain_rate_mm_h, event.spectrum, event.normalize)


def horizontal_diameter_mm(diameter_mm: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Horizontal axis of a flattened drop, D (b/a)^(-1/3) [mm]."""
    return diameter_mm / np.cbrt(axis_ratio(diameter_mm))


def farthest_resolved_m(
    diameter_mm: Float[np.ndarray, "n"], camera: Camera, min_streak_width_px: float
) -> Float[np.ndarray, "n"]:
    """Distance out to which a drop of `diameter_mm` is at least `min_streak_width_px` wide in the picture [m]."""
    return camera.focal_px * horizontal_diameter_mm(diameter_mm) * 1e-3 / min_streak_width_px


def resolved_ends_m(camera: Camera, min_streak_width_px: float) -> Float[np.ndarray, "bins"]:
    """Distance out to which the drops of each bin are resolved, at least the near limit [m]."""
    return np.maximum(camera.focal_px * 1e-3 / min_streak_width_px * size_bins().horizontal_mm, camera.near_m)


def sample_drops(
    event: RainEvent, camera: Camera, far_m: float, min_streak_width_px: float, rng: np.random.Generator
) -> Drops:
    """Resolved drops between `near_m` and `far_m` whose streaks may touch the picture.

    Their number in each bin of diameter is Poisson with mean N(D) dD times the volume in which such a drop is
    resolved: the view pyramid, widened on every side by what a drop travels in the exposure. Positions are uniform
    in that volume.
    """
    bins = size_bins()
    end_m = np.minimum(resolved_ends_m(camera, min_streak_width_px), max(far_m, camera.near_m))
    margins_m = margins_m_of(event, camera)
    slopes = np.array(view_slopes(camera))
    parts_m3 = volumes_m3(camera.near_m, end_m, margins_m, slopes)
    counts = rng.poisson(drops_per_m3(event) * parts_m3.sum(axis=0))
    key = np.uint64(rng.integers(2**63))
    columns = np.empty((7, int(counts.sum())))
    place_drops(
        columns,
        key,
        counts,
        parts_m3,
        camera.near_m,
        end_m,
        margins_m,
        slopes,
        bins.diameter_mm,
        bins.edge_fall_speed_m_s,
        event.turbulence_m_s,
        *event.wind_m_s,
    )
    return Drops(*columns)


def unresolved_optical_depth(
    event: RainEvent, camera: Camera, depth_m: Float[np.ndarray, "n"], min_streak_width_px: float
) -> Float[np.ndarray, "n"]:
    """Mean optical depth from the lens to `depth_m` of all rain that is not drawn, and of mist.

    All rain has beta z. Resolved drops take their geometric part out of it, between `near_m` and the distance out
    to which each is resolved: 1e-6 pi/4 Int N(D) D^2 (b/a)^(1/3) (min(z, z_D) - near) dD.
    """
    total_per_km = extinction_per_km(event.rain_rate_mm_h, event.spectrum, event.normalize, event.q_ext)
    end_m = resolved_ends_m(camera, min_streak_width_px)
    resolved = resolved_optical_depth(depth_m, drops_per_m3(event) * size_bins().area_m2, float(camera.near_m), end_m)
    return np.maximum((total_per_km + event.mist_per_km) * 1e-3 * depth_m - resolved, 0)


def margins_m_of(event: RainEvent, camera: Camera) -> Float[np.ndarray, "2 bins"]:
    """How far outside the view pyramid, sideways and upright, a drop may be at mid-exposure and still be seen [m]."""
    bins = size_bins()
    sway_m_s = TURBULENCE_REACH * event.turbulence_m_s
    half_exposure_s = camera.exposure_s / 2
    towards_m = half_exposure_s * (abs(event.wind_m_s[1]) + sway_m_s)  # the pyramid is wider where the drop ends
    margins_m = np.empty((2, DIAMETER_BINS))
    margins_m[:] = 0.5e-3 * (bins.horizontal_mm + camera.aperture_mm) + towards_m * max(map(abs, view_slopes(camera)))
    margins_m[0] += half_exposure_s * (abs(event.wind_m_s[0]) + sway_m_s)
    margins_m[1] += half_exposure_s * bins.fall_speed_m_s
    return margins_m


def view_slopes(camera: Camera) -> tuple[float, float, float, float]:
    """Left, right, top and bottom of the view pyramid per metre of distance, widened by defocus beyond the focus."""
    blur = 0.5e-3 * camera.aperture_mm / camera.focus_m
    return (
        -camera.principal_x_px / camera.focal_px - blur,
        (camera.width_px - camera.principal_x_px) / camera.focal_px + blur,
        -camera.principal_y_px / camera.focal_px - blur,
        (camera.height_px - camera.principal_y_px) / camera.focal_px + blur,
    )
