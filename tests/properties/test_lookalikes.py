"""Look-alikes: the same bytes for the same seed, blends undone, statistics of what is drawn, and of the real sets."""

from __future__ import annotations

from dataclasses import asdict
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from pipelines.fit_taking import taken_codes
from rainsynth import measure
from rainsynth.checks import InputError
from rainsynth.display_blend import DISPLAY_BLENDS, STEPS_PER_CODE, blend_on_display
from rainsynth.lookalikes import (
    LOOKALIKES,
    Drawn,
    Kind,
    LineKind,
    LineRain,
    LookAlike,
    LookAlikeLayers,
    draw_layers,
    draw_look_alike,
)
from rainsynth.lookalikes.clipped_noise import (
    NoiseStyle,
    layer_size,
    noise_layer_codes,
    smooth_noise,
    summed_noise_codes,
)
from rainsynth.lookalikes.noise import motion_kernel
from rainsynth.lookalikes.streaks import StreakStyle, laid_onto, layer_codes
from rainsynth.lookalikes.taken_layers import picture_of_layer, unknown_of
from rainsynth.pictures import read_photo, write_picture
from rainsynth.seeding import sample_rng

NAMES = ("rain100l", "rain100h", "outdoor-rain", "raincityscapes")
ADDITIVE = NAMES[:2]


def sloping_depth_m(height_px: int, width_px: int) -> np.ndarray:
    """A ground that rises from 4 m at the lower edge to 60 m at the upper one."""
    return np.repeat(np.linspace(60, 4, height_px, dtype=np.float32)[:, None], width_px, axis=1)


def drawn(name: str, seed: int = 0, index: int = 0, height_px: int = 64, width_px: int = 96) -> LookAlikeLayers:
    return draw_look_alike(name, sloping_depth_m(height_px, width_px), sample_rng(seed, index))


def blended(look: LookAlikeLayers, clean: np.ndarray) -> np.ndarray:
    return blend_on_display(look.blend, clean, look.streak_alpha16, look.transmission16, look.airlight_srgb8)


def dark_photo(height_px: int, width_px: int) -> np.ndarray:
    """Texture of up to 60 codes, on which hardly any streak saturates."""
    return np.random.default_rng(9).integers(0, 60, (height_px, width_px, 3), dtype=np.uint8)


# ------------------------------ what any look-alike does


def test_there_is_a_look_alike_of_each_set():
    assert tuple(LOOKALIKES) == NAMES
    assert [LOOKALIKES[name].blend for name in NAMES] == ["additive", "additive", "heavy-rain", "raincityscapes"]


@given(st.sampled_from(NAMES), st.integers(1, 70), st.integers(1, 70), st.integers(0, 2**40))
def test_layers_have_the_shape_of_the_depth_and_the_same_bytes_for_the_same_seed(name, height_px, width_px, seed):
    first, second = (drawn(name, seed, 3, height_px, width_px) for _ in range(2))
    assert first.streak_alpha16.shape == first.transmission16.shape == (height_px, width_px)
    assert (first.streak_alpha16.dtype, first.transmission16.dtype) == (np.uint16, np.uint16)
    assert (first.airlight_srgb8.shape, first.airlight_srgb8.dtype) == ((3,), np.uint8)
    np.testing.assert_array_equal(first.streak_alpha16, second.streak_alpha16)
    np.testing.assert_array_equal(first.transmission16, second.transmission16)
    assert first.parameters == second.parameters


@pytest.mark.parametrize("name", NAMES)
def test_every_index_has_its_own_rain(name):
    looks = [drawn(name, index=index) for index in range(4)]
    assert len({look.streak_alpha16.tobytes() for look in looks}) == 4
    assert len({look.parameters["direction_deg"] for look in looks}) == 4


