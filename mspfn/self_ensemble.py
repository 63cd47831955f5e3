"""The mean of what a network makes of a picture seen eight ways, flipped and turned, each result turned back.

It helps a network that was trained on turned pictures. One that has only met rain that falls does not know rain that
flies sideways, and its mean is worse than its plain result.
Source: Timofte et al., "Seven ways to improve example-based single image super resolution", CVPR 2016,
arXiv:1511.02228.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mspfn.pixels import Photos
from mspfn.tiles import Restore

QUARTER_TURNS = range(4)


def eight_way_mean(photos: Photos, restore: Restore) -> Float[Tensor, "n 3 h w"]:
    """Mean of `restore` over four quarter turns of the pictures and of their mirror images; eight times the work."""
    count, height_px, width_px, channels = photos.shape
    total = torch.zeros(count, channels, height_px, width_px)
    for mirrored in (False, True):
        seen = photos[:, :, ::-1] if mirrored else photos
        for turns in QUARTER_TURNS:
            back = torch.rot90(restore(np.rot90(seen, turns, axes=(1, 2))), -turns, dims=(2, 3)).cpu()
            total += back.flip(-1) if mirrored else back
    return total / (2 * len(QUARTER_TURNS))
