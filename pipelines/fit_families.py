"""The families of rain that a fit draws from: lines or clipped noise on display codes, physical rain before a camera.

A fitted number is drawn by itself; what follows from all of them in a picture, such as its coverage, is found beside
it. Numbers that are drawn uniformly in their logarithm are fitted in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.special import ndtr, ndtri

from rainsynth.display_blend import STEPS_PER_CODE
from rainsynth.layer_steps import UNIT_STEPS
from rainsynth.lookalikes import LineKind, LineRain
from rainsynth.lookalikes.layers import VISIBLE_CODES
from rainsynth.lookalikes.line_rain import DRAWN
from rainsynth.lookalikes.line_rain import NOISE as CLIPPED_NOISE
from rainsynth.measure import direction_profile, length_px, main_direction_deg, width_px
from rainsynth.measure.rain_statistics import quick_correlation
from rainsynth.named_rain import render_preset
from rainsynth.presets import PRESETS, with_ranges
from rainsynth.sample import RainSample
from rainsynth.scene.background import Background

LINES, PHYSICAL, NOISE = FAMILIES = ("lines", "physical", "noise")
STREAKS_OF = {LINES: DRAWN, NOISE: CLIPPED_NOISE}  # how the streaks of families on display codes are made
SCREEN = "screen"  # 1 where these are screened, 0 where they are added
BASE_PRESET = "heavy"  # whose ranges a fitted one replaces
MOST_LAYERS = 4
SMALLEST_COVERAGE = 1e-3  # choice: a picture with less has no rain to speak of
SMALLEST_CODES, SMALLEST_PX, SMALLEST_DEPTH = 0.1, 0.1, 1e-4
LAYER_REACH_PX = 96  # of the autocorrelation that lengths are taken of


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """Where a number is looked for, and how it is spread there: `mean` and `sd` in its own scale; None: evenly.

    `scale` "logarithmic" means that limits are numbers, mean and sd natural logarithms.
    """

    low: float
    high: float
    scale: str = "uniform"
    mean: float | None = None
    sd: float | None = None

    @property
    def limits(self) -> tuple[float, float]:
        """Limits in the number's own scale."""
        return (self.to_scale(self.low), self.to_scale(self.high))

    def to_scale(self, value: float) -> float:
        """A number as it is fitted."""
        return float(np.log(value)) if self.scale == "logarithmic" else float(value)

    def from_scale(self, value: float) -> float:
        """A fitted value as a number within the limits."""
        number = float(np.exp(value)) if self.scale == "logarithmic" else float(value)
        return min(max(number, self.low), self.high)

    def draw(self, rng: np.random.Generator, count: int) -> Float[np.ndarray, "count"]:
        """Values in the number's own scale: evenly, or normal and cut at the limits."""
        places, (low, high) = rng.random(count), self.limits
        if self.mean is None or self.sd is None:
            return low + places * (high - low)
        first, last = ndtr((np.array([low, high]) - self.mean) / self.sd)
        return np.clip(self.mean + self.sd * ndtri(first + places * (last - first)), low, high)


def _log(low: float, high: float) -> Number:
    return Number(low=low, high=high, scale="logarithmic")


def _even(low: float, high: float) -> Number:
    return Number(low=low, high=high)


# Choices: from rain that hardly shows to what the field's heaviest sets have. What comes after the taper is hardly told
# by any picture; it is drawn so that lengths and levels are those of streaks of every shape.
LINE_RANGES: dict[str, Number] = {
    "direction_deg": _even(-60, 60),
    "streak_scatter_deg": _log(0.3, 6),
    "layer_coverage_fraction": _log(0.03, 0.6),
    "layer_count": _even(0.5, MOST_LAYERS + 0.5),  # rounded where it is drawn
    "length_px": _log(8, 200),
    "length_log_sd": _even(0.2, 0.6),
    "width_px": _log(0.8, 5),
    "width_log_sd": _even(0.2, 0.5),
    "level_codes": _log(12, 120),
    "level_log_sd": _even(0.2, 1.6),
    "edge_px": _log(0.4, 2.5),
    "taper_fraction": _even(0, 0.8),
    "layer_scatter_deg": _even(0, 8),
    "layer_level_log_sd": _even(0, 0.4),
    "bead_fraction": _even(0, 0.8),
    "size_correlation": _even(0, 0.8),
    "highest_level_codes": _log(60, 255),
    SCREEN: _even(0, 1),  # rounded where it is drawn
}
NOISE_RANGES: dict[str, Number] = {
    "direction_deg": _even(-60, 60),
    "layer_coverage_fraction": _log(0.05, 0.8),
    "layer_count": _even(0.5, MOST_LAYERS + 0.5),
    "length_px": _log(10, 250),
    "grain_px": _log(1, 4),
    "grains_per_length": _log(0.3, 30),
    "ramp_fraction": _log(0.05, 3),
    "level_codes": _log(12, 160),
    "layer_scatter_deg": _even(0, 12),
    "layer_level_log_sd": _even(0, 0.4),
    "layer_size_log_sd": _even(0, 0.6),
    "faint_coverage_fraction": _even(0, 0.6),
    "faint_direction_deg": _even(-30, 30),
    "faint_level_codes": _log(6, 25),
    SCREEN: _even(0, 1),
}
# Coverage of lines is that above 10 codes, level the median of what is covered; length and width are those that
# rainsynth.measure takes of a layer, and other shapes of streaks have the same ones.
LINE_FINDINGS = ("coverage_fraction", "mean_streak_codes", "level_seen_codes", "length_seen_px", "width_seen_px")
PHYSICAL_RANGES: dict[str, Number] = {
    "rain_rate_mm_h": _log(2, 250),
    "wind_right_m_s": _even(-10, 10),
    "turbulence_m_s": _even(0.1, 1.2),
    "exposure_s": _log(1 / 4000, 1 / 60),
    "field_of_view_deg": _log(6, 70),
    "near_m": _even(0.3, 1),
    "aperture_mm": _even(0, 3),
    "focus_m": _even(3, 20),
    "mist_per_km": _even(0, 6),
    "sky_linear": _log(1, 6),
}
PHYSICAL_FINDINGS = ("coverage_fraction", "optical_depth")
# Which the layers of a place show, and windows of its pictures do not, or hardly.
LAYER_RANGES: dict[str, Number] = {
    "inside_top_fraction": _even(0, 1),
    "inside_bottom_fraction": _even(0, 1),
    "layer_screened_fraction": _even(0, 1),
}
# Where whole layers may be further than windows tell: streaks that cross the picture, light rain behind heavy rain.
WIDER_OF_LAYERS: dict[str, dict[str, Number]] = {
    LINES: {},
    NOISE: {
        "layer_coverage_fraction": _even(0.05, 0.98),
        "length_px": _log(10, 600),
        "ramp_fraction": _log(0.05, 10),
        "level_codes": _log(12, 240),
        "layer_scatter_deg": _even(0, 20),
        "layer_level_log_sd": _even(0, 0.8),
        "layer_size_log_sd": _even(0, 0.9),
        "clump_log_sd": _even(0, 1.2),
        "clump_px": _log(10, 160),
        "faint_level_codes": _log(6, 60),
    },
}
RANGES_OF = {LINES: LINE_RANGES, PHYSICAL: PHYSICAL_RANGES, NOISE: NOISE_RANGES}
FINDINGS_OF = {LINES: LINE_FINDINGS, PHYSICAL: PHYSICAL_FINDINGS, NOISE: LINE_FINDINGS}


