"""Which rain a data set or a training run mixes: presets, presets with ranges of one's own, and lines, by weight."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import nan
from typing import Any

from rainsynth.checks import InputError, check_choice, check_in_range
from rainsynth.lookalikes import LOOKALIKES, LineRain, LookAlike
from rainsynth.physics.drop_size import MAX_RAIN_RATE_MM_H, MIN_RAIN_RATE_MM_H
from rainsynth.presets import PRESETS, Preset, with_ranges

DIGEST_DIGITS = 8  # of the SHA-256 of ranges: enough to tell the parts of a mixture apart


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetChoice:
    """One part of a mixture of rains, drawn with probability proportional to `weight`: a `preset`, or `lines`.

    `rain_rate_mm_h` (low, high) replaces the preset's own range; rates are uniform in their logarithm. Look-alikes of
    benchmark sets have no rate. `ranges` replaces any field of a physical preset (rainsynth.presets.Preset), such as
    {exposure_s: [0.001, 0.002], wind_right_m_s: 0}. `lines` stands in place of a preset: lines on display codes by
    their numbers (rainsynth.lookalikes.line_rain.LineRain).
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    preset: str = ""
    weight: float = 1.0
    rain_rate_mm_h: tuple[float, float] | None = None
    ranges: Mapping[str, Any] | None = None
    lines: LineRain | None = None

    def __post_init__(self) -> None:
        if (self.lines is None) == (not self.preset):
            given = f"both: {self.preset!r} and lines" if self.preset else "neither"
            raise InputError(f"a part of a mixture must have a preset or lines, got {given}.")
        if self.lines is None:
            check_choice(self.preset, (*PRESETS, *LOOKALIKES), "preset")
        check_in_range(self.weight, 1e-9, 1e9, "weight")
        self._check_rate()
        if self.ranges is not None:
            if self.preset not in PRESETS:
                raise InputError(f"ranges must go with a physical preset, got {self._name}. Lines have ranges inside.")
            if self.rain_rate_mm_h is not None and "rain_rate_mm_h" in self.ranges:
                raise InputError("rain_rate_mm_h must be given once, got it beside ranges and in them.")
            with_ranges(PRESETS[self.preset], self.ranges)  # which checks them

    def _check_rate(self) -> None:
        if self.rain_rate_mm_h is None:
            return
        if self.preset not in PRESETS:
            raise InputError(f"rain_rate_mm_h must be left out for {self._name}, which has no rate.")
        check_in_range(self.rain_rate_mm_h, MIN_RAIN_RATE_MM_H, MAX_RAIN_RATE_MM_H, "rain_rate_mm_h")
        if len(self.rain_rate_mm_h) != 2 or self.rain_rate_mm_h[0] > self.rain_rate_mm_h[1]:
            raise InputError(f"rain_rate_mm_h must be two rates, low then high, got {list(self.rain_rate_mm_h)}.")

    @property
    def _name(self) -> str:
        return self.preset or "lines"

    @property
    def label(self) -> str:
        """What samples are called by: the preset's name, and of ranges of one's own the digest, as in heavy-1f6a02c9.

        The digest is that of the resolved ranges, or of the names of layers; where these lie, and the keys
        `rain_rate_mm_h` and `weight`, play no role.
        """
        if self.lines is None and not self.ranges:
            return self.preset
        values = asdict(self.family)
        values.pop("layers", None)  # a folder; its files are kinds
        written = json.dumps(values, sort_keys=True)
        return f"{self._name}-{hashlib.sha256(written.encode()).hexdigest()[:DIGEST_DIGITS]}"

    @property
    def family(self) -> Preset | LookAlike:
        """The ranges that samples are drawn from, but for the rate that `rain_rate_mm_h` gives."""
        if self.lines is not None:
            return self.lines.look_alike
        if self.preset in LOOKALIKES:
            return LOOKALIKES[self.preset]
        return with_ranges(PRESETS[self.preset], self.ranges) if self.ranges else PRESETS[self.preset]

    @property
    def range_mm_h(self) -> tuple[float, float]:
        """Rates that it rains with [mm/h]; NaN for look-alikes and lines, which have none."""
        family = self.family
        if isinstance(family, LookAlike):
            return nan, nan
        return self.rain_rate_mm_h or family.rain_rate_mm_h
