"""Which rain training meets when: from progress in [0, 1] to a distribution over samples, by how hard they are.

At every moment a window is open - of rain rates, of shares of the samples in order of difficulty, or of bins of them;
every curriculum but "uniform" is a rule that moves this window. Draws are uniform over the samples inside it, apart
from a share of replay that is uniform over all samples.

In a mixture of sources the window is the same for all of them, and each keeps its weight whatever is open; a source
of which nothing is open hands its weight to the others for that time. Samples of unknown rate or difficulty - by rate
look-alikes of benchmark sets, folders of pairs - cannot be ordered by it: they are drawn as often as without a
curriculum, always.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from jaxtyping import Bool

from mspfn.curriculum_config import CURRICULA, CurriculumConfig, CurriculumStage, Gate
from mspfn.samples import Samples, Values

__all__ = [
    "CURRICULA",
    "START",
    "CurriculumConfig",
    "CurriculumStage",
    "Gate",
    "Standing",
    "Window",
    "opened",
    "sample_probabilities",
    "window_at",
]

ROUNDING = 1e-9  # of sums of shares

Bounds = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What a run has measured of itself, as far as its curriculum follows it; see mspfn.pacing.

    stage       number of the stage that a gate has opened
    bin_error   for each bin of difficulty the running mean of the network's error
    bin_rows    how many windows that mean has seen; 0: none, and the mean says nothing
    """

    stage: int = 0
    bin_error: tuple[float, ...] = ()
    bin_rows: tuple[int, ...] = ()


