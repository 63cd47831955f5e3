"""The curriculum opens rates of rain as its description says."""

import numpy as np
import pytest

from mspfn.curriculum import (
    CURRICULA,
    CurriculumConfig,
    check_rates,
    open_rates_mm_h,
    sample_probabilities,
    stage_name,
)
from rainsynth.checks import InputError

RATES_MM_H = np.random.default_rng(3).permutation(np.geomspace(0.5, 128, 400))


def opened(config, progress, rates=RATES_MM_H):
    return sample_probabilities(config, progress, rates) > 0


@pytest.mark.parametrize("name", CURRICULA)
@pytest.mark.parametrize("progress", [0.0, 0.1, 0.3, 0.5, 1.0])
def test_probabilities_sum_to_one_and_are_never_negative(name, progress):
    probabilities = sample_probabilities(CurriculumConfig(name=name), progress, RATES_MM_H)
    assert probabilities.shape == RATES_MM_H.shape
    assert probabilities.min() >= 0
    assert probabilities.sum() == pytest.approx(1, abs=1e-12)


def test_uniform_gives_every_sample_the_same_probability_even_of_unknown_rate():
    rates = np.full(7, np.nan)
    check_rates(CurriculumConfig(), rates)
    np.testing.assert_allclose(sample_probabilities(CurriculumConfig(), 0.3, rates), 1 / 7)


@pytest.mark.parametrize(("progress", "limit_mm_h"), [(0.0, 2.0), (0.2, 16.0), (0.1, 2 * np.sqrt(8))])
def test_light_to_heavy_raises_the_limit_in_equal_ratios(progress, limit_mm_h):
    # from 2 to 128 mm/h is a factor of 64; half the way (0.2 of 0.4) is a factor of 8, a quarter of it sqrt(8)
    config = CurriculumConfig(name="light-to-heavy", start_rain_rate_mm_h=2.0, reached_at=0.4, replay_fraction=0)
    assert open_rates_mm_h(config, progress, RATES_MM_H)[1] == pytest.approx(limit_mm_h)
    np.testing.assert_array_equal(opened(config, progress), limit_mm_h >= RATES_MM_H)


def test_heavy_to_light_lowers_the_limit_in_equal_ratios():
    config = CurriculumConfig(name="heavy-to-light", heavy_rain_rate_mm_h=32, reached_at=1, replay_fraction=0)
    # from 32 to 0.5 mm/h is a factor of 64
    np.testing.assert_array_equal(opened(config, 0.0), RATES_MM_H >= 32)
    np.testing.assert_array_equal(opened(config, 0.5), RATES_MM_H >= 4)


@pytest.mark.parametrize("name", ["light-to-heavy", "heavy-to-light", "competence"])
def test_everything_is_open_and_equal_once_the_curriculum_is_reached(name):
    config = CurriculumConfig(name=name, reached_at=0.6)
    assert not opened(CurriculumConfig(name=name, reached_at=0.6, replay_fraction=0), 0.59).all()
    np.testing.assert_allclose(sample_probabilities(config, 0.6, RATES_MM_H), 1 / 400)
    assert stage_name(config, 0.6, RATES_MM_H) == "all rates"


def test_heavy_to_light_reaches_samples_without_rain_at_the_end_only():
    rates = np.array([0.0, 1.0, 10.0, 20.0])
    config = CurriculumConfig(name="heavy-to-light", reached_at=0.5, replay_fraction=0)
    assert opened(config, 0.499, rates).tolist() == [False, False, True, True]
    assert opened(config, 0.5, rates).all()


@pytest.mark.parametrize("progress", [0.0, 0.5, 1.0])
def test_heavy_only_never_shows_lighter_rain(progress):
    config = CurriculumConfig(name="heavy-only", heavy_rain_rate_mm_h=10, replay_fraction=0.5)
    np.testing.assert_array_equal(opened(config, progress), RATES_MM_H >= 10)


@pytest.mark.parametrize("progress", [0.0, 0.13, 0.4, 0.79])
def test_competence_opens_the_share_of_its_formula_from_the_lightest_up(progress):
    config = CurriculumConfig(name="competence", start_competence_fraction=0.2, reached_at=0.8, replay_fraction=0)
    share = np.sqrt(progress * (1 - 0.2**2) / 0.8 + 0.2**2)  # Platanios et al. 2019, eq. 6 with p = 2
    count = opened(config, progress).sum()
    assert count == np.ceil(share * 400 - 1e-9)
    np.testing.assert_array_equal(np.sort(RATES_MM_H[opened(config, progress)]), np.sort(RATES_MM_H)[:count])


def test_replay_is_the_share_of_draws_made_over_all_samples():
    config = CurriculumConfig(name="light-to-heavy", start_rain_rate_mm_h=2, replay_fraction=0.3)
    probabilities, light = sample_probabilities(config, 0, RATES_MM_H), RATES_MM_H <= 2
    np.testing.assert_allclose(probabilities[~light], 0.3 / 400)
    np.testing.assert_allclose(probabilities[light], 0.3 / 400 + 0.7 / light.sum())


def test_stage_names_the_open_rates():
    light = CurriculumConfig(name="light-to-heavy", start_rain_rate_mm_h=2, reached_at=0.4)
    assert stage_name(light, 0.2, RATES_MM_H) == "rates up to 16 mm/h"
    assert stage_name(CurriculumConfig(name="heavy-only"), 1, RATES_MM_H) == "rates from 10 mm/h"
    assert stage_name(CurriculumConfig(), 0, RATES_MM_H) == "all rates"


@pytest.mark.parametrize("name", [name for name in CURRICULA if name != "uniform"])
def test_unknown_rates_allow_only_uniform(name):
    with pytest.raises(InputError, match=rf"^curriculum.name must be uniform .*, got {name}\."):
        check_rates(CurriculumConfig(name=name), np.array([1.0, np.nan, 30.0]))


@pytest.mark.parametrize(
    ("name", "rates", "field"),
    [
        ("light-to-heavy", [5.0, 80.0], "start_rain_rate_mm_h"),  # nothing is as light as 2.5 mm/h
        ("light-to-heavy", [0.2, 1.0], "start_rain_rate_mm_h"),  # all of it is: no curriculum
        ("heavy-only", [0.2, 9.0], "heavy_rain_rate_mm_h"),
        ("heavy-to-light", [0.2, 9.0], "heavy_rain_rate_mm_h"),
        ("heavy-to-light", [20.0, 90.0], "heavy_rain_rate_mm_h"),
    ],
)
def test_data_in_which_the_first_window_is_empty_or_everything_is_refused(name, rates, field):
    with pytest.raises(InputError, match=rf"^curriculum.{field} must be between .*The samples have"):
        check_rates(CurriculumConfig(name=name), np.array(rates))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "easy-first"),
        ("reached_at", 0),
        ("reached_at", 1.5),
        ("replay_fraction", -0.1),
        ("replay_fraction", float("nan")),
        ("start_rain_rate_mm_h", 0),
        ("heavy_rain_rate_mm_h", 1e4),
        ("start_competence_fraction", 2),
    ],
)
def test_config_refuses_what_has_no_meaning(field, value):
    with pytest.raises(InputError, match=rf"^curriculum.{field} must be"):
        CurriculumConfig(**{field: value})
