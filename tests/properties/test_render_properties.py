"""What must hold for any weather, camera and photograph."""

from __future__ import annotations

import io
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import kstest

import rainsynth
from rainsynth.color import decode
from rainsynth.compositing import compose
from rainsynth.layer_steps import TEXTURE_ONE
from rainsynth.named_rain import add_rain
from rainsynth.presets import PRESETS
from rainsynth.render import render_rain
from rainsynth.sample import RainSample, recompose
from rainsynth.scene.background import Background, ground_plane_depth_m
from rainsynth.scene.camera import Camera
from rainsynth.scene.rain_event import RainEvent
from rainsynth.sensor import SensorNoise, draw_noise_row


def floats(low: float, high: float) -> st.SearchStrategy[float]:
    return st.floats(low, high, allow_nan=False)


events = st.builds(
    RainEvent,
    rain_rate_mm_h=floats(0.1, 200.0) | st.just(0.0),
    spectrum=st.sampled_from(rainsynth.physics.SPECTRA),
    normalize=st.booleans(),
    wind_m_s=st.tuples(floats(-12.0, 12.0), floats(-12.0, 12.0)),
    turbulence_m_s=floats(0.0, 2.0),
    q_ext=floats(1.0, 2.0),
    mist_per_km=floats(0.0, 40.0),
    sky_linear=st.none() | floats(0.0, 5.0),
    airlight_linear=st.none() | st.tuples(floats(0.0, 2.0), floats(0.0, 2.0), floats(0.0, 2.0)),
)


@st.composite
def cameras(draw: st.DrawFn) -> Camera:
    full_well_e = draw(st.just(0.0) | floats(100.0, 30_000.0))
    return Camera.from_fov(
        draw(st.integers(1, 40)),
        draw(st.integers(1, 40)),
        draw(floats(4.0, 120.0)),
        exposure_s=draw(floats(1e-4, 1 / 20)),
        near_m=draw(floats(0.2, 3.0)),
        aperture_mm=draw(st.just(0.0) | floats(0.1, 5.0)),
        focus_m=draw(floats(0.5, 50.0)),
        full_well_e=full_well_e,
        read_noise_e=draw(floats(0.0, 20.0)) if full_well_e else 0.0,
    )


@st.composite
def scenes(draw: st.DrawFn) -> tuple[Background, Camera]:
    camera = draw(cameras())
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (camera.height_px, camera.width_px)
    photo = rng.integers(0, 256, (*shape, 3), dtype=np.uint8)
    kind = draw(st.sampled_from(["prior", "number", "map"]))
    depth_m = {"prior": None, "number": draw(floats(0.05, 500.0)), "map": rng.uniform(0.1, 80.0, shape)}[kind]
    return Background(photo, depth_m), camera


seeds = st.integers(0, 2**63 - 1)


def layers_of(sample: RainSample) -> dict[str, np.ndarray]:
    names = [f.name for f in fields(RainSample) if f.name not in ("noise", "parameters")]
    return {name: getattr(sample, name) for name in names}


@given(events, scenes(), seeds)
@settings(max_examples=60)
def test_the_stored_layers_compose_to_the_stored_picture_exactly(event, scene, seed):
    background, camera = scene
    sample = render_rain(background, event, camera, seed=seed)
    np.testing.assert_array_equal(recompose(sample), sample.rainy_srgb8)


@given(events, scenes(), seeds)
def test_every_layer_has_its_shape_type_and_range(event, scene, seed):
    background, camera = scene
    sample = render_rain(background, event, camera, seed=seed)
    shape = (camera.height_px, camera.width_px)
    for name in ("clean_srgb8", "rainy_srgb8", "veiled_srgb8"):
        assert getattr(sample, name).shape == (*shape, 3), name
        assert getattr(sample, name).dtype == np.uint8, name
    for name in ("streak_alpha16", "texture16", "transmission16"):
        assert getattr(sample, name).shape == shape, name
        assert getattr(sample, name).dtype == np.uint16, name
    for name in ("streak_alpha", "texture", "transmission", "depth_m"):
        assert getattr(sample, name).shape == shape, name
        assert getattr(sample, name).dtype == np.float32, name
    assert sample.streak_light_linear.shape == (*shape, 3) and sample.streak_light_linear.dtype == np.float32
    assert sample.airlight_linear.shape == (3,) and sample.airlight_linear.dtype == np.float32
    assert sample.streak_mask.shape == shape and sample.streak_mask.dtype == np.bool_
    for fraction in (sample.streak_alpha, sample.transmission):
        assert fraction.min() >= 0 and fraction.max() <= 1
    assert np.all(np.isfinite(sample.streak_light_linear)) and sample.streak_light_linear.min() >= 0
    np.testing.assert_array_equal(sample.clean_srgb8, background.image_srgb8)


