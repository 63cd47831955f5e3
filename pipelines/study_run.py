"""One run of a study, in a process of its own: train, measure, and note what was shown; and when it is finished."""

from __future__ import annotations

import json
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from mspfn.checkpoint import load_weights, write_whole
from mspfn.child_process import become_worker
from mspfn.curriculum import CurriculumConfig
from mspfn.dataset import TrainingPairs
from mspfn.inference import derain
from mspfn.process_group import ProcessGroup
from mspfn.reports import Progress
from mspfn.train_config import TrainConfig
from mspfn.trainer import TrainResult, train, training_pairs
from mspfn.validation import HIGHEST_DB, ValidationSet
from pipelines.cost import COST_NAME, Cost, cost_in, cost_of, machine_name
from rainsynth.checks import InputError
from rainsynth.metrics import psnr_y, ssim_y
from rainsynth.shards import open_shards

RESULT_NAME = "result.json"
SECONDS_BETWEEN_REPORTS = 0.5
SHOWN_PARTS = 30  # parts of a run of which the rates that were shown are told
SHOWN_PERCENTILES = (10, 50, 90)

Tell = Callable[[int, str], object]  # hears the step, and a note


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(ABC):
    """One run of a study: a training with a seed, and what is measured when it is done.

    `folder` takes the training run and beside it `result.json`, which is there once all is done.
    """

    seed: int
    folder: Path
    config: TrainConfig

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages call it."""

    @property
    def ready(self) -> bool:
        """Whether all that it starts from is there."""
        return True

    @property
    def finished(self) -> bool:
        """Whether its result is there."""
        return (self.folder / RESULT_NAME).is_file()

    def result(self) -> dict[str, Any]:
        """What a finished run has found."""
        return dict(json.loads((self.folder / RESULT_NAME).read_text()))

    def cost(self) -> Cost:
        """What its training has cost so far, what was lost by kills included but for a few seconds."""
        return cost_of(self.folder) or Cost(machine=machine_name())

    @abstractmethod
    def make(self, tell: Tell) -> None:
        """Train, or go on, measure, and write the result; `tell` hears the step and a note now and then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Job):
    """One cell of a study: a condition with a seed, and the pictures that it is measured on at the end.

    Its result has `pictures`, `shown`, `steps`, `skipped_steps` and `samples`.
    """

    condition: str
    shards: Path
    samples_per_class: int
    crop_px: int

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"{self.condition}/seed-{self.seed}"

    def learning_curve(self) -> list[dict[str, Any]]:
        """Steps, and the PSNR of each class that was measured then: `step` and `psnr_y_db`."""
        lines = [json.loads(line) for line in (self.folder / "log.jsonl").read_text().splitlines()]
        return [line for line in lines if "psnr_y_db" in line]

    def make(self, tell: Tell) -> None:
        """Train, or go on, measure, and note what was shown."""
        make_run(self, tell)


def make_run(run: Run, tell: Tell) -> None:
    """Train a run, or go on with it, and write its result; `tell` hears the step and a note now and then."""
    result = trained(run, tell)
    pairs = training_pairs(run.config, ProcessGroup(torch.device("cpu")))
    found = {
        "condition": run.condition,
        "seed": run.seed,
        "steps": result.steps,
        "skipped_steps": result.skipped_steps,
        "samples": sum(pairs.size(step).batch_size for step in range(result.steps)),
        "pictures": measure(load_weights(result.weights), evaluation_pictures(run)),
        "shown": shown_rates(pairs),
    }
    write_result(run, found)


def trained(run: Job, tell: Tell) -> TrainResult:
    """Train a run to its end, or go on with it, and count what that costs."""
    clock = Clock(run)

    def report(progress: Progress) -> None:
        if clock.is_due(progress):
            tell(progress.step, f"{run.name} {progress.stage}")

    result = train(run.config, run.folder, resume=True, report=report)
    clock.note()
    tell(result.steps, f"{run.name} is measured")
    return result


def write_result(run: Job, found: dict[str, Any]) -> None:
    """Write what a run has found, which finishes it."""
    write_whole(run.folder / RESULT_NAME, (json.dumps(found, indent=1) + "\n").encode())


