"""The light of drops against geometric optics of a sphere of water, and what any mean of the scene must obey."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rainsynth.color import decode
from rainsynth.optics.drop_light import drop_light, drop_light_at, estimated_sky_linear
from rainsynth.optics.refracted_view import fresnel_reflectance, refraction_kernel
from rainsynth.scene.camera import Camera

WATER = 1.333


def trace_through_sphere(rho: float) -> float:
    """Angle [rad] between a ray that hits a sphere of water at height rho and the ray that leaves it, by vectors."""

    def refract(direction: np.ndarray, normal: np.ndarray, ratio: float) -> np.ndarray:
        cos_in = -direction @ normal
        sin2_out = ratio**2 * (1 - cos_in**2)
        return ratio * direction + (ratio * cos_in - np.sqrt(1 - sin2_out)) * normal

    direction = np.array([1.0, 0.0])
    entry = np.array([-np.sqrt(1 - rho**2), rho])
    inside = refract(direction, entry, 1 / WATER)
    leave = entry - 2 * (entry @ inside) * inside
    outside = refract(inside, -leave, WATER)
    return float(np.arccos(np.clip(outside @ direction, -1, 1)))


def angle_and_weight(focal_cells: float) -> tuple[np.ndarray, np.ndarray]:
    """Angle off the line of sight [deg] of every cell of the kernel, and its weight; ascending angle."""
    kernel = refraction_kernel(focal_cells)
    reach = kernel.shape[0] // 2
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    angle_deg = np.degrees(np.arctan(np.hypot(x, y) / focal_cells)).ravel()
    order = np.argsort(angle_deg)
    return angle_deg[order], kernel.ravel()[order]


@pytest.mark.parametrize("focal_cells", [1.0, 3.2, 10.0, 26.0])
def test_the_refracted_view_adds_up_to_one_and_is_round(focal_cells):
    kernel = refraction_kernel(focal_cells)
    assert kernel.sum() == pytest.approx(1, abs=1e-12)
    assert kernel.min() >= 0
    np.testing.assert_allclose(kernel, kernel.T, atol=1e-15)
    np.testing.assert_allclose(kernel, kernel[::-1], atol=1e-15)


@pytest.mark.parametrize("focal_cells", [10.0, 26.0])
def test_the_refracted_view_has_the_angles_of_rays_traced_through_a_sphere(focal_cells):
    # Rays over the drop's disc, weighted by what two water surfaces let through, and by the kernel's end at 65
    # degrees: half of the light comes from within 24.1 degrees (25.9 of the disc, were nothing reflected).
    rho = np.sqrt((np.arange(4000) + 0.5) / 4000)  # equal areas of the disc
    traced_deg = np.degrees([trace_through_sphere(r) for r in rho])
    weight = (1 - fresnel_reflectance(rho)) ** 2 * (traced_deg < 65)
    angle_deg, kernel = angle_and_weight(focal_cells)
    for share in (0.1, 0.25, 0.5, 0.75, 0.9):
        traced = np.interp(share, np.cumsum(weight) / weight.sum(), traced_deg)
        rendered = np.interp(share, np.cumsum(kernel), angle_deg)
        assert rendered == pytest.approx(traced, abs=2.0 if focal_cells < 20 else 0.8)  # a third of a cell
    assert np.interp(0.5, np.cumsum(weight) / weight.sum(), traced_deg) == pytest.approx(24.1, abs=0.2)


def test_a_drop_shows_a_view_165_degrees_wide():
    # The rim ray: 2 (90 - asin(1 / 1.333)) = 82.8 degrees off the line of sight (Garg & Nayar 2004: 165 degrees).
    assert 2 * np.degrees(trace_through_sphere(1 - 1e-9)) == pytest.approx(165, abs=1)


def test_water_reflects_as_fresnel_says():
    # Normal incidence ((n - 1) / (n + 1))^2 = 2.04 %; grazing 1; 60 degrees 5.9 % (Hecht, Optics, water).
    reflectance = fresnel_reflectance(np.array([0.0, np.sin(np.radians(60)), 1.0]))
    np.testing.assert_allclose(reflectance, [0.0204, 0.0596, 1.0], atol=5e-4)


def drop_light_grid(scene: np.ndarray, camera: Camera, sky_linear: float) -> np.ndarray:
    return drop_light(scene, camera, sky_linear)[0]


def below_the_horizon(width_px: int, height_px: int, fov_deg: float) -> Camera:
    """A camera that looks steeply down, so that nothing above its picture is sky."""
    return replace(Camera.from_fov(width_px, height_px, fov_deg), principal_y_px=-1e7)


@pytest.mark.parametrize(
    ("width_px", "height_px", "fov_deg"), [(64, 48, 50.0), (90, 5, 120.0), (7, 60, 5.0), (1, 1, 50.0)]
)
def test_in_a_uniform_scene_a_drop_cannot_be_seen(width_px, height_px, fov_deg):
    scene = np.broadcast_to(np.array([0.2, 0.4, 0.6], dtype=np.float32), (height_px, width_px, 3)).copy()
    grid = drop_light_grid(scene, below_the_horizon(width_px, height_px, fov_deg), sky_linear=5.0)
    np.testing.assert_allclose(grid, np.broadcast_to(scene[:1, :1], grid.shape), atol=1e-5)


def test_drop_light_lies_between_the_darkest_and_the_brightest_of_scene_and_sky(bundled_photo):
    scene = decode(bundled_photo)
    grid = drop_light_grid(scene, Camera.from_fov(512, 512), sky_linear=2.0)
    assert grid.min() >= scene.min()
    assert grid.max() <= 2.0


def test_drop_light_is_local():
    # A bright wall on the left raises the light of drops before it more than of drops before the dark right.
    scene = np.full((100, 200, 3), 0.05, dtype=np.float32)
    scene[:, :40] = 1.0
    row = drop_light_grid(scene, Camera.from_fov(200, 100, 90.0), sky_linear=0.1)[-1, :, 0]
    assert np.all(np.diff(row) < 1e-6)
    assert row[0] > 3 * row[-1]


def test_a_lamp_raises_the_light_near_it_more_than_far_from_it():
    camera = Camera.from_fov(240, 120, 90.0)
    dark = np.full((120, 240, 3), 0.05, dtype=np.float32)
    lit = dark.copy()
    lit[50:70, 40:60] = 1.0
    raised = (drop_light_grid(lit, camera, 0.2) - drop_light_grid(dark, camera, 0.2))[..., 0]
    peak = np.unravel_index(raised.argmax(), raised.shape)
    cell_px = 240 / raised.shape[1]
    assert abs((peak[1] + 0.5) * cell_px - 50) <= cell_px  # brightest before the lamp, to a cell
    assert abs((peak[0] + 0.5) * cell_px - 60) <= cell_px
    assert raised.max() > 5 * raised[:, -1].max()


def test_drops_are_brighter_towards_the_sky():
    grid = drop_light_grid(np.full((60, 80, 3), 0.1, dtype=np.float32), Camera.from_fov(80, 60), sky_linear=3.0)
    column = grid.mean(axis=(1, 2))
    assert np.all(np.diff(column) < 0)
    # Under a bright sky over dark ground, a drop is brighter than what it hides: the look of rain.
    assert column[-1] > 0.1


def test_light_scales_with_the_light_of_scene_and_sky():
    scene = np.random.default_rng(0).uniform(0, 0.5, (40, 50, 3)).astype(np.float32)
    camera = Camera.from_fov(50, 40)
    once, twice = drop_light_grid(scene, camera, 1.0), drop_light_grid(2 * scene, camera, 2.0)
    np.testing.assert_allclose(twice, 2 * once, rtol=1e-5)


def test_the_sky_of_a_white_photograph_is_9_7_of_its_white():
    # CIE overcast sky L = Lz (1 + 2 sin e) / 3: horizontal illuminance 7/9 pi Lz, so white paper has 7/9 Lz.
    elevation = (np.arange(20000) + 0.5) / 20000 * np.pi / 2
    luminance = (1 + 2 * np.sin(elevation)) / 3
    illuminance = np.sum(luminance * np.sin(elevation) * np.cos(elevation) * 2 * np.pi) * (np.pi / 2 / 20000)
    assert illuminance == pytest.approx(7 / 9 * np.pi, rel=1e-6)
    assert estimated_sky_linear(np.ones((10, 10, 3), dtype=np.float32)) == pytest.approx(np.pi / illuminance, rel=1e-5)


def test_a_drop_sees_as_much_of_the_cie_sky_as_rays_traced_to_it():
    # A black scene under a sky of zenith 1. Rays of a drop before the middle of the top row of cells end in the sky if
    # they pass the top edge of the picture, at the luminance (1 + 2 sin elevation) / 3.
    camera = Camera.from_fov(100, 80, 50.0)
    grid = drop_light_grid(np.zeros((80, 100, 3), dtype=np.float32), camera, sky_linear=1.0)
    rho = np.sqrt((np.arange(2000) + 0.5) / 2000)
    angle_rad = np.array([trace_through_sphere(r) for r in rho])
    weight = (1 - fresnel_reflectance(rho)) ** 2 * (angle_rad < np.radians(65))
    turn = (np.arange(720) + 0.5) / 720 * 2 * np.pi
    up_px = camera.principal_y_px - 80 / grid.shape[0] / 2
    ray_up = up_px + camera.focal_px * np.tan(angle_rad)[:, None] * np.sin(turn)
    ray_right = camera.focal_px * np.tan(angle_rad)[:, None] * np.cos(turn)
    sine = ray_up / np.sqrt(ray_up**2 + ray_right**2 + camera.focal_px**2)
    sky = np.where(ray_up > camera.principal_y_px, (1 + 2 * sine) / 3, 0).mean(axis=1)
    traced = 0.94 * np.sum(weight * sky) / weight.sum()
    # Cells of a 24th of the picture: 2 %.
    assert grid[0, grid.shape[1] // 2, 0] == pytest.approx(traced, rel=0.03)


def test_there_is_no_sky_below_the_horizon():
    # Of a picture that lies wholly below the horizon, what is just above it is more ground, not sky.
    scene = np.full((40, 40, 3), 0.1, dtype=np.float32)
    camera = Camera.from_fov(400, 400, 20.0).window(360, 180, 40, 40)
    dark, bright = (drop_light_grid(scene, camera, sky_linear=sky) for sky in (0.1, 10.0))
    assert camera.principal_y_px == -160  # the sky begins 160 px, 8 degrees, above its upper edge
    ground_only = drop_light_grid(scene, replace(camera, principal_y_px=-1e7), sky_linear=10.0)
    np.testing.assert_allclose(ground_only, 0.1, atol=1e-5)
    assert np.all(bright > dark)
    assert np.all(bright[-1] <= bright[0])


def test_airlight_is_the_drop_light_along_the_horizon():
    scene = np.random.default_rng(0).uniform(0, 1, (20, 40, 3))
    camera = Camera.from_fov(400, 200)
    row = drop_light_at(scene, camera, 1.0, np.array([100.0]), np.linspace(0, 400, 101))[0]
    np.testing.assert_allclose(drop_light(scene, camera, 1.0)[1], row.mean(axis=0), rtol=0.01)
    below = camera.window(120, 0, 80, 400)  # the horizon lies above this window: its upper edge is the nearest to it
    top = drop_light_at(scene, below, 1.0, np.array([0.0]), np.linspace(0, 400, 101))[0]
    np.testing.assert_allclose(drop_light(scene, below, 1.0)[1], top.mean(axis=0), rtol=0.01)
