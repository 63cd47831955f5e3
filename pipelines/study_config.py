"""What a study of curricula compares, as frozen dataclasses; a YAML file has the same shape."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

from mspfn.curriculum import CurriculumConfig
from mspfn.data_config import DataConfig
from mspfn.optimizer import MAX_STEPS
from mspfn.train_config import TrainConfig
from rainsynth.checks import InputError, check_choice, check_count, check_in_range

CONDITION_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")  # it names a folder and a column
FEWEST_SEEDS = 2  # of which an interval can be made
LEARNING_CURVE_SAMPLES_PER_CLASS, LEARNING_CURVE_CROP_PX = 4, 128  # a few percent of the time of a run

# What a study decides for every run, by the place where a training config would say it.
OF_THE_STUDY = {
    "seed": "seeds",
    "curriculum": "curricula",
    "validate_every_steps": "learning_curve_every_steps",
    "stop_after_validations": "steps, which every run takes",
    "data.validation_shards": "evaluation",
    "data.validation_pairs": "evaluation",
    "data.validation_samples_per_class": "evaluation",
    "data.validation_crop_px": "evaluation",
    "data.workers": "--workers",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationConfig:
    """What every network of a study is measured on: exactly one of `photographs` and `shards`.

    photographs         folder of photographs that are not trained on; the study rains on them once itself
    shards              folder of shards of such photographs
    samples_per_class   pictures of each class of rain: light, moderate, heavy and violent
    crop_px             side of the pictures; of shards, of the middle of each sample
    seed                of the rain on `photographs`
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    photographs: str | None = None
    shards: str | None = None
    samples_per_class: int = 16
    crop_px: int = 256
    seed: int = 1

    def __post_init__(self) -> None:
        if (self.photographs is None) == (self.shards is None):
            got = "neither" if self.photographs is None else "both"
            raise InputError(f"evaluation must name exactly one of photographs and shards, got {got}.")
        check_count(self.samples_per_class, 1, 10_000, "evaluation.samples_per_class")
        check_count(self.crop_px, 16, 4096, "evaluation.crop_px")
        check_count(self.seed, 0, 2**63 - 1, "evaluation.seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class CurriculumStudy:
    """Curricula compared at equal steps, each with the same seeds.

    Runs of one seed share their first weights, photographs and plan of rendered samples, so that curricula are
    compared within a seed.

    train                       the training of every run, all but its seed and curriculum
    curricula                   what is compared, by name
    baseline                    the curriculum that the others are compared with
    seeds                       runs of each curriculum; their seeds are 0, 1, ...
    evaluation                  what the networks are measured on
    learning_curve_every_steps  a small part of `evaluation` is measured so often while training
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    train: TrainConfig
    curricula: dict[str, CurriculumConfig]
    baseline: str
    evaluation: EvaluationConfig
    seeds: int = 5
    learning_curve_every_steps: int = 250

    def __post_init__(self) -> None:
        check_left_out(self.train)
        check_in_range(len(self.curricula), 2, 100, "number of curricula", "A study compares them.")
        for name in self.curricula:
            if not CONDITION_NAME.fullmatch(name):
                raise InputError(f"curricula must be named by small letters, digits, - and _, got {name!r}.")
        check_choice(self.baseline, tuple(self.curricula), "baseline")
        check_count(self.seeds, FEWEST_SEEDS, 1000, "seeds", "An interval is made of several runs.")
        check_count(self.learning_curve_every_steps, 1, MAX_STEPS, "learning_curve_every_steps")
        for name in self.curricula:
            self.training(name, 0, Path("evaluation"))  # checks what a training config of its own would

    def training(self, curriculum: str, seed: int, evaluation_shards: Path) -> TrainConfig:
        """The config of one run."""
        data = replace(
            self.train.data,
            validation_shards=str(evaluation_shards),
            validation_samples_per_class=min(LEARNING_CURVE_SAMPLES_PER_CLASS, self.evaluation.samples_per_class),
            validation_crop_px=min(LEARNING_CURVE_CROP_PX, self.evaluation.crop_px),
        )
        return replace(
            self.train,
            data=data,
            seed=seed,
            curriculum=self.curricula[curriculum],
            validate_every_steps=self.learning_curve_every_steps,
        )

    def recorded(self) -> dict[str, Any]:
        """The config as files keep it: of folders there is the last name alone, see TrainConfig.recorded."""
        recorded: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        recorded["train"] = recorded_without(self.train, OF_THE_STUDY)
        for name in ("photographs", "shards"):
            if recorded["evaluation"][name] is not None:
                recorded["evaluation"][name] = Path(recorded["evaluation"][name]).name
        return recorded


def recorded_without(train: TrainConfig, places: Collection[str]) -> dict[str, Any]:
    """A training config as files keep it, without what the study decides."""
    recorded = train.recorded()
    for place in places:
        *groups, name = place.split(".")
        group = recorded[groups[0]] if groups else recorded
        group.pop(name, None)  # data.workers is not recorded
    return recorded


def check_left_out(train: TrainConfig, instead_of: Mapping[str, str] = OF_THE_STUDY) -> None:
    """Raise InputError where a training config says what the study decides, and name what says it instead."""
    usual = TrainConfig(data=DataConfig(photographs="any"), steps=1)
    for place, instead in instead_of.items():
        value = attrgetter(place)
        if value(train) != value(usual):
            raise InputError(f"train.{place} must be left out of a study, got {value(train)!r}. See {instead}.")
