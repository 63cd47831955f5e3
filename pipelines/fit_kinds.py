"""A fit as kinds of rain: what one photograph may have of it goes together, and differs from the next photograph's.

Simulated pictures that were seen most as a photograph was stand for it, their numbers moved by what is left between the
estimates (regression adjustment: Beaumont, Zhang & Balding 2002, doi:10.1093/genetics/162.4.2025). All photographs'
kinds together are the rain of the place: numbers that go together stay together, two sorts of pictures stay two sorts,
and a number of which a picture says nothing is as the last rounds drew it.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from pipelines.fit import Fit
from rainsynth.measure.population import Regression

KINDS = 120  # choice: about so many in all, but one at least for each of the photographs that are used
SMALLEST_SPREAD = 1e-12


def numbers_by_photograph(fit: Fit) -> list[tuple[str, Float[np.ndarray, "q"]]]:
    """Names of photographs, and numbers that each may have, each in its own scale: several times, all as likely.

    Of more than KINDS photographs that many are used, evenly.
    """
    photographs = len(fit.observed)
    places = np.unique(np.linspace(0, photographs - 1, min(photographs, KINDS)).round().astype(int))
    estimates = fit.regression.estimates(fit.observed[places][:, fit.used])
    names = [fit.setting.rainy[place].path.name for place in places]
    rows = [likely_numbers(fit.regression, estimate, max(KINDS // len(places), 1)) for estimate in estimates]
    return [(name, numbers) for name, own in zip(names, rows, strict=True) for numbers in own]


def likely_numbers(
    regression: Regression, estimate: Float[np.ndarray, "q"], count: int
) -> Float[np.ndarray, "count q"]:
    """Numbers that a photograph with an estimate may have: those of the pictures with estimates nearest to its."""
    spread = np.maximum(regression.numbers.std(axis=0), SMALLEST_SPREAD)
    apart = np.sum(((estimate - regression.cross_validated) / spread) ** 2, axis=1)
    nearest = np.argsort(apart, kind="stable")[:count]
    return regression.numbers[nearest] + estimate - regression.cross_validated[nearest]
