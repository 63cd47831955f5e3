"""Building blocks of MSPFN, each under its name in the paper (Jiang et al., CVPR 2020, arXiv:2003.10985).

No convolution has a bias except in the attention unit and the LSTM cell, and nothing is normalised. Borders are padded
with zeros exactly where TensorFlow's SAME rule puts them, so that published weights give the published pictures.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LIVE_GATES = (0, 1, 3)  # of (input, new, forget, output): at the first step the forget gate multiplies zeros
FORGET_BIAS = 1.0  # added to the forget gate before its sigmoid, as in the authors' cell: an untrained cell remembers
START_SLOPE = 0.1  # of every PReLU. The authors start at 0: there a mean absolute error on light rain can turn all
# channels of the last layers off for good, which leaves the picture as it was (seen with 16 channels after 400 steps).
GATE_GROUP_CHANNELS = 64  # hidden channels whose gates are held in memory at once

# A strided convolution in bfloat16 that makes a single column, or whose gradient is one, is wrong on processors with
# AMX, not even finite (oneDNN of PyTorch 2.13, from 5 rows on): zeros are put beside it, what they bring is cut off.
SPARE_COLUMN, SPARE_COLUMNS = (0, 1), (0, 2)  # what Upscale's convolution reads more, and Downscale's


class PReLU(nn.PReLU):
    """max(x, 0) + slope min(x, 0) with a slope per channel, (N, C, H, W) -> same.

    The library's kernel is the quickest for its value and slow for its gradient, so training has it written out, to
    the same numbers. In bfloat16 and channels_last, on one core of an AMD EPYC 9004 with PyTorch 2.13: value alone of
    (1, 64, 320, 480) 3.4 ms, written out 10 ms; with gradient of (8, 16, 64, 64) 7.6 ms, written out 1.2 ms.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, init=START_SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        slope = self.weight.to(x.dtype)
        if not torch.is_grad_enabled():
            return F.prelu(x, slope)
        positive = torch.relu(x)
        return positive + slope.view(-1, 1, 1) * (x - positive)


class ConvPReLU(nn.Sequential):
    """3x3 convolution and PReLU, (N, Cin, H, W) -> (N, Cout, H, W)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=False)
        super().__init__(OrderedDict(conv=conv, activation=PReLU(out_channels)))


class Downscale(nn.Module):
    """Stride-2 3x3 convolution and PReLU, (N, C, H, W) -> (N, C, ceil(H / 2), ceil(W / 2))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2, bias=False)
        self.activation = PReLU(channels)

    def forward(self, x: Tensor) -> Tensor:
        # SAME, stride 2: an even size gets one zero after its end, an odd size one zero on either side.
        odd_rows, odd_columns = x.shape[-2] % 2, x.shape[-1] % 2
        padded = F.pad(x, (odd_columns, 1, odd_rows, 1))
        if x.shape[-1] > 2:
            return self.activation(self.conv(padded))
        return self.activation(self.conv(F.pad(padded, SPARE_COLUMNS))[..., :1])


