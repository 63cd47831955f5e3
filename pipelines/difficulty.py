"""How hard a sample is for a deraining network, as one number, from what is known of it."""

from __future__ import annotations

CLEAR_DB = 50.0  # choice: from here up rain changes a picture by less than a code in the mean
DROWNED_DB = 10.0  # choice: from here down hardly anything of the picture is left


def difficulty(psnr_y_db: float, coverage_fraction: float, mean_transmission: float) -> float:
    """Difficulty of a sample, 0 (no rain to see) to 1 (nothing but rain).

        d = 1/2 p + 1/4 c + 1/4 (1 - t),   p = clip((50 - PSNR-Y) / (50 - 10), 0, 1)

    p is the error of the rainy picture [dB] on a scale from 50 dB (0) to 10 dB (1), c the part of the picture that
    streaks cover, t the mean transmission of the veil. The error counts as much as its two causes together: a network
    is measured by it, and streaks (c) and veil (1 - t) are different work at the same error. The rate itself is left
    out, since a lens and an exposure make much or little of it. The weights are a choice, not a measurement.
    """
    error = min(max((CLEAR_DB - psnr_y_db) / (CLEAR_DB - DROWNED_DB), 0.0), 1.0)
    return 0.5 * error + 0.25 * coverage_fraction + 0.25 * (1 - mean_transmission)
