"""`rainsynth preview`: one photograph under several rains."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipelines.photographs import depth_of_file_m
from pipelines.sheets import contact_sheet, grey_picture
from rainsynth.checks import InputError
from rainsynth.pictures import read_photo, write_picture
from rainsynth.render import render_rain
from rainsynth.sample import RainSample
from rainsynth.scene.background import Background
from rainsynth.scene.camera import Camera
from rainsynth.scene.depth_file import check_convention
from rainsynth.scene.depth_model import DepthModel
from rainsynth.scene.rain_event import RainEvent

RATES_MM_H = (5.0, 25.0, 50.0, 100.0)
EXPOSURES_S = (1 / 60, 1 / 500)
WINDS_M_S = (-6.0, 0.0, 6.0)
DEPTHS_M = (3.0, 20.0, 100.0)
SHOWN_RATE_MM_H = 50.0
SHOWN_EXPOSURE_S = 1 / 500
FIELD_OF_VIEW_DEG = 25.0
SKY_LINEAR = 3.0


def preview_sheet(background: Background, seed: int) -> UInt8[np.ndarray, "h w 3"]:
    """A contact sheet: rates by exposures, then winds, depths and spectra at 50 mm/h and 1/500 s.

    Everything but the three pictures of one depth has the background's own. The camera looks 25 degrees wide, under a
    sky three times as bright as the picture's white.
    """
    rows = []
    for exposure_s in EXPOSURES_S:
        rows.append(
            [
                (f"{rate:g} mm/h, 1/{1 / exposure_s:.0f} s", _rain(background, seed, rate, exposure_s).rainy_srgb8)
                for rate in RATES_MM_H
            ]
        )
    winds = [
        (f"wind {abs(wind):g} m/s from the {'left' if wind > 0 else 'right'}" if wind else "no wind", wind)
        for wind in WINDS_M_S
    ]
    rows.append(
        [("clean", background.image_srgb8)]
        + [(title, _rain(background, seed, wind_right_m_s=wind).rainy_srgb8) for title, wind in winds]
    )
    depths = [(f"everything {depth:g} m away", Background(background.image_srgb8, depth)) for depth in DEPTHS_M]
    rows.append(
        [(title, _rain(flat, seed).rainy_srgb8) for title, flat in depths]
        + [("thunderstorm spectrum", _rain(background, seed, spectrum="joss-thunderstorm").rainy_srgb8)]
    )
    return contact_sheet(rows, 400)


def layer_sheet(background: Background, seed: int) -> UInt8[np.ndarray, "h w 3"]:
    """A contact sheet of everything a sample holds, at 50 mm/h and 1/500 s."""
    sample = _rain(background, seed)
    nearest_m, farthest_m = float(sample.depth_m.min()), float(sample.depth_m.max())
    light = np.clip(sample.streak_light_linear, 0, 1)
    return contact_sheet(
        [
            [
                ("clean_srgb8", sample.clean_srgb8),
                ("veiled_srgb8", sample.veiled_srgb8),
                ("rainy_srgb8", sample.rainy_srgb8),
                ("texture, 0.9 to 1.1", grey_picture(sample.texture - 0.9, 0.2)),
            ],
            [
                ("streak_alpha, white at 0.25", grey_picture(sample.streak_alpha, 0.25)),
                ("transmission", grey_picture(sample.transmission)),
                ("streak_light_linear", (light * 255).astype(np.uint8)),
                (
                    f"1 / depth_m, {nearest_m:.3g} m white to {farthest_m:.3g} m",
                    grey_picture(nearest_m / sample.depth_m),
                ),
            ],
        ],
        400,
    )


def write_previews(background: Background, sheet: Path, seed: int, layers: bool) -> None:
    """Write the contact sheet of rains, or of the layers of one of them."""
    write_picture(sheet, (layer_sheet if layers else preview_sheet)(background, seed))


def background_of(
    photo: Path,
    depth: str = "",
    convention: str = "auto",
    scale_m: float | None = None,
    model: DepthModel | None = None,
) -> Background:
    """A photograph with its depth: a number of metres, or a file read by `convention` and `scale_m`, or a model's."""
    image_srgb8 = read_photo(photo)
    check_convention(convention, scale_m)
    constant_m = _number(depth)
    if depth and constant_m is None:
        return Background(image_srgb8, depth_of_file_m(Path(depth), image_srgb8, convention, scale_m))
    if convention != "auto" or scale_m is not None:
        raise InputError("--depth-convention and --depth-scale-m must go with --depth FILE, which they read.")
    return Background(image_srgb8, model(image_srgb8) if model else constant_m)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _rain(
    background: Background,
    seed: int,
    rain_rate_mm_h: float = SHOWN_RATE_MM_H,
    exposure_s: float = SHOWN_EXPOSURE_S,
    *,
    wind_right_m_s: float = 1.0,
    spectrum: str = "marshall-palmer",
) -> RainSample:
    height_px, width_px = background.image_srgb8.shape[:2]
    camera = Camera.from_fov(width_px, height_px, FIELD_OF_VIEW_DEG, exposure_s=exposure_s)
    event = RainEvent(
        rain_rate_mm_h=rain_rate_mm_h, spectrum=spectrum, wind_m_s=(wind_right_m_s, 0.0), sky_linear=SKY_LINEAR
    )
    return render_rain(background, event, camera, seed=seed)
