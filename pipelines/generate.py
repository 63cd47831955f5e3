"""`rainsynth generate`: photographs in, shards of rainy pairs out, on dask.

One task makes one shard, and returns a record of it, never pixels. What a sample is follows from (config, seed, index)
alone, so a run on any number of workers, stopped and resumed at any time, writes the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.cluster import TRIES, Crew
from pipelines.generate_config import GenerateConfig, PhotographsConfig
from pipelines.make_shard import background_of, depth_folder_of, make_shard, record_of
from pipelines.photographs import Broken, Photograph, depth_model, depth_summary, look_at, photograph_names, usable
from pipelines.plan import Plan, ShardTask, plan
from pipelines.progress import console, progress
from pipelines.run_records import RunFolder, head_of
from rainsynth.checks import InputError
from rainsynth.shards.schema import code_sha256

PHOTOGRAPHS_A_TASK = 64
PHOTOGRAPHS_HERE = 512  # so many are looked at in this process, before any worker is started


def generate(
    config: GenerateConfig,
    out: Path,
    *,
    workers: int,
    scheduler: str = "",
    resume: bool = False,
    skip_broken: bool = False,
) -> dict[str, Any]:
    """Write the data set of `config` into the folder `out` and return its manifest.

    `workers` processes of a local cluster, or the workers of the cluster at `scheduler`. `resume` goes on with a run
    of the same config that was stopped; without it a folder that is not empty is refused. A photograph that cannot be
    read is an InputError before anything is made, or with `skip_broken` left out and listed in the manifest. A shard
    that ends its worker three times is an InputError after all others are made.
    """
    config = absolute(config)
    folder = RunFolder(out, resume)
    with Crew(workers, scheduler) as crew, folder.locked():
        photographs, broken = photographs_of(config, crew, skip_broken)
        shards = plan(config, photographs)
        try_depth(config, photographs)
        folder.begin(head_of(config, shards, broken))
        _make(config, shards, folder, crew)
        manifest = folder.finish(task.file for task in shards)
    for item in broken:
        console.print(f"skipped {item.name}: {item.reason}")
    return manifest


def absolute(config: GenerateConfig) -> GenerateConfig:
    """The same config with folders and files by paths that hold in every worker."""
    data: PhotographsConfig = config.data
    model = data.depth_model and replace(data.depth_model, file=str(Path(data.depth_model.file).resolve()))
    depth = str(Path(data.depth).resolve()) if data.depth else ""
    folders = replace(data, photographs=str(Path(data.photographs).resolve()), depth=depth, depth_model=model)
    return replace(config, data=folders)


def photographs_of(config: GenerateConfig, crew: Crew, skip_broken: bool) -> tuple[list[Photograph], list[Broken]]:
    """Photographs of a data set in the order of their names, every one read whole, and those that are skipped.

    Many of them are read by the workers.
    """
    data = config.data
    folder, depth_folder = Path(data.photographs), depth_folder_of(config)
    names = photograph_names(folder, depth_folder)
    look = partial(
        look_at, folder=folder, depth_folder=depth_folder, convention=data.depth_convention, scale_m=data.depth_scale_m
    )
    if len(names) <= PHOTOGRAPHS_HERE:
        return usable(look(names), skip_broken=skip_broken)
    found: dict[str, Photograph | Broken] = {}
    tasks = (names[first : first + PHOTOGRAPHS_A_TASK] for first in range(0, len(names), PHOTOGRAPHS_A_TASK))
    with progress("look at photographs", len(names)) as advance:
        for part, items in crew.results(look, tasks):
            if items is None:
                raise InputError(f"photographs must not end their worker, got one among {part[0]} to {part[-1]}.")
            found.update({item.name: item for item in items})
            advance(len(items))
    return usable([found[name] for name in names], skip_broken=skip_broken)


def try_depth(config: GenerateConfig, photographs: list[Photograph]) -> None:
    """Load the depth model and the first map, so that a mistake shows before a worker starts; say whose is used."""
    depth_model(config.data.depth_model)
    with_map = [photo for photo in photographs if photo.depth]
    if with_map:
        background_of(config, with_map[0], None)
    if summary := depth_summary(photographs, config.data):
        console.print(summary)


def _make(config: GenerateConfig, shards: Plan, folder: RunFolder, crew: Crew) -> None:
    """Make every shard that is missing and take it into the records; name those that end their worker."""
    done = sum(len(task.indices) for task in shards if folder.recorded(task.file))
    make = partial(make_shard, config, out=str(folder.path), source_sha256=code_sha256())
    check = partial(record_of, out=str(folder.path))
    deadly: list[str] = []
    with progress("generate", config.samples, done) as advance:
        for function, tasks in ((check, _unrecorded(shards, folder)), (make, _missing(shards, folder))):
            for task, record in crew.results(function, tasks):
                if record is None:
                    deadly.append(task.file)
                    continue
                folder.record(record)
                advance(len(task.indices))
    if deadly:
        more = f" and {len(deadly) - 1} more shards" if len(deadly) > 1 else ""
        raise InputError(
            f"{deadly[0]}{more} must not end its worker, got that {TRIES} times; everything else is made."
            " Is memory short? Free some, or lower samples_per_shard in a new folder; --resume tries again."
        )


def _unrecorded(shards: Plan, folder: RunFolder) -> Iterator[ShardTask]:
    """Shards that were published just before the run stopped, too late for a record."""
    return (task for task in shards if folder.published(task.file) and not folder.recorded(task.file))


def _missing(shards: Plan, folder: RunFolder) -> Iterator[ShardTask]:
    return (task for task in shards if not folder.published(task.file))
