"""A picture of any size made fit for MSPFN: grown by mirrors, and at full, half and quarter resolution."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BINOMIAL = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)  # Burt & Adelson (1983), doi:10.1109/TCOM.1983.1095851, a = 3/8

Pyramid = tuple[Tensor, Tensor, Tensor]  # (N, C, H, W), (N, C, H / 2, W / 2), (N, C, H / 4, W / 4)


def pad_by_reflection(picture: Tensor, multiple_px: int) -> Tensor:
    """(N, C, H, W) grown at its end, as a mirror would, until H and W are multiples of `multiple_px`.

    A picture narrower than the padding is mirrored again and again; a single row or column is repeated.
    """
    grown = picture
    for dim in (-2, -1):
        size = picture.shape[dim]
        if size % multiple_px:
            grown = mirrored(grown, dim, 0, -(-size // multiple_px) * multiple_px)
    return in_layout_of(picture, grown)


def mirrored(picture: Tensor, dim: int, start: int, stop: int) -> Tensor:
    """Rows (dim -2) or columns (-1) `start` to `stop` of a picture between mirrors: 3 2 1 | 0 1 2 3 | 2 1 0 1 2 3 2."""
    size = picture.shape[dim]
    period = torch.scalar_tensor(2 * (size - 1), dtype=torch.int64).clamp(min=1)  # a tensor, for graphs of any size
    step = torch.arange(start, stop, device=picture.device) % period
    return picture.index_select(dim, torch.minimum(step, period - step))


def in_layout_of(picture: Tensor, changed: Tensor) -> Tensor:
    """`changed` with channels last in memory where `picture` has them so; every later layer keeps what it meets."""
    if picture.is_contiguous(memory_format=torch.channels_last):
        return changed.contiguous(memory_format=torch.channels_last)
    return changed


def box_pyramid(picture: Tensor) -> Pyramid:
    """The picture, and its means over 2x2 and 4x4 pixels."""
    return picture, F.avg_pool2d(picture, 2), F.avg_pool2d(picture, 4)


def gaussian_pyramid(picture: Tensor) -> Pyramid:
    """The picture, `gaussian_half` of it, and that of the half."""
    half = gaussian_half(picture)
    return picture, half, gaussian_half(half)


def gaussian_half(picture: Tensor) -> Tensor:
    """Every second pixel, from the first on, of the picture under a 5x5 binomial blur: (N, C, H, W) -> half H and W.

    Borders are mirrored. OpenCV's pyrDown; the REDUCE of Burt & Adelson (1983) with a = 3/8.
    """
    channels, height, width = picture.shape[1:]
    margin = len(BINOMIAL) // 2
    taps = picture.new_tensor(BINOMIAL)
    kernel = (taps[:, None] * taps).expand(channels, 1, -1, -1)
    framed = mirrored(mirrored(picture, -2, -margin, height + margin), -1, -margin, width + margin)
    return F.conv2d(in_layout_of(picture, framed), kernel, stride=2, groups=channels)


PYRAMIDS = {"box": box_pyramid, "gaussian": gaussian_pyramid}