@pytest.mark.parametrize("name", NAMES)
def test_parameters_hold_every_number_within_its_range(name):
    for index in range(20):
        parameters = drawn(name, index=index, height_px=16, width_px=16).parameters
        kind = next(kind for kind in LOOKALIKES[name].kinds if kind.title == parameters["kind"])
        assert parameters["look_alike"] == name
        for number, limits in kind.ranges.items():
            assert limits.low <= parameters[number] <= limits.high
        assert {type(value) for value in parameters.values()} <= {int, float, str}


def test_every_number_names_its_source():
    ranges = [
        (kind.title, *item) for look in LOOKALIKES.values() for kind in look.kinds for item in kind.ranges.items()
    ]
    assert len(ranges) > 80
    for kind, number, limits in ranges:
        assert len(limits.source) >= 8, f"{kind}: {number}"


@pytest.mark.parametrize("name", NAMES)
def test_mean_coverage_and_transmission_are_those_of_the_layers(name):
    look = drawn(name, index=1)
    streak_codes = look.streak_alpha16 / 257
    assert look.parameters["coverage_fraction"] == pytest.approx(np.mean(streak_codes > 10), abs=1e-3)
    assert look.parameters["mean_streak_codes"] == pytest.approx(streak_codes.mean(), rel=1e-3)
    assert look.parameters["mean_transmission"] == pytest.approx(np.mean(look.transmission16 / 65535), rel=1e-3)


def test_kinds_come_as_often_as_their_shares_say():
    look_alike = LOOKALIKES["rain100l"]
    rng = np.random.default_rng(3)
    titles = [look_alike.draw(rng)["kind"] for _ in range(2000)]
    for kind in look_alike.kinds:
        # Standard error of a share of 2000 draws: at most 0.0112.
        assert titles.count(kind.title) / 2000 == pytest.approx(kind.share_fraction, abs=0.04)


def test_numbers_are_spread_over_their_ranges():
    rng = np.random.default_rng(5)
    uniform = Drawn(low=2, high=4, source="test")
    logarithmic = Drawn(low=1, high=100, source="test", scale="logarithmic")
    whole = Drawn(low=2, high=4, source="test", scale="whole")
    assert np.mean([uniform.draw(rng) for _ in range(2000)]) == pytest.approx(3, abs=0.06)
    assert np.median([logarithmic.draw(rng) for _ in range(2000)]) == pytest.approx(10, rel=0.2)
    counts = np.bincount([whole.draw(rng) for _ in range(3000)], minlength=5)
    assert counts[:2].sum() == 0
    np.testing.assert_allclose(counts[2:], 1000, rtol=0.12)


def test_ranges_that_make_no_sense_are_refused():
    with pytest.raises(InputError, match=r"Drawn\.high must be between 3 and inf, got 2"):
        Drawn(low=3, high=2, source="test")
    with pytest.raises(InputError, match=r"Drawn\.scale must be one of uniform"):
        Drawn(low=1, high=2, source="test", scale="normal")
    half = Kind(title="half", share_fraction=0.5, ranges={})
    with pytest.raises(InputError, match=r"Shares of all kinds add up to 1"):
        LookAlike(title="test", blend=DISPLAY_BLENDS[0], recipe="lines", kinds=(half,))


def test_bad_names_and_depths_are_refused():
    depth_m = sloping_depth_m(8, 8)
    rng = np.random.default_rng(0)
    with pytest.raises(
        InputError, match="name must be one of rain100l, rain100h, outdoor-rain, raincityscapes, got 'x'"
    ):
        draw_look_alike("x", depth_m, rng)
    with pytest.raises(InputError, match=r"depth_m must be a float32 map \(H, W\) in metres, got float64 \(8, 8\)"):
        draw_look_alike("rain100h", depth_m.astype(float), rng)
    with pytest.raises(InputError, match="Fill unknown depth first"):
        draw_look_alike("rain100h", np.where(depth_m > 50, np.float32(np.nan), depth_m), rng)


# ------------------------------ streaks


