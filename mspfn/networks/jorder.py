"""JORDER: where the rain is, how bright it is, and the picture without it, again and again.

Source: Yang et al., "Deep Joint Rain Detection and Removal from a Single Image", CVPR 2017, arXiv:1609.07769, whose
picture of rain is O = B + R S: background B, mask R, streaks S. The authors' released graph for CVPR is a part of that:
one dilation, 64 channels, 5 blocks, luma alone, 369,792 kernel weights. Width and depth here are that graph's; how many
convolutions make the mask, and that every recurrence has weights of its own and adds to the mask and streaks of the one
before, is taken from their code for the journal version (JORDER-E, github flyywh).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mspfn.networks.predictions import Predictions
from rainsynth.checks import InputError, check_count

MASK_DIVISOR = 8  # channels of the layer before the mask, as a share of the others: 64 -> 8 as in JORDER-E


@dataclass(frozen=True, slots=True, kw_only=True)
class JORDERConfig:
    """The size of a JORDER. Defaults: 2,235,998 weights, half of them in each recurrence.

    recurrences    how often detection and removal are run, each time on the last one's picture
    channels       feature channels, multiple of 8
    blocks         how often a recurrence refines its features
    dilations      of the parallel paths of a block; two 3x3 convolutions each see 5, 9 and 13 px with 1, 2 and 3
    """

    recurrences: int = 2
    channels: int = 64
    blocks: int = 5
    dilations: tuple[int, ...] = (1, 2, 3)

    def __post_init__(self) -> None:
        object.__setattr__(self, "dilations", tuple(self.dilations))  # YAML and JSON have lists only
        check_count(self.recurrences, 1, 100, "JORDERConfig.recurrences")
        check_count(self.channels, MASK_DIVISOR, 1024, "JORDERConfig.channels")
        if self.channels % MASK_DIVISOR:
            raise InputError(f"JORDERConfig.channels must be a multiple of {MASK_DIVISOR}, got {self.channels}.")
        check_count(self.blocks, 1, 100, "JORDERConfig.blocks")
        if not self.dilations:
            raise InputError("JORDERConfig.dilations must be at least one number, got ().")
        for dilation in self.dilations:
            check_count(dilation, 1, 100, "JORDERConfig.dilations")


class JORDER(nn.Module):
    """Recurrent joint detection and removal of rain; rainy -> derained, (N, 3, H, W) sRGB in [0, 1].

    B_0 = rainy;  B_t, R_t, S_t = T_t(B_t-1), t = 1, 2, ...;  derained = the last B. Any height and width from 1 up;
    the result is not clipped.
    """

    def __init__(self, config: JORDERConfig) -> None:
        super().__init__()
        self.config = config
        self.recurrences = nn.ModuleList(DetectionAndRemoval(config) for _ in range(config.recurrences))

    def forward(self, rainy: Tensor) -> Tensor:
        return self.predictions(rainy).derained

    def predictions(self, rainy: Tensor) -> Predictions:
        """The pictures of all recurrences, and the mask and the streaks of the rainy picture.

        A later recurrence sees a picture that has lost rain: what it finds is added to the mask's logits and to the
        streaks. The paper trains all three at once, |derained - clean|^2 + a |streaks - (rainy - veiled)|^2 + b times
        the cross-entropy of the mask, on every recurrence's picture.
        """
        stages, mask_logits, streaks = [rainy], torch.zeros_like(rainy[:, :1]), torch.zeros_like(rainy)
        for recurrence in self.recurrences:
            background, mask_logits, found = recurrence(stages[-1], mask_logits)
            stages.append(background)
            streaks = streaks + found
        return Predictions(derained=stages[-1], stages=tuple(stages[1:-1]), mask_logits=mask_logits, streaks=streaks)


class DetectionAndRemoval(nn.Module):
    """One recurrence T, in the paper's order: F, then R of F, then S of [F, R], then B of [F, R, S, O - R S].

    The picture O (N, 3, H, W) and the mask's logits so far (N, 1, H, W) -> B, logits, S. The paper's softmax over two
    classes is a sigmoid of their difference, R = sigmoid(logits). B = O + a convolution, as of a residual network.
    """

    def __init__(self, config: JORDERConfig) -> None:
        super().__init__()
        channels = config.channels
        self.features = ContextualizedDilatedNetwork(channels, config.blocks, config.dilations)
        self.mask = nn.Sequential(conv3x3(channels, channels // MASK_DIVISOR), conv3x3(channels // MASK_DIVISOR, 1))
        self.streaks = conv3x3(channels + 1, 3)
        self.background = conv3x3(channels + 1 + 3 + 3, 3)

    def forward(self, picture: Tensor, mask_logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        features = self.features(picture)
        mask_logits = mask_logits + self.mask(features)
        mask = torch.sigmoid(mask_logits)
        streaks = self.streaks(torch.cat((features, mask), dim=1))
        residual = self.background(torch.cat((features, mask, streaks, picture - mask * streaks), dim=1))
        return picture + residual, mask_logits, streaks


class ContextualizedDilatedNetwork(nn.Module):
    """Features of a picture, refined block by block, (N, 3, H, W) -> (N, C, H, W). F in the paper."""

    def __init__(self, channels: int, blocks: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.entrance = conv3x3(3, channels)
        self.blocks = nn.Sequential(*(ContextualizedDilatedBlock(channels, dilations) for _ in range(blocks)))

    def forward(self, picture: Tensor) -> Tensor:
        return self.blocks(F.relu(self.entrance(picture)))


class ContextualizedDilatedBlock(nn.Module):
    """One recurrence of the features, y = relu(x + sum over dilations of conv(relu(conv(x)))), (N, C, H, W) -> same."""

    def __init__(self, channels: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.paths = nn.ModuleList(
            nn.Sequential(conv3x3(channels, channels, dilation), nn.ReLU(), conv3x3(channels, channels, dilation))
            for dilation in dilations
        )

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + sum(path(x) for path in self.paths))


def conv3x3(in_channels: int, out_channels: int, dilation: int = 1) -> nn.Conv2d:
    """3x3 convolution with a bias that keeps height and width."""
    return nn.Conv2d(in_channels, out_channels, 3, padding=dilation, dilation=dilation)
