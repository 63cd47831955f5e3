"""Everything that decides what a training run makes, as one frozen dataclass; a YAML file has the same shape."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from mspfn.curriculum import CurriculumConfig
from mspfn.data_config import FOLDERS, FORBID_UNKNOWN_KEYS, DataConfig
from mspfn.losses import LOSSES
from mspfn.networks import build_network
from rainsynth.checks import InputError, check_choice, check_count, check_in_range

PRECISIONS = ("auto", "float32", "bfloat16")
DEVICES = ("auto", "cpu", "cuda")
MAX_STEPS = 100_000_000

VALIDATION_FOLDERS = ("validation_shards", "validation_pairs")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkChoice:
    """Which network is trained.

    name            one of mspfn.networks.NETWORKS, as "mspfn-tiny"
    overrides       fields of that network's config that differ, as {"channels": 16}
    start_weights   file or bundled name of weights to go on from, of the same network; None: random ones
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    name: str = "mspfn-tiny"
    overrides: dict[str, Any] = field(default_factory=dict)
    start_weights: str | None = None

    def __post_init__(self) -> None:
        with torch.device("meta"):  # shapes without memory: a config that loads can be built
            build_network(self.name, **self.overrides)


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """AdamW, with a learning rate that rises linearly over `warmup_steps` and falls along a cosine to its end.

    weight_decay    acts on kernels, not on biases and PReLU slopes
    clip_norm       longest gradient; longer ones are shortened to it
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    learning_rate: float = 5e-4
    learning_rate_end: float = 1e-6
    warmup_steps: int = 100
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-4
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        check_in_range(self.learning_rate, 1e-8, 1, "optimizer.learning_rate")
        check_in_range(self.learning_rate_end, 0, self.learning_rate, "optimizer.learning_rate_end")
        check_count(self.warmup_steps, 0, MAX_STEPS, "optimizer.warmup_steps")
        if len(self.betas) != 2:
            raise InputError(f"optimizer.betas must be two numbers, got {self.betas}.")
        check_in_range(self.betas, 0, 1 - 1e-9, "optimizer.betas")
        check_in_range(self.weight_decay, 0, 10, "optimizer.weight_decay")
        check_in_range(self.clip_norm, 1e-6, 1e6, "optimizer.clip_norm", "A huge value switches clipping off.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainConfig:
    """A training run: the same config and seed on the same machine make the same weights, to the last bit.

    steps                   optimiser steps of the whole run; learning rate and curriculum are stretched over them
    seed                    of the first weights and of every batch; 0 is a seed
    loss                    one of mspfn.losses.LOSSES
    ema_decay               of the running mean of the weights, which is what a run hands out; 0: the weights themselves
    precision               "auto": bfloat16 where the hardware multiplies in it (mspfn.inference)
    device                  "auto": a CUDA device if there is one
    keep_checkpoints        how many of the last checkpoints stay
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    data: DataConfig
    steps: int
    network: NetworkChoice = field(default_factory=NetworkChoice)
    curriculum: CurriculumConfig = field(default_factory=CurriculumConfig)
    optimizer: OptimizerConfig = field(default_factory=OptimizerConfig)
    loss: str = "charbonnier-edge"
    ema_decay: float = 0.999
    seed: int = 0
    precision: str = "auto"
    device: str = "auto"
    log_every_steps: int = 50
    validate_every_steps: int = 500
    checkpoint_every_steps: int = 500
    keep_checkpoints: int = 2

    def __post_init__(self) -> None:
        check_count(self.steps, 1, MAX_STEPS, "steps")
        check_choice(self.loss, tuple(LOSSES), "loss")
        check_in_range(self.ema_decay, 0, 1 - 1e-9, "ema_decay")
        check_count(self.seed, 0, 2**63 - 1, "seed")
        check_choice(self.precision, PRECISIONS, "precision")
        check_choice(self.device, DEVICES, "device")
        check_count(self.log_every_steps, 1, MAX_STEPS, "log_every_steps")
        check_count(self.validate_every_steps, 1, MAX_STEPS, "validate_every_steps")
        check_count(self.checkpoint_every_steps, 1, MAX_STEPS, "checkpoint_every_steps")
        check_count(self.keep_checkpoints, 1, 1000, "keep_checkpoints")

    def resolved(self) -> dict[str, Any]:
        """Every value as JSON has it: nested dicts, lists for tuples."""
        resolved: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return resolved

    def recorded(self) -> dict[str, Any]:
        """The resolved config as files keep it: without what does not make the weights.

        Of folders there is the last name alone, so that it says what, not where: the same data in another place makes
        the same files, and a run goes on after its data has moved. The number of workers is left out.
        """
        recorded = self.resolved()
        del recorded["data"]["workers"]
        for group in (recorded["data"], *recorded["data"]["sources"]):
            for name in (*FOLDERS, *VALIDATION_FOLDERS):
                if group.get(name) is not None:
                    group[name] = Path(group[name]).name
        return recorded
