"""Numbers of a fit's pictures are drawn so that what follows from them is what was found."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.fit_aim import Aim, aim_at, draw_numbers
from pipelines.fit_families import Number
from rainsynth.measure.response import response

RANGES = {"coverage": Number(low=0.03, high=0.6, scale="logarithmic"), "layers": Number(low=1, high=4)}
COUNT = 300


def follows(drawn: np.ndarray) -> np.ndarray:
    """What so many layers cover between them, and something that follows from none."""
    covered = np.log(1 - (1 - np.exp(drawn[:, 0])) ** drawn[:, 1])
    return np.stack([covered, np.cos(np.arange(len(drawn)))], axis=1)


def simulated(rng: np.random.Generator, count: int = COUNT) -> np.ndarray:
    drawn = np.array([draw_numbers(RANGES, None, rng) for _ in range(count)])
    return np.concatenate([drawn, follows(drawn)], axis=1)


def drawn_with(aim: Aim | None) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.array([draw_numbers(RANGES, aim, rng) for _ in range(COUNT)])


def test_a_quadratic_is_found_again() -> None:
    rng = np.random.default_rng(0)
    numbers, later = rng.standard_normal((4000, 3)), rng.standard_normal((5, 3))
    formula = lambda q: np.stack([1 + q[:, 0] * q[:, 1], q[:, 2] ** 2 - q[:, 0]], axis=1)  # noqa: E731
    assert response(formula(numbers), numbers).at(later) == pytest.approx(formula(later), abs=0.01)


def test_numbers_that_no_picture_tells_alone_are_drawn_for_what_they_cover_together() -> None:
    numbers = simulated(np.random.default_rng(0))
    dense = np.log(0.9)
    aim = aim_at(numbers, 2, np.array([dense, np.nan]), np.array([0.1, np.nan]))
    far, near = (np.abs(follows(drawn_with(one))[:, 0] - dense) for one in (None, aim))
    assert np.median(far) > 0.5
    assert np.median(near) < 0.1
    low, high = RANGES["coverage"].limits
    assert np.all((drawn_with(aim)[:, 0] >= low) & (drawn_with(aim)[:, 0] <= high))


def test_what_was_not_told_is_not_aimed_at() -> None:
    numbers = simulated(np.random.default_rng(0))
    aim = aim_at(numbers, 2, np.full(2, np.nan), np.full(2, np.nan))
    assert np.ptp(aim.log_weights(numbers[:, :2])) == 0
    rng = np.random.default_rng(1)
    layers = [draw_numbers(RANGES, aim, rng)[1] for _ in range(COUNT)]
    assert np.mean(layers) == pytest.approx(2.5, abs=0.2)


def test_a_number_that_never_varied_leads_to_nothing() -> None:
    rng = np.random.default_rng(0)
    varied = rng.standard_normal(500)
    numbers = np.stack([varied, np.full(500, np.log(1 / 250))], axis=1)
    found = response(2 * varied[:, None], numbers)
    assert found.at(np.array([[0.5, 7.0]])) == pytest.approx(1, abs=0.02)
