"""What cameras and files do to a picture besides rain, so that a network meets it while it trains.

Blur, then noise, then JPEG, on sRGB codes: a rough stand-in for optics, sensor and file, to be robust and not to be
exact. The target keeps none of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from mspfn.pair_source import SRGB8
from rainsynth.checks import InputError, check_count, check_in_range
from rainsynth.sensor import through_jpeg

JPEG_BLOCK_PX = 8  # side of the blocks that JPEG codes one by one

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Degradations:
    """Ranges (low, high) that a degraded window draws from, uniformly; None leaves that one out.

    blur_px         standard deviation of a Gaussian blur [px]
    noise_codes     standard deviation of Gaussian noise of every pixel and channel [codes of 255]
    jpeg_quality    quality of a JPEG file, whole numbers from 1 to 100
    fraction        share of windows that are degraded
    """

    blur_px: Range | None = None
    noise_codes: Range | None = None
    jpeg_quality: tuple[int, int] | None = None
    fraction: float = 0.5

    def __post_init__(self) -> None:
        _check_range(self.blur_px, 0, 10, "blur_px")
        _check_range(self.noise_codes, 0, 100, "noise_codes")
        _check_range(self.jpeg_quality, 1, 100, "jpeg_quality")
        for quality in self.jpeg_quality or ():
            check_count(quality, 1, 100, "jpeg_quality")
        check_in_range(self.fraction, 0, 1, "degraded_fraction")


def degraded(picture_srgb8: SRGB8, degradations: Degradations, rng: np.random.Generator) -> SRGB8:
    """The picture as a camera and its file give it back, or unchanged where the lot spares it."""
    if rng.random() >= degradations.fraction:
        return picture_srgb8
    picture = np.ascontiguousarray(picture_srgb8)
    if degradations.blur_px is not None:
        sigma_px = rng.uniform(*degradations.blur_px)
        picture = cv2.GaussianBlur(picture, (0, 0), sigma_px) if sigma_px > 0 else picture
    if degradations.noise_codes is not None:
        noise_codes = rng.uniform(*degradations.noise_codes) * rng.standard_normal(picture.shape)
        picture = np.clip(np.rint(picture + noise_codes), 0, 255).astype(np.uint8)
    if degradations.jpeg_quality is not None:
        low, high = degradations.jpeg_quality
        quality, (down, right) = int(rng.integers(low, high + 1)), rng.integers(JPEG_BLOCK_PX, size=2).tolist()
        picture = jpeg_of_part(picture, quality, down, right)
    return picture


def jpeg_of_part(picture_srgb8: SRGB8, quality: int, down: int, right: int) -> SRGB8:
    """A part of a JPEG picture: the blocks of its file begin `down` and `right` pixels before the part's corner."""
    whole = np.pad(picture_srgb8, ((down, 0), (right, 0), (0, 0)), mode="edge")
    return through_jpeg(whole, quality)[down:, right:]


def _check_range(limits: Range | None, low: float, high: float, name: str) -> None:
    if limits is None:
        return
    if len(limits) != 2 or limits[0] > limits[1]:
        raise InputError(f"{name} must be two numbers, low then high, got {list(limits)}.")
    check_in_range(limits, low, high, name)