def test_a_single_streak_has_the_profile_that_its_style_says():
    # One streak of 3 px and 20 px, straight down: edges rise from 0 to 1 over 2 px, ends over half of its half length.
    style = StreakStyle(
        direction_deg=0,
        streak_scatter_deg=0,
        layer_coverage_fraction=0.3,
        length_px=20,
        length_log_sd=0,
        width_px=3,
        width_log_sd=0,
        level_codes=100,
        level_log_sd=0,
        highest_level_codes=1000,
        edge_px=2,
        taper_fraction=0.5,
    )
    height_px, width_px, margin_px = 6, 8, 40
    rng = np.random.default_rng(11)
    count = rng.poisson(-np.log(0.7) * (height_px + 2 * margin_px) * (width_px + 2 * margin_px) / 60)
    x = rng.uniform(-margin_px, width_px + margin_px, count)
    y = rng.uniform(-margin_px, height_px + margin_px, count)
    expected = np.zeros((height_px, width_px))
    for row, column in np.ndindex(height_px, width_px):
        along, across = np.abs(row - y), np.abs(column - x)
        ends = np.clip((10 - along) / 5, 0, 1)
        edges = np.clip((1.5 - across) / 2 + 0.5, 0, 1)
        expected[row, column] = 100 * np.max(ends * edges, initial=0)
    assert 5 < expected.max() <= 100
    np.testing.assert_allclose(layer_codes(height_px, width_px, style, np.random.default_rng(11)), expected, atol=0.01)


def plain_style(**changed: Any) -> StreakStyle:
    numbers = {
        "direction_deg": 8.0,
        "streak_scatter_deg": 0.0,
        "layer_coverage_fraction": 0.3,
        "length_px": 40.0,
        "length_log_sd": 0.0,
        "width_px": 2.5,
        "width_log_sd": 0.0,
        "level_codes": 60.0,
        "level_log_sd": 0.0,
        "highest_level_codes": 255.0,
        "edge_px": 0.0,
    }
    return StreakStyle(**(numbers | changed))


def test_hard_streaks_measure_as_their_style_says():
    layer = layer_codes(320, 480, plain_style(), np.random.default_rng(2))
    correlation = measure.autocorrelation(layer)
    direction_deg = measure.main_direction_deg(measure.direction_profile(correlation))
    assert np.mean(layer > 0) == pytest.approx(0.3, abs=0.03)
    assert np.mean((layer == 0) | (layer == 60)) > 0.999
    assert direction_deg == pytest.approx(8, abs=0.7)
    # A union of streaks is more than one wide and long where they overlap, at this coverage by under a tenth.
    assert measure.length_px(correlation, direction_deg) == pytest.approx(40, rel=0.12)
    assert measure.width_px(correlation, direction_deg) == pytest.approx(2.5, rel=0.12)


def test_streaks_left_out_at_an_edge_leave_it_dark():
    rng = np.random.default_rng(4)
    layer = layer_codes(200, 300, plain_style(direction_deg=0.0, inside_bottom_fraction=1.0), rng)
    rows = (layer > 0).mean(axis=1)
    assert rows[-1] == 0
    assert rows[:150].mean() == pytest.approx(0.3, abs=0.05)
    assert rows[-20] < 0.8 * rows[:150].mean()


def test_beads_hold_their_part_of_a_streaks_level():
    bright = layer_codes(200, 300, plain_style(bead_fraction=0.75, bead_px=4.0), np.random.default_rng(6))
    plain = layer_codes(200, 300, plain_style(), np.random.default_rng(6))
    ratio = bright[plain > 0] / plain[plain > 0]
    assert 0.25 <= ratio.min() < 0.3
    assert 0.95 < ratio.max() <= 1


@pytest.mark.parametrize(("size_correlation", "low", "high"), [(0.0, -0.2, 0.2), (0.9, 0.5, 0.95)])
def test_wide_streaks_are_long_where_sizes_are_tied(size_correlation, low, high):
    style = plain_style(
        direction_deg=0.0,
        layer_coverage_fraction=0.01,
        length_px=20.0,
        length_log_sd=0.5,
        width_px=8.0,
        width_log_sd=0.5,
        size_correlation=size_correlation,
    )
    layer = layer_codes(1600, 2000, style, np.random.default_rng(8)) > 0
    labels, count = ndimage.label(layer)
    boxes = [(rows.stop - rows.start, columns.stop - columns.start) for rows, columns in ndimage.find_objects(labels)]
    assert count > 100
    assert low < np.corrcoef(np.log(boxes), rowvar=False)[0, 1] < high


