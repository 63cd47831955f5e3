"""PSNR and SSIM against formulas written out window by window, hand-computed values and measured sets."""

import math
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from rainsynth.checks import InputError
from rainsynth.metrics import luma, psnr_rgb, psnr_y, ssim_rgb, ssim_y

DATA = os.environ.get("RAINSYNTH_DATA")


@pytest.fixture
def pair() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(3)
    reference = rng.integers(0, 256, (19, 23, 3), dtype=np.uint8)
    noisy = np.clip(reference + rng.normal(0, 20, reference.shape), 0, 255).astype(np.uint8)
    return noisy, reference


def slow_luma(pixel: np.ndarray) -> float:
    """MATLAB rgb2ycbcr, first row of its matrix: 65.481, 128.553, 24.966 for R, G, B in [0, 1], plus 16."""
    red, green, blue = (float(value) / 255 for value in pixel)
    return 65.481 * red + 128.553 * green + 24.966 * blue + 16


def slow_ssim(image: np.ndarray, reference: np.ndarray) -> float:
    """Wang et al. (2004), eq. 13-16: one window at a time, 11x11 Gaussian of sigma 1.5, weights summing to one."""
    offsets = np.arange(11) - 5
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for top, left in np.ndindex(image.shape[0] - 10, image.shape[1] - 10):
        x, y = (picture[top : top + 11, left : left + 11] for picture in (image, reference))
        mean_x, mean_y = (window * x).sum(), (window * y).sum()
        variance_x, variance_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
        covariance = (window * (x - mean_x) * (y - mean_y)).sum()
        similarity = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
        values.append(similarity / ((mean_x**2 + mean_y**2 + c1) * (variance_x + variance_y + c2)))
    return float(np.mean(values))


def flat(red: int, green: int, blue: int, size_px: int = 12) -> np.ndarray:
    return np.full((size_px, size_px, 3), (red, green, blue), dtype=np.uint8)


def test_luma_runs_from_16_to_235_and_is_not_rounded():
    assert luma(flat(0, 0, 0)).max() == 16
    assert luma(flat(255, 255, 255)).max() == pytest.approx(235, abs=1e-9)
    assert luma(flat(255, 0, 0)).max() == pytest.approx(16 + 65.481, abs=1e-9)
    assert luma(flat(0, 255, 0)).max() == pytest.approx(16 + 128.553, abs=1e-9)


def test_luma_agrees_with_the_formula_at_every_pixel(pair):
    for value, pixel in zip(luma(pair[0]).flat, pair[0].reshape(-1, 3), strict=True):
        assert value == pytest.approx(slow_luma(pixel), abs=1e-9)


def test_psnr_of_one_grey_level_is_48_13_db_in_rgb_and_49_45_db_in_luma():
    # RGB: 20 log10(255). Luma: a step of grey is 219 / 255 of a step, so 20 log10(255^2 / 219).
    assert psnr_rgb(flat(101, 101, 101), flat(100, 100, 100)) == pytest.approx(48.130804, abs=1e-6)
    assert psnr_y(flat(101, 101, 101), flat(100, 100, 100)) == pytest.approx(20 * math.log10(255**2 / 219), abs=1e-9)
    assert psnr_y(flat(101, 101, 101), flat(100, 100, 100)) == pytest.approx(49.4528, abs=1e-3)


def test_psnr_of_black_against_white_is_0_db_in_rgb():
    assert psnr_rgb(flat(0, 0, 0), flat(255, 255, 255)) == pytest.approx(0, abs=1e-12)


def test_psnr_agrees_with_the_sum_over_pixels(pair):
    image, reference = pair
    pixels = list(zip(image.reshape(-1, 3), reference.reshape(-1, 3), strict=True))
    error_y = sum((slow_luma(a) - slow_luma(b)) ** 2 for a, b in pixels) / len(pixels)
    error_rgb = sum((int(u) - int(v)) ** 2 for a, b in pixels for u, v in zip(a, b, strict=True)) / (3 * len(pixels))
    assert psnr_y(image, reference) == pytest.approx(10 * math.log10(255**2 / error_y), abs=1e-9)
    assert psnr_rgb(image, reference) == pytest.approx(10 * math.log10(255**2 / error_rgb), abs=1e-9)


