"""Drop size spectra N(D): how many drops of which diameter a cubic metre of rain holds.

Every spectrum runs from 0.1 to 8 mm wherever it is integrated for a rain rate or sampled for drops.
"""

from __future__ import annotations

from functools import lru_cache
from math import gamma

import numpy as np
from jaxtyping import Float

from rainsynth.checks import check_choice, check_in_range, check_number
from rainsynth.physics.fall_speed import fall_speed_m_s

MIN_DIAMETER_MM = 0.1
MAX_DIAMETER_MM = 8.0
MIN_RAIN_RATE_MM_H = 1e-3  # a trace; less is 0
MAX_RAIN_RATE_MM_H = 500.0  # above every rate that was measured over a minute or more outside records

# Exponential spectra N0 exp(-coefficient R^-0.21 D): (N0 [m^-3 mm^-1], coefficient [mm^-1]).
EXPONENTIAL_SPECTRA = {
    "marshall-palmer": (8000.0, 4.1),  # Marshall & Palmer (1948), doi:10.1175/1520-0469(1948)005<0165:TDORWS>2.0.CO;2
    "joss-drizzle": (30000.0, 5.7),  # Joss, Thams & Waldvogel (1968), as are the next two
    "joss-widespread": (7000.0, 4.1),
    "joss-thunderstorm": (1400.0, 3.0),
}
SLOPE_EXPONENT = -0.21

# Best (1950), Q. J. R. Meteorol. Soc. 76, doi:10.1002/qj.49707632704: volume fraction 1 - exp(-(D/a)^2.25).
BEST_EXPONENT = 2.25
BEST_SCALE_MM = (1.30, 0.232)  # a = 1.30 R^0.232
BEST_WATER_MM3_M3 = (67.0, 0.846)  # W = 67 R^0.846

# Gamma spectrum N0 D^mu exp(-Lambda D), Ulbrich (1983), doi:10.1175/1520-0450(1983)022<1764:NVITAF>2.0.CO;2.
# Choice: mu = 3, and the median volume diameter and water content of Marshall-Palmer at the same rate.
GAMMA_SHAPE = 3.0
MARSHALL_PALMER_WATER_G_M3 = (0.0889, 0.84)
MEDIAN_VOLUME_FACTOR = 3.67  # D0 = (3.67 + mu) / Lambda

SPECTRA = (*EXPONENTIAL_SPECTRA, "best", "gamma")
INTEGRATION_POINTS = 2001


def drop_density_per_m3_mm(
    diameter_mm: Float[np.ndarray, "..."] | float,
    rain_rate_mm_h: float,
    spectrum: str = "marshall-palmer",
    normalize: bool = True,
) -> Float[np.ndarray, "..."]:
    """Drops per cubic metre of air and mm of diameter, N(D) [m^-3 mm^-1], for D > 0 and R of 0, or 0.001 to 500 mm/h.

    `normalize=True` scales the published spectrum so that its drops of 0.1 to 8 mm, falling at `fall_speed_m_s`,
    bring exactly `rain_rate_mm_h`; the published Marshall-Palmer spectrum brings 1.18 times the rate it is asked for
    at 1 mm/h. `normalize=False` gives the spectrum as published. Raises InputError for an unknown spectrum.
    """
    check_in_range(diameter_mm, 1e-6, 1e3, "diameter_mm", "Diameters are positive, in mm.")
    check_rain(rain_rate_mm_h, spectrum)
    diameter_mm = np.asarray(diameter_mm, dtype=np.float64)
    if rain_rate_mm_h == 0:
        return np.zeros_like(diameter_mm)
    scale = rate_correction(rain_rate_mm_h, spectrum) if normalize else 1.0
    return np.asarray(scale * _published_density(diameter_mm, rain_rate_mm_h, spectrum))


def rain_rate_mm_h(diameter_mm: Float[np.ndarray, "n"], density_per_m3_mm: Float[np.ndarray, "n"]) -> float:
    """Rain rate that a tabulated spectrum brings [mm/h]: R = 6 pi 1e-4 Int N(D) v(D) D^3 dD (trapezoidal rule).

    `diameter_mm` ascends within 0.1 to 8 mm; v is `fall_speed_m_s`.
    """
    return _rate_of(density_per_m3_mm, diameter_mm, fall_speed_m_s(diameter_mm), diameter_mm**3)


def _rate_of(
    density_per_m3_mm: np.ndarray, diameter_mm: np.ndarray, speed_m_s: np.ndarray, cube_mm3: np.ndarray
) -> float:
    """The integral of `rain_rate_mm_h` over drops of known speed [mm/h]."""
    return float(6e-4 * np.pi * np.trapezoid(density_per_m3_mm * speed_m_s * cube_mm3, diameter_mm))


