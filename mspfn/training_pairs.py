"""Which windows of which samples make a batch: a function of (seed, step), and of what a curriculum follows of the run.

Nothing here needs PyTorch, so that processes that make batches do without it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from jaxtyping import Bool, Int, UInt8

from mspfn.curriculum import sample_probabilities, window_at
from mspfn.curriculum_check import check_samples
from mspfn.curriculum_config import CurriculumConfig
from mspfn.data_config import PatchStage
from mspfn.degradations import Degradations, degraded
from mspfn.difficulty import graded_samples
from mspfn.mixture import as_mixture
from mspfn.pacing import Pacing
from mspfn.pair_folder import PairFolder
from mspfn.pair_source import TARGETS, PairSource, target_of
from mspfn.prefetch import PictureBatch
from mspfn.samples import Samples
from rainsynth.checks import InputError, check_choice, check_in_range

LAYERS = ("streak_alpha16", "transmission16")  # what the mask and the veiled picture are made of
EVERY_ROW = slice(None)
TURNS = (cv2.ROTATE_90_COUNTERCLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_CLOCKWISE)  # by 1, 2 and 3 quarters


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

    `patch_schedule` changes side and number of the windows later on. With `layers` a batch also has the veiled pictures
    and the masks of the streaks. `rows` are those of the whole batch that are made here: every row follows from
    (seed, step, row), so processes that share the work make the batch of one. `samples` are those of the source with
    the difficulty that the curriculum asks for, where they are at hand.

    `pacing` is to hear what the curriculum follows. Copies in other processes do not hear it, so they are handed the
    windows of a batch.
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
        patch_schedule: Sequence[PatchStage] = (),
        layers: bool = False,
        rows: slice = EVERY_ROW,
        samples: Samples | None = None,
    ) -> None:
        check_choice(target, TARGETS, "target")
        check_in_range(clean_fraction, 0, 1, "clean_fraction")
        self.source, self.curriculum, self.target, self.turns = as_mixture(source), curriculum, target, turns
        self.steps, self.seed, self.layers, self.rows = steps, seed, layers, rows
        self.sizes = (PatchStage(from_progress=0.0, patch_px=patch_px, batch_size=batch_size), *patch_schedule)
        self.clean_fraction, self.degradations = clean_fraction, degradations or Degradations()
        self.height_px, self.width_px = self.source.table["height_px"], self.source.table["width_px"]
        self.samples = graded_samples(curriculum, self.source) if samples is None else samples
        check_samples(curriculum, self.samples)
        self.pacing = Pacing(curriculum, steps)
        smallest_px = int(min(self.height_px.min(), self.width_px.min()))
        largest_px = max(size.patch_px for size in self.sizes)
        if largest_px > smallest_px:
            raise InputError(
                f"patch_px must be at most {smallest_px}, the smallest side in the data, got {largest_px}."
            )
        for part in self.source.sources if layers else ():
            check_layers(part)

    def pictures(self, step: int, windows: Windows | None = None) -> PictureBatch:
        """Rainy windows of a step and their targets, as 8-bit pictures (N, H, W, 3); this object's `rows` of them.

        With `layers` also the veiled pictures, and masks (N, H, W, 1), 255 where a streak covers the pixel, else 0.
        `windows` are those of the step, where they are at hand.
        """
        drawn = list(zip(*(windows or self.windows(step)), strict=True))
        made = [self.row(step, row, *drawn[row]) for row in range(len(drawn))[self.rows]]
        return tuple(np.stack(pictures) for pictures in zip(*made, strict=True))

    def row(
        self, step: int, row: int, sample: int, top: int, left: int, flipped: bool, quarter_turns: int
    ) -> list[UInt8[np.ndarray, "h w c"]]:
        """The pictures of one row of a step's batch: a function of (seed, step, row) and of the window."""
        pair = self.source.crop(int(sample), int(top), int(left), self.size(step).patch_px)
        target = target_of(pair, self.target)
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(step, row)))
        dry = rng.random() < self.clean_fraction
        shown = oriented(target if dry else pair.rainy_srgb8, flipped, quarter_turns)
        pictures = [degraded(shown, self.degradations, rng), oriented(target, flipped, quarter_turns)]
        if self.layers:
            layers = (target, np.zeros_like(target[..., :1])) if dry else (pair.veiled_srgb8, streak_mask8(pair))
            pictures += [oriented(layer, flipped, quarter_turns) for layer in layers]
        return pictures

    def windows(self, step: int) -> Windows:
        """Where the whole batch of a step lies: a function of (seed, step) and of what `pacing` knows at that step."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(step,)))
        probabilities = sample_probabilities(self.curriculum, self.progress(step), self.samples, self.pacing.at(step))
        size = self.size(step)
        sample = rng.choice(len(probabilities), size=size.batch_size, p=probabilities)
        return Windows(
            sample=sample,
            top=rng.integers(self.height_px[sample] - size.patch_px + 1),
            left=rng.integers(self.width_px[sample] - size.patch_px + 1),
            flipped=rng.random(size.batch_size) < 0.5,
            quarter_turns=rng.integers(4, size=size.batch_size) if self.turns else np.zeros(size.batch_size, np.int64),
        )

    def size(self, step: int) -> PatchStage:
        """Side and number of the windows of a step's whole batch."""
        starts = [size.from_progress for size in self.sizes]
        return self.sizes[bisect_right(starts, self.progress(step)) - 1]

    def stage(self, step: int) -> str:
        """What the curriculum shows at a step, in words."""
        return window_at(self.curriculum, self.progress(step), self.samples, self.pacing.at(step)).words

    def bins(self, step: int) -> Int[np.ndarray, "n"]:
        """Number of the bin of difficulty of each row of a step's whole batch; -1 where it is unknown."""
        return self.samples.bins(self.curriculum.bins)[self.windows(step).sample]

    def progress(self, step: int) -> float:
        """How far training has come, 0 at its first step."""
        return step / self.steps


def check_layers(source: PairSource) -> None:
    """Raise InputError unless every sample of a source has the layers that a loss of masks and streaks asks for."""
    hint = f"loss.mask_weight and loss.streak_weight ask for {' and '.join(LAYERS)}"
    if isinstance(source, PairFolder):
        raise InputError(
            f"data must have layers, got the folder of pairs {str(source.path)!r}, which has none. {hint}."
        )
    layer_names = getattr(source, "layer_names", lambda index: LAYERS)  # of shards; rendered rain has all
    for sample in range(len(source)):
        if not set(LAYERS) <= set(layer_names(sample)):
            raise InputError(f"data must have layers, got shards whose sample {sample} lacks some. {hint}.")


def streak_mask8(pair: Any) -> UInt8[np.ndarray, "h w 1"]:
    """255 where a streak covers the pixel for any part of the exposure, else 0; of a pair with layers."""
    return np.where(pair.streak_alpha16 > 0, np.uint8(255), np.uint8(0))[..., None]


def oriented(picture: UInt8[np.ndarray, "h w c"], flipped: bool, quarter_turns: int) -> UInt8[np.ndarray, "h w c"]:
    """A square picture turned to the left, then mirrored left to right.

    By OpenCV, as it moves whole pixels: turned views of NumPy are far slower to put into a batch.
    """
    turned = picture if quarter_turns == 0 else cv2.rotate(picture, TURNS[quarter_turns - 1])
    return (cv2.flip(turned, 1) if flipped else turned).reshape(picture.shape)  # a mask has lost its one channel
