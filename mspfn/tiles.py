"""A large picture worked on in overlapping tiles, so that memory follows the tile and not the picture."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor

from mspfn.pixels import Photos
from rainsynth.checks import InputError, check_count

GRID_PX = 32  # tiles start on it, so that strided layers see the same grid as in the whole picture: an MSPFN halves
# three times, behind an unshuffle of up to 4
SIDE_MULTIPLE_PX = 8
SMALLEST_TILE_PX, LARGEST_TILE_PX = 64, 1 << 16

Restore = Callable[[Photos], Float[Tensor, "n 3 h w"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiling:
    """How a picture is cut up.

    tile_px     longest side of a tile, multiple of 8
    overlap_px  what neighbours share, multiple of 8, at most half of tile_px
    """

    tile_px: int
    overlap_px: int

    def __post_init__(self) -> None:
        check_count(self.tile_px, SMALLEST_TILE_PX, LARGEST_TILE_PX, "tile_px")
        check_count(self.overlap_px, 0, self.tile_px // 2, "overlap_px", "At most half of tile_px.")
        for name, value in (("tile_px", self.tile_px), ("overlap_px", self.overlap_px)):
            if value % SIDE_MULTIPLE_PX:
                raise InputError(f"{name} must be a multiple of {SIDE_MULTIPLE_PX}, got {value}.")


def restore_in_tiles(photos: Photos, restore: Restore, tiling: Tiling) -> Float[Tensor, "n 3 h w"]:
    """`restore` of pictures tile by tile: the mean of the tiles at a pixel, weighted by `blend_weights`."""
    count, height_px, width_px, _ = photos.shape
    total = torch.zeros(count, 3, height_px, width_px)
    row_tiles, column_tiles = (weighted_spans(size_px, tiling) for size_px in (height_px, width_px))
    for (rows, row_weights), (columns, column_weights) in product(row_tiles, column_tiles):
        restored = restore(photos[:, rows, columns]).float().cpu()
        total[..., rows, columns] += row_weights[:, None] * column_weights * restored
    return total


def weighted_spans(size_px: int, tiling: Tiling) -> list[tuple[slice, Tensor]]:
    """The tiles along one side and how much each counts at its pixels; at every pixel these weights sum to 1."""
    spans = tile_spans(size_px, tiling.tile_px, tiling.overlap_px)
    weights = [blend_weights(span, size_px, tiling.overlap_px) for span in spans]
    total = torch.zeros(size_px)
    for span, weight in zip(spans, weights, strict=True):
        total[span] += weight
    return [(span, weight / total[span]) for span, weight in zip(spans, weights, strict=True)]


def tile_spans(size_px: int, tile_px: int, overlap_px: int) -> list[slice]:
    """Spans of the tiles along one side, about equally long, at most `tile_px`, each over `overlap_px` of the next.

    Starts lie on the 32 px grid. A side of at most `tile_px` is one span.
    """
    if size_px <= tile_px:
        return [slice(0, size_px)]
    longest_step_px = (tile_px - overlap_px) // GRID_PX * GRID_PX
    count = math.ceil((size_px - overlap_px) / longest_step_px)
    step_px = math.ceil((size_px - overlap_px) / count / GRID_PX) * GRID_PX
    starts = range(0, size_px - overlap_px, step_px)
    return [slice(start, min(start + step_px + overlap_px, size_px)) for start in starts]


def blend_weights(span: slice, size_px: int, overlap_px: int) -> Tensor:
    """Weights of a tile along one side, 0 to 1: linear over the middle half of the overlap with another tile.

    The outer quarter of the overlap counts nothing: there a network knows too little of what lies around a pixel.
    """
    centre = torch.arange(span.start, span.stop, dtype=torch.float32) + 0.5
    start = span.start if span.start > 0 else -math.inf
    stop = span.stop if span.stop < size_px else math.inf
    inside = torch.minimum(centre - start, stop - centre)  # distance from the nearest edge that is not the picture's
    return ((inside - overlap_px / 4) / max(overlap_px / 2, 0.5)).clamp(0, 1)
