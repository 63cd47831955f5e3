"""What the training loop costs beyond the network's own step, and how long it waits for data.

    python benchmarks/train_speed.py [THREADS]

The loop (data, loss, clipping, log) against the bare step of the same network on one batch that is there already:
forward, loss, backward, AdamW, running mean (mspfn.bare_step). By CPU time of the whole process, so that a batch made
in another thread counts; a step of one follows a step of the other, medians over five runs. MSPFN with M = 4 and 32
channels, 8 windows of 64 px. GOMP_SPINCOUNT and OMP_WAIT_POLICY may be set, to see what they do to both.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from mspfn.openmp import WAIT_SETTINGS, spin_briefly

spin_briefly()  # as the command does, before PyTorch is there

import torch

from mspfn.bare_step import BareSteps
from mspfn.pixels import unit_pictures
from mspfn.reports import Progress
from mspfn.train_config import DataConfig, NetworkChoice, TrainConfig
from mspfn.trainer import train
from mspfn.training_loss import Batch
from mspfn.training_pairs import TrainingPairs
from pipelines.bundled import TRAINING_PHOTOS, unpack
from rainsynth import add_rain, open_shards
from rainsynth.pictures import list_photos, read_photo
from rainsynth.shards.writer import Provenance, write_shard

RUNS, STEPS, WARM_STEPS = 5, 29, 3  # fewer steps, and a disturbed one decides
TARGET_PERCENT = 3


class Run(NamedTuple):
    """CPU seconds of all counted steps of the loop and of the network alone, the latter's by the clock, too.

    data_share   of the loop's time, in which it waited for data
    """

    loop_cpu_s: float
    bare_cpu_s: float
    bare_clock_s: float
    data_share: float


def store(folder: Path) -> None:
    """Photographs, and shards of them in rain."""
    unpack(TRAINING_PHOTOS, folder / "photos")
    for number, path in enumerate(list_photos(folder / "photos")):
        sample = add_rain(read_photo(path), 25.0, seed=number)
        origin = [Provenance(path.name, f"{number:064d}")]
        write_shard(folder / "shards" / f"shard-{number:05d}.h5", [sample], origin, {})


def run_config(data: DataConfig) -> TrainConfig:
    """A short run, logged once and saved at its end."""
    return TrainConfig(data=data, steps=STEPS, network=NetworkChoice(name="mspfn-tiny"), checkpoint_every_steps=10**6)


def run(config: TrainConfig, bare: BareSteps, batch: Batch, folder: Path) -> Run:
    """A run of the loop with a bare step after each of its own; the first few do not count, nor does the last."""
    spent_s: list[tuple[float, float, float]] = []
    steps: list[Progress] = []
    loop_began_s = time.process_time()

    def hear(progress: Progress) -> None:
        nonlocal loop_began_s
        loop_s, clock_began_s = time.process_time() - loop_began_s, time.perf_counter()
        bare_s = bare.step_s(batch)
        spent_s.append((loop_s, bare_s, time.perf_counter() - clock_began_s))
        steps.append(progress)
        loop_began_s = time.process_time()

    with tempfile.TemporaryDirectory(dir=folder) as out:
        train(config, out, report=hear)
    counted = steps[WARM_STEPS:-1]  # the last is followed by files
    waited = sum(step.data_wait_s for step in counted) / sum(step.step_s for step in counted)
    return Run(*(sum(part) for part in zip(*spent_s[WARM_STEPS:-1], strict=True)), data_share=waited)


def one_batch(config: TrainConfig) -> Batch:
    """The first batch of a run on shards."""
    data = config.data
    pairs = TrainingPairs(
        open_shards(str(data.shards)),
        patch_px=data.patch_px,
        batch_size=data.batch_size,
        steps=1,
        seed=0,
        curriculum=config.curriculum,
    )
    return Batch(*(unit_pictures(pictures) for pictures in pairs.pictures(0)))


def main() -> None:
    """Print a row for each source of data."""
    torch.set_num_threads(int(sys.argv[1]) if len(sys.argv) > 1 else torch.get_num_threads())
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        store(folder)
        sizes = {"patch_px": 64, "batch_size": 8}
        configs = {
            "shards": run_config(DataConfig(shards=str(folder / "shards"), **sizes)),
            "rendered": run_config(DataConfig(photographs=str(folder / "photos"), **sizes)),
        }
        batch = one_batch(configs["shards"])
        bare = BareSteps(configs["shards"])
        run(configs["rendered"], bare, batch, folder)  # compiles the renderer
        turns = [{name: run(config, bare, batch, folder) for name, config in configs.items()} for _ in range(RUNS)]
    settings = [f"{name}={os.environ[name]}" for name in WAIT_SETTINGS if name in os.environ]
    print(f"{torch.get_num_threads()} threads, {' '.join(settings)}")
    for name in configs:
        found = [turn[name] for turn in turns]
        over = [100 * (one.loop_cpu_s / one.bare_cpu_s - 1) for one in found]
        counted = STEPS - WARM_STEPS - 1
        bare_ms, clock_ms = (1000 * median(spent) / counted for spent in zip(*(one[1:3] for one in found), strict=True))
        waited = 100 * median(one.data_share for one in found)
        verdict = "within" if median(over) <= TARGET_PERCENT else "above"
        print(
            f"{name:10} overhead {median(over):.1f} % ({min(over):.1f} to {max(over):.1f}) of {bare_ms:.0f} ms a step "
            f"({clock_ms:.0f} by the clock), {verdict} the target of {TARGET_PERCENT} %; "
            f"waited {waited:.1f} % of the time for data"
        )


if __name__ == "__main__":
    main()
