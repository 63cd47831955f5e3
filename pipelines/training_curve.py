"""How a training run went, as a picture: loss, validation PSNR, and below them the curriculum's stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

WIDTH_IN, HEIGHT_IN = 9.0, 4.0
LABEL_PT = 7.0
LETTER_PT = 0.62 * LABEL_PT  # mean width of a letter with some room, DejaVu Sans
CURVE_WIDTH_PT = 0.84 * WIDTH_IN * 72  # what axis labels on both sides leave
ROW_HEIGHT = 0.07  # of the strip of stages and of a row of labels, as a share of the curve's
LABEL_ROWS = 2  # at most, below the strip, for labels that are wider than their stage
MOST_LINES = 8  # through the curve, where stages begin; windows that move all the time have none


class Stage(NamedTuple):
    """A stage of the curriculum, from after step `start` to step `end`."""

    name: str
    start: int
    end: int


def plot_curve(run: Path, picture: Path) -> None:
    """Loss and validation PSNR of a run by step, with a labelled strip of the curriculum's stages below, as a PNG."""
    from matplotlib.figure import Figure

    records = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    losses = [(record["step"], record["loss"]) for record in records if record.get("loss") is not None]
    scores = [(record["step"], record["psnr_y_db"]["all"]) for record in records if "psnr_y_db" in record]
    stages = stages_of(records)
    labels = placed_labels(stages)
    rows = max((row + 1 for _, row in labels if row is not None), default=0)
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
    axes, strip = figure.subplots(2, sharex=True, height_ratios=(1, ROW_HEIGHT * (1 + rows)))
    if losses:
        axes.plot(*zip(*losses, strict=True), color="tab:blue", linewidth=1.2)
    axes.set_ylabel("loss", color="tab:blue")
    axes.grid(alpha=0.3)
    if scores:
        right = axes.twinx()
        right.plot(*zip(*scores, strict=True), color="tab:orange", marker="o", markersize=3)
        right.set_ylabel("validation PSNR-Y [dB]", color="tab:orange")
    strip.set(ylim=(-rows, 1), yticks=[], xlabel="step")
    draw_stages(strip, stages, labels)
    if len(stages) <= MOST_LINES:
        for stage in stages[1:]:
            axes.axvline(stage.start, color="0.7", linewidth=0.8)
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=110)


def stages_of(records: list[dict[str, Any]]) -> list[Stage]:
    """The stages that the log of a run names, one after the other; a stage begins with the line before its first."""
    stages: list[Stage] = []
    for record in records:
        if "stage" not in record:
            continue
        name, end = record["stage"], record["step"]
        start = stages[-1].end if stages else 0
        if stages and stages[-1].name == name:
            stages[-1] = stages[-1]._replace(end=end)
        else:
            stages.append(Stage(name, start, end))
    return stages


def draw_stages(strip: Any, stages: list[Stage], labels: list[tuple[Stage, int | None]]) -> None:
    """A cell a stage in two shades in turn, from 0 to 1 in height, with their labels inside and in rows below it."""
    for side in ("left", "right", "top"):
        strip.spines[side].set_visible(False)
    if not stages:
        return
    strip.set_xlim(0, stages[-1].end)
    for number, stage in enumerate(stages):
        strip.broken_barh([(stage.start, stage.end - stage.start)], (0, 1), color=("0.78", "0.88")[number % 2])
    text: dict[str, Any] = {"fontsize": LABEL_PT, "va": "center"}
    behind = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}  # hides the line of a label in the row below
    for stage, row in labels:
        if row is None:
            strip.text((stage.start + stage.end) / 2, 0.5, stage.name, ha="center", **text)
            continue
        strip.plot([stage.start, stage.start], [-row - 0.9, 1], color="0.55", linewidth=0.7)
        strip.annotate(
            stage.name, (stage.start, -row - 0.5), (3, 0), textcoords="offset points", ha="left", bbox=behind, **text
        )


def placed_labels(stages: list[Stage]) -> list[tuple[Stage, int | None]]:
    """The labels that there is room for, and where: inside the stage's cell (None), or in a row below it, by its start.

    Below the strip a stage is labelled only where its start is half a label beyond that of the last one labelled there:
    of a window that moves all the time this shows every so many moments.
    """
    whole = stages[-1].end if stages else 0
    placed: list[tuple[Stage, int | None]] = []
    next_start, free_from = 0.0, [0.0] * LABEL_ROWS
    for stage in stages:
        width = (len(stage.name) + 2) * LETTER_PT / CURVE_WIDTH_PT * whole
        if width <= stage.end - stage.start:
            placed.append((stage, None))
            continue
        row = next((row for row in range(LABEL_ROWS) if free_from[row] <= stage.start), None)
        if row is not None and next_start <= stage.start <= whole - width:
            free_from[row], next_start = stage.start + width, stage.start + width / 2
            placed.append((stage, row))
    return placed