def test_motion_kernel_is_a_line_of_its_length_and_angle():
    np.testing.assert_allclose(motion_kernel(3, 0)[:, 1], [1 / 3, 1 / 3, 1 / 3], atol=1e-6)
    for direction_deg in (-10.0, 4.0):
        kernel = motion_kernel(41, direction_deg).astype(float)
        rows, columns = np.indices(kernel.shape)
        rows, columns = rows - kernel.shape[0] // 2, columns - kernel.shape[1] // 2
        assert kernel.sum() == pytest.approx(1, abs=1e-6)
        moments = [np.sum(kernel * product) for product in (rows * rows, rows * columns, columns * columns)]
        angle_deg = 0.5 * np.rad2deg(np.arctan2(2 * moments[1], moments[0] - moments[2]))
        assert angle_deg == pytest.approx(direction_deg, abs=0.1)
        # A line of length l has the variance l^2 / 12 along itself; the kernel reaches l - 1 px between pixel centres.
        assert moments[0] + moments[2] == pytest.approx(41**2 / 12, rel=0.05)


# ------------------------------ clipped noise


def noise_layer(seed: int = 3, **changed: float) -> np.ndarray:
    numbers = {
        "direction_deg": 8.0,
        "length_px": 40.0,
        "grain_px": 1.5,
        "grains_per_length": 8.0,
        "layer_coverage_fraction": 0.4,
        "ramp_fraction": 1.0,
        "level_codes": 80.0,
    }
    return noise_layer_codes(320, 480, NoiseStyle(**(numbers | changed)), np.random.default_rng(seed))


@given(st.floats(0.05, 0.8), st.floats(0, 3), st.floats(10, 160), st.integers(0, 2**40))
def test_clipped_noise_covers_what_its_style_says_up_to_its_level(coverage, ramp_fraction, level_codes, seed):
    layer = noise_layer(seed, layer_coverage_fraction=coverage, ramp_fraction=ramp_fraction, level_codes=level_codes)
    assert np.mean(layer > 0) == pytest.approx(coverage, abs=0.01)
    assert layer.min() == 0
    assert layer.max() == pytest.approx(level_codes, rel=1e-5) or ramp_fraction > 1
    # The brightest 15 % of what is covered are flat with a ramp of 1, nearly all of it with a ramp of 0.
    flat_fraction = np.mean(layer[layer > 0] > 0.999 * level_codes)
    if ramp_fraction <= 1:
        assert flat_fraction >= 0.14
    if ramp_fraction == 0:
        assert flat_fraction > 0.99


def test_clipped_noise_lies_along_its_direction_and_is_longer_and_wider_as_its_style_says():
    directions, lengths, widths = {}, {}, {}
    for name, changed in {"plain": {}, "long": {"length_px": 80.0}, "coarse": {"grain_px": 3.0}}.items():
        correlation = measure.autocorrelation(noise_layer(**changed))
        directions[name] = measure.main_direction_deg(measure.direction_profile(correlation))
        lengths[name] = measure.length_px(correlation, directions[name])
        widths[name] = measure.width_px(correlation, directions[name])
    assert directions == pytest.approx(dict.fromkeys(directions, 8), abs=1)
    assert 1.4 < lengths["long"] / lengths["plain"] < 2.5
    assert 1.4 < widths["coarse"] / widths["plain"] < 2.5


