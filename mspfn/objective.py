"""What a step makes small, and its gradients: the loss of pairs, and disagreement on photographs without pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from mspfn.feedback import Feedback
from mspfn.inference import inference_precision
from mspfn.mean_teacher import disagreement
from mspfn.networks import Predictions, predict
from mspfn.pixels import unit_pictures
from mspfn.prefetch import PictureBatch
from mspfn.train_config import TrainConfig
from mspfn.training_loss import Batch, as_loss_config, in_float32, loss_parts, total
from mspfn.training_state import TrainingState

UNPAIRED = "unpaired"  # name of that part of the loss

Forward = Callable[[nn.Module, Tensor], Predictions]


class Objective:
    """The loss of a config, for the networks of a run. `feedback` hears of every row of pairs."""

    def __init__(self, config: TrainConfig, state: TrainingState, feedback: Feedback, device: torch.device) -> None:
        self.config, self.state, self.feedback, self.device = config, state, feedback, device
        self.loss, self.precision = as_loss_config(config.loss), training_precision(config.precision, device)
        self.forward = forward_pass(config)

    def gradients(self, pictures: PictureBatch, samples: int, unpaired: PictureBatch | None) -> dict[str, Tensor]:
        """The parts of a step's loss by name; adds their gradients to the weights'.

        `pictures` are this process's rows of the step's batch of `samples` windows; `unpaired` likewise, rainy windows
        under more rain and without it.
        """
        losses: dict[str, Tensor] = {}
        for batch in parts_of(pictures, self.config.accumulate, self.device):
            predictions = self.predict(self.state.network, batch.rainy)
            parts = loss_parts(self.loss, in_float32(predictions), batch)
            share = len(batch.rainy) / samples
            (share * total(parts)).backward()
            losses = {name: losses.get(name, 0) + share * part.detach() for name, part in parts.items()}
            self.feedback.note(predictions, batch)
        if unpaired is not None:
            losses[UNPAIRED] = self.unpaired_gradients(unpaired)
        return losses

    def unpaired_gradients(self, pictures: PictureBatch) -> Tensor:
        """The part of photographs without pairs; adds its gradients to the weights'."""
        config = self.config.unpaired
        assert config is not None
        more_rain, rainy = (unit_pictures(stack).to(self.device) for stack in pictures)
        student, teacher = self.state.network, self.state.average
        loss = disagreement(student, teacher, self.restore, more_rain, rainy, config.doubt_codes)
        loss = loss * (config.weight * len(rainy) / config.batch_size)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def predict(self, network: nn.Module, rainy: Tensor) -> Predictions:
        """What a network gives, its inner products in the run's number format."""
        with torch.autocast(self.device.type, self.precision, enabled=self.precision != torch.float32):
            return self.forward(network, rainy)

    def restore(self, network: nn.Module, rainy: Tensor) -> Tensor:
        """The derained pictures alone, float32."""
        return self.predict(network, rainy).derained.float()


def training_precision(name: str, device: torch.device) -> torch.dtype:
    """Number format of the network's inner products; weights, loss and optimiser are float32 always."""
    return inference_precision(device) if name == "auto" else getattr(torch, name)


def forward_pass(config: TrainConfig) -> Forward:
    """How the network is run: as it is written, or as torch.compile rewrites it."""
    return torch.compile(predict, dynamic=False) if config.compile else predict


def parts_of(pictures: PictureBatch, count: int, device: torch.device) -> Iterator[Batch]:
    """A batch of 8-bit pictures as tensors, in `count` parts, or as many as it has rows."""
    tensors = [unit_pictures(stack).to(device) for stack in pictures]
    for part in zip(*(tensor.tensor_split(min(count, len(tensor))) for tensor in tensors), strict=True):
        yield Batch(*part)
