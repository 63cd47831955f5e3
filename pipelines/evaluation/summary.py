"""Figures of many pictures: mean, median, by class of rain, the worst; and tables of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.evaluation.figures import DERAINED, LAYERS, RAINY, Row
from rainsynth.metrics import METRICS
from rainsynth.presets import RAIN_CLASSES

Summary = dict[str, Any]
TextRow = dict[str, str]
WORST = 10  # pictures of least gain that are named
NOT_MEASURED = "-"
WORDS = ("name", "class")  # columns of a row that hold no figure
# Titles and forms of what has a figure before and after.
FIDELITY = {
    "psnr_y": ("PSNR-Y", ".2f"),
    "psnr_y_streaks": ("in streaks", ".2f"),
    "ssim_y": ("SSIM-Y", ".4f"),
    "psnr_rgb": ("PSNR-RGB", ".2f"),
}
UNTOLD = ("ssim_rgb",)  # in files alone: a table has to fit a terminal
HARM = {
    "clean_psnr_y": ("clean in", ".2f"),
    "outside_fraction": ("outside", ".0%"),
    "change_outside_codes": ("change", ".2f"),
    "luma_change_outside_codes": ("luma", "+.2f"),
    "a_shift_outside": ("a*", "+.2f"),
    "b_shift_outside": ("b*", "+.2f"),
    "gradient_ratio_outside": ("gradients", ".3f"),
}
REAL = {
    "streak_fraction": ("streaks cover", ".1%"),
    "streak_energy_left": ("streak energy left", ".3f"),
    "rest_kept": ("rest kept", ".4f"),
}


def summary_of(rows: Sequence[Row], clean_psnr_db: Sequence[float] = ()) -> Summary:
    """Means over pictures at the top, medians, classes of rain, the worst by gain, and every picture's figures.

    `clean_psnr_db` are those of derained clean pictures, of which the mean is kept.
    """
    classes = {name: [row for row in rows if row["class"] == name] for name in RAIN_CLASSES}
    found = means(rows) | {"median": medians(rows)}
    if clean_psnr_db:
        found |= {"clean_psnr_y": float(np.mean(clean_psnr_db)), "clean_pictures": len(clean_psnr_db)}
    found["per_class"] = {name: means(part) for name, part in classes.items() if part}
    return found | {"worst": worst(rows), "per_picture": list(rows)}


def means(rows: Sequence[Row]) -> Summary:
    """Mean of every figure over pictures, and their number; a figure that some lack is averaged over the others."""
    return {"pictures": len(rows)} | {name: float(np.mean(values)) for name, values in _columns(rows).items()}


def medians(rows: Sequence[Row]) -> Summary:
    """Median of every figure over the pictures that have it, and of the gain."""
    found = {name: float(np.median(values)) for name, values in _columns(rows).items()}
    return found | ({"gain_db": float(np.median([gain_db(row) for row in rows]))} if is_paired(rows) else {})


def is_paired(rows: Sequence[Row]) -> bool:
    """Whether figures are of pairs, not of photographs without truth."""
    return f"psnr_y_{DERAINED}" in rows[0]


def gain_db(row: Row) -> float:
    """By how much PSNR-Y of the derained picture is above that of the rainy one [dB]."""
    return row[f"psnr_y_{DERAINED}"] - row[f"psnr_y_{RAINY}"]


def worst(rows: Sequence[Row]) -> list[Row]:
    """The ten pictures of least gain in PSNR-Y, the worst first; of photographs those with most streak energy left."""
    if is_paired(rows):
        ranked = sorted(rows, key=gain_db)
        return [{"name": row["name"], "class": row["class"], "gain_db": gain_db(row)} for row in ranked[:WORST]]
    known = [row for row in rows if row["streak_energy_left"] is not None]
    ranked = sorted(known, key=lambda row: -row["streak_energy_left"])
    return [{"name": row["name"], "streak_energy_left": row["streak_energy_left"]} for row in ranked[:WORST]]


def figure_table(summary: Summary) -> list[TextRow]:
    """Figures of one method before and after as rows of text: one per class of rain, then all."""
    groups = {**summary["per_class"], "all": summary}
    return [{"rain": name, "pictures": str(group["pictures"])} | _before_after(group) for name, group in groups.items()]


def method_table(summaries: dict[str, Summary]) -> list[TextRow]:
    """Figures of several methods: the rainy pictures and each method, by class of rain and over all."""
    first = next(iter(summaries.values()))
    rows = []
    for name in [*first["per_class"], "all"]:
        groups = {way: one if name == "all" else one["per_class"][name] for way, one in summaries.items()}
        parts = [("rainy", RAINY, next(iter(groups.values()))), *((way, DERAINED, one) for way, one in groups.items())]
        for way, state, group in parts:
            head = {"rain": name, "pictures": str(group["pictures"]), "method": way}
            told = {title: _told(group, f"{key}_{state}", form) for key, (title, form) in _shown(group).items()}
            rows.append(head | told)
    return _even(rows)


def gain_table(summaries: dict[str, Summary]) -> list[TextRow]:
    """Gain in PSNR-Y of every method [dB], mean, median and worst."""
    return [
        {
            "method": way,
            "mean gain": f"{one[f'psnr_y_{DERAINED}'] - one[f'psnr_y_{RAINY}']:+.2f}",
            "median": f"{one['median']['gain_db']:+.2f}",
            "worst": f"{one['worst'][0]['gain_db']:+.2f}",
            "picture": one["worst"][0]["name"],
        }
        for way, one in summaries.items()
    ]


def layer_table(summaries: dict[str, Summary]) -> list[TextRow]:
    """PSNR-Y by layer of the rain [dB], and what part of the error left lies there; [] where layers are not known."""
    return [
        {
            "method": way,
            "layer": layer,
            "PSNR-Y": f"{one[f'psnr_y_{layer}_{RAINY}']:.2f} -> {one[f'psnr_y_{layer}_{DERAINED}']:.2f}",
            "error left": _told(one, f"error_share_{layer}_{DERAINED}", ".0%"),
        }
        for way, one in summaries.items()
        for layer in LAYERS
        if f"psnr_y_{layer}_{DERAINED}" in one
    ]


def harm_table(summaries: dict[str, Summary]) -> list[TextRow]:
    """Harm by every method as text: derained clean pictures, and changes outside the rain."""
    return _figure_rows(summaries, HARM)


def real_table(summaries: dict[str, Summary]) -> list[TextRow]:
    """Figures of photographs without truth, by method."""
    return _figure_rows(summaries, REAL)


def worst_table(summaries: dict[str, Summary]) -> list[TextRow]:
    """The worst pictures of every method, a column each, the worst first."""
    most = max(len(one["worst"]) for one in summaries.values())
    return [
        {"worst": str(rank + 1)}
        | {way: _worst_words(one["worst"][rank]) if rank < len(one["worst"]) else "" for way, one in summaries.items()}
        for rank in range(most)
    ]


def _columns(rows: Sequence[Row]) -> dict[str, list[float]]:
    """Values of every figure; of one that no picture has there is no column."""
    names = [name for name in rows[0] if name not in WORDS]
    columns = {name: [row[name] for row in rows if row[name] is not None] for name in names}
    return {name: values for name, values in columns.items() if values}


def figure_title(key: str) -> str:
    """What a figure is called: PSNR-Y in streaks [dB] for psnr_y_streaks, SSIM-Y for ssim_y, else its own words."""
    known = next((name for name in sorted(METRICS, key=len, reverse=True) if key.startswith(name)), "")
    if not known:
        return key.replace("_", " ")
    words = known.upper().replace("_", "-").replace("-ROUNDED", " rounded").replace("-REPEATED", " repeated")
    layer = key[len(known) + 1 :]
    return f"{words}{f' in {layer}' if layer else ''}{' [dB]' if 'psnr' in key else ''}"


def _shown(group: Summary) -> dict[str, tuple[str, str]]:
    """Title and form of what a table shows before and after: the usual figures, and what else was asked for."""
    asked = [name for name in METRICS if name not in FIDELITY and name not in UNTOLD]
    every = FIDELITY | {
        name: (figure_title(name).removesuffix(" [dB]"), ".2f" if "psnr" in name else ".4f") for name in asked
    }
    return {name: told for name, told in every.items() if f"{name}_{RAINY}" in group}


def _before_after(group: Summary) -> TextRow:
    return {
        title: f"{group[f'{name}_{RAINY}']:{form}} -> {group[f'{name}_{DERAINED}']:{form}}"
        for name, (title, form) in _shown(group).items()
    }


def _figure_rows(summaries: dict[str, Summary], figures: dict[str, tuple[str, str]]) -> list[TextRow]:
    kept = [key for key in figures if any(key in one for one in summaries.values())]
    return [
        {"method": way} | {figures[key][0]: _told(one, key, figures[key][1]) for key in kept}
        for way, one in summaries.items()
    ]


def _told(group: Summary, key: str, form: str) -> str:
    return f"{group[key]:{form}}" if key in group else NOT_MEASURED


def _even(rows: list[TextRow]) -> list[TextRow]:
    """The same rows with the columns of all."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [{name: row.get(name, NOT_MEASURED) for name in names} for row in rows]


def _worst_words(one: Row) -> str:
    figure = f"{one['gain_db']:+.2f} dB" if "gain_db" in one else f"{one['streak_energy_left']:.3f}"
    return f"{one['name']} ({figure})"
