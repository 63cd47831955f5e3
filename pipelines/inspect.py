"""`rainsynth inspect`: what a data set looks like, as pictures, histograms, a page, and a short table."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pipelines.histograms import draw_histograms, figures_of
from pipelines.inspect_page import write_page
from pipelines.sheets import contact_sheet, grey_picture
from rainsynth.checks import InputError, check_count
from rainsynth.pictures import write_picture
from rainsynth.presets import RAIN_CLASSES, UNKNOWN_CLASS, rain_class
from rainsynth.shards.reader import ShardSet, open_shards
from rainsynth.shards.schema import SHARD_GLOB, join_tables

ALPHA_WHITE = 0.25  # streak coverage that is shown as white
MAX_SHARDS = 1000  # of a larger data set, so many are looked at, evenly spread
CELL_PX = 300


@dataclass(frozen=True, slots=True)
class DataSet:
    """Shards of a data set with the part of the split that each belongs to, and the table of all their samples.

    `shards_in_all` counts those of the data set, of which these are some.
    """

    shards: list[ShardSet]
    parts: list[str]
    table: np.ndarray
    shards_in_all: int

    def locate(self, index: int) -> tuple[ShardSet, int]:
        """The shard of a row of the table, and its row there."""
        ends = np.cumsum([len(shards) for shards in self.shards])
        place = int(np.searchsorted(ends, index, side="right"))
        return self.shards[place], index - (int(ends[place - 1]) if place else 0)

    def part_of_rows(self) -> np.ndarray:
        """Part of the split of every row of the table."""
        return np.repeat(self.parts, [len(shards) for shards in self.shards])


def inspect(folder: Path, sheet: Path, rows: int = 8) -> list[dict[str, str]]:
    """Write a contact sheet of `rows` samples from light to violent, histograms and a page of both beside it.

    Returns a table row per class of rain. `folder` is a data set, split or not, a folder of shards, or one shard.
    """
    check_count(rows, 1, 200, "rows")
    data = open_data_set(folder)
    order = np.argsort(data.table["rain_rate_mm_h"], kind="stable")
    chosen = order[np.linspace(0, len(order) - 1, min(rows, len(order))).round().astype(int)]
    write_picture(sheet, contact_sheet([_row(*data.locate(int(index))) for index in chosen], CELL_PX))
    table = class_table(data.table)
    histograms, page = written_beside(sheet)
    draw_histograms(histograms, figures_of(data.table, [data.locate(int(index)) for index in chosen]))
    write_page(page, str(folder), _summary(data), table + _part_rows(data), sheet, histograms)
    for shards in data.shards:
        shards.close()
    return table


def written_beside(sheet: Path) -> tuple[Path, Path]:
    """Where the histograms and the page of a contact sheet lie."""
    return sheet.with_name(f"{sheet.stem}_histograms.png"), sheet.with_suffix(".html")


def open_data_set(path: Path) -> DataSet:
    """The shards under a folder, parts of a split included, or one shard."""
    path = Path(path)
    files = [path] if path.is_file() else sorted(path.rglob(SHARD_GLOB))
    if not files:
        raise InputError(f"shards must be a folder with {SHARD_GLOB} or one such file, got {str(path)!r}.")
    looked_at = np.unique(np.linspace(0, len(files) - 1, min(len(files), MAX_SHARDS)).round().astype(int))
    shards, parts, tables = [], [], []
    for place in looked_at:
        opened = open_shards(files[place])
        shards.append(opened)
        parts.append("" if path.is_file() else files[place].parent.relative_to(path).as_posix().strip("."))
        tables.append(opened.table)
        opened.close()
    return DataSet(shards, parts, join_tables(tables), len(files))


def class_table(table: np.ndarray) -> list[dict[str, str]]:
    """Samples, rates, input PSNR, coverage, transmission and difficulty of each class of rain, as text."""
    classes = np.array([rain_class(rate) for rate in table["rain_rate_mm_h"]])
    return [
        _table_row("class", name, table[classes == name])
        for name in (*RAIN_CLASSES, UNKNOWN_CLASS)
        if (classes == name).any()
    ]


def _part_rows(data: DataSet) -> list[dict[str, str]]:
    parts = data.part_of_rows()
    named = [part for part in dict.fromkeys(data.parts) if part]
    return [_table_row("class", f"all of {part}", data.table[parts == part]) for part in named]


def _table_row(title: str, name: str, part: np.ndarray) -> dict[str, str]:
    rates = part["rain_rate_mm_h"][np.isfinite(part["rain_rate_mm_h"])]
    told = f"{rates.min():.2g} to {rates.max():.3g}" if len(rates) else "-"
    row = {title: name, "samples": str(len(part)), "mm/h": told}
    columns = part.dtype.names or ()
    if "psnr_y_db" in columns:
        finite = part["psnr_y_db"][np.isfinite(part["psnr_y_db"])]
        row["PSNR-Y of input"] = f"{finite.mean():.1f} dB" if len(finite) else "-"
    for key, column, form in (
        ("covered", "coverage_fraction", "{:.1%}"),
        ("transmission", "mean_transmission", "{:.2f}"),
        ("drops", "drop_count", "{:.0f}"),
        ("difficulty", "difficulty", "{:.2f}"),
    ):
        if column in columns:
            known = part[column][np.isfinite(part[column])]
            row[key] = form.format(known.mean()) if len(known) else "-"
    return row


def _summary(data: DataSet) -> str:
    sizes = {(int(row["width_px"]), int(row["height_px"])) for row in data.table}
    shown = ", ".join(f"{width}x{height}" for width, height in sorted(sizes)[:4])
    more = f" and {len(sizes) - 4} more sizes" if len(sizes) > 4 else ""
    told = f"{len(data.table)} samples in {len(data.shards)} shards, {shown}{more}"
    if data.shards_in_all > len(data.shards):
        told += f"; {len(data.shards)} of {data.shards_in_all} shards were looked at, evenly spread"
    return told


def _row(shards: ShardSet, index: int) -> list[tuple[str, np.ndarray]]:
    sample = shards[index]
    values = sample.parameters
    told = [str(values["preset"])] if values.get("preset") else []
    if np.isfinite(values.get("rain_rate_mm_h", np.nan)) and "exposure_s" in values:
        told = [f"{values['rain_rate_mm_h']:.1f} mm/h", f"1/{1 / values['exposure_s']:.0f} s", *told]
    pictures = [
        (f"clean (sample {values.get('index', index)})", sample.clean_srgb8),
        (f"rainy: {', '.join(told)}" if told else "rainy", sample.rainy_srgb8),
    ]
    stored = shards.layer_names(index)
    if "transmission16" in stored:
        pictures.append(("veiled: the target without streaks", sample.veiled_srgb8))
    if "streak_alpha16" in stored:
        alpha = grey_picture(sample.streak_alpha, ALPHA_WHITE)
        pictures.append((f"streak alpha, white at {ALPHA_WHITE}: {values['drop_count']} drops", alpha))
    return pictures
