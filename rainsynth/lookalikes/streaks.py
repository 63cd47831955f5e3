"""Streaks as the makers of benchmark sets draw them: straight lines on the picture, with no drop behind them.

Within a layer the brightest streak wins, so that a layer is flat where its streaks overlap; layers add up, unless they
are screened onto one another. The streaks of a layer share a direction; their lengths, widths and levels are
log-normal.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from numba import njit

from rainsynth.display_blend import WHITE_CODE

MARGIN_LENGTHS = 2.0  # streaks lie up to this many median lengths outside the frame
STEEPEST_DEG = 75.0  # from vertical; beyond it a row of the picture meets a streak over too many pixels
SMALLEST_PX = 1e-3  # keeps the quotients of a hard edge finite


@dataclass(frozen=True, slots=True, kw_only=True)
class StreakStyle:
    """The streaks of one layer. Lengths, widths and levels are medians; `_log_sd` their standard deviation in log.

    Across, a streak is flat with edges that rise over `edge_px`, half of it inside its width. Along, its ends fade
    over `taper_fraction` of its half length, `edge_px` at least, and `bead_fraction` of its level is a bright bead that
    falls to a quarter at `bead_px`. `size_correlation` ties wide streaks to long ones. `layer_coverage_fraction` is
    the part of the picture that the widths would cover, were no streak left out. `inside_top_fraction` of those that
    reach over the picture's upper edge are left out, and so for the lower: makers blur noise that ends at the edge,
    and their layers dim towards it.
    """

    direction_deg: float
    streak_scatter_deg: float
    layer_coverage_fraction: float
    length_px: float
    length_log_sd: float
    width_px: float
    width_log_sd: float
    level_codes: float
    level_log_sd: float
    highest_level_codes: float
    edge_px: float
    taper_fraction: float = 0.0
    bead_fraction: float = 0.0
    bead_px: float = 5.0
    size_correlation: float = 0.0
    inside_top_fraction: float = 0.0
    inside_bottom_fraction: float = 0.0


def summed_layers_codes(
    height_px: int, width_px: int, drawn: Mapping[str, Any], rng: np.random.Generator
) -> Float[np.ndarray, "h w"]:
    """Streaks of one picture, float32 [codes], from numbers by name: fields of `StreakStyle`, and how layers differ.

    `layer_count` layers: see `layer_direction_deg`, `layer_gain` and `laid_onto`. `faint_coverage_fraction` adds a soft
    layer of lower level in a direction of its own.
    """
    style = StreakStyle(**{field.name: drawn[field.name] for field in fields(StreakStyle) if field.name in drawn})
    total = np.zeros((height_px, width_px), dtype=np.float32)
    for number in range(drawn.get("layer_count", 1)):
        gain = layer_gain(drawn, rng)
        layer_style = replace(
            style,
            direction_deg=layer_direction_deg(drawn, number, rng),
            level_codes=gain * style.level_codes,
            highest_level_codes=gain * style.highest_level_codes,
        )
        total = laid_onto(total, layer_codes(height_px, width_px, layer_style, rng), drawn)
    return laid_onto(total, faint_layer_codes(height_px, width_px, drawn, rng), drawn)


def laid_onto(
    under: Float[np.ndarray, "h w"], layer: Float[np.ndarray, "h w"], drawn: Mapping[str, Any]
) -> Float[np.ndarray, "h w"]:
    """A layer over those that are there [codes]: U + (1 - f U / 255) L, where f is `layer_screened_fraction`.

    At 0, the default, layers add up; at 1 they are screened onto one another, and are flatter where they are dense.
    """
    share = np.float32(drawn.get("layer_screened_fraction", 0) / WHITE_CODE)
    return under + layer * (1 - share * np.minimum(under, WHITE_CODE))


def layer_direction_deg(drawn: Mapping[str, Any], number: int, rng: np.random.Generator) -> float:
    """Direction of the layer `number`: every second one has `crossing_deg`, and all scatter by `layer_scatter_deg`."""
    direction_deg = drawn.get("crossing_deg", drawn["direction_deg"]) if number % 2 else drawn["direction_deg"]
    return float(direction_deg + drawn.get("layer_scatter_deg", 0) * rng.standard_normal())


def layer_gain(drawn: Mapping[str, Any], rng: np.random.Generator) -> float:
    """By how much a layer is brighter than the median one: log-normal, with `layer_level_log_sd`."""
    return float(np.exp(drawn.get("layer_level_log_sd", 0) * rng.standard_normal()))


def faint_layer_codes(
    height_px: int, width_px: int, drawn: Mapping[str, Any], rng: np.random.Generator
) -> Float[np.ndarray, "h w"]:
    """The soft layer of lower level, float32 [codes]; nothing where `faint_coverage_fraction` is 0."""
    if drawn.get("faint_coverage_fraction", 0) > 0:
        return layer_codes(height_px, width_px, faint_style(drawn), rng)
    return np.zeros((height_px, width_px), dtype=np.float32)


def faint_style(drawn: Mapping[str, Any]) -> StreakStyle:
    """The soft layer between hard ones; its shape is that of Rain100L's streaks, with the numbers drawn for it."""
    return StreakStyle(
        direction_deg=drawn["faint_direction_deg"],
        streak_scatter_deg=1.5,
        layer_coverage_fraction=drawn["faint_coverage_fraction"],
        length_px=45.0,
        length_log_sd=0.4,
        width_px=1.9,
        width_log_sd=0.3,
        level_codes=drawn["faint_level_codes"],
        level_log_sd=0.8,
        highest_level_codes=150.0,
        edge_px=1.6,
        taper_fraction=0.8,
    )


