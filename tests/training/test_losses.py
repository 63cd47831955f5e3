"""Losses against their formulas, written out pixel by pixel."""

import math

import numpy as np
import pytest
import torch

from mspfn.losses import LOSSES, build_loss, laplacian
from rainsynth.checks import InputError

RNG = np.random.default_rng(5)
DERAINED, CLEAN = RNG.random((2, 2, 3, 6, 7))


def evaluate(name: str, derained: np.ndarray = DERAINED, clean: np.ndarray = CLEAN) -> float:
    return float(build_loss(name)(torch.from_numpy(derained), torch.from_numpy(clean)))


def slow_charbonnier(derained: np.ndarray, clean: np.ndarray) -> float:
    """Mean of sqrt(d^2 + 0.001^2), as in the authors' MSPFN.py; pictures in [-1, 1]."""
    return float(np.mean([math.sqrt((a - b) ** 2 + 1e-3**2) for a, b in zip(derained.flat, clean.flat, strict=True)]))


def slow_laplacian(pictures: np.ndarray) -> np.ndarray:
    """Every pixel times 8 minus its up to eight neighbours: kernel -1 -1 -1 / -1 8 -1 / -1 -1 -1, zeros outside."""
    edges = np.zeros_like(pictures)
    samples, channels, height, width = pictures.shape
    for n, c, y, x in np.ndindex(samples, channels, height, width):
        window = pictures[n, c, max(y - 1, 0) : y + 2, max(x - 1, 0) : x + 2]
        edges[n, c, y, x] = 9 * pictures[n, c, y, x] - window.sum()
    return edges


def test_l1_is_the_mean_absolute_difference():
    assert evaluate("l1") == pytest.approx(np.mean(np.abs(DERAINED - CLEAN)), rel=1e-12)


def test_charbonnier_works_on_pictures_in_minus_one_to_one():
    assert evaluate("charbonnier") == pytest.approx(slow_charbonnier(2 * DERAINED - 1, 2 * CLEAN - 1), rel=1e-12)


def test_laplacian_is_eight_times_the_centre_less_its_neighbours():
    np.testing.assert_allclose(laplacian(torch.from_numpy(CLEAN)).numpy(), slow_laplacian(CLEAN), atol=1e-12)


def test_paper_loss_adds_a_twentieth_of_the_edge_loss():
    derained, clean = 2 * DERAINED - 1, 2 * CLEAN - 1
    edge = slow_charbonnier(slow_laplacian(derained), slow_laplacian(clean))
    assert evaluate("charbonnier-edge") == pytest.approx(slow_charbonnier(derained, clean) + 0.05 * edge, rel=1e-9)


def test_psnr_loss_is_the_mean_over_samples_of_their_negative_psnr():
    psnr_db = [10 * math.log10(1 / np.mean((a - b) ** 2)) for a, b in zip(DERAINED, CLEAN, strict=True)]
    assert evaluate("psnr") == pytest.approx(-np.mean(psnr_db), rel=1e-6)  # eps = 1e-8 beside an MSE of 0.17


def test_psnr_loss_pulls_as_hard_on_light_rain_as_on_heavy_rain():
    clean = torch.zeros(2, 3, 8, 8, dtype=torch.float64)
    rain = torch.rand(3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    derained = torch.stack((0.05 * rain, rain)).requires_grad_()
    build_loss("psnr")(derained, clean).backward()
    light, heavy = (derained.grad * derained.detach()).sum(dim=(1, 2, 3))  # change of the loss per relative change
    assert float(light) == pytest.approx(float(heavy), rel=1e-4)


@pytest.mark.parametrize("name", LOSSES)
def test_loss_of_equal_pictures_is_the_smallest_with_a_finite_gradient(name):
    clean = torch.from_numpy(CLEAN)
    derained = clean.clone().requires_grad_()
    loss = build_loss(name)(derained, clean)
    loss.backward()
    assert torch.isfinite(derained.grad).all()
    assert loss.item() < evaluate(name, CLEAN + 0.01)


def test_unknown_loss_is_refused_with_the_choices():
    with pytest.raises(InputError, match="loss must be one of l1, charbonnier, charbonnier-edge, psnr, got 'l2'"):
        build_loss("l2")
