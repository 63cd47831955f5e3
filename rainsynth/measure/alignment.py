"""Does the rainy picture of a pair lie where its clean one does: shifts, scale, turns, mirror images, another crop.

Rain does not move a picture, so what is found here is a fault of the pair. The correlation of both pictures' details
over all shifts has a peak far above the rest where they show one scene; the map of `registration` tells where they lie
to parts of a pixel. Where that does not settle it, mirror images and the features of `rainsynth.fingerprint` propose
other maps, and the one that brings the highest peak is taken.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8
from scipy import fft

from rainsynth.fingerprint import fingerprint_of, unpack
from rainsynth.fingerprint.match import find_similarity
from rainsynth.measure.registration import Channels, Map, channels_of, details_of, refine_map, warped
from rainsynth.metrics import check_pair

SRGB8 = UInt8[np.ndarray, "h w 3"]

LEAST_SIDE_PX = 24  # smaller pairs are not compared
CLIP_DEVIATIONS = 3.0  # of a channel's details: single edges do not decide
# In standard deviations of the correlation over all shifts. 40 pairs of Rain100H: 28 and more; a rainy picture with
# another one's target: 6 at most, and the same for Rain100L (tests/physics/test_alignment.py).
LEAST_PEAK = 9.0
NEAR_PX = 8  # a shift up to here may be an aligned pair's that a streak or a pattern draws aside
LEAST_SHARED_FRACTION = 0.1  # of the picture, below which a map is not believed
TRIED_SCALES = (0.95, 1.05)  # between them features are not needed
# In true pairs up to 0.23 px of shift and 1.0 px at a corner are found, under the heaviest rain (ibid.).
LEAST_SHIFT_PX = 0.35
LEAST_DISPLACEMENT_PX = 1.5
TOLD_SCALE, TOLD_TURN_DEG, TOLD_SHIFT_PX = 0.004, 0.25, 0.25
FLIPS = {
    "left to right": np.array([[-1.0, 0], [0, 1]]),
    "upside down": np.array([[1.0, 0], [0, -1]]),
    "by 180 degrees": np.array([[-1.0, 0], [0, -1]]),
    "by 90 degrees": np.array([[0.0, 1], [-1, 0]]),
    "by 270 degrees": np.array([[0.0, -1], [1, 0]]),
    "along a diagonal": np.array([[0.0, 1], [1, 0]]),
    "along the other diagonal": np.array([[0.0, -1], [-1, 0]]),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """How the rainy picture lies over the clean one. `peak` is by how many deviations it stands out that they agree.

    What was done to the clean picture to get the rainy one, about their middles: `mirrored` left to right, then turned
    clockwise by `turn_deg`, scaled by `scale`, moved by `shift_px` (right, down). `displacement_px` is the farthest
    that any corner moves. Where `same_scene` is false nothing was found that they share, and all of these are NaN.
    """

    same_scene: bool
    peak: float
    mirrored: bool = False
    turn_deg: float = float("nan")
    scale: float = float("nan")
    shift_px: tuple[float, float] = (float("nan"), float("nan"))
    displacement_px: float = float("nan")

    @property
    def aligned(self) -> bool:
        """Whether no fault is found: within 0.35 px in the middle and 1.5 px at the corners."""
        near = np.hypot(*self.shift_px) < LEAST_SHIFT_PX and self.displacement_px < LEAST_DISPLACEMENT_PX
        return self.same_scene and not self.mirrored and bool(near)

    def fault(self) -> str:
        """What was done to the clean picture, in words; "" for an aligned pair."""
        if self.aligned:
            return ""
        if not self.same_scene:
            return "shows nothing of its target"
        told = []
        turn_deg = self.turn_deg
        if self.mirrored:
            upside_down = abs(turn_deg) > 179
            told.append("mirrored upside down" if upside_down else "mirrored left to right")
            turn_deg = 0.0 if upside_down else turn_deg
        if abs(turn_deg) > TOLD_TURN_DEG:
            told.append(f"turned by {turn_deg:.3g} degrees")
        if abs(self.scale - 1) > TOLD_SCALE:
            told.append(f"scaled by {self.scale:.3f}")
        if np.hypot(*self.shift_px) > TOLD_SHIFT_PX:
            right, down = (0.0 if abs(part) < 0.05 else part for part in self.shift_px)
            told.append(f"shifted by ({right:.1f}, {down:.1f}) px")
        return ", ".join(told) or f"bent: corners move by {self.displacement_px:.1f} px"


def find_alignment(rainy_srgb8: SRGB8, clean_srgb8: SRGB8) -> Alignment:
    """Alignment of a pair of one size; from 24 px a side, smaller ones count as aligned. The middle of large ones."""
    check_pair(rainy_srgb8, clean_srgb8)
    if min(rainy_srgb8.shape[:2]) < LEAST_SIDE_PX:
        return _described(np.eye(2, 3), 0.0, rainy_srgb8.shape[:2])
    rainy, clean = channels_of(rainy_srgb8), channels_of(clean_srgb8)
    peak, shift = best_shift(rainy, clean)
    near = max(abs(shift[0]), abs(shift[1])) <= NEAR_PX
    if near and peak >= LEAST_PEAK:
        plain = _described(refine_map(rainy, clean, _shift_map(np.eye(2), shift)), peak, rainy.shape[1:])
        if plain.aligned:
            return plain
    proposals = [_shift_map(np.eye(2), shift), *_flipped(rainy, clean), *_by_features(rainy_srgb8, clean_srgb8)]
    proposals += [_shift_map(scale * np.eye(2), (0, 0)) for scale in TRIED_SCALES]
    maps = [refine_map(rainy, clean, proposal) for proposal in proposals]
    peaks = [_agreement(rainy, clean, one) for one in maps]
    best = int(np.argmax(peaks))
    if peaks[best] < LEAST_PEAK:
        return Alignment(same_scene=False, peak=max(peaks[best], peak))
    return _described(maps[best], peaks[best], rainy.shape[1:])


def best_shift(rainy: Channels, clean: Channels) -> tuple[float, tuple[int, int]]:
    """By how many standard deviations the best cyclic shift stands out, and that shift (right, down)."""
    surface = correlation_surface(rainy, clean)
    down, right = np.unravel_index(int(np.argmax(surface)), surface.shape)
    height, width = surface.shape
    shift = (int(right) + width // 2) % width - width // 2, (int(down) + height // 2) % height - height // 2
    return float(surface[down, right]), shift


def correlation_surface(
    rainy: Channels, clean: Channels, inside: Bool[np.ndarray, "h w"] | None = None
) -> Float32[np.ndarray, "h w"]:
    """Correlation of details over all cyclic shifts, sum over channels, in standard deviations of itself.

    Details outside `inside` are left out of both.
    """
    total = np.zeros(rainy.shape[1:], dtype=np.float32)
    for one, other in zip(rainy, clean, strict=True):
        kept = [_clipped(details_of(channel)) * (1 if inside is None else inside) for channel in (one, other)]
        spectrum = fft.rfft2(kept[0]) * np.conj(fft.rfft2(kept[1]))
        surface = fft.irfft2(spectrum, total.shape)
        deviation = float(surface.std())
        total += surface / deviation if deviation > 0 else 0
    return total / max(float(total.std()), 1e-9)


def _clipped(details: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    limit = CLIP_DEVIATIONS * float(details.std())
    return np.clip(details, -limit, limit)


def _agreement(rainy: Channels, clean: Channels, to_clean: Map) -> float:
    """By how many deviations the peak at no shift stands out, once the clean picture is laid where a map says."""
    laid, inside = warped(clean, to_clean, rainy.shape[1:])
    if inside.mean() < LEAST_SHARED_FRACTION:
        return 0.0
    surface = correlation_surface(rainy, laid, inside)
    return float(max(surface[down, right] for down in (-1, 0, 1) for right in (-1, 0, 1)))


def _shift_map(linear: Float[np.ndarray, "2 2"], shift: tuple[float, float]) -> Map:
    """Map to the clean picture where `linear` makes the rainy one of it and then moves it by `shift`."""
    back = np.linalg.inv(linear)
    return np.column_stack([back, -back @ np.array(shift, dtype=np.float64)])


def _flipped(rainy: Channels, clean: Channels) -> list[Map]:
    """A map for every mirror image and turn that stands out."""
    found = []
    for linear in FLIPS.values():
        if linear[0, 0] == 0 and rainy.shape[1] != rainy.shape[2]:
            continue
        laid, _ = warped(clean, _shift_map(linear, (0, 0)), rainy.shape[1:])
        peak, shift = best_shift(rainy, laid)
        if peak >= LEAST_PEAK:
            found.append(_shift_map(linear, shift))
    return found


def _by_features(rainy_srgb8: SRGB8, clean_srgb8: SRGB8) -> list[Map]:
    """The map on which the features of both pictures agree, if some do."""
    similarity = find_similarity(*(unpack(fingerprint_of(picture)) for picture in (rainy_srgb8, clean_srgb8)))
    if similarity is None:
        return []
    height_px, width_px = rainy_srgb8.shape[:2]
    middle = np.array([(width_px - 1) / 2, (height_px - 1) / 2])
    places = similarity.to_b(middle + np.array([(0.0, 0.0), (1.0, 0.0), (0.0, 1.0)])) - middle
    return [np.stack([places[1] - places[0], places[2] - places[0], places[0]], axis=1)]


def _described(to_clean: Map, peak: float, size_px: tuple[int, ...]) -> Alignment:
    """A map as figures: the clean picture mirrored, turned, scaled and moved."""
    linear = np.linalg.inv(to_clean[:, :2])
    shift = -linear @ to_clean[:, 2]
    mirrored = bool(np.linalg.det(linear) < 0)
    unmirrored = linear @ FLIPS["left to right"] if mirrored else linear
    turn_rad = np.arctan2(unmirrored[1, 0] - unmirrored[0, 1], unmirrored[0, 0] + unmirrored[1, 1])
    corners = np.array([(x, y) for x in (-1, 1) for y in (-1, 1)]) * (size_px[1] / 2, size_px[0] / 2)
    moved = corners @ (linear - np.eye(2)).T + shift
    return Alignment(
        same_scene=True,
        peak=peak,
        mirrored=mirrored,
        turn_deg=float(np.degrees(turn_rad)),
        scale=float(np.sqrt(abs(np.linalg.det(linear)))),
        shift_px=(float(shift[0]), float(shift[1])),
        displacement_px=float(np.hypot(*moved.T).max()),
    )
