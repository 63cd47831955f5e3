"""Layers of a pair by its blend: how strong its streaks are at every pixel, and what the blend does not explain."""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from rainsynth.measure.blend import BETWEEN_PERCENTILE, HYPOTHESES, WHITE_CODE, Blend
from rainsynth.measure.blend_fit import fitted_codes, observe, strengths, tells_alpha
from rainsynth.measure.blend_formulas import ADDED, VEIL

SRGB8 = UInt8[np.ndarray, "h w 3"]

TILE_PX = 40  # over which the veil within alpha is sought
LEAST_T = 0.1  # behind a thicker veil streaks are not measured


def streaks_of(
    rainy_srgb8: SRGB8, clean_srgb8: SRGB8, blend: Blend
) -> tuple[Float[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Strength of the streaks of a pair by its blend, (H, W) [codes], and where it is known.

    S where they were added, 255 a where they were blended. Where there is a veil as well, what tiles of 40 px have
    between their streaks is taken off: a veil may be of the streaks' own light. Zero where there are no streaks.
    """
    height_px, width_px = shape = rainy_srgb8.shape[:2]
    if blend.fit is None or blend.fit.kind == VEIL:
        return np.zeros(shape), np.ones(shape, dtype=np.bool_)
    seen = observe(rainy_srgb8, clean_srgb8, linear=blend.fit.linear, step_px=1)
    strength = strengths(seen, blend.fit).reshape(shape)
    known = (seen.codes_a_unit > 0).any(axis=1).reshape(shape)
    if blend.fit.kind == ADDED:
        t = cv2.resize(blend.fit.transmission.astype(np.float32), (width_px, height_px))
        known &= t >= LEAST_T
        added = strength * (WHITE_CODE if blend.fit.linear else 1.0) / np.maximum(t, LEAST_T)
        veiled = HYPOTHESES[blend.formula].veil
        return (np.maximum(added - _between_streaks(added, known), 0) if veiled else added), known
    known &= tells_alpha(seen, blend.fit).reshape(shape)
    kept = 1 - _between_streaks(1 - strength, known) if blend.blend == "alpha and veil" else np.ones(shape)
    return WHITE_CODE * np.clip(1 - strength / np.maximum(kept, LEAST_T), 0, 1), known


def misses_of(rainy_srgb8: SRGB8, clean_srgb8: SRGB8, blend: Blend) -> Float[np.ndarray, "h w 3"]:
    """What a blend does not explain of a pair, rainy - fitted [codes]; all of the difference where there is no blend.

    0 where a channel may be clipped.
    """
    if blend.fit is None:
        return rainy_srgb8.astype(np.float64) - clean_srgb8
    seen = observe(rainy_srgb8, clean_srgb8, linear=blend.fit.linear, step_px=1)
    misses = np.where(seen.codes_a_unit > 0, seen.rainy_codes - fitted_codes(seen, blend.fit), 0)
    return misses.reshape(rainy_srgb8.shape)


def _between_streaks(strength: Float[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Strength between the streaks, smooth: the 10th percentile over tiles of 40 px, linear between their middles."""
    height_px, width_px = strength.shape
    overall = np.percentile(strength[known], BETWEEN_PERCENTILE) if known.any() else 0.0
    tiles = np.array(
        [
            [
                np.percentile(values[inside], BETWEEN_PERCENTILE) if inside.any() else overall
                for values, inside in zip(*(np.array_split(one, _tiles(width_px), axis=1) for one in band), strict=True)
            ]
            for band in zip(*(np.array_split(one, _tiles(height_px)) for one in (strength, known)), strict=True)
        ]
    )
    return cv2.resize(tiles, (width_px, height_px), interpolation=cv2.INTER_LINEAR)


def _tiles(side_px: int) -> int:
    return max(1, round(side_px / TILE_PX))
