"""Functions of depth for every pixel, through a table over the depths of a picture.

A depth map is (H, W), or (H, 1) where depth is one number a row, as with the ground-plane prior and a plain number. A
map's table has one entry for every 2048th of an octave: the upper bits of a float32 are such a logarithmic scale.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped, UInt16
from numba import njit

CODE_SHIFT = 12  # of 23 bits of mantissa: 2048 codes an octave, 0.03 to 0.05 % of depth


def narrow_depth(depth_m: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h narrow"]:
    """Depth in memory order, float32; (H, 1) where the map repeats one column."""
    if depth_m.strides[1] == 0:
        return depth_m[:, :1].astype(np.float32)
    return np.ascontiguousarray(depth_m, dtype=np.float32)


def table_depths_m(narrow_m: Float[np.ndarray, "h narrow"]) -> Float[np.ndarray, "t"]:
    """Depths at which a function is to be tabulated: of each row for a column, of each code for a map."""
    if narrow_m.shape[1] == 1:
        return narrow_m[:, 0].astype(np.float64)
    first, last = depth_codes(np.array([narrow_m.min(), narrow_m.max()], dtype=np.float32))
    codes = np.arange(first, last + 1, dtype=np.int64)
    middle = (codes << CODE_SHIFT) + (1 << (CODE_SHIFT - 1))
    return middle.astype(np.int32).view(np.float32).astype(np.float64)


def depth_codes(depth_m: Float[np.ndarray, "*n"]) -> Shaped[np.ndarray, "*n"]:
    """Code of each depth [m], int32: it ascends with depth."""
    return depth_m.view(np.int32) >> CODE_SHIFT


def look_up_unit16(
    narrow_m: Float[np.ndarray, "h narrow"], table16: UInt16[np.ndarray, "t"], width_px: int
) -> np.ndarray:
    """Entry of `table16` for every pixel, (H, W) uint16; a read-only view of one column where depth is a column."""
    if narrow_m.shape[1] == 1:
        return np.broadcast_to(table16[:, None], (len(narrow_m), width_px))
    out = np.empty(narrow_m.shape, dtype=np.uint16)
    _look_up(out, narrow_m.view(np.int32), table16, int(narrow_m.min().view(np.int32) >> CODE_SHIFT))
    return out


@njit(cache=True, nogil=True)
def _look_up(out: np.ndarray, bits: np.ndarray, table: np.ndarray, first: int) -> None:
    for y in range(out.shape[0]):
        for x in range(out.shape[1]):
            out[y, x] = table[(bits[y, x] >> CODE_SHIFT) - first]
