"""Statistics of the streaks that a network sees in a picture: how much, how bright, how long and wide, and on what.

A network that takes streaks off tells of its own layer: what it takes. That is a biased estimate (faint streaks stay,
some twigs go), but a close one, of just the numbers that rain has; `population` regresses them on it, from pictures
whose rain is known. Beside it, `rain_statistics` are of the picture as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float, UInt8

from rainsynth.measure.directions import RING_PX, direction_profile, offsets_deg
from rainsynth.measure.rain_statistics import (
    FEW_PIXELS,
    GROUND_CODES,
    Statistics,
    autocorrelation_statistics,
    ground_step,
    main_direction_near_deg,
    quick_correlation,
)
from rainsynth.measure.streak_layer import COVERED_CODES
from rainsynth.measure.streak_shape import length_px, width_px

PREFIX = "layer_"  # of every name
LEVELS_CODES = (4, 7, 10, 15, 25, 40, 60, 90)  # of what is covered above them
DARKENED_CODES = (4, 7, 10, 15)  # what a network makes brighter is no streak
SHARES = (10, 50, 90)  # percentiles of what is covered
LAYER_REACH_PX = 96
SMALLEST_PX = 0.1
GRAIN = "grain_"  # of names after PREFIX: what tells how streaks are made, and how layers of them lie over each other
LONG_RING_PX = (24, 92)  # choice: on a wider ring ridges are narrower, so that crossing layers come apart
OFFSETS_DEG = (0, 2, 4, 7, 11, 16, 25, 45)  # from the main direction, to either side
GRAIN_SHARES = (25, 75, 95, 99)
STEPS_CODES = (2, 5, 10, 20, 40, 60)  # from pixel to pixel
FAINT_CODES = 20.0  # what lies above is cut off where faint streaks are looked for
STRONG_SHARE = 75  # which of them: what lies above is strong


def layer_statistics(
    rainy_srgb8: UInt8[np.ndarray, "h w 3"],
    dry_codes: Float[np.ndarray, "h w 3"],
    centre_deg: float = 0.0,
    reach_deg: float = 60.0,
) -> Statistics:
    """All statistics by name of what a network took off a picture; `dry_codes` is what it left [codes].

    Streaks are looked for within `reach_deg` of `centre_deg` of vertical. Amounts are logarithms.
    """
    taken_codes = rainy_srgb8.astype(np.float32) - dry_codes
    mean_taken = np.ascontiguousarray(taken_codes.mean(axis=-1))
    layer = np.maximum(mean_taken, 0)
    streak = layer > COVERED_CODES
    found = amounts(mean_taken) | _on_ground(layer, np.clip(dry_codes.mean(axis=-1), 0, 255), streak)
    spread = np.abs(taken_codes - mean_taken[..., None])[streak].mean() if streak.any() else 0.0
    found |= {"colour": _log(spread, 0.3)} | lines(layer, centre_deg, reach_deg)
    return {PREFIX + name: value for name, value in found.items()}


def lines(layer: Float[np.ndarray, "h w"], centre_deg: float, reach_deg: float) -> Statistics:
    """Direction, length and width of what a layer shows, its autocorrelation, and, after GRAIN, how it is made."""
    correlation = quick_correlation(layer, LAYER_REACH_PX)
    profile = direction_profile(correlation)
    angle_deg = main_direction_near_deg(profile, centre_deg, reach_deg)
    found = {
        "direction_deg": angle_deg,
        "length": _log(length_px(correlation, angle_deg), SMALLEST_PX),
        "width": _log(width_px(correlation, angle_deg), SMALLEST_PX),
    }
    found |= autocorrelation_statistics(correlation, angle_deg)
    profiles = {RING_PX[0]: profile, LONG_RING_PX[0]: direction_profile(correlation, LONG_RING_PX)}
    grain = _grain(layer, layer[layer > COVERED_CODES], profiles, angle_deg)
    return found | {GRAIN + name: value for name, value in grain.items()}


def amounts(taken: Float[np.ndarray, "h w"]) -> Statistics:
    """How much is covered above each level, how much was made brighter, means, and levels of what is covered."""
    of_streaks = taken[taken > COVERED_CODES]
    found = {f"above_{level}": _log(np.mean(taken > level), 1e-3) for level in LEVELS_CODES}
    found |= {f"below_{level}": _log(np.mean(taken < -level), 1e-3) for level in DARKENED_CODES}
    found |= {"mean": _log(np.maximum(taken, 0).mean(), 0.1), "variance": _log(taken.var(), 0.1)}
    levels = np.percentile(of_streaks, SHARES) if of_streaks.size else np.full(len(SHARES), COVERED_CODES)
    return found | {f"level_at_{share}": _log(level, 0) for share, level in zip(SHARES, levels, strict=True)}


def _on_ground(
    layer: Float[np.ndarray, "h w"], ground: Float[np.ndarray, "h w"], streak: Bool[np.ndarray, "h w"]
) -> Statistics:
    """How levels and amounts depend on the ground: screened streaks fade on bright ground, added ones do not."""
    found = {"slope_over_ground": 0.0, "ground_of_streaks": 0.0}
    steps, level = ground_step(ground), float(np.median(layer[streak])) if streak.any() else COVERED_CODES
    if streak.any():
        centred, levels = ground[streak] - ground[streak].mean(), layer[streak]
        weight = len(levels) / (len(levels) + FEW_PIXELS)
        found["slope_over_ground"] = 64 * weight * float(np.mean(centred * levels)) / (centred.var() + 25) / level
        found["ground_of_streaks"] = weight * float(ground[streak].mean() - ground.mean()) / 64
    for step, darkest in enumerate(GROUND_CODES[:-1]):
        here = steps == step
        pixels = float(here.sum())
        mean = layer[here].mean() if pixels else 0.0
        found[f"on_{darkest}_codes"] = _log((mean + 0.5) / (layer.mean() + 0.5), 0) * pixels / (pixels + FEW_PIXELS)
        covered = layer[here & streak]
        share = covered.size / (covered.size + FEW_PIXELS)
        found[f"level_on_{darkest}_codes"] = share * _log(np.median(covered) / level, 0) if covered.size else 0.0
    return found


def _grain(
    layer: Float[np.ndarray, "h w"],
    of_streaks: Float[np.ndarray, "n"],
    profiles: Mapping[int, Float[np.ndarray, "360"]],
    angle_deg: float,
) -> Statistics:
    """Energy by its distance from the main direction, spread of levels, steps, and likeness of strong and of faint."""
    found: Statistics = {}
    apart_deg = np.abs(offsets_deg(angle_deg))
    for ring_px, profile in profiles.items():
        for low, high in pairwise(OFFSETS_DEG):
            share = profile[(apart_deg >= low) & (apart_deg < high)].sum()
            found[f"energy_{ring_px}_px_at_{low}_deg"] = _log(share, 0.01)
    median, *levels = np.percentile(of_streaks if of_streaks.size else COVERED_CODES, (50, *GRAIN_SHARES))
    found |= {f"level_at_{share}": _log(level / median, 0) for share, level in zip(GRAIN_SHARES, levels, strict=True)}
    for side, axis in (("across", 1), ("down", 0)):
        step = np.abs(np.diff(layer, axis=axis))
        found |= {f"steps_{side}_{codes}": _log(np.mean(step > codes), 1e-3) for codes in STEPS_CODES}
    strong_codes = levels[GRAIN_SHARES.index(STRONG_SHARE)]
    parts = {"strong": (layer > strong_codes).astype(np.float32), "faint": np.minimum(layer, np.float32(FAINT_CODES))}
    for part, field in parts.items():
        likeness = autocorrelation_statistics(quick_correlation(field), angle_deg)
        found |= {f"{part}_{name}": value for name, value in likeness.items()}
    return found


def _log(value: float | np.floating, floor: float) -> float:
    return float(np.log(value + floor))
