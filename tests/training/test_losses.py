"""Losses of a picture against their formulas, written out pixel by pixel."""

import math

import numpy as np
import pytest
import torch

from mspfn.losses import PICTURE_LOSSES, laplacian
from rainsynth.metrics import ssim_rgb

RNG = np.random.default_rng(5)
DERAINED, TARGET = RNG.random((2, 2, 3, 14, 15))
WEIGHT = RNG.random((2, 1, 14, 15))


def evaluate(
    name: str, derained: np.ndarray = DERAINED, target: np.ndarray = TARGET, weight: np.ndarray | None = None
) -> float:
    weights = None if weight is None else torch.from_numpy(weight)
    return float(PICTURE_LOSSES[name](torch.from_numpy(derained), torch.from_numpy(target), weights))


def slow_charbonnier(derained: np.ndarray, target: np.ndarray, weight: np.ndarray | None = None) -> float:
    """Mean of sqrt(d^2 + 0.001^2), as in the authors' MSPFN.py; pictures in [-1, 1]."""
    weights = np.broadcast_to(1.0 if weight is None else weight, derained.shape)
    each = zip(derained.flat, target.flat, weights.flat, strict=True)
    return float(np.mean([w * math.sqrt((a - b) ** 2 + 1e-3**2) for a, b, w in each]))


def slow_laplacian(pictures: np.ndarray) -> np.ndarray:
    """Every pixel times 8 minus its up to eight neighbours: kernel -1 -1 -1 / -1 8 -1 / -1 -1 -1, zeros outside."""
    edges = np.zeros_like(pictures)
    samples, channels, height, width = pictures.shape
    for n, c, y, x in np.ndindex(samples, channels, height, width):
        window = pictures[n, c, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        edges[n, c, y, x] = 9 * pictures[n, c, y, x] - window.sum()
    return edges


def test_l1_is_the_mean_absolute_difference():
    assert evaluate("l1") == pytest.approx(np.mean(np.abs(DERAINED - TARGET)), rel=1e-12)


def test_mse_is_the_mean_squared_difference():
    assert evaluate("mse") == pytest.approx(np.mean((DERAINED - TARGET) ** 2), rel=1e-12)


def test_charbonnier_works_on_pictures_in_minus_one_to_one():
    assert evaluate("charbonnier") == pytest.approx(slow_charbonnier(2 * DERAINED - 1, 2 * TARGET - 1), rel=1e-12)


def test_laplacian_is_eight_times_the_centre_less_its_neighbours():
    np.testing.assert_allclose(laplacian(torch.from_numpy(TARGET)).numpy(), slow_laplacian(TARGET), atol=1e-12)


@pytest.mark.parametrize("weight", [None, WEIGHT], ids=["plain", "weighted"])
def test_paper_loss_adds_a_twentieth_of_the_edge_loss(weight):
    derained, target = 2 * DERAINED - 1, 2 * TARGET - 1
    edge = slow_charbonnier(slow_laplacian(derained), slow_laplacian(target), weight)
    expected = slow_charbonnier(derained, target, weight) + 0.05 * edge
    assert evaluate("charbonnier-edge", weight=weight) == pytest.approx(expected, rel=1e-9)


def test_psnr_loss_is_the_mean_over_samples_of_their_negative_psnr():
    psnr_db = [10 * math.log10(1 / np.mean((a - b) ** 2)) for a, b in zip(DERAINED, TARGET, strict=True)]
    assert evaluate("psnr") == pytest.approx(-np.mean(psnr_db), rel=1e-6)  # eps = 1e-8 beside an MSE of 0.17


def test_psnr_loss_pulls_as_hard_on_light_rain_as_on_heavy_rain():
    target = torch.zeros(2, 3, 8, 8, dtype=torch.float64)
    rain = torch.rand(3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    derained = torch.stack((0.05 * rain, rain)).requires_grad_()
    PICTURE_LOSSES["psnr"](derained, target, None).backward()
    light, heavy = (derained.grad * derained.detach()).sum(dim=(1, 2, 3))  # change of the loss per relative change
    assert float(light) == pytest.approx(float(heavy), rel=1e-4)


def test_ssim_loss_is_one_less_the_ssim_that_results_are_counted_in():
    rng = np.random.default_rng(2)
    target8 = rng.integers(0, 256, (2, 30, 24, 3), dtype=np.uint8)
    derained8 = np.clip(target8 + rng.integers(-60, 60, target8.shape), 0, 255).astype(np.uint8)
    ssim = [ssim_rgb(a, b) for a, b in zip(derained8, target8, strict=True)]
    derained, target = (pictures.transpose(0, 3, 1, 2) / 255 for pictures in (derained8, target8))
    assert evaluate("ssim", derained, target) == pytest.approx(1 - np.mean(ssim), abs=1e-9)
    single = evaluate("ssim", derained.astype(np.float32), target.astype(np.float32))
    assert single == pytest.approx(1 - np.mean(ssim), abs=1e-4)  # variances are differences of squares


def test_ssim_loss_gives_a_window_the_weight_of_the_pixel_in_its_middle():
    middle = np.zeros((2, 1, 14, 15))
    middle[:, :, 6, 7] = 1.0
    windows = (14 - 10) * (15 - 10)
    alone = evaluate("ssim", DERAINED[..., 1:12, 2:13], TARGET[..., 1:12, 2:13])  # one window, centred at (6, 7)
    assert evaluate("ssim", weight=middle) == pytest.approx(alone / windows, rel=1e-9)


def test_ssim_l1_is_the_mixture_of_zhao_et_al_and_minds_a_brightness_that_is_off_everywhere():
    assert evaluate("ssim-l1") == pytest.approx(0.84 * evaluate("ssim") + 0.16 * evaluate("l1"), rel=1e-12)
    brighter, target = TARGET / 2 + 0.41, TARGET / 2 + 0.4
    assert evaluate("ssim-l1", brighter, target) > 5 * 0.84 * evaluate("ssim", brighter, target)


def test_charbonnier_ssim_is_the_sum_of_both():
    assert evaluate("charbonnier-ssim") == pytest.approx(evaluate("charbonnier") + 0.3 * evaluate("ssim"), rel=1e-12)


@pytest.mark.parametrize("name", PICTURE_LOSSES)
def test_gradients_are_those_of_finite_differences(name):
    torch.manual_seed(0)
    derained, target = torch.rand(2, 1, 3, 12, 12, dtype=torch.float64)
    weight = torch.rand(1, 1, 12, 12, dtype=torch.float64)
    loss = PICTURE_LOSSES[name]
    assert torch.autograd.gradcheck(lambda x: loss(x, target, weight), derained.requires_grad_(), fast_mode=True)


@pytest.mark.parametrize("name", PICTURE_LOSSES)
def test_a_weight_of_two_everywhere_counts_twice(name):
    twice = evaluate(name, weight=np.full_like(WEIGHT, 2.0))
    once = evaluate(name)
    assert twice == pytest.approx(once + 10 * math.log10(2) if name == "psnr" else 2 * once, rel=1e-6)


@pytest.mark.parametrize("name", PICTURE_LOSSES)
def test_loss_of_equal_pictures_is_the_smallest_with_a_finite_gradient(name):
    target = torch.from_numpy(TARGET)
    derained = target.clone().requires_grad_()
    loss = PICTURE_LOSSES[name](derained, target, None)
    loss.backward()
    assert torch.isfinite(derained.grad).all()
    assert loss.item() < evaluate(name, TARGET + 0.01)
