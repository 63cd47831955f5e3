"""`rainsynth generate`: photographs in, shards of rainy pairs out, on dask.

One task makes one shard, and returns a record of it, never pixels. What a sample is follows from (config, seed, index)
alone, so a run on any number of workers, stopped and resumed at any time, writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.config import plain_values
from pipelines.generate_config import GenerateConfig, MixturePart, PhotographsConfig
from pipelines.photographs import (
    Photograph,
    depth_model,
    depth_summary,
    load_background,
    sha256_of,
    survey,
)
from pipelines.progress import console, progress
from rainsynth.checks import InputError, check_in_range
from rainsynth.metrics import psnr_y
from rainsynth.named_rain import render_preset
from rainsynth.sample import RainSample
from rainsynth.scene.background import Background
from rainsynth.scene.depth_model import DepthModel
from rainsynth.seeding import MIXTURE_STREAM, ORDER_STREAM, sample_rng
from rainsynth.shards.reader import open_shards
from rainsynth.shards.schema import MANIFEST_NAME, SHARD_GLOB, code_version
from rainsynth.shards.writer import Provenance, write_shard

PLAN_NAME = "plan.json"
GOLDEN_RATIO = (5**0.5 - 1) / 2
SHARD_PIXELS = 24_000_000  # samples of a shard times their pixels: about 0.5 GB of layers while it is made


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One shard to be made: its file name and, for each of its samples, index and photograph."""

    file: str
    indices: tuple[int, ...]
    photographs: tuple[Photograph, ...]


def generate(config: GenerateConfig, out: Path, *, workers: int, scheduler: str = "", resume: bool = False) -> dict:
    """Write the data set of `config` into the folder `out` and return its manifest.

    `workers` processes of a local cluster, or the workers of the cluster at `scheduler`. `resume` goes on with a run
    of the same config that was stopped; without it a folder that is not empty is refused.
    """
    check_in_range(workers, 1, 4096, "workers")
    config = replace(config, data=_absolute(config.data))
    photographs = survey(Path(config.data.photographs), _depth_folder(config))
    tasks = plan(config, photographs)
    _try_depth(config, photographs)
    head = _head(config, photographs, tasks)
    _prepare(out, head, resume)
    present = [task for task in tasks if (out / task.file).exists()]
    for task in present:
        open_shards(out / task.file).close()
    missing = [task for task in tasks if not (out / task.file).exists()]
    with progress("generate", config.samples, config.samples - sum(len(task.indices) for task in missing)) as advance:
        for count in _run(config, missing, out, workers, scheduler):
            advance(count)
    manifest = head | {"shards": [_record(out / task.file, task) for task in tasks]}
    _write_json(out / MANIFEST_NAME, manifest)
    return manifest


