"""Which rain training meets when: from progress in [0, 1] to a distribution over samples, by their rain rate.

At every moment a window of rain rates is open; every curriculum but "uniform" is a rule that moves this window. Draws
are uniform over the samples inside it, apart from a share of replay that is uniform over all samples.

In a mixture of sources the window is the same for all of them, and each keeps its weight whatever is open; a source
of which nothing is open hands its weight to the others for that time. Samples of unknown rate - look-alikes of
benchmark sets, folders of pairs - cannot be ordered by it: they are drawn as often as without a curriculum, always.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int

from rainsynth.checks import InputError, check_choice, check_in_range

CURRICULA = ("uniform", "heavy-only", "light-to-heavy", "heavy-to-light", "competence")

ROUNDING = 1e-9  # of sums of shares

Rates = Float[np.ndarray, "n"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurriculumConfig:
    """The order in which training meets light and heavy rain.

    name                        "uniform": all rates, always.
                                "heavy-only": rates from heavy_rain_rate_mm_h up, always, without replay.
                                "light-to-heavy": rates up to a limit that grows geometrically from
                                start_rain_rate_mm_h to the heaviest sample.
                                "heavy-to-light": rates from a limit up that falls geometrically from
                                heavy_rain_rate_mm_h to the lightest sample.
                                "competence": the lightest share c of all samples of known rate,
                                c(t) = min(1, sqrt(t (1 - c0^2) / T + c0^2)) (Platanios et al. 2019, NAACL,
                                doi:10.18653/v1/N19-1119), c0 = start_competence_fraction, T = reached_at.
    reached_at                  progress in (0, 1] from which on everything is open
    replay_fraction             share of draws made over all samples as without a curriculum, against forgetting
    start_rain_rate_mm_h        first limit of light-to-heavy; 2.5 mm/h is where light rain ends
    heavy_rain_rate_mm_h        lowest rate of heavy-only, first limit of heavy-to-light; heavy rain begins at 10 mm/h
    start_competence_fraction   share of samples that competence begins with
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    name: str = "uniform"
    reached_at: float = 0.5
    replay_fraction: float = 0.25
    start_rain_rate_mm_h: float = 2.5
    heavy_rain_rate_mm_h: float = 10.0
    start_competence_fraction: float = 0.1

    def __post_init__(self) -> None:
        check_choice(self.name, CURRICULA, "curriculum.name")
        check_in_range(self.reached_at, 1e-6, 1, "curriculum.reached_at", "It is a share of all steps.")
        check_in_range(self.replay_fraction, 0, 1, "curriculum.replay_fraction")
        check_in_range(self.start_rain_rate_mm_h, 1e-3, 500, "curriculum.start_rain_rate_mm_h")
        check_in_range(self.heavy_rain_rate_mm_h, 1e-3, 500, "curriculum.heavy_rain_rate_mm_h")
        check_in_range(self.start_competence_fraction, 1e-6, 1, "curriculum.start_competence_fraction")


class SampleRates:
    """The rain rates of all samples of a mixture, and how often each is drawn when all of them are open.

    `rain_rate_mm_h` is NaN where nobody knows it. `share` sums to 1, by default the same for every sample; `source`
    is the number of each sample's source, by default 0.
    """

    def __init__(
        self, rain_rate_mm_h: Rates, share: Rates | None = None, source: Int[np.ndarray, "n"] | None = None
    ) -> None:
        self.rain_rate_mm_h, count = rain_rate_mm_h, len(rain_rate_mm_h)
        self.share = np.full(count, 1 / count) if share is None else share
        self.source = np.zeros(count, dtype=np.int64) if source is None else source

    @cached_property
    def known(self) -> Bool[np.ndarray, "n"]:
        """Which samples have a rate."""
        return ~np.isnan(self.rain_rate_mm_h)

    @cached_property
    def sorted_mm_h(self) -> Rates:
        """The known rates, the lightest first."""
        return self.rain_rate_mm_h[self._order]

    @cached_property
    def share_up_to(self) -> Rates:
        """For each of `sorted_mm_h` the share of draws, of those with a known rate, that it and lighter ones have."""
        upto = np.cumsum(self.share[self._order])
        return upto / upto[-1]

    @cached_property
    def share_of_source(self) -> Rates:
        """Share of draws that each source's samples of known rate have together."""
        return np.bincount(self.source, self.share * self.known)

    @cached_property
    def _order(self) -> Int[np.ndarray, "known"]:
        return np.argsort(self.rain_rate_mm_h, kind="stable")[: np.count_nonzero(self.known)]  # NaN comes last


