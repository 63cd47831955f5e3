"""A study's pictures: differences with their intervals, learning curves, what was shown, and derained pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from mspfn.checkpoint import load_weights
from mspfn.inference import derain
from mspfn.pair_source import SRGB8
from mspfn.validation import ValidationSet
from pipelines.sheets import GAP_PX, contact_sheet
from pipelines.study_findings import BySeed, Findings
from pipelines.study_run import Run
from pipelines.study_statistics import MARGIN_DB
from rainsynth.metrics import psnr_y
from rainsynth.pictures import write_picture

DPI = 100
WIDTH_IN = 12.0  # of charts, which a page shows at 1200 px
PANELS_IN_A_ROW = 3
PANEL_HEIGHT_IN = 3.2
LEGEND_COLUMNS = 6
SHEET_PX = 1200
SMALLEST_CELL_PX = 150  # of a sheet of many columns; captions need as much
DOTS_ASIDE = 0.035  # of a class's place: single seeds beside their mean
RATE_TICKS_MM_H = (0.5, 1, 2, 5, 10, 20, 50, 100, 200)


def draw_differences(path: Path, findings: Findings) -> None:
    """Paired differences against the baseline with their intervals, by class; the margin of the rule is dashed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, 4.2), layout="constrained")
    axes = figure.subplots()
    axes.axhline(0, color="0.3", linewidth=1)
    axes.axhline(-MARGIN_DB, color="tab:red", linewidth=1, linestyle="--", label=f"margin of the rule, -{MARGIN_DB} dB")
    places = np.arange(len(findings.columns))
    offsets = np.linspace(-0.3, 0.3, len(findings.judgements)) if len(findings.judgements) > 1 else [0.0]
    colours = colours_of(findings)
    for (name, judged), offset in zip(findings.judgements.items(), offsets, strict=True):
        intervals = [*judged.differences.values(), judged.mean_gain]
        means = [interval.mean for interval in intervals]
        halves = [interval.high - interval.mean for interval in intervals]
        axes.errorbar(places + offset, means, halves, fmt="o", capsize=4, label=name, color=colours[name])
        by_seed = [differences_db(findings, name, column) for column in findings.columns]
        axes.plot(places + offset + DOTS_ASIDE, by_seed, ".", markersize=4, color=colours[name], alpha=0.6)
    axes.set_xticks(places, findings.columns)
    axes.set_ylabel(f"PSNR-Y minus that of {findings.baseline} [dB]")
    axes.grid(alpha=0.3, axis="y")
    figure.legend(loc="outside upper center", ncols=LEGEND_COLUMNS)
    save(figure, path)


def differences_db(findings: Findings, condition: str, column: str) -> BySeed:
    """What a condition's PSNR-Y is above the baseline's, for every seed [dB]."""
    values_db, baseline_db = (findings.score("psnr_y_db", name, column) for name in (condition, findings.baseline))
    return values_db - baseline_db


def draw_learning_curves(path: Path, findings: Findings) -> None:
    """PSNR by step for every class: mean over seeds, and between the lowest and the highest seed a band."""
    figure, panels = grid(len(findings.columns))
    colours = colours_of(findings)
    for axes, column in zip(panels, findings.columns, strict=True):
        for name in findings.conditions:
            curves_db = findings.curves_db[name][column]
            axes.plot(findings.curve_steps, curves_db.mean(axis=0), label=name, color=colours[name], linewidth=1.5)
            axes.fill_between(
                findings.curve_steps, curves_db.min(axis=0), curves_db.max(axis=0), color=colours[name], alpha=0.15
            )
        axes.set_title(column)
        axes.set(xlabel="step", ylabel="PSNR-Y [dB]")
        axes.grid(alpha=0.3)
    panels[0].legend(fontsize=9)
    save(figure, path)


def draw_shown_rates(path: Path, findings: Findings) -> None:
    """Rain rates of the samples that training was shown, by step: the median, and a band of four fifths of them."""
    shown = {name: rows for name, rows in findings.shown.items() if len(rows)}
    figure, panels = grid(len(shown))
    colours = colours_of(findings)
    for axes, (name, rows) in zip(panels, shown.items(), strict=True):
        steps, low, median, high = rows.T
        axes.fill_between(steps, low, high, color=colours[name], alpha=0.25)
        axes.plot(steps, median, color=colours[name])
        axes.set_yscale("log")
        axes.set_yticks(RATE_TICKS_MM_H, [f"{tick:g}" for tick in RATE_TICKS_MM_H])
        axes.set_yticks([], minor=True)
        axes.set_ylim(RATE_TICKS_MM_H[0], RATE_TICKS_MM_H[-1])
        axes.set_title(name)
        axes.set(xlabel="step", ylabel="rain rate [mm/h]")
        axes.grid(alpha=0.3)
    save(figure, path)


def draw_strip(path: Path, findings: Findings, runs: Sequence[Run], pictures: ValidationSet) -> None:
    """For each class its typical picture: rainy, what the first seed of each condition makes of it, and the target.

    Windows from the middle, pixel by pixel; PSNR-Y is that of the whole picture.
    """
    first = min(run.seed for run in runs)
    networks = {run.condition: load_weights(run.folder / "weights.pt") for run in runs if run.seed == first}
    largest_px = max(rainy.shape[1] for pairs in pictures.pairs.values() for rainy, _ in pairs)
    cell_px = max(min(SHEET_PX // (len(networks) + 2) - GAP_PX - 1, largest_px), SMALLEST_CELL_PX)
    rows = []
    for name in findings.classes:
        rainy, target = typical(pictures.pairs[name])
        states = {f"{name} rain": rainy} | {condition: derain(rainy, networks[condition]) for condition in networks}
        row = [(f"{state} {psnr_y(picture, target):.2f} dB", picture) for state, picture in states.items()]
        rows.append([(caption, middle(picture, cell_px)) for caption, picture in [*row, ("target", target)]])
    write_picture(path, contact_sheet(rows, cell_px))


def typical(pairs: list[tuple[SRGB8, SRGB8]]) -> tuple[SRGB8, SRGB8]:
    """The pair whose rainy picture has the median PSNR of its class, the upper one of two."""
    order = sorted(range(len(pairs)), key=lambda number: psnr_y(*pairs[number]))
    return pairs[order[len(order) // 2]]


def middle(picture: SRGB8, size_px: int) -> SRGB8:
    """The middle of a picture, a square of `size_px` or as much as there is."""
    height_px, width_px = picture.shape[:2]
    size_px = min(size_px, height_px, width_px)
    top, left = (height_px - size_px) // 2, (width_px - size_px) // 2
    return picture[top : top + size_px, left : left + size_px]


def colours_of(findings: Findings) -> dict[str, str]:
    """A colour for every condition, the same in all charts."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    palette = colormaps["tab10"] if len(findings.conditions) <= 10 else colormaps["tab20"]
    return {name: to_hex(palette(place % palette.N)) for place, name in enumerate(findings.conditions)}


def grid(count: int) -> tuple[Any, list[Any]]:
    """A figure of `count` panels, some in a row."""
    from matplotlib.figure import Figure

    rows = -(-count // PANELS_IN_A_ROW)
    figure = Figure(figsize=(WIDTH_IN, PANEL_HEIGHT_IN * rows), layout="constrained")
    panels = list(figure.subplots(rows, min(count, PANELS_IN_A_ROW), squeeze=False).flat)
    for empty in panels[count:]:
        empty.set_axis_off()
    return figure, panels[:count]


def save(figure: Any, path: Path) -> None:
    """Write a figure as a PNG."""
    figure.savefig(path, dpi=DPI)
