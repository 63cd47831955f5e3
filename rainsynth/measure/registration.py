"""The affine map on which two pictures of one scene agree best although it rains in one of them.

Gauss-Newton steps on the details of channels (Lucas & Kanade 1981, IJCAI, "An iterative image registration technique"):

    rainy = g warped + grad(warped) . d(p) + rain,     d(p) = (a + b x + c y, e + f x + h y)

with g the gain of a channel and Cauchy weights that pass over streaks. Grey is beside two differences of colours that
grey rain leaves as they are; each channel counts by how little it misses. Maps are (2, 3), from places of the rainy
picture to places of the clean one, both from the middle [px].
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, Float32, UInt8

SRGB8 = UInt8[np.ndarray, "h w 3"]
Channels = Float32[np.ndarray, "3 h w"]
Map = Float[np.ndarray, "2 3"]

MOST_SIDE_PX = 1024  # of larger pictures the middle is compared
DETAIL_PX = 15  # details are what a mean over so many pixels leaves
# Grey, red less blue, and green less the mean of both.
CHANNELS = np.array([[0.299, 0.587, 0.114], [0.5, 0.0, -0.5], [-0.25, 0.5, -0.25]], dtype=np.float32)
MOST_PIXELS = 20_000  # with the strongest gradients, that the map is fitted to
LEAST_PIXELS = 100
LEAST_GAIN = 0.05  # a channel in which less of the clean picture is left says nothing
STEPS = 5
DONE_PX = 0.2  # a step that moves no corner farther is the last
MOST_STEP_PX = 1.5  # of a corner: a step that asks for more is shortened
WEIGHTINGS = 3
SCALE_MEDIANS, LEAST_SCALE_CODES = 1.5, 0.05


def channels_of(picture_srgb8: SRGB8) -> Channels:
    """Grey and two differences of colours of a picture's middle, at most 1024 px a side."""
    height_px, width_px = picture_srgb8.shape[:2]
    top, left = (max(0, (side - MOST_SIDE_PX) // 2) for side in (height_px, width_px))
    middle = picture_srgb8[top : top + MOST_SIDE_PX, left : left + MOST_SIDE_PX].astype(np.float32)
    return np.ascontiguousarray(cv2.transform(middle, CHANNELS).transpose(2, 0, 1))


def details_of(channel: Float32[np.ndarray, "h w"]) -> Float32[np.ndarray, "h w"]:
    """What a mean over 15 px leaves."""
    return channel - cv2.blur(channel, (DETAIL_PX, DETAIL_PX))


def warped(clean: Channels, to_clean: Map, size_px: tuple[int, int]) -> tuple[Channels, Bool[np.ndarray, "h w"]]:
    """The clean picture where a map lays it over one of `size_px` (height, width), and where there is some."""
    height, width = size_px
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    own_middle = np.array([(clean.shape[2] - 1) / 2, (clean.shape[1] - 1) / 2])
    in_pixels = np.column_stack([to_clean[:, :2], to_clean[:, 2] + own_middle - to_clean[:, :2] @ middle])
    flags = cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
    laid = [
        cv2.warpAffine(channel, in_pixels, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        for channel in clean
    ]
    inside = np.ones(clean.shape[1:], dtype=np.uint8)
    inside = cv2.warpAffine(inside, in_pixels, (width, height), flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP)
    return np.stack(laid), inside > 0


def refine_map(rainy: Channels, clean: Channels, to_clean: Map) -> Map:
    """The best map near `to_clean`, from a few pixels off."""
    height, width = rainy.shape[1:]
    corner = np.array([width / 2, height / 2])
    for _ in range(STEPS):
        step = _step(rainy, *warped(clean, to_clean, (height, width)))
        reach_px = float((np.abs(step[:, :2]) @ corner + np.abs(step[:, 2])).max())
        # The step is one of the warped picture, before the map that warped it.
        moved = np.vstack([step * min(1.0, MOST_STEP_PX / max(reach_px, 1e-9)), np.zeros(3)]) + np.eye(3)
        to_clean = to_clean @ moved
        if reach_px < DONE_PX:
            break
    return to_clean


def _step(rainy: Channels, laid: Channels, inside: Bool[np.ndarray, "h w"]) -> Map:
    """One Gauss-Newton step by all channels, as a map less the identity."""
    normal, right = np.zeros((6, 6)), np.zeros(6)
    inside = cv2.erode(inside.astype(np.uint8), np.ones((DETAIL_PX, DETAIL_PX), np.uint8), borderValue=0) > 0
    for one, other in zip(rainy, laid, strict=True):
        found = _equations(details_of(one), details_of(other), inside)
        if found is not None:
            columns, target = found
            _, weight = robust_solution(columns, target)
            normal += (columns * weight[:, None]).T @ columns
            right += (columns * weight[:, None]).T @ target
    if not normal.any():
        return np.zeros((2, 3))
    a, b, c, e, f, h = np.linalg.solve(normal + 1e-9 * np.trace(normal) * np.eye(6), right)
    return np.array([[b, c, a], [f, h, e]])


def _equations(
    one: Float32[np.ndarray, "h w"], other: Float32[np.ndarray, "h w"], inside: Bool[np.ndarray, "h w"]
) -> tuple[Float[np.ndarray, "n 6"], Float[np.ndarray, "n"]] | None:
    """Columns and right side of one channel at the pixels of the strongest gradients; None where it says nothing."""
    across, down = (cv2.Scharr(other, cv2.CV_32F, *axis, scale=1 / 32) for axis in ((1, 0), (0, 1)))
    strength = np.where(inside, across**2 + down**2, -1).ravel()
    count = min(MOST_PIXELS, int(inside.sum()))
    if count < LEAST_PIXELS:
        return None
    places = np.argpartition(strength, -count)[-count:]
    height, width = one.shape
    rows, columns = np.divmod(places, width)
    x, y = columns - (width - 1) / 2, rows - (height - 1) / 2
    taken = [field.ravel()[places].astype(np.float64) for field in (one, other, across, down)]
    rainy, clean, across_there, down_there = taken
    (gain,), _ = robust_solution(clean[:, None], rainy)
    if gain < LEAST_GAIN:
        return None
    gx, gy = gain * across_there, gain * down_there
    return np.stack([gx, gx * x, gx * y, gy, gy * x, gy * y], axis=1), rainy - gain * clean


def robust_solution(
    columns: Float[np.ndarray, "n k"], target: Float[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "k"], Float[np.ndarray, "n"]]:
    """Least squares in which equations that miss count less, and the weight of each, over the variance of all."""
    weight, solution, scale = np.ones(len(target)), np.zeros(columns.shape[1]), 1.0
    for _ in range(WEIGHTINGS):
        weighted = (columns * weight[:, None]).T
        solution = np.linalg.lstsq(weighted @ columns, weighted @ target, rcond=None)[0]
        miss = target - columns @ solution
        scale = max(SCALE_MEDIANS * float(np.median(np.abs(miss))), LEAST_SCALE_CODES)
        weight = 1 / (1 + (miss / scale) ** 2)
    return solution, weight / scale**2