START = Standing()


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What is open at a moment: the samples within all of these bounds; None bounds nothing.

    words               the window in words, or the name of its stage
    rates_mm_h          lowest and highest rain rate
    shares              (low, high): neither among the easiest `low` of the samples nor among the hardest 1 - `high`
    bins, bin_count     numbers of the open bins, of so many
    replay_fraction     share of draws over all samples
    """

    words: str
    rates_mm_h: Bounds | None = None
    shares: Bounds | None = None
    bins: tuple[int, ...] | None = None
    bin_count: int = 0
    replay_fraction: float


def sample_probabilities(
    config: CurriculumConfig, progress: float, samples: Samples, standing: Standing = START
) -> Values:
    """Probability of every sample at `progress` in [0, 1]; they sum to 1.

    For one source of n samples p = (1 - replay) open / n_open + replay / n, where open is 1 inside the open window and
    0 outside. In general 1 / n is the sample's `share`, its source keeps the weight of its samples that the window can
    judge while some are open, and those that it cannot judge keep their `share`.
    """
    if config.name == "uniform":
        return samples.share
    window = window_at(config, progress, samples, standing)
    is_open, known = opened(window, samples)
    weight = np.bincount(samples.source, samples.share * known)
    open_weight = np.bincount(samples.source, samples.share * is_open)
    gain = np.divide(weight, open_weight, out=np.zeros_like(weight), where=open_weight > 0)
    gain *= weight.sum() / weight[open_weight > 0].sum()  # what nothing is open of hands its weight on
    replay = window.replay_fraction
    ordered = (1 - replay) * samples.share * is_open * gain[samples.source] + replay * samples.share
    return np.where(known, ordered, samples.share)


def opened(window: Window, samples: Samples) -> tuple[Bool[np.ndarray, "n"], Bool[np.ndarray, "n"]]:
    """Which samples are open, and which a window can judge: those whose rate is known if it bounds rates, and so on."""
    known, is_open = np.ones(len(samples), dtype=bool), np.ones(len(samples), dtype=bool)
    if window.rates_mm_h is not None:
        low_mm_h, high_mm_h = window.rates_mm_h
        known &= samples.rated
        is_open &= (samples.rain_rate_mm_h >= low_mm_h) & (samples.rain_rate_mm_h <= high_mm_h)  # false for NaN
    if window.shares is not None:
        low, high = window.shares
        known &= samples.graded
        is_open &= (samples.easier_share < high - ROUNDING) & (samples.harder_share < 1 - low - ROUNDING)
    if window.bins is not None:
        known &= samples.graded
        is_open &= np.isin(samples.bins(window.bin_count), window.bins)
    return is_open & known, known


def window_at(config: CurriculumConfig, progress: float, samples: Samples, standing: Standing = START) -> Window:
    """What is open at `progress` in [0, 1]."""
    if config.name == "uniform":
        return Window(words="all rates", replay_fraction=1)
    if config.name == "staged":
        stage = config.stages[stage_number(config, progress, standing)]
        replay = config.replay_fraction if stage.replay_fraction is None else stage.replay_fraction
        return Window(
            words=stage.name, rates_mm_h=stage.rain_rate_mm_h, shares=stage.difficulty_share, replay_fraction=replay
        )
    replay = 0 if config.name == "heavy-only" else config.replay_fraction
    if config.name == "self-paced":
        bins = open_bins(config, progress, standing)
        words = f"bins {ranges(bins)} of {config.bins}" if len(bins) < config.bins else "all bins"
        return Window(words=words, bins=bins, bin_count=config.bins, replay_fraction=replay)
    if config.by_rate:
        rates_mm_h = open_rates_mm_h(config, progress, samples)
        return Window(words=rates_in_words(rates_mm_h), rates_mm_h=rates_mm_h, replay_fraction=replay)
    shares = open_shares(config, progress)
    return Window(words=shares_in_words(shares), shares=shares, replay_fraction=replay)


def open_rates_mm_h(config: CurriculumConfig, progress: float, samples: Samples) -> Bounds:
    """Lowest and highest rain rate that is open at `progress` in [0, 1] [mm/h], in curricula by rate."""
    reached = min(1.0, progress / config.reached_at)
    if config.name == "heavy-only":
        return config.heavy_rain_rate_mm_h, np.inf
    if reached == 1:
        return -np.inf, np.inf
    rates_mm_h = samples.sorted_mm_h
    if config.name == "competence":
        share = competence(config, progress)
        return -np.inf, float(rates_mm_h[np.searchsorted(samples.share_up_to, share - ROUNDING)])
    if config.name == "light-to-heavy":
        return -np.inf, geometric(config.start_rain_rate_mm_h, float(rates_mm_h[-1]), reached)
    lightest = float(rates_mm_h[np.searchsorted(rates_mm_h, 0, side="right")])  # samples without rain open at the end
    return geometric(config.heavy_rain_rate_mm_h, lightest, reached), np.inf


def open_shares(config: CurriculumConfig, progress: float) -> Bounds:
    """Bounds of the open share of the samples in order of difficulty at `progress` in [0, 1], in curricula by share."""
    start = config.start_competence_fraction
    linear = start + (1 - start) * min(1.0, progress / config.reached_at)
    if config.name == "heavy-only":
        return 1 - start, 1.0
    if config.name == "heavy-to-light":
        return 1 - linear, 1.0
    return 0.0, (competence(config, progress) if config.name == "competence" else linear)


def open_bins(config: CurriculumConfig, progress: float, standing: Standing) -> tuple[int, ...]:
    """Numbers of the bins that are open at `progress` in [0, 1], in the curriculum `self-paced`."""
    count = int(np.ceil(config.bins * competence(config, progress) - ROUNDING))
    return tuple(sorted(bins_by_error(config.bins, standing)[:count]))


def bins_by_error(count: int, standing: Standing) -> list[int]:
    """Numbers of the bins, that of the least error first.

    A bin that was never seen counts as hard as the hardest that was among the easier ones, and comes after it.
    """
    error, hardest = [], -np.inf
    for bin_error, rows in zip(standing.bin_error or (0.0,) * count, standing.bin_rows or (0,) * count, strict=True):
        error.append(bin_error if rows else hardest)
        hardest = max(hardest, error[-1])
    return sorted(range(count), key=error.__getitem__)


def stage_number(config: CurriculumConfig, progress: float, standing: Standing) -> int:
    """Number of the stage of `staged` at `progress` in [0, 1]: the one due, or a later one that a gate has opened."""
    due = sum(stage.from_progress <= progress for stage in config.stages) - 1
    return max(due, standing.stage)


def competence(config: CurriculumConfig, progress: float) -> float:
    """Share of the samples that is open by the formula of Platanios et al. (2019); see CurriculumConfig."""
    start = config.start_competence_fraction
    return float(np.sqrt(min(1.0, progress / config.reached_at) * (1 - start**2) + start**2))


def geometric(start: float, end: float, share: float) -> float:
    """From `start` to `end` in equal ratios; `share` in [0, 1] is how far."""
    return float(start * (end / start) ** share)


def rates_in_words(rates_mm_h: Bounds) -> str:
    """Bounds of open rates, as "rates up to 12 mm/h"."""
    low_mm_h, high_mm_h = rates_mm_h
    if np.isfinite(high_mm_h):
        return f"rates up to {high_mm_h:.3g} mm/h"
    return f"rates from {low_mm_h:.3g} mm/h" if np.isfinite(low_mm_h) else "all rates"


def shares_in_words(shares: Bounds) -> str:
    """Bounds of an open share, as "easiest 40 %"."""
    low, high = shares
    if low <= 0 and high >= 1:
        return "all samples"
    return f"easiest {100 * high:.3g} %" if low <= 0 else f"hardest {100 * (1 - low):.3g} %"


def ranges(numbers: Sequence[int]) -> str:
    """Growing numbers from 0 as people count them, neighbours together: (0, 1, 2, 4) is "1-3, 5"."""
    runs = [[number for _, number in run] for _, run in groupby(enumerate(numbers), lambda pair: pair[1] - pair[0])]
    return ", ".join(f"{run[0] + 1}-{run[-1] + 1}" if len(run) > 1 else f"{run[0] + 1}" for run in runs)
