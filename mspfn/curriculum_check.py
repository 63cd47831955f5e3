"""Whether a curriculum can order the samples of a data set, looked at once before training."""

from __future__ import annotations

import numpy as np

from mspfn.curriculum import opened, window_at
from mspfn.curriculum_config import CurriculumConfig, CurriculumStage
from mspfn.samples import Samples
from rainsynth.checks import InputError, check_in_range, one_line


def check_samples(config: CurriculumConfig, samples: Samples) -> None:
    """Raise InputError unless a curriculum knows what it orders some samples by, and never opens a window without any.

    To be called once; sample_probabilities trusts it.
    """
    if config.name == "uniform":
        return
    if config.name == "staged":
        for stage in config.stages:
            check_stage(config, stage, samples)
        return
    check_graded(config, samples)
    if config.name == "self-paced":
        held = np.unique(samples.bins(config.bins)[samples.graded])
        if len(held) < config.bins:
            raise InputError(
                f"curriculum.bins must each hold some samples, got {config.bins} bins of which {len(held)} do, for "
                f"{np.count_nonzero(samples.graded)} samples of known difficulty. Take fewer bins."
            )
    if config.by_rate:
        check_rates(config, samples)


def check_graded(config: CurriculumConfig, samples: Samples) -> None:
    """Raise InputError unless the difficulty of some samples is known."""
    if samples.graded.any():
        return
    if config.by_rate:
        raise InputError(
            f"curriculum.name must be uniform for samples of unknown rain rate, got {config.name}. Folders of pairs "
            "and look-alikes have no rates; physical rain does, rendered or from `rainsynth generate`. "
            "curriculum.difficulty: input-psnr orders all of them."
        )
    raise InputError(
        f"curriculum.difficulty must be known of some samples, got {' and '.join(config.difficulty_weights)}, known of "
        "none. Folders of pairs and imported shards have neither rates nor coverage; input-psnr is measured of all."
    )


def check_rates(config: CurriculumConfig, samples: Samples) -> None:
    """Raise InputError unless the first window of a curriculum by rate holds some samples, and not all."""
    low, high = float(samples.sorted_mm_h[0]), float(samples.sorted_mm_h[-1])
    hint = f"The samples have {low:.3g} to {high:.3g} mm/h; does curriculum.name: uniform suit them?"
    if config.name == "light-to-heavy":
        check_in_range(config.start_rain_rate_mm_h, low, high, "curriculum.start_rain_rate_mm_h", hint)
    if config.name in ("heavy-only", "heavy-to-light"):
        lowest = low if config.name == "heavy-to-light" else 0
        check_in_range(config.heavy_rain_rate_mm_h, lowest, high, "curriculum.heavy_rain_rate_mm_h", hint)


def check_stage(config: CurriculumConfig, stage: CurriculumStage, samples: Samples) -> None:
    """Raise InputError unless a stage of `staged` holds some samples."""
    if stage.rain_rate_mm_h is not None and not samples.rated.any():
        raise InputError(
            f"stage {stage.name}: rain_rate_mm_h must be left out for samples of unknown rain rate, got "
            f"{list(stage.rain_rate_mm_h)}. curriculum.difficulty: input-psnr with difficulty_share orders them."
        )
    if stage.difficulty_share is not None:
        check_graded(config, samples)
    is_open, _ = opened(window_at(config, stage.from_progress, samples), samples)
    if not is_open.any():
        bounds = {"rain_rate_mm_h": stage.rain_rate_mm_h, "difficulty_share": stage.difficulty_share}
        given = " and ".join(f"{name} {list(pair)}" for name, pair in bounds.items() if pair is not None)
        rates_mm_h = samples.sorted_mm_h
        hint = f"The samples have {rates_mm_h[0]:.3g} to {rates_mm_h[-1]:.3g} mm/h." if len(rates_mm_h) else ""
        raise InputError(one_line(f"stage {stage.name} must hold some samples, got none with {given}.", hint))
