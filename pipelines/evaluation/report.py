"""The report of an evaluation: a folder with one page, `report.html`, and its pictures; it needs no network."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import Any

from pipelines.audit_pairs import spread
from pipelines.evaluation.figures import DERAINED, RAINY, Row
from pipelines.evaluation.methods import Method
from pipelines.evaluation.pairs import Picture, Pictures
from pipelines.evaluation.report_pictures import FOLDER, WHITE_CODES, result_name, write_view
from pipelines.evaluation.summary import WORDS, TextRow, figure_title, gain_db, is_paired
from pipelines.new_folder import new_folder
from pipelines.page import STYLE, table_html
from pipelines.picture_files import write_whole
from pipelines.progress import progress
from rainsynth.metrics import METRICS
from rainsynth.pictures import write_picture

PAGE_NAME = "report.html"
MOST_SHOWN = 24  # choice: pictures that can be looked at; all are in the table
SIGNIFICANT = 7  # digits of figures on the page
GAIN = "gain_db"
FIRST_OF_PHOTOGRAPHS = ("streak_energy_left", "rest_kept")
LESS_IS_BETTER = ("change_outside_codes", "streak_energy_left")
NEITHER = ("outside_fraction", "direction_deg", "streak_fraction", "gradient_ratio_outside", "error_share", "shift",
           "luma_change")  # fmt: skip


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, rows of a table under it, and what they mean."""

    title: str
    rows: list[TextRow]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """A report under way, in a hidden folder beside its place."""

    part: Path

    def keep(self, index: int, number: int, derained: Picture) -> None:
        """Keep what network `number` made of picture `index`."""
        write_picture(self.part / result_name(index, number), derained)

    def finish(
        self,
        title: str,
        sections: Sequence[Section],
        pictures: Pictures[Any],
        methods: Sequence[Method],
        rows: dict[str, list[Row]],
    ) -> None:
        """Write pictures and page; results that the page does not show are taken away."""
        views: dict[int, dict[str, Any]] = {}
        chosen = shown_pictures(rows)
        with progress("report", len(chosen)) as advance:
            for index in chosen:
                views[index] = write_view(self.part, index, pictures.read(index), methods)
                advance()
        named = {Path(file).name for view in views.values() for file in view["derained"]}
        for network in range(len(methods)):
            for path in (self.part / FOLDER).glob(f"*-{network}.png"):
                if path.name not in named:
                    path.unlink()
        write_whole(self.part / PAGE_NAME, page_html(title, sections, page_data(rows, views)).encode())


@contextmanager
def new_report(folder: Path) -> Iterator[Report]:
    """A report that stands at `folder` once all is done, whole or not at all.

    Raises InputError unless the folder is new or empty.
    """
    with new_folder(folder, "--report") as part:
        (part / FOLDER).mkdir()
        yield Report(part)


def shown_pictures(rows: dict[str, list[Row]], most: int = MOST_SHOWN) -> list[int]:
    """Numbers of the pictures that can be looked at: half of them the worst of every method, the rest evenly spread."""
    count = len(next(iter(rows.values())))
    each = max(1, most // 2 // len(rows))
    worst = {index for lines in rows.values() for index in _from_worst(lines)[:each]}
    others = [index for index in range(count) if index not in worst]
    return sorted([*worst, *(others[place] for place in spread(len(others), max(most - len(worst), 0)))])


def page_data(rows: dict[str, list[Row]], views: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """What the page's script works on."""
    first = next(iter(rows.values()))
    keys = page_figures(first[0])
    lines = []
    for index, row in enumerate(first):
        after = [{one["key"]: _rounded(_after(lines[index], one["key"])) for one in keys} for lines in rows.values()]
        before = {one["key"]: _rounded(row[f"{one['key']}_{RAINY}"]) for one in keys if one["before"]}
        lines.append({"name": row["name"], "class": row["class"], "before": before, "after": after})
        if index in views:
            lines[-1]["view"] = views[index]
    against = "Error against the target" if is_paired(first) else "Change of the photograph"
    return {
        "methods": list(rows),
        "classes": any(row["class"] for row in first),
        "figures": keys,
        "errors": f"{against}, in luma: black none, yellow {WHITE_CODES:.0f} codes and more",
        "rows": lines,
    }


def page_figures(row: Row) -> list[dict[str, Any]]:
    """Figures that the page offers: key, title, digits, whether the rainy picture has one, and which way is better."""
    keys = [GAIN] if is_paired([row]) else list(FIRST_OF_PHOTOGRAPHS)
    for name in row:
        if name not in WORDS and not name.endswith(f"_{RAINY}"):
            stem = name.removesuffix(f"_{DERAINED}")
            keys.append(stem if f"{stem}_{RAINY}" in row else name)
    return [
        {
            "key": key,
            "title": "gain in PSNR-Y [dB]" if key == GAIN else figure_title(key),
            "digits": 2 if "psnr" in key or key in (GAIN, "direction_deg") else 4 if key in METRICS else 3,
            "before": f"{key}_{RAINY}" in row,
            "better": 0 if any(part in key for part in NEITHER) else -1 if key in LESS_IS_BETTER else 1,
        }
        for key in dict.fromkeys(keys)
    ]


def page_html(title: str, sections: Sequence[Section], data: dict[str, Any]) -> str:
    """The page, everything but its pictures in it."""
    parts = {
        "title": escape(title),
        "style": STYLE + _resource("page.css"),
        "tables": "\n".join(
            f'<h2>{escape(one.title)}</h2><div class="tables">{table_html(one.rows)}</div>'
            + (f"<p>{escape(one.note)}</p>" if one.note else "")
            for one in sections
        ),
        "data": json.dumps(data).replace("<", "\\u003c"),
        "script": _resource("page.js"),
    }
    before, *rest = _resource("page.html").split("{{")
    return before + "".join(parts[name] + text for name, _, text in (piece.partition("}}") for piece in rest))


def _from_worst(lines: list[Row]) -> list[int]:
    """Numbers of pictures, the worst first."""
    if is_paired(lines):
        return sorted(range(len(lines)), key=lambda index: gain_db(lines[index]))
    return sorted(range(len(lines)), key=lambda index: -(lines[index]["streak_energy_left"] or 0.0))


def _after(row: Row, key: str) -> float | None:
    if key == GAIN:
        return gain_db(row)
    return row[f"{key}_{DERAINED}"] if f"{key}_{DERAINED}" in row else row[key]


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.{SIGNIFICANT}g}")


def _resource(name: str) -> str:
    return (files("pipelines.evaluation") / name).read_text(encoding="utf-8")
