"""Statistics of rainy pictures alone: what they are of, and that rain moves them as it should."""

from __future__ import annotations

import numpy as np
import pytest

from rainsynth.checks import InputError
from rainsynth.lookalikes.streaks import StreakStyle, layer_codes
from rainsynth.measure import autocorrelation
from rainsynth.measure.rain_statistics import (
    hats,
    main_direction_near_deg,
    percentiles,
    quick_correlation,
    rain_statistics,
    streak_profile,
)


@pytest.fixture(scope="module")
def photo(bundled_photo: np.ndarray) -> np.ndarray:
    """A part of a real photograph, 200 x 240 px."""
    return np.ascontiguousarray(bundled_photo[150:350, 100:340])


def streaks(direction_deg: float, **numbers: float) -> np.ndarray:
    """One layer of streaks, 200 x 240 px [codes]."""
    style = {"streak_scatter_deg": 1.0, "layer_coverage_fraction": 0.25, "length_px": 40.0, "length_log_sd": 0.3}
    style |= {"width_px": 1.8, "width_log_sd": 0.3, "level_codes": 50.0, "level_log_sd": 0.4, "edge_px": 1.0}
    chosen = StreakStyle(direction_deg=direction_deg, highest_level_codes=200.0, **(style | numbers))
    return layer_codes(200, 240, chosen, np.random.default_rng(4))


def added(photo: np.ndarray, layer: np.ndarray) -> np.ndarray:
    return np.minimum(photo + np.floor(layer)[..., None], 255).astype(np.uint8)


@pytest.mark.parametrize("direction_deg", [-30, -8, 0, 5, 21])
def test_the_direction_of_rain_is_found_on_a_photograph_within_a_degree(photo, direction_deg):
    profile = streak_profile(added(photo, streaks(direction_deg)))
    assert main_direction_near_deg(profile, 0, 60) == pytest.approx(direction_deg, abs=1)


def test_a_direction_is_looked_for_where_it_is_asked_for():
    crossed = added(np.full((200, 240, 3), 40, np.uint8), streaks(-20) + streaks(15, level_codes=80.0))
    profile = streak_profile(crossed)
    assert main_direction_near_deg(profile, -20, 10) == pytest.approx(-20, abs=1.5)
    assert main_direction_near_deg(profile, 15, 10) == pytest.approx(15, abs=1.5)


def test_a_line_stands_above_and_hangs_below_nothing():
    luma = np.full((70, 70), 80, np.float32)
    luma[:, 30:33] += 25
    above, below = hats(luma, 5)
    np.testing.assert_array_equal(above, luma - 80)
    assert not below.any()
    assert not hats(luma, 3)[0].any()  # as wide as what it is compared over


def test_quick_correlation_is_the_autocorrelation_of_the_whole_picture():
    layer = streaks(10)
    np.testing.assert_allclose(quick_correlation(layer, 40), autocorrelation(layer, reach_px=40), atol=1e-4)


def test_percentiles_are_those_of_numpy_to_an_eighth_of_a_code(photo):
    field = photo.mean(axis=-1)
    for share, found in zip((1, 30, 99.5), percentiles(field, (1, 30, 99.5)), strict=True):
        assert found == pytest.approx(np.percentile(field, share), abs=0.126)


def test_light_that_is_added_keeps_its_level_on_bright_ground_and_screened_light_does_not():
    ground = np.repeat(np.linspace(20, 170, 200)[:, None], 240, axis=1)
    photo, layer = np.repeat(ground[..., None], 3, axis=2), streaks(0, level_codes=60.0)
    screened = np.rint(photo + (1 - photo / 255) * layer[..., None]).astype(np.uint8)
    slopes = [rain_statistics(picture)["above_over_ground"] for picture in (added(photo, layer), screened)]
    assert slopes[0] == pytest.approx(0, abs=0.1)
    assert slopes[1] < slopes[0] - 0.3


def test_more_longer_wider_and_brighter_streaks_move_their_statistics(photo):
    def of(**numbers: float) -> dict[str, float]:
        return rain_statistics(added(photo, streaks(6, **numbers)))

    usual = of()
    assert of(length_px=80.0)["weighed_along_22_px"] > usual["weighed_along_22_px"] + 0.03
    assert of(width_px=3.5)["hat_across_2_px"] > usual["hat_across_2_px"] + 0.05
    assert of(level_codes=90.0)["above_11_px_at_90"] > usual["above_11_px_at_90"] + 0.2
    assert of(layer_coverage_fraction=0.5)["above_11_px_at_50"] > usual["above_11_px_at_50"] + 0.2


def test_every_statistic_is_finite_whatever_the_picture():
    rng = np.random.default_rng(0)
    for picture in (np.zeros((64, 64, 3)), np.full((64, 80, 3), 255), rng.integers(0, 256, (90, 64, 3))):
        found = rain_statistics(picture.astype(np.uint8), 10, 20)
        assert np.isfinite(list(found.values())).all()
        assert list(found) == list(rain_statistics(np.zeros((64, 64, 3), np.uint8)))


def test_a_picture_too_small_is_refused():
    with pytest.raises(InputError, match=r"^picture_srgb8 must be at least 64 px each way, got \(63, 70, 3\)"):
        rain_statistics(np.zeros((63, 70, 3), np.uint8))
