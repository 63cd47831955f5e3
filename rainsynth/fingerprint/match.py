"""Is one picture a changed copy of the other? Features that agree on one similarity, and how far thumbnails agree."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from numba import njit, types
from numba.extending import intrinsic

from rainsynth.fingerprint.features import THUMBNAIL_CELLS, Features, mirrored

MAX_DISTANCE_BITS = 70  # of 256, between codes of one feature in two copies
MAX_DISTANCE_RATIO = 0.85  # to the nearest code elsewhere in the picture
ELSEWHERE_FRACTION = 0.008  # of the picture's longer side
TOLERANCE_FRACTION = (
    0.008  # of the longer side: features farther than this from where the similarity puts them disagree
)
MAX_SIZE_OCTAVES = 0.6  # sizes may differ by this from the similarity's scale
MAX_ANGLE_RAD = 0.5
MIN_BASE_FRACTION = 0.02  # two features nearer than this decide no similarity
MAX_SEEDS = 60  # of the best matches, in pairs, similarities are guessed
APART_FRACTION = 0.006  # of the longer side: inliers nearer than this count once
MIN_INLIERS = 3
ENOUGH_FRACTION = 0.7  # of the matches: a similarity with so many is not sought further
MIN_SHARED_CELLS = 16
SAMPLES_PER_CELL = 3  # along each side, when one thumbnail is laid over the other


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """How picture A lies in picture B: b = scale R(angle) M a + shift, in pixels, y down; M mirrors y -> -y.

    `inliers` are features at distinct places that agree on it; `agreement` is the correlation of the two thumbnails
    where they overlap, -1 to 1, after a plane is taken off each.
    """

    inliers: int
    agreement: float
    mirrored: bool
    scale: float
    angle_rad: float
    shift_px: tuple[float, float]

    def to_b(self, places_px: np.ndarray) -> np.ndarray:
        """Places (n, 2) of A as places of B [px]."""
        x, y = places_px[:, 0], places_px[:, 1] * (-1 if self.mirrored else 1)
        real, imaginary = self.scale * np.cos(self.angle_rad), self.scale * np.sin(self.angle_rad)
        return np.stack([real * x - imaginary * y + self.shift_px[0], imaginary * x + real * y + self.shift_px[1]], 1)

    def inverse(self) -> Similarity:
        """How picture B lies in picture A."""
        angle_rad = self.angle_rad if self.mirrored else -self.angle_rad
        backwards = replace(self, scale=1 / self.scale, angle_rad=angle_rad, shift_px=(0.0, 0.0))
        x, y = -backwards.to_b(np.array([self.shift_px]))[0]
        return replace(backwards, shift_px=(float(x), float(y)))


def find_similarity(a: Features, b: Features, mirrored_a: Features | None = None) -> Similarity | None:
    """The similarity on which most features of two pictures agree, mirrored or not; None where none has three.

    `mirrored_a` is mirrored(a), for callers that hold it: it takes as long to make as the comparison itself.
    """
    best: tuple[int, bool, np.ndarray] = (MIN_INLIERS - 1, False, np.zeros(4))
    for flip, picture in enumerate((a, mirrored_a or mirrored(a))):
        inliers, transform = _consensus_of(picture, b)
        if inliers > best[0]:
            best = inliers, bool(flip), transform
    inliers, flip, (real, imaginary, x, y) = best
    if inliers < MIN_INLIERS:
        return None
    if flip:  # the mirrored picture's y is height - y
        x, y = x - imaginary * a.height_px, y + real * a.height_px
    found = Similarity(
        inliers=inliers,
        agreement=0.0,
        mirrored=flip,
        scale=float(np.hypot(real, imaginary)),
        angle_rad=float(np.arctan2(imaginary, real)),
        shift_px=(float(x), float(y)),
    )
    return replace(found, agreement=thumbnail_agreement(a, b, found))


def thumbnail_agreement(a: Features, b: Features, similarity: Similarity) -> float:
    """Correlation of two thumbnails where they overlap, -1 to 1; the higher one of grey and colour, 0 where unknown.

    A plane is taken off each first, since skies are bright and grounds dark in most pictures. Cells are those of the
    picture whose cells are larger.
    """
    larger_in_b = similarity.scale**2 * a.width_px * a.height_px > b.width_px * b.height_px
    coarse, fine = (a, b) if larger_in_b else (b, a)
    steps = (np.arange(THUMBNAIL_CELLS * SAMPLES_PER_CELL) + 0.5) / (THUMBNAIL_CELLS * SAMPLES_PER_CELL)
    x, y = np.meshgrid(steps * coarse.width_px, steps * coarse.height_px)
    places = np.stack([x.ravel(), y.ravel()], axis=1)
    there = similarity.to_b(places) if larger_in_b else similarity.inverse().to_b(places)
    cells = (there / (fine.width_px, fine.height_px) * THUMBNAIL_CELLS - 0.5).astype(np.float32)
    cells = cells.reshape(*x.shape, 2)
    inside = np.asarray(((cells > -0.5) & (cells < THUMBNAIL_CELLS - 0.5)).all(axis=2), np.float32)
    shared = _cell_means(inside) > 0.99
    if shared.sum() < MIN_SHARED_CELLS:
        return 0.0
    border = {"borderMode": cv2.BORDER_REPLICATE}
    laid = [_cell_means(cv2.remap(one, cells, None, cv2.INTER_LINEAR, **border)) for one in fine.thumbnail]
    return max(_correlation(one, other, shared) for one, other in zip(laid, coarse.thumbnail, strict=True))


def shared_fractions(
    similarity: Similarity, size_a_px: tuple[int, int], size_b_px: tuple[int, int]
) -> tuple[float, float]:
    """Share of picture A's area that is in B, and of B's that is in A; sizes are (width, height)."""
    (width_a_px, height_a_px), (width_b_px, height_b_px) = size_a_px, size_b_px
    corners = np.array([(0, 0), (width_a_px, 0), (width_a_px, height_a_px), (0, height_a_px)], np.float64)
    frame = np.array([(0, 0), (width_b_px, 0), (width_b_px, height_b_px), (0, height_b_px)], np.float32)
    shared_px2, _ = cv2.intersectConvexConvex(similarity.to_b(corners).astype(np.float32), frame)
    area_a_px2 = similarity.scale**2 * width_a_px * height_a_px
    return min(1.0, shared_px2 / area_a_px2), min(1.0, shared_px2 / (width_b_px * height_b_px))


def _cell_means(samples: np.ndarray) -> np.ndarray:
    return samples.reshape(THUMBNAIL_CELLS, SAMPLES_PER_CELL, THUMBNAIL_CELLS, SAMPLES_PER_CELL).mean(axis=(1, 3))


def _correlation(one: np.ndarray, other: np.ndarray, shared: np.ndarray) -> float:
    """Correlation over the shared cells of what a plane does not explain."""
    rows, columns = np.nonzero(shared)
    plane = np.stack([np.ones(len(rows)), rows, columns], axis=1)
    values = np.stack([one[shared], other[shared]], axis=1).astype(np.float64)
    rest = values - plane @ np.linalg.lstsq(plane, values, rcond=None)[0]
    size = np.sqrt((rest**2).sum(axis=0))
    return float(rest[:, 0] @ rest[:, 1] / (size[0] * size[1])) if min(size) > 1 else 0.0


def _consensus_of(a: Features, b: Features) -> tuple[int, np.ndarray]:
    """Inliers and transform (real, imaginary, x, y) of the best similarity from A to B, without mirror."""
    elsewhere_px = ELSEWHERE_FRACTION * longer_side(b)
    pairs = np.concatenate(
        [
            np.add(_matches(a.codes[of_a], b.codes[of_b], b.places[of_b], elsewhere_px), (of_a.start, of_b.start, 0))
            for of_a, of_b in zip(_channels_of(a), _channels_of(b), strict=True)
        ]
    )
    pairs = pairs[np.argsort(pairs[:, 2], kind="stable")]
    p, q = a.places[pairs[:, 0]], b.places[pairs[:, 1]]
    enough = max(MIN_INLIERS, int(ENOUGH_FRACTION * len(pairs)))
    inliers, transform = consensus(p, q, longer_side(a), longer_side(b), enough)
    return inliers, refined(p, q, transform, longer_side(a), longer_side(b)) if inliers >= MIN_INLIERS else transform


def longer_side(features: Features) -> float:
    """Longer side of the picture [px]."""
    return float(max(features.width_px, features.height_px))


def _channels_of(features: Features) -> tuple[slice, slice]:
    return slice(0, features.grey_count), slice(features.grey_count, len(features.places))


@intrinsic
def _popcount(context: Any, number: Any) -> Any:  # type: ignore[no-untyped-def]
    """Bits that are 1 in a 64-bit number."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


