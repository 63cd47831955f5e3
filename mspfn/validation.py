"""How well a network does while it trains: PSNR by class of rain, on a fixed set of pictures it never learns from."""

from __future__ import annotations

import numpy as np
from torch import nn

from mspfn.difficulty import centre_window
from mspfn.guard import DRY
from mspfn.inference import derain
from mspfn.pair_source import SRGB8, PairSource, target_of
from rainsynth.metrics import psnr_y
from rainsynth.presets import RAIN_CLASSES, UNKNOWN_CLASS, rain_class

HIGHEST_DB = 100.0  # what a picture without any error counts as, so that means stay finite


class ValidationSet:
    """Centre windows of some samples of every class of rain, kept in memory as 8-bit pictures.

    `samples_per_class` samples are taken evenly along each class, in the order of the set. With `dry`, their targets
    are derained too, and are to stay as they are.
    """

    def __init__(
        self, source: PairSource, *, samples_per_class: int, crop_px: int, target: str = "clean", dry: bool = False
    ) -> None:
        self.dry = dry
        self.pairs: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
        for name, samples in samples_by_class(source.table["rain_rate_mm_h"], samples_per_class).items():
            pairs = [centre_window(source, sample, crop_px) for sample in samples]
            self.pairs[name] = [(pair.rainy_srgb8, target_of(pair, target)) for pair in pairs]

    def psnr_y_db(self, network: nn.Module) -> dict[str, float]:
        """Mean PSNR of the luma [dB] of each class, of "all" pictures as `derain` makes them, and of "dry" targets."""
        by_class = {
            name: [score(network, rainy, target) for rainy, target in pairs] for name, pairs in self.pairs.items()
        }
        means = {name: float(np.mean(scores)) for name, scores in by_class.items()}
        means["all"] = float(np.mean([figure for scores in by_class.values() for figure in scores]))
        if self.dry:
            targets = [target for pairs in self.pairs.values() for _, target in pairs]
            means[DRY] = float(np.mean([score(network, target, target) for target in targets]))
        return means


def score(network: nn.Module, rainy_srgb8: SRGB8, target_srgb8: SRGB8) -> float:
    """PSNR of the luma of a derained picture [dB], at most HIGHEST_DB."""
    return min(psnr_y(derain(rainy_srgb8, network), target_srgb8), HIGHEST_DB)


def samples_by_class(rain_rate_mm_h: np.ndarray, count: int) -> dict[str, list[int]]:
    """At most `count` samples of each class that occurs, evenly along the set; light classes first."""
    classes = np.array([rain_class(rate) for rate in rain_rate_mm_h])
    chosen = {}
    for name in (*RAIN_CLASSES, UNKNOWN_CLASS):
        members = np.flatnonzero(classes == name)
        if len(members):
            positions = np.linspace(0, len(members) - 1, min(count, len(members))).round().astype(int)
            chosen[name] = members[positions].tolist()
    return chosen
