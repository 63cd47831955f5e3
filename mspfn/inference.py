"""Rain off a photograph of any size with a trained network."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor, nn

from mspfn.dataset import to_srgb8, to_tensor
from rainsynth.checks import InputError, check_in_range, check_photo

WHOLE_PICTURE_PX = 1_500_000  # a larger picture is worked on in tiles, so that memory stays the same
DEFAULT_TILE_PX = 512  # about the size of the pictures that benchmarks and training use
TILE_MULTIPLE_PX = 8  # tiles start on it, so that strided layers see the same grid as in the whole picture


def derain(
    photo_srgb8: UInt8[np.ndarray, "h w 3"], network: nn.Module, *, tile_px: int | None = None, overlap_px: int = 32
) -> UInt8[np.ndarray, "h w 3"]:
    """The photograph without its rain, as (H, W, 3) uint8 RGB of the same size, on the device of `network`.

    tile_px     longest side of the tiles the picture is worked on in, multiple of 8; None: the whole picture up to
                1.5 megapixels, tiles of 512 px above. Channel attention then sees one tile at a time, which shifts
                the result a little.
    overlap_px  what neighbouring tiles share and blend linearly, multiple of 8.

    The same picture, network and machine give the same bytes. Precision: see `inference_precision`.
    """
    check_photo(photo_srgb8)
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    rainy = to_tensor(photo_srgb8[None]).to(device)
    height_px, width_px = photo_srgb8.shape[:2]
    if tile_px is None and height_px * width_px > WHOLE_PICTURE_PX:
        tile_px = DEFAULT_TILE_PX
    with inference(network, device):
        if tile_px is None:
            derained = network(rainy.contiguous(memory_format=torch.channels_last))
        else:
            derained = derain_tiles(rainy, network, tile_px, overlap_px)
    if not torch.isfinite(derained).all():
        raise InputError("network output must be finite, got NaN or infinity. Did its training diverge?")
    return to_srgb8(derained)[0]


def inference_precision(device: torch.device) -> torch.dtype:
    """Number format for running a network: bfloat16 where the hardware multiplies in it, else float32.

    Measured at 320x480 on one core of an AMD EPYC 9004 (avx512_bf16), channels_last, PyTorch 2.13:
    mspfn-demo 0.63 s in float32, 0.34 s in bfloat16; mspfn-tiny 1.6 s and 0.71 s.
    """
    if device.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
    if device.type == "cpu" and has_native_bfloat16():
        return torch.bfloat16
    return torch.float32


def has_native_bfloat16() -> bool:
    """Whether this processor multiplies in bfloat16 (AVX512_BF16 or AMX)."""
    probes = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    return any(getattr(torch.cpu, probe, lambda: False)() for probe in probes)


@contextmanager
def inference(network: nn.Module, device: torch.device) -> Iterator[None]:
    """Evaluation mode without gradients, in the device's precision, repeatable; then the network's mode as before."""
    precision, was_training = inference_precision(device), network.training
    network.eval()
    try:
        with (
            torch.inference_mode(),
            torch.autocast(device.type, precision, enabled=precision != torch.float32),
            torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True),
        ):
            yield
    finally:
        network.train(was_training)


def derain_tiles(rainy: Tensor, network: nn.Module, tile_px: int, overlap_px: int) -> Tensor:
    """Derained picture from overlapping tiles, (1, 3, H, W) -> same: mean of the tiles, weighted by `ramp`."""
    check_in_range(tile_px, 64, 1 << 16, "tile_px")
    check_in_range(overlap_px, 0, tile_px // 2, "overlap_px", "At most half of tile_px.")
    for name, value in (("tile_px", tile_px), ("overlap_px", overlap_px)):
        if value % TILE_MULTIPLE_PX:
            raise InputError(f"{name} must be a multiple of {TILE_MULTIPLE_PX}, got {value}.")
    height_px, width_px = rainy.shape[-2:]
    total, weight_sum = torch.zeros_like(rainy), torch.zeros_like(rainy[:, :1])
    for rows, columns in product(tile_spans(height_px, tile_px, overlap_px), tile_spans(width_px, tile_px, overlap_px)):
        weight = ramp(rows, height_px, overlap_px)[:, None] * ramp(columns, width_px, overlap_px)
        weight = weight.to(rainy.device)
        tile = rainy[..., rows, columns].contiguous(memory_format=torch.channels_last)
        total[..., rows, columns] += weight * network(tile)
        weight_sum[..., rows, columns] += weight
    return total / weight_sum


def tile_spans(size_px: int, tile_px: int, overlap_px: int) -> list[slice]:
    """Spans of the tiles along one side, about equally long, at most `tile_px`, each over `overlap_px` of the next.

    Starts lie on the 8 px grid. A side of at most `tile_px` is one span.
    """
    if size_px <= tile_px:
        return [slice(0, size_px)]
    count = math.ceil((size_px - overlap_px) / (tile_px - overlap_px))
    step_px = math.ceil((size_px - overlap_px) / count / TILE_MULTIPLE_PX) * TILE_MULTIPLE_PX
    starts = range(0, size_px - overlap_px, step_px)
    return [slice(start, min(start + step_px + overlap_px, size_px)) for start in starts]


def ramp(span: slice, size_px: int, overlap_px: int) -> Tensor:
    """Weights of a tile along one side, 0 to 1: linear over the middle half of the overlap with another tile.

    The outer quarter of the overlap counts nothing: there a network knows too little of what lies around a pixel.
    """
    centre = torch.arange(span.start, span.stop, dtype=torch.float32) + 0.5
    start = span.start if span.start > 0 else -math.inf
    stop = span.stop if span.stop < size_px else math.inf
    inside = torch.minimum(centre - start, stop - centre)  # distance from the nearest edge that is not the picture's
    return ((inside - overlap_px / 4) / max(overlap_px / 2, 0.5)).clamp(0, 1)
