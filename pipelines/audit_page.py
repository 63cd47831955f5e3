"""A page about an audited set that needs nothing beside it: tables, faults, odd pictures and histograms."""

from __future__ import annotations

import base64
import tempfile
from html import escape
from pathlib import Path

import numpy as np

from pipelines.audit_report import AuditReport
from pipelines.histograms import Histogram, draw_histograms
from pipelines.page import STYLE, table_html

SHOWN = {
    "psnr_y_db": "PSNR-Y of the rainy picture (dB)",
    "ssim_y": "SSIM-Y of the rainy picture",
    "residual_codes": "residual of the blend (codes)",
    "coverage_above_10_codes": "part of the picture above 10 codes",
    "level_at_50_percent_codes": "median level of streaks (codes)",
    "darkened_fraction": "pixels with a channel that rain darkens",
    "width_px": "width of streaks (px)",
    "length_px": "length of streaks (px)",
}
NOTES = (
    "The residual is what a formula misses by, over the equations that are left to judge by: rounding alone gives 0.29 "
    "codes, and 0 is bit-exact. Of formulas that miss no more than the best, the simplest is named. "
    "Widths are full widths at half maximum of the autocorrelation across the streaks, lengths the base of the "
    "triangle that it falls along them: bright and large streaks count most. Angles are from vertical, positive where "
    "the lower end lies to the right. Odd pictures are over four robust standard deviations from the median."
)


def write_audit_page(path: Path, report: AuditReport) -> None:
    """Write one HTML file, whole or not at all."""
    sections = [
        f"<h1>Audit of {escape(Path(report.path).name)}</h1>",
        *(f"<p>{escape(line)}</p>" for line in report.lines()),
        f"<h2>Faults: {len(report.faults)}</h2>",
        _list(report.faults, "None was found."),
        "<h2>Which formula made the rainy pictures</h2>",
        table_html(report.formula_table()),
        "<h2>What the rain looks like</h2>",
        table_html(report.table()),
        _histograms(report),
        "<h2>Odd pictures</h2>",
        _list(report.odd(), "None."),
        f"<p>{escape(NOTES)}</p>",
    ]
    head = f"<!doctype html><html lang=en><meta charset=utf-8><title>Audit</title><style>{STYLE}</style>"
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(head + "\n".join(sections) + "</html>\n", encoding="utf-8")
    part.replace(path)


def histograms_of(report: AuditReport) -> list[Histogram]:
    """Histograms of the figures that are shown, and of every direction that was found."""
    directions = np.array([angle for _, one in report.measured() for angle in one.streaks.directions_deg])
    found = [Histogram(title, report.column(name), absent="no streaks") for name, title in SHOWN.items()]
    return [*found, Histogram("directions of streaks (degrees from vertical)", directions, absent="no streaks")]


def _histograms(report: AuditReport) -> str:
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "histograms.png"
        draw_histograms(picture, histograms_of(report))
        data = base64.b64encode(picture.read_bytes()).decode()
    return f'<img src="data:image/png;base64,{data}" alt="Histograms"><p>Pairs by figure; dashed: the median.</p>'


def _list(lines: list[str], none: str) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>" if lines else f"<p>{none}</p>"
