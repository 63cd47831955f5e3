"""What a study of domains compares, as frozen dataclasses; a YAML file has the same shape."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from mspfn.data_config import FORBID_UNKNOWN_KEYS, LARGEST_BATCH
from mspfn.guard import GuardConfig
from mspfn.optimizer import MAX_STEPS, OptimizerConfig
from mspfn.train_config import TrainConfig
from pipelines.study_config import CONDITION_NAME, FEWEST_SEEDS, OF_THE_STUDY, check_left_out, recorded_without
from rainsynth.checks import InputError, check_choice, check_count, check_in_range
from rainsynth.preset_choice import PresetChoice

SOURCE, FITTED, ADAPTED, FITTED_ADAPTED, SUPERVISED = "source", "fitted", "adapted", "fitted+adapted", "supervised"
METHODS = (SOURCE, FITTED, ADAPTED, FITTED_ADAPTED, SUPERVISED)
FROM_FITTED, FROM_RAINY = (FITTED, FITTED_ADAPTED), (ADAPTED, FITTED_ADAPTED)
KINDS = ("presets", "pairs", "photographs")
FOLDERS = ("pairs", "photographs", "train_pairs", "fitted")  # recorded by their last name alone

# What the study decides for its runs, by the place where a training config would say it.
DECIDED = {place: instead for place, instead in OF_THE_STUDY.items() if place != "curriculum"} | {
    "data.presets": "domains",
    "unpaired": "adaptation",
    "guard": "adaptation.guard",
    "validate_every_steps": "adaptation.guard_every_steps",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One sort of rain: exactly one of `presets`, `pairs` and `photographs`.

    presets         a mixture of rain that falls on the study's photographs
    pairs           folder of pairs, or shards, to measure on; nothing is learned from them, rainy sides included
    photographs     folder of rainy photographs without truth, to measure on and to adapt to
    train_pairs     beside `pairs`: a folder with input/ and target/ of other pairs, to learn from
    fitted          config of rain that was fitted to rainy pictures of this domain, for the methods "fitted"
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    presets: tuple[PresetChoice, ...] | None = None
    pairs: str | None = None
    photographs: str | None = None
    train_pairs: str | None = None
    fitted: str | None = None

    def __post_init__(self) -> None:
        given = [name for name in KINDS if getattr(self, name) is not None]
        if len(given) != 1:
            raise InputError(
                f"a domain must have exactly one of {', '.join(KINDS)}, got {' and '.join(given) or 'none'}."
            )
        if self.presets is not None and not self.presets:
            raise InputError("presets of a domain must name at least one preset, got none.")
        if self.train_pairs is not None and self.pairs is None:
            raise InputError("train_pairs must go with pairs, which are measured on; got train_pairs alone.")
        if self.train_pairs is not None and self.train_pairs == self.pairs:
            raise InputError(f"train_pairs must be other pairs than pairs, got {self.pairs!r} for both.")

    @property
    def rendered(self) -> bool:
        """Whether its rain is made by the study."""
        return self.presets is not None

    @property
    def rain(self) -> tuple[PresetChoice, ...]:
        """The mixture of a rendered domain; of others nothing."""
        return self.presets or ()

    @property
    def truth(self) -> bool:
        """Whether its pictures without rain are known."""
        return self.photographs is None

    @property
    def supervisable(self) -> bool:
        """Whether a network may be trained on its pairs."""
        return self.rendered or self.train_pairs is not None

    @property
    def adaptable(self) -> bool:
        """Whether its rainy pictures may be learned from, without truth."""
        return self.supervisable or self.photographs is not None

    def takes(self, method: str) -> bool:
        """Whether a network may go on towards it by this method."""
        if method == SUPERVISED:
            return self.supervisable
        return self.adaptable or (method == FITTED and self.fitted is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainEvaluation:
    """What networks are measured on, in every domain.

    photographs     folder of photographs that are not trained on; the rain of rendered domains falls on them
    samples         pictures of each domain; of folders at most so many, evenly spread
    crop_px         side of their windows; of folders, of the middle of each picture
    seed            of the rain
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    photographs: str
    samples: int = 48
    crop_px: int = 256
    seed: int = 1

    def __post_init__(self) -> None:
        check_count(self.samples, 2, 10_000, "evaluation.samples")
        check_count(self.crop_px, 64, 4096, "evaluation.crop_px", "Statistics of rain need as much.")
        check_count(self.seed, 0, 2**63 - 1, "evaluation.seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class AdaptationConfig:
    """How a source network goes on, by every method alike; what is not said here is as in its own training.

    steps               optimiser steps
    optimizer           as in a training config
    ema_decay           of the running mean of the weights, which is the teacher of the adapted ones
    rainy_pictures      most pictures of a target that are learned from without truth, or that rain is fitted to;
                        of a folder of rainy photographs it is all of them
    unpaired_batch_size windows of them in a step; each takes about twice the time of a window of the pairs
    unpaired_weight     of the difference between student and teacher, beside the loss of the pairs
    doubt_codes         see mspfn.mean_teacher.UnpairedConfig
    guard               what all but supervised ones may lose on their source's rain and on pictures without rain
    guard_every_steps   how often that is measured
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    steps: int = 1000
    optimizer: OptimizerConfig = field(default_factory=lambda: OptimizerConfig(learning_rate=2e-4, warmup_steps=50))
    ema_decay: float = 0.998
    rainy_pictures: int = 64
    unpaired_batch_size: int = 4
    unpaired_weight: float = 0.5
    doubt_codes: float = 8.0
    guard: GuardConfig = field(default_factory=GuardConfig)
    guard_every_steps: int = 100

    def __post_init__(self) -> None:
        check_count(self.steps, 1, MAX_STEPS, "adaptation.steps")
        check_in_range(self.ema_decay, 1e-9, 1 - 1e-9, "adaptation.ema_decay", "The running mean is the teacher.")
        check_count(self.rainy_pictures, 1, 10_000, "adaptation.rainy_pictures")
        check_count(self.unpaired_batch_size, 1, LARGEST_BATCH, "adaptation.unpaired_batch_size")
        check_in_range(self.unpaired_weight, 1e-9, 1e6, "adaptation.unpaired_weight")
        check_in_range(self.doubt_codes, 1e-3, 255, "adaptation.doubt_codes")
        check_count(self.guard_every_steps, 1, MAX_STEPS, "adaptation.guard_every_steps")


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainStudy:
    """Sources x targets x methods x seeds: networks of each source, measured in each target, as they are and adapted.

    train           the training of the source networks, all but its seed and rain
    adaptation      how they go on
    domains         sorts of rain, by name
    sources         names of domains that networks are trained on first; these are rendered
    targets         names of domains that they are measured in and adapted to
    methods         "source" among them, which the others are compared with
    evaluation      what they are measured on
    seeds           runs of each; their seeds are 0, 1, ...
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    train: TrainConfig
    domains: dict[str, Domain]
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    evaluation: DomainEvaluation
    adaptation: AdaptationConfig = field(default_factory=AdaptationConfig)
    methods: tuple[str, ...] = (SOURCE, ADAPTED, SUPERVISED)
    seeds: int = 3

    def __post_init__(self) -> None:
        check_left_out(self.train, DECIDED)
        if self.train.data.photographs is None:
            raise InputError("train.data must have photographs in a study of domains. Their rain is that of sources.")
        for name in self.domains:
            if not CONDITION_NAME.fullmatch(name):
                raise InputError(f"domains must be named by small letters, digits, - and _, got {name!r}.")
        check_names(self.sources, tuple(self.domains), "sources")
        check_names(self.targets, tuple(self.domains), "targets")
        check_names(self.methods, METHODS, "methods")
        if SOURCE not in self.methods:
            raise InputError(f"methods must have {SOURCE}, which others are compared with, got {list(self.methods)}.")
        self._check_trainable()
        check_count(self.seeds, FEWEST_SEEDS, 1000, "seeds", "An interval is made of several runs.")

    def _check_trainable(self) -> None:
        for name in self.sources:
            if not self.domains[name].rendered:
                raise InputError(f"sources must be domains with presets, got {name!r}. Pairs are measured on.")
        if not self.pairs:
            raise InputError(f"targets must have a domain besides the source, got {list(self.targets)} alone.")
        for method in self.methods:
            if method != SOURCE and not any(self.domains[target].takes(method) for _, target in self.pairs):
                needed = "presets or train_pairs" if method == SUPERVISED else "presets, photographs or train_pairs"
                raise InputError(f"{method} must have a target with {needed}, got none.")
        for name, domain in self.domains.items():
            if domain.train_pairs is not None and self.train.data.target != "clean":
                raise InputError(f"domains.{name}.train_pairs must go with train.data.target clean, got veiled.")

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every source with every other domain that is a target."""
        return [(source, target) for source in self.sources for target in self.targets if source != target]

    @property
    def used(self) -> tuple[str, ...]:
        """Domains that are a source or a target, each once."""
        return tuple(dict.fromkeys((*self.sources, *self.targets)))

    def methods_for(self, target: str) -> list[str]:
        """Methods that take training in this target."""
        domain = self.domains[target]
        return [method for method in METHODS[1:] if method in self.methods and domain.takes(method)]

    def targets_for(self, *methods: str) -> list[str]:
        """Targets in which one of these methods takes training, each once."""
        targets = dict.fromkeys(target for _, target in self.pairs)
        return [target for target in targets if set(self.methods_for(target)) & set(methods)]

    def recorded(self) -> dict[str, Any]:
        """The config as files keep it: of folders there is the last name alone, see TrainConfig.recorded."""
        recorded: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        recorded["train"] = recorded_without(self.train, DECIDED)
        recorded["evaluation"]["photographs"] = Path(self.evaluation.photographs).name
        for domain in recorded["domains"].values():
            domain |= {name: Path(domain[name]).name for name in FOLDERS if domain[name] is not None}
        return recorded


def check_names(names: Sequence[str], choices: tuple[str, ...], what: str) -> None:
    """Raise InputError unless these are one or more of the choices, each once."""
    if not names or len(set(names)) < len(names):
        raise InputError(f"{what} must name one or more of {', '.join(choices)}, each once, got {list(names)}.")
    for name in names:
        check_choice(name, choices, what)
