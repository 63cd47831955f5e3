"""All measurements of one pair at once."""

from __future__ import annotations

from dataclasses import dataclass

from rainsynth.measure.directions import direction_profile, direction_spread_deg, directions_deg, main_direction_deg
from rainsynth.measure.streak_layer import (
    SRGB8,
    additive_residual_codes,
    coverage_fraction,
    grey_layer,
    greyness_fraction,
    levels_codes,
    measurable_mask,
)
from rainsynth.measure.streak_shape import autocorrelation, edge_sharpness, length_px, width_px
from rainsynth.metrics import psnr_y


@dataclass(frozen=True, slots=True, kw_only=True)
class PairMeasures:
    """What the rain of one pair looks like. Coverage above 3, 10 and 30 codes; levels at 5, 50 and 95 %."""

    psnr_y_db: float
    greyness_fraction: float
    additive_residual_codes: float
    coverage_fraction: tuple[float, ...]
    levels_codes: tuple[float, ...]
    main_direction_deg: float
    direction_spread_deg: float
    directions_deg: tuple[float, ...]
    length_px: float
    width_px: float
    edge_sharpness: float


def measure_pair(rainy_srgb8: SRGB8, clean_srgb8: SRGB8) -> PairMeasures:
    """Measure the rain of a pair over the pixels where it is known. Raises InputError where there is none."""
    layer, known = grey_layer(rainy_srgb8, clean_srgb8), measurable_mask(rainy_srgb8)
    correlation = autocorrelation(layer, known)
    profile = direction_profile(correlation)
    main_deg = main_direction_deg(profile)
    return PairMeasures(
        psnr_y_db=psnr_y(rainy_srgb8, clean_srgb8),
        greyness_fraction=greyness_fraction(rainy_srgb8, clean_srgb8),
        additive_residual_codes=additive_residual_codes(rainy_srgb8, clean_srgb8),
        coverage_fraction=coverage_fraction(layer, known),
        levels_codes=levels_codes(layer, known),
        main_direction_deg=main_deg,
        direction_spread_deg=direction_spread_deg(profile),
        directions_deg=tuple(directions_deg(profile)),
        length_px=length_px(correlation, main_deg),
        width_px=width_px(correlation, main_deg),
        edge_sharpness=edge_sharpness(layer, known),
    )
