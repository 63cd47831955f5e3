"""What tiles, local means, mirror images and the eight ways cost or gain, beside the same network on the whole picture.

    python benchmarks/derain_quality.py WEIGHTS PAIRS [PICTURES]

WEIGHTS is a file or a bundled name, PAIRS a folder with input/ and target/. For the first PICTURES pairs (10): change
of PSNR-Y against the whole picture, its mean and its range over pairs; mean difference of the two results in codes; and
the mean step between neighbouring pixels at the borders of tiles over that elsewhere, as a ratio to the whole's.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from mspfn import derain, load_weights
from mspfn.pair_folder import PairFolder
from mspfn.tiles import tile_spans
from rainsynth.metrics import psnr_y

TILE_PX, SMALL_TILE_PX, OVERLAP_PX = 256, 128, 32
WINDOWS_PX = (64, 128, 256)
PICTURES = 10

WAYS: dict[str, dict[str, Any]] = {
    f"tiles of {TILE_PX} px": {"tile_px": TILE_PX, "overlap_px": OVERLAP_PX},
    f"tiles of {SMALL_TILE_PX} px": {"tile_px": SMALL_TILE_PX, "overlap_px": OVERLAP_PX},
    **{f"local mean of {size} px": {"local_mean_px": size} for size in WINDOWS_PX},
    "mirrored": {"mirrored": True},
    "eight ways": {"ensemble": True},
}


class Change(NamedTuple):
    """What a way of deraining changes in one picture."""

    psnr_y_db: float
    difference_codes: float
    border_step_ratio: float | None


def changes(network: nn.Module, rainy_srgb8: np.ndarray, target_srgb8: np.ndarray) -> Iterator[tuple[str, Change]]:
    """Each way of deraining a picture against the plain one."""
    whole = derain(rainy_srgb8, network)
    whole_db = psnr_y(whole, target_srgb8)
    for name, options in WAYS.items():
        result = derain(rainy_srgb8, network, **options)
        tile_px = options.get("tile_px")
        yield (
            name,
            Change(
                psnr_y(result, target_srgb8) - whole_db,
                float(np.abs(result.astype(int) - whole).mean()),
                border_step(result, tile_px) / border_step(whole, tile_px) if tile_px else None,
            ),
        )


def border_step(picture_srgb8: np.ndarray, tile_px: int) -> float:
    """Mean step between neighbours where tiles begin, blend and end, over the mean step elsewhere."""
    at_borders, elsewhere = [], []
    for axis in (0, 1):
        steps = np.abs(np.diff(picture_srgb8.astype(float), axis=axis)).mean(axis=(1 - axis, 2))
        border = np.zeros(len(steps), dtype=bool)
        border[borders(picture_srgb8.shape[axis], tile_px)] = True
        at_borders.append(steps[border])
        elsewhere.append(steps[~border])
    return float(np.concatenate(at_borders).mean() / np.concatenate(elsewhere).mean())


def borders(size_px: int, tile_px: int) -> list[int]:
    """Steps along a side that lie at a tile's start or end, or where its weight begins, halves or ends."""
    spans = tile_spans(size_px, tile_px, OVERLAP_PX)
    quarter = OVERLAP_PX // 4
    found = [
        (after.start, after.start + quarter, (after.start + span.stop) // 2, span.stop - quarter, span.stop)
        for span, after in pairwise(spans)
    ]
    return [place - 1 for places in found for place in places]


def main() -> None:
    """Print one row a way."""
    weights, folder = sys.argv[1], PairFolder(Path(sys.argv[2]))
    count = min(int(sys.argv[3]) if len(sys.argv) > 3 else PICTURES, len(folder))
    torch.set_num_threads(1)
    network = load_weights(weights)
    found: dict[str, list[Change]] = {name: [] for name in WAYS}
    for index in range(count):
        for name, change in changes(network, folder[index].rainy_srgb8, folder[index].clean_srgb8):
            found[name].append(change)
    print(f"{count} pairs, against the whole picture")
    print("| | PSNR-Y, dB: mean (range) | difference, codes | step at borders, ratio |\n|---|---|---|---|")
    for name, rows in found.items():
        gains_db = [row.psnr_y_db for row in rows]
        ratios = [row.border_step_ratio for row in rows if row.border_step_ratio is not None]
        steps = f"{min(ratios):.4f} to {max(ratios):.4f}" if ratios else ""
        spread = f"{mean(gains_db):+.3f} ({min(gains_db):+.3f} to {max(gains_db):+.3f})"
        print(f"| {name} | {spread} | {mean(row.difference_codes for row in rows):.2f} | {steps} |")


if __name__ == "__main__":
    main()
