"""The mean of what a network makes of a picture seen several ways: mirrored, turned, moved, each result put back.

Mirroring helps every network here: rain falls as often to the left as to the right, and all are trained on mirrored
pictures. Turning helps one that was trained on turned pictures; one that has only met rain that falls does not know
rain that flies sideways, and its mean is worse than its plain result. Moving by a pixel helps networks that see squares
of pixels as one (MSPFNConfig.unshuffle) or halve the picture: the squares are others then.
Source: Timofte et al., "Seven ways to improve example-based single image super resolution", CVPR 2016,
arXiv:1511.02228, for flips and turns.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from mspfn.pixels import Photos
from mspfn.tiles import Restore

UPRIGHT = (0,)
QUARTER_TURNS = (0, 1, 2, 3)
IN_PLACE = ((0, 0),)
BY_A_PIXEL = ((0, 0), (0, 1), (1, 0), (1, 1))  # down and right


class View(NamedTuple):
    """A way to see a picture: moved down and right by so many pixels, then mirrored or not, then turned by quarters."""

    moved_px: tuple[int, int]
    mirrored: bool
    quarters: int


def views_of(*, mirrored: bool, ensemble: bool, shifted: bool) -> list[View]:
    """The views that options of `mspfn.inference.derain` name; `ensemble` mirrors, too."""
    moves, turns = BY_A_PIXEL if shifted else IN_PLACE, QUARTER_TURNS if ensemble else UPRIGHT
    mirrors = (False, True) if mirrored or ensemble else (False,)
    return [View(*view) for view in product(moves, mirrors, turns)]


def mean_of_views(photos: Photos, restore: Restore, views: Sequence[View]) -> Float[Tensor, "n 3 h w"]:
    """Mean of `restore` over views of the pictures, each result put back; as much work as there are views.

    Where a picture is moved in, its first rows or columns are seen twice.
    """
    count, height_px, width_px, channels = photos.shape
    total = torch.zeros(count, channels, height_px, width_px)
    for (down_px, right_px), mirrored, quarters in views:
        seen = np.pad(photos, ((0, 0), (down_px, 0), (right_px, 0), (0, 0)), mode="symmetric")
        seen = seen[:, :, ::-1] if mirrored else seen
        back = torch.rot90(restore(np.rot90(seen, quarters, axes=(1, 2))), -quarters, dims=(2, 3)).cpu()
        total += (back.flip(-1) if mirrored else back)[..., down_px:, right_px:]
    return total / len(views)
