"""Rain carried through frames: one field of drops, everywhere Poisson, each drop on its own straight path."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest, spearmanr

import rainsynth
from rainsynth import Background, Camera, InputError, RainEvent, RainSample, render_rain, render_sequence, render_stereo
from rainsynth.optics.rasterize import unhidden_fraction
from rainsynth.optics.streak import Streaks, project
from rainsynth.physics import fall_speed_m_s
from rainsynth.scene.drop_field import Moment, drops_in_view, field_for
from rainsynth.scene.drops import Drops, sample_drops

FAR_M = 40.0
RATE_HZ = 25.0
LEAST_PX = 0.5
CAMERA = Camera.from_fov(320, 240, 30.0, exposure_s=1 / 250)
EVENT = RainEvent(rain_rate_mm_h=25.0, wind_m_s=(3.0, -1.0), turbulence_m_s=0.4)
CAR_M_S = (0.5, 0.0, 12.0)


def moment_of(index: int, event: RainEvent = EVENT, camera_m_s: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Moment:
    """The moment of frame `index` in steady weather, by hand."""
    time_s = index / RATE_HZ
    return Moment(
        time_s,
        (event.wind_m_s[0] * time_s, event.wind_m_s[1] * time_s),
        event.turbulence_m_s * time_s,
        tuple(speed * time_s for speed in camera_m_s),
        camera_m_s,
    )


def seen(key: int, moment: Moment, event: RainEvent = EVENT, camera: Camera = CAMERA) -> tuple[Drops, np.ndarray]:
    field = field_for(camera, EVENT, LEAST_PX, key)
    return drops_in_view(field, event, camera, FAR_M, LEAST_PX, moment)


def chosen(drops: Drops, keep: np.ndarray) -> Drops:
    return Drops(**{name: getattr(drops, name)[keep] for name in Drops.__dataclass_fields__})


def matched(first: tuple[Drops, np.ndarray], second: tuple[Drops, np.ndarray]) -> tuple[Drops, Drops]:
    """The drops that two views share, in one order."""
    _, one, two = np.intersect1d(first[1], second[1], return_indices=True)
    return chosen(first[0], one), chosen(second[0], two)


def image_px(x_m: np.ndarray, y_m: np.ndarray, z_m: np.ndarray, camera: Camera = CAMERA) -> np.ndarray:
    """Pinhole image, by hand (2, n)."""
    centre = np.array([[camera.principal_x_px], [camera.principal_y_px]])
    return centre + camera.focal_px * np.array([x_m, y_m]) / z_m


def within_picture(drops: Drops) -> np.ndarray:
    x_px, y_px = image_px(drops.x_m, drops.y_m, drops.z_m)
    return (x_px >= 0) & (x_px <= CAMERA.width_px) & (y_px >= 0) & (y_px <= CAMERA.height_px)


@pytest.fixture(scope="module")
def sampled_counts() -> np.ndarray:
    """How many drops single pictures hold."""
    rng = np.random.default_rng(0)
    return np.array([len(sample_drops(EVENT, CAMERA, FAR_M, LEAST_PX, rng)) for _ in range(500)])


@pytest.mark.parametrize("camera_m_s", [(0.0, 0.0, 0.0), CAR_M_S])
@pytest.mark.parametrize("index", [0, 1, 100])
def test_drops_of_every_frame_are_as_many_as_those_of_a_single_picture_and_poisson(index, camera_m_s, sampled_counts):
    moment = moment_of(index, camera_m_s=camera_m_s)
    still = replace(moment, camera_m_s=(0.0, 0.0, 0.0))  # a moving camera looks farther around it
    counts = np.array([len(seen(key, still)[0]) for key in range(500)])
    mean = sampled_counts.mean()
    # Two means of 500 Poisson numbers: four standard deviations of their difference.
    assert counts.mean() == pytest.approx(mean, abs=4 * np.sqrt(2 * mean / 500))
    # Variance over mean of 500 Poisson numbers is 1 with a standard deviation of sqrt(2 / 499) = 0.063.
    assert counts.var() / counts.mean() == pytest.approx(1, abs=0.25)


@pytest.mark.parametrize("camera_m_s", [(0.0, 0.0, 0.0), CAR_M_S])
def test_sizes_places_and_speeds_of_a_late_frame_are_those_of_a_single_picture(camera_m_s):
    moment = replace(moment_of(100, camera_m_s=camera_m_s), camera_m_s=(0.0, 0.0, 0.0))
    late = [seen(key, moment)[0] for key in range(80)]
    rng = np.random.default_rng(1)
    single = [sample_drops(EVENT, CAMERA, FAR_M, LEAST_PX, rng) for _ in range(80)]
    for name in Drops.__dataclass_fields__:
        one, two = (np.concatenate([getattr(drops, name) for drops in parts]) for parts in (late, single))
        assert len(one) > 20_000
        # Kolmogorov-Smirnov on a fixed seed: p under 1e-3 would be one chance in a thousand, and here is a bug.
        assert ks_2samp(one, two).pvalue > 1e-3, name


def test_drops_of_a_late_frame_are_uniform_over_the_picture_and_independent():
    drops = chosen(late := seen(7, moment_of(500), replace(EVENT, rain_rate_mm_h=400.0))[0], within_picture(late))
    x_px, y_px = image_px(drops.x_m, drops.y_m, drops.z_m)
    assert len(drops) > 2000
    assert kstest(x_px / CAMERA.width_px, "uniform").pvalue > 1e-3
    assert kstest(y_px / CAMERA.height_px, "uniform").pvalue > 1e-3
    # Rank correlation times sqrt(n) is standard normal; size and distance go together, as only large drops are
    # resolved far away.
    ranks = spearmanr(np.array([x_px, y_px, drops.z_m, drops.velocity_x_m_s, drops.velocity_z_m_s]).T).statistic
    assert np.abs(ranks[np.triu_indices(5, 1)]).max() * np.sqrt(len(drops)) < 4


@pytest.mark.parametrize("camera_m_s", [(0.0, 0.0, 0.0), (1.0, -0.5, 3.0)])
@pytest.mark.parametrize("index", [0, 1000])
def test_a_drop_is_in_the_next_frame_where_its_velocity_carries_it(index, camera_m_s):
    frames = [seen(3, moment_of(number, camera_m_s=camera_m_s)) for number in (index, index + 1)]
    before, after = matched(*frames)
    assert len(before) > 30
    interval_s = 1 / RATE_HZ
    x_m, y_m, z_m = (
        getattr(before, f"{axis}_m") + interval_s * getattr(before, f"velocity_{axis}_m_s") for axis in "xyz"
    )
    error_px = image_px(x_m, y_m, z_m) - image_px(after.x_m, after.y_m, after.z_m)
    assert np.abs(error_px).max() < 1e-6
    for name in ("diameter_mm", "velocity_x_m_s", "velocity_y_m_s", "velocity_z_m_s"):
        np.testing.assert_array_equal(getattr(before, name), getattr(after, name))


def test_drops_that_stay_in_view_are_all_found_again_and_none_comes_from_nowhere():
    frames = [seen(5, moment_of(number)) for number in (40, 41)]
    (before, ids), (after, later_ids) = frames
    interval_s = 1 / RATE_HZ
    for drops, names, others, step_s in ((before, ids, later_ids, interval_s), (after, later_ids, ids, -interval_s)):
        z_m = drops.z_m + step_s * drops.velocity_z_m_s
        x_px, y_px = image_px(drops.x_m + step_s * drops.velocity_x_m_s, drops.y_m + step_s * drops.velocity_y_m_s, z_m)
        width_px = CAMERA.focal_px * 1e-3 * drops.diameter_mm / z_m
        # bins of diameter are 1.1 % wide and count as a whole; a drop is resolved by its wider axis
        stays = (x_px > 0) & (x_px < CAMERA.width_px) & (y_px > 0) & (y_px < CAMERA.height_px)
        stays &= (z_m > CAMERA.near_m) & (z_m < FAR_M) & (width_px > 1.02 * LEAST_PX)
        assert stays.sum() > 20
        assert np.isin(names[stays], others).all()


def test_streaks_of_neighbouring_frames_line_up():
    # From the end of one streak to the start of the next a drop travels for 1 / frame rate - exposure.
    camera = replace(CAMERA, exposure_s=0.9 / RATE_HZ)
    calm = replace(EVENT, wind_m_s=(2.0, 0.0), turbulence_m_s=0.0)
    frames = [seen(1, moment_of(number, calm), calm, camera) for number in (10, 11)]
    before, after = matched(*frames)
    first, second = project(before, camera), project(after, camera)
    assert len(before) > 30
    gap_px = np.array([second.start_x_px - first.end_x_px, second.start_y_px - first.end_y_px])
    scale = camera.focal_px / before.z_m
    expected_px = (1 / RATE_HZ - camera.exposure_s) * scale * np.array([before.velocity_x_m_s, before.velocity_y_m_s])
    np.testing.assert_allclose(gap_px, expected_px, atol=1e-6)


def test_every_drop_falls_with_the_speed_of_its_own_size():
    drops, _ = seen(2, moment_of(300))
    # Speeds are interpolated within a bin of 1.1 % in diameter, as in sample_drops.
    np.testing.assert_allclose(drops.velocity_y_m_s, fall_speed_m_s(drops.diameter_mm), rtol=5e-4)


def test_no_drop_comes_again():
    # Without turbulence a drop keeps its distance and its size: two that share both would be one drop seen twice.
    calm = replace(EVENT, wind_m_s=(0.5, 0.0), turbulence_m_s=0.0)
    frames = [seen(9, moment_of(number, calm), calm) for number in range(0, 400, 5)]
    names = np.concatenate([ids for _, ids in frames])
    traits = np.array(
        [np.concatenate([getattr(drops, name) for drops, _ in frames]) for name in ("diameter_mm", "z_m")]
    )
    _, first = np.unique(names, return_index=True)
    assert len(first) > 20_000
    apart = np.unique(np.round(traits[:, first], 9), axis=1)
    # The wind carries drops across the view in 20 s, so a few of the last are the first ones' copies.
    assert apart.shape[1] > 0.98 * len(first)


def test_rain_that_grows_adds_drops_and_moves_none():
    # Published Marshall-Palmer: more drops of every size at a higher rate.
    rates = [replace(EVENT, rain_rate_mm_h=rate, normalize=False) for rate in (10.0, 11.0, 40.0)]
    light, more, heavy = (seen(4, moment_of(30), event) for event in rates)
    assert np.isin(light[1], more[1]).all() and np.isin(more[1], heavy[1]).all()
    assert len(light[0]) < len(more[0]) < 1.25 * len(light[0])
    for event, found in zip(rates, (light, more, heavy), strict=True):
        expected = np.mean(
            [len(sample_drops(event, CAMERA, FAR_M, LEAST_PX, np.random.default_rng(s))) for s in range(50)]
        )
        assert len(found[0]) == pytest.approx(expected, abs=4 * np.sqrt(expected * 1.02))


def test_streaks_fan_out_from_the_focus_of_expansion_of_a_camera_that_drives():
    calm = RainEvent(rain_rate_mm_h=25.0, turbulence_m_s=0.0)
    drops, _ = seen(6, moment_of(20, calm, (0.0, 0.0, 10.0)), calm)
    streaks = project(chosen(drops, drops.z_m > 1.0), CAMERA)
    fall_m_s = drops.velocity_y_m_s[drops.z_m > 1.0]
    focus_px = np.array([np.full(len(fall_m_s), 160.0), 120.0 - CAMERA.focal_px * fall_m_s / 10.0])
    start, end = ends_px(streaks)
    outward, along = start - focus_px, end - start
    cross = outward[0] * along[1] - outward[1] * along[0]
    assert len(fall_m_s) > 100
    np.testing.assert_allclose(cross / (np.hypot(*outward) * np.hypot(*along)), 0, atol=1e-9)
    assert np.all((outward * along).sum(axis=0) > 0)  # away from it: rain comes towards the camera


def test_a_moving_camera_misses_no_streak_that_touches_its_picture():
    camera = replace(CAMERA, exposure_s=1 / 30)
    wide = replace(camera, width_px=960, height_px=720, principal_x_px=480.0, principal_y_px=360.0)
    field = field_for(wide, EVENT, LEAST_PX, 13)
    moment = moment_of(3, camera_m_s=(15.0, 5.0, 8.0))
    (drops, ids), (_, found) = (drops_in_view(field, EVENT, view, FAR_M, LEAST_PX, moment) for view in (wide, camera))
    start, end = ends_px(project(drops, camera))
    along = np.linspace(0, 1, 50)[:, None, None]
    x_px, y_px = np.moveaxis(start + along * (end - start), 1, 0)
    touches = ((x_px > 0) & (x_px < camera.width_px) & (y_px > 0) & (y_px < camera.height_px)).any(axis=0)
    outside = ~within_picture(drops)
    assert (touches & outside).sum() > 50
    assert np.isin(ids[touches], found).all()


def ends_px(streaks: Streaks) -> tuple[np.ndarray, np.ndarray]:
    return np.array([streaks.start_x_px, streaks.start_y_px]), np.array([streaks.end_x_px, streaks.end_y_px])


def test_both_eyes_see_the_same_drops_with_their_disparity():
    baseline_m = 0.2
    (left, left_ids), (right, right_ids) = (
        seen(8, Moment(camera_m=(place_m, 0.0, 0.0))) for place_m in (0.0, baseline_m)
    )
    one, two = matched((left, left_ids), (right, right_ids))
    disparity_px = (image_px(one.x_m, one.y_m, one.z_m) - image_px(two.x_m, two.y_m, two.z_m))[0]
    assert len(one) > 0.5 * len(left)
    assert np.abs(disparity_px - CAMERA.focal_px * baseline_m / one.z_m).max() < 1e-6
    np.testing.assert_array_equal(one.diameter_mm, two.diameter_mm)
    np.testing.assert_array_equal(one.y_m, two.y_m)
    # Every drop within the picture of one eye, and by its disparity within that of the other, is seen by both.
    for drops, ids, others, shift_m in (
        (left, left_ids, right_ids, -baseline_m),
        (right, right_ids, left_ids, baseline_m),
    ):
        other_x_px = image_px(drops.x_m + shift_m, drops.y_m, drops.z_m)[0]
        both = within_picture(drops) & (other_x_px > 0) & (other_x_px < CAMERA.width_px)
        assert both.sum() > 100
        assert np.isin(ids[both], others).all()


# From here on whole pictures.

SMALL = Camera.from_fov(64, 48, 20.0, exposure_s=1 / 100, full_well_e=2e4)
GUSTS = [replace(EVENT, wind_m_s=(float(k), 0.3 * k), rain_rate_mm_h=10.0 + 5 * k) for k in range(6)]


def same(one: RainSample, two: RainSample) -> bool:
    layers = ("rainy_srgb8", "streak_alpha16", "texture16", "transmission16", "light_grid_linear")
    return one.parameters == two.parameters and all(
        np.array_equal(getattr(one, name), getattr(two, name)) for name in layers
    )


def test_a_frame_alone_is_the_frame_of_the_whole_sequence(photo_srgb8):
    frames = [np.roll(photo_srgb8, k, axis=1) for k in range(6)]
    options = {"frame_rate_hz": RATE_HZ, "seed": 11, "camera_motion": np.arange(18.0).reshape(6, 3) ** 1.2 * 0.02}
    whole = list(render_sequence(frames, GUSTS, SMALL, **options))
    for k in (5, 2):
        alone = next(render_sequence(frames[k:], lambda index: GUSTS[index], SMALL, start=k, threads=3, **options))
        assert same(alone, whole[k])
        np.testing.assert_array_equal(rainsynth.recompose(alone), whole[k].rainy_srgb8)
    other = next(render_sequence(frames, GUSTS, SMALL, **options | {"seed": 12}))
    assert not np.array_equal(other.streak_alpha16, whole[0].streak_alpha16)


def test_gusts_carry_the_drops_by_their_mean_between_two_frames(photo_srgb8, monkeypatch):
    moments = []
    monkeypatch.setattr("rainsynth.sequence.drops_in_view", lambda *a: (moments.append(a[-1]), drops_in_view(*a))[1])
    list(render_sequence([photo_srgb8] * 6, GUSTS, SMALL, frame_rate_hz=RATE_HZ, seed=0))
    carried_m = np.array([moment.carried_m for moment in moments])
    winds_m_s = np.array([event.wind_m_s for event in GUSTS])
    by_hand_m = [np.trapezoid(winds_m_s[: k + 1], dx=1 / RATE_HZ, axis=0) for k in range(6)]
    np.testing.assert_allclose(carried_m, by_hand_m, atol=1e-12)
    np.testing.assert_allclose([moment.swayed_m for moment in moments], 0.4 * np.arange(6) / RATE_HZ, atol=1e-12)


def test_a_velocity_and_the_positions_it_leads_to_are_one_motion(photo_srgb8):
    velocity = np.array(CAR_M_S)
    positions = np.arange(4)[:, None] / RATE_HZ * velocity
    one, two = (
        list(render_sequence([photo_srgb8] * 4, EVENT, SMALL, frame_rate_hz=RATE_HZ, seed=1, camera_motion=motion))
        for motion in (velocity, positions)
    )
    for a, b in zip(one, two, strict=True):
        np.testing.assert_array_equal(a.rainy_srgb8, b.rainy_srgb8)
    still = next(render_sequence([photo_srgb8], EVENT, SMALL, frame_rate_hz=RATE_HZ, seed=1))
    assert not np.array_equal(still.rainy_srgb8, one[0].rainy_srgb8)  # the texture and streaks are slanted


def test_coverage_stays_that_of_single_pictures(photo_srgb8):
    background = Background(photo_srgb8, 20.0)
    late = [
        next(render_sequence([background], EVENT, SMALL, frame_rate_hz=RATE_HZ, seed=seed, start=100)).streak_alpha
        for seed in range(200)
    ]
    single = [render_rain(background, EVENT, SMALL, seed=seed).streak_alpha for seed in range(200)]
    means = [np.array([alpha.mean() for alpha in alphas]) for alphas in (late, single)]
    error = np.hypot(*(values.std() / np.sqrt(200) for values in means))
    assert error < 0.1 * means[1].mean()  # else the next line would say little
    assert means[0].mean() == pytest.approx(means[1].mean(), abs=4 * error)


def test_noise_and_texture_are_drawn_anew_in_every_frame_and_for_either_eye(photo_srgb8):
    camera = replace(SMALL, full_well_e=2e4)
    background = Background(photo_srgb8, 20.0)
    frames = list(
        itertools.islice(render_sequence(itertools.repeat(background), EVENT, camera, frame_rate_hz=RATE_HZ, seed=2), 3)
    )
    frames += render_stereo(photo_srgb8, photo_srgb8, EVENT, camera, 0.1, 3)
    assert len({sample.noise.key for sample in frames}) == 5
    textures = np.array([sample.texture.ravel() for sample in frames])
    assert np.all(textures.std(axis=1) > 0)
    correlation = np.corrcoef(textures)[np.triu_indices(5, 1)]
    # Neighbouring pixels are correlated along streaks of some 10 px, so a tenth of the 3072 are independent.
    assert np.abs(correlation).max() * np.sqrt(300) < 4


@pytest.mark.parametrize(("exposure_s", "most"), [(1 / 250, 0.05), (1 / 60, 0.15), (1 / 25, 0.3)])
def test_undrawn_rain_keeps_little_from_frame_to_frame_wherever_it_has_moved(exposure_s, most):
    # Every drop between 0.05 and 0.5 px in two frames, the second moved back by all that drops can have fallen.
    camera = Camera.from_fov(256, 256, 24.0, exposure_s=exposure_s)
    event, size_px, thinnest_px = RainEvent(rain_rate_mm_h=25.0), 256, 0.05
    field = field_for(camera, event, thinnest_px, 1)
    frames = []
    for index in range(2):
        drops, _ = drops_in_view(field, event, camera, 20.0, thinnest_px, moment_of(index, event))
        streaks = project(drops, camera)
        thin = Streaks(*(getattr(streaks, name)[streaks.width_px < LEAST_PX] for name in Streaks.__dataclass_fields__))
        free = unhidden_fraction(thin, np.full((size_px, size_px), 20.0, dtype=np.float32)).astype(np.float64)
        frames.append((free - free.mean()) / free.std())
    kept = [np.mean(frames[1][down:] * frames[0][: size_px - down]) for down in range(size_px // 2)]
    # The largest of a hundred shifts of one pair of pictures lies up to 0.03 above their mean.
    assert most / 4 < max(kept) < most + 0.03
    assert abs(kept[0]) < 0.03


def test_light_and_veil_follow_a_buffer_that_is_filled_again(photo_srgb8):
    buffer = photo_srgb8.copy()

    def frames():
        for shade in (1, 2):
            buffer[:] = photo_srgb8 // shade
            yield buffer

    reused = [sample.airlight_linear for sample in render_sequence(frames(), EVENT, SMALL, frame_rate_hz=25, seed=0)]
    fresh = [
        sample.airlight_linear
        for sample in render_sequence([photo_srgb8, photo_srgb8 // 2], EVENT, SMALL, frame_rate_hz=25, seed=0)
    ]
    np.testing.assert_array_equal(reused, fresh)


def test_the_left_eye_stands_where_a_sequence_begins(photo_srgb8):
    left, right = render_stereo(photo_srgb8, photo_srgb8, EVENT, SMALL, 0.1, 5)
    first = next(render_sequence([photo_srgb8], EVENT, SMALL, frame_rate_hz=RATE_HZ, seed=5))
    np.testing.assert_array_equal(left.rainy_srgb8, first.rainy_srgb8)
    assert not np.array_equal(left.streak_alpha16, right.streak_alpha16)
    assert (right.parameters["camera_right_m"], right.parameters["baseline_m"]) == (0.1, 0.1)


MISTAKES = {
    "exposed too long": ({"frame_rate_hz": 200.0}, r"at most 1 / frame_rate_hz, 0.005, got 0.01"),
    "no rate": ({"frame_rate_hz": 0.0}, "frame_rate_hz must be between"),
    "weather ends": ({"event": [EVENT]}, "event must hold one for every frame, got 1 and a frame number 1"),
    "weather is a word": ({"event": "heavy"}, "event must be a RainEvent"),
    "weather is a number": ({"event": 25.0}, "event must be a RainEvent"),
    "camera of another size": ({"camera": replace(SMALL, width_px=65)}, "photograph's size 64x48"),
    "motion of two numbers": ({"camera_motion": (1.0, 2.0)}, r"velocity \(right, down, away\)"),
    "motion in km/h": ({"camera_motion": (0, 0, 200.0)}, "Divide by 3.6"),
    "motion that jumps": ({"camera_motion": np.array([[0, 0, 0], [0, 0, 50.0]])}, "speed of camera_motion"),
    "motion that ends": ({"camera_motion": np.zeros((1, 3))}, "a position for every frame"),
    "grey frames": ({"frames": [np.zeros((48, 64), np.uint8)]}, "frame 0 must be uint8 RGB"),
    "negative start": ({"start": -1}, "start must be"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_in_one_line(mistake, photo_srgb8):
    given, message = MISTAKES[mistake]
    arguments = {"frames": [photo_srgb8] * 2, "event": EVENT, "camera": SMALL, "frame_rate_hz": 25.0, "seed": 0} | given
    with pytest.raises(InputError, match=message):
        list(render_sequence(**arguments))


def test_a_baseline_in_millimetres_is_refused(photo_srgb8):
    with pytest.raises(InputError, match="baseline_m must be"):
        render_stereo(photo_srgb8, photo_srgb8, EVENT, SMALL, 120.0, 0)