@njit(cache=True, nogil=True)
def distance_bits(one: np.ndarray, other: np.ndarray) -> int:
    """Bits in which two codes of four words differ."""
    bits = np.uint64(0)
    for word in range(4):
        bits += _popcount(one[word] ^ other[word])
    return np.int64(bits)  # type: ignore[return-value]


@njit(cache=True, nogil=True)
def _matches(codes_a: np.ndarray, codes_b: np.ndarray, places_b: np.ndarray, elsewhere_px: float) -> np.ndarray:
    """(row in A, row in B, bits) of features of A whose nearest code in B is near, and nearer than any elsewhere."""
    found = np.empty((len(codes_a), 3), np.int64)
    count = 0
    bits = np.empty(len(codes_b), np.int64)
    for i in range(len(codes_a)):
        nearest = -1
        for j in range(len(codes_b)):
            bits[j] = distance_bits(codes_a[i], codes_b[j])
            if nearest < 0 or bits[j] < bits[nearest]:
                nearest = j
        if nearest < 0 or bits[nearest] > MAX_DISTANCE_BITS:
            continue
        second = 256
        for j in range(len(codes_b)):
            far = max(abs(places_b[j, 0] - places_b[nearest, 0]), abs(places_b[j, 1] - places_b[nearest, 1]))
            if far > elsewhere_px and bits[j] < second:
                second = bits[j]
        if bits[nearest] <= MAX_DISTANCE_RATIO * second:
            found[count] = (i, nearest, bits[nearest])
            count += 1
    return found[:count]


