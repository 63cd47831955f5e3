"""Where a round simulates: numbers drawn so that what follows from them is near what was found in the photographs.

Much that no picture tells by itself is told together: layers and their coverage hardly, what they cover between them
well. Numbers drawn one by one from their ranges would seldom cover as much as dense rain does, and the regression would
be of other rain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from pipelines.fit_families import Number
from rainsynth.measure.response import Response, Rows, response

CANDIDATES = 200  # choice: of which one is simulated


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Aim:
    """What is to follow from numbers: each column of `response` normal about `middle`; NaN where it may be anything."""

    response: Response
    middle: Float[np.ndarray, "f"]
    sd: Float[np.ndarray, "f"]

    def log_weights(self, drawn: Rows) -> Float[np.ndarray, "rows"]:
        """Logarithms of how well each of these numbers does, in their own scales."""
        off = (self.response.at(drawn) - self.middle) / self.sd
        return -0.5 * np.nansum(off**2, axis=1)


def draw_numbers(ranges: Mapping[str, Number], aim: Aim | None, rng: np.random.Generator) -> Float[np.ndarray, "q"]:
    """Numbers of one picture in their own scales: of candidates from their ranges one, the likelier the nearer."""
    candidates = np.stack([number.draw(rng, CANDIDATES if aim else 1) for number in ranges.values()], axis=1)
    if aim is None:
        return candidates[0]
    weights = aim.log_weights(candidates)
    chances = np.exp(weights - weights.max())
    return candidates[rng.choice(len(candidates), p=chances / chances.sum())]


def aim_at(numbers: Rows, drawn: int, middle: Float[np.ndarray, "f"], sd: Float[np.ndarray, "f"]) -> Aim:
    """Aim at what follows from the first `drawn` columns of simulated numbers, which the other columns show."""
    follows = response(numbers[:, drawn:], numbers[:, :drawn])
    return Aim(response=follows, middle=middle, sd=sd)
