"""The multi-scale progressive fusion network, MSPFN.

Source: Jiang et al., "Multi-Scale Progressive Fusion Network for Single Image Deraining", CVPR 2020, arXiv:2003.10985,
and its authors' TensorFlow code, which this follows to the last weight (tests/training/test_mspfn_reference.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mspfn.networks.blocks import ConvPReLU, FineFusionBlock, LSTMCell, Upscale
from rainsynth.checks import InputError, check_count

LEVELS = (
    "full_size",
    "half_size",
    "quarter_size",
)  # resolutions of the pyramid, and the order of MSPFNConfig.attention_units
PICTURE_MULTIPLE_PX = 4  # two halvings of the picture must come out even


@dataclass(frozen=True, slots=True, kw_only=True)
class MSPFNConfig:
    """The size of an MSPFN. Defaults: the published network without the weights that its output never sees.

    fine_fusion_units   how often the three resolutions refine each other (M in the paper)
    channels            feature channels at every resolution; multiple of 4 (32 and up suit bfloat16 hardware best)
    attention_units     channel attention units (N) of each fine-fusion block at full, half and quarter resolution
    dead_weights        keep the ConvLSTM weights that never reach the output, to match published parameter counts
    zero_output         start with the last convolution at zero: an untrained network returns its input
    """

    fine_fusion_units: int = 17
    channels: int = 64
    attention_units: tuple[int, int, int] = (1, 1, 1)
    dead_weights: bool = False
    zero_output: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "attention_units", tuple(self.attention_units))  # YAML and JSON have lists only
        check_count(self.fine_fusion_units, 1, 100, "MSPFNConfig.fine_fusion_units")
        check_count(self.channels, 4, 1024, "MSPFNConfig.channels")
        if self.channels % 4:
            raise InputError(
                f"MSPFNConfig.channels must be a multiple of 4, got {self.channels}. "
                "Attention units work at a quarter of the channels."
            )
        if len(self.attention_units) != len(LEVELS):
            raise InputError(
                "MSPFNConfig.attention_units must be three counts, for full, half and quarter resolution, "
                f"got {self.attention_units}."
            )
        for level, count in zip(LEVELS, self.attention_units, strict=True):
            check_count(count, 1, 20, f"MSPFNConfig.attention_units of {level}")


SIZES = {
    "published": MSPFNConfig(dead_weights=True),  # 15,823,424 weights
    "published-lean": MSPFNConfig(),  # 12,597,376
    # The authors' training code, the "21 M" of later tables: 20,995,776, or 17,769,728 without dead weights.
    "training-graph": MSPFNConfig(attention_units=(3, 3, 1), dead_weights=True),
    "training-graph-lean": MSPFNConfig(attention_units=(3, 3, 1)),
    "base": MSPFNConfig(channels=32),  # 3,157,568
    "small": MSPFNConfig(channels=32, fine_fusion_units=8),  # 1,644,272
    "tiny": MSPFNConfig(channels=32, fine_fusion_units=4),  # 971,696
    "demo": MSPFNConfig(channels=16, fine_fusion_units=4),  # 244,696
}


class MSPFN(nn.Module):
    """Coarse fusion, M times fine fusion, reconstruction of the rain; rainy -> derained, (N, 3, H, W) sRGB in [0, 1].

    Any height and width from 1 up. The result is not clipped. Inside, pictures lie in [-1, 1] as in the paper.
    """

    def __init__(self, config: MSPFNConfig) -> None:
        super().__init__()
        self.config = config
        self.coarse_fusion = CoarseFusion(config.channels, dead_weights=config.dead_weights)
        self.fine_fusion = nn.ModuleList(
            FineFusionUnit(config.channels, config.attention_units) for _ in range(config.fine_fusion_units)
        )
        self.reconstruction = Reconstruction(config.channels)
        self.apply(xavier_)
        if config.zero_output:
            nn.init.zeros_(self.reconstruction.rain.weight)

    def forward(self, rainy: Tensor) -> Tensor:
        height, width = rainy.shape[-2:]
        rain = self.rain(pad_by_reflection(2 * rainy - 1, PICTURE_MULTIPLE_PX))
        return rainy - rain[..., :height, :width] / 2

    def rain(self, picture: Tensor) -> Tensor:
        """R of the paper, to be taken off a picture in [-1, 1]: (N, 3, H, W) -> same, H and W multiples of 4."""
        coarse = self.coarse_fusion(picture)
        fine = coarse
        for unit in self.fine_fusion:
            fine = unit(*fine)
        return self.reconstruction(fine, coarse)


Pyramid = tuple[Tensor, Tensor, Tensor]  # features (N, C, H, W), (N, C, H / 2, W / 2), (N, C, H / 4, W / 4)


class CoarseFusion(nn.Module):
    """Features of the picture's pyramid, each level fused with the coarser ones, (N, 3, H, W) -> pyramid C. CFM.

    C4 = fuse4(f4), C2 = fuse2(f2, U(C4)), C1 = fuse1(f1, U(C2), U(U(C4))); hidden widths of the LSTM cells C, 2 C, 4 C.
    """

    def __init__(self, channels: int, *, dead_weights: bool) -> None:
        super().__init__()
        self.features = nn.ModuleDict({level: ConvPReLU(3, channels) for level in LEVELS})
        hidden = {"full_size": 4 * channels, "half_size": 2 * channels, "quarter_size": channels}
        self.fuse = nn.ModuleDict({level: CoarseFusionLevel(channels, hidden[level], dead_weights) for level in LEVELS})
        self.quarter_to_half = Upscale(channels, channels)
        self.quarter_to_full = Upscale(channels, channels)  # acts on the output of quarter_to_half
        self.half_to_full = Upscale(channels, channels)

    def forward(self, picture: Tensor) -> Pyramid:
        full = self.features["full_size"](picture)
        half = self.features["half_size"](F.avg_pool2d(picture, 2))
        quarter = self.features["quarter_size"](F.avg_pool2d(picture, 4))
        coarse4 = self.fuse["quarter_size"](quarter)
        from_quarter = self.quarter_to_half(coarse4)
        coarse2 = self.fuse["half_size"](half, from_quarter)
        coarse1 = self.fuse["full_size"](full, self.half_to_full(coarse2) + self.quarter_to_full(from_quarter))
        return coarse1, coarse2, coarse4


class CoarseFusionLevel(nn.Module):
    """One level of the coarse fusion, W(LSTM(V(f + coarser))) + f, (N, C, H, W) -> same."""

    def __init__(self, channels: int, hidden_channels: int, dead_weights: bool) -> None:
        super().__init__()
        self.narrow = ConvPReLU(channels, channels // 2)  # V
        self.lstm = LSTMCell(channels // 2, hidden_channels, dead_weights=dead_weights)
        self.widen = ConvPReLU(hidden_channels, channels)  # W

    def forward(self, features: Tensor, coarser: Tensor | None = None) -> Tensor:
        fused = features if coarser is None else features + coarser
        return self.widen(self.lstm(self.narrow(fused))) + features


class FineFusionUnit(nn.Module):
    """One refinement of the pyramid from low to high resolution, pyramid z -> pyramid z. A unit of the FFM.

    z4 += B(z4);  t = U(z4);  z2 += B(z2 + t);  z1 += B(z1 + U(t) + U(z2)).
    """

    def __init__(self, channels: int, attention_units: tuple[int, int, int]) -> None:
        super().__init__()
        self.blocks = nn.ModuleDict(
            {level: FineFusionBlock(channels, count) for level, count in zip(LEVELS, attention_units, strict=True)}
        )
        self.quarter_to_half = Upscale(channels, channels)
        self.quarter_to_full = Upscale(channels, channels)  # acts on the output of quarter_to_half
        self.half_to_full = Upscale(channels, channels)

    def forward(self, full: Tensor, half: Tensor, quarter: Tensor) -> Pyramid:
        quarter = quarter + self.blocks["quarter_size"](quarter)
        from_quarter = self.quarter_to_half(quarter)
        half = half + self.blocks["half_size"](half + from_quarter)
        full = full + self.blocks["full_size"](full + self.quarter_to_full(from_quarter) + self.half_to_full(half))
        return full, half, quarter


class Reconstruction(nn.Module):
    """The rain of a picture from both pyramids, -> (N, 3, H, W) in units of the [-1, 1] picture. RM.

    r_k = conv [z_k, C_k];  u = U([U(r4), r2]);  R = conv(conv [r1, u]).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.merge = nn.ModuleDict({level: ConvPReLU(2 * channels, channels) for level in LEVELS})
        self.quarter_to_half = Upscale(channels, channels)
        self.half_to_full = Upscale(2 * channels, channels)
        self.narrow = ConvPReLU(2 * channels, channels // 2)
        self.rain = nn.Conv2d(channels // 2, 3, 3, padding=1, bias=False)

    def forward(self, fine: Pyramid, coarse: Pyramid) -> Tensor:
        full, half, quarter = (
            self.merge[level](torch.cat(pair, dim=1)) for level, *pair in zip(LEVELS, fine, coarse, strict=True)
        )
        coarser = self.half_to_full(torch.cat((self.quarter_to_half(quarter), half), dim=1))
        return self.rain(self.narrow(torch.cat((full, coarser), dim=1)))


def xavier_(module: nn.Module) -> None:
    """Glorot-uniform kernels and zero biases, as in the authors' code (there, LSTM kernels are smaller still: 1e-3)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | LSTMCell):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def pad_by_reflection(picture: Tensor, multiple_px: int) -> Tensor:
    """(N, C, H, W) grown at its end, as a mirror would, until H and W are multiples of `multiple_px`.

    A picture narrower than the padding is mirrored again and again; a single row or column is repeated.
    """
    for dim in (-2, -1):
        size = picture.shape[dim]
        if size % multiple_px:
            grown = torch.arange(-(-size // multiple_px) * multiple_px, device=picture.device)
            period = max(2 * (size - 1), 1)  # 0 1 2 3 2 1 | 0 1 2 3 2 1 | ... for four rows
            step = grown % period
            picture = picture.index_select(dim, torch.minimum(step, period - step))
    return picture
