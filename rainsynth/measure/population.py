"""What unknown numbers are over many pictures, from statistics of each: regression on simulated pictures.

Simulated pictures have known numbers theta and statistics s. A ridge regression gives each picture's estimate
theta^(s) = E[theta | s], near enough linear within a narrow range. It is drawn towards the middle of what was
simulated, and what two numbers do alike it cannot tell apart; both are undone for the mean over n pictures:

    q = q0 + Cov(q, theta^) [Cov(theta^) - R + C / n]^-1 (mean theta^ - theta^0)

the linear-Gaussian posterior of the population's mean, where R = Cov(theta^ | theta) is the regression's own noise and
C the scatter of the estimates over the real pictures; all from the simulations but C. What the statistics do not tell
stays where it was simulated, with its spread. The spread over pictures is that of the estimates less R.
Of the kind of Beaumont, Zhang & Balding (2002), doi:10.1093/genetics/162.4.2025.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rainsynth.checks import check_count, check_in_range
from rainsynth.measure.response import Rows, explained, ridge_weights, with_one

FOLDS = 5
RIDGES = (10.0, 30.0, 100.0, 300.0)  # tried, on statistics with a standard deviation of 1
MOST_SD = 4.0  # a statistic further out is another sort of background
ROBUST_SD = 3.0  # an estimate further out is another sort of picture
TRIALS = 50
TRIAL_SHIFT_SD = 0.5  # of a trial's population from the middle of the simulations, in their standard deviations
HELD_SHARE = 0.95  # of trials; choice: real photographs have other backgrounds than these, and 90 % is wanted of them
TOLD_SHARE = 0.5  # choice: a number whose mean is known to half of what was simulated is told


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Regression:
    """Linear estimates of several numbers from statistics, and what they are worth.

    `cross_validated` holds the estimates for the simulations themselves, each by a fit to the others.
    """

    statistics_mean: Float[np.ndarray, "s"]
    statistics_sd: Float[np.ndarray, "s"]
    weights: Float[np.ndarray, "s1 q"]
    numbers: Rows
    cross_validated: Rows

    def estimates(self, statistics: Rows) -> Rows:
        """Estimates of each picture."""
        return with_one(_standardised(statistics, self.statistics_mean, self.statistics_sd)) @ self.weights

    @property
    def told_fraction(self) -> Float[np.ndarray, "q"]:
        """Part of each number's variance that the statistics of one picture explain."""
        left = np.var(self.numbers - self.cross_validated, axis=0)
        return np.clip(1 - left / np.maximum(np.var(self.numbers, axis=0), 1e-12), 0, 1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """Numbers over many pictures: their mean, its standard error, and their standard deviation from picture to picture.

    `error` is the covariance of the means; `told` says which of them the pictures tell, against what was simulated.
    """

    mean: Float[np.ndarray, "q"]
    error: Float[np.ndarray, "q q"]
    sd: Float[np.ndarray, "q"]
    told: np.ndarray


def regress(statistics: Rows, numbers: Rows) -> Regression:
    """Ridge regression of numbers on statistics, with the ridge of least cross-validated error."""
    check_count(len(statistics), 4 * FOLDS, 10**9, "number of simulations")
    check_in_range(statistics, -1e12, 1e12, "statistics")
    mean, sd = statistics.mean(axis=0), statistics.std(axis=0)
    sd = np.where(sd > 0, sd, 1)
    design = with_one(_standardised(statistics, mean, sd))
    scale = np.maximum(numbers.std(axis=0), 1e-12)
    tried = [_cross_validated(design, numbers, ridge) for ridge in RIDGES]
    best = int(np.argmin([np.mean(((numbers - one) / scale) ** 2) for one in tried]))
    return Regression(
        statistics_mean=mean,
        statistics_sd=sd,
        weights=ridge_weights(design, numbers, RIDGES[best]),
        numbers=numbers,
        cross_validated=tried[best],
    )


def population(regression: Regression, statistics: Rows, free: np.ndarray, background_pictures: int = 0) -> Population:
    """Numbers of the population that pictures with these statistics come from.

    `free` marks the numbers that were drawn one by one, which come first; the others follow from them, but for chance
    in every picture that the mean over many is free of. Pictures far from the rest are moved to 3 robust standard
    deviations. `background_pictures` is how many backgrounds the simulations showed: their own scatter is part of the
    error; 0 leaves that out.
    """
    estimates = _without_outliers(regression.estimates(statistics))
    every = np.arange(len(regression.numbers))
    return _population(regression, every, estimates, free, background_pictures)


def interval_sds(
    regression: Regression, pictures: int, free: np.ndarray, background_pictures: int, rng: np.random.Generator
) -> float:
    """How many standard errors a 90 % interval reaches, from trials on populations whose numbers are known.

    `pictures` simulations are drawn with weights that tilt to one side, as a population of its own, and their means
    inferred from all others. What is curved counts as error that no number of pictures averages out, so that the
    reach is about half of a normal error's.
    """
    drawn = regression.numbers[:, free]
    tilts = (drawn - drawn.mean(axis=0)) / np.maximum(drawn.std(axis=0), 1e-12)
    pictures = min(pictures, len(drawn) // 4)
    ratios = []
    for _ in range(TRIALS):
        weights = np.exp(tilts @ (TRIAL_SHIFT_SD * rng.standard_normal(tilts.shape[1])))
        chosen = rng.choice(len(drawn), pictures, replace=False, p=weights / weights.sum())
        others = np.setdiff1d(np.arange(len(drawn)), chosen)
        found = _population(regression, others, regression.cross_validated[chosen], free, background_pictures)
        error = found.mean - regression.numbers[chosen].mean(axis=0)
        ratios.append(np.abs(error) / np.maximum(np.sqrt(np.diag(found.error)), 1e-9))
    moved = drawn.std(axis=0) > 0
    varied = np.concatenate([moved, np.ones(np.count_nonzero(~free), bool)])
    return float(np.quantile(np.array(ratios)[:, varied], HELD_SHARE))


def _population(
    regression: Regression, rows: np.ndarray, estimates: Rows, free: np.ndarray, background_pictures: int
) -> Population:
    """The population of pictures with these estimates, by what these rows of the simulations say of estimates."""
    known, drawn = regression.cross_validated[rows], regression.numbers[rows][:, free]
    simulated = np.where(free, regression.numbers[rows], explained(regression.numbers[rows], drawn))
    noise = _covariance(known - explained(known, drawn))
    scatter = _covariance(estimates) if len(estimates) > 1 else noise
    of_mean = scatter / len(estimates) + (noise / background_pictures if background_pictures else 0)
    spread, shared = _covariance(known), _cross_covariance(simulated, known)
    inner = _inverse(_definite(spread - noise) + of_mean)
    gain = shared @ inner
    mean = simulated.mean(axis=0) + gain @ (estimates.mean(axis=0) - known.mean(axis=0))
    error = _definite(_covariance(simulated) - gain @ shared.T)
    share = np.clip(np.diag(spread - noise) / np.maximum(np.diag(_covariance(simulated)), 1e-12), 0.05, 1)
    sd = np.sqrt(np.maximum(np.diag(scatter - noise), 0) / share)
    told = np.sqrt(np.diag(error)) < TOLD_SHARE * simulated.std(axis=0)
    return Population(mean=mean, error=error, sd=sd, told=told)


def _cross_validated(design: Rows, numbers: Rows, ridge: float) -> Rows:
    estimates = np.empty_like(numbers)
    fold = np.arange(len(design)) % FOLDS
    for number in range(FOLDS):
        held, others = fold == number, fold != number
        estimates[held] = design[held] @ ridge_weights(design[others], numbers[others], ridge)
    return estimates


def _standardised(statistics: Rows, mean: Float[np.ndarray, "s"], sd: Float[np.ndarray, "s"]) -> Rows:
    return np.clip((statistics - mean) / sd, -MOST_SD, MOST_SD)


def _without_outliers(estimates: Rows) -> Rows:
    middle = np.median(estimates, axis=0)
    robust_sd = 1.4826 * np.median(np.abs(estimates - middle), axis=0)
    return np.clip(estimates, middle - ROBUST_SD * robust_sd, middle + ROBUST_SD * robust_sd)


def _covariance(values: Rows) -> Rows:
    return np.atleast_2d(np.cov(values, rowvar=False))


def _cross_covariance(left: Rows, right: Rows) -> Rows:
    return (left - left.mean(axis=0)).T @ (right - right.mean(axis=0)) / (len(left) - 1)


def _definite(matrix: Rows) -> Rows:
    """The nearest matrix that is a covariance."""
    values, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    return (vectors * np.maximum(values, 0)) @ vectors.T


def _inverse(matrix: Rows) -> Rows:
    return np.linalg.pinv(matrix, rcond=1e-9, hermitian=True)
