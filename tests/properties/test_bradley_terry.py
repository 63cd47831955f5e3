"""Strengths of methods from comparisons: against published fits, a slow likelihood, and simulated raters."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.rate.agreement import krippendorff_alpha
from pipelines.rate.davidson import ELO_PER_LOG, FIRST, SECOND, TIE, Outcomes, Strengths, fit_davidson
from pipelines.rate.davidson import two_way_covariance as covariance

NO_PRIOR_SD = 1e4  # so wide that it says nothing

# Six brands of chocolate pudding (Davidson 1970, example 2): brands i and j, preferences for i, for j, and for neither.
PUDDING = [
    (1, 2, 19, 22, 16), (1, 3, 16, 19, 12), (2, 3, 19, 19, 10), (1, 4, 18, 23, 13), (2, 4, 23, 19, 9),
    (3, 4, 19, 20, 15), (1, 5, 13, 19, 18), (2, 5, 16, 20, 12), (3, 5, 16, 15, 17), (4, 5, 17, 14, 16),
    (1, 6, 18, 21, 12), (2, 6, 22, 20, 12), (3, 6, 13, 18, 10), (4, 6, 14, 19, 18), (5, 6, 11, 21, 12),
]  # fmt: skip
PUDDING_STRENGTHS = [0.1388005, 0.1729985, 0.1617420, 0.1653930, 0.1586805, 0.2023855]
PUDDING_NU = 0.7468147
# Standard errors of log strengths against the mean one, and of log nu: R package PlackettLuce, its vignette.
PUDDING_STANDARD_ERRORS = [0.121949, 0.121818, 0.126823, 0.122003, 0.127054, 0.126594, 0.082499]

# Wins of row over column, American League East 1987 (Agresti 2002, Categorical Data Analysis, table 10.10): Milwaukee,
# Detroit, Toronto, New York, Boston, Cleveland, Baltimore; log strengths against Baltimore from table 10.11.
BASEBALL = [
    [0, 7, 9, 7, 7, 9, 11], [6, 0, 7, 5, 11, 9, 9], [4, 6, 0, 7, 7, 8, 12], [6, 8, 6, 0, 6, 7, 10],
    [6, 2, 6, 7, 0, 7, 12], [4, 4, 5, 6, 6, 0, 6], [2, 4, 1, 3, 1, 7, 0],
]  # fmt: skip
BASEBALL_LOG_STRENGTHS = [1.58, 1.44, 1.29, 1.25, 1.11, 0.68, 0.0]


def outcomes_of(rows: list[tuple[int, int, int]], methods: int) -> Outcomes:
    """Comparisons (first, second, outcome), each by a rater and on a picture of its own."""
    first, second, outcome = np.array(rows).T
    own = np.arange(len(rows))
    return Outcomes(methods=methods, first=first, second=second, outcome=outcome, rater=own, picture=own)


def pudding() -> Outcomes:
    rows = []
    for i, j, for_i, for_j, ties in PUDDING:
        for outcome, count in ((FIRST, for_i), (SECOND, for_j), (TIE, ties)):
            rows += [(i - 1, j - 1, outcome)] * count
    return outcomes_of(rows, 6)


def test_strengths_agree_with_davidsons_example():
    fit = fit_davidson(pudding(), NO_PRIOR_SD)
    strengths = np.exp(fit.log_strength)
    # The paper's iteration was stopped before its seventh digit had settled.
    np.testing.assert_allclose(strengths / strengths.sum(), PUDDING_STRENGTHS, rtol=2e-4)
    assert math.exp(fit.log_nu) == pytest.approx(PUDDING_NU, rel=2e-4)


def test_standard_errors_agree_with_plackett_luce():
    fit = fit_davidson(pudding(), NO_PRIOR_SD)
    against_mean = np.block([[np.eye(6) - 1 / 6, np.zeros((6, 1))], [np.zeros((1, 6)), np.ones((1, 1))]])
    found = np.sqrt(np.diag(against_mean @ fit.independent @ against_mean.T))
    np.testing.assert_allclose(found, PUDDING_STANDARD_ERRORS, rtol=2e-3)


def test_without_ties_the_model_is_bradley_terrys():
    wins = [(i, j, FIRST) for i, row in enumerate(BASEBALL) for j, count in enumerate(row) for _ in range(count)]
    fit = fit_davidson(outcomes_of(wins, 7), NO_PRIOR_SD)
    np.testing.assert_allclose(fit.log_strength - fit.log_strength[-1], BASEBALL_LOG_STRENGTHS, atol=0.005)


def test_the_prior_moves_a_strength_of_a_hundred_comparisons_by_about_a_hundredth():
    weak, none = (fit_davidson(pudding(), sd).log_strength for sd in (3.0, NO_PRIOR_SD))
    assert np.abs(weak / none - 1).max() < 0.015


# ------------------------------ for any answers

comparison = st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([FIRST, SECOND, TIE])).filter(
    lambda row: row[0] != row[1]
)
answers = st.lists(comparison, min_size=1, max_size=30)


def slow_log_posterior(rows: list[tuple[int, int, int]], log_strength: np.ndarray, log_nu: float, sd: float) -> float:
    strength, nu = np.exp(log_strength), math.exp(log_nu)
    total = -sum(value**2 for value in [*log_strength, log_nu]) / (2 * sd**2)
    for i, j, outcome in rows:
        weights = {FIRST: strength[i], SECOND: strength[j], TIE: nu * math.sqrt(strength[i] * strength[j])}
        total += math.log(weights[outcome] / sum(weights.values()))
    return total


@given(answers, st.integers(0, 2**32))
def test_no_step_from_the_fit_is_likelier(rows: list[tuple[int, int, int]], seed: int):
    fit = fit_davidson(outcomes_of(rows, 4), 3.0)
    best = slow_log_posterior(rows, fit.log_strength, fit.log_nu, 3.0)
    rng = np.random.default_rng(seed)
    for size in (1e-3, 0.1, 1.0):
        step = rng.normal(0, size, 5)
        assert slow_log_posterior(rows, fit.log_strength + step[:4], fit.log_nu + step[4], 3.0) <= best + 1e-9


@given(answers)
def test_swapping_sides_changes_nothing_and_turning_answers_round_turns_strengths(rows: list[tuple[int, int, int]]):
    fit = fit_davidson(outcomes_of(rows, 4))
    other_side = {FIRST: SECOND, SECOND: FIRST, TIE: TIE}
    swapped = fit_davidson(outcomes_of([(j, i, other_side[outcome]) for i, j, outcome in rows], 4))
    turned = fit_davidson(outcomes_of([(i, j, other_side[outcome]) for i, j, outcome in rows], 4))
    np.testing.assert_allclose(swapped.log_strength, fit.log_strength, atol=1e-5)
    np.testing.assert_allclose(turned.log_strength, -fit.log_strength, atol=1e-5)


@given(st.floats(-8, 8), st.floats(-8, 8))
def test_shares_of_two_methods_add_up_to_one(log_ratio: float, log_nu: float):
    nothing = np.zeros((2, 2))
    fit = Strengths(log_strength=np.zeros(1), log_nu=log_nu, independent=nothing, clustered=nothing, freedom=9.0)
    assert fit.share(log_ratio) + fit.share(-log_ratio) == pytest.approx(1)
    assert fit.share(0.0) == pytest.approx(0.5)
    assert (fit.share(log_ratio) - 0.5) * log_ratio >= 0 or abs(log_ratio) < 1e-9


def test_without_ties_an_elo_difference_of_400_is_ten_to_one():
    nothing = np.zeros((2, 2))
    fit = Strengths(log_strength=np.zeros(1), log_nu=-50.0, independent=nothing, clustered=nothing, freedom=9.0)
    assert fit.share(400 / ELO_PER_LOG) == pytest.approx(10 / 11)


@pytest.mark.parametrize("outcome", [FIRST, TIE])
def test_a_method_that_always_wins_and_answers_that_are_all_ties_have_finite_intervals(outcome: int):
    fit = fit_davidson(outcomes_of([(0, 1, outcome)] * 20, 2))
    half = fit.half_width(np.array([1.0, -1.0]))
    difference = fit.log_strength[0] - fit.log_strength[1]
    if outcome == FIRST:
        # 20 of 20: the 95 % interval of Clopper & Pearson for a share is 83.2 to 100 %.
        assert fit.share(difference) > 0.9
        assert 0.6 < fit.share(difference - half) < 0.9
    else:
        assert difference == pytest.approx(0, abs=1e-6)
    assert 0 < half < 10


# ------------------------------ raters and pictures


@given(st.integers(0, 2**32))
def test_the_covariance_counts_answers_that_share_a_rater_or_a_picture(seed: int):
    rng = np.random.default_rng(seed)
    count = 25
    scores, rater, picture = rng.normal(size=(count, 3)), rng.integers(0, 4, count), rng.integers(0, 5, count)
    rater[:4], picture[:5] = np.arange(4), np.arange(5)  # every one of them occurs
    both = rater * 5 + picture
    slow = np.zeros((3, 3))
    for group, sign in ((rater, 1), (picture, 1), (both, -1)):
        groups = len(set(group.tolist()))
        for i in range(count):
            for j in range(count):
                slow += sign * groups / (groups - 1) * (group[i] == group[j]) * np.outer(scores[i], scores[j])
    bread = np.diag([1.0, 2.0, 0.5])
    found, freedom = covariance(scores, bread, rater, picture)
    np.testing.assert_allclose(found, bread @ slow @ bread, atol=1e-9)
    assert freedom == 3


def simulated(rng: np.random.Generator, raters: int, pictures: int, spread: float) -> tuple[np.ndarray, Outcomes]:
    """True log strengths of three methods, and answers of raters whose taste varies, on pictures that vary."""
    true = np.array([-0.6, 0.0, 0.6])
    first, second, rater, picture = (
        axis.ravel()
        for axis in np.meshgrid([0, 1, 2], [0, 1, 2], np.arange(raters), np.arange(pictures), indexing="ij")
    )
    kept = first < second
    first, second, rater, picture = first[kept], second[kept], rater[kept], picture[kept]
    taste, scene = rng.normal(0, spread, (raters, 3)), rng.normal(0, spread, (pictures, 3))
    worth = np.stack(
        [true[method] + taste[rater, method] + scene[picture, method] for method in (first, second)], axis=1
    )
    worth = np.column_stack([worth, -0.3 + worth.mean(axis=1)])
    outcome = (worth + rng.gumbel(size=worth.shape)).argmax(axis=1)  # Gumbel noise: the multinomial logit model
    return true, Outcomes(methods=3, first=first, second=second, outcome=outcome, rater=rater, picture=picture)


def test_intervals_hold_the_truth_where_raters_and_pictures_vary():
    rng, contrast = np.random.default_rng(4), np.array([1.0, 0.0, -1.0])
    held = {"ours": 0, "independent": 0}
    for _ in range(40):
        true, outcomes = simulated(rng, raters=6, pictures=20, spread=0.3)
        fit = fit_davidson(outcomes)
        miss = abs(contrast @ (fit.log_strength - true))
        held["ours"] += miss < fit.half_width(contrast)
        alone = replace(fit, clustered=np.zeros_like(fit.clustered))
        held["independent"] += miss < alone.half_width(contrast)
    # Of 400 such studies 94 % are held, 79 % if answers are taken to be independent.
    assert held["ours"] >= 35
    assert held["independent"] < held["ours"]


def test_agreement_is_krippendorffs():
    # Krippendorff's example of four observers and twelve units, with gaps; interval data, alpha = 0.849
    # (Krippendorff 2011, Computing Krippendorff's alpha-reliability, section D; also kripp.alpha of the R package irr).
    units = [
        [1, 1, 1], [2, 2, 3, 2], [3, 3, 3, 3], [3, 3, 3, 3], [2, 2, 2, 2], [1, 2, 3, 4],
        [4, 4, 4, 4], [1, 1, 2, 1], [2, 2, 2, 2], [5, 5, 5], [1, 1], [3],
    ]  # fmt: skip
    assert krippendorff_alpha(units) == pytest.approx(0.849, abs=5e-4)
    assert krippendorff_alpha([[1, 1], [-1, -1]]) == 1
    assert krippendorff_alpha([[1, 1]]) is None
    assert krippendorff_alpha([[1], [0]]) is None


@settings(max_examples=5)
@given(st.integers(0, 2**32))
def test_strengths_come_back_from_many_answers(seed: int):
    true, outcomes = simulated(np.random.default_rng(seed), raters=40, pictures=50, spread=0.0)
    # 6,000 answers: a standard error of about 0.025.
    np.testing.assert_allclose(fit_davidson(outcomes).log_strength, true, atol=0.12)
