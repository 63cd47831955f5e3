"""Statistics of what a network takes off a picture: those of the streaks, if it takes just these."""

from __future__ import annotations

import numpy as np
import pytest

from rainsynth.lookalikes.clipped_noise import summed_noise_codes
from rainsynth.lookalikes.streaks import StreakStyle, faint_layer_codes, layer_codes
from rainsynth.measure import autocorrelation, length_px, width_px
from rainsynth.measure.layer_statistics import layer_statistics


def streaks(direction_deg: float = 12.0, level_codes: float = 50.0) -> np.ndarray:
    """One layer of streaks, 200 x 240 px [codes]."""
    style = StreakStyle(
        direction_deg=direction_deg,
        streak_scatter_deg=1.0,
        layer_coverage_fraction=0.2,
        length_px=40.0,
        length_log_sd=0.3,
        width_px=2.0,
        width_log_sd=0.3,
        level_codes=level_codes,
        level_log_sd=0.3,
        edge_px=1.0,
        highest_level_codes=120.0,
    )
    return layer_codes(200, 240, style, np.random.default_rng(4))


@pytest.fixture(scope="module")
def photo(bundled_photo: np.ndarray) -> np.ndarray:
    """A part of a real photograph, 200 x 240 px, dark enough that no streak clips."""
    return (bundled_photo[150:350, 100:340] // 2).astype(np.uint8)


def rainy(photo: np.ndarray, layer: np.ndarray, screened: bool = False) -> np.ndarray:
    light = layer[..., None] * (1 - photo / 255 if screened else 1)
    return np.rint(photo + light).astype(np.uint8)


def test_what_is_taken_is_measured_as_the_layer_it_was(photo):
    layer = streaks()
    found = layer_statistics(rainy(photo, layer), photo.astype(np.float32))
    correlation = autocorrelation(layer)
    assert found["layer_direction_deg"] == pytest.approx(12, abs=0.7)
    assert np.exp(found["layer_length"]) == pytest.approx(length_px(correlation, 12), rel=0.05)
    assert np.exp(found["layer_width"]) == pytest.approx(width_px(correlation, 12), rel=0.05)
    assert np.exp(found["layer_mean"]) == pytest.approx(layer.mean() + 0.1, rel=0.02)
    for level in (10, 25, 40):
        assert np.exp(found[f"layer_above_{level}"]) == pytest.approx(np.mean(layer > level), abs=0.02)
    assert np.exp(found["layer_level_at_50"]) == pytest.approx(np.median(layer[layer > 10]), rel=0.03)
    assert np.exp(found["layer_below_4"]) == pytest.approx(1e-3)


def noise(seed: int = 1, **numbers: float) -> np.ndarray:
    """Layers of clipped noise, 200 x 240 px [codes]."""
    style = {"direction_deg": 5.0, "length_px": 60.0, "grain_px": 2.0, "grains_per_length": 3.0, "level_codes": 60.0}
    style |= {"layer_count": 2, "layer_coverage_fraction": 0.4, "ramp_fraction": 1.0}
    return summed_noise_codes(200, 240, style | numbers, np.random.default_rng(seed))


def test_crossing_layers_have_energy_beside_the_main_direction(photo):
    one, crossing = (
        layer_statistics(rainy(photo, noise(crossing_deg=other_deg)), photo.astype(np.float32), 5, 10)
        for other_deg in (5, 25)
    )
    for ring_px in (6, 24):
        name = f"layer_grain_energy_{ring_px}_px_at_16_deg"
        assert np.exp(crossing[name]) > 3 * np.exp(one[name])
    assert one["layer_grain_energy_24_px_at_0_deg"] > one["layer_grain_energy_6_px_at_0_deg"]


def test_clipped_streaks_are_flat_with_steps_and_soft_ones_are_not(photo):
    hard, soft = (
        layer_statistics(rainy(photo, noise(layer_count=1, ramp_fraction=ramp)), photo.astype(np.float32))
        for ramp in (0.05, 3.0)
    )
    assert hard["layer_grain_steps_across_40"] > soft["layer_grain_steps_across_40"] + 0.5
    assert hard["layer_grain_level_at_99"] == pytest.approx(0, abs=0.05)  # of the median level
    assert soft["layer_grain_level_at_99"] > 0.3


def test_a_faint_layer_is_seen_between_strong_ones(photo):
    faint = {"faint_coverage_fraction": 0.5, "faint_direction_deg": -20.0, "faint_level_codes": 14.0}
    found = [
        layer_statistics(rainy(photo, layer), photo.astype(np.float32), 5, 10)
        for layer in (noise(), noise() + faint_layer_codes(200, 240, faint, np.random.default_rng(2)))
    ]
    assert found[0]["layer_grain_strong_along_16_px"] == pytest.approx(
        found[1]["layer_grain_strong_along_16_px"], abs=0.1
    )
    assert found[1]["layer_grain_faint_along_16_px"] < found[0]["layer_grain_faint_along_16_px"] - 0.05


def test_streaks_are_looked_for_where_they_are_asked_for(photo):
    both = np.minimum(streaks(-20), 60) + streaks(15)
    for direction_deg in (-20, 15):
        found = layer_statistics(rainy(photo, both), photo.astype(np.float32), direction_deg, 10)
        assert found["layer_direction_deg"] == pytest.approx(direction_deg, abs=1.5)


def test_screened_streaks_fade_on_bright_ground_and_added_ones_do_not(bundled_photo):
    photo = np.repeat(np.linspace(0, 190, 240), 3).reshape(1, 240, 3).repeat(200, axis=0).astype(np.uint8)
    added, screened = (
        layer_statistics(rainy(photo, streaks(), is_screened), photo.astype(np.float32))
        for is_screened in (False, True)
    )
    assert abs(added["layer_slope_over_ground"]) < 0.05
    assert screened["layer_slope_over_ground"] < -0.3
    assert screened["layer_level_on_150_codes"] < added["layer_level_on_150_codes"] - 0.2


def test_a_network_that_takes_nothing_gives_finite_statistics_of_no_streaks(photo):
    found = layer_statistics(photo, photo.astype(np.float32))
    assert np.isfinite(list(found.values())).all()
    assert np.exp(found["layer_above_10"]) == pytest.approx(1e-3)
    assert found["layer_slope_over_ground"] == found["layer_level_on_0_codes"] == 0


def test_what_is_made_brighter_is_no_streak_and_colour_is_told(photo):
    brighter = layer_statistics(photo, photo.astype(np.float32) + 20)
    assert np.exp(brighter["layer_below_15"]) == pytest.approx(1.001, abs=1e-3)
    assert np.exp(brighter["layer_mean"]) == pytest.approx(0.1)
    grey = layer_statistics(rainy(photo, streaks()), photo.astype(np.float32))
    red = rainy(photo, streaks())
    red[..., 1:] = photo[..., 1:]
    assert layer_statistics(red, photo.astype(np.float32))["layer_colour"] > grey["layer_colour"] + 1
