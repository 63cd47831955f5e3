"""How the weights move: AdamW or Muon, and the learning rate through the run."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from mspfn.data_config import FORBID_UNKNOWN_KEYS
from mspfn.muon import Muon
from rainsynth.checks import InputError, check_choice, check_count, check_in_range

OPTIMIZERS = ("adamw", "muon")
SCHEDULES = ("cosine", "exponential", "milestones")
MAX_STEPS = 100_000_000
ROUNDING = 1e-6  # by which torch takes a gradient for longer


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimizerConfig:
    """AdamW or Muon, with a learning rate that rises linearly over `warmup_steps` and falls by its `schedule`.

    name                "adamw", or "muon": mspfn.muon, which learns more a step, and takes a sixth more time for it
    schedule            "cosine": half a cosine from learning_rate down to learning_rate_end at the last step.
                        "exponential": learning_rate x decay_factor^(s / decay_steps) + learning_rate_end, s the steps
                        since warm-up; MSPFN's with 0.8, 20,000 and 1e-6.
                        "milestones": learning_rate, times decay_factor at each milestone; PReNet's with 0.2.
    milestones          progress of the run in (0, 1) at which this happens
    betas               of AdamW; of muon they are those of biases and PReLU slopes
    weight_decay        acts on kernels, not on biases and PReLU slopes; 0 makes AdamW Adam, as in the papers
    clip_norm           longest gradient; longer ones are shortened to it
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    name: str = "adamw"
    learning_rate: float = 5e-4
    learning_rate_end: float = 1e-6
    warmup_steps: int = 100
    schedule: str = "cosine"
    decay_factor: float = 0.8
    decay_steps: int = 20_000
    milestones: tuple[float, ...] = ()
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 1e-4
    clip_norm: float = 1.0

    def __post_init__(self) -> None:
        check_choice(self.name, OPTIMIZERS, "optimizer.name")
        check_in_range(self.learning_rate, 1e-8, 1, "optimizer.learning_rate")
        check_in_range(self.learning_rate_end, 0, self.learning_rate, "optimizer.learning_rate_end")
        check_count(self.warmup_steps, 0, MAX_STEPS, "optimizer.warmup_steps")
        check_choice(self.schedule, SCHEDULES, "optimizer.schedule")
        check_in_range(self.decay_factor, 1e-6, 1, "optimizer.decay_factor")
        check_count(self.decay_steps, 1, MAX_STEPS, "optimizer.decay_steps")
        if bool(self.milestones) != (self.schedule == "milestones"):
            raise InputError(
                f"optimizer.milestones must go with schedule milestones, got {list(self.milestones)} with schedule "
                f"{self.schedule}."
            )
        check_in_range(self.milestones, 1e-9, 1 - 1e-9, "optimizer.milestones", "They are shares of all steps.")
        if len(self.betas) != 2:
            raise InputError(f"optimizer.betas must be two numbers, got {self.betas}.")
        check_in_range(self.betas, 0, 1 - 1e-9, "optimizer.betas")
        check_in_range(self.weight_decay, 0, 10, "optimizer.weight_decay")
        check_in_range(self.clip_norm, 1e-6, 1e6, "optimizer.clip_norm", "A huge value switches clipping off.")


def learning_rate_at(step: int, steps: int, config: OptimizerConfig) -> float:
    """Learning rate of a step, counted from 0: linear up to the full rate, then down by the schedule."""
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    if config.schedule == "milestones":
        passed = bisect_right(sorted(config.milestones), step / steps)
        return config.learning_rate * config.decay_factor**passed
    since_warmup = step - config.warmup_steps
    if config.schedule == "exponential":
        share = since_warmup / config.decay_steps
        return config.learning_rate * config.decay_factor**share + config.learning_rate_end
    share = since_warmup / max(1, steps - 1 - config.warmup_steps)
    fall = config.learning_rate - config.learning_rate_end
    return config.learning_rate_end + fall * (1 + math.cos(math.pi * share)) / 2


def build_optimizer(network: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW | Muon:
    """The optimiser that a config names, of all weights of a network."""
    if config.name == "muon":
        return Muon(network, config.learning_rate, config.betas, config.weight_decay)
    return adamw(network, config)


def adamw(network: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW that decays kernels only; biases and PReLU slopes are vectors."""
    parameters = list(network.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def clip_gradients(parameters: list[nn.Parameter], longest: float) -> float:
    """Shorten the gradient of all weights together to `longest`, and return how long it was.

    As torch.nn.utils.clip_grad_norm_, to the bit, but that gradients which are short enough are not multiplied by 1.
    """
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.nn.utils.get_total_norm(gradients)
    length = float(norm)
    if not length + ROUNDING < longest:
        torch.nn.utils.clip_grads_with_norm_(parameters, longest, norm)
    return length
