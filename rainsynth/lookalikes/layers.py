"""The layers of one picture of a look-alike, ready for `display_blend`.

Look-alike: statistics taken from the set's pairs, or from its maker's generator (see `sets`). Nothing in it is a
measured drop: streaks are lines on the picture, and the same depth map gives another veil in every set.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8, UInt16

from rainsynth.checks import InputError, check_choice, check_in_range
from rainsynth.display_blend import STEPS_PER_CODE, WHITE_CODE
from rainsynth.layer_steps import UNIT_STEPS
from rainsynth.lookalikes.clipped_noise import summed_noise_codes
from rainsynth.lookalikes.noise import blurred_noise_codes
from rainsynth.lookalikes.ranges import LookAlike, Parameters
from rainsynth.lookalikes.sets import LOOKALIKES
from rainsynth.lookalikes.streaks import summed_layers_codes
from rainsynth.lookalikes.taken_layers import taken_codes

VISIBLE_CODES = 10  # a pixel counts as covered by streaks above this, as in rainsynth.measure
DEPTH_BLUR_PX = 5.0  # imgaussfilt(dep, 5) of Outdoor-Rain's generator
LEAST_DISPARITY = 0.1  # 1 / (disparity + 0.1) of the same

DEPTH_NUMBERS = ("fog_per_m", "fading_per_m", "full_depth_m")  # of RainCityscapes; lines blended by screen lack them

RECIPES = {
    "lines": summed_layers_codes,
    "clipped noise": summed_noise_codes,
    "blurred noise": blurred_noise_codes,
    "taken layers": taken_codes,
}


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LookAlikeLayers:
    """What `display_blend.blend_on_display` needs besides the photograph, and the numbers that made it.

    `streak_alpha16` holds S in steps of 1/65535 of 255 codes (257 steps a code), `transmission16` t in steps of
    1/65535. `parameters` holds every drawn number by name and unit.
    """

    blend: str
    streak_alpha16: UInt16[np.ndarray, "h w"]
    transmission16: UInt16[np.ndarray, "h w"]
    airlight_srgb8: UInt8[np.ndarray, "3"]
    parameters: Parameters


Window = tuple[int, int, int, int]  # top, left, height and width


def draw_look_alike(
    name: str, depth_m: Float[np.ndarray, "h w"], rng: np.random.Generator, window: Window | None = None
) -> LookAlikeLayers:
    """Streaks and veil of one picture of the look-alike `name`, whose depth is `depth_m` (H, W) [m], or of a window.

    Rain100L and Rain100H: statistics taken from the sets' pairs; depth gives the shape alone, and S is of whole codes.
    Outdoor-Rain: its authors' generator, on depth relative to the nearest point. RainCityscapes: its paper's formulas,
    on depth in metres. Raises InputError for an unknown name, and for depth that is not a positive map.
    """
    check_choice(name, tuple(LOOKALIKES), "name")
    return draw_layers(LOOKALIKES[name], name, depth_m, rng, window)


def draw_layers(
    look_alike: LookAlike,
    name: str,
    depth_m: Float[np.ndarray, "h w"],
    rng: np.random.Generator,
    window: Window | None = None,
) -> LookAlikeLayers:
    """The same of any look-alike; `name` is what its parameters call it."""
    drawn_part, kept = parts_to_draw(window, np.shape(depth_m), look_alike.side_margin_px)
    depth_m = np.ascontiguousarray(depth_m[drawn_part])
    check_depth(depth_m)
    drawn = look_alike.draw(rng)
    height_px, width_px = depth_m.shape
    recipe, numbers = RECIPES[look_alike.recipe], drawn | {"layers": look_alike.layers}
    streaks = np.minimum(recipe(height_px, width_px, numbers, rng), WHITE_CODE)
    if look_alike.blend == "additive":
        streaks, transmission = np.floor(streaks), np.ones(depth_m.shape, dtype=np.float32)
    elif look_alike.blend == "heavy-rain":
        transmission = heavy_rain_transmission(depth_m, drawn["veil_strength"])
    else:
        fog_per_m, fading_per_m, full_depth_m = (np.float32(drawn.get(name, 0)) for name in DEPTH_NUMBERS)
        transmission = np.exp(-fog_per_m * depth_m)
        streaks *= np.exp(-fading_per_m * np.maximum(depth_m, full_depth_m))
        streaks = np.minimum(streaks, WHITE_CODE * transmission)  # R + F <= 1: no light is taken from B twice
    streaks, transmission = streaks[kept], transmission[kept]
    return LookAlikeLayers(
        blend=look_alike.blend,
        streak_alpha16=np.rint(streaks * STEPS_PER_CODE).astype(np.uint16),
        transmission16=np.rint(transmission * UNIT_STEPS).astype(np.uint16),
        airlight_srgb8=np.full(3, round(WHITE_CODE * drawn.get("airlight_fraction", 0)), dtype=np.uint8),
        parameters={"look_alike": name} | drawn | measured(streaks, transmission),
    )


def parts_to_draw(
    window: Window | None, size_px: tuple[int, ...], side_margin_px: int | None
) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """What part of a picture is drawn for a window, and what part of that is the window; see LookAlike."""
    if window is None:
        return (), ()
    top, left, height, width = window
    if side_margin_px is None:
        return np.s_[top : top + height, left : left + width], ()
    first = max(left - side_margin_px, 0)
    drawn = np.s_[0 : size_px[0], first : min(left + width + side_margin_px, size_px[1])]
    return drawn, np.s_[top : top + height, left - first : left - first + width]


def heavy_rain_transmission(depth_m: Float[np.ndarray, "h w"], veil_strength: float) -> Float[np.ndarray, "h w"]:
    """t = exp(-beta d), with d = 1 / (disparity + 0.1) over its largest value, smoothed by 5 px.

    Disparity, relative, is nearest depth over depth: d runs from 0.09 for the nearest point of a deep scene to 1.
    """
    relative = 1 / (depth_m.min() / depth_m + np.float32(LEAST_DISPARITY))
    smooth = cv2.GaussianBlur(relative / relative.max(), (0, 0), DEPTH_BLUR_PX)
    return np.exp(np.float32(-veil_strength) * smooth)


def measured(streaks: Float[np.ndarray, "h w"], transmission: Float[np.ndarray, "h w"]) -> Parameters:
    """What came out of the numbers: coverage above 10 codes, mean level [codes], mean transmission."""
    return {
        "coverage_fraction": float(np.mean(streaks > VISIBLE_CODES)),
        "mean_streak_codes": float(streaks.mean()),
        "mean_transmission": float(transmission.mean()),
    }


def check_depth(depth_m: Any) -> None:
    """Raise InputError unless depth is a map (H, W) of positive, finite float32 [m]."""
    shape, dtype = np.shape(depth_m), getattr(depth_m, "dtype", None)
    if dtype != np.float32 or len(shape) != 2 or min(shape) < 1:
        raise InputError(f"depth_m must be a float32 map (H, W) in metres, got {dtype} {shape}.")
    check_in_range(depth_m, 1e-3, 1e6, "depth_m", "Fill unknown depth first.")
