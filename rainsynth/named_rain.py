"""Rain by its rate or its name: from a photograph to a sample in one call."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from rainsynth.checks import InputError, check_choice, check_photo
from rainsynth.color import decode
from rainsynth.display_blend import blend_on_display
from rainsynth.layer_steps import mean_of_unit16, no_texture
from rainsynth.lookalikes import LOOKALIKES, LookAlike, draw_layers
from rainsynth.presets import PRESETS, Preset, draw_rain
from rainsynth.render import describe_airlight, render_rain, through_window
from rainsynth.sample import RainSample, streak_mask
from rainsynth.scene.background import Background
from rainsynth.scene.camera import Camera
from rainsynth.scene.rain_event import RainEvent
from rainsynth.seeding import sample_rng
from rainsynth.sensor import SensorNoise


def add_rain(
    photo_srgb8: UInt8[np.ndarray, "h w 3"],
    rain_rate_mm_h: float | None = None,
    seed: int = 0,
    *,
    index: int = 0,
    depth_m: Float[np.ndarray, "h w"] | float | None = None,
    wind_m_s: float | tuple[float, float] | None = None,
    camera: Camera | None = None,
    preset: str | None = None,
) -> RainSample:
    """Rain of `rain_rate_mm_h` on a photograph (H, W, 3) uint8 RGB.

    `depth_m` is a map (H, W), a number or a function of the photograph; without it the ground-plane prior of Background
    is used. `wind_m_s` is a speed to the right, or (to the right, away from the camera). `preset` draws weather and
    camera from a named family, or the look of a benchmark set; what is given here overrides it. Without preset: field
    of view 50 degrees, 1/250 s, drops from 0.3 m, no sensor noise. The picture is a function of the arguments, `seed`
    and `index` alone. Raises InputError for a photograph, rate, depth or preset that is not valid.
    """
    check_photo(photo_srgb8)
    if preset is None and rain_rate_mm_h is None:
        raise InputError("rain_rate_mm_h must be given, got None. Give a rate (25 is heavy rain) or a preset.")
    options: dict[str, Any] = {} if rain_rate_mm_h is None else {"rain_rate_mm_h": rain_rate_mm_h}
    if wind_m_s is not None:
        options["wind_m_s"] = (float(wind_m_s), 0.0) if np.ndim(wind_m_s) == 0 else tuple(wind_m_s)  # type: ignore[arg-type]
    background = Background(photo_srgb8, depth_m)
    if preset is None:
        height_px, width_px = photo_srgb8.shape[:2]
        view = camera or Camera.from_fov(width_px, height_px)
        return render_rain(background, RainEvent(**options), view, seed=seed, index=index)
    return render_preset(background, preset, seed=seed, index=index, camera=camera, **options)


def render_preset(
    background: Background,
    preset: str | Preset | LookAlike,
    *,
    seed: int,
    index: int = 0,
    window: tuple[int, int, int, int] | None = None,
    camera: Camera | None = None,
    threads: int = 1,
    name: str = "",
    **options: Any,
) -> RainSample:
    """Sample `index` of a preset: its weather and camera, or its look, on `background`.

    `preset` is a name, or the ranges themselves, which `name` stands for in the sample's parameters. `window` renders
    that part of the picture alone. `camera` and `options`, fields of RainEvent, replace what the preset draws;
    look-alikes have neither. Raises InputError for a preset that does not exist.
    """
    if isinstance(preset, str):
        check_choice(preset, (*PRESETS, *LOOKALIKES), "preset")
        name, preset = name or preset, LOOKALIKES.get(preset) or PRESETS[preset]
    if isinstance(preset, LookAlike):
        if options or camera is not None:
            given = ", ".join([*options, *(["camera"] if camera is not None else [])])
            raise InputError(f"preset {name} must stand alone, got {given}. Look-alikes have no weather or camera.")
        return render_look_alike(background, preset, name, seed=seed, index=index, window=window)
    height_px, width_px = background.image_srgb8.shape[:2]
    event, drawn_camera = draw_rain(preset, width_px, height_px, seed, index, **options)
    view = camera or drawn_camera
    sample = render_rain(background, event, view, seed=seed, index=index, window=window, threads=threads)
    sample.parameters["preset"] = name
    return sample


def render_look_alike(
    background: Background,
    look_alike: LookAlike,
    name: str,
    *,
    seed: int,
    index: int = 0,
    window: tuple[int, int, int, int] | None = None,
) -> RainSample:
    """A sample in the look of a benchmark set, or of lines by their numbers, blended on display codes as sets are.

    Its layers have the names of physical ones: `streak_alpha16` is the level of the streaks over white,
    `transmission16` that of its fog, `airlight_linear` the fog's colour. Its parameters are the numbers of its own
    recipe and what composing needs; its rate in mm/h is NaN.
    """
    height_px, width_px = background.image_srgb8.shape[:2]
    nowhere = Camera.from_fov(width_px, height_px)
    clean_srgb8, _, depth_m = through_window(background, nowhere, window)
    look = draw_layers(look_alike, name, background.depth_map_m(nowhere), sample_rng(seed, index), window)
    airlight_linear = decode(look.airlight_srgb8)
    rainy_srgb8 = blend_on_display(
        look.blend, clean_srgb8, look.streak_alpha16, look.transmission16, look.airlight_srgb8
    )
    noise = SensorNoise()
    parameters = look.parameters | {
        "blend": look.blend,
        "rain_rate_mm_h": float("nan"),
        **describe_airlight(airlight_linear),
        "full_well_e": noise.full_well_e,
        "read_noise_e": noise.read_noise_e,
        "jpeg_quality": 0,
        "drop_count": 0,
        "coverage_fraction": float(streak_mask(look.streak_alpha16).mean()),
        "mean_transmission": mean_of_unit16(look.transmission16),
        "seed": seed,
        "index": index,
        "preset": name,
    }
    return RainSample(
        clean_srgb8=clean_srgb8,
        rainy_srgb8=rainy_srgb8,
        streak_alpha16=look.streak_alpha16,
        texture16=no_texture(*clean_srgb8.shape[:2]),
        transmission16=look.transmission16,
        light_grid_linear=np.ones((1, 1, 3), dtype=np.float32),
        airlight_linear=airlight_linear,
        depth_m=depth_m,
        noise=noise,
        parameters=parameters,
    )
