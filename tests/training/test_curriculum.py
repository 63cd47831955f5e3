"""The curriculum opens rates of rain as its description says."""

import numpy as np
import pytest

from mspfn.curriculum import open_rates_mm_h, sample_probabilities, window_at
from mspfn.curriculum_check import check_samples
from mspfn.curriculum_config import CURRICULA, CurriculumConfig, CurriculumStage
from mspfn.samples import Samples
from rainsynth.checks import InputError

RATES_MM_H = np.random.default_rng(3).permutation(np.geomspace(0.5, 128, 400))
SAMPLES = Samples(RATES_MM_H)
LIGHT_FIRST = CurriculumConfig(name="light-to-heavy", start_rain_rate_mm_h=2, replay_fraction=0.2)


BY_RATE = [name for name in CURRICULA if name != "uniform"]
SHARES = ["heavy-only", "light-to-heavy", "heavy-to-light", "competence"]


def curriculum(name, **options):
    """A curriculum of this name; `staged` with two stages."""
    if name == "staged":
        light = CurriculumStage(name="light", from_progress=0, rain_rate_mm_h=(0, 6))
        options["stages"] = (light, CurriculumStage(name="hard", from_progress=0.3, difficulty_share=(0.5, 1)))
    return CurriculumConfig(name=name, **options)


def opened(config, progress, rates=RATES_MM_H):
    return sample_probabilities(config, progress, Samples(rates)) > 0


def of_sources(*sources, weights):
    """Samples of sources with these rates, each drawn alike within its source."""
    counts = [len(rates) for rates in sources]
    share = np.repeat(np.array(weights) / np.sum(weights) / counts, counts)
    return Samples(np.concatenate(sources).astype(float), share, np.repeat(np.arange(len(counts)), counts))


@pytest.mark.parametrize("name", CURRICULA)
@pytest.mark.parametrize("progress", [0.0, 0.1, 0.3, 0.5, 1.0])
def test_probabilities_sum_to_one_and_are_never_negative(name, progress):
    probabilities = sample_probabilities(curriculum(name), progress, SAMPLES)
    assert probabilities.shape == RATES_MM_H.shape
    assert probabilities.min() >= 0
    assert probabilities.sum() == pytest.approx(1, abs=1e-12)


def test_uniform_gives_every_sample_the_same_probability_even_of_unknown_rate():
    samples = Samples(np.full(7, np.nan))
    check_samples(CurriculumConfig(), samples)
    np.testing.assert_allclose(sample_probabilities(CurriculumConfig(), 0.3, samples), 1 / 7)


@pytest.mark.parametrize(("progress", "limit_mm_h"), [(0.0, 2.0), (0.2, 16.0), (0.1, 2 * np.sqrt(8))])
def test_light_to_heavy_raises_the_limit_in_equal_ratios(progress, limit_mm_h):
    # from 2 to 128 mm/h is a factor of 64; half the way (0.2 of 0.4) is a factor of 8, a quarter of it sqrt(8)
    config = CurriculumConfig(name="light-to-heavy", start_rain_rate_mm_h=2.0, reached_at=0.4, replay_fraction=0)
    assert open_rates_mm_h(config, progress, SAMPLES)[1] == pytest.approx(limit_mm_h)
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
    np.testing.assert_allclose(sample_probabilities(config, 0.6, SAMPLES), 1 / 400)
    assert window_at(config, 0.6, SAMPLES).words == "all rates"


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
    probabilities, light = sample_probabilities(config, 0, SAMPLES), RATES_MM_H <= 2
    np.testing.assert_allclose(probabilities[~light], 0.3 / 400)
    np.testing.assert_allclose(probabilities[light], 0.3 / 400 + 0.7 / light.sum())


def test_stage_names_the_open_rates():
    light = CurriculumConfig(name="light-to-heavy", start_rain_rate_mm_h=2, reached_at=0.4)
    assert window_at(light, 0.2, SAMPLES).words == "rates up to 16 mm/h"
    assert window_at(CurriculumConfig(name="heavy-only"), 1, SAMPLES).words == "rates from 10 mm/h"
    assert window_at(CurriculumConfig(), 0, SAMPLES).words == "all rates"


