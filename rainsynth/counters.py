"""Counter-based random numbers for compiled loops.

A number is a function of (key, counter) alone, so any part of a field can be drawn again by itself, in any order and on
any number of threads.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numba import njit

NORMAL_STEPS = 4096


def _normal_quantiles() -> np.ndarray:
    """Standard normal numbers of 4096 equal parts of probability, of variance 1; the largest is 3.66."""
    half = NORMAL_STEPS // 2
    upper = np.array([NormalDist().inv_cdf(0.5 + (i + 0.5) / NORMAL_STEPS) for i in range(half)])
    both = np.concatenate([-upper[::-1], upper])
    return (both / np.sqrt(np.mean(both**2))).astype(np.float32)


NORMAL_QUANTILES = _normal_quantiles()


@njit(cache=True, nogil=True)
def random_bits(key: np.uint64, counter: int) -> np.uint64:
    """64 random bits of a counter: SplitMix64 (Steele, Lea & Flood 2014, doi:10.1145/2660193.2660195)."""
    value = key + np.uint64(counter) * np.uint64(0x9E3779B97F4A7C15)
    value = (value ^ (value >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    value = (value ^ (value >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return value ^ (value >> np.uint64(31))


@njit(cache=True, nogil=True)
def two_uniforms(key: np.uint64, counter: int) -> tuple[float, float]:
    """Two uniform numbers in (0, 1) of a counter, 32 bits each."""
    bits = random_bits(key, counter)
    scale = 1 / 4294967296.0
    return ((bits >> np.uint64(32)) + 0.5) * scale, ((bits & np.uint64(0xFFFFFFFF)) + 0.5) * scale


@njit(cache=True, nogil=True)
def two_normals(key: np.uint64, counter: int) -> tuple[float, float]:
    """Two standard normal numbers of a counter."""
    bits = random_bits(key, counter)
    last = np.uint64(NORMAL_STEPS - 1)
    return NORMAL_QUANTILES[bits & last], NORMAL_QUANTILES[(bits >> np.uint64(32)) & last]


@njit(cache=True, nogil=True)
def random_row(bits: np.ndarray, key: np.uint32, first: int) -> None:
    """32 random bits for every place of a row that begins at `first`: the finaliser of MurmurHash3 (A. Appleby)."""
    for x in range(bits.shape[0]):
        value = np.uint32(np.uint32(x + first) * np.uint32(0x9E3779B1)) ^ key
        value = np.uint32(value ^ np.uint32(value >> np.uint32(16)))
        value = np.uint32(value * np.uint32(0x85EBCA6B))
        value = np.uint32(value ^ np.uint32(value >> np.uint32(13)))
        value = np.uint32(value * np.uint32(0xC2B2AE35))
        bits[x] = np.uint32(value ^ np.uint32(value >> np.uint32(16)))
