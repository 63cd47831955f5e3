"""Rain as lines on display codes, given by its numbers: a look-alike of anybody's own, as it stands in a config.

    lines:
      blend: additive
      kinds:
        - {title: soft, share_fraction: 0.7, ranges: {direction_deg: [-12, 12], length_px: {low: 40, high: 90,
           scale: logarithmic}, level_codes: 35}}
        - {title: hard, share_fraction: 0.3, ranges: {layer_count: [2, 4], edge_px: 0.9}}

A range is one number, [low, high], or {low, high, scale}; in the first two the scale is that of the number's own
default. What is left out has the default of LINE_NUMBERS: one layer of soft streaks of 20 to 60 px near the vertical.
Streaks are drawn one by one, or, with `streaks: noise` beside the blend, noise that is blurred and clipped. With
`streaks: taken` and `layers: FOLDER` they are drawn by no numbers: they were taken off photographs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rainsynth.checks import InputError, check_choice, check_in_range, check_number
from rainsynth.lookalikes.ranges import SCALES, Drawn, Kind, LookAlike
from rainsynth.lookalikes.streaks import STEEPEST_DEG
from rainsynth.pictures import list_photos

# Blends of lines, and the formula of rainsynth.display_blend that makes each. Screen is 255 - (255 - B)(255 - S) / 255,
# which RainCityscapes' formula is without its fog.
LINE_BLENDS = {
    "additive": "additive",
    "screen": "raincityscapes",
    "heavy-rain": "heavy-rain",
    "raincityscapes": "raincityscapes",
}
# How streaks are made, and the recipe of rainsynth.lookalikes.layers for it.
DRAWN, NOISE, TAKEN = "drawn", "noise", "taken"
STREAKS = {DRAWN: "lines", NOISE: "clipped noise", TAKEN: "taken layers"}
OF_NUMBERS = (DRAWN, NOISE)
SOURCE = "a config, or the default of lines"  # of every range
SHARES_TOLERANCE = 1e-6  # shares are decimal numbers that people write


@dataclass(frozen=True, slots=True, kw_only=True)
class LineNumber:
    """One number of the recipe: where it may lie, and what it is drawn from where a config leaves it out.

    None: the picture does without, as `crossing_deg`, whose layers then go along `direction_deg`, and
    `layer_screened_fraction`, whose layers then add up. `blends` and `streaks` name those that have the number, where
    not all do.
    """

    low: float
    high: float
    default: Drawn | None
    blends: tuple[str, ...] = tuple(LINE_BLENDS)
    streaks: tuple[str, ...] = OF_NUMBERS

    @property
    def scale(self) -> str:
        """How it is drawn between two limits unless a config says otherwise."""
        return self.default.scale if self.default else "uniform"


def _default(low: float, high: float, scale: str = "uniform") -> Drawn:
    return Drawn(low=float(low), high=float(high), scale=scale, source=SOURCE)


def _number(low: float, high: float, value: float, streaks: tuple[str, ...] = OF_NUMBERS) -> LineNumber:
    """A number that is fixed unless a config spreads it."""
    return LineNumber(low=low, high=high, default=_default(value, value), streaks=streaks)


HEAVY_RAIN, RAINCITYSCAPES = ("heavy-rain",), ("raincityscapes",)
OF_DRAWN, OF_NOISE = (DRAWN,), (NOISE,)
TAKEN_BLENDS = ("additive", "screen")

# What each number means: rainsynth.lookalikes.streaks, .clipped_noise and .layers.
LINE_NUMBERS: dict[str, LineNumber] = {
    "layer_count": LineNumber(low=1, high=16, default=_default(1, 1, "whole")),
    "layer_scatter_deg": _number(0, 45, 0),
    "layer_level_log_sd": _number(0, 3, 0),
    "layer_screened_fraction": LineNumber(low=0, high=1, default=None),
    "direction_deg": LineNumber(low=-STEEPEST_DEG, high=STEEPEST_DEG, default=_default(-10, 10)),
    "crossing_deg": LineNumber(low=-STEEPEST_DEG, high=STEEPEST_DEG, default=None),
    "streak_scatter_deg": _number(0, 45, 1, OF_DRAWN),
    "layer_coverage_fraction": LineNumber(low=1e-4, high=0.99, default=_default(0.1, 0.4)),
    "length_px": LineNumber(low=1, high=4000, default=_default(20, 60, "logarithmic")),
    "length_log_sd": _number(0, 2, 0.4, OF_DRAWN),
    "width_px": LineNumber(low=0.1, high=200, default=_default(1, 2, "logarithmic"), streaks=OF_DRAWN),
    "width_log_sd": _number(0, 2, 0.3, OF_DRAWN),
    "level_codes": LineNumber(low=0.1, high=255, default=_default(25, 60, "logarithmic")),
    "level_log_sd": _number(0, 3, 0.5, OF_DRAWN),
    "highest_level_codes": _number(1, 255, 255, OF_DRAWN),
    "edge_px": _number(0, 50, 1.2, OF_DRAWN),
    "taper_fraction": _number(0, 1, 0.3, OF_DRAWN),
    "bead_fraction": _number(0, 1, 0, OF_DRAWN),
    "bead_px": _number(0.1, 500, 5, OF_DRAWN),
    "size_correlation": _number(-1, 1, 0, OF_DRAWN),
    "inside_top_fraction": _number(0, 1, 0),
    "inside_bottom_fraction": _number(0, 1, 0),
    "grain_px": LineNumber(low=1, high=50, default=_default(1.2, 2, "logarithmic"), streaks=OF_NOISE),
    "grains_per_length": LineNumber(low=0.01, high=1e4, default=_default(1, 10, "logarithmic"), streaks=OF_NOISE),
    "ramp_fraction": _number(0, 100, 1, OF_NOISE),
    "layer_size_log_sd": _number(0, 2, 0, OF_NOISE),
    "clump_log_sd": LineNumber(low=0, high=3, default=None, streaks=OF_NOISE),
    "clump_px": LineNumber(low=4, high=4000, default=None, streaks=OF_NOISE),
    "faint_coverage_fraction": _number(0, 0.99, 0),
    "faint_direction_deg": LineNumber(low=-STEEPEST_DEG, high=STEEPEST_DEG, default=_default(-10, 10)),
    "faint_level_codes": _number(0.1, 255, 13),
    "veil_strength": LineNumber(low=0, high=20, default=_default(1, 3), blends=HEAVY_RAIN),
    "airlight_fraction": LineNumber(low=0, high=1, default=_default(0.5, 0.9), blends=HEAVY_RAIN + RAINCITYSCAPES),
    "fading_per_m": LineNumber(low=0, high=10, default=_default(0, 0), blends=RAINCITYSCAPES),
    "fog_per_m": LineNumber(low=0, high=10, default=_default(0, 0), blends=RAINCITYSCAPES),
    "full_depth_m": LineNumber(low=0, high=60_000, default=_default(1, 1), blends=RAINCITYSCAPES),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LineKind:
    """One kind of picture: how often it comes, and the ranges of its numbers by the names of LINE_NUMBERS."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    title: str = "lines"
    share_fraction: float = 1.0
    ranges: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_in_range(self.share_fraction, 0, 1, "share_fraction")
        for name, value in self.ranges.items():
            check_choice(name, tuple(LINE_NUMBERS), "name of a range of lines")
            drawn_from(value, name, LINE_NUMBERS[name])

    def drawn(self, blend: str, streaks: str) -> dict[str, Drawn]:
        """Every number that a blend and streaks have, in the order of LINE_NUMBERS: as given, or by default."""
        given = {name: drawn_from(value, name, LINE_NUMBERS[name]) for name, value in self.ranges.items()}
        found = {
            name: given.get(name, number.default)
            for name, number in LINE_NUMBERS.items()
            if blend in number.blends and streaks in number.streaks
        }
        return {name: drawn for name, drawn in found.items() if drawn is not None}


