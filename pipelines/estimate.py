"""`rainsynth generate --dry-run`: what a data set will take, from a few of its real samples."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float

from pipelines.cluster import Crew
from pipelines.generate import absolute, photographs_of, try_depth
from pipelines.generate_config import GenerateConfig
from pipelines.make_shard import forget_fingerprints, make_shard
from pipelines.photographs import Photograph
from pipelines.plan import Plan, ShardTask, photograph_of, plan

PROBES = 3  # photographs that are tried
SAMPLES_A_PROBE = 3

Cost = Float[np.ndarray, "2"]  # bytes, seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run will take: exact counts, and size and time extrapolated from `tried` samples."""

    samples: int
    photographs: int
    skipped: tuple[str, ...]
    shards: dict[str, int]
    bytes: float
    core_seconds: float
    workers: int
    tried: int

    def lines(self) -> list[str]:
        """The estimate in words, a line for each thing."""
        parts = ", ".join(f"{part} {count}" for part, count in self.shards.items() if part)
        seconds = self.core_seconds / self.workers
        return [
            f"dry run: {self.samples} samples from {self.photographs} photographs",
            f"shards: {sum(self.shards.values())}" + (f" ({parts})" if parts else ""),
            f"size: about {_gib(self.bytes)} GiB",
            f"time: about {_duration(seconds)} on {self.workers} worker{'s' if self.workers > 1 else ''},"
            f" {_duration(self.core_seconds)} of one core",
            *(f"would skip {name}" for name in self.skipped),
            f"Size and time are an estimate from {self.tried} samples made here and now. Nothing was written.",
        ]


def estimate(config: GenerateConfig, *, workers: int, skip_broken: bool = False) -> Estimate:
    """What generate would take with this config, on `workers` workers as fast as this machine; writes nothing.

    A few samples of a few photographs are rendered and written into a folder that is deleted again. Size and time
    are proportional to pixels: of samples, and of the photographs that each shard takes its samples from. Those are
    counted as read and fingerprinted for every shard; a worker that meets one again keeps its fingerprint.
    """
    config = absolute(config)
    with Crew(workers) as crew:
        photographs, broken = photographs_of(config, crew, skip_broken)
    shards = plan(config, photographs)
    try_depth(config, photographs)
    probes = list(_probes(config, photographs))
    of_sample, of_photo = _costs_a_pixel(config, probes)
    sample_px, photo_px = _pixels(shards)
    size, core_seconds = (of_sample * sample_px + of_photo * photo_px).tolist()
    return Estimate(
        samples=config.samples,
        photographs=len(photographs),
        skipped=tuple(item.name for item in broken),
        shards=dict(shards.shards_of_part),
        bytes=size,
        core_seconds=core_seconds,
        workers=workers,
        tried=sum(len(task.indices) for task in probes),
    )


def _probes(config: GenerateConfig, photographs: list[Photograph]) -> Iterator[ShardTask]:
    """A few samples of each of a few photographs, spread over the data set."""
    for number in range(min(PROBES, config.samples)):
        first = number * config.samples // PROBES
        photo = photographs[photograph_of(config.seed, first, len(photographs))]
        indices = [(first + step * config.samples // 7) % config.samples for step in range(SAMPLES_A_PROBE)]
        yield ShardTask("shard-00000.h5", tuple(indices), (photo,) * len(indices))


def _costs_a_pixel(config: GenerateConfig, probes: list[ShardTask]) -> tuple[Cost, Cost]:
    """What a pixel of a sample costs, and one of a photograph within a shard."""
    of_sample, of_photo = [], []
    with tempfile.TemporaryDirectory() as folder:
        _timed(config, _cut(probes[0], 1), folder)  # compiles, and reads what is read once
        for task in probes:
            photo_pixels = task.photographs[0].height_px * task.photographs[0].width_px
            pixels = config.size_px**2 if config.size_px else photo_pixels
            one, all_of_them = _timed(config, _cut(task, 1), folder), _timed(config, task, folder)
            sample = np.maximum(all_of_them - one, 0) / (len(task.indices) - 1)
            of_sample.append(sample / pixels)
            of_photo.append(np.maximum(one - sample, 0) / photo_pixels)
    return np.mean(of_sample, axis=0), np.mean(of_photo, axis=0)


def _timed(config: GenerateConfig, task: ShardTask, folder: str) -> Cost:
    """Bytes of a shard, and seconds that it takes."""
    forget_fingerprints()
    started = time.perf_counter()
    record: dict[str, Any] = make_shard(config, task, folder)
    return np.array([record["bytes"], time.perf_counter() - started])


def _cut(task: ShardTask, count: int) -> ShardTask:
    return replace(task, indices=task.indices[:count], photographs=task.photographs[:count])


def _pixels(shards: Plan) -> tuple[int, int]:
    """Pixels of all samples, and of all photographs, each as often as shards take samples from it."""
    samples = photographs = 0
    size_px = shards.config.size_px
    for task in shards:
        photo_pixels = [photo.height_px * photo.width_px for photo in set(task.photographs)]
        samples += len(task.indices) * (size_px**2 if size_px else photo_pixels[0])
        photographs += sum(photo_pixels)
    return samples, photographs


def _gib(size: float) -> str:
    return f"{size / 2**30:.3g}" if size < 2**30 else f"{size / 2**30:.1f}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(seconds, 1):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"