def test_layers_of_noise_differ_in_size_where_they_are_told_to():
    numbers = {"direction_deg": 0.0, "length_px": 40.0, "grain_px": 1.5, "grains_per_length": 8.0}
    numbers |= {"layer_coverage_fraction": 0.4, "ramp_fraction": 1.0, "level_codes": 80.0, "layer_count": 1}

    def widths_px(log_sd: float) -> list[float]:
        layers = [
            summed_noise_codes(200, 200, numbers | {"layer_size_log_sd": log_sd}, np.random.default_rng(seed))
            for seed in range(30)
        ]
        return [measure.width_px(measure.autocorrelation(layer), 0.0) for layer in layers]

    alike, differing = np.log(widths_px(0.0)), np.log(widths_px(0.5))
    assert alike.std() < 0.1
    assert 0.2 < differing.std() < 0.5  # grains of less than a pixel are none
    assert np.log(
        [layer_size({"layer_size_log_sd": 0.5}, np.random.default_rng(seed)) for seed in range(400)]
    ).std() == pytest.approx(0.5, rel=0.1)


def test_grains_in_clumps_run_together_here_and_leave_gaps_there_and_cover_as_much():
    apart_px = {"plain": {}, "clumps": {"clump_log_sd": 0.8, "clump_px": 40.0}}
    covered, uneven = {}, {}
    for name, changed in apart_px.items():
        layers = [noise_layer(seed=seed, **changed) for seed in range(6)]
        covered[name] = np.mean([np.mean(layer > 0) for layer in layers])
        uneven[name] = np.mean([ndimage.gaussian_filter(layer, 20).std() / layer.mean() for layer in layers])
    assert covered["clumps"] == pytest.approx(covered["plain"], rel=0.02)
    assert uneven["clumps"] > 2 * uneven["plain"]
    field = smooth_noise((200, 300), 25.0, np.random.default_rng(0))
    assert field.shape == (200, 300)
    assert field.mean() == pytest.approx(0, abs=0.3)
    assert 0.6 < field.std() < 1.1
    assert np.abs(np.diff(field, axis=0)).max() < 0.4


@given(st.floats(0, 255), st.floats(0, 255), st.floats(0, 1))
def test_layers_lie_over_each_other_between_a_sum_and_a_screen(under, over, screened_fraction):
    def laid(fraction: float | None) -> float:
        numbers = {} if fraction is None else {"layer_screened_fraction": fraction}
        return float(laid_onto(np.full((1, 1), under, np.float32), np.full((1, 1), over, np.float32), numbers)[0, 0])

    added, screened = under + over, 255 - (255 - under) * (255 - over) / 255
    assert laid(None) == laid(0.0) == pytest.approx(added)
    assert laid(1.0) == pytest.approx(screened, abs=1e-3)
    between = added + screened_fraction * (screened - added)
    assert laid(screened_fraction) == pytest.approx(between, abs=1e-3)


@pytest.mark.parametrize("streaks", ["drawn", "noise"])
def test_layers_of_lines_and_of_noise_are_screened_where_they_are_told_to(streaks):
    def mean_codes(**numbers: float) -> float:
        ranges = {"layer_count": 4, "layer_coverage_fraction": 0.6, "level_codes": 80, "direction_deg": 5} | numbers
        rain = LineRain(streaks=streaks, kinds=(LineKind(ranges=ranges),)).look_alike
        layers = draw_layers(rain, "x", np.full((80, 80), 9, np.float32), np.random.default_rng(0))
        return float(layers.parameters["mean_streak_codes"])

    assert mean_codes(layer_screened_fraction=1) < 0.95 * mean_codes()
    assert "layer_screened_fraction" not in LineKind().drawn("additive", streaks)  # and nothing is drawn for it


def test_few_grains_make_streaks_one_by_one_each_as_long_as_the_blur():
    layer = noise_layer(direction_deg=0.0, grain_px=2.0, grains_per_length=0.02, ramp_fraction=0.0)
    labels, _ = ndimage.label(layer > 0)
    heights_px = [rows.stop - rows.start for rows, _ in ndimage.find_objects(labels)]
    inside = [height for height in heights_px if height > 20]  # neither cut by the picture's edge nor a ringing corner
    assert len(inside) > 20
    assert np.median(inside) == pytest.approx(40, abs=3)


