"""Distances of rain against scipy, closed forms and sums by hand; statistics of drawn streaks; rank correlation."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from pipelines.domains.distance import (
    FEWEST_PAIRS,
    STATISTICS,
    as_rows,
    distances,
    energy_distance_squared,
    rain_numbers,
    rank_correlation,
)
from rainsynth.checks import InputError


def drawn(
    angle_deg: float, length_px: int, width_px: float, count: int, level: float = 90, seed: int = 0
) -> np.ndarray:
    """Straight streaks of one kind on grey noise, by the distance of every pixel from every streak's axis."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:160, :160]
    picture = 90 + rng.normal(0, 1.5, (160, 160))
    right, down = np.sin(np.radians(angle_deg)), np.cos(np.radians(angle_deg))
    for middle_y, middle_x in rng.uniform(0, 160, (count, 2)):
        along = (x - middle_x) * right + (y - middle_y) * down
        across = (x - middle_x) * down - (y - middle_y) * right
        picture += level * ((np.abs(along) < length_px / 2) & (np.abs(across) < width_px / 2))
    return np.clip(picture, 0, 255).round().astype(np.uint8)[..., None].repeat(3, axis=2)


def test_in_one_dimension_it_is_scipys_energy_distance_without_pairs_of_one_number():
    rng = np.random.default_rng(1)
    x, y = rng.normal(0, 1, 40), rng.normal(0.7, 1.4, 55)
    means = [np.mean([abs(a - b) for a in one for b in other]) for one, other in ((x, y), (x, x), (y, y))]
    np.testing.assert_allclose(stats.energy_distance(x, y) ** 2, 2 * means[0] - means[1] - means[2])
    own = [
        np.mean([abs(a - b) for i, a in enumerate(one) for j, b in enumerate(other) if i != j])
        for one, other in ((x, y), (x, x), (y, y))
    ]
    found = energy_distance_squared(x[:, None], y[:, None])
    np.testing.assert_allclose(found, 2 * own[0] - own[1] - own[2])


def test_scenes_that_both_samples_show_fall_out_of_a_small_difference():
    # Scenes differ by 1 in ten statistics, rain by 0.2 in each, and 0.05 more by chance. With other scenes in the
    # second sample D^2 is the same on average; with the same ones every single draw is near.
    rng = np.random.default_rng(8)
    same, other = [], []
    for _ in range(100):
        scenes, others = rng.normal(0, 1, (2, 30, 10))
        rain = rng.normal(0, 0.05, (2, 30, 10)) + np.array([0, 0.2])[:, None, None]
        same.append(energy_distance_squared(scenes + rain[0], scenes + rain[1]))
        other.append(energy_distance_squared(scenes + rain[0], others + rain[1]))
    assert np.mean(same) == pytest.approx(np.mean(other), abs=3 * np.std(other) / 10)
    assert np.std(same) < 0.2 * np.std(other)
    assert min(same) > 0


def test_of_two_normal_distributions_it_is_the_closed_form():
    # |X - Y| is a folded normal of mean d and variance 2, |X - X'| one of mean 0: 2 / sqrt(pi).
    d = 1.5
    points = stats.norm.ppf((np.arange(500) + 0.5) / 500)[:, None]  # evenly along the distribution: no chance in it
    found = energy_distance_squared(points, points + d)
    expected = 2 * stats.foldnorm.mean(d / 2**0.5, scale=2**0.5) - 4 / np.pi**0.5
    np.testing.assert_allclose(found, expected, atol=0.01)  # the tails beyond 500 points


def test_of_two_samples_of_one_distribution_it_is_nothing_on_average_in_ten_dimensions():
    rng = np.random.default_rng(3)
    found = [energy_distance_squared(*rng.normal(0, 1, (2, 30, 10))) for _ in range(200)]
    assert abs(np.mean(found)) < 4 * np.std(found) / 200**0.5
    assert energy_distance_squared(rng.normal(0, 1, (30, 10)), rng.normal(1, 1, (30, 10))) > 3 * np.std(found)


