"""What the network sees next: the batch of a step, as a function of (seed, step) and of nothing else.

The only place of the package where 8-bit pictures become tensors, and tensors 8-bit pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import NamedTuple, Protocol

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from mspfn.curriculum import CurriculumConfig, check_rates, sample_probabilities, stage_name
from rainsynth.checks import InputError, check_choice

TARGETS = ("clean", "veiled")

Pictures = UInt8[np.ndarray, "n h w 3"]
PictureBatch = tuple[Pictures, Pictures]  # rainy and target
Batch = tuple[Tensor, Tensor]  # rainy and target, (N, 3, P, P) float32 sRGB in [0, 1]


def to_tensor(pictures_srgb8: Pictures) -> Float[Tensor, "n 3 h w"]:
    """8-bit pictures as the network sees them: float32 sRGB in [0, 1], channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(pictures_srgb8)).permute(0, 3, 1, 2).float().div_(255)


def to_srgb8(pictures: Float[Tensor, "n 3 h w"]) -> Pictures:
    """Pictures of the network, clipped to [0, 1] and rounded to 8 bit."""
    codes = pictures.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return codes.permute(0, 2, 3, 1).contiguous().cpu().numpy()


class Pair(Protocol):
    """A rainy picture and its two targets, (H, W, 3) uint8."""

    @property
    def rainy_srgb8(self) -> UInt8[np.ndarray, "h w 3"]: ...
    @property
    def clean_srgb8(self) -> UInt8[np.ndarray, "h w 3"]: ...
    @property
    def veiled_srgb8(self) -> UInt8[np.ndarray, "h w 3"]: ...


class PairSource(Protocol):
    """What both rainsynth.shards.ShardSet and PairFolder are; `table` has rain_rate_mm_h, height_px and width_px."""

    @property
    def table(self) -> np.ndarray: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Pair: ...
    def crop(self, index: int, top: int, left: int, size: int, /) -> Pair: ...


def target_of(pair: Pair, target: str) -> UInt8[np.ndarray, "h w 3"]:
    """The picture that training aims at: "clean", all rain gone, or "veiled", streaks gone and the veil kept."""
    return pair.veiled_srgb8 if target == "veiled" else pair.clean_srgb8


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
    that look down, and for data of streaks at every angle.
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
    ) -> None:
        check_choice(target, TARGETS, "target")
        table = source.table
        self.source, self.curriculum, self.target, self.turns = source, curriculum, target, turns
        self.patch_px, self.batch_size, self.steps, self.seed = patch_px, batch_size, steps, seed
        self.height_px, self.width_px = table["height_px"].astype(np.int64), table["width_px"].astype(np.int64)
        self.rain_rate_mm_h = table["rain_rate_mm_h"].astype(np.float64)
        check_rates(curriculum, self.rain_rate_mm_h)
        smallest_px = int(min(self.height_px.min(), self.width_px.min()))
        if patch_px > smallest_px:
            raise InputError(f"patch_px must be at most {smallest_px}, the smallest side in the data, got {patch_px}.")

    def batch(self, step: int) -> Batch:
        """Rainy windows of a step and their targets, as tensors."""
        rainy, target = self.pictures(step)
        return to_tensor(rainy), to_tensor(target)

    def pictures(self, step: int) -> PictureBatch:
        """Rainy windows of a step and their targets, as 8-bit pictures."""
        windows = self.windows(step)
        shape = (self.batch_size, self.patch_px, self.patch_px, 3)
        rainy, target = np.empty(shape, np.uint8), np.empty(shape, np.uint8)
        for row, (sample, top, left, flipped, turns) in enumerate(zip(*windows, strict=True)):
            pair = self.source.crop(int(sample), int(top), int(left), self.patch_px)
            rainy[row] = oriented(pair.rainy_srgb8, flipped, turns)
            target[row] = oriented(target_of(pair, self.target), flipped, turns)
        return rainy, target

    def windows(self, step: int) -> Windows:
        """Where the batch of a step lies: a function of (seed, step), whatever was drawn before."""
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(step,)))
        probabilities = sample_probabilities(self.curriculum, self.progress(step), self.rain_rate_mm_h)
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
        return stage_name(self.curriculum, self.progress(step), self.rain_rate_mm_h)

    def progress(self, step: int) -> float:
        """How far training has come, 0 at its first step."""
        return step / self.steps


def oriented(picture: UInt8[np.ndarray, "h w 3"], flipped: bool, quarter_turns: int) -> UInt8[np.ndarray, "h w 3"]:
    """A square picture turned to the left, then mirrored left to right."""
    turned = np.rot90(picture, quarter_turns)
    return turned[:, ::-1] if flipped else turned


class Prefetcher:
    """Makes the pictures of the next step in a background thread while the network works on this one's.

    One thread makes every batch, so the data needs no locks. It must not call PyTorch: a second thread that does gets
    threads of its own to compute with, which fight the network's for the processor.
    """

    def __init__(self, make_batch: Callable[[int], PictureBatch], steps: int) -> None:
        self._make_batch, self._steps = make_batch, steps
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="batches")
        self._ahead: dict[int, Future[PictureBatch]] = {}

    def take(self, step: int) -> PictureBatch:
        """The pictures of a step, waited for if it is not ready; begins the one after it."""
        wanted = self._ahead.pop(step, None) or self._thread.submit(self._make_batch, step)
        self._ahead = {step + 1: self._thread.submit(self._make_batch, step + 1)} if step + 1 < self._steps else {}
        return wanted.result()

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)
