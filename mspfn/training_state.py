"""All that changes while a network is trained, and its way into a checkpoint and back."""

from __future__ import annotations

import copy
from dataclasses import asdict, dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from mspfn.checkpoint import Checkpoint, describe, load_weights
from mspfn.networks import build_network
from mspfn.networks.growth import grown
from mspfn.optimizer import build_optimizer
from mspfn.train_config import NetworkChoice, TrainConfig
from rainsynth.checks import InputError


@dataclass(slots=True)
class Counters:
    """What the loop counts: sums since the last line of the log, skipped steps, and how validations went.

    sums                of each part of the loss by its name, and of "gradient_norm", over `taken` steps
    start_psnr_y_db     validation before the first step, which a guard compares with; None without a guard
    breach              what a guard has found lost at the last validation; "" for nothing
    breaches            validations in a row at which it found something
    """

    sums: dict[str, float] = field(default_factory=dict)
    taken: int = 0
    skipped_steps: int = 0
    skipped_in_a_row: int = 0
    best_psnr_y_db: float | None = None
    validations_without_gain: int = 0
    start_psnr_y_db: dict[str, float] | None = None
    breach: str = ""
    breaches: int = 0

    def count_step(self, parts: dict[str, float], gradient_norm: float) -> None:
        """Note the loss of a step that was taken, by its parts, and the length of its gradient before clipping."""
        for name, value in (parts | {"gradient_norm": gradient_norm}).items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        self.taken += 1
        self.skipped_in_a_row = 0

    def take_means(self) -> dict[str, Any]:
        """Means since this was last asked: loss, loss_parts and gradient_norm; all None where no step was taken."""
        means = {name: value / self.taken for name, value in self.sums.items()}
        gradient_norm = means.pop("gradient_norm", None)
        self.sums, self.taken = {}, 0
        return {
            "loss": sum(means.values()) if means else None,
            "loss_parts": means or None,
            "gradient_norm": gradient_norm,
        }

    def count_validation(self, psnr_y_db: float) -> bool:
        """Note a validation; whether none before was as good."""
        better = self.best_psnr_y_db is None or psnr_y_db > self.best_psnr_y_db
        if better:
            self.best_psnr_y_db = psnr_y_db
        self.validations_without_gain = 0 if better else self.validations_without_gain + 1
        return better

    def count_breach(self, breach: str) -> None:
        """Note what a guard says of a validation."""
        self.breach = breach
        self.breaches = self.breaches + 1 if breach else 0


class TrainingState:
    """Network, running mean of its weights, optimiser and counters after `step` steps."""

    def __init__(self, config: TrainConfig, device: torch.device) -> None:
        self.config = config
        network = first_network(config.network, config.seed)
        self.network = network.to(device, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
        self.average = copy.deepcopy(self.network).eval().requires_grad_(False)
        self.parameters = list(self.network.parameters())
        self._averaged = list(zip(self.average.parameters(), self.parameters, strict=True))
        self.optimizer = build_optimizer(self.network, config.optimizer)
        self.counters = Counters()
        self.step = 0

    @property
    def finished(self) -> bool:
        """Whether all steps were taken, or validation has gained nothing, or lost too much, for as long as it may."""
        patience, guard = self.config.stop_after_validations, self.config.guard
        gains_nothing = patience is not None and self.counters.validations_without_gain >= patience
        loses = guard is not None and self.counters.breaches >= guard.patience
        return self.step >= self.config.steps or gains_nothing or loses

    @property
    def gradients(self) -> list[Tensor]:
        """The gradients of all weights that have one."""
        return [weight.grad for weight in self.parameters if weight.grad is not None]

    def set_learning_rate(self, learning_rate: float) -> None:
        """Have the next step taken with this rate."""
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = learning_rate

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

    def checkpoint(self, stage: str, pacing: dict[str, Any], log_bytes: int) -> Checkpoint:
        """This state as a checkpoint holds it, with the curriculum's; valid until the next step."""
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
            pacing=pacing,
        )

    def restore(self, checkpoint: Checkpoint | None) -> int:
        """Go on from a checkpoint of the same config, if there is one; the length of the log in bytes at that step."""
        if checkpoint is None:
            return 0
        self.network.load_state_dict(checkpoint.weights)
        self.average.load_state_dict(checkpoint.average)
        self.optimizer.load_state_dict(checkpoint.optimizer)
        self.counters = Counters(**checkpoint.counters)
        self.step = checkpoint.step
        return checkpoint.log_bytes


def first_network(choice: NetworkChoice, seed: int) -> nn.Module:
    """The network before its first step: weights drawn from `seed`, or those of `start_weights`, grown if need be."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = build_network(choice.name, **choice.overrides)
    if choice.start_weights is None:
        return network
    started, wanted = load_weights(choice.start_weights), describe(network)
    if describe(started) == wanted:
        return started
    larger = grown(started, network)
    if larger is not None:
        return larger
    raise InputError(
        "network.start_weights must hold the network of this config, or a smaller MSPFN that can grow into it, "
        f"{wanted}, got {describe(started)} in {choice.start_weights}. Set network.name and network.overrides to it."
    )
