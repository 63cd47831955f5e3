"""The sampled drops: their number, sizes, places and velocities against integrals of the spectrum."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import kstest, norm

from rainsynth.optics.streak import project
from rainsynth.physics import axis_ratio, drop_density_per_m3_mm, fall_speed_m_s
from rainsynth.scene.camera import Camera
from rainsynth.scene.drops import Drops, farthest_resolved_m, sample_drops
from rainsynth.scene.rain_event import RainEvent

NEAR_M, FAR_M = 0.5, 20.0

# 1920 x 1080 px, 50 degrees across, drops of published Marshall-Palmer between 0.5 and 20 m inside the frame:
# R [mm/h] -> how many have an image f D / z of at least 1, 0.5 and 0.25 px (D the equal-volume diameter).
DROP_COUNTS = {
    5.0: (901, 7.4e3, 58e3),
    25.0: (3.6e3, 28.7e3, 203e3),
    50.0: (6.4e3, 51e3, 336e3),
    100.0: (11.5e3, 91e3, 540e3),
    200.0: (20.6e3, 159e3, 842e3),
}
WIDTHS_PX = (1.0, 0.5, 0.25)


def hd_camera(**options: float) -> Camera:
    return Camera.from_fov(1920, 1080, 50.0, **({"near_m": NEAR_M, "exposure_s": 1e-6} | options))


def calm(rate_mm_h: float, **options: object) -> RainEvent:
    return RainEvent(**({"rain_rate_mm_h": rate_mm_h, "normalize": False, "turbulence_m_s": 0.0} | options))


def inside_frame(drops: Drops, camera: Camera) -> np.ndarray:
    x_px = camera.principal_x_px + camera.focal_px * drops.x_m / drops.z_m
    y_px = camera.principal_y_px + camera.focal_px * drops.y_m / drops.z_m
    return (x_px >= 0) & (x_px <= camera.width_px) & (y_px >= 0) & (y_px <= camera.height_px)


def expected_count(rate_mm_h: float, camera: Camera, width_px: float) -> float:
    """Int N(D) V(D) dD: V is the view pyramid between NEAR_M and where f D / z falls under `width_px`, by hand."""
    slope_per_mm = 4.1 * rate_mm_h**-0.21

    def integrand(diameter_mm: float) -> float:
        end_m = min(max(camera.focal_px * diameter_mm * 1e-3 / width_px, NEAR_M), FAR_M)
        section = camera.width_px * camera.height_px / camera.focal_px**2
        return 8000 * np.exp(-slope_per_mm * diameter_mm) * section * (end_m**3 - NEAR_M**3) / 3

    kinks_mm = [min(7.9, 1e3 * z_m * width_px / camera.focal_px) for z_m in (NEAR_M, FAR_M)]
    return quad(integrand, 0.1, 8.0, points=kinks_mm, limit=300)[0]


@pytest.mark.parametrize("rate_mm_h", DROP_COUNTS)
def test_the_expected_counts_by_quadrature_are_those_of_the_table(rate_mm_h):
    # The table rounds to two or three digits and lets drops grow beyond 8 mm (0.6 % of those over 1 px at 200 mm/h).
    counts = [expected_count(rate_mm_h, hd_camera(), width_px) for width_px in WIDTHS_PX]
    np.testing.assert_allclose(counts, DROP_COUNTS[rate_mm_h], rtol=0.015)


@pytest.mark.parametrize("rate_mm_h", DROP_COUNTS)
def test_as_many_drops_are_sampled_as_the_spectrum_holds(rate_mm_h):
    # With no exposure to speak of the sampled volume is the view pyramid, but for the margin of a drop's own size.
    # A drop is sampled by its horizontal axis, which is wider than D, so every drop of the table is among them.
    camera = hd_camera()
    drops = sample_drops(calm(rate_mm_h), camera, FAR_M, min(WIDTHS_PX), np.random.default_rng(int(rate_mm_h)))
    width_px = camera.focal_px * 1e-3 * drops.diameter_mm / drops.z_m
    seen = inside_frame(drops, camera) & (drops.z_m >= NEAR_M) & (drops.z_m <= FAR_M)
    for least_px in WIDTHS_PX:
        expected = expected_count(rate_mm_h, camera, least_px)
        # Poisson: four standard deviations; 0.3 % for the bins of 1.1 % in diameter.
        assert np.sum(seen & (width_px >= least_px)) == pytest.approx(expected, abs=4 * expected**0.5, rel=3e-3)


def test_the_number_of_drops_is_poisson():
    camera = hd_camera()
    counts = [len(sample_drops(calm(5.0), camera, FAR_M, 2.0, np.random.default_rng(seed))) for seed in range(400)]
    # Variance over mean of 400 Poisson numbers is 1 with a standard deviation of sqrt(2 / 399) = 0.07.
    assert np.var(counts) / np.mean(counts) == pytest.approx(1, abs=0.25)


@pytest.fixture(scope="module")
def volume_sample() -> tuple[Drops, Camera]:
    """Drops over 1.5 mm that are inside the frame, each resolved as far as 10 m: a plain sample of the pyramid."""
    camera = hd_camera(exposure_s=1 / 30)
    drops = sample_drops(calm(50.0), camera, 10.0, 0.25, np.random.default_rng(3))
    keep = inside_frame(drops, camera) & (drops.diameter_mm > 1.5)
    assert farthest_resolved_m(np.array([1.5]), camera, 0.25)[0] > 10.0
    assert keep.sum() > 20_000
    kept = {name: getattr(drops, name)[keep] for name in Drops.__dataclass_fields__}
    return Drops(**kept), camera


# Kolmogorov-Smirnov on a fixed seed: p under 1e-3 would be one chance in a thousand, and here is a bug.


def test_drops_are_uniform_over_the_distance_cubed(volume_sample):
    drops, _ = volume_sample
    assert kstest((drops.z_m**3 - NEAR_M**3) / (10.0**3 - NEAR_M**3), "uniform").pvalue > 1e-3


def test_drops_are_uniform_over_the_picture(volume_sample):
    drops, camera = volume_sample
    x_px = camera.principal_x_px + camera.focal_px * drops.x_m / drops.z_m
    y_px = camera.principal_y_px + camera.focal_px * drops.y_m / drops.z_m
    assert kstest(x_px / camera.width_px, "uniform").pvalue > 1e-3
    assert kstest(y_px / camera.height_px, "uniform").pvalue > 1e-3
    # and independent of each other, of the distance and of the size: |r| sqrt(n) is standard normal
    table = np.corrcoef([x_px, y_px, drops.z_m, drops.diameter_mm])
    assert np.abs(table[np.triu_indices(4, 1)]).max() * np.sqrt(len(drops)) < 4


def test_drop_sizes_follow_the_spectrum(volume_sample):
    drops, _ = volume_sample
    slope_per_mm = 4.1 * 50.0**-0.21
    tail = np.exp(-slope_per_mm * np.array([1.5, 8.0]))
    cumulated = (tail[0] - np.exp(-slope_per_mm * drops.diameter_mm)) / (tail[0] - tail[1])
    assert kstest(cumulated, "uniform").pvalue > 1e-3


@pytest.mark.parametrize("spectrum", ["best", "gamma", "joss-drizzle"])
def test_sizes_of_every_spectrum_follow_its_density(spectrum):
    camera = hd_camera()
    event = calm(20.0, spectrum=spectrum, normalize=True)
    drops = sample_drops(event, camera, 3.0, 0.25, np.random.default_rng(5))
    least_mm = 3.0 * 0.26 / camera.focal_px * 1e3  # resolved everywhere up to 3 m
    sizes_mm = drops.diameter_mm[inside_frame(drops, camera) & (drops.diameter_mm > least_mm)]
    grid_mm = np.geomspace(least_mm, 8.0, 4000)
    density = drop_density_per_m3_mm(grid_mm, 20.0, spectrum)
    steps = 0.5 * (density[1:] + density[:-1]) * np.diff(grid_mm)
    cumulated = np.concatenate([[0.0], np.cumsum(steps)]) / steps.sum()
    assert len(sizes_mm) > 1000
    assert kstest(np.interp(sizes_mm, grid_mm, cumulated), "uniform").pvalue > 1e-3


def test_every_drop_falls_with_the_speed_of_its_own_size(volume_sample):
    # Other renderers use one residence time for all drops.
    drops, _ = volume_sample
    # Speeds are interpolated within a bin of 1.1 % in diameter: 2e-5, and 2e-4 where Beard passes from small to large.
    np.testing.assert_allclose(drops.velocity_y_m_s, fall_speed_m_s(drops.diameter_mm), rtol=5e-4)


def test_every_drop_is_as_flat_as_its_own_size_says(volume_sample):
    drops, camera = volume_sample
    streaks = project(drops, camera)
    ratio = axis_ratio(drops.diameter_mm)
    np.testing.assert_allclose(streaks.height_px / streaks.width_px, ratio, rtol=1e-12)
    sphere_px2 = np.pi / 4 * (camera.focal_px * 1e-3 * drops.diameter_mm / drops.z_m) ** 2
    np.testing.assert_allclose(streaks.area_px2 / sphere_px2, ratio ** (1 / 3), rtol=1e-12)
    width_px = camera.focal_px * 1e-3 * drops.diameter_mm * ratio ** (-1 / 3) / drops.z_m
    np.testing.assert_allclose(streaks.width_px, width_px, rtol=1e-12)


def test_wind_carries_the_drops_and_turbulence_sways_them():
    event = calm(50.0, wind_m_s=(6.0, -2.0), turbulence_m_s=0.5)
    drops = sample_drops(event, hd_camera(), FAR_M, 0.5, np.random.default_rng(8))
    error = 4 * 0.5 / np.sqrt(len(drops))  # four standard errors
    assert drops.velocity_x_m_s.mean() == pytest.approx(6.0, abs=error)
    assert drops.velocity_z_m_s.mean() == pytest.approx(-2.0, abs=error)
    assert kstest((drops.velocity_x_m_s - 6.0) / 0.5, norm.cdf).pvalue > 1e-3
    assert abs(np.corrcoef(drops.velocity_x_m_s, drops.velocity_z_m_s)[0, 1]) * np.sqrt(len(drops)) < 4


def test_wind_slants_every_streak_by_wind_over_fall_speed():
    camera = hd_camera(exposure_s=1 / 100)
    drops = sample_drops(calm(50.0, wind_m_s=(4.0, 0.0)), camera, FAR_M, 1.0, np.random.default_rng(2))
    streaks = project(drops, camera)
    slope = (streaks.end_x_px - streaks.start_x_px) / (streaks.end_y_px - streaks.start_y_px)
    np.testing.assert_allclose(slope, 4.0 / fall_speed_m_s(drops.diameter_mm), rtol=5e-4)


def test_wind_along_the_view_makes_streaks_meet_in_the_vanishing_point():
    # Straight parallel paths in space vanish at principal point + f (vx, vy) / vz; for one drop size it is one point.
    camera = hd_camera(exposure_s=1 / 100)
    drops = sample_drops(calm(50.0, wind_m_s=(1.0, 5.0)), camera, FAR_M, 1.0, np.random.default_rng(2))
    streaks = project(drops, camera)
    vanish_x = camera.principal_x_px + camera.focal_px * drops.velocity_x_m_s / drops.velocity_z_m_s
    vanish_y = camera.principal_y_px + camera.focal_px * drops.velocity_y_m_s / drops.velocity_z_m_s
    along = np.array([streaks.end_x_px - streaks.start_x_px, streaks.end_y_px - streaks.start_y_px])
    towards = np.array([vanish_x - streaks.start_x_px, vanish_y - streaks.start_y_px])
    cross = along[0] * towards[1] - along[1] * towards[0]
    scale = np.hypot(*along) * np.hypot(*towards)
    np.testing.assert_allclose(cross / scale, 0, atol=1e-9)


def test_a_dry_or_closed_scene_has_no_drops():
    assert len(sample_drops(calm(0.0), hd_camera(), FAR_M, 0.25, np.random.default_rng(0))) == 0
    assert len(sample_drops(calm(100.0), hd_camera(), 0.4, 0.25, np.random.default_rng(0))) == 0  # a wall before NEAR_M


def test_a_window_of_the_camera_sees_its_share_of_the_drops():
    camera = hd_camera()
    window = camera.window(100, 1200, 540, 480)  # an eighth of the picture, off the axis
    event = calm(50.0)
    whole = sample_drops(event, camera, FAR_M, 0.5, np.random.default_rng(0))
    parts = [sample_drops(event, window, FAR_M, 0.5, np.random.default_rng(seed)) for seed in range(8)]
    part = sum(int(inside_frame(drops, window).sum()) for drops in parts)
    whole_count = int(inside_frame(whole, camera).sum())
    assert part == pytest.approx(whole_count, abs=4 * np.sqrt(part + whole_count))
