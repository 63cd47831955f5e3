"""Pictures of a study of domains: matrices with numbers, drops over distances, and derained pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mspfn.checkpoint import load_weights
from mspfn.inference import derain
from mspfn.pair_source import SRGB8
from pipelines.domains.config import SOURCE
from pipelines.domains.findings import PSNR, Findings
from pipelines.domains.material import Measured
from pipelines.domains.plan import DomainRun
from pipelines.evaluation.pairs import Pair, Photograph
from pipelines.sheets import GAP_PX, contact_sheet
from pipelines.study_pictures import SHEET_PX, SMALLEST_CELL_PX, WIDTH_IN, grid, middle, save
from pipelines.study_statistics import MARGIN_DB
from rainsynth.metrics import psnr_y
from rainsynth.pictures import write_picture

FORMS = {"psnr_y": ".1f", "ssim_y": ".3f"}
COLOUR_MAP = "RdYlGn"
DARK_SHARE = 0.75  # of the scale: cells beyond are dark
MOST_NAMED = 20  # points in a chart that have their names beside them


def draw_matrix(path: Path, findings: Findings, metric: str) -> None:
    """A heat map for every method, sources down and targets across: its figure, coloured by the gain over the rainy.

    Targets differ in how hard they are, so a colour tells what a network gained there; one scale for all methods.
    """
    targets = [target for target in findings.targets if findings.truth[target]]
    methods = [method for method in findings.methods if findings.places_of(method, truth=True)]
    tables = {method: matrix_of(findings, method, targets, metric) for method in methods}
    inputs = np.array([findings.inputs[target][metric] for target in targets])
    reach = max(float(np.nanmax(np.abs(values - inputs))) for values in tables.values())
    figure, panels = grid(len(methods))
    for axes, (method, values) in zip(panels, tables.items(), strict=True):
        shown = axes.imshow(values - inputs, cmap=COLOUR_MAP, vmin=-reach, vmax=reach, aspect="auto")
        for (row, column), value in np.ndenumerate(values):
            text = "-" if np.isnan(value) else f"{value:{FORMS[metric]}}"
            dark = abs(value - inputs[column]) > DARK_SHARE * reach
            axes.text(column, row, text, ha="center", va="center", fontsize=8, color="white" if dark else "black")
        axes.set_xticks(range(len(targets)), targets, rotation=35, ha="right", fontsize=8)
        axes.set_yticks(range(len(findings.sources)), findings.sources, fontsize=8)
        axes.set_title(method, fontsize=10)
    figure.colorbar(shown, ax=panels, label="above the rainy pictures", shrink=0.8)
    save(figure, path)


def matrix_of(findings: Findings, method: str, targets: Sequence[str], metric: str) -> np.ndarray:
    """Mean over seeds for every source and target; NaN where a method was not tried."""
    cells = [[findings.cell(method, source, target) for target in targets] for source in findings.sources]
    return np.array([[np.nan if cell is None else cell.scores[metric].mean() for cell in row] for row in cells])


def draw_drops(path: Path, findings: Findings) -> None:
    """Drop over distance, a point with its interval for every pair of domains, a colour for every source."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(0.75 * WIDTH_IN, 4.6), layout="constrained")
    axes = figure.subplots()
    drops = findings.drops
    for number, source in enumerate(findings.sources):
        own = {place: found for place, found in drops.items() if place[0] == source}
        distance = [value for value, _ in own.values()]
        means = [drop.mean for _, drop in own.values()]
        halves = [drop.high - drop.mean for _, drop in own.values()]
        axes.errorbar(distance, means, halves, fmt="o", capsize=3, color=f"C{number}", label=f"from {source}")
        for place, (value, drop) in own.items() if len(drops) <= MOST_NAMED else ():
            axes.annotate(place[1], (value, drop.mean), (5, 4), textcoords="offset points", fontsize=8)
    axes.axhline(0, color="0.5", linewidth=0.8)
    axes.set(xlabel="distance of the rain [standard deviations within a domain]", ylabel="drop in PSNR-Y [dB]")
    axes.margins(x=0.12)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=9)
    save(figure, path)