def test_distances_have_no_unit_and_no_direction():
    rng = np.random.default_rng(4)
    rows = {name: rng.normal(place, 1, (20, len(STATISTICS))) for name, place in (("a", 0), ("b", 1), ("c", 3))}
    found = distances(rows)
    assert found["a", "b"].value == pytest.approx(found["b", "a"].value)
    assert 0 < found["a", "b"].value < found["b", "c"].value < found["a", "c"].value
    scale = np.geomspace(1e-3, 1e3, len(STATISTICS))
    other = distances({name: values * scale + 7 for name, values in rows.items()})
    assert other["a", "c"].value == pytest.approx(found["a", "c"].value)
    assert other["a", "c"].shifts == pytest.approx(found["a", "c"].shifts)
    assert found["a", "c"].shifts["width_px"] == pytest.approx(3, abs=1)


def test_a_shift_is_told_by_its_name_and_sign():
    rng = np.random.default_rng(5)
    rows = {name: rng.normal(0, 2, (30, len(STATISTICS))) for name in ("a", "b")}
    rows["b"][:, STATISTICS.index("length_px")] -= 8
    found = distances(rows)["a", "b"]
    assert found.foremost == "length_px"
    assert found.shifts["length_px"] == pytest.approx(-4, abs=1)


def test_one_picture_has_no_distribution():
    with pytest.raises(InputError, match=r"^number of pictures must be between 2"):
        energy_distance_squared(np.zeros((1, 3)), np.zeros((2, 3)))


@pytest.mark.parametrize("angle_deg", [-25, 0, 15])
def test_statistics_of_drawn_streaks_are_those_they_were_drawn_with(angle_deg):
    found = rain_numbers(drawn(angle_deg, length_px=40, width_px=3, count=25))
    assert found["direction_deg"] == pytest.approx(angle_deg, abs=2)
    assert found["width_px"] == pytest.approx(3, rel=0.25)
    assert found["length_px"] == pytest.approx(40, rel=0.3)
    assert found["response_999_codes"] == pytest.approx(90, rel=0.3)
    assert found["along_over_aside"] > 5


def test_statistics_follow_what_streaks_are_changed_in():
    usual = rain_numbers(drawn(0, 40, 3, 25))
    assert rain_numbers(drawn(0, 20, 3, 25))["length_px"] < 0.8 * usual["length_px"]
    assert rain_numbers(drawn(0, 40, 3, 8))["coverage_fraction"] < 0.6 * usual["coverage_fraction"]
    assert rain_numbers(drawn(0, 40, 3, 25, level=30))["response_99_codes"] < 0.5 * usual["response_99_codes"]


def test_a_picture_without_any_detail_has_statistics_too():
    rows = as_rows([rain_numbers(np.full((96, 96, 3), 120, np.uint8))])
    assert np.isfinite(rows).all()
    assert rows.shape == (1, len(STATISTICS))


def test_rank_correlation_is_spearmans_also_with_ties():
    # A textbook's sum of squared rank differences: 1 - 6 * (0 + 1 + 1 + 1 + 1 + 0) / (6 * 35).
    np.testing.assert_allclose(
        rank_correlation(np.array([1.0, 2, 3, 4, 5, 6]), np.array([1.0, 30, 20, 500, 400, 9000])), 1 - 6 * 4 / 210
    )
    rng = np.random.default_rng(6)
    for _ in range(5):
        distance, drop_db = rng.integers(0, 5, (2, 12)).astype(float)
        np.testing.assert_allclose(rank_correlation(distance, drop_db), stats.spearmanr(distance, drop_db).statistic)


def test_so_few_pairs_that_chance_alone_may_order_them_have_no_rank_correlation():
    def chance_of_order(count: int) -> float:
        orders = list(permutations(range(count)))
        return sum(order in (orders[0], orders[-1]) for order in orders) / len(orders)

    assert chance_of_order(FEWEST_PAIRS) < 0.05 <= chance_of_order(FEWEST_PAIRS - 1)
    few = np.arange(FEWEST_PAIRS - 1.0)
    assert rank_correlation(few, few) is None
    assert rank_correlation(np.arange(6.0), np.zeros(6)) is None