def layer_codes(
    height_px: int, width_px: int, style: StreakStyle, rng: np.random.Generator
) -> Float[np.ndarray, "h w"]:
    """One layer of streaks, float32 [codes]: a Poisson number of them, uniform over the picture and a margin."""
    margin_px = MARGIN_LENGTHS * style.length_px
    tie = style.size_correlation
    log_variance = style.length_log_sd**2 + style.width_log_sd**2 + 2 * tie * style.length_log_sd * style.width_log_sd
    mean_area_px2 = style.length_px * style.width_px * np.exp(0.5 * log_variance)
    frame_px2 = (height_px + 2 * margin_px) * (width_px + 2 * margin_px)
    count = rng.poisson(-np.log1p(-style.layer_coverage_fraction) * frame_px2 / mean_area_px2)
    x_px = rng.uniform(-margin_px, width_px + margin_px, count)
    y_px = rng.uniform(-margin_px, height_px + margin_px, count)
    angle_deg = style.direction_deg + style.streak_scatter_deg * rng.standard_normal(count)
    angle_rad = np.deg2rad(np.clip(angle_deg, -STEEPEST_DEG, STEEPEST_DEG))
    size, own = rng.standard_normal((2, count))
    half_length_px = 0.5 * style.length_px * np.exp(style.length_log_sd * size)
    half_width_px = 0.5 * style.width_px * np.exp(style.width_log_sd * (tie * size + np.sqrt(1 - tie**2) * own))
    level_codes = style.level_codes * np.exp(style.level_log_sd * rng.standard_normal(count))
    level_codes = np.minimum(level_codes, style.highest_level_codes)
    bead_px = half_length_px * rng.uniform(-1, 1, count)
    reach_px, lot = half_length_px * np.cos(angle_rad), rng.random(count)
    left_out = (y_px - reach_px < 0) & (lot < style.inside_top_fraction)
    left_out |= (y_px + reach_px > height_px) & (lot < style.inside_bottom_fraction)
    streaks = np.stack(
        (x_px, y_px, np.sin(angle_rad), np.cos(angle_rad), half_length_px, half_width_px, level_codes, bead_px), axis=1
    )
    layer = np.zeros((height_px, width_px), dtype=np.float32)
    profile = np.array([style.edge_px, style.taper_fraction, style.bead_fraction, style.bead_px], dtype=np.float32)
    _draw_brightest(layer, streaks[~left_out].astype(np.float32), profile)
    return layer


@njit(cache=True, nogil=True)
def _draw_brightest(layer: np.ndarray, streaks: np.ndarray, profile: np.ndarray) -> None:
    """Draw streaks (centre, direction, half length, half width, level, place of the bead); the brighter value stays."""
    one, half = np.float32(1), np.float32(0.5)
    edge, taper, bead_fraction, bead = max(profile[0], np.float32(SMALLEST_PX)), profile[1], profile[2], profile[3]
    for i in range(streaks.shape[0]):
        x, y, sine, cosine, half_length, half_width, level, bead_at = streaks[i]
        fade = max(taper * half_length, edge)
        reach = half_width + half * edge
        rise = half_length * cosine + reach * abs(sine)
        for row in range(max(0, int(np.ceil(y - rise))), min(layer.shape[0] - 1, int(np.floor(y + rise))) + 1):
            down = np.float32(row) - y
            middle, span = x + down * sine / cosine, reach / cosine
            first, last = max(0, int(np.ceil(middle - span))), min(layer.shape[1] - 1, int(np.floor(middle + span)))
            for column in range(first, last + 1):
                right = np.float32(column) - x
                along, across = right * sine + down * cosine, abs(right * cosine - down * sine)
                inside = half_length - abs(along)
                if inside <= 0:
                    continue
                value = level * min(one, inside / fade) * min(one, (half_width - across) / edge + half)
                if bead_fraction > 0:
                    offset = (along - bead_at) / bead
                    peak = one / (one + offset * offset)
                    value *= one - bead_fraction + bead_fraction * peak * peak
                layer[row, column] = max(layer[row, column], value)