@given(events, scenes(), seeds)
def test_the_photograph_is_not_written_to(event, scene, seed):
    background, camera = scene
    before = background.image_srgb8.copy()
    render_rain(background, event, camera, seed=seed)
    np.testing.assert_array_equal(background.image_srgb8, before)


@given(events, scenes(), seeds, st.integers(0, 10**6))
def test_a_picture_is_a_function_of_its_arguments_seed_and_index(event, scene, seed, index):
    background, camera = scene
    one, two = (render_rain(background, event, camera, seed=seed, index=index) for _ in range(2))
    for name, layer in layers_of(one).items():
        np.testing.assert_array_equal(layer, getattr(two, name), err_msg=name)
    assert one.noise == two.noise and one.parameters == two.parameters


@given(events, scenes(), seeds)
def test_where_no_drop_is_drawn_the_veiled_picture_shows(event, scene, seed):
    background, camera = scene
    quiet = {f.name: getattr(camera, f.name) for f in fields(Camera)} | {"full_well_e": 0.0, "read_noise_e": 0.0}
    sample = render_rain(background, event, Camera(**quiet), seed=seed)
    free = (sample.streak_alpha16 == 0) & (sample.texture16 == TEXTURE_ONE)
    np.testing.assert_array_equal(sample.rainy_srgb8[free], sample.veiled_srgb8[free])


@given(scenes(), seeds, st.sampled_from(rainsynth.physics.SPECTRA))
def test_without_rain_and_mist_the_photograph_stays_byte_for_byte(scene, seed, spectrum):
    background, camera = scene
    quiet = {f.name: getattr(camera, f.name) for f in fields(Camera)} | {"full_well_e": 0.0, "read_noise_e": 0.0}
    sample = render_rain(background, RainEvent(rain_rate_mm_h=0.0, spectrum=spectrum), Camera(**quiet), seed=seed)
    np.testing.assert_array_equal(sample.rainy_srgb8, background.image_srgb8)
    np.testing.assert_array_equal(sample.veiled_srgb8, background.image_srgb8)
    assert sample.parameters["drop_count"] == 0


@given(scenes(), seeds, floats(1.0, 150.0))
def test_the_veil_grows_with_the_rain(scene, seed, rate_mm_h):
    background, camera = scene
    light, heavy = (
        render_rain(background, RainEvent(rain_rate_mm_h=rate), camera, seed=seed)
        for rate in (rate_mm_h, 2 * rate_mm_h)
    )
    assert np.all(heavy.transmission16 <= light.transmission16)


@given(events, cameras(), st.data())
def test_a_window_of_the_camera_looks_along_the_same_rays(event, camera, data):
    top = data.draw(st.integers(0, camera.height_px - 1))
    left = data.draw(st.integers(0, camera.width_px - 1))
    height = data.draw(st.integers(1, camera.height_px - top))
    width = data.draw(st.integers(1, camera.width_px - left))
    window = camera.window(top, left, height, width)
    assert (window.height_px, window.width_px, window.focal_px) == (height, width, camera.focal_px)
    assert window.principal_x_px + left == pytest.approx(camera.principal_x_px, abs=1e-9)
    assert window.principal_y_px + top == pytest.approx(camera.principal_y_px, abs=1e-9)
    # so the depth prior, and the veil over it, are those of the whole picture
    whole = ground_plane_depth_m(camera)[top : top + height, left : left + width]
    np.testing.assert_allclose(ground_plane_depth_m(window), whole, rtol=1e-5)


