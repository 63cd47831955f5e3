"""Statistics of a layer of streaks by itself, with no picture behind it: two layers that agree in all look alike.

Two layers are compared without a network, which takes several times as long for a picture. Names begin with the group
they belong to; `weights_of` lets every group count as a whole, however many statistics it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import cv2
import numpy as np
from jaxtyping import Float

from rainsynth.checks import InputError
from rainsynth.measure.layer_statistics import GRAIN, amounts, lines
from rainsynth.measure.rain_statistics import SMALLEST_SIDE_PX, WHITE_CODE, Statistics, percentiles

LEVELS, ROWS, BANDS, TURN, SIZES, LINES = "levels", "rows", "bands", "turn", "sizes", "lines"
DENSITY = "density"
ANGLES, STEPS, PARTS = "energy", "steps", "parts"
# How much a group counts. Choice: amounts first; rows, which layers scatter by chance, least.
GROUPS = {
    LEVELS: 3.0,
    ROWS: 0.7,
    BANDS: 1.5,
    DENSITY: 2.0,
    TURN: 1.0,
    SIZES: 1.5,
    LINES: 1.5,
    ANGLES: 1.5,
    STEPS: 1.2,
    PARTS: 1.0,
}
DIRECTION = f"{TURN}_direction_deg"
OF_LINES = {"direction_deg": TURN, "length": SIZES, "width": SIZES}
OF_GRAIN = {"energy": ANGLES, "level": LEVELS, "steps": STEPS}
SHARES = (2, 5, 10, 20, 30, 50, 70, 80, 90, 95, 99)  # percentiles of all pixels
ROW_BANDS = 12  # from the upper edge to the lower one: many layers dim towards these
SCALES_PX = (1, 2, 4, 8, 16, 32)  # of Gaussians, whose differences are the bands
LEAST_CODES = 0.3  # of a band's standard deviation
BOX_PX, FLOOR_PX, NEAR_BOXES = 4, 9, 4.0  # of local means and least levels, and of the Gaussian over them
DENSITIES = 5  # equal parts of the layer, from where it is least dense to where it is densest


def layer_shape(layer_codes: Float[np.ndarray, "h w"], centre_deg: float = 0.0, reach_deg: float = 60.0) -> Statistics:
    """All statistics of a layer [codes] by name; streaks are looked for within `reach_deg` of `centre_deg` of vertical.

    Levels: square roots of percentiles, and logarithms of what is covered above each level. Bands: logarithms of the
    standard deviation between Gaussians of 0, 1, 2, 4, 8, 16 and 32 px. Density: `densities`. Rows: means of twelfths
    of the height, relative to the whole. The others: `layer_statistics.lines`.

    Raises InputError for a layer under 64 px.
    """
    if min(layer_codes.shape) < SMALLEST_SIDE_PX:
        raise InputError(f"layer_codes must be at least {SMALLEST_SIDE_PX} px each way, got {layer_codes.shape}.")
    layer = np.clip(layer_codes, 0, WHITE_CODE).astype(np.float32)
    found = {f"{LEVELS}_{name}": value for name, value in amounts(layer).items() if not name.startswith("below")}
    levels = percentiles(layer, SHARES)
    found |= {f"{LEVELS}_at_{share}": float(np.sqrt(level + 1)) for share, level in zip(SHARES, levels, strict=True)}
    smoothed = [layer, *(cv2.GaussianBlur(layer, (0, 0), scale) for scale in SCALES_PX)]
    for number, (fine, coarse) in enumerate(pairwise(smoothed)):
        found[f"{BANDS}_{number}"] = float(np.log((fine - coarse).std() + LEAST_CODES))
    found |= {f"{DENSITY}_{name}": value for name, value in densities(layer).items()}
    mean = float(layer.mean()) + 1
    for number, rows in enumerate(np.array_split(layer.mean(axis=1), ROW_BANDS)):
        found[f"{ROWS}_{number}"] = (float(rows.mean()) + 1 - mean) / mean
    along = lines(layer, centre_deg, reach_deg)
    return found | {f"{group_of_line(name)}_{name}": value for name, value in along.items()}


def densities(layer: Float[np.ndarray, "h w"]) -> Statistics:
    """Mean, contrast and floor within some 16 px, in fifths of a layer: where it is least dense to where it is densest.

    Logarithms of the mean and of the standard deviation over it, square root of the least level. Layers that add up
    have more contrast where they are dense than layers that clip or are screened, and a lower floor.
    """
    size = (layer.shape[1] // BOX_PX, layer.shape[0] // BOX_PX)
    floor = cv2.erode(layer, np.ones((FLOOR_PX, FLOOR_PX), np.uint8))
    boxes = (cv2.resize(field, size, interpolation=cv2.INTER_AREA) for field in (layer, layer * layer, floor))
    mean, square, least = (cv2.GaussianBlur(field, (0, 0), NEAR_BOXES) for field in boxes)
    contrast = (np.sqrt(np.maximum(square - mean * mean, 0)) + 1) / (mean + 1)
    parts = np.array_split(np.argsort(mean, axis=None, kind="stable"), DENSITIES)
    found: Statistics = {}
    for name, field in (("mean", np.log(mean + 1)), ("contrast", np.log(contrast)), ("floor", np.sqrt(least))):
        found |= {f"{name}_{number}": float(field.ravel()[part].mean()) for number, part in enumerate(parts)}
    return found


def group_of_line(name: str) -> str:
    """The group of a statistic of `layer_statistics.lines`."""
    part = name.removeprefix(GRAIN)
    if part == name:
        return OF_LINES.get(name, LINES)
    return OF_GRAIN.get(part.split("_", maxsplit=1)[0], PARTS)


def weights_of(names: Sequence[str]) -> Float[np.ndarray, "s"]:
    """Weight of each statistic: that of its group, shared among the group; the sum is 1."""
    groups = [name.split("_", maxsplit=1)[0] for name in names]
    weights = np.array([GROUPS[group] / groups.count(group) for group in groups])
    return weights / weights.sum()
