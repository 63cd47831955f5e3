"""Terminal fall speed of raindrops."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from rainsynth.checks import check_in_range

MIN_FALL_DIAMETER_MM = 0.1
MAX_FALL_DIAMETER_MM = 8.0

# Air and water at 20 degrees C and 1013.25 hPa (Beard 1976, standard sea-level conditions).
AIR_DENSITY_KG_M3 = 1.2041
AIR_VISCOSITY_PA_S = 1.818e-5
WATER_DENSITY_KG_M3 = 998.2
SURFACE_TENSION_N_M = 0.0728
GRAVITY_M_S2 = 9.80665
MEAN_FREE_PATH_M = 6.62e-8

# Beard (1976), table 1: Reynolds number of small drops by the Davies number, of large ones by the Bond number.
SMALL_DROP_POLYNOMIAL = (-3.18657, 0.992696, -1.53193e-3, -9.87059e-4, -5.78878e-4, 8.55176e-5, -3.27815e-6)
LARGE_DROP_POLYNOMIAL = (-5.00015, 5.23778, -2.04914, 0.475294, -0.0542819, 2.38449e-3)
LARGE_DROP_FROM_MM = 1.07
LARGEST_MEASURED_MM = 7.0


def fall_speed_m_s(diameter_mm: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
    """Terminal fall speed of raindrops in still air at sea level and 20 degrees C [m/s].

    Beard (1976): the Reynolds number as a polynomial of the Davies number below 1.07 mm, of the Bond number above.
    Holds for 0.1 to 8 mm (InputError outside); drops over 7 mm, which break up within seconds, get the speed at 7 mm.
    Within 0.03 m/s RMSE of the table of Gunn & Kinzer (1949) over 0.1 to 5.8 mm.
    Source: Beard (1976), J. Atmos. Sci. 33(5), doi:10.1175/1520-0469(1976)033<0851:TVASOC>2.0.CO;2.
    """
    check_in_range(diameter_mm, MIN_FALL_DIAMETER_MM, MAX_FALL_DIAMETER_MM, "diameter_mm", "Is it in m or um?")
    diameter_mm = np.asarray(diameter_mm, dtype=np.float64)
    diameter_m = np.asarray(np.minimum(diameter_mm, LARGEST_MEASURED_MM) * 1e-3)
    reynolds = np.where(diameter_mm < LARGE_DROP_FROM_MM, _reynolds_small(diameter_m), _reynolds_large(diameter_m))
    return np.asarray(AIR_VISCOSITY_PA_S * reynolds / (AIR_DENSITY_KG_M3 * diameter_m))


def _reynolds_small(diameter_m: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Reynolds number from the Davies number C_D Re^2, with the slip correction of small drops."""
    weight = (WATER_DENSITY_KG_M3 - AIR_DENSITY_KG_M3) * GRAVITY_M_S2
    davies = 4 * AIR_DENSITY_KG_M3 * weight * diameter_m**3 / (3 * AIR_VISCOSITY_PA_S**2)
    slip = 1 + 2.51 * MEAN_FREE_PATH_M / diameter_m
    return np.asarray(slip * np.exp(np.polynomial.polynomial.polyval(np.log(davies), SMALL_DROP_POLYNOMIAL)))


def _reynolds_large(diameter_m: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """Reynolds number from the Bond number and the physical property number of flattened drops."""
    weight = (WATER_DENSITY_KG_M3 - AIR_DENSITY_KG_M3) * GRAVITY_M_S2
    bond = 4 * weight * diameter_m**2 / (3 * SURFACE_TENSION_N_M)
    property_number = SURFACE_TENSION_N_M**3 * AIR_DENSITY_KG_M3**2 / (AIR_VISCOSITY_PA_S**4 * weight)
    sixth_root = property_number ** (1 / 6)
    log_number = np.log(bond * sixth_root)
    return np.asarray(sixth_root * np.exp(np.polynomial.polynomial.polyval(log_number, LARGE_DROP_POLYNOMIAL)))
