"""Size and light of streaks in the picture, and the optical depth of drawn and undrawn rain together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rainsynth.color import decode, linear_to_srgb, srgb_to_linear
from rainsynth.compositing import compose, compose_veiled, spread_grid
from rainsynth.layer_steps import to_unit16
from rainsynth.optics.defocus import circle_of_confusion_px
from rainsynth.optics.rasterize import coverage_sum, unhidden_fraction
from rainsynth.optics.streak import project
from rainsynth.physics import axis_ratio, extinction_per_km, fall_speed_m_s
from rainsynth.render import MIN_STREAK_WIDTH_PX, render_rain
from rainsynth.scene.background import Background
from rainsynth.scene.camera import Camera
from rainsynth.scene.drops import Drops, sample_drops, unresolved_optical_depth
from rainsynth.scene.rain_event import RainEvent
from rainsynth.sensor import SensorNoise


def one_drop(diameter_mm: float, z_m: float) -> Drops:
    """A drop that falls through the optical axis."""
    size = np.array([diameter_mm])
    zero = np.zeros(1)
    return Drops(
        diameter_mm=size,
        x_m=zero,
        y_m=zero,
        z_m=np.array([z_m]),
        velocity_x_m_s=zero,
        velocity_y_m_s=fall_speed_m_s(size),
        velocity_z_m_s=zero,
    )


def camera_of(focal_px: float, size_px: int, **options: float) -> Camera:
    centre = {"principal_x_px": size_px / 2, "principal_y_px": size_px / 2}
    return Camera(width_px=size_px, height_px=size_px, focal_px=focal_px, **centre, **options)


# ------------------------------ size of one streak


def test_a_2_mm_drop_at_5_m_has_the_length_and_width_of_the_hand_check():
    # f_px 1000, T 1/60 s, v(2 mm) = 6.49 m/s (Gunn & Kinzer): l = f v T / z = 21.6 px, f D / z = 0.40 px.
    streaks = project(one_drop(2.0, 5.0), camera_of(1000.0, 64, exposure_s=1 / 60))
    length_px = np.hypot(streaks.end_x_px - streaks.start_x_px, streaks.end_y_px - streaks.start_y_px)[0]
    assert length_px == pytest.approx(21.6, rel=0.005)  # Beard's speed is 0.25 % above the measured one
    # The image is as wide as the horizontal axis D (b/a)^(-1/3), b/a = 0.928 (Beard & Chuang).
    assert streaks.width_px[0] == pytest.approx(0.40 * 0.928 ** (-1 / 3), rel=1e-3)
    assert streaks.height_px[0] == pytest.approx(0.40 * 0.928 ** (2 / 3), rel=1e-3)


@pytest.mark.parametrize(("diameter_mm", "residence_ms"), [(1.0, 0.248), (2.0, 0.308), (3.0, 0.372), (5.0, 0.550)])
def test_a_drop_stays_before_a_point_for_its_diameter_over_its_speed(diameter_mm, residence_ms):
    # tau = D / v with Gunn & Kinzer's speeds; Beard's are within 0.7 %.
    size = np.array([diameter_mm])
    assert (size / fall_speed_m_s(size))[0] == pytest.approx(residence_ms, rel=0.007)


@pytest.mark.parametrize(("z_m", "blur_px"), [(0.5, 2.37), (1.0, 1.08), (2.0, 0.43), (6.0, 0.0), (20.0, 0.15)])
def test_defocus_has_the_thin_lens_circle_of_confusion(z_m, blur_px):
    # f^2 |z - zf| / (N z (zf - f)) / pitch with f 6 mm, N 6, zf 6 m, 4.65 um pixels: two decimals, and the
    # renderer's neglect of f against zf lowers it by 0.1 %.
    camera = camera_of(6e-3 / 4.65e-6, 512, aperture_mm=1.0, focus_m=6.0)
    assert circle_of_confusion_px(camera, np.array([z_m]))[0] == pytest.approx(blur_px, abs=0.008)


def test_defocus_agrees_with_the_exact_lens_formula():
    f_m, f_number, focus_m, pitch_m = 0.05, 2.8, 5.0, 4e-6
    z_m = np.geomspace(0.5, 50, 20)
    exact_px = f_m**2 * np.abs(z_m - focus_m) / (f_number * z_m * (focus_m - f_m)) / pitch_m
    camera = camera_of(f_m / pitch_m, 4000, aperture_mm=1e3 * f_m / f_number, focus_m=focus_m)
    # Low by f / zf = 1 % for a 50 mm lens focused at 5 m.
    np.testing.assert_allclose(circle_of_confusion_px(camera, z_m), exact_px * (1 - f_m / focus_m), rtol=1e-6)


def test_blur_widens_a_drop_and_keeps_its_light():
    sharp = project(one_drop(3.0, 1.0), camera_of(2000.0, 64, aperture_mm=0.0))
    blurred = project(one_drop(3.0, 1.0), camera_of(2000.0, 64, aperture_mm=4.0, focus_m=10.0))
    assert blurred.width_px[0] == pytest.approx(np.hypot(sharp.width_px[0], 2000 * 4e-3 * 0.9), rel=1e-9)
    assert blurred.area_px2[0] == sharp.area_px2[0]


def test_a_drop_blown_along_the_view_covers_too_little_by_the_square_of_its_path_over_twice_its_distance():
    # Its image grows as 1 / z^2 while it comes nearer: the mean over a path l about z is 1 / (1 - (l / 2z)^2) of that
    # in the middle. 10 m/s for 1/30 s at 1 m: 2.9 %.
    drop = replace(one_drop(2.0, 1.0), velocity_z_m_s=np.array([-10.0]))
    kept = project(drop, camera_of(1000.0, 64, exposure_s=1 / 30)).area_px2[0]
    times_s = (np.arange(1000) + 0.5) / 1000 / 30 - 1 / 60
    moments = [project(one_drop(2.0, 1.0 - 10 * t), camera_of(1000.0, 64, exposure_s=1e-6)) for t in times_s]
    assert np.mean([streak.area_px2[0] for streak in moments]) / kept - 1 == pytest.approx(0.029, abs=5e-4)


# ------------------------------ light of one streak


@pytest.mark.parametrize("diameter_mm", [1.0, 2.0, 3.0, 5.0])
def test_a_streak_changes_the_picture_linearly_with_slope_minus_tau_over_t(diameter_mm):
    """Garg & Nayar: I = (1 - tau/T) B + (tau/T) E in linear light; tau = b / v on the streak's middle line."""
    focal_px, z_m, exposure_s = 6000.0, 1.0, 1 / 300
    camera = camera_of(focal_px, 129, exposure_s=exposure_s)
    depth_m = np.full((129, 129), 10.0, dtype=np.float32)
    alpha16 = to_unit16(1 - unhidden_fraction(project(one_drop(diameter_mm, z_m), camera), depth_m))
    drop_light = np.full((1, 1, 3), 0.5, dtype=np.float32)
    clear = np.full((129, 129), 65535, dtype=np.uint16)
    background, change = [], []
    for code in range(0, 256, 3):
        flat = np.full((129, 129, 3), code, dtype=np.uint8)
        rainy = compose(flat, clear, np.zeros(3, dtype=np.float32), alpha16, drop_light, SensorNoise())
        background.append(float(decode(flat)[64, 64, 0]))
        # Mean over a stretch of the streak's middle line
        change.append(float(decode(rainy)[54:75, 64].astype(np.float64).mean()) - background[-1])
    slope, offset = np.polyfit(background, change, 1)
    vertical_m = 1e-3 * diameter_mm * float(axis_ratio(np.array([diameter_mm]))[0]) ** (2 / 3)
    tau_s = vertical_m / float(fall_speed_m_s(np.array([diameter_mm]))[0])
    # 8-bit codes are the error: half a code on one of 86 levels is 0.3 % of the slope.
    assert slope == pytest.approx(-tau_s / exposure_s, rel=0.02)
    assert -offset / slope == pytest.approx(0.5, abs=0.01)  # the background that rain does not change is E


