"""Display codes and light: the sRGB transfer function (IEC 61966-2-1) as tables.

`*_srgb8` is uint8 RGB as stored; `*_linear` is float32 RGB scene light, 1.0 = diffuse white.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, UInt8

ROOT_STEPS = 8191  # of the square root of light; a code is at least 22 steps wide, so a rounded one is within 0.03


def srgb_to_linear(srgb: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """sRGB value in [0, 1] -> linear light: s / 12.92 up to 0.04045, ((s + 0.055) / 1.055)^2.4 above."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def linear_to_srgb(linear: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Linear light -> sRGB value in [0, 1]; light outside [0, 1] is clipped, as a sensor clips."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


LINEAR_OF_CODE = srgb_to_linear(np.arange(256) / 255).astype(np.float32)
CODE_OF_ROOT = np.round(linear_to_srgb((np.arange(ROOT_STEPS + 1) / ROOT_STEPS) ** 2) * 255).astype(np.uint8)


def decode(image_srgb8: UInt8[np.ndarray, "*shape"]) -> Float[np.ndarray, "*shape"]:
    """8-bit picture -> linear light, float32."""
    return LINEAR_OF_CODE[image_srgb8]


def encode(image_linear: Float[np.ndarray, "*shape"]) -> UInt8[np.ndarray, "*shape"]:
    """Linear light -> 8-bit picture, clipped and rounded to the nearest code (table: within 0.03 code)."""
    root = np.sqrt(np.clip(image_linear, 0, 1), dtype=np.float32)
    return CODE_OF_ROOT[(root * np.float32(ROOT_STEPS) + np.float32(0.5)).astype(np.int32)]
