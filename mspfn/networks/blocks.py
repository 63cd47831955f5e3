"""Building blocks of MSPFN, each under its name in the paper (Jiang et al., CVPR 2020, arXiv:2003.10985).

No convolution has a bias except in the attention unit and the LSTM cell, and nothing is normalised. Borders are padded
with zeros exactly where TensorFlow's SAME rule puts them, so that published weights give the published pictures.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

LIVE_GATES = (0, 1, 3)  # of (input, new, forget, output): the forget gate multiplies a state that is always zero
START_SLOPE = 0.1  # of every PReLU. The authors start at 0: there a mean absolute error on light rain can turn all
# channels of the last layers off for good, which leaves the picture as it was (seen with 16 channels after 400 steps).
GATE_GROUP_CHANNELS = 64  # hidden channels whose gates are held in memory at once


class PReLU(nn.PReLU):
    """max(x, 0) + slope min(x, 0) with a slope per channel, (N, C, H, W) -> same.

    Written out because the library's kernel is slow on processors: in bfloat16 and channels_last, (8, 16, 64, 64)
    forward and backward takes it 7.6 ms, this 1.2 ms (one core of an AMD EPYC 9004, PyTorch 2.13).
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, init=START_SLOPE)

    def forward(self, x: Tensor) -> Tensor:
        positive = torch.relu(x)
        return positive + self.weight.to(x.dtype).view(-1, 1, 1) * (x - positive)


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
        return self.activation(self.conv(F.pad(x, (odd_columns, 1, odd_rows, 1))))


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
        full = self.conv(x)  # (N, Cout, 2 h + 1, 2 w + 1)
        return self.activation(full[..., top : top + height, left : left + width])


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
        self.gate = nn.Sequential(
            nn.Conv2d(channels, channels // 4, 1),
            PReLU(channels // 4),
            nn.Conv2d(channels // 4, channels, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        features = self.features(x)
        return x + self.gate(features.mean(dim=(2, 3), keepdim=True)) * features


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
    """One call of a convolutional LSTM from a zero state, (N, Cin, H, W) -> (N, hidden, H, W).

    h = sigmoid(o) tanh(sigmoid(i) tanh(j)), gates i, j, o = 3x3 convolutions of the input with biases. The published
    network calls each cell once, so the part of every kernel that reads the hidden state, and the whole forget gate,
    only ever meet zeros. `dead_weights` keeps them, to match published parameter counts; the output is the same.
    Gates lie in the order input (i), new (j), [forget], output (o).
    """

    def __init__(self, in_channels: int, hidden_channels: int, *, dead_weights: bool) -> None:
        super().__init__()
        self.in_channels, self.dead_weights = in_channels, dead_weights
        gates, inputs = (4, in_channels + hidden_channels) if dead_weights else (3, in_channels)
        self.weight = nn.Parameter(torch.empty(gates * hidden_channels, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(gates * hidden_channels))

    def forward(self, x: Tensor) -> Tensor:
        weight = live_kernel(self.weight, self.in_channels) if self.dead_weights else self.weight
        bias = live_bias(self.bias) if self.dead_weights else self.bias
        kernels, biases = weight.unflatten(0, (3, -1)), bias.unflatten(0, (3, -1))
        # A few channels at a time: at full resolution the gates of all are the largest tensors of the network.
        groups = zip(kernels.split(GATE_GROUP_CHANNELS, dim=1), biases.split(GATE_GROUP_CHANNELS, dim=1), strict=True)
        return torch.cat([hidden_state(x, *group) for group in groups], dim=1)


def hidden_state(x: Tensor, kernels: Tensor, biases: Tensor) -> Tensor:
    """h = sigmoid(o) tanh(sigmoid(i) tanh(j)), kernels (3, C, Cin, 3, 3) and biases (3, C) of the gates i, j, o."""
    input_gate, new, output_gate = (
        F.conv2d(x, kernel, bias, padding=1) for kernel, bias in zip(kernels, biases, strict=True)
    )
    return torch.sigmoid(output_gate) * torch.tanh(torch.sigmoid(input_gate) * torch.tanh(new))


def live_kernel(weight: Tensor, in_channels: int) -> Tensor:
    """The part of an LSTM kernel that the output depends on: without forget gate and hidden-state inputs.

    (4 hidden, Cin + hidden, 3, 3) -> (3 hidden, Cin, 3, 3).
    """
    return weight.unflatten(0, (4, -1))[list(LIVE_GATES), :, :in_channels].flatten(0, 1)


def live_bias(bias: Tensor) -> Tensor:
    """The biases of an LSTM cell without the forget gate, (4 hidden) -> (3 hidden)."""
    return bias.unflatten(0, (4, -1))[list(LIVE_GATES)].flatten()