def test_rain_brightens_the_dark_and_darkens_the_bright():
    # alpha 0.06 of a drop at 0.5 linear moves codes 0/64/128/192/240 by +48/+15/+5/-0.3/-2.7 (by hand).
    codes = np.array([0, 64, 128, 192, 240])
    moved = 255 * linear_to_srgb(0.94 * srgb_to_linear(codes / 255) + 0.06 * 0.5) - codes
    np.testing.assert_allclose(moved, [48, 15, 5, -0.3, -2.7], atol=0.5)
    picture = np.repeat(codes.astype(np.uint8)[None, :, None], 3, axis=2)
    rainy = compose(
        picture,
        np.full((1, 5), 65535, dtype=np.uint16),
        np.zeros(3, dtype=np.float32),
        to_unit16(np.full((1, 5), 0.06, dtype=np.float32)),
        np.full((1, 1, 3), 0.5, dtype=np.float32),
        SensorNoise(),
    )
    np.testing.assert_allclose(rainy[0, :, 0] - codes.astype(float), moved, atol=0.51)  # rounded to codes


def test_the_same_blend_on_display_codes_is_four_times_too_faint_before_black():
    # The same streak on codes: 0.06 of the drop's code. Before black +11 in place of +48; before grey 64 +7 for +15.
    codes = np.array([0, 64])
    linear = 255 * linear_to_srgb(0.94 * srgb_to_linear(codes / 255) + 0.06 * 0.5) - codes
    display = 0.06 * (255 * linear_to_srgb(np.array(0.5)) - codes)
    np.testing.assert_allclose(display, [11, 7], atol=0.5)
    assert linear[0] / display[0] == pytest.approx(4.3, abs=0.1)