@given(events, scenes(), seeds, st.data())
def test_a_rendered_window_has_the_light_and_the_veil_of_the_whole_picture(event, scene, seed, data):
    background, camera = scene
    top, left = data.draw(st.integers(0, camera.height_px - 1)), data.draw(st.integers(0, camera.width_px - 1))
    height = data.draw(st.integers(1, camera.height_px - top))
    width = data.draw(st.integers(1, camera.width_px - left))
    whole = render_rain(background, event, camera, seed=seed)
    part = render_rain(background, event, camera, seed=seed, window=(top, left, height, width))
    crop = np.s_[top : top + height, left : left + width]
    np.testing.assert_array_equal(part.clean_srgb8, whole.clean_srgb8[crop])
    np.testing.assert_array_equal(part.depth_m, whole.depth_m[crop])
    np.testing.assert_array_equal(part.airlight_linear, whole.airlight_linear)
    np.testing.assert_allclose(part.transmission, whole.transmission[crop], atol=1e-4)  # tables over other depths
    np.testing.assert_array_equal(recompose(part), part.rainy_srgb8)
    assert part.rainy_srgb8.shape == (height, width, 3)


def test_drops_in_a_window_carry_the_light_of_drops_in_the_whole_picture(bundled_photo):
    background, camera = Background(bundled_photo), Camera.from_fov(512, 512)
    event = RainEvent(rain_rate_mm_h=20.0)
    whole = render_rain(background, event, camera, seed=0).streak_light_linear
    for window in [(0, 0, 512, 512), (0, 0, 128, 128), (300, 200, 100, 150), (384, 384, 128, 128), (250, 250, 1, 1)]:
        top, left, height, width = window
        part = render_rain(background, event, camera, seed=0, window=window).streak_light_linear
        # Linear between places that are a twelfth of the focal length apart, and flat at the very edge.
        np.testing.assert_allclose(part, whole[top : top + height, left : left + width], rtol=0.06)


def test_another_seed_or_index_is_another_rain_and_another_noise():
    photo = np.full((40, 60, 3), 120, dtype=np.uint8)
    camera = Camera.from_fov(60, 40, 5.0, full_well_e=1e4)
    event = RainEvent(rain_rate_mm_h=50.0)
    samples = [
        render_rain(Background(photo), event, camera, seed=seed, index=index)
        for seed, index in [(0, 0), (0, 1), (1, 0), (1, 1), (2**63 - 1, 0)]
    ]
    for i, one in enumerate(samples):
        for other in samples[:i]:
            assert not np.array_equal(one.streak_alpha16, other.streak_alpha16)
            assert one.noise.key != other.noise.key


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (50, 1)])
def test_the_smallest_pictures_rain_under_every_preset(preset, shape):
    photo = np.full((*shape, 3), 128, dtype=np.uint8)
    sample = add_rain(photo, preset=preset, seed=3)
    assert sample.rainy_srgb8.shape == (*shape, 3)
    np.testing.assert_array_equal(recompose(sample), sample.rainy_srgb8)


@pytest.mark.parametrize("preset", PRESETS)
def test_presets_draw_within_their_ranges_and_anew_for_every_index(preset):
    photo = np.full((4, 6, 3), 128, dtype=np.uint8)
    ranges = PRESETS[preset]
    drawn = [add_rain(photo, preset=preset, seed=9, index=index).parameters for index in range(20)]
    rates = [parameters["rain_rate_mm_h"] for parameters in drawn]
    assert len(set(rates)) == 20
    for name in ("rain_rate_mm_h", "exposure_s", "near_m", "aperture_mm", "focus_m", "mist_per_km", "turbulence_m_s"):
        low, high = getattr(ranges, name)
        values = np.array([parameters[name] for parameters in drawn])
        assert np.all((values >= low * (1 - 1e-12)) & (values <= high * (1 + 1e-12))), name
    assert {parameters["spectrum"] for parameters in drawn} == {ranges.spectrum}
    assert {parameters["preset"] for parameters in drawn} == {preset}


