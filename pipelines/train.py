"""`rainsynth train`: a training run with progress on the screen."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from mspfn.process_group import rank_and_count
from mspfn.reports import Progress, Rate
from mspfn.train_config import TrainConfig
from mspfn.trainer import TrainResult, train
from pipelines.cost import counted_cost
from pipelines.progress import Advance, console, progress
from pipelines.training_curve import plot_curve

CURVE_NAME = "training_curve.png"


def run_training(config: TrainConfig, out: Path, *, resume: bool) -> TrainResult:
    """Train with progress on the screen; see mspfn.trainer.train. Leaves training curve and cost beside the weights.

    Under `torchrun` the first process speaks for all.
    """
    rank, _ = rank_and_count()
    if rank > 0:
        console.quiet = True
        with counted_cost(out, rank):
            return train(config, out, resume=resume)
    with counted_cost(out), Screen() as screen:
        result = train(config, out, resume=resume, report=screen.show)
    plot_curve(out, out / CURVE_NAME)
    speed = screen.whole.take()
    if speed:
        told = f"{speed['samples_per_s']:.1f} samples/s, waited {100 * speed['data_share']:.1f} % of the time for data"
        console.print(told)
    return result


class Screen:
    """Progress of a run on the screen: loss, validation PSNR, speed and the curriculum's stage.

    It opens with the first step, which is not number 1 where a run is resumed.
    """

    def __init__(self) -> None:
        self.whole, self._recent = Rate(), Rate()
        self._told = {"loss": "", "quality": "", "rate": ""}
        self._open = ExitStack()
        self._advance: Advance | None = None

    def show(self, state: Progress) -> None:
        """Hear of a step."""
        if self._advance is None:
            self._advance = self._open.enter_context(progress("train", state.steps, done=state.step - 1))
        for rate in (self.whole, self._recent):
            rate.count(state)
        self._told["loss"] = f"loss {state.loss:.4f}"
        if "psnr_y_db" in state.record:
            self._told["quality"] = f"PSNR-Y {state.record['psnr_y_db']['all']:.2f} dB"
        if state.record or not self._told["rate"]:
            self._told["rate"] = f"{self._recent.take()['samples_per_s']:.1f} samples/s"
        self._advance(1, ", ".join(part for part in (*self._told.values(), state.stage) if part))

    def __enter__(self) -> Screen:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
