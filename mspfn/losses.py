"""Losses of one derained picture against its target, (N, 3, H, W) sRGB in [0, 1] -> a scalar that is small when equal.

`weight`, (N, 1, H, W) or None, says how much a pixel counts; None: every pixel 1. What a training step makes small, of
all that a network predicts, is put together from these in `mspfn.training_loss`.

Charbonnier and edge loss are those of MSPFN (Jiang et al., CVPR 2020, arXiv:2003.10985), on pictures in [-1, 1].
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

CHARBONNIER_EPS = 1e-3  # below it the loss is quadratic; in units of a picture in [-1, 1] (authors' MSPFN.py)
EDGE_WEIGHT = 0.05  # share of the edge loss (authors' MSPFN.py)
PSNR_EPS = 1e-8  # mean squared error of a picture that is taken as perfect: 80 dB

# Wang et al. (2004), IEEE Trans. Image Process. 13(4), doi:10.1109/TIP.2003.819861, for pictures in [0, 1].
SSIM_WINDOW_PX = 11
SSIM_SIGMA_PX = 1.5
SSIM_C1 = 0.01**2
SSIM_C2 = 0.03**2
CHARBONNIER_SSIM_WEIGHT = 0.3  # choice: at 28 dB structure then counts as much as Charbonnier
SSIM_SHARE = 0.84  # of structure beside L1: Zhao et al. (2017), doi:10.1109/TCI.2016.2644865, "Mix", for MS-SSIM

PictureLoss = Callable[[Tensor, Tensor, Tensor | None], Tensor]


def l1(derained: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of |derained - target|."""
    return weighted_mean((derained - target).abs(), weight)


def mean_squared_error(derained: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of (derained - target)^2."""
    return weighted_mean((derained - target).square(), weight)


def charbonnier(derained: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean of sqrt(d^2 + eps^2), d the difference of the pictures in [-1, 1]: a smooth L1."""
    return weighted_mean(smooth_absolute(2 * (derained - target)), weight)


def charbonnier_edge(derained: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """The loss of the MSPFN paper: Charbonnier + 0.05 x Charbonnier of the pictures' Laplacians."""
    difference = 2 * (derained - target)  # of the pictures in [-1, 1]; the Laplacian is linear
    picture = weighted_mean(smooth_absolute(difference), weight)
    return picture + EDGE_WEIGHT * weighted_mean(smooth_absolute(laplacian(difference)), weight)


def negative_psnr(derained: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Mean over the samples of 10 log10(MSE + eps) [dB], the PSNR of pictures in [0, 1] with its sign turned.

    A sample's gradient does not grow with its error, so light rain counts as much as heavy rain.
    """
    squared_error = (derained - target).square()
    if weight is not None:
        squared_error = squared_error * weight
    return 10 * torch.log10(squared_error.mean(dim=(1, 2, 3)) + PSNR_EPS).mean()


def structural_dissimilarity(derained: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """1 - SSIM, mean over the three channels and over all windows inside the picture; from 11 px a side.

    SSIM = (2 mx my + C1)(2 sxy + C2) / ((mx^2 + my^2 + C1)(sx^2 + sy^2 + C2)) as in rainsynth.metrics.ssim_rgb, whose
    Gaussian windows of 11 px these are. A window counts as much as the pixel in its middle. But for a constant this is
    the negative SSIM on which PReNet is trained (Ren et al., CVPR 2019, arXiv:1901.09221).
    """
    mean_x, mean_y = window_means(derained), window_means(target)
    variance_sum = window_means(derained.square() + target.square()) - mean_x.square() - mean_y.square()
    covariance = window_means(derained * target) - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + SSIM_C1) * (2 * covariance + SSIM_C2)
    denominator = (mean_x.square() + mean_y.square() + SSIM_C1) * (variance_sum + SSIM_C2)
    margin = SSIM_WINDOW_PX // 2
    inside = None if weight is None else weight[..., margin:-margin, margin:-margin]
    return weighted_mean(1 - numerator / denominator, inside)


def structural_dissimilarity_l1(derained: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """0.84 (1 - SSIM) + 0.16 L1, the mixture of Zhao et al. (2017) with one scale of SSIM; from 11 px a side.

    SSIM by itself hardly minds a brightness that is off everywhere; L1 does.
    """
    structure = structural_dissimilarity(derained, target, weight)
    return SSIM_SHARE * structure + (1 - SSIM_SHARE) * l1(derained, target, weight)


def charbonnier_ssim(derained: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
    """Charbonnier + 0.3 (1 - SSIM): structure, and what PSNR measures, alike; from 11 px a side."""
    return charbonnier(derained, target, weight) + CHARBONNIER_SSIM_WEIGHT * structural_dissimilarity(
        derained, target, weight
    )


def weighted_mean(values: Tensor, weight: Tensor | None) -> Tensor:
    """Mean of `values` times `weight`, over all pixels."""
    return values.mean() if weight is None else (values * weight).mean()


def smooth_absolute(difference: Tensor) -> Tensor:
    """sqrt(d^2 + eps^2), elementwise."""
    return torch.sqrt(difference.square() + CHARBONNIER_EPS**2)


def laplacian(picture: Tensor) -> Tensor:
    """Eight-neighbour Laplacian, 8 centre - neighbours, zeros outside; (N, C, H, W) -> same."""
    return 9 * (picture - F.avg_pool2d(picture, kernel_size=3, stride=1, padding=1))


def window_means(picture: Tensor) -> Tensor:
    """Gaussian-weighted means of all windows of SSIM that lie inside, (N, C, H, W) -> (N, C, H - 10, W - 10)."""
    place = torch.arange(SSIM_WINDOW_PX, device=picture.device, dtype=picture.dtype) - SSIM_WINDOW_PX // 2
    taps = torch.exp(-place.square() / (2 * SSIM_SIGMA_PX**2))
    channels = picture.shape[1]
    column = (taps / taps.sum()).reshape(1, 1, -1, 1).expand(channels, 1, -1, 1)
    rows = F.conv2d(picture, column, groups=channels)
    return F.conv2d(rows, column.transpose(-1, -2), groups=channels)


PICTURE_LOSSES: dict[str, PictureLoss] = {
    "l1": l1,
    "mse": mean_squared_error,
    "charbonnier": charbonnier,
    "charbonnier-edge": charbonnier_edge,
    "psnr": negative_psnr,
    "ssim": structural_dissimilarity,
    "ssim-l1": structural_dissimilarity_l1,
    "charbonnier-ssim": charbonnier_ssim,
}
SMALLEST_PX = dict.fromkeys(("ssim", "ssim-l1", "charbonnier-ssim"), SSIM_WINDOW_PX)  # losses that need some size
