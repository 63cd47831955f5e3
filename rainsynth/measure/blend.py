"""Which formula made a rainy picture of a clean one: several are fitted to the pair, and judged by what they miss.

    additive             min(255, B + S)          S grey, or of one colour; on display codes or in linear light
    screen               255 - (255 - B)(255 - S) / 255, which is alpha with white light, a = S / 255
    alpha                (1 - a) B + a E          a of every pixel, one light E
    veil                 t B + (1 - t) A          t smooth, one airlight A
    additive and veil    t B + (1 - t) A + S
    alpha and veil       alpha before a veil, or behind one

Of those that miss no more than the best one, the simplest is taken; where two that are equally simple fit equally
well, the pair does not decide between them, and says so: in grey pictures all streaks fit, before dark ones additive
and screen are one. A formula with a streak's strength at every pixel has two equations a pixel to fail by.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from rainsynth.color import linear_to_srgb
from rainsynth.measure.blend_fit import (
    CAP_CODES,
    Fit,
    Observations,
    first_veil,
    fit,
    observe,
    residual_codes,
    strengths,
    tells_alpha,
    within_rounding,
)
from rainsynth.measure.blend_formulas import ADDED, BEFORE_VEIL, BEHIND_VEIL, VEIL
from rainsynth.metrics import check_pair

SRGB8 = UInt8[np.ndarray, "h w 3"]

BLENDS = ("none", "additive", "screen", "alpha", "veil", "additive and veil", "alpha and veil", "other")
NOWHERE = (float("nan"),) * 3  # a colour of what is not there
CODES, LIGHT, EITHER = "display codes", "linear light", "either"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypothesis:
    """A formula that a pair is tried with; `rank` says how free it is, and the light is E to begin with or for good."""

    blend: str
    kind: int
    rank: int
    light: float = 1.0
    fit_light: bool = False
    veil: bool = False
    linear: bool = False


WHITE_CODE = 255.0
HYPOTHESES = {
    "additive": Hypothesis(blend="additive", kind=ADDED, rank=1),
    "screen": Hypothesis(blend="screen", kind=BEFORE_VEIL, rank=1, light=WHITE_CODE),
    "veil": Hypothesis(blend="veil", kind=VEIL, rank=1, veil=True),
    "veil in light": Hypothesis(blend="veil", kind=VEIL, rank=1, veil=True, linear=True),
    "coloured additive": Hypothesis(blend="additive", kind=ADDED, rank=2, fit_light=True),
    "additive in light": Hypothesis(blend="additive", kind=ADDED, rank=2, linear=True),
    "alpha": Hypothesis(blend="alpha", kind=BEFORE_VEIL, rank=2, light=200.0, fit_light=True),
    "alpha in light": Hypothesis(blend="alpha", kind=BEFORE_VEIL, rank=2, fit_light=True, linear=True),
    "additive and veil": Hypothesis(blend="additive and veil", kind=ADDED, rank=3, veil=True),
    "alpha before veil": Hypothesis(
        blend="alpha and veil", kind=BEFORE_VEIL, rank=4, light=230.0, fit_light=True, veil=True
    ),
    "alpha behind veil": Hypothesis(
        blend="alpha and veil", kind=BEHIND_VEIL, rank=4, light=230.0, fit_light=True, veil=True
    ),
    "alpha before veil in light": Hypothesis(
        blend="alpha and veil", kind=BEFORE_VEIL, rank=4, light=1.5, fit_light=True, veil=True, linear=True
    ),
}
SIMPLE_RANK = 2  # formulas up to here are always tried, freer ones where none of these fits
CHANGED_CODES = 2  # a pixel with a channel that differs by this tells something of the blend
LEAST_CHANGED = 100  # pixels of those looked at
ROUNDING_CODES = 0.35  # choice: rounding leaves 0.29; a formula that misses no more than this is as good as exact
EQUAL_RATIO, EQUAL_CODES = 1.1, 0.02  # choice: a residual up to 1.1 times the best one plus 0.02 codes is as good
RESIDUAL_DECIMALS = 6  # what is below is the rounding of sums
NOISY_RATIO = 1.2  # choice: the same where all miss by more than rounding
NOISY_CODES = 1.0  # choice: where the best one misses by more, it is noise or JPEG, and means are judged instead
MEAN_PX = 8  # a block of JPEG
LEAST_SQUARES = 200
UNEXPLAINED_FRACTION = 0.5  # choice: a best residual over this share of the whole change explains nothing
UNEXPLAINED_CODES = 3.0
LEAST_VEIL_FRACTION = 0.03  # choice: alpha that covers every pixel by this much is a veil as well
BETWEEN_PERCENTILE = 10  # of the strength over a tile: what lies there between streaks


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Blend:
    """The blend of a pair. `residuals_codes` are those of all formulas tried, by name; NaN says nothing to judge by.

    They are of means over `judged_over_px`, 1 for the pixels themselves; `residual_codes` is always that of the pixels.
    `blend` is one of BLENDS, `formula` the name of the simplest that fits, `space` where it is exact: "display codes",
    "linear light" or "either". `others` are blends that fit as well and are no less simple. `light_codes` is the colour
    of streaks and `airlight_codes` that of the veil, as display codes, of light brighter than white over 255;
    `veil_fraction` is the mean of 1 - t. What a blend does not have is NaN.
    """

    blend: str
    formula: str
    space: str
    others: tuple[str, ...]
    residual_codes: float
    residuals_codes: dict[str, float]
    judged_over_px: int
    changed_fraction: float
    light_codes: tuple[float, float, float]
    airlight_codes: tuple[float, float, float]
    veil_fraction: float
    fit: Fit | None

    @property
    def decided(self) -> bool:
        """Whether the pair tells this blend from all others that are as simple."""
        return not self.others


def find_blend(rainy_srgb8: SRGB8, clean_srgb8: SRGB8) -> Blend:
    """The blend of a pair, a function of its pixels alone: of every pixel of small pictures, 9,000 of large ones.

    Where no formula comes within a code, formulas are fitted to means over 8 px instead, in which JPEG and noise are
    lost: a mean over a square keeps what is added, and blends that hardly change within it.
    """
    check_pair(rainy_srgb8, clean_srgb8)
    pixels = _judged(rainy_srgb8, clean_srgb8, mean_px=1)
    if pixels is None or not pixels.best() > NOISY_CODES:
        return _described(pixels, pixels)
    squares = (rainy_srgb8.shape[0] // MEAN_PX) * (rainy_srgb8.shape[1] // MEAN_PX)
    means = _judged(rainy_srgb8, clean_srgb8, mean_px=MEAN_PX) if squares >= LEAST_SQUARES else None
    return _described(means or pixels, pixels)


def simplest_formulas(residuals_codes: dict[str, float], exact: Collection[str] = ()) -> list[str]:
    """The simplest of those formulas that miss no more than the best one, the one that misses least first.

    No more is: 1.1 times as much plus 0.02 codes; 1.2 times where all miss by more than rounding. Formulas in `exact`
    miss by rounding alone, and are as good whatever their residual.
    """
    known = {name: residual for name, residual in residuals_codes.items() if np.isfinite(residual)}
    if not known:
        return []
    best = min(known.values())
    ratio = EQUAL_RATIO if best <= ROUNDING_CODES else NOISY_RATIO
    as_good = [name for name, residual in known.items() if name in exact or residual <= ratio * best + EQUAL_CODES]
    rank = min(HYPOTHESES[name].rank for name in as_good)
    order = list(HYPOTHESES)
    return sorted(
        (name for name in as_good if HYPOTHESES[name].rank == rank), key=lambda name: (known[name], order.index(name))
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Judgement:
    """Formulas fitted to the pixels of a pair, or to means: `changed` are those that were judged by."""

    seen: dict[bool, Observations]
    changed: Bool[np.ndarray, "n"]
    fits: dict[str, Fit]
    residuals: dict[str, float]
    mean_px: int

    def best(self) -> float:
        """The lowest residual [codes]; NaN where there was nothing to judge by."""
        known = [residual for residual in self.residuals.values() if np.isfinite(residual)]
        return min(known, default=float("nan"))

    def simplest(self) -> list[str]:
        """The simplest formulas that are as good as the best one."""
        exact = [
            name
            for name, found in self.fits.items()
            if within_rounding(self.seen[HYPOTHESES[name].linear], found, self.changed)
        ]
        return simplest_formulas(self.residuals, exact if self.mean_px == 1 else ())

    def unexplained(self) -> bool:
        """Whether even the best formula leaves most of the change."""
        change = (self.seen[False].rainy - self.seen[False].clean)[self.changed]
        whole = float(np.sqrt(np.mean(np.minimum(np.abs(change), CAP_CODES) ** 2)))
        return self.best() > max(UNEXPLAINED_CODES, UNEXPLAINED_FRACTION * whole)


def _judged(rainy_srgb8: SRGB8, clean_srgb8: SRGB8, mean_px: int) -> _Judgement | None:
    """Every formula fitted, the freest ones only where no simple one is exact; None where hardly a pixel changed."""
    seen = {linear: observe(rainy_srgb8, clean_srgb8, linear=linear, mean_px=mean_px) for linear in (False, True)}
    changed = np.abs(seen[False].rainy - seen[False].clean).max(axis=1) >= CHANGED_CODES
    if changed.sum() < min(LEAST_CHANGED, len(changed)):
        return None
    fits: dict[str, Fit] = {}
    residuals: dict[str, float] = {}
    begin = {linear: first_veil(seen[linear]) for linear in seen}
    for name, tried in HYPOTHESES.items():
        if tried.rank > SIMPLE_RANK and min(residuals.values()) <= ROUNDING_CODES and mean_px == 1:
            break
        pixels, veil = seen[tried.linear], begin[tried.linear] if tried.veil else None
        fits[name] = fit(pixels, tried.kind, light=np.full(3, tried.light), fit_light=tried.fit_light, veil=veil)
        residuals[name] = round(residual_codes(pixels, fits[name], changed), RESIDUAL_DECIMALS)
    return _Judgement(seen, changed, fits, residuals, mean_px)


def _described(judged: _Judgement | None, pixels: _Judgement | None) -> Blend:
    """The first of the simplest formulas in figures and words; its residual is that of the pixels."""
    simplest = judged.simplest() if judged else []
    if judged is None or pixels is None or not simplest:
        return _no_blend(pixels)
    chosen, found = HYPOTHESES[simplest[0]], judged.fits[simplest[0]]
    blend, veil = chosen.blend, max(0.0, 1 - float(found.transmission.mean())) if chosen.veil else 0.0
    if blend == "alpha":
        veil = _veil_within(pixels.seen[found.linear], found)
        blend = "alpha and veil" if veil >= LEAST_VEIL_FRACTION else blend
    spaces = {HYPOTHESES[name].linear for name in simplest if HYPOTHESES[name].blend == chosen.blend}
    return Blend(
        blend="other" if judged.unexplained() else blend,
        formula=simplest[0],
        space=EITHER if len(spaces) > 1 else (LIGHT if chosen.linear else CODES),
        others=tuple(sorted({HYPOTHESES[name].blend for name in simplest} - {chosen.blend})),
        residual_codes=round(residual_codes(pixels.seen[found.linear], found, pixels.changed), RESIDUAL_DECIMALS),
        residuals_codes=judged.residuals,
        judged_over_px=judged.mean_px,
        changed_fraction=float(pixels.changed.mean()),
        light_codes=_as_codes(found.light, found, chosen.kind) if chosen.kind != VEIL else NOWHERE,
        airlight_codes=_as_codes(found.airlight, found, VEIL) if chosen.veil else NOWHERE,
        veil_fraction=veil,
        fit=found,
    )


def _veil_within(pixels: Observations, found: Fit) -> float:
    """How much of every pixel alpha covers between its streaks as well: a veil of the same light."""
    told = strengths(pixels, found)[tells_alpha(pixels, found)]
    return max(0.0, float(np.percentile(1 - told, BETWEEN_PERCENTILE))) if told.size else 0.0


def _as_codes(colour: Float[np.ndarray, "3"], found: Fit, kind: int) -> tuple[float, float, float]:
    """A colour as display codes; that of added rain as 255 times its share of green's."""
    if kind == ADDED:
        return tuple((WHITE_CODE * colour).tolist())
    if not found.linear:
        return tuple(colour.tolist())
    over = np.maximum(colour, 1)  # brighter than white: the power law goes on
    return tuple((WHITE_CODE * linear_to_srgb(colour / over) * over ** (1 / 2.4)).tolist())


def _no_blend(pixels: _Judgement | None) -> Blend:
    """The blend of a pair without rain, or of one whose changed pixels are all saturated."""
    return Blend(
        blend="none" if pixels is None else "other",
        formula="",
        space="",
        others=(),
        residual_codes=float("nan"),
        residuals_codes={} if pixels is None else pixels.residuals,
        judged_over_px=1,
        changed_fraction=0.0 if pixels is None else float(pixels.changed.mean()),
        light_codes=NOWHERE,
        airlight_codes=NOWHERE,
        veil_fraction=0.0,
        fit=None,
    )
