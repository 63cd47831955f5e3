"""Channel attention by the mean over a window around each pixel, in place of the mean over the whole picture.

A network trained on patches knows means over a patch; over a whole photograph the mean tells something else. A window
of about the patch brings training's kind of mean back. Whether that pays must be measured for the weights at hand: a
patch has much border for its size, and zeros beyond it that no window inside a photograph has.
Source: Chu et al., "Improving Image Restoration by Revisiting Global Information Aggregation", ECCV 2022,
arXiv:2112.04491 (test-time local converter).
"""

from __future__ import annotations

from functools import reduce
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mspfn.networks.blocks import GlobalMean
from mspfn.twin import twin_of
from rainsynth.checks import InputError, check_count

SMALLEST_WINDOW_PX, LARGEST_WINDOW_PX = 8, 1 << 16


def with_local_mean(network: nn.Module, window_px: int) -> nn.Module:
    """A twin of `network`, sharing its weights, whose attention takes means over windows of `window_px` squared.

    `window_px` counts pixels of the picture, whatever the resolution at which a mean is taken. Where the window covers
    the picture the twin gives what the network gives.
    """
    check_count(window_px, SMALLEST_WINDOW_PX, LARGEST_WINDOW_PX, "local_mean_px")
    window = Window(window_px)
    twin, means = twin_of(network, lambda module: LocalMean(window) if type(module) is GlobalMean else None)
    if not means:
        raise InputError(
            f"local_mean_px must be left out for {type(network).__name__}, got {window_px}. "
            "It takes no mean over the picture."
        )
    twin.register_forward_pre_hook(window.meet)
    return twin


class Window:
    """The window in pixels of the picture that the network is working on."""

    def __init__(self, window_px: int) -> None:
        self.window_px = window_px
        self.height_px = self.width_px = window_px

    def meet(self, network: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Take note of the picture's size before the network begins."""
        self.height_px, self.width_px = inputs[0].shape[-2:]

    def size_at(self, rows: int, columns: int) -> tuple[int, int]:
        """Rows and columns of the window in a map of `rows` x `columns` of the picture."""
        return (
            min(max(round(self.window_px * rows / self.height_px), 1), rows),
            min(max(round(self.window_px * columns / self.width_px), 1), columns),
        )


class LocalMean(GlobalMean):
    """Mean over the window around each pixel, (N, C, H, W) -> same; (N, C, 1, 1) where the window covers the map.

    Near a border the mean is that of the nearest window that lies inside, as in the paper's code.
    """

    def __init__(self, window: Window) -> None:
        super().__init__()
        self.window = window

    def forward(self, x: Tensor) -> Tensor:
        size = self.window.size_at(x.shape[-2], x.shape[-1])
        if size == tuple(x.shape[-2:]):
            return super().forward(x)
        means = window_sums(window_sums(x.float(), size[0], dim=-2), size[1], dim=-1) / (size[0] * size[1])
        left, right, top, bottom = (*margins(size[1]), *margins(size[0]))
        return F.pad(means.to(x.dtype), (left, right, top, bottom), mode="replicate")


def margins(window: int) -> tuple[int, int]:
    """Places before the centre of a window, and after it; of an even window the longer half lies after."""
    return (window - 1) // 2, window // 2


def window_sums(x: Tensor, window: int, dim: int) -> Tensor:
    """Sums of `window` neighbours along `dim` wherever they all exist: (..., n, ...) -> (..., n - window + 1, ...).

    Put together from sums of 1, 2, 4, ... neighbours, as the binary digits of `window` say.
    """
    count = x.shape[dim] - window + 1
    parts: list[Tensor] = []
    taken = 0  # neighbours that the parts hold between them
    for digit in range(window.bit_length()):
        run = 1 << digit
        if digit:  # from sums of run / 2 neighbours to sums of run
            kept = x.shape[dim] - run // 2
            x = x.narrow(dim, 0, kept) + x.narrow(dim, run // 2, kept)
        if window & run:
            parts.append(x.narrow(dim, taken, count))
            taken += run
    return reduce(torch.add, parts)
