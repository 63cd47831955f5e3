"""Figures of an audited pair by name, with titles and units, and the pair in words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from rainsynth.measure.blend import EITHER, Blend
from rainsynth.measure.pair_audit import PairAudit
from rainsynth.measure.streak_layer import COVERAGE_CODES, LEVEL_PERCENTILES

EQUAL_DB = 100.0  # PSNR that equal pictures count with

# Figures of a pair: title with unit, how it is written, and a step that matters: pictures that are less than four of
# them from the median are not odd.
FIGURES: dict[str, tuple[str, str, float]] = {
    "psnr_y_db": ("PSNR-Y of the rainy picture (dB)", ".2f", 1.0),
    "ssim_y": ("SSIM-Y of the rainy picture", ".3f", 0.02),
    "residual_codes": ("residual of the blend (codes)", ".2f", 0.1),
    "greyness_fraction": ("pixels whose channels change alike", ".3f", 0.02),
    "darkened_fraction": ("pixels with a channel that rain darkens", ".3f", 0.02),
    "saturated_fraction": ("pixels with a channel that rain brings to 255", ".3f", 0.02),
    "coverage_above_3_codes": ("coverage above 3 codes", ".3f", 0.05),
    "coverage_above_10_codes": ("coverage above 10 codes", ".3f", 0.05),
    "coverage_above_30_codes": ("coverage above 30 codes", ".3f", 0.05),
    "level_at_5_percent_codes": ("level of streaks at 5 % (codes)", ".0f", 3.0),
    "level_at_50_percent_codes": ("level of streaks at 50 % (codes)", ".0f", 5.0),
    "level_at_95_percent_codes": ("level of streaks at 95 % (codes)", ".0f", 10.0),
    "width_px": ("width of streaks (px)", ".2f", 0.2),
    "length_px": ("length of streaks (px)", ".0f", 5.0),
    "edge_sharpness": ("sharpness of edges", ".2f", 0.05),
    "main_direction_deg": ("main direction (degrees from vertical)", ".1f", 5.0),
    "direction_count": ("number of directions", ".0f", 0.5),
    "veil_fraction": ("light that the veil takes", ".3f", 0.02),
}


def figures_of(audit: PairAudit) -> dict[str, float]:
    """Every one of FIGURES of a pair; NaN where it has none."""
    streaks = audit.streaks
    coverage = {
        f"coverage_above_{code}_codes": share
        for code, share in zip(COVERAGE_CODES, streaks.coverage_fraction, strict=True)
    }
    levels = {
        f"level_at_{percentile}_percent_codes": level
        for percentile, level in zip(LEVEL_PERCENTILES, streaks.levels_codes, strict=True)
    }
    found = {
        "psnr_y_db": min(audit.psnr_y_db, EQUAL_DB),
        "ssim_y": audit.ssim_y,
        "residual_codes": audit.blend.residual_codes,
        "greyness_fraction": audit.greyness_fraction,
        "darkened_fraction": audit.darkened_fraction,
        "saturated_fraction": audit.saturated_fraction,
        **coverage,
        **levels,
        "width_px": streaks.width_px,
        "length_px": streaks.length_px,
        "edge_sharpness": streaks.edge_sharpness,
        "main_direction_deg": streaks.main_direction_deg,
        "direction_count": float(len(streaks.directions_deg) or np.nan),
        "veil_fraction": audit.blend.veil_fraction,
    }
    return {name: found[name] for name in FIGURES}


def blend_words(blend: Blend) -> str:
    """A blend in words, such as "additive on display codes" or "additive or screen, which it does not decide"."""
    if blend.fit is None or blend.blend == "other":
        return {"none": "no rain"}.get(blend.blend, "none of the formulas")
    if blend.others:
        return " or ".join(sorted((blend.blend, *blend.others))) + ", which the pair does not decide"
    place = (
        "on codes or in light" if blend.space == EITHER else f"{'in' if 'light' in blend.space else 'on'} {blend.space}"
    )
    return f"{blend.blend} {place}"


def details_of(audit: PairAudit) -> dict[str, Any]:
    """Everything known of a pair, for JSON."""
    blend, alignment = audit.blend, audit.alignment
    return {
        "blend": blend.blend,
        "blend_space": blend.space,
        "blend_formula": blend.formula,
        "blends_as_good": list(blend.others),
        "formula_residuals_codes": blend.residuals_codes,
        "judged_over_px": blend.judged_over_px,
        "bit_exact": audit.bit_exact,
        "light_codes": list(blend.light_codes),
        "airlight_codes": list(blend.airlight_codes),
        "changed_fraction": blend.changed_fraction,
        **figures_of(audit),
        "directions_deg": list(audit.streaks.directions_deg),
        "same_scene": alignment.same_scene,
        "aligned": alignment.aligned,
        "mirrored": alignment.mirrored,
        "turn_deg": alignment.turn_deg,
        "scale": alignment.scale,
        "shift_px": list(alignment.shift_px),
        "compressed_side": audit.compressed_side,
        "faults": audit.faults(),
    }


def plain(value: Any) -> Any:
    """A value as JSON has it: numbers that are not finite become None, NumPy's become Python's."""
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value
