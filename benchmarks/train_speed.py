"""What the training loop costs beyond the network's own step, and how long it waits for data.

    python benchmarks/train_speed.py [THREADS]

The loop (data, loss, clipping, log) against the bare step of the same network on one batch that is there already:
forward, loss, backward, AdamW, running mean. By CPU time of the whole process, so that a batch made in another thread
counts; a step of one follows a step of the other, medians over five runs. MSPFN with M = 4 and 32 channels, 8 windows
of 64 px.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

os.environ.setdefault("GOMP_SPINCOUNT", "1000")  # as the command does: mspfn.openmp

import torch

from mspfn.networks import predict
from mspfn.objective import training_precision
from mspfn.pixels import unit_pictures
from mspfn.reports import Progress
from mspfn.train_config import DataConfig, NetworkChoice, TrainConfig
from mspfn.trainer import train
from mspfn.training_loss import Batch, as_loss_config, in_float32, loss_parts, total
from mspfn.training_pairs import TrainingPairs
from mspfn.training_state import TrainingState
from pipelines.bundled import TRAINING_PHOTOS, unpack
from rainsynth import add_rain, open_shards
from rainsynth.pictures import list_photos, read_photo
from rainsynth.shards.writer import Provenance, write_shard

RUNS, STEPS, WARM_STEPS = 5, 29, 3  # fewer steps, and a disturbed one decides
TARGET_PERCENT = 3
CPU = torch.device("cpu")


class Run(NamedTuple):
    """CPU seconds of all counted steps of the loop and of the network alone, and the loop's wait as a share of time."""

    loop_cpu_s: float
    bare_cpu_s: float
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


class BareSteps:
    """Steps of the network alone, on one batch."""

    def __init__(self, config: TrainConfig, batch: Batch) -> None:
        self.state, self.loss, self.batch = TrainingState(config, CPU), as_loss_config(config.loss), batch
        self.precision = training_precision(config.precision, CPU)

    def step(self) -> None:
        """One step."""
        state = self.state
        state.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", self.precision, enabled=self.precision != torch.float32):
            predictions = predict(state.network, self.batch.rainy)
        total(loss_parts(self.loss, in_float32(predictions), self.batch)).backward()
        state.optimizer.step()
        state.update_average()


def run(config: TrainConfig, bare: BareSteps, folder: Path) -> Run:
    """A run of the loop with a bare step after each of its own; the first few do not count, nor does the last."""
    cpu_s: list[tuple[float, float]] = []
    steps: list[Progress] = []
    loop_began_s = time.process_time()

    def hear(progress: Progress) -> None:
        nonlocal loop_began_s
        loop_ended_s = time.process_time()
        bare.step()
        bare_ended_s = time.process_time()
        cpu_s.append((loop_ended_s - loop_began_s, bare_ended_s - loop_ended_s))
        steps.append(progress)
        loop_began_s = time.process_time()

    with tempfile.TemporaryDirectory(dir=folder) as out:
        train(config, out, report=hear)
    counted = steps[WARM_STEPS:-1]  # the last is followed by files
    waited = sum(step.data_wait_s for step in counted) / sum(step.step_s for step in counted)
    loop_cpu_s, bare_cpu_s = (sum(part) for part in zip(*cpu_s[WARM_STEPS:-1], strict=True))
    return Run(loop_cpu_s, bare_cpu_s, waited)


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
        bare = BareSteps(configs["shards"], batch)
        run(configs["rendered"], bare, folder)  # compiles the renderer
        turns = [{name: run(config, bare, folder) for name, config in configs.items()} for _ in range(RUNS)]
    print(f"{torch.get_num_threads()} threads")
    for name in configs:
        found = [turn[name] for turn in turns]
        over = [100 * (one.loop_cpu_s / one.bare_cpu_s - 1) for one in found]
        bare_ms = 1000 * median(one.bare_cpu_s for one in found) / (STEPS - WARM_STEPS - 1)
        waited = 100 * median(one.data_share for one in found)
        verdict = "within" if median(over) <= TARGET_PERCENT else "above"
        print(
            f"{name:10} overhead {median(over):.1f} % ({min(over):.1f} to {max(over):.1f}) of {bare_ms:.0f} ms a step, "
            f"{verdict} the target of {TARGET_PERCENT} %; waited {waited:.1f} % of the time for data"
        )


if __name__ == "__main__":
    main()
