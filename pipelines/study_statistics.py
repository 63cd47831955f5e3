"""Means over seeds with their intervals, paired differences, and the rule by which a study decides.

A condition is measured once for every seed, in several columns (classes of rain), in the same seeds as the baseline.
Seeds are few, so intervals are Student's; and paired, because what a seed brings - first weights, order of
photographs - is common to all conditions and falls out of their difference.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy.stats import t as student

from rainsynth.checks import check_count

CONFIDENCE = 0.95
MARGIN_DB = 0.1  # a loss up to this is taken for none: less than anyone sees, and than two machines may differ by

BETTER, NO_WORSE, WORSE, UNDECIDED = "better", "no worse", "worse", "undecided"

Values = Float[np.ndarray, "seeds"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean over seeds and the interval about it that holds the true mean with the confidence CONFIDENCE."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a study says of a condition, beside the baseline.

    differences     paired difference against the baseline [dB], by column
    mean_gain       the same of the mean over all columns
    verdict         one of BETTER, NO_WORSE, WORSE, UNDECIDED
    """

    differences: dict[str, Interval]
    mean_gain: Interval
    verdict: str


def mean_interval(values: Values) -> Interval:
    """Mean of a few independent values, and its Student interval: m +- t s / sqrt(n), t of n - 1 degrees of freedom.

    s is the standard deviation with n - 1. It supposes that values are normal, which seeds of training are nearly.
    Source: Student (1908), Biometrika 6(1), doi:10.1093/biomet/6.1.1.
    """
    check_count(len(values), 2, 1_000_000, "number of seeds", "One value has no spread.")
    mean, count = float(np.mean(values)), len(values)
    half = float(student.ppf((1 + CONFIDENCE) / 2, count - 1) * np.std(values, ddof=1) / np.sqrt(count))
    return Interval(mean=mean, low=mean - half, high=mean + half)


def paired_difference(values: Values, baseline: Values) -> Interval:
    """Mean of the differences seed by seed, and its Student interval, as of a paired t-test."""
    return mean_interval(np.subtract(values, baseline))


def judge(values_db: Mapping[str, Values], baseline_db: Mapping[str, Values]) -> Judgement:
    """A condition against the baseline, both by column, each with a value for every seed [dB]."""
    differences = {name: paired_difference(values_db[name], baseline_db[name]) for name in values_db}
    gain = paired_difference(mean_over(values_db), mean_over(baseline_db))
    return Judgement(differences=differences, mean_gain=gain, verdict=verdict(differences, gain))


def mean_over(values_db: Mapping[str, Values]) -> Values:
    """Mean over the columns, each counting alike, for every seed."""
    return np.mean(list(values_db.values()), axis=0)


def verdict(differences: Mapping[str, Interval], mean_gain: Interval) -> str:
    """The rule, fixed before anything is measured.

    No worse: in every column the interval excludes a loss of more than MARGIN_DB. Better: that, and the interval of the
    mean gain lies above 0. Worse: in some column the interval lies wholly below -MARGIN_DB. Else undecided.
    """
    if all(difference.low >= -MARGIN_DB for difference in differences.values()):
        return BETTER if mean_gain.low > 0 else NO_WORSE
    return WORSE if any(difference.high < -MARGIN_DB for difference in differences.values()) else UNDECIDED


def recommended(judgements: Mapping[str, Judgement], baseline: str) -> str:
    """The condition to make the default: of those that are better the one of the largest mean gain, else the baseline.

    The baseline is the simpler one, so what is only no worse does not replace it.
    """
    better = {name: judged.mean_gain.mean for name, judged in judgements.items() if judged.verdict == BETTER}
    return max(better, key=lambda name: better[name]) if better else baseline