ONE_KIND = (LineKind(),)


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRain:
    """Rain of lines in one or more kinds, whose streaks are made by one of STREAKS and blended by one of LINE_BLENDS.

    `side_margin_px` is for kinds that leave out streaks at the picture's upper or lower edge: see LookAlike. `layers`
    is the folder of streaks that are taken off photographs, which have no kinds, and are added or screened.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012

    kinds: tuple[LineKind, ...] = ONE_KIND
    blend: str = "additive"
    streaks: str = DRAWN
    side_margin_px: int | None = None
    layers: str | None = None

    def __post_init__(self) -> None:
        check_choice(self.blend, tuple(LINE_BLENDS), "lines.blend")
        check_choice(self.streaks, tuple(STREAKS), "lines.streaks")
        self._check_taken()
        if not self.kinds:
            raise InputError("lines.kinds must hold at least one kind, got none.")
        total = sum(kind.share_fraction for kind in self.kinds)
        if abs(total - 1) > SHARES_TOLERANCE:
            raise InputError(f"share_fraction of all kinds of lines must sum to 1, got {total:g}.")
        if self.side_margin_px is not None:
            check_number(self.side_margin_px, 0, 10_000, "lines.side_margin_px")
        for name in (name for kind in self.kinds for name in kind.ranges):
            if self.blend not in LINE_NUMBERS[name].blends:
                blends = " or ".join(LINE_NUMBERS[name].blends)
                raise InputError(f"{name} must go with blend {blends}, got blend {self.blend}. Leave it out.")
            if self.streaks not in LINE_NUMBERS[name].streaks:
                made = " or ".join(LINE_NUMBERS[name].streaks)
                raise InputError(f"{name} must go with streaks {made}, got streaks {self.streaks}. Leave it out.")

    def _check_taken(self) -> None:
        if (self.streaks == TAKEN) != (self.layers is not None):
            raise InputError(
                f"lines.layers must go with streaks {TAKEN}, and only with them, got {self.layers!r} with streaks "
                f"{self.streaks}. It is the folder that `rainsynth fit --layers` writes."
            )
        if self.streaks != TAKEN:
            return
        check_choice(self.blend, TAKEN_BLENDS, f"lines.blend of streaks {TAKEN}")
        if self.kinds != ONE_KIND or self.side_margin_px is not None:
            raise InputError(
                f"lines.kinds and side_margin_px must be left out with streaks {TAKEN}: a layer is a kind."
            )

    @property
    def look_alike(self) -> LookAlike:
        """The look-alike with these numbers or layers, ready to be drawn. InputError where there are no layers."""
        return LookAlike(
            title="lines by their numbers" if self.layers is None else "streaks taken off photographs",
            blend=LINE_BLENDS[self.blend],
            recipe=STREAKS[self.streaks],
            side_margin_px=self.side_margin_px,
            kinds=self._kinds_of_numbers() if self.layers is None else kinds_of_layers(Path(self.layers)),
            layers=self.layers,
        )

    def _kinds_of_numbers(self) -> tuple[Kind, ...]:
        total = sum(kind.share_fraction for kind in self.kinds)
        return tuple(
            Kind(
                title=kind.title,
                share_fraction=kind.share_fraction / total,
                ranges=kind.drawn(self.blend, self.streaks),
            )
            for kind in self.kinds
        )


def kinds_of_layers(folder: Path) -> tuple[Kind, ...]:
    """A kind for each layer in a folder, as often as any other, by its file's place there."""
    if not folder.is_dir():
        raise InputError(f"lines.layers must be a folder of layers, got {str(folder)!r}. Does it exist?")
    files = list_photos(folder)
    return tuple(
        Kind(title=file.relative_to(folder).as_posix(), share_fraction=1 / len(files), ranges={}) for file in files
    )


