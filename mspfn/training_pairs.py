"""Which windows of which samples make a batch: a function of (seed, step), and of nothing else.

Nothing here needs PyTorch, so that processes that make batches do without it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int, UInt8

from mspfn.curriculum import CurriculumConfig, check_rates, sample_probabilities, stage_name
from mspfn.degradations import Degradations, degraded
from mspfn.mixture import as_mixture
from mspfn.pair_source import TARGETS, PairSource, target_of
from mspfn.prefetch import PictureBatch
from rainsynth.checks import InputError, check_choice, check_in_range


class Windows(NamedTuple):
    """Which part of which sample makes a batch, and how it is turned; one entry a picture."""

    sample: Int[np.ndarray, "n"]
    top: Int[np.ndarray, "n"]
    left: Int[np.ndarray, "n"]
    flipped: Bool[np.ndarray, "n"]
    quarter_turns: Int[np.ndarray, "n"]


class TrainingPairs:
    """Batches of square windows, drawn as the curriculum says.

    Windows are mirrored left to right at random. Quarter turns (`turns`) are off by default: rain falls, and a turned
    picture shows it flying sideways below a sky that stands beside it, which no camera meets. They are for cameras
    that look down, and for data of streaks at every angle. `clean_fraction` of the windows show the target itself, so
    that a network learns to leave it alone. `degradations` act on the rainy picture as it is shown, turned or not.
    """

    def __init__(
        self,
        source: PairSource,
        *,
        patch_px: int,
        batch_size: int,
        steps: int,
        seed: int,
        curriculum: CurriculumConfig,
        target: str = "clean",
        turns: bool = False,
        clean_fraction: float = 0.0,
        degradations: Degradations | None = None,
    ) -> None:
        check_choice(target, TARGETS, "target")
        check_in_range(clean_fraction, 0, 1, "clean_fraction")
        self.source, self.curriculum, self.target, self.turns = as_mixture(source), curriculum, target, turns
        self.patch_px, self.batch_size, self.steps, self.seed = patch_px, batch_size, steps, seed
        self.clean_fraction, self.degradations = clean_fraction, degradations or Degradations()
        self.height_px, self.width_px = self.source.table["height_px"], self.source.table["width_px"]
        check_rates(curriculum, self.source.rates)
        smallest_px = int(min(self.height_px.min(), self.width_px.min()))
        if patch_px > smallest_px:
            raise InputError(f"patch_px must be at most {smallest_px}, the smallest side in the data, got {patch_px}.")

    def pictures(self, step: int) -> PictureBatch:
        """Rainy windows of a step and their targets, as 8-bit pictures."""
        shape = (self.batch_size, self.patch_px, self.patch_px, 3)
        rainy, target = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        for row, (sample, top, left, flipped, turns) in enumerate(zip(*self.windows(step), strict=True)):
            pair = self.source.crop(int(sample), int(top), int(left), self.patch_px)
            aim = target_of(pair, self.target)
            rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(step, row)))
            shown = aim if rng.random() < self.clean_fraction else pair.rainy_srgb8
            rainy[row] = degraded(oriented(shown, flipped, turns), self.degradations, rng)
            target[row] = oriented(aim, flipped, turns)
        return rainy, target

    def windows(self, step: int) -> Windows:
        """Where the batch of a step lies: a function of (seed, step), whatever was drawn before."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(step,)))
        probabilities = sample_probabilities(self.curriculum, self.progress(step), self.source.rates)
        sample = rng.choice(len(probabilities), size=self.batch_size, p=probabilities)
        return Windows(
            sample=sample,
            top=rng.integers(self.height_px[sample] - self.patch_px + 1),
            left=rng.integers(self.width_px[sample] - self.patch_px + 1),
            flipped=rng.random(self.batch_size) < 0.5,
            quarter_turns=rng.integers(4, size=self.batch_size) if self.turns else np.zeros(self.batch_size, np.int64),
        )

    def stage(self, step: int) -> str:
        """What the curriculum shows at a step, in words."""
        return stage_name(self.curriculum, self.progress(step), self.source.rates)

    def progress(self, step: int) -> float:
        """How far training has come, 0 at its first step."""
        return step / self.steps


def oriented(picture: UInt8[np.ndarray, "h w 3"], flipped: bool, quarter_turns: int) -> UInt8[np.ndarray, "h w 3"]:
    """A square picture turned to the left, then mirrored left to right."""
    turned = np.rot90(picture, quarter_turns)
    return turned[:, ::-1] if flipped else turned
