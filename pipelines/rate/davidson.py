"""Strengths of methods from comparisons of two at a time: the Bradley-Terry model with ties of Davidson (1970)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.special import log_softmax, ndtri, stdtrit

FIRST, SECOND, TIE = 0, 1, 2  # outcomes of a comparison
PRIOR_SD = 3.0  # of each log strength and of log nu, in natural logarithms; 521 Elo points
CONFIDENCE = 0.95
ELO_PER_LOG = 400 / math.log(10)  # Elo points of a strength e times as large: 10:1 odds are 400 points (Elo 1978)
GRADIENT_TOLERANCE = 1e-7
FEWEST_GROUPS = 3  # raters, or pictures, from which anything can be said of others


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcomes:
    """Comparisons as numbers, one entry each.

    first, second   indices of the two methods, 0 to methods - 1
    outcome         FIRST, SECOND or TIE
    rater, picture  indices of who judged and what was shown: answers of one rater, or on one picture, are not
                    independent, which intervals allow for
    """

    methods: int
    first: Int[np.ndarray, "n"]
    second: Int[np.ndarray, "n"]
    outcome: Int[np.ndarray, "n"]
    rater: Int[np.ndarray, "n"]
    picture: Int[np.ndarray, "n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strengths:
    """A fitted model.

    log_strength   natural logarithm of each method's strength; they sum to 0, the mean method's
    log_nu         natural logarithm of nu, Davidson's readiness to call a tie
    independent    covariance of (log_strength, log_nu) if all answers were independent: the inverse Hessian
    clustered      covariance that allows for raters and pictures, see `two_way_covariance`
    freedom        degrees of freedom of Student's t for intervals
    """

    log_strength: Float[np.ndarray, "m"]
    log_nu: float
    independent: Float[np.ndarray, "k k"]
    clustered: Float[np.ndarray, "k k"]
    freedom: float

    def half_width(self, contrast: Float[np.ndarray, "m"]) -> float:
        """Half the 95 % interval of a weighted sum of log strengths; from the larger of both covariances."""
        weights = np.append(contrast, 0.0)
        clustered, independent = (float(weights @ one @ weights) for one in (self.clustered, self.independent))
        quantile = (1 + CONFIDENCE) / 2
        of_clusters = stdtrit(self.freedom, quantile) * math.sqrt(max(clustered, 0.0))
        return float(max(of_clusters, ndtri(quantile) * math.sqrt(independent)))

    def share(self, log_ratio: float) -> float:
        """Share of comparisons, 0 to 1, that a method e^log_ratio times as strong as the other wins, a tie as half."""
        win, loss, tie = np.exp(log_softmax([log_ratio, 0.0, self.log_nu + log_ratio / 2]))
        return float((win + tie / 2) / (win + loss + tie))


def fit_davidson(outcomes: Outcomes, prior_sd: float = PRIOR_SD) -> Strengths:
    """Most likely strengths under a weak prior.

    P(i beats j) = s_i / (s_i + s_j + nu sqrt(s_i s_j)), P(tie) = nu sqrt(s_i s_j) / (the same), s > 0, nu > 0.
    Log strengths and log nu have independent normal priors of mean 0 and standard deviation `prior_sd`, so that a
    method that won or lost all its comparisons, and a study without ties, have finite estimates; with 100 comparisons
    of each method they change a log strength by about 1 %. The posterior is log-concave: it has one maximum.
    Source: Davidson (1970), JASA 65(329), doi:10.1080/01621459.1970.10481082.
    """
    features = _features(outcomes)
    precision = np.eye(outcomes.methods + 1) / prior_sd**2

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        log_chances, scores = _scores(features, outcomes.outcome, parameters)
        penalty = precision @ parameters
        return float(parameters @ penalty / 2 - log_chances.sum()), penalty - scores.sum(axis=0)

    def hessian(parameters: np.ndarray) -> np.ndarray:
        return _information(features, parameters) + precision

    start = np.zeros(outcomes.methods + 1)
    found = minimize(
        loss, start, jac=True, hess=hessian, method="trust-exact", options={"gtol": GRADIENT_TOLERANCE, "maxiter": 500}
    )
    independent = np.linalg.inv(hessian(found.x))
    scores = _scores(features, outcomes.outcome, found.x)[1]
    clustered, freedom = two_way_covariance(scores, independent, outcomes.rater, outcomes.picture)
    return Strengths(
        log_strength=found.x[:-1] - found.x[:-1].mean(),
        log_nu=float(found.x[-1]),
        independent=independent,
        clustered=clustered,
        freedom=freedom,
    )


def _features(outcomes: Outcomes) -> Float[np.ndarray, "n 3 k"]:
    """What the logarithm of each outcome's weight is made of: ln s_i | ln s_j | ln nu + (ln s_i + ln s_j) / 2."""
    features = np.zeros((len(outcomes.outcome), 3, outcomes.methods + 1))
    rows = np.arange(len(outcomes.outcome))
    features[rows, FIRST, outcomes.first] = 1
    features[rows, SECOND, outcomes.second] = 1
    features[:, TIE] = features[:, [FIRST, SECOND]].mean(axis=1)
    features[:, TIE, -1] = 1
    return features


