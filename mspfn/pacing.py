"""What a run measures of itself for its curriculum to follow, dated, so that no batch depends on when it was drawn.

Batches are drawn some steps ahead of the network. What was measured at step s acts on the batches of step
s + FEEDBACK_DELAY_STEPS and later, however far ahead these are drawn: the batch of a step stays a function of the
seed, the step and what the run has measured, with any number of workers, and in a run that goes on after a kill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from mspfn.curriculum import Standing, stage_number
from mspfn.curriculum_config import CurriculumConfig

FEEDBACK_DELAY_STEPS = 32  # choice: four times a batch's way with four workers, and little of any run
BIN_MEMORY_ROWS = 64  # choice: windows differ as much as bins do, so a mean needs dozens; the network changes over more


@dataclass(slots=True)
class Trial:
    """How validation goes in a stage, until its gate opens the next: the best PSNR-Y so far [dB]; None: none yet."""

    stage: int = 0
    best_db: float | None = None
    without_gain: int = 0


class Pacing:
    """The standing of a run, as the curriculum knows it at each step.

    It hears of every step in turn, and keeps what the next steps can ask for. `steps` are those of the whole run,
    `delay_steps` how long what is heard takes to act.
    """

    def __init__(self, config: CurriculumConfig, steps: int, delay_steps: int = FEEDBACK_DELAY_STEPS) -> None:
        self.config, self.steps, self.delay_steps = config, steps, delay_steps
        bins = config.bins if self.follows_errors else 0
        self._dated = [(0, Standing(bin_error=(0.0,) * bins, bin_rows=(0,) * bins))]  # what acts from which step on
        self._trial = Trial()

    @property
    def follows_errors(self) -> bool:
        """Whether the curriculum asks for the network's errors."""
        return self.config.name == "self-paced"

    @property
    def most_ahead_steps(self) -> int | None:
        """How many steps beyond the present one are settled before it is taken; None: all of them.

        Before step s is taken, s - 1 was the last that was measured, and acts from s - 1 + delay_steps on.
        """
        return self.delay_steps - 1 if self.follows_errors or self.config.gate else None

    def at(self, step: int) -> Standing:
        """The standing that the batch of a step is drawn by."""
        return next(standing for from_step, standing in reversed(self._dated) if from_step <= step)

    def hear_errors(self, step: int, sums: Sequence[float], rows: Sequence[int]) -> None:
        """Note the errors of a step's rows: for each bin their sum and their number.

        A bin's mean is that of its first BIN_MEMORY_ROWS rows, then m <- m + n / BIN_MEMORY_ROWS (e - m) for n rows of
        mean e: a running mean over about so many.
        """
        last = self._dated[-1][1]
        error, seen = list(last.bin_error), list(last.bin_rows)
        for number, (total, count) in enumerate(zip(sums, rows, strict=True)):
            if count:
                seen[number] = min(seen[number] + count, max(BIN_MEMORY_ROWS, count))
                error[number] += count / seen[number] * (total / count - error[number])
        self._add(step, replace(last, bin_error=tuple(error), bin_rows=tuple(seen)))

    def hear_validation(self, step: int, psnr_y_db: float) -> None:
        """Note a validation after a step; opens the next stage once the gate says so. See Gate for when.

        A validation counts for the stage that its step was drawn in. While an opened stage is still to come, none does.
        """
        gate, last = self.config.gate, self._dated[-1][1]
        if gate is None:
            return
        stage = stage_number(self.config, step / self.steps, self.at(step))
        if stage == len(self.config.stages) - 1 or last.stage > stage:
            return
        if self._trial.stage != stage:
            self._trial = Trial(stage)
        trial = self._trial
        gained = trial.best_db is None or psnr_y_db - trial.best_db >= gate.gain_db
        trial.without_gain = 0 if gained else trial.without_gain + 1
        trial.best_db = psnr_y_db if trial.best_db is None else max(trial.best_db, psnr_y_db)
        if trial.without_gain >= gate.validations:
            self._add(step, replace(last, stage=stage + 1))

    def recorded(self) -> dict[str, Any]:
        """Everything heard that still matters, as plain values."""
        trial = self._trial
        return {
            "dated": [[step, item.stage, list(item.bin_error), list(item.bin_rows)] for step, item in self._dated],
            "trial": [trial.stage, trial.best_db, trial.without_gain],
        }

    def restore(self, recorded: dict[str, Any]) -> None:
        """Go on from what `recorded` gave, in a run of the same config."""
        self._dated = [
            (step, Standing(stage=stage, bin_error=tuple(error), bin_rows=tuple(rows)))
            for step, stage, error, rows in recorded["dated"]
        ]
        self._trial = Trial(*recorded["trial"])

    def _add(self, step: int, standing: Standing) -> None:
        """Let a standing act from `delay_steps` after a step on; forget what acts on no step after that one."""
        self._dated.append((step + self.delay_steps, standing))
        while len(self._dated) > 1 and self._dated[1][0] <= step + 1:
            del self._dated[0]
