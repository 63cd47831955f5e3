"""The tables of docs/metrics.md: the field's sets by name, and how far variants of a metric are apart on real pairs.

    python docs/metric_table.py [DATA]

DATA holds benchmarks/rain100h-dev and benchmarks/rain100l-dev; without it only the table of sets is made anew.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from pipelines.benchmark_pairs import find_set
from pipelines.benchmark_sets import SETS, BenchmarkSet
from rainsynth.metrics import METRICS, psnr_db

PAGE = Path(__file__).with_name("metrics.md")
FOLDERS = {"Rain100H": "rain100h-dev", "Rain100L": "rain100l-dev"}
# Variant, the metric it is one of, and decimals.
VARIANTS = {
    "psnr_y_rounded": ("psnr_y", 4),
    "psnr_y_full_range": ("psnr_y", 4),
    "psnr_rgb": ("psnr_y", 4),
    "ssim_y_rounded": ("ssim_y", 5),
    "ssim_y_repeated": ("ssim_y", 5),
    "ssim_y_rounded_repeated": ("ssim_y", 5),
    "ssim_rgb": ("ssim_y", 5),
    "ms_ssim_y": ("ssim_y", 5),
}


def psnr_y_full_range(image_srgb8: np.ndarray, reference_srgb8: np.ndarray) -> float:
    """PSNR [dB] of luma from 0 to 255, what OpenCV's COLOR_BGR2YCR_CB and COLOR_RGB2GRAY give, rounded to 8 bit."""
    grey = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(float) for picture in (image_srgb8, reference_srgb8))
    return psnr_db((next(grey) - next(grey)) ** 2)


def figures(data: Path) -> dict[str, dict[str, np.ndarray]]:
    """Every variant of every pair, by set and variant."""
    metrics = METRICS | {"psnr_y_full_range": psnr_y_full_range}
    found = {}
    for title, folder in FOLDERS.items():
        pairs = [pair.read() for pair in find_set(title, data / "benchmarks" / folder).pairs]
        found[title] = {name: np.array([metric(*pair) for pair in pairs]) for name, metric in metrics.items()}
    return found


def variant_table(found: dict[str, dict[str, np.ndarray]]) -> str:
    """How much higher each variant is, on average and from least to most."""
    heads = [
        f"{title}: {values['psnr_y'].mean():.3f} dB / {values['ssim_y'].mean():.4f}" for title, values in found.items()
    ]
    lines = [f"| variant | less | {' | '.join(heads)} |", "|---|---|" + "---|" * len(heads)]
    for name, (base, places) in VARIANTS.items():
        cells = []
        for values in found.values():
            apart = values[name] - values[base]
            cells.append(f"{apart.mean():+.{places}f} ({apart.min():+.{places}f} to {apart.max():+.{places}f})")
        lines.append(f"| `{name}` | `{base}` | {' | '.join(cells)} |")
    return "\n".join(lines)


def set_table() -> str:
    """Every named set, its number of pairs and its input figures."""
    lines = ["| `--set-name` | pairs | input PSNR-Y, dB | input SSIM-Y | known from |", "|---|---|---|---|---|"]
    lines += [f"| `{name}` | {one.pairs or 'any'} | {_input(one)} | {one.source} |" for name, one in SETS.items()]
    return "\n".join(lines)


def _input(one: BenchmarkSet) -> str:
    if one.input_psnr_y_db is None:
        return "- | -"
    told = f"{one.input_psnr_y_db:.2f} | {one.input_ssim_y:.3f}"
    return told if one.measured else f"{told} (published)"


def replaced(page: str, name: str, table: str) -> str:
    """The page with the table between its marks."""
    begin, end = f"<!-- begin: {name} -->\n", "<!-- end -->\n"
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise SystemExit(f"{PAGE.name} must hold the lines {begin.strip()!r} and {end.strip()!r}, got none.")
    return f"{before}{begin}{table}\n{end}{after}"


def main() -> None:
    """Write both tables into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="?", type=Path)
    data = parser.parse_args().data
    page = replaced(PAGE.read_text(), "sets", set_table())
    if data is not None:
        page = replaced(page, "variants", variant_table(figures(data)))
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