def test_grains_left_out_beyond_an_edge_leave_it_dark():
    rows = (noise_layer(direction_deg=0.0, inside_bottom_fraction=1.0) > 0).mean(axis=1)
    assert rows[-1] < 0.6 * rows[:250].mean()
    assert rows[0] > 0.6 * rows[:250].mean()


# ------------------------------ layers taken off photographs


def test_a_taken_layer_is_laid_over_as_it_is_and_goes_on_at_its_other_side(tmp_path):
    rng = np.random.default_rng(0)
    layers = [rng.integers(0, 90, (40, 50), dtype=np.uint8) for _ in range(3)]
    for number, layer in enumerate(layers):
        write_picture(tmp_path / "sub" / f"{number}.png", np.repeat(layer[..., None], 3, axis=2))
    look_alike = LineRain(streaks="taken", layers=str(tmp_path)).look_alike
    seen = set()
    for seed in range(30):
        look = draw_layers(look_alike, "test", np.ones((16, 70), np.float32), sample_rng(seed, 0))
        codes = look.streak_alpha16 // STEPS_PER_CODE
        layer = layers[int(look.parameters["kind"].removeprefix("sub/").removesuffix(".png"))]
        wide = np.concatenate([layer, layer], axis=1)[:, :70]
        assert any((codes == wide[top : top + 16]).all() for top in range(25))
        seen.add(look.parameters["kind"])
    assert seen == {"sub/0.png", "sub/1.png", "sub/2.png"}