def test_a_composed_picture_is_the_formula_to_one_code(bundled_photo):
    """Veil, then streaks before it, in double precision and with the exact transfer function."""
    rng = np.random.default_rng(0)
    photo = np.ascontiguousarray(bundled_photo[100:228, 60:220])
    height, width = photo.shape[:2]
    transmission16 = rng.integers(0, 65536, (height, width), dtype=np.uint16)
    alpha16 = rng.integers(0, 65536, (height, width), dtype=np.uint16)
    airlight = np.array([0.5, 0.6, 0.7], dtype=np.float32)
    grid = rng.uniform(0, 1.2, (5, 7, 3)).astype(np.float32)
    light = spread_grid(grid, height, width).astype(np.float64)
    t, a = transmission16[..., None] / 65535, alpha16[..., None] / 65535
    veiled = srgb_to_linear(photo / 255) * t + airlight * (1 - t)
    rainy = (1 - a) * veiled + a * light
    composed = compose(photo, transmission16, airlight, alpha16, grid, SensorNoise())
    # Half a code of rounding, 0.03 of the table, single precision.
    assert np.abs(composed - 255 * linear_to_srgb(rainy)).max() < 0.55
    only_veil = compose_veiled(photo, transmission16, airlight)
    assert np.abs(only_veil - 255 * linear_to_srgb(veiled)).max() < 0.55


def test_a_grid_of_light_spreads_linearly_between_its_cells():
    ramp = np.arange(4, dtype=np.float32)[None, :, None].repeat(3, axis=2)  # one row, cells centred at 8, 24, 40, 56 px
    spread = spread_grid(ramp, 6, 64)
    expected = np.clip((np.arange(64) + 0.5) / 16 - 0.5, 0, 3)
    np.testing.assert_allclose(spread, np.broadcast_to(expected[None, :, None], spread.shape), atol=1e-5)


# ------------------------------ all rain has the optical depth beta z