def _scores(
    features: Float[np.ndarray, "n 3 k"], outcome: Int[np.ndarray, "n"], parameters: Float[np.ndarray, "k"]
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n k"]]:
    """Log likelihood of every comparison, and its gradient."""
    log_chance = log_softmax(features @ parameters, axis=1)
    expected = np.einsum("no,nok->nk", np.exp(log_chance), features)
    rows = np.arange(len(outcome))
    return log_chance[rows, outcome], features[rows, outcome] - expected


def _information(features: Float[np.ndarray, "n 3 k"], parameters: Float[np.ndarray, "k"]) -> Float[np.ndarray, "k k"]:
    """Negative Hessian of the log likelihood: the variance of the features under the model, summed."""
    chance = np.exp(log_softmax(features @ parameters, axis=1))
    expected = np.einsum("no,nok->nk", chance, features)
    return np.einsum("no,nok,nol->kl", chance, features, features, optimize=True) - expected.T @ expected


def two_way_covariance(
    scores: Float[np.ndarray, "n k"],
    bread: Float[np.ndarray, "k k"],
    rater: Int[np.ndarray, "n"],
    picture: Int[np.ndarray, "n"],
) -> tuple[Float[np.ndarray, "k k"], float]:
    """Covariance where answers of one rater, and answers on one picture, may depend on each other; degrees of freedom.

    V = H^-1 (M_rater + M_picture - M_both) H^-1, M_g = G / (G - 1) sum over the G groups of (summed scores)(...)^T;
    intervals take Student's t of min(G_rater, G_picture) - 1 degrees of freedom. One or two raters, or pictures, say
    nothing about others: then only the other grouping counts, and the interval holds for those alone.
    Source: Cameron, Gelbach & Miller (2011), J. Business & Economic Statistics 29(2), doi:10.1198/jbes.2010.07136;
    for t: Cameron & Miller (2015), J. Human Resources 50(2), doi:10.3368/jhr.50.2.317.
    """
    groupings = [group for group in (rater, picture) if len(np.unique(group)) >= FEWEST_GROUPS]
    if not groupings:
        return bread, math.inf
    middle = sum(_meat(scores, group) for group in groupings)
    if len(groupings) == 2:
        middle = middle - _meat(scores, rater.astype(np.int64) * (int(picture.max()) + 1) + picture)
    return bread @ middle @ bread, min(len(np.unique(group)) for group in groupings) - 1.0


def _meat(scores: Float[np.ndarray, "n k"], group: Int[np.ndarray, "n"]) -> Float[np.ndarray, "k k"]:
    names, index = np.unique(group, return_inverse=True)
    sums = np.zeros((len(names), scores.shape[1]))
    np.add.at(sums, index, scores)
    return len(names) / (len(names) - 1) * sums.T @ sums
