"""What a fit looks like: a page with its numbers, the photographs beside pictures of the fit, and both's statistics."""

from __future__ import annotations

from html import escape
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from pipelines.fit import Fit
from pipelines.fit_camera import camera_line
from pipelines.fit_config import blend_line, choice_of_fit, combinations, rows_of_fit
from pipelines.fit_families import PHYSICAL
from pipelines.fit_rounds import sample_like, statistics_of
from pipelines.page import STYLE, table_html
from pipelines.picture_files import write_whole
from pipelines.sheets import contact_sheet
from rainsynth.measure.rain_statistics import ACROSS_PX, ALONG_PX, MIDDLE_PX, PERCENTILES, as_row
from rainsynth.pictures import write_picture

PAGE_NAME, SHEET_NAME, CURVES_NAME = "report.html", "pictures.png", "statistics.png"
FIRST_INDEX = 9_000_000  # of the pictures of the fit; the search's own have smaller ones
PICTURES = 40  # of the fit, to be measured
SHOWN = 8  # photographs, and as many pictures of the fit
COLUMNS = 4  # of the sheet
UNTOLD_OF_RANGES = "at their likeliest value, or all over their range where nothing is known"
UNTOLD_OF_KINDS = "as those simulated pictures had them that were most like the photographs"
UNTOLD_OF_MATCHED = "as layers have them that are like the streaks taken off the photographs, and so are all others"
SHOWN_STATISTICS = 12
CELL_PX = 240

Photo = UInt8[np.ndarray, "h w 3"]
Rows = Float[np.ndarray, "rows columns"]


def write_report(folder: Path, fit: Fit) -> dict[str, float]:
    """Write report.html, pictures.png and statistics.png; how far the fit's statistics are from the photographs'.

    For each statistic the difference of the means in standard deviations of a picture, fit less photographs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wholes, fitted = pictures_of_fit(fit)
    differences = (fitted.mean(axis=0) - fit.observed.mean(axis=0)) / np.maximum(fit.observed.std(axis=0), 1e-6)
    found = dict(zip(fit.statistic_names, differences.tolist(), strict=True))
    write_picture(folder / SHEET_NAME, sheet_of(fit, wholes))
    draw_curves(folder / CURVES_NAME, fit, fitted)
    write_whole(folder / PAGE_NAME, page(fit, found).encode())
    return found


def pictures_of_fit(fit: Fit) -> tuple[list[Photo], Rows]:
    """Clean photographs in the fitted rain: a few whole ones, and the statistics of all."""
    choice, wholes, rows = choice_of_fit(fit), [], []
    for number in range(PICTURES):
        rainy = fit.setting.rainy[number % len(fit.setting.rainy)]
        sample = sample_like(fit.setting, rainy, choice.family, name=choice.label, index=FIRST_INDEX + number)
        top, left, height, width = rainy.window
        seen = np.ascontiguousarray(sample.rainy_srgb8[top : top + height, left : left + width])
        rows.append(as_row(statistics_of(fit.setting, fit.search, seen)))
        if number < SHOWN:
            wholes.append(sample.rainy_srgb8)
    return wholes, np.array(rows)


def sheet_of(fit: Fit, wholes: list[Photo]) -> Photo:
    """The first photographs, low ones before high ones, each over a picture of the fit of its size."""
    pairs = [(one.path.name, one.picture(), whole) for one, whole in zip(fit.setting.rainy, wholes, strict=False)]
    pairs.sort(key=lambda pair: pair[1].shape[0] / pair[1].shape[1])
    rows = []
    for shown in (pairs[first : first + COLUMNS] for first in range(0, len(pairs), COLUMNS)):
        rows.append([(name, photo) for name, photo, _ in shown])
        rows.append([("the fit, elsewhere", whole) for _, _, whole in shown])
    return contact_sheet(rows, CELL_PX)


def draw_curves(path: Path, fit: Fit, fitted: Rows) -> None:
    """Autocorrelations along and across the streaks and levels of the hats: photographs, and pictures of the fit."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    names = list(fit.statistic_names)
    curves = {
        "weighed by texture, along [px]": (ALONG_PX, [f"weighed_along_{at:g}_px" for at in ALONG_PX]),
        "weighed by texture, across [px]": (ACROSS_PX, [f"weighed_across_{at:g}_px" for at in ACROSS_PX]),
        "top hat, along [px]": (ALONG_PX, [f"hat_along_{at:g}_px" for at in ALONG_PX]),
        "top hat, across [px]": (ACROSS_PX, [f"hat_across_{at:g}_px" for at in ACROSS_PX]),
        "top hat, log of level at percentile": (PERCENTILES, [f"above_{MIDDLE_PX}_px_at_{p:g}" for p in PERCENTILES]),
        "black hat, log of level at percentile": (PERCENTILES, [f"below_{MIDDLE_PX}_px_at_{p:g}" for p in PERCENTILES]),
    }
    figure, axes = plt.subplots(2, 3, figsize=(12, 6), layout="constrained")
    for axis, (title, (at, chosen)) in zip(axes.flat, curves.items(), strict=True):
        places = [names.index(name) for name in chosen]
        for label, rows in (("photographs", fit.observed), ("fit", fitted)):
            axis.errorbar(at, rows[:, places].mean(axis=0), rows[:, places].std(axis=0), label=label, capsize=2)
        axis.set_title(title, fontsize=9)
    axes[0, 0].legend(fontsize=8)
    figure.savefig(path, dpi=90)
    plt.close(figure)


def untold_line(fit: Fit) -> str:
    """How numbers are drawn that no photograph tells."""
    if fit.kinds is None:
        return UNTOLD_OF_RANGES
    return UNTOLD_OF_MATCHED if fit.kinds.matched else UNTOLD_OF_KINDS


def page(fit: Fit, differences: dict[str, float]) -> str:
    """The report as HTML; its pictures lie beside it."""
    odd = sorted(differences.items(), key=lambda item: -abs(item[1]))[:SHOWN_STATISTICS]
    rows = [{"statistic": name, "fit less photographs, sd": f"{value:+.2f}"} for name, value in odd]
    untold = combinations(fit) or ["Nothing is told together that is not told alone."]
    odds = "" if np.isnan(fit.family_odds) else f" The next family is e^{fit.family_odds:.0f} times less likely."
    sections = [
        f"<h1>Rain of {len(fit.setting.rainy)} photographs</h1>",
        f"<p>Family: {fit.search.family}, {blend_line(fit)}{odds} {len(fit.setting.backgrounds)} clean pictures"
        " were rained on. Numbers are means over the photographs with their 90 % intervals, and how they spread from"
        " picture to picture; pixels are those of photographs up to 1024 px.</p>",
        f"<p>{escape(camera_line(fit.setting.camera))}</p>" if fit.search.family == PHYSICAL else "",
        table_html(rows_of_fit(fit)),
        "<h2>What the photographs do not tell</h2>",
        f"<p>Numbers marked so are drawn {untold_line(fit)}.</p>",
        *(f"<p>{escape(line)}</p>" for line in untold),
        "<h2>Photographs over pictures of the fit</h2>",
        f'<img src="{SHEET_NAME}" alt="photographs, and clean pictures in the fitted rain">',
        "<h2>Statistics of both</h2>",
        f'<img src="{CURVES_NAME}" alt="autocorrelations and levels">',
        "<p>Furthest apart, in standard deviations of a picture. Backgrounds differ, so half of one is usual; over two,"
        " the rain is of another sort than the family's.</p>",
        table_html(rows),
    ]
    head = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Fit</title><style>{STYLE}</style>'
    return head + "".join(sections) + "</html>\n"