def mean_square_diameter_mm2_m3(rain_rate_mm_h: float, spectrum: str, normalize: bool) -> float:
    """Second moment Int N(D) D^2 dD over all D > 0 [mm^2 m^-3], in closed form for every spectrum."""
    check_rain(rain_rate_mm_h, spectrum)
    if rain_rate_mm_h == 0:
        return 0.0
    scale = rate_correction(rain_rate_mm_h, spectrum) if normalize else 1.0
    if spectrum == "best":
        size_mm, water_mm3_m3 = _best_parameters(rain_rate_mm_h)
        return scale * 6 / np.pi * water_mm3_m3 * gamma(1 - 1 / BEST_EXPONENT) / size_mm
    intercept, shape, slope_per_mm = _gamma_parameters(rain_rate_mm_h, spectrum)
    return scale * intercept * gamma(3 + shape) / slope_per_mm ** (3 + shape)


def check_rain(rain_rate_mm_h: float, spectrum: str) -> None:
    """Raise InputError unless rate and spectrum name a rain that is modelled."""
    check_number(rain_rate_mm_h, 0, MAX_RAIN_RATE_MM_H, "rain_rate_mm_h", "Heavy rain is 10 to 50 mm/h.")
    if rain_rate_mm_h != 0:
        check_number(rain_rate_mm_h, MIN_RAIN_RATE_MM_H, MAX_RAIN_RATE_MM_H, "rain_rate_mm_h", "Or 0 for no rain.")
    check_choice(spectrum, SPECTRA, "spectrum")


@lru_cache(maxsize=4096)
def rate_correction(rain_rate_mm_h_asked: float, spectrum: str) -> float:
    """Factor on the published spectrum after which its drops of 0.1 to 8 mm bring the rate asked for."""
    diameter_mm, speed_m_s, cube_mm3 = _integration_drops()
    published = _published_density(diameter_mm, rain_rate_mm_h_asked, spectrum)
    return rain_rate_mm_h_asked / _rate_of(published, diameter_mm, speed_m_s, cube_mm3)


@lru_cache(maxsize=1)
def _integration_drops() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Diameter [mm], fall speed [m/s] and cubed diameter of the drops over which spectra are integrated."""
    diameter_mm = np.geomspace(MIN_DIAMETER_MM, MAX_DIAMETER_MM, INTEGRATION_POINTS)
    return diameter_mm, fall_speed_m_s(diameter_mm), diameter_mm**3


def _published_density(
    diameter_mm: Float[np.ndarray, "..."], rain_rate_mm_h: float, spectrum: str
) -> Float[np.ndarray, "..."]:
    if spectrum == "best":
        size_mm, water_mm3_m3 = _best_parameters(rain_rate_mm_h)
        relative = diameter_mm / size_mm
        volume_fraction_per_mm = (
            BEST_EXPONENT / size_mm * relative ** (BEST_EXPONENT - 1) * np.exp(-(relative**BEST_EXPONENT))
        )
        return np.asarray(water_mm3_m3 * volume_fraction_per_mm / (np.pi / 6 * diameter_mm**3))
    intercept, shape, slope_per_mm = _gamma_parameters(rain_rate_mm_h, spectrum)
    return np.asarray(intercept * diameter_mm**shape * np.exp(-slope_per_mm * diameter_mm))


def _gamma_parameters(rain_rate_mm_h: float, spectrum: str) -> tuple[float, float, float]:
    """(N0, mu, Lambda) of N0 D^mu exp(-Lambda D); the exponential spectra have mu = 0."""
    if spectrum in EXPONENTIAL_SPECTRA:
        intercept, coefficient = EXPONENTIAL_SPECTRA[spectrum]
        return intercept, 0.0, coefficient * rain_rate_mm_h**SLOPE_EXPONENT
    _, coefficient = EXPONENTIAL_SPECTRA["marshall-palmer"]
    median_volume_mm = MEDIAN_VOLUME_FACTOR / (coefficient * rain_rate_mm_h**SLOPE_EXPONENT)
    slope_per_mm = (MEDIAN_VOLUME_FACTOR + GAMMA_SHAPE) / median_volume_mm
    water_g_m3 = MARSHALL_PALMER_WATER_G_M3[0] * rain_rate_mm_h ** MARSHALL_PALMER_WATER_G_M3[1]
    third_moment = water_g_m3 / (np.pi / 6 * 1e-3)  # [mm^3 m^-3]; 1 mm^3 of water is 1e-3 g
    return third_moment * slope_per_mm ** (4 + GAMMA_SHAPE) / gamma(4 + GAMMA_SHAPE), GAMMA_SHAPE, slope_per_mm


def _best_parameters(rain_rate_mm_h: float) -> tuple[float, float]:
    """(a [mm], W [mm^3 m^-3]) of Best's volume fraction."""
    return (
        BEST_SCALE_MM[0] * rain_rate_mm_h ** BEST_SCALE_MM[1],
        BEST_WATER_MM3_M3[0] * rain_rate_mm_h ** BEST_WATER_MM3_M3[1],
    )
