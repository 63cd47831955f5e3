"""Named families of rain: each draws a weather and a camera.

A preset states the ranges that decide what rain looks like: rate and spectrum, exposure, field of view, near limit,
aperture and focus, wind. Numbers are drawn uniformly, rates and exposures uniformly in their logarithm.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from rainsynth.checks import InputError, check_choice, check_number
from rainsynth.scene.camera import Camera
from rainsynth.scene.rain_event import RainEvent
from rainsynth.seeding import PRESET_STREAM, sample_rng

Range = tuple[float, float]

# Classes of rain by rate [mm/h]: light up to 2.5, moderate to 10, heavy to 50, violent over 50.
RAIN_CLASSES: dict[str, Range] = {
    "light": (0.0, 2.5),
    "moderate": (2.5, 10.0),
    "heavy": (10.0, 50.0),
    "violent": (50.0, 500.0),
}


UNKNOWN_CLASS = "unknown"  # of pairs whose rate nobody knows


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """Ranges of one family of rain; `title` says in a line what it shows.

    The defaults are a photographer's rain: a long lens, a short exposure, and a sky one to two stops brighter than
    the white of the picture. With a wide lens and 1/60 s the same rain is a veil with hardly a streak.
    """

    title: str
    rain_rate_mm_h: Range
    spectrum: str = "marshall-palmer"
    exposure_s: Range = (1 / 1000, 1 / 125)
    field_of_view_deg: Range = (8.0, 30.0)
    near_m: Range = (0.3, 1.0)
    aperture_mm: Range = (0.0, 2.0)
    focus_m: Range = (3.0, 20.0)
    wind_right_m_s: Range = (-2.0, 2.0)
    wind_away_m_s: Range = (-1.0, 1.0)
    turbulence_m_s: Range = (0.2, 0.5)
    mist_per_km: Range = (0.0, 0.5)
    sky_linear: Range = (1.5, 5.0)


PRESETS: dict[str, Preset] = {
    "drizzle": Preset(title="0.2 to 1 mm/h of many small drops", rain_rate_mm_h=(0.2, 1.0), spectrum="joss-drizzle"),
    "light": Preset(title="0.5 to 2.5 mm/h", rain_rate_mm_h=(0.5, 2.5)),
    "moderate": Preset(title="2.5 to 10 mm/h", rain_rate_mm_h=(2.5, 10.0), mist_per_km=(0.0, 1.0)),
    "heavy": Preset(title="10 to 50 mm/h", rain_rate_mm_h=(10.0, 50.0), mist_per_km=(0.0, 2.0)),
    "violent": Preset(title="50 to 150 mm/h", rain_rate_mm_h=(50.0, 150.0), mist_per_km=(0.0, 4.0)),
    "widespread": Preset(
        title="1 to 15 mm/h, the steady rain of a warm front", rain_rate_mm_h=(1.0, 15.0), spectrum="joss-widespread"
    ),
    "thunderstorm": Preset(
        title="20 to 120 mm/h of few large drops, with gusts",
        rain_rate_mm_h=(20.0, 120.0),
        spectrum="joss-thunderstorm",
        wind_right_m_s=(-5.0, 5.0),
        wind_away_m_s=(-3.0, 3.0),
        turbulence_m_s=(0.4, 1.0),
    ),
    "long-exposure": Preset(
        title="1/60 to 1/25 s: long faint streaks", rain_rate_mm_h=(5.0, 100.0), exposure_s=(1 / 60, 1 / 25)
    ),
    "short-exposure": Preset(
        title="1/4000 to 1/1000 s: drops almost stand still",
        rain_rate_mm_h=(5.0, 100.0),
        exposure_s=(1 / 4000, 1 / 1000),
    ),
    "windy": Preset(
        title="slanted by wind of 4 to 10 m/s from the left",
        rain_rate_mm_h=(5.0, 50.0),
        wind_right_m_s=(4.0, 10.0),
        turbulence_m_s=(0.4, 1.0),
    ),
}

UNIFORM_RANGES = (
    "field_of_view_deg",
    "near_m",
    "aperture_mm",
    "focus_m",
    "wind_right_m_s",
    "wind_away_m_s",
    "turbulence_m_s",
    "mist_per_km",
    "sky_linear",
)
LOGARITHMIC_RANGES = ("rain_rate_mm_h", "exposure_s")
RANGES = UNIFORM_RANGES + LOGARITHMIC_RANGES
EVENT_NUMBERS = ("rain_rate_mm_h", "spectrum", "turbulence_m_s", "mist_per_km", "sky_linear")  # and the wind
CAMERA_NUMBERS = ("exposure_s", "near_m", "aperture_mm", "focus_m")  # and the field of view


def rain_class(rain_rate_mm_h: float) -> str:
    """Name of the class of rain that a rate belongs to, of NaN "unknown"; a class holds its upper limit."""
    if np.isnan(rain_rate_mm_h):
        return UNKNOWN_CLASS
    check_number(rain_rate_mm_h, 0, RAIN_CLASSES["violent"][1], "rain_rate_mm_h")
    return next(name for name, (_, high) in RAIN_CLASSES.items() if rain_rate_mm_h <= high)


def draw_rain(
    preset: str | Preset, width_px: int, height_px: int, seed: int, index: int, **options: Any
) -> tuple[RainEvent, Camera]:
    """Weather and camera of sample `index` of a preset; `options` set fields of RainEvent instead of drawing them.

    Raises InputError for a preset that does not exist.
    """
    if isinstance(preset, str):
        check_choice(preset, tuple(PRESETS), "preset")
        preset = PRESETS[preset]
    numbers = draw_numbers(preset, seed, index)
    return event_of(numbers, **options), camera_of(numbers, width_px, height_px)


def with_ranges(family: Preset, ranges: Mapping[str, Any]) -> Preset:
    """A family of rain some of whose fields are replaced; a range is [low, high], or one number for both.

    Raises InputError for what is no field of a family (its title is none), for limits the wrong way round, and for
    numbers that no weather and no camera have.
    """
    given: dict[str, Any] = {}
    for name, value in ranges.items():
        check_choice(name, (*RANGES, "spectrum"), "name of a range")
        given[name] = value if name == "spectrum" else _range_of(value, name)
    replaced = replace(family, **given)
    for place in (0, 1):  # weather and camera check every number; of ranges it is enough to look at both ends
        ends = {name: getattr(replaced, name)[place] for name in RANGES}
        event_of({"spectrum": replaced.spectrum} | ends)
        camera_of(ends, width_px=100, height_px=100)
    return replaced


def _range_of(value: Any, name: str) -> Range:
    ends = list(value) if isinstance(value, list | tuple) else [value, value]
    if len(ends) != 2:
        raise InputError(f"{name} must be a number or [low, high], got {value!r}.")
    for end in ends:
        check_number(end, -np.inf, np.inf, name)
    if ends[0] > ends[1]:
        raise InputError(f"{name} must be [low, high], low first, got {list(ends)}.")
    return float(ends[0]), float(ends[1])


def draw_numbers(family: Preset, seed: int, index: int = 0) -> dict[str, Any]:
    """Weather and camera of sample `index` of a family of rain: its spectrum, and a float for each of its ranges."""
    rng = sample_rng(seed, index, PRESET_STREAM)
    drawn = {name: rng.uniform(*getattr(family, name)) for name in UNIFORM_RANGES}
    for name in LOGARITHMIC_RANGES:
        low, high = getattr(family, name)
        drawn[name] = min(max(float(np.exp(rng.uniform(np.log(low), np.log(high)))), low), high)
    return {"spectrum": family.spectrum} | drawn


def event_of(numbers: Mapping[str, Any], **options: Any) -> RainEvent:
    """The weather among the drawn numbers; `options` are fields of RainEvent that replace it."""
    event: dict[str, Any] = {name: numbers[name] for name in EVENT_NUMBERS}
    event["wind_m_s"] = numbers["wind_right_m_s"], numbers["wind_away_m_s"]
    return RainEvent(**(event | options))


def camera_of(numbers: Mapping[str, Any], width_px: int, height_px: int, full_width_px: int | None = None) -> Camera:
    """The camera among the drawn numbers: of this picture, or of the photograph whose middle the picture is."""
    full_px = width_px if full_width_px is None else full_width_px
    options = {name: numbers[name] for name in CAMERA_NUMBERS}
    camera = Camera.from_fov(full_px, height_px, numbers["field_of_view_deg"], **options)
    return camera.window(0, (full_px - width_px) // 2, height_px, width_px)
