"""A page about a data set that needs nothing beside it: pictures are inside the file."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from pipelines.difficulty import difficulty
from pipelines.page import STYLE, table_html


def write_page(path: Path, name: str, summary: str, rows: list[dict[str, str]], sheet: Path, histograms: Path) -> None:
    """Write one HTML file: the table, the contact sheet and the histograms of a data set."""
    sections = [
        f"<h1>{escape(name)}</h1>",
        f"<p>{escape(summary)}</p>",
        table_html(rows),
        "<h2>From light to heavy</h2>",
        _picture(sheet, "Samples in the order of their rain rate."),
        "<h2>Histograms</h2>",
        _picture(histograms, "Dashed: the median."),
        "<h2>Difficulty</h2>",
        f"<pre>{escape(' '.join((difficulty.__doc__ or '').split('p is')[0].split()))}</pre>",
    ]
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(name)}</title><style>{STYLE}</style>"
    path.write_text(head + "\n".join(sections) + "</html>\n", encoding="utf-8")


def _picture(path: Path, caption: str) -> str:
    kind = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp"}.get(path.suffix.lower(), "png")
    data = base64.b64encode(path.read_bytes()).decode()
    return f'<img src="data:image/{kind};base64,{data}" alt="{escape(caption)}"><p>{escape(caption)}</p>'