def check_rates(config: CurriculumConfig, samples: SampleRates) -> None:
    """Raise InputError unless some samples have rates, that the curriculum can order, and its first window holds some.

    To be called once; the functions below trust it.
    """
    if config.name == "uniform":
        return
    if not samples.known.any():
        raise InputError(
            f"curriculum.name must be uniform for samples of unknown rain rate, got {config.name}. Folders of pairs "
            "and look-alikes have no rates; physical rain does, rendered or from `rainsynth generate`."
        )
    low, high = float(samples.sorted_mm_h[0]), float(samples.sorted_mm_h[-1])
    hint = f"The samples have {low:.3g} to {high:.3g} mm/h; does curriculum.name: uniform suit them?"
    if config.name == "light-to-heavy":
        check_in_range(config.start_rain_rate_mm_h, low, high, "curriculum.start_rain_rate_mm_h", hint)
    if config.name in ("heavy-only", "heavy-to-light"):
        lowest = low if config.name == "heavy-to-light" else 0
        check_in_range(config.heavy_rain_rate_mm_h, lowest, high, "curriculum.heavy_rain_rate_mm_h", hint)


def open_rates_mm_h(config: CurriculumConfig, progress: float, samples: SampleRates) -> tuple[float, float]:
    """Lowest and highest rain rate that is open at `progress` in [0, 1] [mm/h]."""
    opened = min(1.0, progress / config.reached_at)
    if config.name == "heavy-only":
        return config.heavy_rain_rate_mm_h, np.inf
    if config.name == "uniform" or opened == 1:
        return -np.inf, np.inf
    rates_mm_h = samples.sorted_mm_h
    if config.name == "competence":
        start = config.start_competence_fraction
        share = np.sqrt(opened * (1 - start**2) + start**2)
        return -np.inf, float(rates_mm_h[np.searchsorted(samples.share_up_to, share - ROUNDING)])
    if config.name == "light-to-heavy":
        return -np.inf, geometric(config.start_rain_rate_mm_h, float(rates_mm_h[-1]), opened)
    lightest = float(rates_mm_h[np.searchsorted(rates_mm_h, 0, side="right")])  # samples without rain open at the end
    return geometric(config.heavy_rain_rate_mm_h, lightest, opened), np.inf


def sample_probabilities(config: CurriculumConfig, progress: float, samples: SampleRates) -> Rates:
    """Probability of every sample at `progress` in [0, 1]; they sum to 1.

    For one source of n samples p = (1 - replay) open / n_open + replay / n, where open is 1 inside the window of open
    rates and 0 outside. In general 1 / n is the sample's `share`, its source keeps the weight of its samples of known
    rate while some are open, and those of unknown rate keep their `share`.
    """
    if config.name == "uniform":
        return samples.share
    low, high = open_rates_mm_h(config, progress, samples)
    opened = (samples.rain_rate_mm_h >= low) & (samples.rain_rate_mm_h <= high)  # false for NaN
    replay = 0.0 if config.name == "heavy-only" else config.replay_fraction
    weight, open_weight = samples.share_of_source, np.bincount(samples.source, samples.share * opened)
    gain = np.divide(weight, open_weight, out=np.zeros_like(weight), where=open_weight > 0)
    gain *= weight.sum() / weight[open_weight > 0].sum()  # what nothing is open of hands its weight on
    ordered = (1 - replay) * samples.share * opened * gain[samples.source] + replay * samples.share
    return np.where(samples.known, ordered, samples.share)


def stage_name(config: CurriculumConfig, progress: float, samples: SampleRates) -> str:
    """The open window in words, as "rates up to 12 mm/h"."""
    low, high = open_rates_mm_h(config, progress, samples)
    if np.isfinite(high):
        return f"rates up to {high:.3g} mm/h"
    return f"rates from {low:.3g} mm/h" if np.isfinite(low) else "all rates"


def geometric(start: float, end: float, share: float) -> float:
    """From `start` to `end` in equal ratios; `share` in [0, 1] is how far."""
    return float(start * (end / start) ** share)
