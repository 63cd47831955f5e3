"""What a curriculum knows of the samples of a mixture: how hard each is, and how often it is drawn otherwise."""

from __future__ import annotations

from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

Values = Float[np.ndarray, "n"]


class Samples:
    """Rain rate and difficulty of all samples of a mixture, and how often each is drawn when all of them are open.

    `rain_rate_mm_h` is NaN where nobody knows it, and so is `difficulty`, which grows from easy to hard in any unit and
    is the rain rate by default. `share` sums to 1, by default the same for every sample; `source` is the number of each
    sample's source, by default 0. Shares of samples are shares of draws: a sample counts by its source's weight.
    """

    def __init__(
        self,
        rain_rate_mm_h: Values,
        share: Values | None = None,
        source: Int[np.ndarray, "n"] | None = None,
        difficulty: Values | None = None,
    ) -> None:
        self.rain_rate_mm_h, count = rain_rate_mm_h, len(rain_rate_mm_h)
        self.difficulty = rain_rate_mm_h if difficulty is None else difficulty
        self.share = np.full(count, 1 / count) if share is None else share
        self.source = np.zeros(count, dtype=np.int64) if source is None else source
        self._bins: dict[int, Int[np.ndarray, "n"]] = {}

    def __len__(self) -> int:
        return len(self.share)

    @cached_property
    def rated(self) -> Bool[np.ndarray, "n"]:
        """Which samples have a rain rate."""
        return ~np.isnan(self.rain_rate_mm_h)

    @cached_property
    def graded(self) -> Bool[np.ndarray, "n"]:
        """Which samples have a difficulty."""
        return ~np.isnan(self.difficulty)

    @cached_property
    def sorted_mm_h(self) -> Values:
        """The known rates, the lightest first."""
        return self.rain_rate_mm_h[known_order(self.rain_rate_mm_h)]

    @cached_property
    def share_up_to(self) -> Values:
        """For each of `sorted_mm_h` the share of samples, of those with a known rate, that are as light or lighter."""
        return upper_shares(self.share[known_order(self.rain_rate_mm_h)])

    @cached_property
    def easier_share(self) -> Values:
        """For each sample the share of others, of those of known difficulty, that are easier; NaN where unknown."""
        return share_below(self.difficulty, self.share)

    @cached_property
    def harder_share(self) -> Values:
        """For each sample the share of others, of those of known difficulty, that are harder; NaN where unknown."""
        return share_below(-self.difficulty, self.share)

    def bins(self, count: int) -> Int[np.ndarray, "n"]:
        """For each sample the number of its bin, 0 the easiest, of `count` that are equal shares; -1 where unknown.

        A sample belongs where its middle lies; between equals the order of the set decides. Found once for a count.
        """
        if count not in self._bins:
            order = known_order(self.difficulty)
            share = self.share[order]
            middle = upper_shares(share) - share / share.sum() / 2
            found = np.full(len(self), -1)
            found[order] = np.clip((middle * count).astype(np.int64), 0, count - 1)
            self._bins[count] = found
        return self._bins[count]


def known_order(values: Values) -> Int[np.ndarray, "known"]:
    """Places of the known values, the lowest first; between equals the first."""
    return np.argsort(values, kind="stable")[: np.count_nonzero(~np.isnan(values))]  # NaN comes last


def upper_shares(share: Values) -> Values:
    """For each share the part of their sum that it makes together with those before it."""
    upto = np.cumsum(share)
    return upto / upto[-1] if len(upto) else upto


def share_below(values: Values, share: Values) -> Values:
    """For each value the share of the known ones that are lower, in [0, 1); equals are alike. NaN for NaN."""
    order = known_order(values)
    lowest, upto = values[order], upper_shares(share[order])
    below = np.full(len(values), np.nan)
    below[order] = np.concatenate([[0.0], upto])[np.searchsorted(lowest, lowest)]
    return below