@pytest.mark.parametrize("name", BY_RATE)
def test_samples_none_of_which_has_a_rate_allow_only_uniform(name):
    first_fault = (
        "stage light: rain_rate_mm_h must be left out" if name == "staged" else "curriculum.name must be uniform"
    )
    with pytest.raises(InputError, match=rf"^{first_fault} .*unknown rain rate, got .*input-psnr"):
        check_samples(curriculum(name), Samples(np.array([np.nan, np.nan])))


@pytest.mark.parametrize("name", CURRICULA)
@pytest.mark.parametrize("progress", [0.0, 0.2, 0.7])
def test_samples_of_unknown_rate_are_drawn_as_without_a_curriculum_always(name, progress):
    samples = of_sources([1, np.nan, 20, 90], [np.nan, np.nan], [5, 30], weights=[2, 1, 1])
    config = curriculum(name, start_competence_fraction=0.3, bins=2)
    check_samples(config, samples)
    probabilities = sample_probabilities(config, progress, samples)
    np.testing.assert_allclose(probabilities[[1, 4, 5]], [0.5 / 4, 0.25 / 2, 0.25 / 2])
    assert probabilities.sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("progress", [0.0, 0.1, 0.3, 0.9])
def test_every_source_keeps_its_weight_while_some_of_it_is_open(progress):
    samples = of_sources([0.5, 1, 30, 60], [1, 40, 50], weights=[3, 1])
    probabilities = sample_probabilities(LIGHT_FIRST, progress, samples)
    assert probabilities[:4].sum() == pytest.approx(0.75)
    assert probabilities[4:].sum() == pytest.approx(0.25)


def test_a_source_of_which_nothing_is_open_hands_all_but_its_replay_to_the_others():
    samples = of_sources([1, 30], [2, 60], [40, 50], weights=[1, 2, 1])
    probabilities = sample_probabilities(LIGHT_FIRST, 0.0, samples)
    # replay of 0.2 goes by the weights; 0.8 to the open samples, 1 and 2 mm/h, as the weights of their sources, 1 to 2
    expected = 0.2 * np.array([1 / 8, 1 / 8, 1 / 4, 1 / 4, 1 / 8, 1 / 8])
    expected[[0, 2]] += 0.8 * np.array([1 / 3, 2 / 3])
    np.testing.assert_allclose(probabilities, expected)


def test_competence_opens_a_share_of_draws_and_not_of_samples():
    # the first source has a hundredth of the samples and half of the draws
    samples = of_sources([1.0], np.linspace(2, 100, 99), weights=[1, 1])
    config = CurriculumConfig(name="competence", start_competence_fraction=0.75, replay_fraction=0)
    limit_mm_h = open_rates_mm_h(config, 0.0, samples)[1]
    assert limit_mm_h == pytest.approx(51)  # half of the draws are 1 mm/h, half of the others are up to 51 mm/h


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
        check_samples(CurriculumConfig(name=name), Samples(np.array(rates)))


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
        ("bins", 1),
        ("difficulty", "rain"),
    ],
)
def test_config_refuses_what_has_no_meaning(field, value):
    with pytest.raises(InputError, match=rf"^curriculum.{field} must be"):
        CurriculumConfig(**{field: value})


def by_psnr(name, **options):
    return CurriculumConfig(name=name, difficulty="input-psnr", **options)


# 20 samples of difficulties 19, 18, ... 0, all of which lie apart, and no rates
UNRATED = Samples(np.full(20, np.nan), difficulty=np.arange(20.0)[::-1])


@pytest.mark.parametrize(
    ("name", "progress", "hardest_first", "count"),
    [
        ("light-to-heavy", 0.0, False, 4),  # start_competence_fraction 0.2 of 20
        ("light-to-heavy", 0.25, False, 12),  # half of the way from 0.2 to 1
        ("heavy-to-light", 0.0, True, 4),
        ("heavy-to-light", 0.25, True, 12),
        ("heavy-only", 0.9, True, 4),
        ("competence", 0.25, False, 15),  # sqrt(0.5 * 0.96 + 0.04) = 0.7211 of 20 is 14.4, and the 15th is begun
        ("light-to-heavy", 0.5, False, 20),
        ("heavy-to-light", 0.5, True, 20),
        ("competence", 0.5, False, 20),
    ],
)
def test_by_another_difficulty_curricula_open_shares_of_the_samples(name, progress, hardest_first, count):
    config = by_psnr(name, start_competence_fraction=0.2, reached_at=0.5, replay_fraction=0)
    check_samples(config, UNRATED)
    is_open = sample_probabilities(config, progress, UNRATED) > 0
    order = np.argsort(-UNRATED.difficulty if hardest_first else UNRATED.difficulty)
    np.testing.assert_array_equal(np.flatnonzero(is_open), np.sort(order[:count]))


