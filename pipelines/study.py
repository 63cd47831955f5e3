"""`rainsynth study curriculum`: curricula compared at equal steps over several seeds, and a report that decides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

from mspfn.run_folder import first_difference, flat
from pipelines.run_records import LOCK_NAME, RunFolder, write_json
from pipelines.study_config import CurriculumStudy
from pipelines.study_evaluation import check_apart, evaluation_shards
from pipelines.study_findings import Findings, find
from pipelines.study_report import write_report
from pipelines.study_run import Run
from pipelines.study_runs import make_runs
from rainsynth.checks import InputError

CONFIG_NAME, RUNS_NAME = "study.json", "runs"


def study_curricula(config: CurriculumStudy, out: Path, *, workers: int, resume: bool = False) -> Findings:
    """Make a study and its report into the folder `out`.

    `resume` goes on with a study of the same config that was stopped; without it a folder that is not empty is refused.
    """
    folder = RunFolder(out, resume)
    check_apart(config.train.data, config.evaluation)
    with folder.locked():
        begin(config, folder.path)
        runs = runs_of(config, folder.path, evaluation_shards(config.evaluation, folder.path))
        make_runs(runs, workers)
        findings = find(runs, config.baseline)
        write_report(config, findings, runs, folder.path)
    return findings


def runs_of(config: CurriculumStudy, out: Path, shards: Path) -> list[Run]:
    """Every curriculum with every seed; a seed's runs come together, so that a stopped study is balanced."""
    return [
        Run(
            condition=name,
            seed=seed,
            folder=out / RUNS_NAME / name / f"seed-{seed}",
            config=config.training(name, seed, shards),
            shards=shards,
            samples_per_class=config.evaluation.samples_per_class,
            crop_px=config.evaluation.crop_px,
        )
        for seed in range(config.seeds)
        for name in config.curricula
    ]


class Recorded(Protocol):
    """The config of a study of any kind."""

    def recorded(self) -> dict[str, Any]: ...


def begin(config: Recorded, out: Path) -> None:
    """Write the config into a new folder, or see that the study that is there has the same."""
    path, recorded = out / CONFIG_NAME, config.recorded()
    if not path.is_file():
        if any(found.name != LOCK_NAME for found in out.iterdir()):
            raise InputError(f"--resume must name a folder with a study, got {str(out)!r} without {CONFIG_NAME}.")
        return write_json(path, recorded)
    stored = json.loads(path.read_text())
    key = first_difference(stored, recorded)
    if key is not None:
        before, now = flat(stored).get(key, "absent"), flat(recorded).get(key, "nothing")
        raise InputError(f"{key} must be {before!r} to resume {out}, got {now!r}. Use a new folder.")
