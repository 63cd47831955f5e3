"""The types in which layers are stored: whole steps of uint16, so that composing them again gives the same bytes."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt16

UNIT_STEPS = 65535  # alpha and transmission are steps of 1/65535: 0 to 1
TEXTURE_ONE = 32768  # texture is steps of 1/32768: 0 to 2


def to_unit16(fraction: Float[np.ndarray, "*shape"]) -> UInt16[np.ndarray, "*shape"]:
    """Fraction in [0, 1] -> its storage type, uint16 steps of 1/65535."""
    return (fraction.clip(0, 1) * np.float32(UNIT_STEPS) + np.float32(0.5)).astype(np.uint16)


def from_unit16(steps: UInt16[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Stored fraction -> float32."""
    return steps * np.float32(1 / UNIT_STEPS)


def mean_of_unit16(steps: UInt16[np.ndarray, "*shape"]) -> float:
    """Mean of a stored fraction."""
    return float(steps.sum(dtype=np.float64) / steps.size / UNIT_STEPS)


def from_texture16(steps: UInt16[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """Stored texture -> float32 in [0, 2], 1 in the mean."""
    return steps * np.float32(1 / TEXTURE_ONE)


def no_texture(height_px: int, width_px: int) -> UInt16[np.ndarray, "h w"]:
    """The texture of rain that has none: 1 everywhere, a read-only view."""
    return np.broadcast_to(np.uint16(TEXTURE_ONE), (height_px, width_px))