def test_psnr_inside_a_mask_sees_nothing_else():
    image, mask = flat(100, 100, 100), np.zeros((12, 12), dtype=bool)
    image[:3] = 101
    mask[:3] = True
    assert psnr_y(image, flat(100, 100, 100), mask) == pytest.approx(20 * math.log10(255**2 / 219), abs=1e-9)
    assert psnr_y(image, flat(100, 100, 100), ~mask) == math.inf
    # All pixels: a quarter of them is wrong, so the error is a quarter and the ratio 10 log10(4) better.
    assert psnr_y(image, flat(100, 100, 100)) == pytest.approx(
        20 * math.log10(255**2 / 219) + 10 * math.log10(4), abs=1e-9
    )


def test_ssim_agrees_with_windows_taken_one_by_one(pair):
    image, reference = pair
    luma_pair = [np.array([[slow_luma(pixel) for pixel in row] for row in picture]) for picture in pair]
    assert ssim_y(image, reference) == pytest.approx(slow_ssim(*luma_pair), abs=1e-9)
    channels = [slow_ssim(image[..., c].astype(float), reference[..., c].astype(float)) for c in range(3)]
    assert ssim_rgb(image, reference) == pytest.approx(np.mean(channels), abs=1e-9)


def test_ssim_of_two_flat_pictures_is_their_luminance_term():
    # No variance: SSIM = (2 a b + C1) / (a^2 + b^2 + C1) with the grey values a, b.
    expected = (2 * 100 * 150 + 2.55**2) / (100**2 + 150**2 + 2.55**2)
    assert ssim_rgb(flat(100, 100, 100), flat(150, 150, 150)) == pytest.approx(expected, abs=1e-9)


def test_equal_pictures_have_infinite_psnr_and_ssim_one(pair):
    picture = pair[0]
    assert psnr_y(picture, picture) == psnr_rgb(picture, picture) == math.inf
    assert ssim_y(picture, picture) == pytest.approx(1, abs=1e-12)
    assert ssim_rgb(picture, picture) == pytest.approx(1, abs=1e-12)


def test_smallest_picture_for_ssim_has_11_pixels_a_side(pair):
    image, reference = (picture[:11, :11] for picture in pair)
    assert 0 < ssim_y(image, reference) < 1
    with pytest.raises(InputError, match="at least 11 px a side, got 11x10"):
        ssim_y(image[:10], reference[:10])
    assert psnr_y(image[:1, :1], reference[:1, :1]) > 0


def test_pairs_that_do_not_match_are_refused(pair):
    image, reference = pair
    with pytest.raises(InputError, match="Are the pairs matched by name"):
        psnr_y(image, reference[:-1])
    with pytest.raises(InputError, match="mask must hold at least one pixel"):
        psnr_y(image, reference, np.zeros(image.shape[:2], dtype=bool))
    with pytest.raises(InputError, match="mask must be boolean"):
        psnr_y(image, reference, np.ones(image.shape[:2], dtype=np.uint8))


@pytest.mark.parametrize("picture", [np.zeros((12, 12)), np.zeros((12, 12, 3)), np.zeros((12, 12, 4), dtype=np.uint8)])
def test_anything_but_8_bit_rgb_is_refused(picture):
    with pytest.raises(InputError, match="must be \\(H, W, 3\\) uint8 RGB"):
        psnr_y(picture, picture)


@pytest.mark.data
@pytest.mark.skipif(not DATA, reason="RAINSYNTH_DATA names no folder with benchmarks/")
@pytest.mark.parametrize(
    ("folder", "psnr_db", "ssim"), [("rain100h-dev", 13.703, 0.3971), ("rain100l-dev", 26.60, None)]
)
def test_input_pictures_score_as_measured_elsewhere(folder, psnr_db, ssim):
    # Values of the data's README, given to as many digits as the tolerances.
    pairs = [
        [cv2.cvtColor(cv2.imread(str(side / path.name)), cv2.COLOR_BGR2RGB) for side in (path.parent, target)]
        for target in [Path(DATA or "") / "benchmarks" / folder / "target"]
        for path in sorted((target.parent / "input").glob("*.png"))
    ]
    assert len(pairs) == 40
    assert np.mean([psnr_y(*pair) for pair in pairs]) == pytest.approx(psnr_db, abs=5e-3 if ssim is None else 5e-4)
    if ssim is not None:
        assert np.mean([ssim_y(*pair) for pair in pairs]) == pytest.approx(ssim, abs=5e-5)