def test_layout_in_memory_does_not_matter(photo_srgb8):
    expected = add_rain(photo_srgb8, 40.0, seed=2).rainy_srgb8
    for same in (np.asfortranarray(photo_srgb8), photo_srgb8[::-1, ::-1].copy()[::-1, ::-1]):
        np.testing.assert_array_equal(add_rain(same, 40.0, seed=2).rainy_srgb8, expected)
    locked = photo_srgb8.copy()
    locked.setflags(write=False)
    np.testing.assert_array_equal(add_rain(locked, 40.0, seed=2).rainy_srgb8, expected)


@given(events, scenes(), seeds)
def test_any_number_of_threads_renders_the_same_bytes(event, scene, seed):
    _, camera = scene
    tall = Camera.from_fov(camera.width_px, 70, 40.0, exposure_s=camera.exposure_s, near_m=camera.near_m)
    photo = np.random.default_rng(seed % 1000).integers(0, 256, (70, camera.width_px, 3), dtype=np.uint8)
    one, three = (render_rain(Background(photo), event, tall, seed=seed, threads=threads) for threads in (1, 3))
    for name, layer in layers_of(one).items():
        np.testing.assert_array_equal(getattr(three, name), layer, err_msg=name)


def test_a_jpeg_camera_gives_the_picture_that_its_file_would(photo_srgb8):
    camera = Camera.from_fov(64, 48, 30.0, jpeg_quality=60)
    event = RainEvent(rain_rate_mm_h=30.0)
    raw = render_rain(Background(photo_srgb8), event, Camera.from_fov(64, 48, 30.0), seed=3)
    sample = render_rain(Background(photo_srgb8), event, camera, seed=3)
    np.testing.assert_array_equal(sample.streak_alpha16, raw.streak_alpha16)
    np.testing.assert_array_equal(recompose(sample), sample.rainy_srgb8)
    file = io.BytesIO()
    Image.fromarray(raw.rainy_srgb8).save(file, "JPEG", quality=60, subsampling="4:2:0")
    through_pillow = np.asarray(Image.open(file)).astype(int)
    # Pillow and OpenCV bring different builds of the same library: a code here and there.
    assert np.abs(sample.rainy_srgb8.astype(int) - through_pillow).mean() < 0.5
    assert np.abs(sample.rainy_srgb8.astype(int) - raw.rainy_srgb8).mean() > 0.5


def test_a_depth_model_is_asked_for_the_photographs_depth(photo_srgb8):
    def model(image_srgb8: np.ndarray) -> np.ndarray:
        return np.linspace(60, 3, image_srgb8.shape[0])[:, None].repeat(image_srgb8.shape[1], axis=1)

    camera, event = Camera.from_fov(64, 48, 30.0), RainEvent(rain_rate_mm_h=30.0)
    by_model = render_rain(Background(photo_srgb8, model), event, camera, seed=0)
    by_map = render_rain(Background(photo_srgb8, model(photo_srgb8)), event, camera, seed=0)
    np.testing.assert_array_equal(by_model.rainy_srgb8, by_map.rainy_srgb8)


def test_a_lens_is_as_wide_as_its_numbers_say():
    # 50 mm on 36 mm: 39.6 degrees across (Hecht, Optics; any lens catalogue). f/2 of 50 mm opens 25 mm.
    camera = Camera.from_lens(1920, 1080, focal_length_mm=50.0, f_number=2.0, focus_m=5.0)
    assert np.degrees(2 * np.arctan(960 / camera.focal_px)) == pytest.approx(39.6, abs=0.05)
    assert (camera.aperture_mm, camera.focus_m) == (25.0, 5.0)
    assert Camera.from_lens(640, 480, focal_length_mm=4.2, sensor_width_mm=5.6).focal_px == pytest.approx(480)


