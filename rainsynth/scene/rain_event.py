"""The weather of one picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rainsynth.checks import InputError, check_in_range, check_number
from rainsynth.physics.drop_size import check_rain


@dataclass(frozen=True, slots=True, kw_only=True)
class RainEvent:
    """Steady rain over one exposure. Axes as in Camera: +x right, +y down, +z away from the camera.

    `wind_m_s` is the mean horizontal wind (x, z) that carries the drops; `turbulence_m_s` the standard deviation of
    each drop's own horizontal speed about it (choice: 0.3 m/s, streaks within about 3 degrees of each other).
    `q_ext` in [1, 2] is the extinction efficiency (see physics.extinction_per_km). `mist_per_km` adds the extinction
    of mist and spray, which often veils more than the drops do. `sky_linear` is the zenith luminance of the overcast
    sky that lights the drops, 1.0 = diffuse white of the photograph: about 1.3 when it is exposed for white, 4 when
    for a dark subject before a bright sky. `airlight_linear` is the colour of the veil in linear RGB. None estimates
    either from the photograph. `highlight_linear` is the luminance of what the photograph clips to its white: lamps at
    dusk are 10 to 100 times as bright as it shows them, and light the drops before them accordingly.
    """

    rain_rate_mm_h: float
    spectrum: str = "marshall-palmer"
    normalize: bool = True
    wind_m_s: tuple[float, float] = (0.0, 0.0)
    turbulence_m_s: float = 0.3
    q_ext: float = 2.0
    mist_per_km: float = 0.0
    sky_linear: float | None = None
    airlight_linear: tuple[float, float, float] | None = None
    highlight_linear: float = 1.0

    def __post_init__(self) -> None:
        check_rain(self.rain_rate_mm_h, self.spectrum)
        if np.shape(self.wind_m_s) != (2,):
            raise InputError(f"RainEvent.wind_m_s must hold two speeds (right, away), got {self.wind_m_s!r}.")
        check_in_range(self.wind_m_s, -40, 40, "RainEvent.wind_m_s", "Is it in km/h? Divide by 3.6.")
        check_number(self.turbulence_m_s, 0, 10, "RainEvent.turbulence_m_s")
        check_number(self.q_ext, 1, 2, "RainEvent.q_ext")
        check_number(self.mist_per_km, 0, 1000, "RainEvent.mist_per_km", "Dense fog is about 40 per km.")
        if self.sky_linear is not None:
            check_number(self.sky_linear, 0, 100, "RainEvent.sky_linear", "1.0 is diffuse white.")
        check_number(self.highlight_linear, 1, 10_000, "RainEvent.highlight_linear", "1 is the photograph's own white.")
        if self.airlight_linear is not None:
            if np.shape(self.airlight_linear) != (3,):
                raise InputError(f"RainEvent.airlight_linear must be a colour (R, G, B), got {self.airlight_linear!r}.")
            check_in_range(self.airlight_linear, 0, 4, "RainEvent.airlight_linear", "1.0 is diffuse white.")