@pytest.mark.parametrize(
    ("width_px", "rate_mm_h", "z_m", "least_px", "seeds", "options"),
    [
        (256, 5.0, 5.0, 0.25, 24, {}),
        (256, 200.0, 20.0, 0.25, 8, {"exposure_s": 1 / 30, "wind_m_s": (6.0, 0.0)}),
        (512, 50.0, 5.0, 0.5, 10, {"exposure_s": 1 / 60, "q_ext": 1.0}),
        (512, 200.0, 100.0, 1.0, 4, {"exposure_s": 1 / 2000}),
        (1024, 25.0, 20.0, 0.5, 6, {"wind_m_s": (8.0, -4.0), "aperture_mm": 2.0}),
        (1024, 5.0, 100.0, 2.0, 6, {"spectrum": "joss-thunderstorm"}),
        (1024, 100.0, 100.0, 0.5, 1, {"spectrum": "joss-drizzle"}),
        (2048, 25.0, 5.0, 0.25, 2, {"q_ext": 1.5}),
        (2048, 5.0, 20.0, 0.5, 6, {"turbulence_m_s": 1.0}),
        (2048, 200.0, 5.0, 2.0, 3, {"normalize": False}),
    ],
)
def test_drawn_and_undrawn_rain_together_have_the_optical_depth_of_all_rain(
    width_px, rate_mm_h, z_m, least_px, seeds, options
):
    """-ln t = beta z whatever the resolution and the threshold; t itself is near 1 with no rain at all."""
    camera_options = {name: options[name] for name in ("exposure_s", "aperture_mm") if name in options}
    camera = Camera.from_fov(width_px, width_px * 9 // 16, 50.0, **camera_options)
    event = RainEvent(rain_rate_mm_h=rate_mm_h, **{k: v for k, v in options.items() if k not in camera_options})
    depth_m = np.full((camera.height_px, camera.width_px), z_m, dtype=np.float32)
    drawn, free = [], []
    for seed in range(seeds):
        streaks = project(sample_drops(event, camera, z_m, least_px, np.random.default_rng(seed)), camera)
        drawn.append(coverage_sum(streaks, depth_m).astype(np.float64).mean())
        free.append(unhidden_fraction(streaks, depth_m).astype(np.float64).mean())
    veil = float(unresolved_optical_depth(event, camera, np.array([z_m]), least_px)[0])
    total = extinction_per_km(rate_mm_h, event.spectrum, event.normalize, event.q_ext) * 1e-3 * z_m
    assert 0 < veil < total
    # Seeds are chosen so that the few largest drops leave a standard error of under 0.6 % of the total.
    assert np.mean(drawn) + veil == pytest.approx(total, rel=0.02)
    # Poisson: the mean of prod (1 - a) is exp(-mean of sum a) at every pixel, a second route to the same number.
    assert -np.log(np.mean(free)) + veil == pytest.approx(total, rel=0.02)


@pytest.mark.parametrize(
    ("width_px", "height_px", "least_px", "share"),
    [(512, 512, 1.0, 0.0174), (1920, 1080, 1.0, 0.126), (1920, 1080, 0.5, 0.278), (1920, 1080, 0.25, 0.549)],
)
def test_drawn_drops_carry_the_share_of_the_optical_depth_that_the_integral_gives(width_px, height_px, least_px, share):
    # Int N D^2 (min(20, f D / w) - 0.5) dD / Int N D^2 19.5 dD, published Marshall-Palmer at 25 mm/h, spheres of any
    # size, 50 degrees: numpy.trapezoid on 80,000 points. Flattening widens and thins drops; it shifts the share by
    # up to 5 %, as does the end of the spectrum at 8 mm by 1 %.
    camera = Camera.from_fov(width_px, height_px, 50.0, near_m=0.5)
    event = RainEvent(rain_rate_mm_h=25.0, normalize=False, q_ext=1.0)
    per_m = extinction_per_km(25.0, normalize=False, q_ext=1.0) * 1e-3
    veil = float(unresolved_optical_depth(event, camera, np.array([20.0]), least_px)[0])
    assert (per_m * 20 - veil) / (per_m * 19.5) == pytest.approx(share, rel=0.05)


def test_the_veil_before_the_near_limit_is_all_the_rain():
    camera = Camera.from_fov(1920, 1080, 50.0, near_m=2.0)
    event = RainEvent(rain_rate_mm_h=50.0)
    depth_m = np.array([0.0, 0.5, 2.0])
    beta_per_m = extinction_per_km(50.0) * 1e-3
    np.testing.assert_allclose(unresolved_optical_depth(event, camera, depth_m, 0.25), beta_per_m * depth_m, rtol=1e-12)


def test_the_veil_never_thins_with_distance_and_mist_adds_to_it():
    camera = Camera.from_fov(1920, 1080, 50.0)
    depth_m = np.geomspace(0.01, 1000, 400)
    rain = unresolved_optical_depth(RainEvent(rain_rate_mm_h=100.0, q_ext=1.0), camera, depth_m, 0.05)
    assert np.all(np.diff(rain) >= 0)
    misty = unresolved_optical_depth(RainEvent(rain_rate_mm_h=100.0, q_ext=1.0, mist_per_km=7.0), camera, depth_m, 0.05)
    np.testing.assert_allclose(misty - rain, 7e-3 * depth_m, rtol=1e-9)


# Rain of which much that is seen in the picture is outside of it at mid-exposure: camera, event, width drawn, seeds.
RESTLESS_RAIN = {
    "long exposure in wind": (
        {"exposure_s": 1 / 30, "near_m": 1.5, "aperture_mm": 3.0, "focus_m": 4.0},
        {"wind_m_s": (10.0, 1.0), "turbulence_m_s": 1.0},
        0.15,
        40,
    ),
    "wind towards the camera": ({"exposure_s": 1 / 30, "near_m": 4.0}, {"wind_m_s": (0.0, -25.0)}, 0.12, 30),
    "blur beyond the focus": ({"near_m": 1.5, "aperture_mm": 22.0, "focus_m": 0.5}, {}, 0.35, 16),
    "blur before the focus": ({"near_m": 1.5, "aperture_mm": 60.0, "focus_m": 1e6}, {}, 0.35, 24),
}


@pytest.fixture(scope="module", params=RESTLESS_RAIN)
def restless_rain(request) -> tuple[list[np.ndarray], float]:
    """Coverage maps of many pictures, and the mean that every one of their pixels must have."""
    camera_options, event_options, least_px, seeds = RESTLESS_RAIN[request.param]
    # A window, so that the optical axis is not in the middle of the picture
    camera = Camera.from_fov(400, 300, 40.0, **camera_options).window(120, 230, 160, 160)
    event = RainEvent(rain_rate_mm_h=200.0, q_ext=1.0, **event_options)
    depth_m = np.full((160, 160), 15.0, dtype=np.float32)
    maps = []
    for seed in range(seeds):
        streaks = project(sample_drops(event, camera, 15.0, least_px, np.random.default_rng(seed)), camera)
        maps.append(coverage_sum(streaks, depth_m))
    veil = float(unresolved_optical_depth(event, camera, np.array([15.0]), least_px)[0])
    return maps, extinction_per_km(200.0, q_ext=1.0) * 15e-3 - veil


@pytest.mark.parametrize(
    "strip", [np.s_[:3], np.s_[-3:], np.s_[:, :3], np.s_[:, -3:]], ids=["top", "bottom", "left", "right"]
)
def test_rain_is_as_dense_at_the_edge_of_the_frame_as_in_its_middle(restless_rain, strip):
    maps, expected = restless_rain
    means = [coverage[strip].astype(np.float64).mean() for coverage in maps]
    standard_error = np.std(means) / np.sqrt(len(means))
    assert standard_error < 0.045 * expected  # drops missing outside the frame leave a strip a third too thin
    # Four standard errors, and 1 % for streaks that turn to or from the camera within the exposure.
    assert np.mean(means) == pytest.approx(expected, abs=4 * standard_error + 0.01 * expected)


def test_the_rendered_veil_is_that_of_the_depth_map():
    # The table over depth that the renderer looks up is good to 1e-4, and steps of 1/65535 add nothing to it.
    depth_m = np.geomspace(0.2, 5000, 64 * 48).reshape(48, 64)
    photo = np.full((48, 64, 3), 128, dtype=np.uint8)
    camera = Camera.from_fov(64, 48, 20.0)
    event = RainEvent(rain_rate_mm_h=30.0, mist_per_km=2.0)
    sample = render_rain(Background(photo, depth_m), event, camera, seed=0)
    exact = np.exp(-unresolved_optical_depth(event, camera, depth_m.ravel(), MIN_STREAK_WIDTH_PX)).reshape(48, 64)
    np.testing.assert_allclose(sample.transmission, exact, atol=1e-4)


def test_a_far_scene_loses_its_contrast_as_koschmieder_says():
    # At 912 m, the visibility of 50 mm/h of published Marshall-Palmer, 2 % of the light is left.
    photo = np.full((8, 8, 3), 30, dtype=np.uint8)
    camera = Camera.from_fov(8, 8, 50.0)
    event = RainEvent(rain_rate_mm_h=50.0, normalize=False, airlight_linear=(0.5, 0.5, 0.5))
    sample = render_rain(Background(photo, 912.0), event, camera, seed=1)
    assert sample.transmission.mean() == pytest.approx(0.02, rel=0.02)  # drops drawn in 8 px: 0.1 %
    expected = 255 * linear_to_srgb(0.02 * srgb_to_linear(np.array([30 / 255])) + 0.98 * 0.5)
    assert np.abs(sample.veiled_srgb8 - expected).max() < 1
