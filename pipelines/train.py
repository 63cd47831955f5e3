"""`rainsynth train`: a training run with progress on the screen, and its curve as a picture."""

from __future__ import annotations

import json
from pathlib import Path

from mspfn.train_config import TrainConfig
from mspfn.trainer import Progress, TrainResult, train
from pipelines.progress import console, progress

CURVE_NAME = "training_curve.png"


def run_training(config: TrainConfig, out: Path, *, resume: bool) -> TrainResult:
    """Train with progress on the screen; see mspfn.trainer.train. Leaves the training curve beside the weights."""
    step_s = data_wait_s = 0.0
    with progress("train", config.steps) as advance:
        done = 0

        def show(state: Progress) -> None:
            nonlocal done, step_s, data_wait_s
            step_s, data_wait_s = step_s + state.step_s, data_wait_s + state.data_wait_s
            figures = state.record.get("psnr_y_db") or {}
            quality = f", PSNR-Y {figures['all']:.2f} dB" if "all" in figures else ""
            advance(state.step - done, f"loss {state.loss:.4f}, {state.stage}{quality}")
            done = state.step

        result = train(config, out, resume=resume, report=show)
    plot_curve(out, out / CURVE_NAME)
    if step_s > 0:
        console.print(f"waited {100 * data_wait_s / step_s:.1f} % of the time for data")
    return result


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
