"""Fidelity of a restored picture: PSNR, SSIM and MS-SSIM as published deraining results count them.

They follow MATLAB. Scripts of the field differ in two ways that do not show in a table of results, so each has a name
here: Y in double (`rgb2ycbcr` of `im2double`: PReNet, RCDNet) or rounded to 8 bit (of `uint8`: MSPFN, MPRNet,
Restormer), and SSIM over the windows inside the picture (Wang's ssim_index.m) or over one around every pixel, borders
repeated (MATLAB's own `ssim`). `METRICS` holds all of them by name. Pictures are (H, W, 3) uint8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Literal

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from rainsynth.checks import InputError, check_choice, one_line

SRGB8 = UInt8[np.ndarray, "h w 3"]
Channel = Float[np.ndarray, "h w"]
Borders = Literal["inside", "repeated"]

PEAK = 255.0
# Luma of ITU-R BT.601 in studio range, as in MATLAB's rgb2ycbcr: Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255.
LUMA_WEIGHTS = np.array([65.481, 128.553, 24.966]) / PEAK
LUMA_OFFSET = 16.0
# Values of Y before rounding are 1 / 85000 apart: this much makes a half that lost its last bit a half again.
HALF_SLACK = 1e-9
# Wang et al. (2004), IEEE Trans. Image Process. 13(4), doi:10.1109/TIP.2003.819861.
SSIM_WINDOW_PX = 11
SSIM_SIGMA_PX = 1.5
SSIM_C1 = (0.01 * PEAK) ** 2
SSIM_C2 = (0.03 * PEAK) ** 2
BORDERS = ("inside", "repeated")
ROWS_AT_ONCE = 128  # of a map of windows: memory does not grow with the picture
# Wang, Simoncelli & Bovik (2003), Asilomar Conf. Signals, Syst. Comput., doi:10.1109/ACSSC.2003.1292216, from the
# finest scale to the coarsest. The authors' msssim.m asks for a whole window at the coarsest one.
SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_LEAST_PX = SSIM_WINDOW_PX * 2 ** (len(SCALE_WEIGHTS) - 1)


def psnr_y(image_srgb8: SRGB8, reference_srgb8: SRGB8, mask: Bool[np.ndarray, "h w"] | None = None) -> float:
    """PSNR of the luma [dB]; inside `mask` only, where one is given. Infinite for equal pictures."""
    check_pair(image_srgb8, reference_srgb8)
    difference = cv2.subtract(image_srgb8, reference_srgb8, dtype=cv2.CV_64F)
    squared_error = cv2.transform(difference, LUMA_WEIGHTS[None]) ** 2  # luma is linear, and its offset falls out
    if mask is not None:
        check_mask(mask, squared_error.shape)
        squared_error = squared_error[mask]
    return psnr_db(squared_error)


def psnr_y_rounded(image_srgb8: SRGB8, reference_srgb8: SRGB8) -> float:
    """PSNR of the luma rounded to 8 bit [dB]. Infinite where that is equal."""
    check_pair(image_srgb8, reference_srgb8)
    return psnr_db((luma(image_srgb8, rounded=True) - luma(reference_srgb8, rounded=True)) ** 2)


def psnr_rgb(image_srgb8: SRGB8, reference_srgb8: SRGB8) -> float:
    """PSNR over all three channels [dB]. Infinite for equal pictures."""
    check_pair(image_srgb8, reference_srgb8)
    return psnr_db(cv2.subtract(image_srgb8, reference_srgb8, dtype=cv2.CV_64F) ** 2)


def ssim_y(image_srgb8: SRGB8, reference_srgb8: SRGB8) -> float:
    """Structural similarity of the luma over the windows inside, 1 for equal pictures; from 11 px a side."""
    return ssim_y_variant(image_srgb8, reference_srgb8)


def ssim_y_variant(
    image_srgb8: SRGB8, reference_srgb8: SRGB8, *, rounded: bool = False, borders: Borders = "inside"
) -> float:
    """Structural similarity of the luma, `rounded` to 8 bit or not, with either kind of windows; from 11 px a side."""
    check_pair(image_srgb8, reference_srgb8, min_px=SSIM_WINDOW_PX)
    return ssim(luma(image_srgb8, rounded=rounded), luma(reference_srgb8, rounded=rounded), borders)


def ssim_rgb(image_srgb8: SRGB8, reference_srgb8: SRGB8) -> float:
    """Structural similarity, mean of the three channels, 1 for equal pictures; from 11 px a side."""
    check_pair(image_srgb8, reference_srgb8, min_px=SSIM_WINDOW_PX)
    return _mean_of_channels(ssim, image_srgb8, reference_srgb8)


def ms_ssim_y(image_srgb8: SRGB8, reference_srgb8: SRGB8) -> float:
    """Structural similarity of the luma over five scales, 1 for equal pictures; from 176 px a side."""
    check_pair(image_srgb8, reference_srgb8, min_px=MS_SSIM_LEAST_PX)
    return ms_ssim(luma(image_srgb8), luma(reference_srgb8))


def ms_ssim_rgb(image_srgb8: SRGB8, reference_srgb8: SRGB8) -> float:
    """Structural similarity over five scales, mean of the three channels, 1 for equal pictures; from 176 px a side."""
    check_pair(image_srgb8, reference_srgb8, min_px=MS_SSIM_LEAST_PX)
    return _mean_of_channels(ms_ssim, image_srgb8, reference_srgb8)


# Every variant by the name that files and tables give it: f(image_srgb8, reference_srgb8). PSNR in dB.
METRICS: dict[str, Callable[[SRGB8, SRGB8], float]] = {
    "psnr_y": psnr_y,
    "ssim_y": ssim_y,
    "psnr_rgb": psnr_rgb,
    "ssim_rgb": ssim_rgb,
    "ms_ssim_y": ms_ssim_y,
    "ms_ssim_rgb": ms_ssim_rgb,
    "psnr_y_rounded": psnr_y_rounded,
    "ssim_y_rounded": partial(ssim_y_variant, rounded=True),
    "ssim_y_repeated": partial(ssim_y_variant, borders="repeated"),
    "ssim_y_rounded_repeated": partial(ssim_y_variant, rounded=True, borders="repeated"),
}


def luma(image_srgb8: SRGB8, *, rounded: bool = False) -> Channel:
    """Y of MATLAB's rgb2ycbcr, 16 to 235: of a picture in double, or `rounded` as of an 8-bit one (halves up)."""
    y = cv2.transform(image_srgb8.astype(np.float64), np.append(LUMA_WEIGHTS, LUMA_OFFSET)[None])
    return np.floor(y + (0.5 + HALF_SLACK)) if rounded else y


