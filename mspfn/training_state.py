"""All that changes while a network is trained, and its way into a checkpoint and back."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from mspfn.checkpoint import Checkpoint, describe, load_weights
from mspfn.networks import build_network
from mspfn.train_config import NetworkChoice, OptimizerConfig, TrainConfig
from rainsynth.checks import InputError


@dataclass(slots=True)
class Counters:
    """What the loop counts: the loss since the last line of the log, skipped steps, the best validation so far."""

    loss_sum: float = 0.0
    loss_count: int = 0
    skipped_steps: int = 0
    skipped_in_a_row: int = 0
    best_psnr_y_db: float | None = None

    def count_loss(self, loss: float) -> None:
        """Note the loss of a step that was taken."""
        self.loss_sum += loss
        self.loss_count += 1
        self.skipped_in_a_row = 0

    def take_loss(self) -> float | None:
        """Mean loss since this was last asked, None where every step was skipped."""
        mean = self.loss_sum / self.loss_count if self.loss_count else None
        self.loss_sum, self.loss_count = 0.0, 0
        return mean


class TrainingState:
    """Network, running mean of its weights, optimiser and counters after `step` steps."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.config = config
        network = first_network(config.network, config.seed)
        self.network = network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.parameters = list(self.network.parameters())
        self._averaged = list(zip(self.average.parameters(), self.parameters, strict=True))
        self.optimizer = adamw(self.network, config.optimizer)
        self.counters = Counters()
        self.step = 0

    def update_average(self) -> None:
        """Move the running mean: a <- d a + (1 - d) w, d = min(ema_decay, (1 + s) / (10 + s)) at step s.

        The smaller d of the first steps lets it forget the untrained weights.
        """
        decay = min(self.config.ema_decay, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            for average, weight in self._averaged:
                average.lerp_(weight, 1 - decay)
            for average, buffer in zip(self.average.buffers(), self.network.buffers(), strict=True):
                average.copy_(buffer)

    def checkpoint(self, stage: str, log_bytes: int) -> Checkpoint:
        """This state as a checkpoint holds it; valid until the next step."""
        return Checkpoint(
            network=describe(self.network),
            weights=self.network.state_dict(),
            average=self.average.state_dict(),
            optimizer=self.optimizer.state_dict(),
            counters=asdict(self.counters),
            step=self.step,
            stage=stage,
            config=self.config.recorded(),
            log_bytes=log_bytes,
        )

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint of the same config."""
        self.network.load_state_dict(checkpoint.weights)
        self.average.load_state_dict(checkpoint.average)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.counters = Counters(**checkpoint.counters)
        self.step = checkpoint.step


def first_network(choice: NetworkChoice, seed: int) -> nn.Module:
    """The network before its first step: random weights drawn from `seed`, or those of `start_weights`."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(choice.name, **choice.overrides)
    if choice.start_weights is None:
        return network
    started, wanted = load_weights(choice.start_weights), describe(network)
    if describe(started) != wanted:
        raise InputError(
            f"network.start_weights must hold the network of this config, {wanted}, got {describe(started)} "
            f"in {choice.start_weights}. Set network.name and network.overrides to it."
        )
    return started


def adamw(network: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """AdamW that decays kernels only; biases and PReLU slopes are vectors."""
    parameters = list(network.parameters())
    groups: list[dict[str, Any]] = [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)