class Upscale(nn.Module):
    """Transposed stride-2 3x3 convolution and PReLU, (N, Cin, h, w) -> (N, Cout, H, W). U in the paper.

    The output is twice the input unless `size` = (H, W) asks for an odd number, 2 h - 1, where `Downscale` met one.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(in_channels, out_channels, 3, stride=2, bias=False)
        self.activation = PReLU(out_channels)

    def forward(self, x: Tensor, size: tuple[int, int] | None = None) -> Tensor:
        height, width = size or (2 * x.shape[-2], 2 * x.shape[-1])
        top, left = height % 2, width % 2  # the zero that Downscale put before an odd size is cut off again
        seen = x if x.shape[-1] > 1 else F.pad(x, SPARE_COLUMN)
        full = self.conv(seen)  # (N, Cout, 2 h + 1, 2 w + 1), or two columns more
        return self.activation(full[..., top : top + height, left : left + width])


class GlobalMean(nn.Module):
    """Mean over the whole picture, (N, C, H, W) -> (N, C, 1, 1); mspfn.local_mean swaps it for a mean over a window."""

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3), keepdim=True)


class ChannelAttentionUnit(nn.Module):
    """Residual channel attention, y = x + s(f(x)) f(x), (N, C, H, W) -> same. CAU in the paper.

    s is the mean over the whole picture followed by two 1x1 convolutions, C -> C / 4 -> C, and a sigmoid: (N, C, 1, 1).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            PReLU(channels),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.pool = GlobalMean()
        self.gate = nn.Sequential(
            nn.Conv2d(channels, channels // 4, 1),
            PReLU(channels // 4),
            nn.Conv2d(channels // 4, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(x)
        return torch.addcmul(x, self.gate(self.pool(features)), features)


class FineFusionBlock(nn.Module):
    """What a fine-fusion unit adds to the features of one resolution, (N, C, H, W) -> same. Called B below.

    B(x) = Upscale([d, e]), d = Downscale(x), e = the attention units applied to d.
    """

    def __init__(self, channels: int, attention_units: int) -> None:
        super().__init__()
        self.down = Downscale(channels)
        self.attention = nn.Sequential(*(ChannelAttentionUnit(channels) for _ in range(attention_units)))
        self.up = Upscale(2 * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        down = self.down(x)
        return self.up(torch.cat((down, self.attention(down)), dim=1), size=(x.shape[-2], x.shape[-1]))


class LSTMCell(nn.Module):
    """A convolutional LSTM over `recurrent_steps` steps from a zero state, (N, Cin, H, W) -> (N, hidden, H, W).

    c = sigmoid(f + 1) c + sigmoid(i) tanh(j),  h = sigmoid(o) tanh(c); gates i, j, f, o = 3x3 convolutions of [x, h]
    with biases. Every step reads the same input x and the hidden state h of the step before; the output is the last h.

    One step is what the published code takes. There h and c only ever meet as zeros, so the part of every kernel that
    reads h, and the whole forget gate, are dead: they are kept with `dead_weights`, to match published parameter
    counts, and left out otherwise; the output is the same. From two steps on they are alive and always there.
    Gates lie in the order input (i), new (j), [forget (f)], output (o).
    """

    def __init__(self, in_channels: int, hidden_channels: int, *, dead_weights: bool, recurrent_steps: int = 1) -> None:
        super().__init__()
        self.in_channels, self.recurrent_steps = in_channels, recurrent_steps
        self.all_weights = dead_weights or recurrent_steps > 1
        gates, inputs = (4, in_channels + hidden_channels) if self.all_weights else (3, in_channels)
        self.weight = nn.Parameter(torch.empty(gates * hidden_channels, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(gates * hidden_channels))

    def forward(self, x: Tensor) -> Tensor:
        weight = live_kernel(self.weight, self.in_channels) if self.all_weights else self.weight
        bias = live_bias(self.bias) if self.all_weights else self.bias
        if self.recurrent_steps == 1:
            return torch.cat([lstm_step(x, *group)[0] for group in channel_groups(weight, bias, gates=3)], dim=1)
        states = [lstm_step(x, *group) for group in channel_groups(weight, bias, gates=3)]
        for _ in range(self.recurrent_steps - 1):
            inputs = torch.cat((x, *(hidden for hidden, _ in states)), dim=1)
            groups = channel_groups(self.weight, self.bias, gates=4)
            states = [lstm_step(inputs, *group, memory) for group, (_, memory) in zip(groups, states, strict=True)]
        return torch.cat([hidden for hidden, _ in states], dim=1)


def channel_groups(weight: Tensor, bias: Tensor, *, gates: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Kernels (gates, C, inputs, 3, 3) and biases (gates, C) of a few hidden channels at a time.

    At full resolution the gates of all channels are the largest tensors of the network (benchmarks/mspfn_memory.py).
    """
    kernels, biases = weight.unflatten(0, (gates, -1)), bias.unflatten(0, (gates, -1))
    return zip(kernels.split(GATE_GROUP_CHANNELS, dim=1), biases.split(GATE_GROUP_CHANNELS, dim=1), strict=True)


def lstm_step(x: Tensor, kernels: Tensor, biases: Tensor, memory: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Hidden state h and memory c of some channels after a step that reads x = [input, h]; see LSTMCell.

    Without `memory` it is the first step: gates i, j, o. With it: i, j, f, o.
    """

    def gate(index: int) -> Tensor:
        return F.conv2d(x, kernels[index], biases[index], padding=1)

    update = gate(0).sigmoid_() * gate(1).tanh_()
    if memory is not None:
        update = update + memory * torch.sigmoid(gate(2) + FORGET_BIAS)
    return gate(-1).sigmoid_() * torch.tanh(update), update


def live_kernel(weight: Tensor, in_channels: int) -> Tensor:
    """The part of an LSTM kernel that the output depends on: without forget gate and hidden-state inputs.

    (4 hidden, Cin + hidden, 3, 3) -> (3 hidden, Cin, 3, 3).
    """
    return weight.unflatten(0, (4, -1))[list(LIVE_GATES), :, :in_channels].flatten(0, 1)


def live_bias(bias: Tensor) -> Tensor:
    """The biases of an LSTM cell without the forget gate, (4 hidden) -> (3 hidden)."""
    return bias.unflatten(0, (4, -1))[list(LIVE_GATES)].flatten()
