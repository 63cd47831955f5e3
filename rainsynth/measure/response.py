"""How numbers follow from other numbers, smoothly: ridge regression on those, their squares and products."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

SMALLEST_SD = 1e-12  # a number that varies less was one and the same, and leads to nothing
RIDGE = 1.0  # on terms with a standard deviation near 1: keeps products of few rows small, and hardly touches more

Rows = Float[np.ndarray, "rows columns"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Response:
    """What `numbers` lead to, as a quadratic of them; made by `response`."""

    middle: Float[np.ndarray, "q"]
    sd: Float[np.ndarray, "q"]
    weights: Float[np.ndarray, "terms columns"]

    def at(self, numbers: Rows) -> Rows:
        """What these numbers lead to, a row each."""
        return _terms((numbers - self.middle) / self.sd) @ self.weights


def response(values: Rows, numbers: Rows) -> Response:
    """The quadratic of `numbers` nearest to `values`, row by row."""
    middle, sd = numbers.mean(axis=0), numbers.std(axis=0)
    sd = np.where(sd > SMALLEST_SD, sd, 1)
    return Response(middle=middle, sd=sd, weights=ridge_weights(_terms((numbers - middle) / sd), values, RIDGE))


def explained(values: Rows, by: Rows) -> Rows:
    """What of `values` follows from the numbers `by`, row by row."""
    return response(values, by).at(by)


def ridge_weights(design: Rows, values: Rows, ridge: float) -> Rows:
    """Weights of the columns of `design`, whose first is all 1 and is not held back."""
    penalty = ridge * np.eye(design.shape[1])
    penalty[0, 0] = 0
    return np.linalg.solve(design.T @ design + penalty, design.T @ values)


def with_one(columns: Rows) -> Rows:
    """The columns after one of all 1."""
    return np.concatenate([np.ones((len(columns), 1)), columns], axis=1)


def _terms(numbers: Rows) -> Rows:
    left, right = np.triu_indices(numbers.shape[1])
    return with_one(np.concatenate([numbers, numbers[:, left] * numbers[:, right]], axis=1))
