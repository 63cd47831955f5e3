"""DerainNet, a network of three layers on the detail of a picture.

Source: Fu et al., "Clearing the Skies: A Deep Network Architecture for Single-Image Rain Removal", IEEE Trans. Image
Process. 26(6), 2017, doi:10.1109/TIP.2017.2691802, arXiv:1609.02087. The guided filter's numbers are those of the
authors' TensorFlow code, and so is training on patches whose borders are mirrored. Left out: the enhancement of base
and detail after the network, which lifts the contrast of hazy photographs and moves a picture away from its target.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from rainsynth.checks import check_count, check_in_range

FIRST_KERNEL_PX, LAST_KERNEL_PX = 16, 8
MARGIN_PX = (FIRST_KERNEL_PX + LAST_KERNEL_PX - 2) // 2  # 11: a pixel of the output sees 23 x 23 px of the input


@dataclass(frozen=True, slots=True, kw_only=True)
class DerainNetConfig:
    """The size of a DerainNet. Defaults: the published network, 754,691 weights.

    channels            feature channels
    filter_radius_px    half the side of the guided filter's windows (31 x 31 px)
    filter_eps          the guided filter's eps, in squared units of a picture in [0, 1]: variation well below it is
                        smoothed away. At 1 it is more than any window has, and the base nearly a mean of windows.
    negative_residual   the network learns what to add to its input, at first nothing; see DerainNet
    """

    channels: int = 512
    filter_radius_px: int = 15
    filter_eps: float = 1.0
    negative_residual: bool = False

    def __post_init__(self) -> None:
        check_count(self.channels, 1, 8192, "DerainNetConfig.channels")
        check_count(self.filter_radius_px, 1, 1000, "DerainNetConfig.filter_radius_px")
        check_in_range(self.filter_eps, 1e-4, 1e4, "DerainNetConfig.filter_eps")


class DerainNet(nn.Module):
    """Three layers on the detail layer of a picture, its base added back; rainy -> derained, (N, 3, H, W) sRGB.

    derained = base + f(rainy - base), base = guided_filter(rainy);
    f = convolution 16x16 3->C, tanh, convolution 1x1 C->C, tanh, transposed convolution 8x8 C->3, as published.

    Any height and width from 1 up; the result is not clipped. An untrained network returns about the base. The paper
    trains f on details alone, |f(rainy - base(rainy)) - (clean - base(clean))|^2, which is a loss on `derained` with
    the target clean + base(rainy) - base(clean); against the clean picture itself f may also learn what rain does to
    the base, as far as details show it.

    Details that must be learned to come through unchanged are the network's weakness in light rain, where nearly all of
    a picture is to be left alone. With `negative_residual` they come through by themselves,

    derained = rainy + f(rainy - base),

    and f, which starts at 0, is the rain's negative. Source: Fu et al., "Removing Rain from Single Images via a Deep
    Detail Network", CVPR 2017, doi:10.1109/CVPR.2017.186, whose deeper network has the same two parts.
    """

    def __init__(self, config: DerainNetConfig) -> None:
        super().__init__()
        self.config = config
        self.first = nn.Conv2d(3, config.channels, FIRST_KERNEL_PX)
        self.second = nn.Conv2d(config.channels, config.channels, 1)
        self.third = nn.ConvTranspose2d(config.channels, 3, LAST_KERNEL_PX, padding=LAST_KERNEL_PX - 1)
        for layer in (self.first, self.second, self.third):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        if config.negative_residual:
            nn.init.zeros_(self.third.weight)

    def forward(self, rainy: Tensor) -> Tensor:
        base = guided_filter(rainy, self.config.filter_radius_px, self.config.filter_eps)
        # 512 channels at full resolution are most of the memory: tanh takes the place of what it is applied to.
        features = self.first(mirrored(rainy - base, MARGIN_PX)).tanh_()  # (N, C, H + 7, W + 7)
        unchanged = rainy if self.config.negative_residual else base
        return unchanged + self.third(self.second(features).tanh_())


def guided_filter(picture: Tensor, radius_px: int, eps: float) -> Tensor:
    """A picture smoothed where it varies little, every channel guided by itself, (N, C, H, W) -> same.

    q = mean(a) p + mean(b);  a = var(p) / (var(p) + eps), b = (1 - a) mean(p); means and variances over windows of
    2 radius + 1 px a side, cut off at the border. Source: He, Sun & Tang (2013), IEEE Trans. Pattern Anal. Mach.
    Intell. 35(6), doi:10.1109/TPAMI.2012.213.
    """
    mean = window_mean(picture, radius_px)
    variance = window_mean(picture.square(), radius_px) - mean.square()
    slope = variance / (variance + eps)
    offset = (1 - slope) * mean
    return window_mean(slope, radius_px) * picture + window_mean(offset, radius_px)


def window_mean(picture: Tensor, radius_px: int) -> Tensor:
    """Mean over the window around every pixel, as far as it lies within the picture; rows first, then columns."""
    side = 2 * radius_px + 1
    rows = F.avg_pool2d(picture, (side, 1), stride=1, padding=(radius_px, 0), count_include_pad=False)
    return F.avg_pool2d(rows, (1, side), stride=1, padding=(0, radius_px), count_include_pad=False)


def mirrored(picture: Tensor, margin_px: int) -> Tensor:
    """A picture with a mirror at each border, which repeats the outermost pixel: (N, C, H, W), `margin_px` wider.

    ... 2 1 0 | 0 1 2 3 | 3 2 1 ...: again and again where the picture is narrower than its margin.
    """
    for dim in (-2, -1):
        size = picture.shape[dim]
        step = torch.arange(-margin_px, size + margin_px, device=picture.device) % (2 * size)
        picture = picture.index_select(dim, torch.minimum(step, 2 * size - 1 - step))
    return picture
