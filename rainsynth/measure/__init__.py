"""Measurements of rain layers and of rainy pictures: blend, levels, coverage, directions, lengths, widths, sharpness.

One set of them for tests, audits and fits. Angles are in degrees from vertical, positive where the lower end of a
streak lies to the right, in [-90, 90); lengths and widths in pixels; levels in display codes.
"""

from rainsynth.measure.directions import direction_profile, direction_spread_deg, directions_deg, main_direction_deg
from rainsynth.measure.pair import PairMeasures, measure_pair
from rainsynth.measure.streak_layer import (
    additive_residual_codes,
    coverage_fraction,
    grey_layer,
    greyness_fraction,
    is_additive,
    levels_codes,
    measurable_mask,
    streak_layer,
)
from rainsynth.measure.streak_shape import autocorrelation, edge_sharpness, length_px, width_px

__all__ = [
    "PairMeasures",
    "additive_residual_codes",
    "autocorrelation",
    "coverage_fraction",
    "direction_profile",
    "direction_spread_deg",
    "directions_deg",
    "edge_sharpness",
    "grey_layer",
    "greyness_fraction",
    "is_additive",
    "length_px",
    "levels_codes",
    "main_direction_deg",
    "measurable_mask",
    "measure_pair",
    "streak_layer",
    "width_px",
]
