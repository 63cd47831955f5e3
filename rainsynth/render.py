"""Rain on a photograph: the only place where all parts meet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8, UInt16

from rainsynth.bands import over_bands
from rainsynth.checks import InputError, check_number
from rainsynth.compositing import compose
from rainsynth.first_use import first_use
from rainsynth.layer_steps import mean_of_unit16, no_texture, to_unit16
from rainsynth.optics.depth_table import SceneDepth, look_up_unit16, scene_depth, table_depths_m
from rainsynth.optics.drop_light import drop_light, estimated_sky_linear
from rainsynth.optics.rasterize import draw_alpha16
from rainsynth.optics.streak import project
from rainsynth.optics.texture import texture_of
from rainsynth.optics.texture_field import draw_texture, lying_texture
from rainsynth.physics.extinction import extinction_per_km
from rainsynth.sample import LINEAR_LIGHT, RainSample, streak_mask
from rainsynth.scene.background import Background
from rainsynth.scene.camera import Camera
from rainsynth.scene.drops import Drops, sample_drops, unresolved_optical_depth
from rainsynth.scene.rain_event import RainEvent
from rainsynth.seeding import sample_keys, sample_rng
from rainsynth.sensor import SensorNoise, through_jpeg

MIN_STREAK_WIDTH_PX = 0.5  # choice: thinner streaks are texture


def render_rain(
    background: Background,
    event: RainEvent,
    camera: Camera,
    *,
    seed: int,
    index: int = 0,
    window: tuple[int, int, int, int] | None = None,
    min_streak_width_px: float = MIN_STREAK_WIDTH_PX,
    threads: int = 1,
) -> RainSample:
    """The weather `event` before `background`, seen by `camera`.

    `window` (top, left, height, width) renders that part of the picture alone: light, veil and projection are those
    of the whole photograph; its drops are another draw.

    Drops whose image is at least `min_streak_width_px` wide are drawn one by one. All others are a veil with their mean
    optical depth, which holds what diffracts and mist too, and a texture with their variance. The bytes are the same on
    any number of `threads`. Raises InputError where camera and photograph differ in size.
    """
    check_number(min_streak_width_px, 0.05, 100, "min_streak_width_px")
    with first_use():
        shot = take_shot(background, event, camera, window)
        drops = sample_drops(event, shot.view, shot.depth.farthest_m, min_streak_width_px, sample_rng(seed, index))
        keys = sample_keys(seed, index)
        sample = rain_before(shot, drops, event, keys, min_streak_width_px=min_streak_width_px, threads=threads)
    sample.parameters.update(seed=seed, index=index, preset="")
    return sample


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Shot:
    """What a picture is made of besides its drops: the photograph or a window of it, its depth, camera and light."""

    clean_srgb8: UInt8[np.ndarray, "h w 3"]
    depth_m: Float[np.ndarray, "h w"]
    depth: SceneDepth
    view: Camera
    sky_linear: float
    light_grid_linear: Float[np.ndarray, "gh gw 3"]
    airlight_linear: Float[np.ndarray, "3"]


def take_shot(
    background: Background, event: RainEvent, camera: Camera, window: tuple[int, int, int, int] | None = None
) -> Shot:
    """Everything about a picture that no drop changes. Raises InputError where camera and photograph differ in size."""
    height_px, width_px = background.image_srgb8.shape[:2]
    if (camera.height_px, camera.width_px) != (height_px, width_px):
        raise InputError(
            f"camera must have the photograph's size {width_px}x{height_px}, got {camera.width_px}x{camera.height_px}."
            " Camera.from_fov(width_px, height_px) makes one."
        )
    clean_srgb8, view, depth_m = through_window(background, camera, window)
    return Shot(
        clean_srgb8=clean_srgb8,
        depth_m=depth_m,
        depth=scene_depth(depth_m),
        view=view,
        **_light(background, event, camera, window),
    )


def rain_before(
    shot: Shot,
    drops: Drops,
    event: RainEvent,
    keys: tuple[int, int],
    *,
    min_streak_width_px: float,
    threads: int,
    apparent: RainEvent | None = None,
) -> RainSample:
    """The picture of `drops` and of all rain too small to draw. `keys` are those of sensor noise and texture.

    `apparent` is the event as a moving camera sees it, whose wind slants the texture; the event itself unless given.
    """
    view, noise_key = shot.view, keys[0]
    layers: dict[str, Any] = {name: getattr(shot, name) for name in ("light_grid_linear", "airlight_linear")}
    layers["clean_srgb8"] = shot.clean_srgb8
    layers["transmission16"] = _veil(event, view, shot.depth, min_streak_width_px)
    layers["streak_alpha16"], layers["texture16"] = _drops_and_texture(
        drops, apparent or event, view, shot.depth, min_streak_width_px, keys[1], threads
    )
    layers["noise"] = SensorNoise(full_well_e=view.full_well_e, read_noise_e=view.read_noise_e, key=noise_key)
    rainy_srgb8 = compose(**layers, threads=threads)
    if view.jpeg_quality:
        rainy_srgb8 = through_jpeg(rainy_srgb8, view.jpeg_quality)
    measured = {
        "sky_linear": shot.sky_linear,
        "drop_count": len(drops),
        "coverage_fraction": float(np.count_nonzero(streak_mask(layers["streak_alpha16"])) / shot.depth_m.size),
        "mean_transmission": mean_of_unit16(layers["transmission16"][:, : shot.depth.narrow_m.shape[1]]),
        "min_streak_width_px": min_streak_width_px,
    }
    parameters = describe(event, view, shot.airlight_linear) | measured
    return RainSample(rainy_srgb8=rainy_srgb8, depth_m=shot.depth_m, parameters=parameters, **layers)


def through_window(
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
    return np.ascontiguousarray(background.image_srgb8[part]), view, depth_m[part]


def _light(
    background: Background, event: RainEvent, camera: Camera, window: tuple[int, int, int, int] | None
) -> dict[str, Any]:
    """Light of the drops, colour of the veil and the sky's zenith: given, or estimated from the photograph."""
    sky_linear = estimated_sky_linear(background.white_linear) if event.sky_linear is None else event.sky_linear
    light_grid_linear, horizon_linear = drop_light(
        background.light_linear(event.highlight_linear), camera, sky_linear, window
    )
    airlight = horizon_linear if event.airlight_linear is None else event.airlight_linear
    return {
        "sky_linear": sky_linear,
        "light_grid_linear": light_grid_linear,
        "airlight_linear": np.asarray(airlight, dtype=np.float32),
    }


