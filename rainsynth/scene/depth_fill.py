"""Unknown depth filled from what is known around it, along the edges of the photograph."""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8
from numba import njit
from scipy.ndimage import minimum_filter1d

from rainsynth.checks import InputError, check_in_range, check_photo
from rainsynth.scene.background import MAX_DEPTH_M, PRIOR_FAR_M
from rainsynth.scene.depth_file import MIN_DEPTH_M

# Choices, made by looking at filled KITTI and NYU pictures and by the error at known pixels that were held out.
EDGE_CODES = 16.0  # a step of so many 8-bit codes divides the pull between two pixels by e
WEAKEST_PULL = 1e-3  # across the strongest edge: what has no depth of its own still takes a neighbour's
SWEEPS = 12  # at each scale; with 64 the held-out errors fall by a tenth at most
OVER_RELAXATION = 1.3  # of the sweeps; 1 is Gauss-Seidel
SKY_GAP = 1 / 6  # nothing known in so much of the height from the top: open sky may be there
SKY_COLUMNS = 1 / 40  # columns beside one that count with it, of the width
SKY_REACH = 1 / 10  # over so much of the height does 1/z come e-fold closer to that of the far limit
SKY_PERCENTILE = 95.0  # luminance of a sky for certain; the median is none
REC_601_LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class _Scale:
    """What is minimised at one scale: u and where it is known, w with the pixel to the right and below, k, 1/far."""

    nearness: Float[np.ndarray, "h w"]
    known: Bool[np.ndarray, "h w"]
    across: Float[np.ndarray, "h w"]
    down: Float[np.ndarray, "h w"]
    sky_pull: Float[np.ndarray, "h w"]
    far_nearness: np.float32


def fill_unknown_depth_m(
    depth_m: Float[np.ndarray, "h w"], image_srgb8: UInt8[np.ndarray, "h w 3"] | None = None
) -> Float[np.ndarray, "h w"]:
    """Depth map (H, W) float32 [m] whose NaN are filled; known depths stay as they are.

    The filled u = 1/z is the smoothest one that meets what is known: it minimises

        sum over neighbours i, j of w_ij (u_i - u_j)^2 + sum over open sky of k_i (u_i - 1/far)^2,

    w_ij = max(exp(-largest difference of a channel / 16 codes), 0.001), so that depth steps where the photograph
    does (1 everywhere without one). In 1/z, because that is linear across the picture of a flat surface.
    Open sky: what lies above the highest known pixel of its columns where that gap is over a sixth of the height. It
    grows towards `far`, 60 m or the farthest known depth, over a tenth of the height, the more the brighter it is:
    k = s^2 / reach^2, s from 0 at the photograph's median luminance to 1 at its 95th percentile (1 without one). So
    a dark tree that the laser did not reach keeps the depth of its trunk, and a bright wall there is taken for sky.
    Solved from coarse to fine by over-relaxed sweeps, in large holes and along strong edges to a few percent.

    Median error at known pixels that are held out: 0.5 % for KITTI's laser, 0.1 % for NYU's camera, 1 % and 0.5 %
    where they are held out in blocks of 16 x 16; across a step one pixel in ten is 4 % off, one in a hundred 13 to
    25 % (tests/physics/test_depth_file.py). A choice; a kindred sum is that of Levin, Lischinski & Weiss 2004 (ACM
    TOG 23(3), doi:10.1145/1015706.1015780), with which NYU Depth fills its holes.
    InputError where nothing is known, or the photograph has another size.
    """
    depth_m = np.asarray(depth_m, dtype=np.float32)
    known = ~np.isnan(depth_m)
    _check(depth_m, known, image_srgb8)
    if known.all():
        return depth_m.copy()
    far_m = max(PRIOR_FAR_M, float(depth_m[known].max()))
    nearness = np.where(known, 1 / np.where(known, depth_m, 1), 0).astype(np.float32)
    guide = np.zeros((*depth_m.shape, 3), np.uint8) if image_srgb8 is None else image_srgb8
    filled = _solve(_Scale(nearness, known, *_pulls(guide), _sky_pull(known, image_srgb8), np.float32(1 / far_m)))
    return np.where(known, depth_m, 1 / filled).astype(np.float32)


