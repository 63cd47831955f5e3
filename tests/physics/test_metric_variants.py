"""Variants of PSNR and SSIM against other packages' numbers, and against their formulas done slowly another way."""

import math

import cv2
import numpy as np
import pytest
from scipy import ndimage, signal

from rainsynth.checks import InputError
from rainsynth.metrics import (
    METRICS,
    ROWS_AT_ONCE,
    luma,
    ms_ssim,
    ms_ssim_rgb,
    ms_ssim_y,
    psnr_rgb,
    psnr_y,
    psnr_y_rounded,
    ssim,
    ssim_rgb,
    ssim_y,
)

C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
WEIGHTS_2003 = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # Wang, Simoncelli & Bovik (2003), section 4


def rainy_and_clean(height_px: int, width_px: int) -> tuple[np.ndarray, np.ndarray]:
    """A picture by whole numbers, and the same under slanted streaks: the same bytes everywhere."""
    y, x = np.mgrid[:height_px, :width_px]
    clean = np.stack([(3 * x + y * y // 40) % 200 + 20, (2 * y + x * x // 50) % 180 + 30, x * y // 60 % 150 + 40], -1)
    streaks = np.where((5 * x + 2 * y) % 61 < 6, (x * 31 + y * 17) % 90 + 20, 0)
    return np.minimum(255, clean + streaks[..., None]).astype(np.uint8), clean.astype(np.uint8)


@pytest.fixture(scope="module")
def pair() -> tuple[np.ndarray, np.ndarray]:
    """192 rows: more than are worked on at once; sides that are halved four times without a rest."""
    assert ROWS_AT_ONCE < 192 - 10
    return rainy_and_clean(192, 256)


# torchmetrics 1.9.0, peak_signal_noise_ratio (which rounds 10 / ln 10 to float32) and _ssim_update's map without the
# 5 px at its borders, that it pads by reflection; pytorch-msssim 1.0.0, ms_ssim, whose window is rounded to float32.
# All in double, on `pair` and on its Y = 16 + (65.481 R + 128.553 G + 24.966 B) / 255.
TORCHMETRICS = {psnr_y: 23.0512434825, psnr_rgb: 21.6553212210, ssim_y: 0.62445205664, ssim_rgb: 0.57523794061}
PYTORCH_MSSSIM = {ssim_y: 0.6244536170, ssim_rgb: 0.5752396185, ms_ssim_y: 0.8974981814, ms_ssim_rgb: 0.8778403928}


@pytest.mark.parametrize("metric", TORCHMETRICS, ids=lambda metric: metric.__name__)
def test_metrics_agree_with_torchmetrics(pair, metric):
    tolerance = 2e-6 if metric.__name__.startswith("psnr") else 1e-10
    assert metric(*pair) == pytest.approx(TORCHMETRICS[metric], abs=tolerance)


@pytest.mark.parametrize("metric", PYTORCH_MSSSIM, ids=lambda metric: metric.__name__)
def test_metrics_agree_with_pytorch_msssim(pair, metric):
    assert metric(*pair) == pytest.approx(PYTORCH_MSSSIM[metric], abs=2e-6)  # the float32 window's error


def test_rounded_luma_is_the_nearest_whole_number_and_halves_go_up():
    # 255000 (Y - 16) = 1000 (65.481 R + 128.553 G + 24.966 B), a whole number; a half where it leaves 127500.
    red, green, blue = np.meshgrid(*[np.arange(0, 256, 3)] * 3, indexing="ij")
    sums = 65481 * red + 128553 * green + 24966 * blue
    grid = np.stack([red, green, blue], -1).reshape(1, -1, 3).astype(np.uint8)
    np.testing.assert_array_equal(luma(grid, rounded=True)[0], (sums.ravel() + 127500) // 255000 + 16)
    halves = [
        (r, g, b)
        for b in range(256)
        for r, g in np.argwhere(
            (65481 * np.arange(256)[:, None] + 128553 * np.arange(256) + 24966 * b) % 255000 == 127500
        )
    ]
    exact = [(65481 * int(r) + 128553 * int(g) + 24966 * b) / 255000 + 16 for r, g, b in halves]
    assert len(halves) > 10
    np.testing.assert_array_equal(luma(np.array([halves], np.uint8), rounded=True)[0], np.floor(exact) + 1)


def test_psnr_of_rounded_luma_is_that_of_whole_numbers(pair):
    image, reference = (luma(picture, rounded=True).astype(int) for picture in pair)
    error = sum((int(a) - int(b)) ** 2 for a, b in zip(image.flat, reference.flat, strict=True)) / image.size
    assert psnr_y_rounded(*pair) == pytest.approx(10 * math.log10(255**2 / error), abs=1e-9)
    assert psnr_y_rounded(*pair) != psnr_y(*pair)


def similarity_map(x: np.ndarray, y: np.ndarray, mode: str) -> tuple[np.ndarray, np.ndarray]:
    """Both factors of SSIM around every pixel by 2-D correlation, variances of centred squares."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    mean_x, mean_y, xx, yy, xy = (ndimage.correlate(z, window, mode=mode) for z in (x, y, x * x, y * y, x * y))
    structure = (2 * (xy - mean_x * mean_y) + C2) / (xx - mean_x**2 + yy - mean_y**2 + C2)
    return (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1), structure


def test_ssim_with_repeated_borders_has_a_window_around_every_pixel(pair):
    image, reference = (picture[:37, :29] for picture in pair)
    light, structure = similarity_map(luma(image), luma(reference), "nearest")
    assert METRICS["ssim_y_repeated"](image, reference) == pytest.approx(np.mean(light * structure), abs=1e-12)


def test_ssim_of_rounded_luma_is_that_of_whole_numbers(pair):
    light, structure = similarity_map(*(luma(picture, rounded=True) for picture in pair), "nearest")
    assert METRICS["ssim_y_rounded_repeated"](*pair) == pytest.approx(np.mean(light * structure), abs=1e-12)
    inside = (light * structure)[5:-5, 5:-5]
    assert METRICS["ssim_y_rounded"](*pair) == pytest.approx(np.mean(inside), abs=1e-12)


def slow_ms_ssim(x: np.ndarray, y: np.ndarray) -> float:
    """Wang, Simoncelli & Bovik (2003) with the filter of the authors' msssim.m: 2x2 means, borders mirrored."""
    result = 1.0
    for scale, weight in enumerate(WEIGHTS_2003):
        light, structure = (part[5:-5, 5:-5] for part in similarity_map(x, y, "nearest"))
        result *= np.mean(light * structure if scale == 4 else structure) ** weight
        x, y = (signal.convolve2d(z, np.full((2, 2), 0.25), mode="full", boundary="symm")[1::2, 1::2] for z in (x, y))
    return result


@pytest.mark.parametrize("size", [(176, 176), (183, 206)], ids=["smallest", "odd"])
def test_ms_ssim_agrees_with_its_formula_at_every_scale(size):
    x, y = (luma(picture) for picture in rainy_and_clean(*size))
    assert ms_ssim(x, y) == pytest.approx(slow_ms_ssim(x, y), abs=1e-12)


def test_ms_ssim_of_a_negative_is_0_where_the_formula_has_no_value(pair):
    assert ms_ssim_y(255 - pair[1], pair[1]) == 0
    assert ms_ssim_y(pair[1], pair[1]) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("metric", [ms_ssim_y, ms_ssim_rgb], ids=lambda metric: metric.__name__)
def test_smallest_picture_for_ms_ssim_has_176_pixels_a_side(metric):
    with pytest.raises(InputError, match=r"at least 176 px a side, got 200x175.*halves a picture four") as refused:
        metric(*rainy_and_clean(175, 200))
    assert "\n" not in str(refused.value)


def test_every_named_variant_tells_equal_pictures_and_differs_from_all_others(pair):
    found = {name: metric(*pair) for name, metric in METRICS.items()}
    assert len(set(found.values())) == len(METRICS) == 10
    for name, metric in METRICS.items():
        best = math.inf if name.startswith("psnr") else 1
        assert metric(pair[0], pair[0]) == pytest.approx(best, abs=1e-12)


def test_unknown_borders_are_refused(pair):
    with pytest.raises(InputError, match="borders must be one of inside, repeated, got 'reflect'"):
        ssim(luma(pair[0]), luma(pair[1]), "reflect")


def test_no_metric_depends_on_the_number_of_threads(pair):
    before = cv2.getNumThreads()
    try:
        found = []
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            found.append([metric(*pair).hex() for metric in METRICS.values()])
    finally:
        cv2.setNumThreads(before)
    assert found[0] == found[1] == found[2]