def test_windows_of_a_layer_are_laid_where_most_of_it_is_known(tmp_path):
    codes = np.full((60, 200), 30, np.uint8)
    unknown = np.zeros((60, 200), bool)
    unknown[:, :140], codes[:, :140] = True, 7
    write_picture(tmp_path / "0.png", picture_of_layer(codes, unknown))
    look_alike = LineRain(streaks="taken", layers=str(tmp_path)).look_alike
    looks = [draw_layers(look_alike, "test", np.ones((20, 20), np.float32), sample_rng(3, n)) for n in range(60)]
    known = np.mean([(look.streak_alpha16 // STEPS_PER_CODE == 30).mean() for look in looks])
    assert known > 0.85  # a window by chance has 0.28: of eight, 0.9


def test_layers_are_grey_but_for_what_is_not_known(tmp_path):
    rng = np.random.default_rng(1)
    codes, unknown = rng.integers(200, 256, (30, 40), dtype=np.uint8), rng.random((30, 40)) < 0.2
    write_picture(tmp_path / "0.png", picture_of_layer(codes, unknown))
    picture = read_photo(tmp_path / "0.png")
    assert (picture[..., :2][~unknown] == codes[~unknown, None]).all()
    assert (picture[..., :2][unknown] == np.minimum(codes, 254)[unknown, None]).all()  # one less where it would be grey
    assert (unknown_of(picture) == unknown).all()


@given(st.sampled_from(["additive", "screen"]), st.integers(0, 2**40))
def test_what_was_taken_off_is_what_had_been_laid_over(blend, seed):
    rng = np.random.default_rng(seed)
    clean = rng.integers(0, 200, (24, 30, 3), dtype=np.uint8)
    look = draw_layers(LineRain(blend=blend).look_alike, "test", np.ones((24, 30), np.float32), sample_rng(seed, 0))
    rainy = blended(look, clean)
    taken = taken_codes(rainy, clean.astype(np.float32), blend)
    known = (rainy < 255).any(axis=2)  # where all channels are white, that much was added at the least
    off = taken - look.streak_alpha16 / STEPS_PER_CODE
    assert np.abs(off[known]).max() <= {"additive": 1, "screen": 5}[blend]  # on 200 codes a fifth of it is seen
    assert (off[~known] <= 0.5).all()


# ------------------------------ veil


def test_transmission_of_heavy_rain_follows_relative_depth():
    depth_m = np.full((80, 90), 50, dtype=np.float32)
    depth_m[:, :45] = 5
    look = draw_look_alike("outdoor-rain", depth_m, sample_rng(2, 0))
    beta = look.parameters["veil_strength"]
    transmission = look.transmission16 / 65535
    # The generator's d = 1 / (disparity + 0.1), over its largest value: disparity 1 and 0.1 give 2 / 11 and 1.
    assert 2.6 <= beta <= 4.6
    assert transmission[40, 0] == pytest.approx(np.exp(-beta * 2 / 11), abs=2e-5)
    assert transmission[40, -1] == pytest.approx(np.exp(-beta), abs=2e-5)
    np.testing.assert_array_equal(
        look.transmission16, draw_look_alike("outdoor-rain", 10 * depth_m, sample_rng(2, 0)).transmission16
    )


def test_fog_and_streaks_of_raincityscapes_follow_depth_in_metres():
    near_m, far_m = np.full((60, 80), 1, dtype=np.float32), np.full((60, 80), 100, dtype=np.float32)
    for index in range(6):
        near, far = (draw_look_alike("raincityscapes", depth_m, sample_rng(7, index)) for depth_m in (near_m, far_m))
        fog_per_m, fading_per_m, full_depth_m = (
            near.parameters[name] for name in ("fog_per_m", "fading_per_m", "full_depth_m")
        )
        assert (fading_per_m, fog_per_m) in ((0.01, 0.005), (0.02, 0.01), (0.03, 0.015))
        assert near.transmission16[0, 0] / 65535 == pytest.approx(np.exp(-fog_per_m), abs=2e-5)
        assert far.transmission16[0, 0] / 65535 == pytest.approx(np.exp(-100 * fog_per_m), abs=2e-5)
        fading = np.exp(-fading_per_m * (100 - full_depth_m))
        np.testing.assert_allclose(
            far.streak_alpha16,
            np.minimum(fading * near.streak_alpha16.astype(float), 65535 * np.exp(-100 * fog_per_m)),
            atol=1.5,
        )


def test_fog_and_streaks_take_no_light_twice():
    for index in range(12):
        look = drawn("raincityscapes", index=index)
        assert np.all(look.streak_alpha16.astype(int) <= look.transmission16.astype(int) + 1)


# ------------------------------ statistics of the additive sets


@pytest.mark.parametrize("name", ADDITIVE)
def test_additive_look_alikes_are_grey_whole_codes_added_bit_for_bit(name):
    rng = np.random.default_rng(12)
    clean = rng.integers(0, 256, (64, 96, 3), dtype=np.uint8)
    for index in range(3):
        look = drawn(name, index=index)
        added = look.streak_alpha16 // 257
        assert not np.any(look.streak_alpha16 % 257)
        assert np.all(look.transmission16 == 65535)
        rainy = blended(look, clean)
        np.testing.assert_array_equal(rainy, np.minimum(255, clean + added[..., None].astype(int)))
        assert measure.is_additive(rainy, clean)
        assert measure.greyness_fraction(rainy, clean) == 1


# Medians over 40 real pairs and half of their spread over pictures, by rainsynth.measure (tests/physics/
# test_measure.py measures them); on a dark photograph nothing saturates, so levels come out a little higher.
REAL_BANDS = {
    "rain100l": {"width_px": (2.2, 2.9), "length_px": (38, 65), "edge_sharpness": (0.56, 0.66)},
    "rain100h": {"width_px": (2.2, 2.8), "length_px": (50, 82), "edge_sharpness": (0.57, 0.66)},
}
REAL_COVERAGE = {"rain100l": (0.23, 0.145, 0.057), "rain100h": (0.89, 0.81, 0.645)}


@pytest.mark.parametrize("name", ADDITIVE)
def test_drawn_streaks_measure_as_those_of_the_set(name):
    clean = dark_photo(240, 320)
    rows = [measure.measure_pair(blended(drawn(name, 0, index, 240, 320), clean), clean) for index in range(16)]
    for number, (low, high) in REAL_BANDS[name].items():
        assert low < np.median([getattr(row, number) for row in rows]) < high
    # Standard error of the mean over 16 pictures: 0.02 for Rain100L, 0.02 to 0.045 for Rain100H.
    coverage = np.mean([row.coverage_fraction for row in rows], axis=0)
    np.testing.assert_allclose(coverage, REAL_COVERAGE[name], atol=0.05 if name == "rain100l" else 0.1)
    assert np.std([row.main_direction_deg for row in rows]) > 4


def real_and_look_alike(folder: Any, name: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Measurements of the 40 real pairs, and of three look-alikes on each of their clean pictures."""
    real, alike = [], []
    for number, path in enumerate(sorted((folder / "input").glob("*.png"))):
        clean = read_photo(folder / "target" / path.name)
        real.append(measure.measure_pair(read_photo(path), clean))
        depth_m = np.ones(clean.shape[:2], dtype=np.float32)
        for index in range(3 * number, 3 * number + 3):
            look = draw_look_alike(name, depth_m, sample_rng(0, index))
            alike.append(measure.measure_pair(blended(look, clean), clean))
    assert len(real) == 40
    tables = []
    for rows in (real, alike):
        table = [asdict(row) for row in rows]
        directions = np.array([len(row.pop("directions_deg")) for row in table])
        tables.append({key: np.array([row[key] for row in table]) for key in table[0]} | {"directions": directions})
    return tables[0], tables[1]


@pytest.mark.data
@pytest.mark.parametrize(("name", "psnr_y_db"), [("rain100h", 13.70), ("rain100l", 26.60)])
def test_on_the_sets_clean_pictures_the_look_alike_measures_as_the_set(data_folder, name, psnr_y_db):
    real, alike = real_and_look_alike(data_folder / "benchmarks" / f"{name}-dev", name)
    assert np.all(alike["greyness_fraction"] == 1)
    assert np.all(alike["additive_residual_codes"] == 0)
    assert alike["psnr_y_db"].mean() == pytest.approx(psnr_y_db, abs=1)
    np.testing.assert_allclose(
        alike["coverage_fraction"].mean(axis=0), real["coverage_fraction"].mean(axis=0), atol=0.05
    )
    np.testing.assert_allclose(alike["levels_codes"].mean(axis=0), real["levels_codes"].mean(axis=0), rtol=0.15)
    for number in ("width_px", "length_px"):
        assert np.median(alike[number]) == pytest.approx(np.median(real[number]), rel=0.1)
    assert alike["edge_sharpness"].mean() == pytest.approx(real["edge_sharpness"].mean(), abs=0.03)
    # From picture to picture: standard deviations within a third of each other.
    for number in ("psnr_y_db", "main_direction_deg", "length_px", "width_px"):
        assert alike[number].std() == pytest.approx(real[number].std(), rel=0.34)
    np.testing.assert_allclose(alike["coverage_fraction"].std(axis=0), real["coverage_fraction"].std(axis=0), rtol=0.4)
    assert np.median(alike["direction_spread_deg"]) == pytest.approx(np.median(real["direction_spread_deg"]), rel=0.2)
    assert alike["directions"].mean() == pytest.approx(real["directions"].mean(), abs=0.15)


@pytest.mark.data
def test_blends_of_the_real_pairs_are_undone_and_done_again(data_folder):
    folder = data_folder / "benchmarks" / "rain100h-dev"
    path = sorted((folder / "input").glob("*.png"))[0]
    rainy, clean = read_photo(path), read_photo(folder / "target" / path.name)
    streak16 = 257 * measure.grey_layer(rainy, clean).astype(np.uint16)
    clear = np.full(streak16.shape, 65535, dtype=np.uint16)
    again = blend_on_display("additive", clean, streak16, clear, np.zeros(3, dtype=np.uint8))
    np.testing.assert_array_equal(again, rainy)
    assert Fraction(int(streak16.max()), 257).denominator == 1
