"""What falls: published models of rain, as pure functions of their units."""

from rainsynth.physics.drop_shape import axis_ratio, projected_area_ratio
from rainsynth.physics.drop_size import (
    MAX_DIAMETER_MM,
    MIN_DIAMETER_MM,
    SPECTRA,
    drop_density_per_m3_mm,
    rain_rate_mm_h,
)
from rainsynth.physics.extinction import extinction_per_km, transmission, visibility_m
from rainsynth.physics.fall_speed import fall_speed_m_s

__all__ = [
    "MAX_DIAMETER_MM",
    "MIN_DIAMETER_MM",
    "SPECTRA",
    "axis_ratio",
    "drop_density_per_m3_mm",
    "extinction_per_km",
    "fall_speed_m_s",
    "projected_area_ratio",
    "rain_rate_mm_h",
    "transmission",
    "visibility_m",
]
