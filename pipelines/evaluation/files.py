"""Figures in files: JSON of everything, CSV of a line for each method and picture; whole or not at all."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

from pipelines.evaluation.figures import Row
from pipelines.evaluation.summary import Summary
from pipelines.picture_files import write_whole


def as_json(summaries: dict[str, Summary], more: dict[str, Any]) -> dict[str, Any]:
    """Summaries by method, and `more`; of a single method its figures stand at the top as well."""
    top = dict(next(iter(summaries.values()))) if len(summaries) == 1 else {}
    return top | more | {"methods": summaries}


def write_figures(path: Path, figures: dict[str, Any]) -> None:
    """Write figures as JSON, whole or not at all."""
    write_whole(path, (json.dumps(figures, indent=1) + "\n").encode())


def write_rows(path: Path, rows: dict[str, list[Row]]) -> None:
    """Write a CSV line for each method and picture: method, picture, class, every figure; empty where it is not known.

    Numbers are written so that they come back to the last bit.
    """
    names = [name for name in next(iter(rows.values()))[0] if name != "name"]
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["method", "picture", *names])
    for method, lines in rows.items():
        writer.writerows([method, line["name"], *(_cell(line[name]) for name in names)] for line in lines)
    write_whole(path, text.getvalue().encode())


def _cell(value: Any) -> str:
    return "" if value is None else value if isinstance(value, str) else repr(value)
