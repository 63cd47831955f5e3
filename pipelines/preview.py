"""`rainsynth preview`: one photograph under several rains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipelines.sheets import contact_sheet, grey_picture
from rainsynth.pictures import write_picture
from rainsynth.render import render_rain
from rainsynth.sample import RainSample
from rainsynth.scene.background import Background
from rainsynth.scene.camera import Camera
from rainsynth.scene.rain_event import RainEvent

RATES_MM_H = (5.0, 25.0, 50.0, 100.0)
EXPOSURES_S = (1 / 60, 1 / 500)
WINDS_M_S = (-6.0, 0.0, 6.0)
DEPTHS_M = (3.0, 20.0, 100.0)
SHOWN_RATE_MM_H = 50.0
SHOWN_EXPOSURE_S = 1 / 500
FIELD_OF_VIEW_DEG = 25.0
SKY_LINEAR = 3.0


def preview_sheet(photo_srgb8: UInt8[np.ndarray, "h w 3"], seed: int) -> UInt8[np.ndarray, "h w 3"]:
    """A contact sheet: rates by exposures, then winds, depths and spectra at 50 mm/h and 1/500 s.

    The camera looks 25 degrees wide, under a sky three times as bright as the picture's white.
    """
    rows = []
    for exposure_s in EXPOSURES_S:
        rows.append(
            [
                (f"{rate:g} mm/h, 1/{1 / exposure_s:.0f} s", _rain(photo_srgb8, seed, rate, exposure_s).rainy_srgb8)
                for rate in RATES_MM_H
            ]
        )
    winds = [
        (f"wind {abs(wind):g} m/s from the {'left' if wind > 0 else 'right'}" if wind else "no wind", wind)
        for wind in WINDS_M_S
    ]
    rows.append(
        [("clean", photo_srgb8)]
        + [(title, _rain(photo_srgb8, seed, wind_right_m_s=wind).rainy_srgb8) for title, wind in winds]
    )
    rows.append(
        [(f"everything {depth:g} m away", _rain(photo_srgb8, seed, depth_m=depth).rainy_srgb8) for depth in DEPTHS_M]
        + [("thunderstorm spectrum", _rain(photo_srgb8, seed, spectrum="joss-thunderstorm").rainy_srgb8)]
    )
    return contact_sheet(rows, 400)


def layer_sheet(photo_srgb8: UInt8[np.ndarray, "h w 3"], seed: int) -> UInt8[np.ndarray, "h w 3"]:
    """A contact sheet of everything a sample holds, at 50 mm/h and 1/500 s."""
    sample = _rain(photo_srgb8, seed)
    light = np.clip(sample.streak_light_linear, 0, 1)
    return contact_sheet(
        [
            [
                ("clean_srgb8", sample.clean_srgb8),
                ("veiled_srgb8", sample.veiled_srgb8),
                ("rainy_srgb8", sample.rainy_srgb8),
            ],
            [
                ("streak_alpha, white at 0.25", grey_picture(sample.streak_alpha, 0.25)),
                ("transmission", grey_picture(sample.transmission)),
                ("streak_light_linear", (light * 255).astype(np.uint8)),
            ],
        ],
        400,
    )


def write_previews(photo_srgb8: UInt8[np.ndarray, "h w 3"], sheet: Path, seed: int, layers: bool) -> None:
    """Write the contact sheet of rains, or of the layers of one of them."""
    write_picture(sheet, (layer_sheet if layers else preview_sheet)(photo_srgb8, seed))


def _rain(
    photo_srgb8: UInt8[np.ndarray, "h w 3"],
    seed: int,
    rain_rate_mm_h: float = SHOWN_RATE_MM_H,
    exposure_s: float = SHOWN_EXPOSURE_S,
    *,
    wind_right_m_s: float = 1.0,
    depth_m: float | None = None,
    spectrum: str = "marshall-palmer",
) -> RainSample:
    height_px, width_px = photo_srgb8.shape[:2]
    camera = Camera.from_fov(width_px, height_px, FIELD_OF_VIEW_DEG, exposure_s=exposure_s)
    event = RainEvent(
        rain_rate_mm_h=rain_rate_mm_h, spectrum=spectrum, wind_m_s=(wind_right_m_s, 0.0), sky_linear=SKY_LINEAR
    )
    return render_rain(Background(photo_srgb8, depth_m), event, camera, seed=seed)
