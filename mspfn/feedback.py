"""What training tells its curriculum: how large the network's error is in each bin of difficulty."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from mspfn.networks import Predictions
from mspfn.training_loss import Batch
from mspfn.training_pairs import TrainingPairs


class Feedback:
    """The errors of a step's rows on their way from the network to the pacing of `pairs`.

    A row's error is the mean absolute difference of the derained picture from its target, sRGB in [0, 1], whatever the
    loss. Rows of unknown difficulty do not count. Nothing is computed for a curriculum that does not ask.
    """

    def __init__(self, pairs: TrainingPairs) -> None:
        self.pairs, self.wanted = pairs, pairs.pacing.follows_errors
        self._row_errors: list[Tensor] = []
        self._bins = np.zeros(0, dtype=np.int64)  # of the rows of the whole batch
        self._sums: list[Tensor] = []

    def note(self, predictions: Predictions, batch: Batch) -> None:
        """Note the rows of a part of this process's batch."""
        if self.wanted:
            error = (predictions.derained.detach().float() - batch.target).abs()
            self._row_errors.append(error.mean(dim=(1, 2, 3)))

    def sums(self, step: int) -> list[Tensor]:
        """The sum of a step's errors in each bin, to be added up over all processes in place; nothing if not wanted."""
        if not self.wanted:
            return []
        self._bins = self.pairs.bins(step)
        errors, own_bins = torch.cat(self._row_errors), self._bins[self.pairs.rows]
        self._row_errors = []
        belongs = torch.from_numpy(own_bins[:, None] == np.arange(self.pairs.curriculum.bins)).to(errors.device)
        self._sums = [(errors[:, None] * belongs).sum(dim=0)]
        return self._sums

    def learn(self, step: int) -> None:
        """Tell the pacing of a step what its `sums` have become over all processes."""
        if self.wanted:
            rows = np.bincount(self._bins[self._bins >= 0], minlength=self.pairs.curriculum.bins)
            self.pairs.pacing.hear_errors(step, self._sums[0].tolist(), rows.tolist())
