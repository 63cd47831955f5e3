"""The multi-scale progressive fusion network, MSPFN.

Source: Jiang et al., "Multi-Scale Progressive Fusion Network for Single Image Deraining", CVPR 2020, arXiv:2003.10985,
and its authors' TensorFlow code, which this follows to the last weight (tests/training/test_mspfn_reference.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mspfn.networks.blocks import ConvPReLU, FineFusionBlock, LSTMCell, Upscale
from mspfn.networks.pyramid import PYRAMIDS, Pyramid, pad_by_reflection
from rainsynth.checks import InputError, check_choice, check_count

# Resolutions of the pyramid, and the order of MSPFNConfig.attention_units and .lstm_channels.
LEVELS = ("full_size", "half_size", "quarter_size")
PICTURE_MULTIPLE_PX = 4  # two halvings of the picture must come out even
PICTURE_CHANNELS = 3
UNSHUFFLES = (1, 2, 4)


@dataclass(frozen=True, slots=True, kw_only=True)
class MSPFNConfig:
    """The size of an MSPFN. Defaults: the published network without the weights that its output never sees.

    fine_fusion_units   how often the three resolutions refine each other (M in the paper)
    channels            feature channels at every resolution; multiple of 4 (32 and up suit bfloat16 hardware best)
    attention_units     channel attention units (N) of each fine-fusion block at full, half and quarter resolution
    lstm_channels       hidden channels of the ConvLSTM at full, half and quarter resolution; None: four, two and one
                        times `channels`, as in the authors' code
    recurrent_steps     steps that each ConvLSTM takes. 1 as in the authors' code, where nothing recurs; from 2 on it is
                        the "recurrent calculation" that the paper names, here over the same features at every step
    dead_weights        keep the ConvLSTM weights that never reach the output of one step, to match published parameter
                        counts; from two steps on these weights are alive, and always there
    pyramid             "box": means over 2x2 and 4x4 pixels, as in the authors' code; "gaussian": halved once and twice
                        under Gaussian kernels, as the paper says; the kernel is that of `gaussian_half`
    unshuffle           the network sees each square of this many pixels a side as one pixel with more channels, and its
                        rain is put back in order at the end: 4 (16) times less work for 2 (4). 1 as published
    refine_units        residual units at full resolution, on half the channels, that correct the rain once it is back
                        in order: what was made of squares of pixels is seen pixel by pixel. 0 as published
    zero_output         start with the last convolution at zero: an untrained network returns its input
    """

    fine_fusion_units: int = 17
    channels: int = 64
    attention_units: tuple[int, int, int] = (1, 1, 1)
    lstm_channels: tuple[int, int, int] | None = None
    recurrent_steps: int = 1
    dead_weights: bool = False
    pyramid: str = "box"
    unshuffle: int = 1
    refine_units: int = 0
    zero_output: bool = True

    def __post_init__(self) -> None:
        # YAML and JSON have lists only.
        object.__setattr__(self, "attention_units", tuple(self.attention_units))
        if self.lstm_channels is not None:
            object.__setattr__(self, "lstm_channels", tuple(self.lstm_channels))
            check_levels(self.lstm_channels, 1, 4096, "MSPFNConfig.lstm_channels")
        check_levels(self.attention_units, 1, 20, "MSPFNConfig.attention_units")
        check_count(self.fine_fusion_units, 1, 100, "MSPFNConfig.fine_fusion_units")
        check_count(self.channels, 4, 1024, "MSPFNConfig.channels")
        if self.channels % 4:
            raise InputError(
                f"MSPFNConfig.channels must be a multiple of 4, got {self.channels}. "
                "Attention units work at a quarter of the channels."
            )
        check_count(self.recurrent_steps, 1, 100, "MSPFNConfig.recurrent_steps")
        if self.dead_weights and self.recurrent_steps > 1:
            raise InputError(
                f"MSPFNConfig.dead_weights must be false with recurrent_steps {self.recurrent_steps}, got true. "
                "From two steps on these weights are alive, and always there."
            )
        check_choice(self.pyramid, tuple(PYRAMIDS), "MSPFNConfig.pyramid")
        if self.unshuffle not in UNSHUFFLES:
            raise InputError(f"MSPFNConfig.unshuffle must be 1, 2 or 4, got {self.unshuffle!r}.")
        check_count(self.refine_units, 0, 100, "MSPFNConfig.refine_units")
        if self.refine_units and self.channels % (2 * self.unshuffle**2):
            raise InputError(
                f"MSPFNConfig.channels must be a multiple of {2 * self.unshuffle**2} with refine_units and unshuffle "
                f"{self.unshuffle}, got {self.channels}. Half of them are put back in order beside the rain."
            )

    @property
    def hidden_channels(self) -> tuple[int, int, int]:
        """Hidden channels of the ConvLSTM at full, half and quarter resolution."""
        return self.lstm_channels or (4 * self.channels, 2 * self.channels, self.channels)

    @property
    def picture_channels(self) -> int:
        """Channels of the picture as the network sees it: red, green and blue of every pixel of a square."""
        return PICTURE_CHANNELS * self.unshuffle**2


def check_levels(counts: Sequence[int], low: int, high: int, name: str) -> None:
    """Raise InputError unless `counts` are three whole numbers in [low, high], one per resolution."""
    if len(counts) != len(LEVELS):
        raise InputError(f"{name} must be three counts, for full, half and quarter resolution, got {counts}.")
    for level, count in zip(LEVELS, counts, strict=True):
        check_count(count, low, high, f"{name} of {level}")


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
    # 551,936 weights. At 640x360 it takes an eighth of the time of tiny (benchmarks/derain_speed.py --only realtime).
    "realtime": MSPFNConfig(channels=32, fine_fusion_units=2, lstm_channels=(32, 32, 32), unshuffle=2),
}


class MSPFN(nn.Module):
    """Coarse fusion, M times fine fusion, reconstruction of the rain; rainy -> derained, (N, 3, H, W) sRGB in [0, 1].

    Any height and width from 1 up. The result is not clipped. Inside, pictures lie in [-1, 1] as in the paper.
    """

    def __init__(self, config: MSPFNConfig) -> None:
        super().__init__()
        self.config = config
        self.coarse_fusion = CoarseFusion(config)
        self.fine_fusion = nn.ModuleList(
            FineFusionUnit(config.channels, config.attention_units) for _ in range(config.fine_fusion_units)
        )
        self.reconstruction = Reconstruction(config.channels, config.picture_channels)
        self.refinement = Refinement(config) if config.refine_units else None
        self.apply(xavier_)
        if config.zero_output:
            nn.init.zeros_(self.reconstruction.rain.weight)
        if self.refinement is not None:
            nn.init.zeros_(self.refinement.correction.weight)

    @property
    def picture_multiple_px(self) -> int:
        """What heights and widths are padded to a multiple of."""
        return PICTURE_MULTIPLE_PX * self.config.unshuffle

    def forward(self, rainy: Tensor) -> Tensor:
        height, width = rainy.shape[-2:]
        rain = self.rain(pad_by_reflection(2 * rainy - 1, self.picture_multiple_px))
        return rainy - rain[..., :height, :width] / 2

    def rain(self, picture: Tensor) -> Tensor:
        """R of the paper, to be taken off a picture in [-1, 1]: (N, 3, H, W) -> same.

        H and W are multiples of `picture_multiple_px`.
        """
        coarse = self.coarse_fusion(F.pixel_unshuffle(picture, self.config.unshuffle))
        fine = coarse
        for unit in self.fine_fusion:
            fine = unit(*fine)
        if self.refinement is None:
            return F.pixel_shuffle(self.reconstruction(fine, coarse), self.config.unshuffle)
        features = self.reconstruction.features(fine, coarse)
        rain, features = (
            F.pixel_shuffle(x, self.config.unshuffle) for x in (self.reconstruction.rain(features), features)
        )
        return rain + self.refinement(picture, rain, features)


class CoarseFusion(nn.Module):
    """Features of the picture's pyramid, each level fused with the coarser ones, (N, 3, H, W) -> pyramid C. CFM.

    C4 = fuse4(f4), C2 = fuse2(f2, U(C4)), C1 = fuse1(f1, U(C2), U(U(C4))).
    """

    def __init__(self, config: MSPFNConfig) -> None:
        super().__init__()
        channels = config.channels
        self.pyramid = PYRAMIDS[config.pyramid]
        self.features = nn.ModuleDict({level: ConvPReLU(config.picture_channels, channels) for level in LEVELS})
        self.fuse = nn.ModuleDict(
            {
                level: CoarseFusionLevel(config, hidden)
                for level, hidden in zip(LEVELS, config.hidden_channels, strict=True)
            }
        )
        self.quarter_to_half = Upscale(channels, channels)
        self.quarter_to_full = Upscale(channels, channels)  # acts on the output of quarter_to_half
        self.half_to_full = Upscale(channels, channels)

    def forward(self, picture: Tensor) -> Pyramid:
        full, half, quarter = (
            self.features[level](scaled) for level, scaled in zip(LEVELS, self.pyramid(picture), strict=True)
        )
        coarse4 = self.fuse["quarter_size"](quarter)
        from_quarter = self.quarter_to_half(coarse4)
        coarse2 = self.fuse["half_size"](half, from_quarter)
        coarse1 = self.fuse["full_size"](full, self.half_to_full(coarse2) + self.quarter_to_full(from_quarter))
        return coarse1, coarse2, coarse4


class CoarseFusionLevel(nn.Module):
    """One level of the coarse fusion, W(LSTM(V(f + coarser))) + f, (N, C, H, W) -> same."""

    def __init__(self, config: MSPFNConfig, hidden_channels: int) -> None:
        super().__init__()
        channels = config.channels
        self.narrow = ConvPReLU(channels, channels // 2)  # V
        self.lstm = LSTMCell(
            channels // 2,
            hidden_channels,
            dead_weights=config.dead_weights,
            recurrent_steps=config.recurrent_steps,
        )
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
    """The rain of a picture from both pyramids, -> (N, Cpicture, H, W) in units of the [-1, 1] picture. RM.

    r_k = conv [z_k, C_k];  u = U([U(r4), r2]);  R = conv(conv [r1, u]).
    """

    def __init__(self, channels: int, picture_channels: int) -> None:
        super().__init__()
        self.merge = nn.ModuleDict({level: ConvPReLU(2 * channels, channels) for level in LEVELS})
        self.quarter_to_half = Upscale(channels, channels)
        self.half_to_full = Upscale(2 * channels, channels)
        self.narrow = ConvPReLU(2 * channels, channels // 2)
        self.rain = nn.Conv2d(channels // 2, picture_channels, 3, padding=1, bias=False)

    def forward(self, fine: Pyramid, coarse: Pyramid) -> Tensor:
        rain: Tensor = self.rain(self.features(fine, coarse))
        return rain

    def features(self, fine: Pyramid, coarse: Pyramid) -> Tensor:
        """What the last convolution makes the rain of, (N, C / 2, H, W)."""
        full, half, quarter = (
            self.merge[level](torch.cat(pair, dim=1)) for level, *pair in zip(LEVELS, fine, coarse, strict=True)
        )
        coarser = self.half_to_full(torch.cat((self.quarter_to_half(quarter), half), dim=1))
        narrow: Tensor = self.narrow(torch.cat((full, coarser), dim=1))
        return narrow


class Refinement(nn.Module):
    """What is added to the rain at full resolution, from picture, rain and the rain's features there; not in the paper.

    x = conv [picture, rain, features];  n times x += conv(conv x);  correction = conv x, (N, 3, H, W). It is zero in an
    untrained network.
    """

    def __init__(self, config: MSPFNConfig) -> None:
        super().__init__()
        channels = config.channels // 2
        self.read = ConvPReLU(2 * PICTURE_CHANNELS + channels // config.unshuffle**2, channels)
        self.units = nn.ModuleList(
            nn.Sequential(ConvPReLU(channels, channels), nn.Conv2d(channels, channels, 3, padding=1, bias=False))
            for _ in range(config.refine_units)
        )
        self.correction = nn.Conv2d(channels, PICTURE_CHANNELS, 3, padding=1, bias=False)

    def forward(self, picture: Tensor, rain: Tensor, features: Tensor) -> Tensor:
        x = self.read(torch.cat((picture, rain, features), dim=1))
        for unit in self.units:
            x = x + unit(x)
        correction: Tensor = self.correction(x)
        return correction


def xavier_(module: nn.Module) -> None:
    """Glorot-uniform kernels and zero biases, as in the authors' code (there, LSTM kernels are smaller still: 1e-3)."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | LSTMCell):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