def psnr_db(squared_error: Float[np.ndarray, "*shape"]) -> float:
    """10 log10(255^2 / MSE) [dB]; infinite without error."""
    mean_squared_error = float(np.mean(squared_error))
    return float(10 * np.log10(PEAK**2 / mean_squared_error)) if mean_squared_error > 0 else float("inf")


def ssim(image: Channel, reference: Channel, borders: Borders = "inside") -> float:
    """Mean structural similarity of two 8-bit-range channels, over all windows inside or one around every pixel.

    SSIM = (2 mx my + C1)(2 sxy + C2) / ((mx^2 + my^2 + C1)(sx^2 + sy^2 + C2)), Gaussian windows of 11 px, sigma 1.5 px.
    The same number whatever the number of OpenCV's threads.
    """
    check_choice(borders, BORDERS, "borders")
    if borders == "repeated":
        image, reference = _with_borders(image), _with_borders(reference)
    return _means(image, reference)[0]


def ms_ssim(image: Channel, reference: Channel) -> float:
    """Structural similarity of two 8-bit-range channels over five scales, the windows inside the picture.

    MS-SSIM = prod_j C_j^w_j with C_j the mean of (2 sxy + C2) / (sx^2 + sy^2 + C2) at scale j, at the coarsest one the
    mean SSIM. Each scale is the mean of 2x2 pixels of the one before; a last odd row or column stands for itself.
    A scale whose mean is negative counts as 0 (the formula has no value there).
    """
    product = 1.0
    for scale, weight in enumerate(SCALE_WEIGHTS, start=1):
        similarity, structure = _means(image, reference)
        product *= max(similarity if scale == len(SCALE_WEIGHTS) else structure, 0.0) ** weight
        image, reference = _halved(image), _halved(reference)
    return product


def window_means(channel: Channel) -> Float[np.ndarray, "valid_h valid_w"]:
    """Gaussian-weighted means of all windows that lie inside the picture, (H, W) -> (H - 10, W - 10)."""
    window = cv2.getGaussianKernel(SSIM_WINDOW_PX, SSIM_SIGMA_PX, cv2.CV_64F)
    margin = SSIM_WINDOW_PX // 2
    return cv2.sepFilter2D(channel, cv2.CV_64F, window, window)[margin:-margin, margin:-margin]


