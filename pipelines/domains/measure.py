"""Figures of a network in one domain: against the truth, or without it; and of what it does where no rain is."""

from __future__ import annotations

from collections.abc import Iterable

from torch import nn

from mspfn.inference import derain
from mspfn.pair_source import SRGB8
from mspfn.validation import score
from pipelines.evaluation.figures import ALWAYS, Row, judge_pair
from pipelines.evaluation.pairs import Pair, Photograph
from pipelines.evaluation.real_rain import judge_photograph

WITH_TRUTH = ("psnr_y", "ssim_y")
WITHOUT_TRUTH = ("streak_energy_left", "rest_kept")
CLEAN = "clean_psnr_y_db"


def measure(network: nn.Module, pictures: Iterable[Pair | Photograph]) -> list[Row]:
    """Figures of what a network makes of every picture; see judge_pair and judge_photograph."""
    return [figures(one, derain(one.rainy_srgb8, network)) for one in pictures]


def figures(one: Pair | Photograph, derained: SRGB8) -> Row:
    """PSNR-Y [dB] and SSIM-Y before and after where the truth is known, else streaks left and rest kept."""
    return (judge_pair(one, ALWAYS, masks=False) if isinstance(one, Pair) else judge_photograph(one))(derained)


def clean_psnr_db(network: nn.Module, clean: Iterable[SRGB8]) -> list[float]:
    """PSNR-Y of clean pictures, derained, against themselves [dB]: what a network does where there is nothing to do."""
    return [score(network, picture, picture) for picture in clean]
