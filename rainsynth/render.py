"""Rain on a photograph: the only place where all parts meet."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from rainsynth.checks import InputError, check_number, check_photo
from rainsynth.color import decode
from rainsynth.compositing import compose, to_unit16
from rainsynth.optics.drop_light import airlight_of, drop_light_grid, estimated_sky_linear, window_grid
from rainsynth.optics.rasterize import unhidden_fraction
from rainsynth.optics.streak import project
from rainsynth.physics.extinction import extinction_per_km
from rainsynth.presets import draw_rain
from rainsynth.sample import RainSample, streak_mask
from rainsynth.scene.background import Background
from rainsynth.scene.camera import Camera
from rainsynth.scene.drops import sample_drops, unresolved_optical_depth
from rainsynth.scene.rain_event import RainEvent
from rainsynth.seeding import noise_key, sample_rng
from rainsynth.sensor import SensorNoise

MIN_STREAK_WIDTH_PX = 0.25  # choice: thinner streaks join the veil
DEPTH_TABLE_STEPS = 2048


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

    `depth_m` is a map (H, W) or a number; without it the ground-plane prior of Background is used. `wind_m_s` is a
    speed to the right, or (to the right, away from the camera). `preset` draws weather and camera from a named
    family; what is given here overrides it. Without preset: field of view 50 degrees, 1/250 s, drops from 0.3 m, no
    sensor noise. The picture is a function of the arguments, `seed` and `index` alone.
    Raises InputError for a photograph, rate, depth or preset that is not valid.
    """
    check_photo(photo_srgb8)
    height_px, width_px = photo_srgb8.shape[:2]
    if preset is None and rain_rate_mm_h is None:
        raise InputError("rain_rate_mm_h must be given, got None. Give a rate (25 is heavy rain) or a preset.")
    options: dict[str, Any] = {} if rain_rate_mm_h is None else {"rain_rate_mm_h": rain_rate_mm_h}
    if wind_m_s is not None:
        options["wind_m_s"] = (float(wind_m_s), 0.0) if np.ndim(wind_m_s) == 0 else tuple(wind_m_s)  # type: ignore[arg-type]
    if preset is None:
        event, drawn_camera = RainEvent(**options), Camera.from_fov(width_px, height_px)
    else:
        event, drawn_camera = draw_rain(preset, width_px, height_px, seed, index, **options)
    sample = render_rain(Background(photo_srgb8, depth_m), event, camera or drawn_camera, seed=seed, index=index)
    sample.parameters["preset"] = preset or ""
    return sample


def render_rain(
    background: Background,
    event: RainEvent,
    camera: Camera,
    *,
    seed: int,
    index: int = 0,
    window: tuple[int, int, int, int] | None = None,
    min_streak_width_px: float = MIN_STREAK_WIDTH_PX,
) -> RainSample:
    """The weather `event` before `background`, seen by `camera`.

    `window` (top, left, height, width) renders that part of the picture alone: light, veil and projection are those
    of the whole photograph; its drops are another draw.

    Drops whose image is at least `min_streak_width_px` wide are drawn one by one; the mean optical depth of all
    others, of what diffracts, and of mist is the veil. Raises InputError where camera and photograph differ in size.
    """
    height_px, width_px = background.image_srgb8.shape[:2]
    if (camera.height_px, camera.width_px) != (height_px, width_px):
        raise InputError(
            f"camera must have the photograph's size {width_px}x{height_px}, got {camera.width_px}x{camera.height_px}."
            " Camera.from_fov(width_px, height_px) makes one."
        )
    check_number(min_streak_width_px, 0.05, 100, "min_streak_width_px")
    clean_srgb8, view, depth_m = _through_window(background, camera, window)
    drops = sample_drops(event, view, float(depth_m.max()), min_streak_width_px, sample_rng(seed, index))
    streak_alpha16 = to_unit16(1 - unhidden_fraction(project(drops, view), depth_m))
    transmission16 = to_unit16(_veil_transmission(event, view, depth_m, min_streak_width_px))
    image_linear = decode(background.image_srgb8)
    sky_linear = estimated_sky_linear(image_linear) if event.sky_linear is None else event.sky_linear
    light_grid = drop_light_grid(image_linear, camera, sky_linear)
    airlight = airlight_of(light_grid, camera) if event.airlight_linear is None else event.airlight_linear
    if window is not None:
        light_grid = window_grid(light_grid, camera, window)
    noise = SensorNoise(full_well_e=camera.full_well_e, read_noise_e=camera.read_noise_e, key=noise_key(seed, index))
    layers: dict[str, Any] = {
        "clean_srgb8": clean_srgb8,
        "transmission16": transmission16,
        "airlight_linear": np.asarray(airlight, dtype=np.float32),
        "streak_alpha16": streak_alpha16,
        "light_grid_linear": light_grid,
        "noise": noise,
    }
    measured = {
        "sky_linear": sky_linear,
        "drop_count": len(drops),
        "coverage_fraction": float(streak_mask(streak_alpha16).mean()),
        "mean_transmission": float(transmission16.mean() / 65535),
    }
    parameters = describe(event, view, layers["airlight_linear"]) | measured
    parameters |= {"min_streak_width_px": min_streak_width_px, "seed": seed, "index": index, "preset": ""}
    return RainSample(rainy_srgb8=compose(**layers), depth_m=depth_m, parameters=parameters, **layers)


