"""The sensor and the file: shot and read noise as a function of (key, pixel, channel), and JPEG."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import UInt8
from numba import njit

from rainsynth.counters import NORMAL_QUANTILES, NORMAL_STEPS, random_bits

BITS_A_CHANNEL = 21  # of the 64 that a pixel draws


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorNoise:
    """Noise of one exposure, Gaussian with variance (signal + read^2 / full well) / full well, in units of white.

    `full_well_e` electrons at white, 0 for no noise. `key` names the draw: the same key gives the same noise.
    """

    full_well_e: float = 0.0
    read_noise_e: float = 0.0
    key: int = 0


@njit(cache=True, nogil=True)
def draw_noise_row(normal: np.ndarray, key: np.uint64, first: int) -> None:
    """Standard normal numbers (3, W) of the W pixels that begin at number `first` of the picture."""
    last = np.uint64(NORMAL_STEPS - 1)
    for x in range(normal.shape[1]):
        bits = random_bits(key, first + x)
        for c in range(3):
            normal[c, x] = NORMAL_QUANTILES[(bits >> np.uint64(c * BITS_A_CHANNEL)) & last]


def through_jpeg(image_srgb8: UInt8[np.ndarray, "h w 3"], quality: int) -> UInt8[np.ndarray, "h w 3"]:
    """The picture as a JPEG file of `quality` 1 to 100 gives it back (libjpeg-turbo as OpenCV brings it, 4:2:0)."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality]
    encoded = cv2.imencode(".jpg", cv2.cvtColor(image_srgb8, cv2.COLOR_RGB2BGR), options)[1]
    return cv2.cvtColor(cv2.imdecode(encoded, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
