"""Flattening of falling raindrops."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from rainsynth.checks import check_in_range

# Beard & Chuang (1987), powers 0 to 4 of the equal-volume diameter in mm.
BEARD_CHUANG_POLYNOMIAL = (1.0048, 5.7e-4, -2.628e-2, 3.682e-3, -1.677e-4)


def axis_ratio(diameter_mm: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
    """Vertical over horizontal axis b/a of a falling drop of equal-volume diameter D, in (0, 1].

    b/a = 1.0048 + 5.7e-4 D - 2.628e-2 D^2 + 3.682e-3 D^3 - 1.677e-4 D^4, D in mm, at most 1.
    Fitted to 1 to 7 mm; drops under 0.45 mm are spheres; 7 to 8 mm extrapolates.
    Source: Beard & Chuang (1987), J. Atmos. Sci. 44(11), doi:10.1175/1520-0469(1987)044<1509:ANMFTE>2.0.CO;2.
    """
    check_in_range(diameter_mm, 0, 8, "diameter_mm", "Is it in m or um?")
    diameter_mm = np.asarray(diameter_mm, dtype=np.float64)
    ratio = np.polynomial.polynomial.polyval(diameter_mm, BEARD_CHUANG_POLYNOMIAL)
    return np.asarray(np.minimum(ratio, 1.0))


def projected_area_ratio(diameter_mm: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
    """Area of a drop seen from the side over pi/4 D^2, that is (b/a)^(1/3).

    The side view is an ellipse of axes a = D (b/a)^(-1/3) and b = D (b/a)^(2/3); D is the equal-volume diameter.
    """
    return np.asarray(np.cbrt(axis_ratio(diameter_mm)))
