"""Measurements of rain layers and of rainy pictures: blend, levels, coverage, directions, lengths, widths, sharpness.

One set of them for tests, audits and fits; `audit_pair` takes all of a pair, with its blend and its alignment. Angles
are in degrees from vertical, positive where the lower end of a streak lies to the right, in [-90, 90); lengths and
widths in pixels; levels in display codes.
"""

from rainsynth.measure.alignment import Alignment, find_alignment
from rainsynth.measure.blend import BLENDS, Blend, find_blend
from rainsynth.measure.blend_layers import streaks_of
from rainsynth.measure.directions import direction_profile, direction_spread_deg, directions_deg, main_direction_deg
from rainsynth.measure.pair import PairMeasures, measure_pair
from rainsynth.measure.pair_audit import PairAudit, StreakFigures, audit_pair
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
    "BLENDS",
    "Alignment",
    "Blend",
    "PairAudit",
    "PairMeasures",
    "StreakFigures",
    "additive_residual_codes",
    "audit_pair",
    "autocorrelation",
    "coverage_fraction",
    "direction_profile",
    "direction_spread_deg",
    "directions_deg",
    "edge_sharpness",
    "find_alignment",
    "find_blend",
    "grey_layer",
    "greyness_fraction",
    "is_additive",
    "length_px",
    "levels_codes",
    "main_direction_deg",
    "measurable_mask",
    "measure_pair",
    "streak_layer",
    "streaks_of",
    "width_px",
]
