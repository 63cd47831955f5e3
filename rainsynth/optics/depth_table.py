"""Functions of depth for every pixel, through a table over the depths of a picture.

A depth map is (H, W), or (H, 1) where depth is one number a row, as with the ground-plane prior and a plain number. A
map's table has one entry for every 2048th of an octave: the upper bits of a float32 are such a logarithmic scale.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt16
from numba import njit

CODE_SHIFT = 12  # of 23 bits of mantissa: 2048 codes an octave, 0.03 to 0.05 % of depth


@dataclass(frozen=True, slots=True, eq=False)
class SceneDepth:
    """Depth of a picture [m]: (H, W) float32 in memory order, or (H, 1) where rows have one depth each; and its ends.

    Made once a picture, for finding the ends of a map takes as long as a look at every pixel.
    """

    narrow_m: Float[np.ndarray, "h narrow"]
    nearest_m: float
    farthest_m: float

    @property
    def first_code(self) -> int:
        """Code of the nearest depth, the first entry of a map's table."""
        return _code(self.nearest_m)


def scene_depth(depth_m: Float[np.ndarray, "h w"]) -> SceneDepth:
    """The depth map (H, W) of a picture, narrow where the map repeats one column."""
    if depth_m.strides[1] == 0:
        narrow_m = depth_m[:, :1].astype(np.float32)
    else:
        narrow_m = np.ascontiguousarray(depth_m, dtype=np.float32)
    return SceneDepth(narrow_m, float(narrow_m.min()), float(narrow_m.max()))


def table_depths_m(depth: SceneDepth) -> Float[np.ndarray, "t"]:
    """Depths at which a function is to be tabulated: of each row for a column, of each code for a map."""
    if depth.narrow_m.shape[1] == 1:
        return depth.narrow_m[:, 0].astype(np.float64)
    codes = np.arange(depth.first_code, _code(depth.farthest_m) + 1, dtype=np.int64)
    middle = (codes << CODE_SHIFT) + (1 << (CODE_SHIFT - 1))
    return middle.astype(np.int32).view(np.float32).astype(np.float64)


def _code(depth_m: float) -> int:
    """Code of a depth: it ascends with depth."""
    return int(np.float32(depth_m).view(np.int32)) >> CODE_SHIFT


def look_up_unit16(depth: SceneDepth, table16: UInt16[np.ndarray, "t"], width_px: int) -> UInt16[np.ndarray, "h w"]:
    """Entry of `table16` for every pixel, (H, W) uint16; a read-only view of one column where depth is a column."""
    narrow_m = depth.narrow_m
    if narrow_m.shape[1] == 1:
        return np.broadcast_to(table16[:, None], (len(narrow_m), width_px))
    out = np.empty(narrow_m.shape, dtype=np.uint16)
    _look_up(out, narrow_m.view(np.int32), table16, depth.first_code)
    return out


@njit(cache=True, nogil=True)
def _look_up(out: np.ndarray, bits: np.ndarray, table: np.ndarray, first: int) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = table[(bits[y, x] >> CODE_SHIFT) - first]
