"""Which rain training meets when: from progress in [0, 1] to a distribution over samples, by their rain rate.

At every moment a window of rain rates is open; every curriculum but "uniform" is a rule that moves this window. Draws
are uniform over the samples inside it, apart from a share of replay that is uniform over all samples.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from rainsynth.checks import InputError, check_choice, check_in_range

CURRICULA = ("uniform", "heavy-only", "light-to-heavy", "heavy-to-light", "competence")

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
                                "competence": the lightest share c of all samples,
                                c(t) = min(1, sqrt(t (1 - c0^2) / T + c0^2)) (Platanios et al. 2019, NAACL,
                                doi:10.18653/v1/N19-1119), c0 = start_competence_fraction, T = reached_at.
    reached_at                  progress in (0, 1] from which on everything is open
    replay_fraction             share of draws made uniformly over all samples, against forgetting
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


def check_rates(config: CurriculumConfig, rain_rate_mm_h: Rates) -> None:
    """Raise InputError unless these samples have rates that the curriculum can order, and its first window holds some.

    To be called once; the functions below trust it.
    """
    if config.name == "uniform":
        return
    if np.isnan(rain_rate_mm_h).any():
        raise InputError(
            f"curriculum.name must be uniform for samples of unknown rain rate, got {config.name}. "
            "Folders of pairs have no rates; shards made by `rainsynth generate` do."
        )
    low, high = float(rain_rate_mm_h.min()), float(rain_rate_mm_h.max())
    hint = f"The samples have {low:.3g} to {high:.3g} mm/h; does curriculum.name: uniform suit them?"
    if config.name == "light-to-heavy":
        check_in_range(config.start_rain_rate_mm_h, low, high, "curriculum.start_rain_rate_mm_h", hint)
    if config.name in ("heavy-only", "heavy-to-light"):
        lowest = low if config.name == "heavy-to-light" else 0
        check_in_range(config.heavy_rain_rate_mm_h, lowest, high, "curriculum.heavy_rain_rate_mm_h", hint)


def open_rates_mm_h(config: CurriculumConfig, progress: float, rain_rate_mm_h: Rates) -> tuple[float, float]:
    """Lowest and highest rain rate that is open at `progress` in [0, 1], for samples of these rates [mm/h]."""
    opened = min(1.0, progress / config.reached_at)
    if config.name == "heavy-only":
        return config.heavy_rain_rate_mm_h, np.inf
    if config.name == "uniform" or opened == 1:
        return -np.inf, np.inf
    if config.name == "competence":
        start = config.start_competence_fraction
        share = np.sqrt(opened * (1 - start**2) + start**2)
        return -np.inf, float(np.quantile(rain_rate_mm_h, share, method="inverted_cdf"))
    if config.name == "light-to-heavy":
        return -np.inf, geometric(config.start_rain_rate_mm_h, float(rain_rate_mm_h.max()), opened)
    lightest = float(rain_rate_mm_h[rain_rate_mm_h > 0].min())  # samples without rain open at the end
    return geometric(config.heavy_rain_rate_mm_h, lightest, opened), np.inf


def sample_probabilities(config: CurriculumConfig, progress: float, rain_rate_mm_h: Rates) -> Rates:
    """Probability of every sample at `progress` in [0, 1]; they sum to 1.

    p = (1 - replay) open / n_open + replay / n, where open is 1 inside the window of open rates and 0 outside.
    """
    if config.name == "uniform":
        return np.full(len(rain_rate_mm_h), 1 / len(rain_rate_mm_h))
    low, high = open_rates_mm_h(config, progress, rain_rate_mm_h)
    opened = (rain_rate_mm_h >= low) & (rain_rate_mm_h <= high)
    replay = 0.0 if config.name == "heavy-only" else config.replay_fraction
    return (1 - replay) * opened / opened.sum() + replay / len(rain_rate_mm_h)


def stage_name(config: CurriculumConfig, progress: float, rain_rate_mm_h: Rates) -> str:
    """The open window in words, as "rates up to 12 mm/h"."""
    low, high = open_rates_mm_h(config, progress, rain_rate_mm_h)
    if np.isfinite(high):
        return f"rates up to {high:.3g} mm/h"
    return f"rates from {low:.3g} mm/h" if np.isfinite(low) else "all rates"


def geometric(start: float, end: float, share: float) -> float:
    """From `start` to `end` in equal ratios; `share` in [0, 1] is how far."""
    return float(start * (end / start) ** share)
