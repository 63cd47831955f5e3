"""`rainsynth train`: a training run with progress on the screen, and its curve as a picture."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path

from mspfn.process_group import is_first_process
from mspfn.reports import Progress, Rate
from mspfn.train_config import TrainConfig
from mspfn.trainer import TrainResult, train
from pipelines.progress import Advance, console, progress

CURVE_NAME = "training_curve.png"


def run_training(config: TrainConfig, out: Path, *, resume: bool) -> TrainResult:
    """Train with progress on the screen; see mspfn.trainer.train. Leaves the training curve beside the weights.

    Under `torchrun` the first process speaks for all.
    """
    if not is_first_process():
        console.quiet = True
        return train(config, out, resume=resume)
    with Screen() as screen:
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


def plot_curve(run: Path, picture: Path) -> None:
    """Loss and validation PSNR of a run by step, with the curriculum's stages above, as a PNG."""
    from matplotlib.figure import Figure

    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    losses = [(record["step"], record["loss"]) for record in records if record.get("loss") is not None]
    scores = [(record["step"], record["psnr_y_db"]["all"]) for record in records if "psnr_y_db" in record]
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    axes = figure.subplots()
    if losses:
        axes.plot(*zip(*losses, strict=True), color="tab:blue", linewidth=1.2)
    axes.set(xlabel="step", ylabel="loss")
    axes.grid(alpha=0.3)
    for step, stage in _stage_marks(records):
        axes.axvline(step, color="0.7", linewidth=0.8)
        axes.annotate(stage, (step, 1.0), xycoords=("data", "axes fraction"), fontsize=7, rotation=30, va="bottom")
    if scores:
        right = axes.twinx()
        right.plot(*zip(*scores, strict=True), color="tab:orange", marker="o", markersize=3)
        right.set_ylabel("validation PSNR-Y [dB]")
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)


def _stage_marks(records: list[dict], most: int = 8) -> list[tuple[int, str]]:
    """Steps at which the curriculum's stage changed, thinned to `most`; the first and the last stay."""
    changes: list[tuple[int, str]] = []
    for record in records:
        if "stage" in record and (not changes or changes[-1][1] != record["stage"]):
            changes.append((record["step"], record["stage"]))
    if len(changes) <= most:
        return changes
    return [changes[round(place * (len(changes) - 1) / (most - 1))] for place in range(most)]
