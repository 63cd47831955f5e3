"""Streaks as they are made in a picture editor: grains of noise, blurred along a line, contrast raised until it clips.

What lies below a threshold turns black, what lies far enough above it flat; layers add up, or are screened onto one
another. Streaks are then flat patches with steps at their edges and cut ends, as in Rain100H, and not lines of a width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from rainsynth.lookalikes.noise import motion_kernel
from rainsynth.lookalikes.streaks import STEEPEST_DEG, faint_layer_codes, laid_onto, layer_direction_deg, layer_gain

DIMMEST_GRAIN = 0.4  # choice: grains are of a brightness between this and 1, evenly
BRIGHT_FRACTION = 0.15  # choice: of what is covered; the level that these exceed is where a ramp of 1 ends
STEEPEST_RAMP = 1e-5  # of a grain's brightness: keeps the quotient of a step finite
SMALLEST_GRAIN_PX = 1.0  # of a layer: there is no noise finer than pixels
SPARE_PX = 2  # of noise beyond the reach of the blur, for enlarging it


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseStyle:
    """One layer of clipped noise.

    `grain_px` is the side of a grain, of which `grains_per_length` lie, on average, under the blur of `length_px`, no
    more than fit there: few make streaks one by one, each of that length, many a noise without a scale of its own.
    `layer_coverage_fraction` of the picture lies above the threshold, if so much is lit at all. Above it the layer
    rises evenly to `level_codes`, over `ramp_fraction` of the way to what the brightest 15 % of that reach, and is flat
    beyond. `inside_top_fraction` of the grains that lie above the picture are left out, and so for below: makers blur
    noise that ends at the edge, and their layers dim towards it. Grains are brighter here and fainter there, by
    `clump_log_sd` from place to place `clump_px` apart: where they are bright, streaks run together into flat ground
    with gaps in it, elsewhere they stand alone.
    """

    direction_deg: float
    length_px: float
    grain_px: float
    grains_per_length: float
    layer_coverage_fraction: float
    ramp_fraction: float
    level_codes: float
    inside_top_fraction: float = 0.0
    inside_bottom_fraction: float = 0.0
    clump_log_sd: float = 0.0
    clump_px: float = 60.0


def summed_noise_codes(
    height_px: int, width_px: int, drawn: Mapping[str, Any], rng: np.random.Generator
) -> Float[np.ndarray, "h w"]:
    """Streaks of one picture, float32 [codes], from numbers by name: fields of `NoiseStyle`, and how layers differ.

    Layers, their directions and levels, and the faint layer of drawn streaks: as in `streaks.summed_layers_codes`.
    Layers differ in size, too: see `layer_size`.
    """
    style = NoiseStyle(**{field.name: drawn[field.name] for field in fields(NoiseStyle) if field.name in drawn})
    total = np.zeros((height_px, width_px), dtype=np.float32)
    for number in range(drawn["layer_count"]):
        size = layer_size(drawn, rng)
        layer_style = replace(
            style,
            length_px=style.length_px * size,
            grain_px=max(style.grain_px * size, SMALLEST_GRAIN_PX),
            clump_px=style.clump_px * size,
            direction_deg=float(np.clip(layer_direction_deg(drawn, number, rng), -STEEPEST_DEG, STEEPEST_DEG)),
            level_codes=style.level_codes * layer_gain(drawn, rng),
        )
        total = laid_onto(total, noise_layer_codes(height_px, width_px, layer_style, rng), drawn)
    return laid_onto(total, faint_layer_codes(height_px, width_px, drawn, rng), drawn)


def layer_size(drawn: Mapping[str, Any], rng: np.random.Generator) -> float:
    """How large a layer is beside the median one, grains, blur and clumps alike: log-normal, `layer_size_log_sd`."""
    log_sd = drawn.get("layer_size_log_sd", 0)
    return float(np.exp(log_sd * rng.standard_normal())) if log_sd > 0 else 1.0


def noise_layer_codes(
    height_px: int, width_px: int, style: NoiseStyle, rng: np.random.Generator
) -> Float[np.ndarray, "h w"]:
    """One layer, float32 [codes], 0 to `level_codes`. Thresholds are of the picture itself, as an editor's are."""
    margin_px = int(np.ceil(0.5 * style.length_px)) + SPARE_PX
    sides_px = (height_px + 2 * margin_px, width_px + 2 * margin_px)
    cells = tuple(int(np.ceil(side / style.grain_px)) for side in sides_px)
    lit_fraction = min(style.grains_per_length * style.grain_px / style.length_px, 1.0)
    row_px = (np.arange(cells[0]) + 0.5) * sides_px[0] / cells[0] - margin_px
    kept_fraction = np.where(row_px < 0, 1 - style.inside_top_fraction, 1.0)
    kept_fraction[row_px > height_px] = 1 - style.inside_bottom_fraction
    lit = rng.random(cells) < lit_fraction * kept_fraction[:, None]
    noise = (lit * rng.uniform(DIMMEST_GRAIN, 1, cells)).astype(np.float32)
    if style.clump_log_sd > 0:
        noise *= np.exp(style.clump_log_sd * smooth_noise(cells, style.clump_px / style.grain_px, rng))
    noise = cv2.resize(noise, sides_px[::-1], interpolation=cv2.INTER_CUBIC)
    kernel = motion_kernel(style.length_px, style.direction_deg)
    blurred = cv2.filter2D(noise, cv2.CV_32F, kernel, borderType=cv2.BORDER_CONSTANT)
    seen = blurred[margin_px : margin_px + height_px, margin_px : margin_px + width_px]
    covered = style.layer_coverage_fraction
    threshold, bright = np.maximum(np.quantile(seen, [1 - covered, 1 - BRIGHT_FRACTION * covered]), 0).tolist()
    ramp = max(style.ramp_fraction * (bright - threshold), STEEPEST_RAMP)
    return style.level_codes * np.clip((seen - threshold) / ramp, 0, 1)


def smooth_noise(sides: tuple[int, ...], apart: float, rng: np.random.Generator) -> Float[np.ndarray, "h w"]:
    """Standard normal numbers at places `apart` from one another, float32, and smooth between them (bicubic)."""
    places = tuple(int(np.ceil(side / apart)) + 1 for side in sides)
    return cv2.resize(rng.standard_normal(places).astype(np.float32), sides[::-1], interpolation=cv2.INTER_CUBIC)
