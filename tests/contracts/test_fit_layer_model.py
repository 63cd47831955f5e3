"""The model of layers: it knows their average where single layers scatter, and numbers are found by it."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.fit_layer_model import STARTS, DrawnLayers, LayerModel, Wanted, inputs, learned, starts_near

LIMITS = np.array([[0.0, 2.0], [-1.0, 1.0], [3.0, 3.0]])  # the third number is given
SIZE_PX = (320, 480)
SCATTER = 0.4


def averages(numbers: np.ndarray) -> np.ndarray:
    first, second = numbers[:, 0], numbers[:, 1]
    return np.stack([first, first * second, second**2 + first, np.sin(2 * second)], axis=1)


@pytest.fixture(scope="module")
def drawn() -> DrawnLayers:
    """Layers that scatter more, in every statistic, the larger the first of their numbers is."""
    rng = np.random.default_rng(0)
    numbers = LIMITS[:, 0] + rng.random((1500, 3)) * (LIMITS[:, 1] - LIMITS[:, 0])
    scatter = SCATTER * numbers[:, :1] * rng.standard_normal((1500, 4))
    return DrawnLayers(numbers=numbers, sizes_px=np.full((1500, 2), SIZE_PX), shapes=averages(numbers) + scatter)


@pytest.fixture(scope="module")
def model(drawn: DrawnLayers) -> LayerModel:
    return learned(LIMITS, drawn, 500, 0, map)


def wanted(numbers: np.ndarray) -> Wanted:
    shape = averages(numbers[None])[0]
    return Wanted(size_px=SIZE_PX, shape=shape, error=np.full(4, 0.05), weights=np.full(4, 0.25), direction_deg=0.0)


def test_averages_are_known_better_than_layers_scatter(drawn: DrawnLayers, model: LayerModel) -> None:
    inside = LIMITS[:, 0] + np.random.default_rng(1).uniform(0.1, 0.9, (200, 3)) * (LIMITS[:, 1] - LIMITS[:, 0])
    missed = model.shapes(inside, np.full((200, 2), SIZE_PX)) - averages(inside)
    typical = SCATTER * np.sqrt(np.mean(drawn.numbers[-500:, 0] ** 2))
    assert np.sqrt(np.mean(missed**2)) < 0.35 * typical
    assert model.spread == pytest.approx(np.full(4, typical), rel=0.25)


def test_numbers_are_found_whose_layers_are_wanted_on_average(drawn: DrawnLayers, model: LayerModel) -> None:
    # The nearest of all layers is one that scatters little, or lies near by chance.
    truths = np.array([[first, second, 3.0] for first in (0.6, 1.0, 1.5) for second in (-0.6, 0.1, 0.6)])
    by_search, by_layer = [], []
    for truth in truths:
        one = wanted(truth)
        start = starts_near(one, drawn, model.spread)
        assert start.shape == (STARTS, 3)
        by_search.append(model.nearest(one, start))
        by_layer.append(drawn.numbers[np.argmin(one.apart(drawn.shapes))])
    off, off_by_layer = (np.sqrt(np.mean((np.array(one) - truths) ** 2)) for one in (by_search, by_layer))
    assert off < 0.2
    assert off < 0.7 * off_by_layer
    assert (np.array(by_search)[:, 2] == 3).all()


def test_a_statistic_that_scatters_says_less(drawn: DrawnLayers) -> None:
    one = wanted(np.array([1.0, 0.0, 3.0]))
    apart = one.shape + np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0]])
    assert one.apart(apart) == pytest.approx([4, 4])  # of 400 squared errors no more than 16 count, for a quarter
    near, far = one.apart(apart, np.array([2.0, 0.5, 0.5, 0.5]))
    assert near == pytest.approx(0.25 / (4 + 0.05**2))
    assert far == pytest.approx(0.25 / (0.25 + 0.05**2))


def test_the_model_is_a_function_of_its_layers_and_seed(drawn: DrawnLayers, model: LayerModel) -> None:
    again, other = learned(LIMITS, drawn, 500, 0, map), learned(LIMITS, drawn, 500, 9, map)
    here = drawn.numbers[:50], drawn.sizes_px[:50]
    assert (again.shapes(*here) == model.shapes(*here)).all()
    assert (other.shapes(*here) != model.shapes(*here)).any()


def test_members_are_given_numbers_within_their_limits_and_the_size() -> None:
    given = inputs(LIMITS, np.array([[2.0, -0.5, 3.0]]), np.array([[480, 240]]))
    assert given == pytest.approx(np.array([[1, 0.25, 0, 0, -np.log(2)]]))