@njit(cache=True, nogil=True)
def _turn(angle_rad: float) -> float:
    """Size of an angle, once whole turns are taken off."""
    rest = angle_rad % (2 * np.pi)
    return min(rest, 2 * np.pi - rest)


@njit(cache=True, nogil=True)
def _agrees(p: np.ndarray, q: np.ndarray, octaves: float, angle_rad: float) -> bool:
    """Do the sizes and directions of a match agree with a similarity's scale and angle?"""
    return abs(q[2] - p[2] - octaves) < MAX_SIZE_OCTAVES and _turn(q[3] - p[3] - angle_rad) < MAX_ANGLE_RAD


@njit(cache=True, nogil=True)
def _count_inliers(
    p: np.ndarray, q: np.ndarray, transform: np.ndarray, tolerance_px: float, apart_px: float, inlier: np.ndarray
) -> int:
    """Matches that agree with a transform, at places of A that are apart; marks them in `inlier`."""
    real, imaginary, x, y = transform
    octaves, angle_rad = np.log2(real * real + imaginary * imaginary) / 2, np.arctan2(imaginary, real)
    count = 0
    for k in range(len(p)):
        off_x = real * p[k, 0] - imaginary * p[k, 1] + x - q[k, 0]
        off_y = imaginary * p[k, 0] + real * p[k, 1] + y - q[k, 1]
        inlier[k] = off_x**2 + off_y**2 < tolerance_px**2 and _agrees(p[k], q[k], octaves, angle_rad)
        if inlier[k]:
            for other in range(k):
                if inlier[other] and np.hypot(p[k, 0] - p[other, 0], p[k, 1] - p[other, 1]) < apart_px:
                    inlier[k] = False
                    break
        count += inlier[k]
    return count


