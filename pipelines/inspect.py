"""`rainsynth inspect`: what a data set looks like, as a contact sheet and a short table."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.sheets import contact_sheet, grey_picture
from rainsynth.checks import check_in_range
from rainsynth.pictures import write_picture
from rainsynth.presets import RAIN_CLASSES, rain_class
from rainsynth.shards.reader import ShardSet, open_shards

ALPHA_WHITE = 0.25  # streak coverage that is shown as white


def inspect(folder: Path, sheet: Path, rows: int = 8) -> list[dict[str, str]]:
    """Write a contact sheet of `rows` samples from light to violent, and return a table row per class of rain."""
    check_in_range(rows, 1, 200, "rows")
    shards = open_shards(folder)
    order = np.argsort(shards.table["rain_rate_mm_h"], kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(rows, len(order))).round().astype(int)]
    write_picture(sheet, contact_sheet([_row(shards, int(index)) for index in chosen], 300))
    return class_table(shards)


def class_table(shards: ShardSet) -> list[dict[str, str]]:
    """Samples, rates, input PSNR, coverage and transmission of each class of rain, as text."""
    table = shards.table
    classes = np.array([rain_class(rate) for rate in table["rain_rate_mm_h"]])
    rows = []
    for name in RAIN_CLASSES:
        part = table[classes == name]
        if len(part) == 0:
            continue
        rates = part["rain_rate_mm_h"]
        row = {"class": name, "samples": str(len(part)), "mm/h": f"{rates.min():.2g} to {rates.max():.3g}"}
        if "psnr_y_db" in part.dtype.names:
            finite = part["psnr_y_db"][np.isfinite(part["psnr_y_db"])]
            row["PSNR-Y of input"] = f"{finite.mean():.1f} dB" if len(finite) else "-"
        row["covered"] = f"{100 * part['coverage_fraction'].mean():.1f} %"
        row["transmission"] = f"{part['mean_transmission'].mean():.2f}"
        row["drops"] = f"{part['drop_count'].mean():.0f}"
        rows.append(row)
    return rows


def _row(shards: ShardSet, index: int) -> list[tuple[str, np.ndarray]]:
    sample = shards[index]
    values = sample.parameters
    exposure = f"1/{1 / values['exposure_s']:.0f} s"
    pictures = [
        (f"clean (sample {values['index']})", sample.clean_srgb8),
        (f"rainy: {values['rain_rate_mm_h']:.1f} mm/h, {exposure}, {values['preset']}", sample.rainy_srgb8),
    ]
    stored = shards.layer_names(index)
    if "transmission16" in stored:
        pictures.append(("veiled: the target without streaks", sample.veiled_srgb8))
    if "streak_alpha16" in stored:
        alpha = grey_picture(sample.streak_alpha, ALPHA_WHITE)
        pictures.append((f"streak alpha, white at {ALPHA_WHITE}: {values['drop_count']} drops", alpha))
    return pictures
