"""Was one side of a pair compressed by JPEG since the rain: coefficients on the steps of a quantiser, and borders.

JPEG rounds each coefficient of a block's cosine transform to a multiple of a step (ITU-T T.81). In a decoded picture
those of high frequency are therefore near 0 or a whole step away, and hardly any lie between; on a grid that is moved
by half a block nothing of this is seen. The trace is the share of what should lie between that is missing.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float, Real, UInt8
from scipy import fft

from rainsynth.checks import check_photo

SRGB8 = UInt8[np.ndarray, "h w 3"]

BLOCK_PX = 8
LUMA = np.array([0.299, 0.587, 0.114])  # of JFIF
BETWEEN_CODES = (1.1, 2.4)  # rounding to codes scatters a coefficient by 0.3; steps at quality 90 are 5 to 20 codes
LOWEST_FREQUENCY = 5  # of both directions together: below it pictures have much, and steps are small
LEAST_BETWEEN = 60  # coefficients on the moved grid; with fewer there is nothing to miss
MOST_BLOCKS = 4000
UNCLIPPED_CODES = (6, 247)  # a block that was clipped is on no steps
# Five sets, 5 to 8 pairs each: compressed at quality 95 to 50, a rainy side has a trace of 0.85 to 1, one that was not
# up to 0.77, through a veil over an old JPEG. A clean side compressed at 90 leaves a blockiness of 0 to 64 in what the
# blend misses, 7 and more in 22 of 25 pairs, at 75 of 8 to 82; noise over an old JPEG leaves 2.7 at most.
LEAST_TRACE = 0.8
LEAST_BLOCKINESS = 5.0

RED_LESS_BLUE = np.array([1.0, 0.0, -1.0])
MOST_STEP_CODES = 6.0


def compressed_side(rainy_srgb8: SRGB8, clean_srgb8: SRGB8, misses_codes: Float[np.ndarray, "h w 3"]) -> str:
    """Which side of a pair was compressed since the rain was made: "rainy", "clean" or "".

    `misses_codes` is what the pair's blend does not explain. Ask for pairs only of which that is more than rounding:
    photographs that were JPEG before stay so through a veil and between streaks. Grids begin at the corner.
    """
    if jpeg_trace(rainy_srgb8) >= LEAST_TRACE:
        return "rainy"
    found = jpeg_trace(clean_srgb8) >= LEAST_TRACE and blockiness(misses_codes) >= LEAST_BLOCKINESS
    return "clean" if found else ""


def jpeg_trace(picture_srgb8: SRGB8) -> float:
    """Share of coefficients that are missing between the steps of a quantiser, 1 for JPEG, about 0 without it.

    1 - (aligned grid) / (grid moved by 4 px), of luma coefficients 1.1 to 2.4 codes from 0, in blocks that come near
    neither black nor white. NaN where too few lie there on the moved grid.
    """
    check_photo(picture_srgb8, "picture_srgb8")
    luma, half = picture_srgb8 @ LUMA, BLOCK_PX // 2
    lowest, highest = UNCLIPPED_CODES
    inside = np.all((picture_srgb8 >= lowest) & (picture_srgb8 <= highest), axis=-1)
    aligned, _ = _share_between(luma, inside)
    moved, count = _share_between(luma[half:, half:], inside[half:, half:])
    return 1 - aligned / moved if moved * count >= LEAST_BETWEEN else float("nan")


def _share_between(luma: Float[np.ndarray, "h w"], inside: Bool[np.ndarray, "h w"]) -> tuple[float, int]:
    """Share of high coefficients that lie between steps, and how many coefficients were looked at."""
    blocks, kept = _blocks(luma), _blocks(inside).all(axis=(1, 2))
    blocks = blocks[kept]
    blocks = blocks[:: -(-len(blocks) // MOST_BLOCKS)] if len(blocks) else blocks
    if len(blocks) == 0:
        return 0.0, 0
    frequency = np.add.outer(np.arange(BLOCK_PX), np.arange(BLOCK_PX))
    high = np.abs(fft.dctn(blocks, axes=(1, 2), norm="ortho")[:, frequency >= LOWEST_FREQUENCY])
    return float(np.mean((high > BETWEEN_CODES[0]) & (high < BETWEEN_CODES[1]))), high.size


def _blocks(field: np.ndarray) -> np.ndarray:
    rows, columns = (side // BLOCK_PX for side in field.shape)
    cut = field[: rows * BLOCK_PX, : columns * BLOCK_PX]
    return cut.reshape(rows, BLOCK_PX, columns, BLOCK_PX).swapaxes(1, 2).reshape(-1, BLOCK_PX, BLOCK_PX)


def blockiness(difference_codes: Real[np.ndarray, "h w 3"]) -> float:
    """By how many standard errors steps at the borders of blocks exceed others, in the difference of two pictures.

    Steps between neighbours, limited to 6 codes, of luma and of red less blue, the higher of both; streaks step
    anywhere, an error of JPEG at multiples of 8 px. 0 for a difference without steps.
    """
    luma, colour = difference_codes @ LUMA, difference_codes @ RED_LESS_BLUE
    return max(0.0, *(_border_excess(field) for field in (luma, luma.T, colour, colour.T)))


def _border_excess(field: Float[np.ndarray, "h w"]) -> float:
    """Mean step across the borders between columns of blocks, less that between other columns, in standard errors."""
    steps = np.minimum(np.abs(np.diff(field, axis=1)), MOST_STEP_CODES)
    at_border = np.arange(steps.shape[1]) % BLOCK_PX == BLOCK_PX - 1
    if at_border.sum() < 2 or not steps.any():
        return 0.0
    border, other = steps[:, at_border], steps[:, ~at_border]
    return float((border.mean() - other.mean()) / np.sqrt(steps.var() / border.size))
