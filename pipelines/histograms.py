"""Histograms of a data set: rate, input PSNR, coverage, slant of the streaks, depth and difficulty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from rainsynth.physics.fall_speed import fall_speed_m_s
from rainsynth.shards.reader import ShardSet

MAX_BINS = 40
DEPTH_STEP_PX = 8  # every eighth pixel of a depth map, down and across
# Median volume diameter of Marshall and Palmer's spectrum, D0 = 3.67 / (4.1 R^-0.21) mm: half of the water is in larger
# drops. Ulbrich (1983), J. Climate Appl. Meteor. 22(10), 1764, for D0 = 3.67 / slope.
MEDIAN_DIAMETER_MM = 3.67 / 4.1
MEDIAN_DIAMETER_POWER = 0.21

Values = Float[np.ndarray, "n"]


@dataclass(frozen=True, slots=True)
class Histogram:
    """One histogram to draw: what it counts, with its unit, and on which axis. Without values it says `absent`."""

    title: str
    values: Values
    logarithmic: bool = False
    absent: str = "not in these shards"


def figures_of(table: np.ndarray, samples: Sequence[tuple[ShardSet, int]]) -> list[Histogram]:
    """The histograms of a table of samples; depth is that of `samples`, some of them."""
    return [
        Histogram("rain rate [mm/h]", _column(table, "rain_rate_mm_h"), logarithmic=True),
        Histogram("PSNR-Y of the rainy picture [dB]", _column(table, "psnr_y_db")),
        Histogram("part of the picture that streaks cover", _column(table, "coverage_fraction")),
        Histogram("slant of the streaks from the vertical [degrees]", slant_deg(table)),
        Histogram(
            f"depth, pixels of {len(samples)} samples [m]", _depths_m(samples), logarithmic=True, absent="not stored"
        ),
        Histogram("difficulty, 0 to 1", _column(table, "difficulty")),
    ]


def slant_deg(table: np.ndarray) -> Values:
    """Slant of each sample's streaks from the vertical [degrees], positive to the right, seen by a level camera.

    arctan(wind to the right / fall speed) of a drop of the median volume diameter D0 = 0.895 R^0.21 mm. Smaller drops
    slant more, and turbulence scatters all of them about it.
    """
    if not {"wind_right_m_s", "rain_rate_mm_h"} <= set(table.dtype.names or ()):
        return np.empty(0)
    table = table[np.isfinite(table["rain_rate_mm_h"])]
    rate_mm_h = table["rain_rate_mm_h"].astype(np.float64)
    diameter_mm = np.clip(MEDIAN_DIAMETER_MM * rate_mm_h**MEDIAN_DIAMETER_POWER, 0.2, 5.0)
    return np.degrees(np.arctan2(table["wind_right_m_s"], fall_speed_m_s(diameter_mm)))


def draw_histograms(path: Path, histograms: Sequence[Histogram]) -> None:
    """Write histograms as one PNG, three in a row."""
    from matplotlib.figure import Figure

    rows = -(-len(histograms) // 3)
    figure = Figure(figsize=(12, 3 * rows), layout="constrained")
    for axes, histogram in zip(np.ravel(figure.subplots(rows, 3)), histograms, strict=False):
        axes.set(xlabel=histogram.title)
        values = histogram.values[np.isfinite(histogram.values)]
        if len(values) == 0:
            axes.text(0.5, 0.5, histogram.absent, ha="center", va="center", transform=axes.transAxes, color="0.5")
            axes.set(xticks=[], yticks=[])
            continue
        axes.hist(values, bins=_edges(values, histogram.logarithmic), color="tab:blue")
        if histogram.logarithmic:
            _logarithmic_axis(axes, values)
        axes.axvline(float(np.median(values)), color="0.2", linewidth=1, linestyle="--")
        axes.set_title(f"median {np.median(values):.3g}", fontsize=9, loc="right")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100)


def _logarithmic_axis(axes: Any, values: Values) -> None:
    """A logarithmic axis with plain numbers at 1, 2 and 5 of every decade."""
    ticks = [digit * 10.0**power for power in range(-4, 5) for digit in (1, 2, 5)]
    inside = [tick for tick in ticks if values.min() <= tick <= values.max()]
    axes.set_xscale("log")
    axes.set_xticks(inside, [f"{tick:g}" for tick in inside])
    axes.set_xticks([], minor=True)


def _edges(values: Values, logarithmic: bool) -> Values:
    low, high = float(values.min()), float(values.max())
    if low == high:
        low, high = (low / 1.1, high * 1.1) if logarithmic else (low - 0.5, high + 0.5)
    bins = int(np.clip(2 * len(values) ** 0.5, 5, MAX_BINS))
    return np.geomspace(low, high, bins + 1) if logarithmic else np.linspace(low, high, bins + 1)


def _column(table: np.ndarray, name: str) -> Values:
    values = table[name].astype(np.float64) if name in (table.dtype.names or ()) else np.empty(0)
    return values[np.isfinite(values)]


def _depths_m(samples: Sequence[tuple[ShardSet, int]]) -> Values:
    found = [
        shards[index].depth_m[::DEPTH_STEP_PX, ::DEPTH_STEP_PX].ravel()
        for shards, index in samples
        if "depth_m" in shards.layer_names(index)
    ]
    return np.concatenate(found).astype(np.float64) if found else np.empty(0)
