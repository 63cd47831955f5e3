"""The page of a study: the same words, tables and pictures as Markdown and as one HTML file."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from pipelines.page import STYLE, table_html
from pipelines.study_statistics import Interval

FIGURES_NAME, HTML_NAME, MARKDOWN_NAME = "figures.json", "report.html", "report.md"


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of a section."""

    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of equal columns."""

    rows: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Shown:
    """A picture beside the report, and what is said under it."""

    name: str
    caption: str


Block = str | Heading | Table | Shown | list[str]


def write_page(title: str, blocks: Sequence[Block], out: Path) -> None:
    """Write report.md and report.html into the folder `out`, where the pictures are already."""
    write_text(out / MARKDOWN_NAME, markdown(title, blocks))
    write_text(out / HTML_NAME, html(title, blocks, out))


def markdown(title: str, blocks: Sequence[Block]) -> str:
    """The report as Markdown, with its pictures beside it."""
    parts = [f"# {title}"]
    for block in blocks:
        match block:
            case Heading(text):
                parts.append(f"## {text}")
            case Table(rows):
                lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
                parts.append("\n".join(f"| {' | '.join(line)} |" for line in lines))
            case Shown(name, caption):
                parts.append(f"![{caption}]({name})\n\n{caption}")
            case list():
                parts.append("\n".join(f"- {line}" for line in block))
            case _:
                parts.append(block)
    return "\n\n".join(parts) + "\n"


def html(title: str, blocks: Sequence[Block], folder: Path) -> str:
    """The report as a page that needs nothing beside it; pictures are taken from `folder`."""
    parts = [f"<!doctype html><html lang=en><meta charset=utf-8><title>{escape(title)}</title><style>{STYLE}</style>"]
    parts.append(f"<h1>{escape(title)}</h1>")
    for block in blocks:
        match block:
            case Heading(text):
                parts.append(f"<h2>{escape(text)}</h2>")
            case Table(rows):
                parts.append(table_html(rows))
            case Shown(name, caption):
                data = base64.b64encode((folder / name).read_bytes()).decode()
                parts.append(
                    f'<img src="data:image/png;base64,{data}" alt="{escape(caption)}"><p>{escape(caption)}</p>'
                )
            case list():
                parts.append("<ul>" + "".join(f"<li>{escape(line)}</li>" for line in block) + "</ul>")
            case _:
                parts.append(f"<p>{escape(block)}</p>")
    return "\n".join(parts) + "</html>\n"


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def signed(interval: Interval) -> str:
    """A difference with its interval, as "+0.12 (-0.03 to +0.27)"."""
    mean, low, high = (round(value, 2) + 0.0 for value in (interval.mean, interval.low, interval.high))  # no -0.00
    return f"{mean:+.2f} ({low:+.2f} to {high:+.2f})"