def named_numbers(ranges: Mapping[str, Number], values: Float[np.ndarray, "free"]) -> dict[str, float]:
    """Numbers by name, within their limits, of values in their own scales."""
    return {name: number.from_scale(value) for (name, number), value in zip(ranges.items(), values, strict=True)}


def line_kind(numbers: Mapping[str, float]) -> LineKind:
    """Lines, or noise, with these numbers; those of the fit that are none of lines' own are read elsewhere."""
    ranges: dict[str, Any] = {name: value for name, value in numbers.items() if name != SCREEN}
    return LineKind(ranges=ranges | {"layer_count": whole_layers(numbers["layer_count"])})


def whole_layers(layer_count: float) -> int:
    """Layers that are drawn for a number of them that was fitted."""
    return min(max(round(layer_count), 1), MOST_LAYERS)


def render(
    family: str,
    numbers: Mapping[str, float],
    background: Background,
    window: tuple[int, int, int, int],
    seed: int,
    index: int,
) -> RainSample:
    """A window of a picture in rain of these numbers: a function of the arguments."""
    if family in STREAKS_OF:
        blend = "screen" if numbers[SCREEN] > 0.5 else "additive"
        rain: Any = LineRain(blend=blend, streaks=STREAKS_OF[family], kinds=(line_kind(numbers),)).look_alike
    else:
        rain = with_ranges(PRESETS[BASE_PRESET], dict(numbers))
    return render_preset(background, rain, name=family, seed=seed, index=index, window=window)


def findings(family: str, sample: RainSample) -> dict[str, float]:
    """What follows from the numbers in a picture, as logarithms: FINDINGS_OF the family.

    `optical_depth` is the mean of -ln t over the picture, of the veil alone; `mean_streak_codes` that of the streaks.
    """
    if family in STREAKS_OF:
        found = layer_findings(sample.streak_alpha16.astype(np.float32) / STEPS_PER_CODE)
    else:
        steps = np.maximum(sample.transmission16, 1).astype(np.float64)
        found = {
            "coverage_fraction": max(sample.parameters["coverage_fraction"], SMALLEST_COVERAGE),
            "optical_depth": max(float(-np.log(steps / UNIT_STEPS).mean()), SMALLEST_DEPTH),
        }
    return {name: float(np.log(value)) for name, value in found.items()}


def layer_findings(layer_codes: Float[np.ndarray, "h w"]) -> dict[str, float]:
    """Coverage above 10 codes, mean level, level of what is covered, length and width, along the layer's own direction.

    A sample's own `coverage_fraction` is that of any light at all, of which much cannot be seen.
    """
    covered = layer_codes[layer_codes > VISIBLE_CODES]
    correlation = quick_correlation(layer_codes, LAYER_REACH_PX)
    angle_deg = main_direction_deg(direction_profile(correlation))
    return {
        "coverage_fraction": max(covered.size / layer_codes.size, SMALLEST_COVERAGE),
        "mean_streak_codes": max(float(layer_codes.mean()), SMALLEST_CODES),
        "level_seen_codes": float(np.median(covered)) if covered.size else float(VISIBLE_CODES),
        "length_seen_px": max(length_px(correlation, angle_deg), SMALLEST_PX),
        "width_seen_px": max(width_px(correlation, angle_deg), SMALLEST_PX),
    }


def with_spread(number: Number, mean: float, sd: float) -> Number:
    """The number looked for around `mean`, in its own scale."""
    low, high = number.limits
    return replace(number, mean=min(max(mean, low), high), sd=max(sd, 1e-6))