@njit(cache=True, nogil=True)
def refined(p: np.ndarray, q: np.ndarray, transform: np.ndarray, side_a_px: float, side_b_px: float) -> np.ndarray:
    """The similarity of least squares through the inliers of one."""
    tolerance_px = TOLERANCE_FRACTION * max(side_b_px, np.hypot(transform[0], transform[1]) * side_a_px)
    inlier = np.zeros(len(p), np.bool_)
    count = _count_inliers(p, q, transform, tolerance_px, APART_FRACTION * side_a_px, inlier)
    mean_px, mean_py, mean_qx, mean_qy = 0.0, 0.0, 0.0, 0.0
    for k in np.flatnonzero(inlier):
        mean_px, mean_py = mean_px + p[k, 0] / count, mean_py + p[k, 1] / count
        mean_qx, mean_qy = mean_qx + q[k, 0] / count, mean_qy + q[k, 1] / count
    real, imaginary, square = 0.0, 0.0, 0.0
    for k in np.flatnonzero(inlier):
        dx, dy, ex, ey = p[k, 0] - mean_px, p[k, 1] - mean_py, q[k, 0] - mean_qx, q[k, 1] - mean_qy
        real, imaginary, square = real + dx * ex + dy * ey, imaginary + dx * ey - dy * ex, square + dx * dx + dy * dy
    real, imaginary = real / square, imaginary / square
    x, y = mean_qx - real * mean_px + imaginary * mean_py, mean_qy - imaginary * mean_px - real * mean_py
    return np.array([real, imaginary, x, y])


@njit(cache=True, nogil=True)
def consensus(p: np.ndarray, q: np.ndarray, side_a_px: float, side_b_px: float, enough: int) -> tuple[int, np.ndarray]:
    """The similarity through two matches on which most matches agree, and how many; the first with `enough`."""
    best, best_transform = 0, np.zeros(4)
    transform = np.zeros(4)
    inlier = np.zeros(len(p), np.bool_)
    for i in range(min(len(p), MAX_SEEDS)):
        for j in range(i):
            dx, dy = p[j, 0] - p[i, 0], p[j, 1] - p[i, 1]
            ex, ey = q[j, 0] - q[i, 0], q[j, 1] - q[i, 1]
            square = dx * dx + dy * dy
            if square < (MIN_BASE_FRACTION * side_a_px) ** 2 or ex**2 + ey**2 < (MIN_BASE_FRACTION * side_b_px) ** 2:
                continue
            real, imaginary = (dx * ex + dy * ey) / square, (dx * ey - dy * ex) / square
            scale = np.hypot(real, imaginary)
            angle_rad = np.arctan2(imaginary, real)
            if not (_agrees(p[i], q[i], np.log2(scale), angle_rad) and _agrees(p[j], q[j], np.log2(scale), angle_rad)):
                continue
            transform[:2] = real, imaginary
            transform[2] = q[i, 0] - real * p[i, 0] + imaginary * p[i, 1]
            transform[3] = q[i, 1] - imaginary * p[i, 0] - real * p[i, 1]
            tolerance_px = TOLERANCE_FRACTION * max(side_b_px, scale * side_a_px)
            count = _count_inliers(p, q, transform, tolerance_px, APART_FRACTION * side_a_px, inlier)
            if count > best:
                best = count
                best_transform[:] = transform
                if best >= enough:
                    return best, best_transform
    return best, best_transform