def draw_strips(path: Path, findings: Findings, runs: Sequence[DomainRun], source: str) -> None:
    """For every target its typical picture: rainy, what each method makes of it with the first seed, and the truth.

    Windows from the middle, pixel by pixel; PSNR-Y is that of all that was measured of the picture.
    """
    first = min(run.seed for run in runs)
    chosen = [run for run in runs if run.seed == first and run.source == source]
    weights = {(run.method, run.target): run.folder / "weights.pt" for run in chosen}
    measured = next(run.measured for run in chosen if run.method == SOURCE)
    columns = 2 + max(sum(place[1] == one.domain for place in weights) + 1 for one in measured)
    rows = []
    for target in (one for one in measured if one.domain in findings.targets and one.domain != source):
        states = {SOURCE: weights[SOURCE, source]}
        states |= {
            method: weights[method, target.domain] for method in findings.methods if (method, target.domain) in weights
        }
        rows.append(strip(target, states))
    cell_px = max(min(SHEET_PX // columns - GAP_PX - 1, measured[0].crop_px), SMALLEST_CELL_PX)
    write_picture(path, contact_sheet([[(text, middle(one, cell_px)) for text, one in row] for row in rows], cell_px))


def strip(measured: Measured, weights: dict[str, Path]) -> list[tuple[str, SRGB8]]:
    """The typical picture of a domain in all its states, with captions."""
    one = typical(measured)
    pictures = {measured.domain: one.rainy_srgb8}
    pictures |= {method: derain(one.rainy_srgb8, load_weights(path)) for method, path in weights.items()}
    if isinstance(one, Photograph):
        return list(pictures.items())
    truth = one.target_srgb8
    return [(f"{text} {psnr_y(picture, truth):.2f} dB", picture) for text, picture in pictures.items()] + [
        ("truth", truth)
    ]


def typical(measured: Measured) -> Pair | Photograph:
    """The picture whose rainy PSNR is the median, the upper one of two; without truth the one in the middle."""
    every = list(measured)
    order = {
        number: psnr_y(one.rainy_srgb8, one.target_srgb8) if isinstance(one, Pair) else float(number)
        for number, one in enumerate(every)
    }
    return every[sorted(order, key=lambda number: order[number])[len(every) // 2]]


def draw_gains(path: Path, findings: Findings) -> None:
    """Gain over the source network in every pair of domains, with its interval, a panel for every source."""
    methods = list(findings.judgements)
    figure, panels = grid(len(findings.sources))
    for axes, source in zip(panels, findings.sources, strict=True):
        targets = [target for one, target in findings.places_gone_on if one == source]
        for number, method in enumerate(methods):
            known = [place for target in targets if (place := (source, target)) in findings.cells[method]]
            gains = [findings.gain(method, place, PSNR) for place in known]
            at = np.array([targets.index(target) for _, target in known]) + 0.6 * ((number + 0.5) / len(methods) - 0.5)
            halves = [gain.high - gain.mean for gain in gains]
            axes.errorbar(
                [gain.mean for gain in gains], at, xerr=halves, fmt="o", capsize=3, label=method, markersize=4
            )
        axes.set_yticks(range(len(targets)), targets, fontsize=8)
        axes.set_ylim(len(targets) - 0.5, -0.5)
        axes.axvline(0, color="0.4", linewidth=0.8)
        low_db, high_db = axes.get_xlim()
        axes.set_xlim(min(low_db, -MARGIN_DB), max(high_db, MARGIN_DB))
        axes.set_title(f"from {source}", fontsize=10)
        axes.set_xlabel("gain in PSNR-Y [dB]")
        axes.grid(alpha=0.3, axis="x")
    panels[0].legend(fontsize=8)
    save(figure, path)