def _veil(event: RainEvent, view: Camera, depth: SceneDepth, min_streak_width_px: float) -> UInt16[np.ndarray, "h w"]:
    """Mean transmission of all that is not drawn, in steps of 1/65535."""
    optical_depth = unresolved_optical_depth(event, view, table_depths_m(depth), min_streak_width_px)
    transmission = np.exp(-optical_depth)
    return look_up_unit16(depth, to_unit16(transmission), view.width_px)


def _drops_and_texture(
    drops: Drops,
    event: RainEvent,
    view: Camera,
    depth: SceneDepth,
    min_streak_width_px: float,
    key: int,
    threads: int,
) -> tuple[UInt16[np.ndarray, "h w"], UInt16[np.ndarray, "h w"]]:
    """Coverage by drawn drops in steps of 1/65535, and the texture of all others in steps of 1/32768."""
    streaks = project(drops, view)
    texture = texture_of(event, view, depth.farthest_m, min_streak_width_px)
    alpha16 = np.empty((view.height_px, view.width_px), dtype=np.uint16)
    texture16 = no_texture(view.height_px, view.width_px) if texture is None else np.empty_like(alpha16)

    def draw(first: int, last: int) -> None:
        draw_alpha16(alpha16, streaks, depth, (first, last))
        if texture is not None and not texture.lying:
            draw_texture(texture16, texture, depth, key, (first, last))

    over_bands(draw, view.height_px, threads)
    if texture is not None and texture.lying:
        texture16 = lying_texture(texture, depth, key, alpha16.shape)
    return alpha16, texture16


def describe(event: RainEvent, camera: Camera, airlight_linear: Float[np.ndarray, "3"]) -> dict[str, Any]:
    """Every parameter of weather and camera, flat, by name and unit."""
    return {
        "blend": LINEAR_LIGHT,
        "rain_rate_mm_h": event.rain_rate_mm_h,
        "spectrum": event.spectrum,
        "normalize": event.normalize,
        "extinction_per_km": extinction_per_km(event.rain_rate_mm_h, event.spectrum, event.normalize, event.q_ext),
        "q_ext": event.q_ext,
        "mist_per_km": event.mist_per_km,
        "wind_right_m_s": event.wind_m_s[0],
        "wind_away_m_s": event.wind_m_s[1],
        "turbulence_m_s": event.turbulence_m_s,
        "highlight_linear": event.highlight_linear,
        **describe_airlight(airlight_linear),
        "exposure_s": camera.exposure_s,
        "focal_px": camera.focal_px,
        "principal_x_px": camera.principal_x_px,
        "principal_y_px": camera.principal_y_px,
        "near_m": camera.near_m,
        "aperture_mm": camera.aperture_mm,
        "focus_m": camera.focus_m,
        "full_well_e": camera.full_well_e,
        "read_noise_e": camera.read_noise_e,
        "jpeg_quality": camera.jpeg_quality,
    }


def describe_airlight(airlight_linear: Float[np.ndarray, "3"]) -> dict[str, float]:
    """The colour of the veil, by name and unit."""
    return {
        f"airlight_{name}_linear": float(light)
        for name, light in zip(("red", "green", "blue"), airlight_linear, strict=True)
    }
