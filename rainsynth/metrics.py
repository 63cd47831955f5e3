"""Fidelity of a restored picture: PSNR and SSIM as published deraining results count them, on the luma of 8-bit RGB.

They follow MATLAB (rgb2ycbcr in double, Wang's ssim_index), as the field's scripts do. Pictures are (H, W, 3) uint8.
"""

from __future__ import annotations

import cv2
import numpy as np
from jaxtyping import Bool, Float, UInt8

from rainsynth.checks import InputError

SRGB8 = UInt8[np.ndarray, "h w 3"]

PEAK = 255.0
# Luma of ITU-R BT.601 in studio range, as in MATLAB's rgb2ycbcr: Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255.
LUMA_WEIGHTS = np.array([65.481, 128.553, 24.966]) / PEAK
LUMA_OFFSET = 16.0
# Wang et al. (2004), IEEE Trans. Image Process. 13(4), doi:10.1109/TIP.2003.819861.
SSIM_WINDOW_PX = 11
SSIM_SIGMA_PX = 1.5
SSIM_C1 = (0.01 * PEAK) ** 2
SSIM_C2 = (0.03 * PEAK) ** 2


def psnr_y(image_srgb8: SRGB8, reference_srgb8: SRGB8, mask: Bool[np.ndarray, "h w"] | None = None) -> float:
    """PSNR of the luma [dB]; inside `mask` only, where one is given. Infinite for equal pictures."""
    check_pair(image_srgb8, reference_srgb8)
    difference = cv2.subtract(image_srgb8, reference_srgb8, dtype=cv2.CV_64F)
    squared_error = cv2.transform(difference, LUMA_WEIGHTS[None]) ** 2  # luma is linear, and its offset falls out
    if mask is not None:
        check_mask(mask, squared_error.shape)
        squared_error = squared_error[mask]
    return psnr_db(squared_error)


def psnr_rgb(image_srgb8: SRGB8, reference_srgb8: SRGB8) -> float:
    """PSNR over all three channels [dB]. Infinite for equal pictures."""
    check_pair(image_srgb8, reference_srgb8)
    return psnr_db((image_srgb8.astype(np.float64) - reference_srgb8) ** 2)


def ssim_y(image_srgb8: SRGB8, reference_srgb8: SRGB8) -> float:
    """Structural similarity of the luma, 1 for equal pictures; from 11 px a side."""
    check_pair(image_srgb8, reference_srgb8, min_px=SSIM_WINDOW_PX)
    return ssim(luma(image_srgb8), luma(reference_srgb8))


def ssim_rgb(image_srgb8: SRGB8, reference_srgb8: SRGB8) -> float:
    """Structural similarity, mean of the three channels, 1 for equal pictures; from 11 px a side."""
    check_pair(image_srgb8, reference_srgb8, min_px=SSIM_WINDOW_PX)
    image, reference = image_srgb8.astype(np.float64), reference_srgb8.astype(np.float64)
    return float(np.mean([ssim(image[..., channel], reference[..., channel]) for channel in range(3)]))


def luma(image_srgb8: SRGB8) -> Float[np.ndarray, "h w"]:
    """Y of MATLAB's rgb2ycbcr in double, 16 to 235, not rounded to 8 bit."""
    return image_srgb8 @ LUMA_WEIGHTS + LUMA_OFFSET


def psnr_db(squared_error: Float[np.ndarray, "*shape"]) -> float:
    """10 log10(255^2 / MSE) [dB]; infinite without error."""
    mean_squared_error = float(np.mean(squared_error))
    return float(10 * np.log10(PEAK**2 / mean_squared_error)) if mean_squared_error > 0 else float("inf")


def ssim(image: Float[np.ndarray, "h w"], reference: Float[np.ndarray, "h w"]) -> float:
    """Mean structural similarity of two 8-bit-range channels over all windows inside the picture.

    SSIM = (2 mx my + C1)(2 sxy + C2) / ((mx^2 + my^2 + C1)(sx^2 + sy^2 + C2)), Gaussian windows of 11 px, sigma 1.5 px.
    """
    mean_x, mean_y = window_means(image), window_means(reference)
    variance_sum = window_means(image**2 + reference**2) - mean_x**2 - mean_y**2
    covariance = window_means(image * reference) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + SSIM_C1) * (2 * covariance + SSIM_C2)
    denominator = (mean_x**2 + mean_y**2 + SSIM_C1) * (variance_sum + SSIM_C2)
    return float(np.mean(numerator / denominator))


def window_means(channel: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "valid_h valid_w"]:
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
            raise InputError(
                f"{name} must be at least {min_px} px a side, got {picture.shape[1]}x{picture.shape[0]}. "
                "SSIM compares windows of 11 px."
            )
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
