"""The picture of docs/evaluation.md: bundled photographs in rain, what bundled weights make of them, and the target.

python docs/evaluation_picture.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from mspfn import derain, load_weights
from pipelines.bundled import HELD_OUT_PHOTOS, unpack
from pipelines.sheets import contact_sheet
from rainsynth import add_rain
from rainsynth.metrics import psnr_y
from rainsynth.pictures import list_photos, read_photo

PICTURE = Path(__file__).with_name("pictures") / "evaluation.jpg"
WEIGHTS, PRESETS, SEED = "mspfn-small", ("rain100h", "violent"), 11
WINDOW_PX = (360, 480)
CELL_PX, QUALITY = 420, 88

Row = list[tuple[str, np.ndarray]]


def middle(photo_srgb8: np.ndarray) -> np.ndarray:
    """The middle of a photograph, or its upper left part where it is smaller."""
    top, left = (max((side - window) // 2, 0) for side, window in zip(photo_srgb8.shape, WINDOW_PX, strict=False))
    return np.ascontiguousarray(photo_srgb8[top : top + WINDOW_PX[0], left : left + WINDOW_PX[1]])


def row(photo_srgb8: np.ndarray, preset: str) -> Row:
    """Rainy, derained, and what was aimed at: streaks gone, veil kept."""
    sample = add_rain(middle(photo_srgb8), preset=preset, seed=SEED)
    derained = derain(sample.rainy_srgb8, load_weights(WEIGHTS))
    found = ((preset, sample.rainy_srgb8), (WEIGHTS, derained))
    scored = [(f"{name}: {psnr_y(picture, sample.veiled_srgb8):.2f} dB", picture) for name, picture in found]
    return [*scored, ("target", sample.veiled_srgb8)]


def main() -> None:
    """Draw it."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(HELD_OUT_PHOTOS, Path(folder))
        photos = [read_photo(path) for path in list_photos(Path(folder))]
    rows = [row(photo, preset) for photo, preset in zip(photos, PRESETS, strict=False)]
    Image.fromarray(contact_sheet(rows, CELL_PX)).save(PICTURE, quality=QUALITY)


if __name__ == "__main__":
    main()