def check_pair(image_srgb8: SRGB8, reference_srgb8: SRGB8, min_px: int = 1) -> None:
    """Raise InputError unless both are 8-bit RGB pictures of one size, at least `min_px` a side."""
    for picture, name in ((image_srgb8, "image_srgb8"), (reference_srgb8, "reference_srgb8")):
        if picture.ndim != 3 or picture.shape[2] != 3 or picture.dtype != np.uint8:
            raise InputError(f"{name} must be (H, W, 3) uint8 RGB, got {picture.shape} {picture.dtype}.")
        if min(picture.shape[:2]) < min_px:
            halved = "MS-SSIM halves a picture four times. " if min_px == MS_SSIM_LEAST_PX else ""
            size = f"{picture.shape[1]}x{picture.shape[0]}"
            hint = f"{halved}SSIM compares windows of 11 px."
            raise InputError(one_line(f"{name} must be at least {min_px} px a side, got {size}.", hint))
    if image_srgb8.shape != reference_srgb8.shape:
        raise InputError(
            f"image_srgb8 must have the size of its reference {reference_srgb8.shape[:2]}, "
            f"got {image_srgb8.shape[:2]}. Are the pairs matched by name?"
        )


def check_mask(mask: Bool[np.ndarray, "h w"], shape: tuple[int, ...]) -> None:
    """Raise InputError unless `mask` is boolean, of this shape, and true somewhere."""
    if mask.dtype != np.bool_ or mask.shape != shape:
        raise InputError(f"mask must be boolean of shape {shape}, got {mask.dtype} of shape {mask.shape}.")
    if not mask.any():
        raise InputError("mask must hold at least one pixel, got none. Is there no rain in this sample?")


def _means(image: Channel, reference: Channel) -> tuple[float, float]:
    """Mean over all windows of SSIM, and of its part without the mean grey levels (contrast and structure)."""
    similarity = structure = 0.0
    for light, rest in _terms(image, reference):
        structure += float(rest.sum())
        similarity += float((light * rest).sum())
    windows = (image.shape[0] - SSIM_WINDOW_PX + 1) * (image.shape[1] - SSIM_WINDOW_PX + 1)
    return similarity / windows, structure / windows


def _terms(image: Channel, reference: Channel) -> Iterator[tuple[Channel, Channel]]:
    """Maps of both factors of SSIM, some rows of windows at a time; in place, as half the time is memory's."""
    overlap = SSIM_WINDOW_PX - 1
    for first in range(0, image.shape[0] - overlap, ROWS_AT_ONCE):
        x, y = (picture[first : first + ROWS_AT_ONCE + overlap] for picture in (image, reference))
        mean_x, mean_y = window_means(x), window_means(y)
        light = 2 * mean_x * mean_y
        squares = mean_x**2 + mean_y**2
        structure = 2 * window_means(x * y)
        structure -= light
        structure += SSIM_C2
        variances = window_means(x**2 + y**2)
        variances -= squares
        variances += SSIM_C2
        structure /= variances
        light += SSIM_C1
        squares += SSIM_C1
        light /= squares
        yield light, structure


def _with_borders(channel: Channel) -> Channel:
    """The channel with its outermost pixels repeated by half a window, as imfilter's 'replicate' sees it."""
    margin = SSIM_WINDOW_PX // 2
    return cv2.copyMakeBorder(channel, margin, margin, margin, margin, cv2.BORDER_REPLICATE)


def _halved(channel: Channel) -> Channel:
    """Means of 2x2 pixels, (H, W) -> (ceil(H / 2), ceil(W / 2)): msssim.m's imfilter with 'symmetric', every other."""
    height, width = channel.shape
    even = cv2.copyMakeBorder(channel, 0, height % 2, 0, width % 2, cv2.BORDER_REPLICATE)
    return (even[::2, ::2] + even[1::2, ::2] + even[::2, 1::2] + even[1::2, 1::2]) / 4


def _mean_of_channels(metric: Callable[[Channel, Channel], float], image: SRGB8, reference: SRGB8) -> float:
    channels = zip(cv2.split(image.astype(np.float64)), cv2.split(reference.astype(np.float64)), strict=True)
    return float(np.mean([metric(one, other) for one, other in channels]))