def drawn_from(value: Any, name: str, number: LineNumber) -> Drawn:
    """The range that a config gives as one number, [low, high], or {low, high, scale}.

    Raises InputError for anything else, for a number where it may not lie, and for limits the wrong way round.
    """
    scale: Any = number.scale
    if isinstance(value, Mapping):
        if not {"low", "high"} <= set(value) <= {"low", "high", "scale"}:
            raise InputError(f"{name} must be a number, [low, high] or {{low, high, scale}}, got {dict(value)}.")
        scale = value.get("scale", scale)
        check_choice(scale, SCALES, f"scale of {name}")
    low, high = ends_of(value, name)
    check_in_range((low, high), number.low, number.high, name)
    if number.scale == "whole" and (scale != "whole" or not (low.is_integer() and high.is_integer())):
        raise InputError(f"{name} must be whole numbers, got {value!r}.")
    if scale == "logarithmic" and low <= 0:
        raise InputError(f"{name} must be above 0 where its scale is logarithmic, got {low:g}.")
    return Drawn(low=low, high=high, scale=scale, source=SOURCE)


def ends_of(value: Any, name: str) -> tuple[float, float]:
    """Low and high of a range that is one number, [low, high], or holds both by these names."""
    ends = [value["low"], value["high"]] if isinstance(value, Mapping) else value
    ends = list(ends) if isinstance(ends, list | tuple) else [ends, ends]
    for end in ends:
        if isinstance(end, bool) or not isinstance(end, int | float):
            raise InputError(f"{name} must be a number or [low, high], got {value!r}.")
    if len(ends) != 2 or not ends[0] <= ends[1]:
        raise InputError(f"{name} must be [low, high], low first, got {value!r}.")
    return float(ends[0]), float(ends[1])
