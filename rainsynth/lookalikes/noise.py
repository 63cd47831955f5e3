"""Streaks as motion-blurred noise: the generator of Outdoor-Rain, `render_rain.m` of its authors.

Gaussian noise, clipped to [0, 1], enlarged a little, blurred along a line, scaled up again. Source: repository
liruoteng/HeavyRainRemoval, datagen/; paper: Li, Cheong & Tan (2019), CVPR, "Heavy Rain Image Restoration".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

SPARE_PX = 2  # of noise beyond the picture, so that small pictures too leave room for a random shift


def blurred_noise_codes(
    height_px: int, width_px: int, drawn: Mapping[str, Any], rng: np.random.Generator
) -> Float[np.ndarray, "h w"]:
    """Streaks of one picture, float32 [codes]: 255 (0.04 l + 0.2 + extra) times the noise blurred over l pixels.

    Blur sees zeros outside the frame, so that streaks dim towards its edges, as in the set.
    """
    noise_size_px = (height_px + SPARE_PX, width_px + SPARE_PX)
    noise = drawn["noise_mean"] + np.sqrt(drawn["noise_variance"]) * rng.standard_normal(noise_size_px)
    noise = np.clip(noise, 0, 1).astype(np.float32)
    rows, columns = (round(side * drawn["noise_scale"]) for side in noise_size_px)
    enlarged = cv2.resize(noise, (columns, rows), interpolation=cv2.INTER_CUBIC)
    top, left = int(rng.integers(rows - height_px + 1)), int(rng.integers(columns - width_px + 1))
    window = np.ascontiguousarray(enlarged[top : top + height_px, left : left + width_px])
    kernel = motion_kernel(drawn["length_px"], drawn["direction_deg"])
    blurred = cv2.filter2D(window, cv2.CV_32F, kernel, borderType=cv2.BORDER_CONSTANT)
    strength = 0.04 * drawn["length_px"] + 0.2 + drawn["extra_strength"]
    return np.float32(255 * strength) * np.maximum(blurred, 0)


def motion_kernel(length_px: float, direction_deg: float) -> Float[np.ndarray, "rows columns"]:
    """Blur along a line of `length_px`, `direction_deg` from vertical; float32, the sum is 1.

    Weights fall linearly to 0 at a pixel's distance from the line, as in MATLAB's fspecial("motion").
    """
    angle_rad, half_px = np.deg2rad(direction_deg), 0.5 * (length_px - 1)
    reach_y, reach_x = (int(np.ceil(half_px * abs(part))) for part in (np.cos(angle_rad), np.sin(angle_rad)))
    y, x = np.mgrid[-reach_y : reach_y + 1, -reach_x - 1 : reach_x + 2]
    along = x * np.sin(angle_rad) + y * np.cos(angle_rad)
    across = x * np.cos(angle_rad) - y * np.sin(angle_rad)
    beyond = np.maximum(np.abs(along) - half_px, 0)
    weights = np.maximum(1 - np.hypot(across, beyond), 0)
    return (weights / weights.sum()).astype(np.float32)