def _through_window(
    background: Background, camera: Camera, window: tuple[int, int, int, int] | None
) -> tuple[UInt8[np.ndarray, "h w 3"], Camera, Float[np.ndarray, "h w"]]:
    """Photograph, camera and depth of a window of the picture, or of all of it."""
    depth_m = background.depth_map_m(camera)
    if window is None:
        return background.image_srgb8, camera, depth_m
    if np.shape(window) != (4,):
        raise InputError(f"window must hold top, left, height and width, got {window!r}.")
    top, left, height, width = window
    view = camera.window(top, left, height, width)
    part = np.s_[top : top + height, left : left + width]
    return np.ascontiguousarray(background.image_srgb8[part]), view, np.ascontiguousarray(depth_m[part])


def describe(event: RainEvent, camera: Camera, airlight_linear: Float[np.ndarray, "3"]) -> dict[str, Any]:
    """Every parameter of weather and camera, flat, by name and unit."""
    return {
        "rain_rate_mm_h": event.rain_rate_mm_h,
        "spectrum": event.spectrum,
        "normalize": event.normalize,
        "extinction_per_km": extinction_per_km(event.rain_rate_mm_h, event.spectrum, event.normalize, event.q_ext),
        "q_ext": event.q_ext,
        "mist_per_km": event.mist_per_km,
        "wind_right_m_s": event.wind_m_s[0],
        "wind_away_m_s": event.wind_m_s[1],
        "turbulence_m_s": event.turbulence_m_s,
        "airlight_red_linear": float(airlight_linear[0]),
        "airlight_green_linear": float(airlight_linear[1]),
        "airlight_blue_linear": float(airlight_linear[2]),
        "exposure_s": camera.exposure_s,
        "focal_px": camera.focal_px,
        "principal_x_px": camera.principal_x_px,
        "principal_y_px": camera.principal_y_px,
        "near_m": camera.near_m,
        "aperture_mm": camera.aperture_mm,
        "focus_m": camera.focus_m,
        "full_well_e": camera.full_well_e,
        "read_noise_e": camera.read_noise_e,
    }


def _veil_transmission(
    event: RainEvent, camera: Camera, depth_m: Float[np.ndarray, "h w"], min_streak_width_px: float
) -> Float[np.ndarray, "h w"]:
    """Transmission of what is not drawn, looked up in a table over the picture's depths (error below 1e-4)."""
    table_m = np.geomspace(float(depth_m.min()), float(depth_m.max()) * (1 + 1e-6), DEPTH_TABLE_STEPS)
    transmission = np.exp(-unresolved_optical_depth(event, camera, table_m, min_streak_width_px))
    return np.interp(depth_m, table_m, transmission).astype(np.float32)
