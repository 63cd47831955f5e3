"""PReNet, a small residual network applied to the picture again and again, and its relatives PRN and PReNet_r.

Source: Ren et al., "Progressive Image Deraining Networks: A Better and Simpler Baseline", CVPR 2019, arXiv:1901.09221,
and its authors' PyTorch code, whose weights give the published figures here (tests/training/test_prenet.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mspfn.networks.predictions import Predictions
from rainsynth.checks import check_count


@dataclass(frozen=True, slots=True, kw_only=True)
class PReNetConfig:
    """The size of a PReNet. Defaults: the published network, 168,963 weights.

    stages          how often the network is applied, each time to the rainy picture and the last stage's result (T)
    channels        feature channels
    blocks          residual blocks of a stage
    recurrent       carry features from stage to stage in a ConvLSTM; False: PRN, 95,107 weights
    shared_block    one residual block, applied `blocks` times; True: PReNet_r, 94,979 weights, or PRN_r, 21,123
    """

    stages: int = 6
    channels: int = 32
    blocks: int = 5
    recurrent: bool = True
    shared_block: bool = False

    def __post_init__(self) -> None:
        check_count(self.stages, 1, 100, "PReNetConfig.stages")
        check_count(self.channels, 1, 1024, "PReNetConfig.channels")
        check_count(self.blocks, 1, 100, "PReNetConfig.blocks")


class PReNet(nn.Module):
    """The same network over and over, each time nearer the clean picture; rainy -> derained, (N, 3, H, W) sRGB.

    x_0 = rainy;  x_t = rainy + f_out(f_res(LSTM(f_in([rainy, x_t-1])))), t = 1..T;  derained = x_T.
    f_in and f_out are 3x3 convolutions, the first with a ReLU; every stage has the same weights. Any height and width
    from 1 up; the result is not clipped.
    """

    def __init__(self, config: PReNetConfig) -> None:
        super().__init__()
        self.config = config
        channels, distinct_blocks = config.channels, 1 if config.shared_block else config.blocks
        self.features = nn.Conv2d(6, channels, 3, padding=1)  # f_in
        self.lstm = ConvLSTM(channels) if config.recurrent else None
        self.blocks = nn.ModuleList(ResBlock(channels) for _ in range(distinct_blocks))  # f_res
        self.output = nn.Conv2d(channels, 3, 3, padding=1)  # f_out

    def forward(self, rainy: Tensor) -> Tensor:
        return self.predictions(rainy).derained

    def predictions(self, rainy: Tensor) -> Predictions:
        """The pictures of all stages.

        The paper trains on the last one alone (negative SSIM, or MSE), and finds that a weighted sum over all stages,
        0.5 for the earlier ones and 1.5 for the last, helps no further.
        """
        stages, state = [rainy], None
        for _ in range(self.config.stages):
            features = F.relu(self.features(torch.cat((rainy, stages[-1]), dim=1)))
            if self.lstm is not None:
                state = self.lstm(features, state)
                features = state.hidden
            for index in range(self.config.blocks):
                features = self.blocks[index % len(self.blocks)](features)
            stages.append(rainy + self.output(features))
        return Predictions(derained=stages[-1], stages=tuple(stages[1:-1]))


class ResBlock(nn.Module):
    """Residual block, y = relu(x + relu(conv(relu(conv(x))))), (N, C, H, W) -> same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(x + F.relu(self.second(F.relu(self.first(x)))))


class LSTMState(NamedTuple):
    """What a ConvLSTM carries from stage to stage, both (N, C, H, W)."""

    hidden: Tensor
    cell: Tensor


class ConvLSTM(nn.Module):
    """Convolutional LSTM, features (N, C, H, W) and the last stage's state -> state, from zeros where there is none.

    c = sigmoid(f) c + sigmoid(i) tanh(g);  h = sigmoid(o) tanh(c).
    The gates i, f, g, o are one 3x3 convolution of [features, h], in this order.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gates = nn.Conv2d(2 * channels, 4 * channels, 3, padding=1)

    def forward(self, features: Tensor, state: LSTMState | None) -> LSTMState:
        hidden, cell = state or LSTMState(torch.zeros_like(features), torch.zeros_like(features))
        input_gate, forget, new, output = self.gates(torch.cat((features, hidden), dim=1)).chunk(4, dim=1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(input_gate) * torch.tanh(new)
        return LSTMState(hidden=torch.sigmoid(output) * torch.tanh(cell), cell=cell)
