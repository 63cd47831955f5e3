"""Everything that an audit asks of one pair: its blend, its streaks, how hard it is, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float

from rainsynth.checks import InputError
from rainsynth.measure.alignment import Alignment, find_alignment
from rainsynth.measure.blend import Blend, find_blend
from rainsynth.measure.blend_layers import misses_of, streaks_of
from rainsynth.measure.directions import direction_profile, directions_deg, main_direction_deg
from rainsynth.measure.jpeg_traces import compressed_side
from rainsynth.measure.streak_layer import (
    SATURATED_CODE,
    SRGB8,
    additive_residual_codes,
    coverage_fraction,
    grey_layer,
    greyness_fraction,
    levels_codes,
    measurable_mask,
)
from rainsynth.measure.streak_shape import autocorrelation, edge_sharpness, length_px, width_px
from rainsynth.metrics import SSIM_WINDOW_PX, psnr_y, ssim_y

LEAST_STREAKS_FRACTION = 0.001  # of the picture above 10 codes; with less there is no streak to measure
LEAST_KNOWN_FRACTION = 0.05  # of the picture where the strength of streaks is known
PLAIN = ("", "additive", "coloured additive", "screen")  # formulas whose streaks have no veil among them
TREND_PX = 61
LEAST_NOISE_CODES = 0.5  # a blend that misses by less is exact: nothing was compressed since
NAN = float("nan")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreakFigures:
    """Streaks of one pair: coverage above 3, 10 and 30 codes, levels at 5, 50 and 95 % of what is above 10 [codes].

    Angles in degrees from vertical, positive where the lower end lies to the right. NaN where there are no streaks.
    """

    coverage_fraction: tuple[float, ...] = (0.0, 0.0, 0.0)
    levels_codes: tuple[float, ...] = (NAN, NAN, NAN)
    main_direction_deg: float = NAN
    directions_deg: tuple[float, ...] = ()
    length_px: float = NAN
    width_px: float = NAN
    edge_sharpness: float = NAN


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PairAudit:
    """What was found of one pair. Fractions are of its pixels; PSNR and SSIM are on Y, of the rainy picture.

    `greyness_fraction`: rain changes all channels alike. `darkened_fraction`: some channel is darker than without
    rain. `saturated_fraction`: rain brought some channel to 255. `bit_exact`: min(255, clean + S) with a grey whole S
    is the rainy picture to the last bit. `compressed_side` is "rainy", "clean" or "".
    """

    psnr_y_db: float
    ssim_y: float
    blend: Blend
    bit_exact: bool
    greyness_fraction: float
    darkened_fraction: float
    saturated_fraction: float
    streaks: StreakFigures
    alignment: Alignment
    compressed_side: str

    def faults(self) -> list[str]:
        """What is wrong with the pair, in words."""
        found = [self.alignment.fault()] if not self.alignment.aligned else []
        if self.compressed_side:
            found.append(f"its {self.compressed_side} picture was compressed by JPEG after the rain was made")
        return found


def audit_pair(rainy_srgb8: SRGB8, clean_srgb8: SRGB8) -> PairAudit:
    """Audit one pair of one size. InputError for pictures of unequal sizes."""
    alignment = find_alignment(rainy_srgb8, clean_srgb8)
    blend = find_blend(rainy_srgb8, clean_srgb8)
    small = min(rainy_srgb8.shape[:2]) < SSIM_WINDOW_PX
    side = ""
    if alignment.aligned and not blend.residual_codes < LEAST_NOISE_CODES:
        side = compressed_side(rainy_srgb8, clean_srgb8, misses_of(rainy_srgb8, clean_srgb8, blend))
    brought_to_white = (rainy_srgb8 == SATURATED_CODE) & (clean_srgb8 < SATURATED_CODE)
    return PairAudit(
        psnr_y_db=psnr_y(rainy_srgb8, clean_srgb8),
        ssim_y=NAN if small else ssim_y(rainy_srgb8, clean_srgb8),
        blend=blend,
        bit_exact=additive_residual_codes(rainy_srgb8, clean_srgb8) == 0,
        greyness_fraction=greyness_fraction(rainy_srgb8, clean_srgb8),
        darkened_fraction=float(np.mean((rainy_srgb8 < clean_srgb8).any(axis=-1))),
        saturated_fraction=float(np.mean(brought_to_white.any(axis=-1))),
        streaks=streak_figures(*_streaks(rainy_srgb8, clean_srgb8, blend), detrend=blend.formula not in PLAIN),
        alignment=alignment,
        compressed_side=side,
    )


def streak_figures(
    layer_codes: Float[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"], *, detrend: bool = False
) -> StreakFigures:
    """Figures of a layer of streaks where it is known; with `detrend` shapes are those of its details."""
    if known.mean() < LEAST_KNOWN_FRACTION:
        return StreakFigures(coverage_fraction=(NAN, NAN, NAN))
    coverage = coverage_fraction(layer_codes, known)
    if coverage[1] < LEAST_STREAKS_FRACTION:
        return StreakFigures(coverage_fraction=coverage)
    try:
        correlation = autocorrelation(_without_trend(layer_codes, known) if detrend else layer_codes, known)
    except InputError:  # all alike
        return StreakFigures(coverage_fraction=coverage)
    profile = direction_profile(correlation)
    main_deg = main_direction_deg(profile)
    return StreakFigures(
        coverage_fraction=coverage,
        levels_codes=levels_codes(layer_codes, known),
        main_direction_deg=main_deg,
        directions_deg=tuple(directions_deg(profile)),
        length_px=length_px(correlation, main_deg),
        width_px=width_px(correlation, main_deg),
        edge_sharpness=edge_sharpness(layer_codes, known),
    )


def _without_trend(layer_codes: Float[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """A layer less its mean over TREND_PX around, where it is known: what is left of a veil goes with that."""
    size = (TREND_PX, TREND_PX)
    total, pixels = cv2.blur(layer_codes * known, size), cv2.blur(known.astype(np.float64), size)
    return layer_codes - total / np.maximum(pixels, 1 / TREND_PX**2)


def _streaks(
    rainy_srgb8: SRGB8, clean_srgb8: SRGB8, blend: Blend
) -> tuple[Float[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Strength of the streaks [codes], and where it is known; the plain difference for rain added in whole codes."""
    if blend.formula == "additive" or blend.fit is None:
        return grey_layer(rainy_srgb8, clean_srgb8).astype(np.float64), measurable_mask(rainy_srgb8)
    return streaks_of(rainy_srgb8, clean_srgb8, blend)
