"""The mean of what a network makes of a picture seen several ways, mirrored and turned, each result turned back.

Mirroring helps every network here: rain falls as often to the left as to the right, and all are trained on mirrored
pictures. Turning helps one that was trained on turned pictures; one that has only met rain that falls does not know
rain that flies sideways, and its mean is worse than its plain result.
Source: Timofte et al., "Seven ways to improve example-based single image super resolution", CVPR 2016,
arXiv:1511.02228.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mspfn.pixels import Photos
from mspfn.tiles import Restore

UPRIGHT = (0,)
QUARTER_TURNS = (0, 1, 2, 3)


def mean_of_views(photos: Photos, restore: Restore, turns: Sequence[int]) -> Float[Tensor, "n 3 h w"]:
    """Mean of `restore` over the pictures and their mirror images, each turned so many quarters in turn.

    The work is twice the number of turns; QUARTER_TURNS are the eight ways.
    """
    count, height_px, width_px, channels = photos.shape
    total = torch.zeros(count, channels, height_px, width_px)
    for mirrored in (False, True):
        seen = photos[:, :, ::-1] if mirrored else photos
        for quarters in turns:
            back = torch.rot90(restore(np.rot90(seen, quarters, axes=(1, 2))), -quarters, dims=(2, 3)).cpu()
            total += back.flip(-1) if mirrored else back
    return total / (2 * len(turns))
