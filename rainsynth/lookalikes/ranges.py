"""What a look-alike draws from: ranges of numbers, each with where it comes from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rainsynth.checks import check_choice, check_in_range, check_number
from rainsynth.display_blend import DISPLAY_BLENDS

SCALES = ("uniform", "logarithmic", "whole")

Parameters = dict[str, Any]  # numbers by name and unit, and names


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A number drawn between two limits, one number where they are equal; `source` says where the limits come from.

    `scale`: "uniform", "logarithmic" (uniform in the logarithm), or "whole" (whole numbers, both limits among them).
    """

    low: float
    high: float
    source: str
    scale: str = "uniform"

    def __post_init__(self) -> None:
        check_choice(self.scale, SCALES, "Drawn.scale")
        check_number(self.high, self.low, np.inf, "Drawn.high")

    def draw(self, rng: np.random.Generator) -> float | int:
        """One number; one draw of `rng` whatever the limits, so that a fixed number shifts no other."""
        place = rng.random()
        if self.scale == "whole":
            return int(self.low + np.floor(place * (self.high - self.low + 1)))
        if self.scale == "logarithmic":
            return float(self.low * (self.high / self.low) ** place)
        return float(self.low + place * (self.high - self.low))


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of picture within a set: how often it comes, and the ranges of all its numbers by name and unit."""

    title: str
    share_fraction: float
    ranges: Mapping[str, Drawn]


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAlike:
    """Ranges of one look-alike; `title` says in a line what it looks like, `recipe` how its streaks are drawn.

    `side_margin_px` is for a look that depends on the edges of the picture: a window of it is cut from one of the whole
    height and of so many more pixels on either side. None: a window looks like a picture of its own. `layers` is the
    folder of layers that were taken off photographs, a kind each; None where streaks are drawn.
    """

    title: str
    blend: str
    recipe: str
    kinds: tuple[Kind, ...]
    side_margin_px: int | None = None
    layers: str | None = None

    def __post_init__(self) -> None:
        check_choice(self.blend, DISPLAY_BLENDS, "LookAlike.blend")
        total = sum(kind.share_fraction for kind in self.kinds)
        check_in_range(total, 1 - 1e-9, 1 + 1e-9, "LookAlike.kinds", "Shares of all kinds add up to 1.")

    def draw(self, rng: np.random.Generator) -> Parameters:
        """A kind by its share, and every number of it."""
        limits = np.cumsum([kind.share_fraction for kind in self.kinds])
        kind = self.kinds[min(int(np.searchsorted(limits, rng.random(), side="right")), len(self.kinds) - 1)]
        return {"kind": kind.title} | {name: drawn.draw(rng) for name, drawn in kind.ranges.items()}
