"""Rain off photographs of any size with a trained network."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import numpy as np
import torch
from torch import nn

from mspfn.local_mean import with_local_mean
from mspfn.picture_precision import with_picture_layers_in_float32
from mspfn.pixels import Photo, Photos, check_codes, codes_of, unit_pictures
from mspfn.self_ensemble import mean_of_views, views_of
from mspfn.shared_mean import with_shared_means
from mspfn.tiles import Restore, Tiling, restore_in_tiles
from rainsynth.checks import InputError

WHOLE_PICTURE_PX = 1_500_000  # a larger picture is worked on in tiles, so that memory stays the same
DEFAULT_TILE_PX = 512  # about the size of the pictures that benchmarks and training use


def derain(
    photo: Photo,
    network: nn.Module,
    *,
    tile_px: int | None = None,
    overlap_px: int = 32,
    mirrored: bool = False,
    ensemble: bool = False,
    shifted: bool = False,
    local_mean_px: int | None = None,
) -> Photo:
    """The photograph without its rain, (H, W, 3) RGB in sRGB codes of 8 or 16 bit -> same, on the network's device.

    tile_px         longest side of the tiles the picture is worked on in, multiple of 8; None: the whole picture up to
                    1.5 megapixels, tiles of 512 px above. Channel attention takes means that a first pass over the
                    tiles gathers (`mspfn.shared_mean`): tiles then agree with the whole, at twice the work.
    overlap_px      what neighbouring tiles share and blend linearly, multiple of 8
    mirrored        mean with what comes of the picture's mirror image, at twice the work: 0.1 to 0.2 dB better with
                    the bundled weights (`mspfn.self_ensemble`)
    ensemble        mean over eight flips and turns of the picture, at eight times the work, for a network that was
                    trained on turned pictures; others do worse with it. It mirrors, too
    shifted         mean over the picture as it is and moved by a pixel down, right, and both, at four times the work;
                    for networks with an `unshuffle`, see docs/networks.md. With `mirrored` or `ensemble` over theirs
    local_mean_px   side of the window over which channel attention takes its means, such as the patch of training;
                    None: the whole picture, as published. Tiles need one pass with it (`mspfn.local_mean`)

    The same picture, network and machine give the same bytes. Precision: see `inference_precision`; in bfloat16 the
    layers that read and write the picture still work in float32 (`mspfn.picture_precision`).
    """
    check_codes(photo, "photo", "H W 3")
    return derain_batch(
        photo[None],
        network,
        tile_px=tile_px,
        overlap_px=overlap_px,
        mirrored=mirrored,
        ensemble=ensemble,
        shifted=shifted,
        local_mean_px=local_mean_px,
    )[0]


def derain_batch(
    photos: Photos,
    network: nn.Module,
    *,
    tile_px: int | None = None,
    overlap_px: int = 32,
    mirrored: bool = False,
    ensemble: bool = False,
    shifted: bool = False,
    local_mean_px: int | None = None,
) -> Photos:
    """Photographs of one size without their rain, (N, H, W, 3) RGB in sRGB codes of 8 or 16 bit -> same.

    Options as in `derain`. A processor works on one picture after the other, so that each comes out as `derain` gives
    it, to the byte. A GPU works on as many at once as make 1.5 megapixels; its kernels may follow that number, and a
    result then differs from that of `derain` by rounding in bfloat16.
    """
    check_codes(photos, "photos", "N H W 3")
    tiling = Tiling(tile_px=DEFAULT_TILE_PX if tile_px is None else tile_px, overlap_px=overlap_px)
    if local_mean_px is not None:
        network = with_local_mean(network, local_mean_px)
    device = device_of(network)
    if inference_precision(device) != torch.float32:
        network = with_picture_layers_in_float32(network)
    height_px, width_px = photos.shape[1:3]
    whole = tile_px is None and height_px * width_px <= WHOLE_PICTURE_PX
    restore = whole_restorer(network, device) if whole else tile_restorer(network, device, tiling)
    if mirrored or ensemble or shifted:
        views = views_of(mirrored=mirrored, ensemble=ensemble, shifted=shifted)
        restore = partial(mean_of_views, restore=restore, views=views)
    derained = np.empty_like(photos, order="C")
    with inference(network, device):
        for part in parts(len(photos), at_once(height_px * width_px, device)):
            pictures = restore(photos[part])
            if not torch.isfinite(pictures).all():
                raise InputError("network output must be finite, got NaN or infinity. Did its training diverge?")
            derained[part] = codes_of(pictures, photos.dtype)
    return derained


def whole_restorer(network: nn.Module, device: torch.device) -> Restore:
    """What makes rainy codes into derained pictures, float32 sRGB, not clipped, on `device`."""
    return lambda photos: network(unit_pictures(photos).to(device)).float()


def tile_restorer(network: nn.Module, device: torch.device, tiling: Tiling) -> Restore:
    """The same tile by tile, the result on the processor; all tiles of a picture share the means of attention."""

    def restore(photos: Photos) -> torch.Tensor:
        twin = with_shared_means(network, photos, tiling, partial(whole_restorer, device=device))
        return restore_in_tiles(photos, whole_restorer(twin, device), tiling)

    return restore


def device_of(network: nn.Module) -> torch.device:
    """Where a network's weights are; the processor for one without any."""
    return next((parameter.device for parameter in network.parameters()), torch.device("cpu"))


def at_once(picture_px: int, device: torch.device) -> int:
    """How many pictures of a batch a device works on at the same time.

    One on a processor: several take as long (measured), and their sums may come in another order.
    """
    return 1 if device.type == "cpu" else max(WHOLE_PICTURE_PX // picture_px, 1)


def parts(count: int, size: int) -> Iterator[slice]:
    """`count` pictures in runs of `size`, the last one shorter."""
    return (slice(start, min(start + size, count)) for start in range(0, count, size))


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
