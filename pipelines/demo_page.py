"""The demo's page: figures, pictures side by side, the training curve, and what a sample holds."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.evaluate import Pair
from pipelines.sheets import contact_sheet, grey_picture
from pipelines.train import plot_curve
from rainsynth.metrics import psnr_y
from rainsynth.pictures import write_picture
from rainsynth.presets import RAIN_CLASSES
from rainsynth.shards.reader import open_shards

ALPHA_WHITE = 0.25

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; padding: 0 1rem; color: #222 }
table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .3rem .8rem; text-align: right; border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left }
.row { display: grid; grid-template-columns: repeat(auto-fit, minmax(240px, 1fr)); gap: .6rem; margin: .6rem 0 1.4rem }
figure { margin: 0 } img { width: 100%; display: block } figcaption { font-size: .85rem; color: #555 }
"""


def write_page(
    out: Path, figures: dict[str, Any], kept: list[tuple[Pair, np.ndarray]], held_out: Path, table: list[dict[str, str]]
) -> None:
    """Write `out`/index.html and the pictures it shows."""
    plot_curve(out / "run", out / "pictures" / "training_curve.png")
    write_picture(out / "pictures" / "overview.jpg", _overview(kept, figures))
    sections = [
        "<h1>rainsynth demo</h1>",
        "<p>Calibrated rain on photographs that ship inside Python packages; a small MSPFN trained on it from light to"
        " heavy rain; and that network on two photographs it never saw. Streaks are to be taken off, the veil stays:"
        " every figure is against the veiled target.</p>",
        _table(table),
        _figure("pictures/overview.jpg", "From moderate to violent rain, PSNR on Y against the target."),
        *(_class_row(out, name, kept, figures) for name in RAIN_CLASSES if name in figures["per_class"]),
        "<h2>Training, from light to heavy</h2>",
        _figure(
            "pictures/training_curve.png", "Loss (negative PSNR) by step, and below it the curriculum's stages by name."
        ),
        "<h2>What a sample holds</h2>",
        _layers(out, held_out),
    ]
    page = f"<!doctype html><html lang=en><meta charset=utf-8><title>rainsynth demo</title><style>{STYLE}</style>"
    (out / "index.html").write_text(page + "\n".join(sections) + "</html>\n", encoding="utf-8")


def _heaviest(name: str, kept: list[tuple[Pair, np.ndarray]]) -> tuple[Pair, np.ndarray]:
    """The picture of a class of rain that has the most streaks, with its derained picture."""
    members = [(pair, derained) for pair, derained in kept if pair.rain_class == name]
    return max(members, key=lambda member: float(member[0].streak_mask.mean()))  # type: ignore[union-attr]


def _overview(kept: list[tuple[Pair, np.ndarray]], figures: dict[str, Any]) -> np.ndarray:
    """Contact sheet: for moderate to violent rain, the clean picture, the rainy, the derained, and its target."""
    rows = []
    for name in [name for name in figures["per_class"] if name != "light"]:
        pair, derained = _heaviest(name, kept)
        before, after = psnr_y(pair.rainy_srgb8, pair.target_srgb8), psnr_y(derained, pair.target_srgb8)
        rows.append(
            [
                ("clean photograph", pair.clean_srgb8),
                (f"{name} rain: {before:.1f} dB", pair.rainy_srgb8),
                (f"derained: {after:.1f} dB", derained),
                ("target: streaks gone, veil kept", pair.target_srgb8),
            ]
        )
    return contact_sheet(rows, 320)


def _class_row(out: Path, name: str, kept: list[tuple[Pair, np.ndarray]], figures: dict[str, Any]) -> str:
    """The class's heaviest streaks: clean, rainy, derained and target side by side, and a zoom on each."""
    pair, derained = _heaviest(name, kept)
    group = figures["per_class"][name]
    low, high = RAIN_CLASSES[name]
    pictures = {
        "clean": pair.clean_srgb8,
        "rainy": pair.rainy_srgb8,
        "derained": derained,
        "target": pair.target_srgb8,
    }
    zoom = _busiest_window(pair)
    parts = [f"<h2>{name.capitalize()} rain, {low:g} to {high:g} mm/h</h2>"]
    parts.append(
        f"<p>{group['pictures']} pictures: {group['psnr_y_rainy']:.2f} dB before, {group['psnr_y_derained']:.2f} dB"
        " after (PSNR on Y).</p>"
    )
    for kind, window in (("whole", np.s_[:, :]), ("zoom", zoom)):
        parts.append('<div class="row">')
        for state, picture in pictures.items():
            shown = picture[window]
            if kind == "zoom":
                shown = np.repeat(np.repeat(shown, 4, axis=0), 4, axis=1)
            write_picture(out / "pictures" / f"{name}_{state}_{kind}.png", shown)
            parts.append(_figure(f"pictures/{name}_{state}_{kind}.png", f"{state} ({kind}), {pair.name}"))
        parts.append("</div>")
    return "\n".join(parts)


def _busiest_window(pair: Pair, size_px: int = 96) -> tuple[slice, slice]:
    """The window in which rain changed the picture most."""
    change = np.abs(pair.rainy_srgb8.astype(np.float64) - pair.target_srgb8).sum(axis=2)
    size_px = min(size_px, *change.shape)
    total = np.pad(change.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = total[size_px:, size_px:] - total[:-size_px, size_px:] - total[size_px:, :-size_px]
    inside = inside + total[:-size_px, :-size_px]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return slice(int(top), int(top) + size_px), slice(int(left), int(left) + size_px)


def _layers(out: Path, held_out: Path) -> str:
    shards = open_shards(held_out)
    index = int(np.argmax(shards.table["coverage_fraction"]))
    sample = shards.whole(index)
    pictures = {
        "clean_srgb8": sample.clean_srgb8,
        "veiled_srgb8": sample.veiled_srgb8,
        "rainy_srgb8": sample.rainy_srgb8,
        "streak_alpha": grey_picture(sample.streak_alpha, ALPHA_WHITE),
        "transmission": grey_picture(sample.transmission),
        "depth_m": grey_picture(sample.depth_m, float(sample.depth_m.max())),
    }
    parts = ['<div class="row">']
    for name, picture in pictures.items():
        write_picture(out / "pictures" / f"layer_{name}.png", picture)
        parts.append(_figure(f"pictures/layer_{name}.png", name))
    parts.append("</div>")
    rows = [
        {"parameter": name, "value": f"{value:.6g}" if isinstance(value, float) else str(value)}
        for name, value in sample.parameters.items()
    ]
    return "\n".join(parts) + _table(rows)


def _figure(source: str, caption: str) -> str:
    text = escape(caption)
    return f'<figure><img src="{escape(source)}" alt="{text}"><figcaption>{text}</figcaption></figure>'


def _table(rows: list[dict[str, str]]) -> str:
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row.values()) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"