def test_at_dusk_drops_near_a_lamp_carry_its_light_over_the_dark():
    # Dark ground and sky, one lamp: its colour is in the drops beside it, not in those at the other end.
    photo = np.full((120, 240, 3), 12, dtype=np.uint8)
    photo[40:60, 20:40] = (255, 200, 90)
    camera = Camera.from_fov(240, 120, 60.0, exposure_s=1 / 2000)
    event = RainEvent(rain_rate_mm_h=150.0, sky_linear=0.02)
    sample = render_rain(Background(photo, 30.0), event, camera, seed=0)
    light = sample.streak_light_linear
    near, far = light[50, 50], light[50, 220]
    assert near[0] > 2 * far[0]
    assert near[0] > 1.5 * near[2]  # as yellow as the lamp
    brightened = sample.rainy_srgb8.astype(int) - sample.veiled_srgb8
    beside, away = (sample.streak_alpha > 0.05) & (np.arange(240) < 80), np.arange(240) > 180
    assert brightened[beside & (photo[..., 0] < 20)].mean() > 2 * brightened[(sample.streak_alpha > 0.05) & away].mean()


# ------------------------------ sensor noise


def noise_numbers(key: int, pixels: int) -> np.ndarray:
    """Standard normal numbers of `pixels` pixels, three channels each."""
    drawn = np.empty((3, pixels), dtype=np.float32)
    draw_noise_row(drawn, np.uint64(key), 0)
    return drawn.T.ravel().astype(np.float64)


def test_noise_numbers_are_standard_normal_and_independent():
    drawn = noise_numbers(0x1234_5678_9ABC_DEF0, 20_000)
    assert kstest(drawn, "norm").pvalue > 1e-3
    assert abs(np.mean(drawn**4) - 3) < 0.15  # kurtosis: standard error sqrt(96 / n) = 0.04
    for lag in (1, 2, 3, 64, 192):
        # correlation of independent numbers times sqrt(n) is standard normal
        assert abs(np.corrcoef(drawn[:-lag], drawn[lag:])[0, 1]) * np.sqrt(len(drawn)) < 4, lag


def test_noise_of_neighbouring_samples_is_independent():
    drawn = [noise_numbers(rainsynth.seeding.sample_keys(0, index)[0], 7_000) for index in range(4)]
    off_diagonal = np.corrcoef(drawn)[np.triu_indices(4, 1)]
    assert np.abs(off_diagonal).max() * np.sqrt(21_000) < 4


@pytest.mark.parametrize("code", [110, 128, 200])
@pytest.mark.parametrize(("full_well_e", "read_noise_e"), [(400.0, 0.0), (1000.0, 0.0), (1000.0, 15.0)])
def test_noise_has_the_variance_of_photons_and_of_reading(code, full_well_e, read_noise_e):
    # s electrons of full_well at white: Var = (s full_well + read^2) / full_well^2 in units of white.
    flat = np.full((200, 200, 3), code, dtype=np.uint8)
    noisy = compose(
        flat,
        np.full((200, 200), 65535, dtype=np.uint16),
        np.zeros(3, dtype=np.float32),
        np.zeros((200, 200), dtype=np.uint16),
        np.zeros((1, 1, 3), dtype=np.float32),
        SensorNoise(full_well_e=full_well_e, read_noise_e=read_noise_e, key=77),
    )
    signal = float(decode(flat)[0, 0, 0])
    light = decode(noisy).astype(np.float64)
    variance = (signal * full_well_e + read_noise_e**2) / full_well_e**2
    assert signal - 4 * variance**0.5 > 0 and signal + 4 * variance**0.5 < 1  # nothing is clipped
    # 120,000 numbers: mean to 4 standard errors, variance to 0.4 %; codes add their rounding, under 1 %.
    assert light.mean() == pytest.approx(signal, abs=4 * (variance / light.size) ** 0.5 + 1e-4)
    assert light.var() == pytest.approx(variance, rel=0.03)
    # Every pixel and channel has its own: correlation times sqrt(n) is standard normal
    channels = np.corrcoef(light.reshape(-1, 3).T)[np.triu_indices(3, 1)]
    beside = np.corrcoef(light[:, 1:].ravel(), light[:, :-1].ravel())[0, 1]
    below = np.corrcoef(light[1:].ravel(), light[:-1].ravel())[0, 1]
    assert np.abs([*channels, beside, below]).max() * np.sqrt(40_000) < 4


def test_no_noise_is_drawn_unless_asked_for():
    photo = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    assert add_rain(photo, 0.0, seed=1).noise.full_well_e == 0
    np.testing.assert_array_equal(add_rain(photo, 0.0, seed=1).rainy_srgb8, photo)
