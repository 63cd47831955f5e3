"""What training makes small: losses of derained and clean pictures, (N, 3, H, W) sRGB in [0, 1] -> a scalar.

Charbonnier and edge loss are those of MSPFN (Jiang et al., CVPR 2020, arXiv:2003.10985), on pictures in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from rainsynth.checks import check_choice

CHARBONNIER_EPS = 1e-3  # below it the loss is quadratic; in units of a picture in [-1, 1] (authors' MSPFN.py)
EDGE_WEIGHT = 0.05  # share of the edge loss (authors' MSPFN.py)
PSNR_EPS = 1e-8  # mean squared error of a picture that is taken as perfect: 80 dB

Loss = Callable[[Tensor, Tensor], Tensor]


def build_loss(name: str) -> Loss:
    """The loss of this name, a function of (derained, clean)."""
    check_choice(name, tuple(LOSSES), "loss")
    return LOSSES[name]


def l1(derained: Tensor, clean: Tensor) -> Tensor:
    """Mean of |derained - clean|."""
    return F.l1_loss(derained, clean)


def charbonnier(derained: Tensor, clean: Tensor) -> Tensor:
    """Mean of sqrt(d^2 + eps^2), d the difference of the pictures in [-1, 1]: a smooth L1."""
    return smooth_absolute(2 * (derained - clean)).mean()


def charbonnier_edge(derained: Tensor, clean: Tensor) -> Tensor:
    """The loss of the MSPFN paper: Charbonnier + 0.05 x Charbonnier of the pictures' Laplacians."""
    difference = 2 * (derained - clean)  # of the pictures in [-1, 1]; the Laplacian is linear
    return smooth_absolute(difference).mean() + EDGE_WEIGHT * smooth_absolute(laplacian(difference)).mean()


def negative_psnr(derained: Tensor, clean: Tensor) -> Tensor:
    """Mean over the samples of 10 log10(MSE + eps) [dB], the PSNR of pictures in [0, 1] with its sign turned.

    A sample's gradient does not grow with its error, so light rain counts as much as heavy rain.
    """
    mean_squared_error = (derained - clean).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(mean_squared_error + PSNR_EPS).mean()


def smooth_absolute(difference: Tensor) -> Tensor:
    """sqrt(d^2 + eps^2), elementwise."""
    return torch.sqrt(difference.square() + CHARBONNIER_EPS**2)


def laplacian(picture: Tensor) -> Tensor:
    """Eight-neighbour Laplacian, 8 centre - neighbours, zeros outside; (N, C, H, W) -> same."""
    return 9 * (picture - F.avg_pool2d(picture, kernel_size=3, stride=1, padding=1))


LOSSES: dict[str, Loss] = {
    "l1": l1,
    "charbonnier": charbonnier,
    "charbonnier-edge": charbonnier_edge,
    "psnr": negative_psnr,
}