class Clock:
    """Seconds that a run takes, kept over kills; and when it is time to report."""

    def __init__(self, run: Job) -> None:
        self.path = run.folder / COST_NAME
        before = cost_in(self.path) or Cost(machine=machine_name())
        self.seconds, self.processor_s = before.seconds, before.processor_s
        self._last_processor_s = time.process_time()
        self._last_s = self._reported_s = time.monotonic()

    def is_due(self, progress: Progress) -> bool:
        """Whether to report this step; counts the time up to it."""
        if progress.record:
            self.note()
        now_s = time.monotonic()
        if now_s - self._reported_s < SECONDS_BETWEEN_REPORTS and progress.step < progress.steps:
            return False
        self._reported_s = now_s
        return True

    def note(self) -> None:
        """Write down the time so far."""
        now_s, now_processor_s = time.monotonic(), time.process_time()
        self.seconds, self._last_s = self.seconds + now_s - self._last_s, now_s
        self.processor_s += now_processor_s - self._last_processor_s
        self._last_processor_s = now_processor_s
        cost = Cost(machine=machine_name(), seconds=round(self.seconds, 1), processor_s=round(self.processor_s, 1))
        write_whole(self.path, json.dumps(asdict(cost)).encode())


def evaluation_pictures(run: Run) -> ValidationSet:
    """What a run is measured on: rainy pictures and their targets by class of rain."""
    return ValidationSet(
        open_shards(run.shards),
        samples_per_class=run.samples_per_class,
        crop_px=run.crop_px,
        target=run.config.data.target,
    )


def measure(network: nn.Module, pictures: ValidationSet) -> list[dict[str, Any]]:
    """PSNR [dB] and SSIM on Y of every rainy picture and of what a network makes of it, against the target.

    Equal pictures count as 100 dB.
    """
    rows: list[dict[str, Any]] = []
    for rain_class, pairs in pictures.pairs.items():
        for number, (rainy, target) in enumerate(pairs):
            row: dict[str, Any] = {"class": rain_class, "number": number}
            for state, picture in (("input", rainy), ("derained", derain(rainy, network))):
                row[f"psnr_y_db_{state}"] = min(psnr_y(picture, target), HIGHEST_DB)
                row[f"ssim_y_{state}"] = ssim_y(picture, target)
            rows.append(row)
    return rows


def shown_rates(pairs: TrainingPairs) -> list[dict[str, Any]]:
    """Rain rates of the samples that a run is shown, in equal parts of the run: last `step`, and `percentiles_mm_h`.

    A part in which no sample has a rate is left out. Nothing of a curriculum that follows the run: its draws are known
    only while it goes on.
    """
    if pairs.curriculum.name == "self-paced" or follows_validation(pairs.curriculum):
        return []
    shown: list[dict[str, Any]] = []
    for part in np.array_split(np.arange(pairs.steps), min(SHOWN_PARTS, pairs.steps)):
        samples = np.concatenate([pairs.windows(int(step)).sample for step in part])
        rates_mm_h = pairs.source.table["rain_rate_mm_h"][samples]
        known_mm_h = rates_mm_h[~np.isnan(rates_mm_h)]
        if len(known_mm_h):
            percentiles_mm_h = np.percentile(known_mm_h, SHOWN_PERCENTILES).tolist()
            shown.append({"step": int(part[-1]) + 1, "percentiles_mm_h": percentiles_mm_h})
    return shown


def follows_validation(curriculum: CurriculumConfig) -> bool:
    """Whether what is shown depends on validation, that is on the study's pictures."""
    return curriculum.gate is not None


def run_in_process(run: Job, parent: Connection) -> None:
    """Make a run on one thread, in a process that was started for it; what its parent hears is a pair of words.

    ("step", (step, note)) | ("mistake", message) | ("done", ""). Ctrl-C is the parent's to hear; where the parent ends,
    this process does too, however it ended.
    """
    become_worker()
    torch.set_num_threads(1)
    try:
        run.make(lambda step, note: parent.send(("step", (step, note))))
    except InputError as error:
        parent.send(("mistake", str(error)))
    else:
        parent.send(("done", ""))