def _check(
    depth_m: Float[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"], image_srgb8: UInt8[np.ndarray, "h w 3"] | None
) -> None:
    if depth_m.ndim != 2 or not known.any():
        raise InputError(f"depth_m must be a map (H, W) known somewhere, got shape {depth_m.shape}, NaN all over.")
    check_in_range(depth_m[known], MIN_DEPTH_M, MAX_DEPTH_M, "depth_m", "Unknown depth is NaN.")
    if image_srgb8 is not None:
        check_photo(image_srgb8, "image_srgb8")
        if image_srgb8.shape[:2] != depth_m.shape:
            raise InputError(
                f"depth_m must have the photograph's shape {image_srgb8.shape[:2]}, got {depth_m.shape}."
                " resized_depth_m brings it there."
            )


def _sky_pull(
    known: Bool[np.ndarray, "h w"], image_srgb8: UInt8[np.ndarray, "h w 3"] | None
) -> Float[np.ndarray, "h w"]:
    """k of the open sky: how strongly a pixel is drawn to the far limit, 1/px^2; 0 where there is no sky."""
    height, width = known.shape
    with_known = np.flatnonzero(known.any(axis=0))
    top = np.interp(np.arange(width), with_known, known.argmax(axis=0)[with_known])
    top = minimum_filter1d(top, 2 * round(width * SKY_COLUMNS) + 1)
    open_sky = (np.arange(height)[:, None] < top) & (top > height * SKY_GAP)
    brightness = np.ones((), dtype=np.float32)
    if image_srgb8 is not None:
        luma = image_srgb8 @ REC_601_LUMA
        dark, bright = np.percentile(luma, (50, SKY_PERCENTILE))
        brightness = np.clip((luma - dark) / max(bright - dark, 1), 0, 1)
    return (open_sky * brightness**2 / (height * SKY_REACH) ** 2).astype(np.float32)


def _pulls(image_srgb8: UInt8[np.ndarray, "h w 3"]) -> tuple[Float[np.ndarray, "h w"], Float[np.ndarray, "h w"]]:
    """w of every pixel with the one to its right, and with the one below; 0 beyond the picture."""
    codes = image_srgb8.astype(np.float32)
    across, down = (np.exp(np.abs(np.diff(codes, axis=axis)).max(axis=2) / -EDGE_CODES) for axis in (1, 0))
    across, down = (np.maximum(pull, WEAKEST_PULL, dtype=np.float32) for pull in (across, down))
    return np.pad(across, ((0, 0), (0, 1))), np.pad(down, ((0, 1), (0, 0)))


def _solve(scale: _Scale) -> Float[np.ndarray, "h w"]:
    """The minimum of the sum at this scale, begun from the one at half the scale, whose pixels are cells of 2 x 2."""
    height, width = scale.known.shape
    if max(height, width) > 1 and not scale.known.all():
        coarse = _solve(_halved(scale))
        doubled = cv2.resize(coarse, (2 * coarse.shape[1], 2 * coarse.shape[0]), interpolation=cv2.INTER_LINEAR)
        scale = replace(scale, nearness=np.where(scale.known, scale.nearness, doubled[:height, :width]))
    return _relaxed(scale)


def _halved(scale: _Scale) -> _Scale:
    """The same at half the scale."""
    count = _sum_of_four(scale.known.astype(np.float32))
    return _Scale(
        _sum_of_four(np.where(scale.known, scale.nearness, 0)) / np.maximum(count, 1),
        count > 0,
        _between_cells(scale.across),
        np.ascontiguousarray(_between_cells(scale.down.T).T),
        _sum_of_four(scale.sky_pull),
        scale.far_nearness,
    )


def _relaxed(scale: _Scale) -> Float[np.ndarray, "h w"]:
    """u after the sweeps of one scale, forward and backward in turn; in place."""
    weight = scale.sky_pull + scale.across + scale.down
    weight[:, 1:] += scale.across[:, :-1]
    weight[1:] += scale.down[:-1]
    share = np.float32(OVER_RELAXATION) / np.where(scale.known, 1, weight)
    sky_total = scale.sky_pull * scale.far_nearness
    for sweep in range(SWEEPS):
        _relax(scale.nearness, scale.known, scale.across, scale.down, sky_total, share, sweep % 2 == 1)
    return scale.nearness


def _sum_of_four(layer: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h2 w2"]:
    """Sum over cells of 2 x 2 pixels, over fewer at the end of an odd side."""
    height, width = layer.shape
    even = np.pad(layer, ((0, height % 2), (0, width % 2)))
    rows = even[::2] + even[1::2]
    return rows[:, ::2] + rows[:, 1::2]


def _between_cells(across: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h2 w2"]:
    """w between cells of 2 x 2 pixels side by side, as conductors add up.

    Each row of the two is the pull over the border in series with half of that inside either cell; the rows are
    parallel. An edge of the photograph so divides cells as it divides pixels, wherever it crosses them.
    """
    height, width = across.shape
    links = np.pad(across, ((0, height % 2), (0, width % 2)), mode="edge")
    links[:, -1 - width % 2 :] = 1  # inside the last cell, and beyond it: not used
    inside, border = links[:, ::2], links[:, 1::2]
    series = 1 / (1 / border[:, :-1] + 0.5 / inside[:, :-1] + 0.5 / inside[:, 1:])
    return np.pad(series[::2] + series[1::2], ((0, 0), (0, 1)))


@njit(cache=True, nogil=True)
def _relax(
    nearness: np.ndarray,
    known: np.ndarray,
    across: np.ndarray,
    down: np.ndarray,
    sky_total: np.ndarray,
    share: np.ndarray,
    backward: bool,
) -> None:
    """One sweep in place: every unknown pixel goes to the weighted mean of its neighbours and the far, and beyond.

    `sky_total` is the far's part of the weighted sum, and `share` the over-relaxation over the sum of the weights.
    """
    height, width = known.shape
    for row in range(height):
        y = height - 1 - row if backward else row
        for column in range(width):
            x = width - 1 - column if backward else column
            if known[y, x]:
                continue
            total = sky_total[y, x]
            if y > 0:
                total += down[y - 1, x] * nearness[y - 1, x]
            if y < height - 1:
                total += down[y, x] * nearness[y + 1, x]
            if x > 0:
                total += across[y, x - 1] * nearness[y, x - 1]
            if x < width - 1:
                total += across[y, x] * nearness[y, x + 1]
            nearness[y, x] += share[y, x] * total - np.float32(OVER_RELAXATION) * nearness[y, x]
