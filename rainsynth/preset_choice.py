"""Which rain a data set or a training run mixes: presets by weight."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan

from rainsynth.checks import InputError, check_choice, check_in_range
from rainsynth.lookalikes import LOOKALIKES
from rainsynth.physics.drop_size import MAX_RAIN_RATE_MM_H, MIN_RAIN_RATE_MM_H
from rainsynth.presets import PRESETS


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetChoice:
    """One preset of a mixture of rains, drawn with probability proportional to `weight`.

    `rain_rate_mm_h` (low, high) replaces the preset's own range; rates are uniform in their logarithm. Look-alikes of
    benchmark sets have no rate.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    preset: str
    weight: float = 1.0
    rain_rate_mm_h: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_choice(self.preset, (*PRESETS, *LOOKALIKES), "preset")
        check_in_range(self.weight, 1e-9, 1e9, "weight")
        if self.rain_rate_mm_h is None:
            return
        if self.preset in LOOKALIKES:
            raise InputError(f"rain_rate_mm_h must be left out for {self.preset}, which has no rate.")
        check_in_range(self.rain_rate_mm_h, MIN_RAIN_RATE_MM_H, MAX_RAIN_RATE_MM_H, "rain_rate_mm_h")
        if len(self.rain_rate_mm_h) != 2 or self.rain_rate_mm_h[0] > self.rain_rate_mm_h[1]:
            raise InputError(f"rain_rate_mm_h must be two rates, low then high, got {list(self.rain_rate_mm_h)}.")

    @property
    def range_mm_h(self) -> tuple[float, float]:
        """Rates that it rains with [mm/h]; NaN for look-alikes, which have none."""
        if self.preset in LOOKALIKES:
            return nan, nan
        return self.rain_rate_mm_h or PRESETS[self.preset].rain_rate_mm_h