@pytest.mark.parametrize("name", SHARES)
def test_equally_hard_samples_open_together(name):
    samples = Samples(np.full(8, np.nan), difficulty=np.array([3.0, 3, 3, 1, 1, 1, 2, 2]))
    for progress in np.linspace(0, 1, 30):
        is_open = sample_probabilities(by_psnr(name, replay_fraction=0), progress, samples) > 0
        for level in (1, 2, 3):
            assert len(set(is_open[samples.difficulty == level])) == 1


@pytest.mark.parametrize("difficulty", ["rain-rate", "input-psnr"])
@pytest.mark.parametrize("name", ["light-to-heavy", "heavy-to-light", "competence", "self-paced"])
def test_what_is_open_stays_open(name, difficulty):
    rates = np.random.default_rng(1).permutation(np.geomspace(0.3, 140, 57))
    samples, config = Samples(rates), CurriculumConfig(name=name, difficulty=difficulty, replay_fraction=0)
    before = np.zeros(57, bool)
    for progress in np.linspace(0, 1, 60):
        is_open = sample_probabilities(config, progress, samples) > 0
        assert is_open.any()
        assert (is_open | ~before).all()
        before = is_open
    assert before.all()


def test_shares_are_in_words():
    config = by_psnr("light-to-heavy", start_competence_fraction=0.2)
    assert window_at(config, 0, UNRATED).words == "easiest 20 %"
    assert window_at(config, 0.5, UNRATED).words == "all samples"
    assert window_at(by_psnr("heavy-to-light", reached_at=1), 0.5, UNRATED).words == "hardest 55 %"
    paced = by_psnr("self-paced", start_competence_fraction=0.5, bins=4)
    assert window_at(paced, 0, UNRATED).words == "bins 1-2 of 4"
    assert window_at(paced, 0.5, UNRATED).words == "all bins"


def test_what_nobody_knows_of_any_sample_is_refused_as_difficulty():
    config = CurriculumConfig(name="competence", difficulty={"coverage": 1, "input-psnr": 0, "rain-rate": 2})
    with pytest.raises(
        InputError, match=r"^curriculum.difficulty must be known of some samples, got coverage and rain"
    ):
        check_samples(config, Samples(np.full(3, np.nan)))


def test_a_bin_that_holds_no_sample_is_refused():
    with pytest.raises(
        InputError, match=r"^curriculum.bins must each hold some samples, got 8 bins of which 5 do, for 5"
    ):
        check_samples(curriculum("self-paced"), Samples(np.arange(5.0)))
    # one source of a single sample has half of the draws, which is four of the eight bins
    samples = of_sources([1.0], np.linspace(2, 100, 99), weights=[1, 1])
    with pytest.raises(InputError, match=r"^curriculum.bins must each hold some samples, got 8 bins of which [45] do"):
        check_samples(curriculum("self-paced"), samples)


@pytest.mark.parametrize(
    ("difficulty", "message"),
    [
        ({"rate": 1}, "curriculum.difficulty must be one of rain-rate, input-psnr, coverage, got 'rate'"),
        ({"coverage": -1}, "curriculum.difficulty.coverage must be between 0"),
        ({"coverage": 0.0}, "curriculum.difficulty must have a weight above 0"),
        ({}, "curriculum.difficulty must have a weight above 0"),
    ],
)
def test_weights_of_difficulty_that_have_no_meaning_are_refused(difficulty, message):
    with pytest.raises(InputError, match=f"^{message}"):
        CurriculumConfig(name="competence", difficulty=difficulty)
