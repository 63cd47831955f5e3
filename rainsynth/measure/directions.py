"""Directions of streaks: how the energy of a rain layer is spread over angles.

Along the direction of its streaks a layer stays like itself over their length; across it the likeness is gone after
their width. So the autocorrelation on a ring around the centre, seen over the angle, has a ridge for each direction.
On drawn streaks of known angle the ridge is found within a degree from a length of 20 px (tests/physics/
test_measure.py); tried beside it at 25 px, where it was 0.5 degrees off at most, the structure tensor was up to 1.3
degrees off (the hard edges of steep streaks look vertical), and the angle of Fourier energy 0.5 to 1.2 by its band.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from rainsynth.checks import check_number
from rainsynth.measure.streak_shape import correlation_at

STEP_DEG = 0.5
ANGLES_DEG = np.arange(-90, 90, STEP_DEG)  # from vertical, positive where the lower end lies to the right
RING_PX = (6, 33)  # choice: beyond the streaks' width, and within their length
PEAK_WINDOW_DEG = 10.0  # a ridge is this wide on either side: a width of 3 px seen from 16 px away
SMALLEST_PEAK = 0.3  # of the highest: lower ridges are chance


def direction_profile(
    correlation: Float[np.ndarray, "size size"], ring_px: tuple[int, int] = RING_PX
) -> Float[np.ndarray, "360"]:
    """Share of the layer's energy for each of `ANGLES_DEG`, from `autocorrelation`; the sum is 1.

    The mean over the ring `ring_px`, from its inner radius to its outer, less its median over all angles (rain has no
    direction over half of the circle), from 0. All equal where nothing has a direction.
    """
    last_px = min(ring_px[1], correlation.shape[0] // 2)
    distance_px, angle_deg = np.meshgrid(np.arange(ring_px[0], last_px), ANGLES_DEG)
    ridge = correlation_at(correlation, angle_deg, distance_px).astype(np.float64).mean(axis=1)
    energy = np.maximum(ridge - np.median(ridge), 0)
    total = energy.sum()
    return energy / total if total > 0 else np.full(len(ANGLES_DEG), 1 / len(ANGLES_DEG))


def main_direction_deg(profile: Float[np.ndarray, "360"]) -> float:
    """Angle of the highest ridge [degrees from vertical], the centroid of the energy within 10 degrees of it."""
    return _centroid_deg(profile, float(ANGLES_DEG[np.argmax(_smoothed(profile))]))


def directions_deg(profile: Float[np.ndarray, "360"], smallest_peak: float = SMALLEST_PEAK) -> list[float]:
    """Angles of all ridges at least `smallest_peak` of the highest [degrees from vertical], from left to right."""
    check_number(smallest_peak, 0, 1, "smallest_peak")
    smooth = _smoothed(profile)
    reach = round(0.5 * PEAK_WINDOW_DEG / STEP_DEG)
    neighbours = np.max([np.roll(smooth, shift) for shift in range(-reach, reach + 1) if shift], axis=0)
    peaks = np.flatnonzero((smooth > neighbours) & (smooth >= smallest_peak * smooth.max()))
    return [float(ANGLES_DEG[peak]) for peak in peaks]


def direction_spread_deg(profile: Float[np.ndarray, "360"]) -> float:
    """Standard deviation of the energy's angle [degrees], over the ridges that `directions_deg` finds.

    It holds the width of a single ridge as well: about 3 degrees for one direction and streaks 2 px wide.
    """
    ridges = np.maximum(profile - SMALLEST_PEAK * profile.max(), 0)
    weights = ridges / ridges.sum() if ridges.any() else profile
    offset_deg = offsets_deg(main_direction_deg(profile))
    mean_deg = np.sum(weights * offset_deg)
    return float(np.sqrt(np.sum(weights * (offset_deg - mean_deg) ** 2)))


def offsets_deg(angle_deg: float) -> Float[np.ndarray, "360"]:
    """By how much each of `ANGLES_DEG` is off a direction, within [-90, 90) degrees."""
    return _wrapped_deg(ANGLES_DEG - angle_deg)


def _centroid_deg(profile: Float[np.ndarray, "360"], peak_deg: float) -> float:
    offset_deg = offsets_deg(peak_deg)
    near = np.where(np.abs(offset_deg) <= PEAK_WINDOW_DEG, profile, 0)
    return float(_wrapped_deg(peak_deg + np.sum(near * offset_deg) / near.sum()))


def _smoothed(profile: Float[np.ndarray, "360"]) -> Float[np.ndarray, "360"]:
    """Mean over two degrees."""
    return np.mean([np.roll(profile, shift) for shift in range(-2, 3)], axis=0)


def _wrapped_deg(angle_deg: Float[np.ndarray, "*n"] | float) -> Float[np.ndarray, "*n"]:
    """The same direction within [-90, 90)."""
    return (np.asarray(angle_deg) + 90) % 180 - 90
