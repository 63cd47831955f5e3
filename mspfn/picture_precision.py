"""The layers that read and write the picture itself in float32, where all others work in bfloat16.

bfloat16 has 8 significant bits. Rounding a picture to them on its way in, and the rain on its way out, costs more than
everything between: an mspfn-published of 900 steps lost 0.056 dB to bfloat16 on three pairs of Rain100H, and 0.017 dB
with these layers in float32, for some 5 % more time (benchmarks/derain_speed.py).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from mspfn.twin import twin_of

PICTURE_CHANNELS = 3


def with_picture_layers_in_float32(network: nn.Module) -> nn.Module:
    """A twin of `network`, sharing its weights, whose first and last convolutions do without autocast."""
    config = getattr(network, "config", None)
    channels = {PICTURE_CHANNELS, getattr(config, "picture_channels", PICTURE_CHANNELS)}

    def exchange(module: nn.Module) -> nn.Module | None:
        reads_or_writes = isinstance(module, nn.Conv2d) and channels & {module.in_channels, module.out_channels}
        return InFloat32(module) if reads_or_writes else None

    return twin_of(network, exchange)[0]


class InFloat32(nn.Module):
    """A layer that works in float32 whatever autocast says; what follows it may round its result."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            result: Tensor = self.layer(x.float())
        return result
