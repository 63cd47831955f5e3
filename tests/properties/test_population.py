"""Numbers of a population from statistics of its pictures, on linear models whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from rainsynth.checks import InputError
from rainsynth.measure.population import interval_sds, population, regress

MIX = np.array([[1.0, 0.3, 0.0, 0.5], [0.0, 1.0, 0.4, -0.6]])  # two numbers seen through four statistics
NOISE_SD = 0.5
PICTURES = 40


def seen(numbers: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Statistics of pictures with these numbers, and ten that say nothing."""
    statistics = numbers[:, :2] @ MIX + NOISE_SD * rng.standard_normal((len(numbers), 4))
    return np.concatenate([statistics, rng.standard_normal((len(numbers), 10))], axis=1)


@pytest.fixture(scope="module")
def regression():
    """600 simulations of two numbers that are seen, a third that is not, and a fourth that is the sum of two."""
    rng = np.random.default_rng(1)
    numbers = rng.uniform(-1, 1, (600, 3))
    return regress(seen(numbers, rng), np.concatenate([numbers, numbers[:, :2].sum(axis=1, keepdims=True)], axis=1))


FREE = np.array([True, True, True, False])


def test_the_mean_is_found_far_from_the_middle_of_what_was_simulated(regression):
    # A single picture's estimate is drawn halfway to 0; the mean over many must not be.
    rng = np.random.default_rng(2)
    truth = np.array([0.7, -0.6])
    numbers = truth + 0.05 * rng.standard_normal((1000, 2))
    estimates = regression.estimates(seen(numbers, rng))
    assert abs(estimates[:, 0].mean() - 0.7) > 0.08
    found = population(regression, seen(numbers, rng), FREE)
    np.testing.assert_allclose(found.mean[:2], truth, atol=0.08)
    assert found.mean[3] == pytest.approx(truth.sum(), abs=0.08)


def test_what_no_statistic_tells_stays_where_it_was_simulated(regression):
    rng = np.random.default_rng(3)
    found = population(regression, seen(np.full((PICTURES, 2), 0.5), rng), FREE)
    assert found.told.tolist() == [True, True, False, True]
    assert found.mean[2] == pytest.approx(0, abs=0.15)
    assert found.error[2, 2] ** 0.5 == pytest.approx(2 / 12**0.5, rel=0.1)  # that of -1 to 1, evenly
    assert regression.told_fraction[2] < 0.05


def test_ninety_percent_intervals_hold_the_truth_in_as_many_of_100_populations(regression):
    rng = np.random.default_rng(4)
    reach_sds = interval_sds(regression, PICTURES, FREE, 10**6, np.random.default_rng(0))
    held = []
    for _ in range(100):
        truth = rng.uniform(-0.8, 0.8, 2)
        numbers = truth + 0.2 * rng.standard_normal((PICTURES, 2))
        found = population(regression, seen(numbers, rng), FREE, background_pictures=10**6)
        held.append(np.abs(found.mean[:2] - numbers.mean(axis=0)) < reach_sds * np.sqrt(np.diag(found.error))[:2])
    assert 0.84 <= np.mean(held) < 1  # 90 % of 200, less two standard errors of 2.1 % and cross-validation's part


def test_the_spread_over_pictures_is_told_from_the_noise_of_each(regression):
    rng = np.random.default_rng(5)
    for sd in (0.0, 0.4):
        numbers = 0.1 + sd * rng.standard_normal((400, 2))
        found = population(regression, seen(numbers, rng), FREE)
        np.testing.assert_allclose(found.sd[:2], sd, atol=0.18 if sd == 0 else 0.1)


def test_a_few_pictures_of_another_sort_move_the_mean_little(regression):
    rng = np.random.default_rng(6)
    statistics = seen(np.full((PICTURES, 2), 0.3), rng)
    clean = population(regression, statistics, FREE).mean[:2]
    statistics[:3] = 1e6
    np.testing.assert_allclose(population(regression, statistics, FREE).mean[:2], clean, atol=0.25)


def test_statistics_that_are_not_numbers_are_refused():
    with pytest.raises(InputError, match="statistics must be between"):
        regress(np.full((30, 3), np.nan), np.zeros((30, 1)))
    with pytest.raises(InputError, match="number of simulations must be between 20"):
        regress(np.zeros((10, 3)), np.zeros((10, 1)))
