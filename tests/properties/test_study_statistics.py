"""Intervals of a study against scipy.stats and numbers made by hand; and what the rule decides."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from pipelines.study_statistics import (
    BETTER,
    NO_WORSE,
    UNDECIDED,
    WORSE,
    Interval,
    judge,
    mean_interval,
    paired_difference,
    recommended,
    verdict,
)
from rainsynth.checks import InputError

CLASSES = ("light", "moderate", "heavy", "violent")
# Two-sided 95 % points of Student's t, as printed in any table of it: degrees of freedom -> t.
T_TABLE = {1: 12.706, 2: 4.303, 4: 2.776, 9: 2.262}


def about(mean: float, half: float) -> Interval:
    return Interval(mean=mean, low=mean - half, high=mean + half)


def decided(differences: dict[str, Interval], gain: Interval) -> str:
    return verdict({name: about(0.0, 0.05) for name in CLASSES} | differences, gain)


def test_interval_of_values_made_by_hand():
    # 1, 2, 3, 4, 5: mean 3, standard deviation sqrt(2.5), standard error sqrt(0.5); t of 4 degrees of freedom is 2.776.
    found = mean_interval(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    assert found.mean == 3
    np.testing.assert_allclose([found.low, found.high], [3 - 2.776 * 0.5**0.5, 3 + 2.776 * 0.5**0.5], atol=5e-4)


@pytest.mark.parametrize("degrees", T_TABLE)
def test_interval_is_as_wide_as_the_table_of_student_says(degrees):
    values = np.zeros(degrees + 1)
    values[0] = 1.0  # standard deviation 1 / sqrt(n), standard error 1 / n
    found = mean_interval(values)
    np.testing.assert_allclose(found.high - found.mean, T_TABLE[degrees] / (degrees + 1), rtol=2e-4)


@pytest.mark.parametrize("seeds", [2, 3, 5, 20])
def test_intervals_are_those_of_scipy(seeds):
    rng = np.random.default_rng(seeds)
    baseline = rng.normal(30, 1, seeds)
    values = baseline + rng.normal(0.2, 0.3, seeds)
    own = mean_interval(values)
    expected = stats.t.interval(0.95, seeds - 1, loc=values.mean(), scale=stats.sem(values))
    np.testing.assert_allclose([own.low, own.high], expected)
    paired = paired_difference(values, baseline)
    expected = stats.ttest_rel(values, baseline).confidence_interval(0.95)
    np.testing.assert_allclose([paired.low, paired.high], [expected.low, expected.high])
    p_value = stats.ttest_rel(values, baseline).pvalue
    assert (paired.low > 0 or paired.high < 0) == (p_value < 0.05)


def test_what_a_seed_brings_falls_out_of_the_paired_difference():
    seeds_db = np.array([25.0, 30.0, 35.0])
    found = paired_difference(seeds_db + np.array([0.1, 0.2, 0.3]), seeds_db)
    apart = mean_interval(seeds_db)
    assert found.high - found.low < 0.6
    assert apart.high - apart.low > 20


def test_one_seed_has_no_interval():
    with pytest.raises(InputError, match=r"^number of seeds must be between 2"):
        mean_interval(np.array([1.0]))


def test_a_curriculum_equal_to_the_baseline_is_no_worse_and_not_recommended():
    same = {name: np.array([30.0, 31.0, 32.0]) for name in CLASSES}
    judged = judge(same, same)
    assert judged.verdict == NO_WORSE
    assert judged.mean_gain == about(0.0, 0.0)
    assert recommended({"same": judged}, "uniform") == "uniform"


def test_noise_without_an_effect_is_undecided():
    rng = np.random.default_rng(3)
    noisy, baseline = ({name: rng.normal(30, 1, 5) for name in CLASSES} for _ in range(2))
    judged = judge(noisy, baseline)
    assert judged.verdict == UNDECIDED
    assert recommended({"noisy": judged}, "uniform") == "uniform"


def test_gains_in_one_class_may_cost_another_a_tenth_of_a_decibel_and_no_more():
    gain = about(0.5, 0.2)
    assert decided({"heavy": about(2.0, 0.3), "light": about(-0.05, 0.05)}, gain) == BETTER
    assert decided({"heavy": about(2.0, 0.3), "light": about(-0.05, 0.06)}, gain) == UNDECIDED
    assert decided({"heavy": about(2.0, 0.3), "light": about(-0.3, 0.15)}, gain) == WORSE


@pytest.mark.parametrize(
    ("light", "gain", "expected"),
    [
        (about(0.0, 0.02), about(0.0, 0.02), NO_WORSE),
        (about(0.0, 0.02), about(0.02, 0.02), NO_WORSE),  # an interval that touches 0 is not above it
        (about(0.2, 0.02), about(0.05, 0.02), BETTER),
        (about(-0.08, 0.01), about(-0.02, 0.01), NO_WORSE),  # a sure loss, but a small one
        (about(-0.11, 0.005), about(-0.02, 0.01), WORSE),
        (about(0.0, 0.5), about(0.0, 0.1), UNDECIDED),
        (about(-0.2, 0.15), about(0.0, 0.1), UNDECIDED),
    ],
)
def test_rule_by_one_class(light, gain, expected):
    assert decided({"light": light}, gain) == expected


def test_of_several_better_curricula_the_one_of_the_largest_mean_gain_is_recommended():
    baseline = {name: np.array([30.0, 31.0, 32.0]) for name in CLASSES}

    def with_gain(*gains_db):
        return judge({name: baseline[name] + np.array(gains_db) for name in CLASSES}, baseline)

    judged = {"little": with_gain(0.1, 0.12, 0.11), "much": with_gain(0.5, 0.4, 0.6), "unsure": with_gain(4, 0, 2)}
    assert {name: one.verdict for name, one in judged.items()} == {
        "little": BETTER,
        "much": BETTER,
        "unsure": UNDECIDED,
    }
    assert recommended(judged, "uniform") == "much"
