"""The sensor: shot and read noise as a function of (key, pixel, channel)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit


@dataclass(frozen=True, slots=True, kw_only=True)
class SensorNoise:
    """Noise of one exposure, Gaussian with variance (signal + read^2 / full well) / full well, in units of white.

    `full_well_e` electrons at white, 0 for no noise. `key` names the draw: the same key gives the same noise.
    """

    full_well_e: float = 0.0
    read_noise_e: float = 0.0
    key: int = 0


@njit(cache=True, nogil=True)
def _mixed(value: np.uint64) -> np.uint64:
    """SplitMix64 finaliser (Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195)."""
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@njit(cache=True, nogil=True)
def standard_normal(key: np.uint64, counter: int) -> float:
    """Standard normal number of a 64-bit counter (Box & Muller 1958)."""
    bits = _mixed(key + np.uint64(counter) * np.uint64(0x9E3779B97F4A7C15))
    uniform_open = ((bits >> np.uint64(32)) + 1.0) / 4294967297.0
    turn = (bits & np.uint64(0xFFFFFFFF)) / 4294967296.0
    return np.sqrt(-2 * np.log(uniform_open)) * np.cos(2 * np.pi * turn)