def plan(config: GenerateConfig, photographs: list[Photograph]) -> list[ShardTask]:
    """Samples grouped into shards of one size each, a photograph's samples side by side."""
    if config.size_px is not None:
        small = [photo.name for photo in photographs if min(photo.height_px, photo.width_px) < config.size_px]
        if small:
            raise InputError(f"photographs must be at least size_px {config.size_px} high and wide, got {small[0]}.")
    groups: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for index in range(config.samples):
        chosen = photograph_of(config.seed, index, len(photographs))
        photo = photographs[chosen]
        size = (config.size_px, config.size_px) if config.size_px else (photo.height_px, photo.width_px)
        groups.setdefault(size, []).append((chosen, index))
    tasks: list[ShardTask] = []
    for (height_px, width_px), members in sorted(groups.items()):
        per_shard = max(1, min(config.samples_per_shard, SHARD_PIXELS // (height_px * width_px)))
        members.sort()
        for first in range(0, len(members), per_shard):
            part = members[first : first + per_shard]
            tasks.append(
                ShardTask(
                    SHARD_GLOB.replace("*", f"{len(tasks):05d}"),
                    tuple(index for _, index in part),
                    tuple(photographs[chosen] for chosen, _ in part),
                )
            )
    return tasks


def photograph_of(seed: int, index: int, count: int) -> int:
    """Which of `count` photographs sample `index` shows: each once in every round, in an order of the round's own."""
    turn, place = divmod(index, count)
    return int(_order(seed, turn, count)[place])


@lru_cache(maxsize=4)
def _order(seed: int, turn: int, count: int) -> np.ndarray:
    return sample_rng(seed, turn, ORDER_STREAM).permutation(count)


def part_of(mixture: tuple[MixturePart, ...], index: int) -> MixturePart:
    """Part of the mixture that sample `index` is drawn from.

    Steps of the golden ratio around a circle of weights: any run of n samples holds each part n times its share, to
    within a few.
    """
    upto = np.cumsum([part.weight for part in mixture])
    place = (index * GOLDEN_RATIO) % 1.0 * upto[-1]
    return mixture[min(int(np.searchsorted(upto, place, side="right")), len(mixture) - 1)]


def make_sample(
    config: GenerateConfig, index: int, photograph: Photograph, background: Background | None = None
) -> RainSample:
    """Sample `index` of the data set; `background` is its photograph's, where it is already at hand."""
    if background is None:
        background = background_of(config, photograph, depth_model(config.data.depth_model))
    rng = sample_rng(config.seed, index, MIXTURE_STREAM)
    part = part_of(config.mixture, index)
    options: dict[str, Any] = {}
    if part.rain_rate_mm_h is not None:
        options["rain_rate_mm_h"] = float(np.exp(rng.uniform(*np.log(part.rain_rate_mm_h))))
    window = None
    if config.size_px is not None:
        top = int(rng.integers(photograph.height_px - config.size_px + 1))
        left = int(rng.integers(photograph.width_px - config.size_px + 1))
        window = (top, left, config.size_px, config.size_px)
    sample = render_preset(background, part.preset, seed=config.seed, index=index, window=window, **options)
    sample.parameters["psnr_y_db"] = psnr_y(sample.rainy_srgb8, sample.clean_srgb8)
    return sample


def background_of(config: GenerateConfig, photograph: Photograph, model: DepthModel | None) -> Background:
    """A photograph of the data set with its depth."""
    return load_background(
        Path(config.data.photographs),
        photograph.name,
        _depth_folder(config),
        convention=config.data.depth_convention,
        scale_m=config.data.depth_scale_m,
        model=model,
    )


def make_shard(config: GenerateConfig, task: ShardTask, out: str) -> int:
    """Make and publish one shard; returns its number of samples."""
    model = depth_model(config.data.depth_model)
    background = lru_cache(maxsize=1)(lambda photo: background_of(config, photo, model))  # a photograph's samples meet
    samples = [
        make_sample(config, index, photo, background(photo))
        for index, photo in zip(task.indices, task.photographs, strict=True)
    ]
    origins = [Provenance(photo.name, photo.sha256) for photo in task.photographs]
    write_shard(
        Path(out) / task.file,
        samples,
        origins,
        _recorded(config),
        layers=config.layers,
        profile=config.profile,
    )
    return len(samples)


def _absolute(data: PhotographsConfig) -> PhotographsConfig:
    """The same folders and files by paths that hold in every worker."""
    model = data.depth_model and replace(data.depth_model, file=str(Path(data.depth_model.file).resolve()))
    depth = str(Path(data.depth).resolve()) if data.depth else ""
    return replace(data, photographs=str(Path(data.photographs).resolve()), depth=depth, depth_model=model)


def _depth_folder(config: GenerateConfig) -> Path | None:
    return Path(config.data.depth) if config.data.depth else None


def _try_depth(config: GenerateConfig, photographs: list[Photograph]) -> None:
    """Load the model and the first map, so that a mistake shows before a worker starts; say whose depth is used."""
    depth_model(config.data.depth_model)
    with_map = [photo for photo in photographs if photo.depth]
    if with_map:
        background_of(config, with_map[0], None)
    if summary := depth_summary(photographs, config.data):
        console.print(summary)


def _recorded(config: GenerateConfig) -> dict[str, Any]:
    """The config as it is recorded in files: without this machine's folders, which do not make the samples."""
    values = plain_values(config)
    for name in ("photographs", "depth"):
        values["data"][name] = Path(values["data"][name]).name
    if config.data.depth_model is not None:
        values["data"]["depth_model"]["file"] = Path(config.data.depth_model.file).name
    return values


def _head(config: GenerateConfig, photographs: list[Photograph], tasks: list[ShardTask]) -> dict[str, Any]:
    model = config.data.depth_model
    return {
        "format": "rainsynth-dataset",
        "format_version": 1,
        "config": _recorded(config),
        "code_version": code_version(),
        "samples": config.samples,
        "photographs": [asdict(photo) for photo in photographs],
        "depth_model_sha256": sha256_of(Path(model.file)) if model else "",
        "shard_files": [task.file for task in tasks],
    }


def _prepare(out: Path, head: dict[str, Any], resume: bool) -> None:
    """Make the folder ready: a new one, or one that an equal run began."""
    out.mkdir(parents=True, exist_ok=True)
    plan_path = out / PLAN_NAME
    if any(out.iterdir()) and not resume:
        raise InputError(f"--out must be a new or empty folder, got {str(out)!r}. --resume goes on with a stopped run.")
    if plan_path.exists():
        before = json.loads(plan_path.read_text())
        differing = [key for key in head if before.get(key) != head[key]]
        if differing:
            raise InputError(
                f"--resume must go on with the same run, got another {', '.join(differing)} than in {plan_path}."
                " Use a new folder."
            )
    elif any(out.iterdir()):
        raise InputError(f"--resume must name a folder that generate began, got {str(out)!r} without {PLAN_NAME}.")
    else:
        _write_json(plan_path, head)
    for leftover in out.glob(".*.part"):
        leftover.unlink(missing_ok=True)


def _run(config: GenerateConfig, tasks: list[ShardTask], out: Path, workers: int, scheduler: str) -> Iterator[int]:
    """Make the shards on a cluster; yields the number of samples of each as it is published."""
    if not tasks:
        return
    from distributed import as_completed
    from distributed.scheduler import KilledWorker

    with _cluster(workers, scheduler) as client:
        futures = [client.submit(make_shard, config, task, str(out.resolve()), pure=False) for task in tasks]
        names = {future.key: task.file for future, task in zip(futures, tasks, strict=True)}
        for future in as_completed(futures):
            try:
                yield future.result()
            except KilledWorker:
                raise InputError(f"{names[future.key]} ended its worker three times. Is memory short?") from None


@contextmanager
def _cluster(workers: int, scheduler: str) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    if scheduler:
        with Client(address=scheduler) as client:
            yield client
        return
    logging.getLogger("distributed").setLevel(logging.ERROR)
    console.print(
        f"starting {workers} worker{'s' if workers > 1 else ''} (the very first run also compiles the renderer)"
    )
    with (
        LocalCluster(
            n_workers=workers, threads_per_worker=1, dashboard_address=None, silence_logs=logging.ERROR
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def _record(path: Path, task: ShardTask) -> dict[str, Any]:
    data = path.read_bytes()
    return {
        "file": task.file,
        "samples": len(task.indices),
        "indices": list(task.indices),
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _write_json(path: Path, values: dict[str, Any]) -> None:
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n")
    part.replace(path)
