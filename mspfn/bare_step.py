"""A step of a network alone: what is left of training without data, curriculum, validation and log."""

from __future__ import annotations

import time

import torch

from mspfn.networks import predict
from mspfn.objective import training_precision
from mspfn.train_config import TrainConfig
from mspfn.training_loss import Batch, as_loss_config, in_float32, loss_parts, total
from mspfn.training_state import TrainingState

CPU = torch.device("cpu")


class BareSteps:
    """Steps by a config on the CPU, each on a batch that is there already: forward, loss, backward, optimiser, average.

    No loop can be quicker than these; what one costs beyond them is its own.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.state, self.loss = TrainingState(config, CPU), as_loss_config(config.loss)
        self.precision = training_precision(config.precision, CPU)

    def step_s(self, batch: Batch) -> float:
        """Make one step; the processor time of all threads that it took [s]."""
        began_s = time.process_time()
        state = self.state
        state.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", self.precision, enabled=self.precision != torch.float32):
            predictions = predict(state.network, batch.rainy)
        total(loss_parts(self.loss, in_float32(predictions), batch)).backward()
        state.optimizer.step()
        state.update_average()
        return time.process_time() - began_s
