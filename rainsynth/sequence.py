"""Rain in frames that follow each other, and in the two pictures of a stereo pair: one field of drops carried on.

Frame k is a function of (seed, k), of its photograph, and of the weather up to it: it has the same bytes rendered
alone, by any worker, or in its turn.

Choices:
- Drops are those of scene.drop_field. Each falls at the speed of its size, drifts with the mean wind of the moment and
  keeps its own sway. A gust carries all drops at once, between two frames at the mean of their winds. Rain that grows
  adds drops to those that are there.
- Texture of rain too small to draw is another draw in every frame, and for either eye. Between two frames all of it
  falls farther than its streaks are long, so in one place nothing of it stays. Where it has moved to, drops of unequal
  speed and distance have passed each other: textures of successive frames are correlated by 0.05 at most there at 25 Hz
  and 1/250 s, 0.15 at 1/60 s, 0.3 where the exposure fills the interval.
- A moving camera does not turn. Its motion slants streaks, each by its own place and speed, and the texture as in the
  middle of the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import count
from typing import Any, TypeVar

import numpy as np
from jaxtyping import Float, UInt8

from rainsynth.checks import InputError, check_count, check_in_range, check_number, check_photo
from rainsynth.first_use import first_use
from rainsynth.render import MIN_STREAK_WIDTH_PX, Shot, rain_before, take_shot
from rainsynth.sample import RainSample
from rainsynth.scene.background import Background
from rainsynth.scene.camera import Camera
from rainsynth.scene.drop_field import DropField, Moment, drops_in_view, field_for
from rainsynth.scene.rain_event import RainEvent
from rainsynth.seeding import sample_keys, sample_rng

Frame = Background | UInt8[np.ndarray, "h w 3"]
Given = TypeVar("Given", RainEvent, Camera)

MAX_CAMERA_SPEED_M_S = 150.0
MAX_CAMERA_POSITION_M = 1e6
MAX_APPARENT_WIND_M_S = 40.0  # what RainEvent takes; the texture of a faster camera's rain is slanted as at this speed
EXPOSURE_ROUNDING = 1e-6


def render_sequence(
    frames: Iterable[Frame],
    event: RainEvent | Sequence[RainEvent] | Callable[[int], RainEvent],
    camera: Camera | Sequence[Camera] | Callable[[int], Camera],
    *,
    frame_rate_hz: float,
    seed: int,
    camera_motion: Sequence[float] | Float[np.ndarray, "..."] | None = None,
    start: int = 0,
    min_streak_width_px: float = MIN_STREAK_WIDTH_PX,
    threads: int = 1,
) -> Iterator[RainSample]:
    """Rain before each of `frames`, Background or (H, W, 3) uint8 RGB; drawn one at a time, when asked for.

    A drop seen in one frame is in the next where its velocity has carried it, v / frame_rate_hz farther. `event` and
    `camera` are one for all frames, or one for each: a sequence, or a function of the frame's number. `camera_motion`
    is the velocity (right, down, away) of the camera [m/s], or its position in every frame, (n, 3) [m].

    `start` is the number of the first of `frames`: `render_sequence(frames[k:], ..., start=k)` goes on at frame k with
    the bytes of the whole sequence. `itertools.repeat(Background(photo))` rains on one photograph for ever. The field
    of drops is made for the first camera; one that later sees much more finds drops repeated sideways.

    Raises InputError for an exposure longer than 1 / frame_rate_hz, and for what render_rain refuses.
    """
    check_number(frame_rate_hz, 0.01, 1e6, "frame_rate_hz")
    check_count(start, 0, 2**62, "start")
    check_number(min_streak_width_px, 0.05, 100, "min_streak_width_px")
    first = _of_frame(camera, 0, "camera", Camera), _of_frame(event, 0, "event", RainEvent)
    field = field_for(*first, min_streak_width_px, _field_key(seed))
    motion = _checked_motion(camera_motion, frame_rate_hz)

    def samples() -> Iterator[RainSample]:
        kept: tuple[Any, ...] = ()
        moments = _moments(event, motion, 1 / frame_rate_hz, start)
        for index, (frame, (moment, weather)) in enumerate(zip(frames, moments, strict=False), start):
            view = _of_frame(camera, index, "camera", Camera)
            _check_exposure(view, frame_rate_hz)
            background = _background_of(frame, f"frame {index}")  # arrays may be buffers filled again: always afresh
            with first_use():
                if kept[:-1] != (background, weather, view):
                    kept = (background, weather, view, take_shot(background, weather, view))
                keys = sample_keys(seed, index)
                sample = _render(kept[-1], field, weather, moment, keys, min_streak_width_px, threads)
            sample.parameters.update(seed=seed, index=index, preset="", frame_rate_hz=frame_rate_hz)
            yield sample

    return samples()


def render_stereo(
    left: Frame,
    right: Frame,
    event: RainEvent,
    camera: Camera,
    baseline_m: float,
    seed: int,
    *,
    min_streak_width_px: float = MIN_STREAK_WIDTH_PX,
    threads: int = 1,
) -> tuple[RainSample, RainSample]:
    """Rain before a rectified pair of photographs: one field of drops, seen by both eyes.

    The right camera stands `baseline_m` to the right of the left one and is equal to it, so a drop at distance z has
    the disparity f_px baseline / z. Light, noise and texture are each eye's own. Raises InputError as render_rain does.
    """
    check_number(baseline_m, 0, 100, "baseline_m", "Is it in mm or cm?")
    check_number(min_streak_width_px, 0.05, 100, "min_streak_width_px")
    field = field_for(camera, event, min_streak_width_px, _field_key(seed))

    def eye(index: int, name: str, frame: Frame, right_m: float) -> RainSample:
        with first_use():
            shot, moment = take_shot(_background_of(frame, name), event, camera), Moment(camera_m=(right_m, 0.0, 0.0))
            sample = _render(shot, field, event, moment, sample_keys(seed, index), min_streak_width_px, threads)
        sample.parameters.update(seed=seed, index=index, preset="", baseline_m=float(baseline_m))
        return sample

    return eye(0, "left", left, 0.0), eye(1, "right", right, float(baseline_m))


def _render(
    shot: Shot,
    field: DropField,
    weather: RainEvent,
    moment: Moment,
    keys: tuple[int, int],
    min_streak_width_px: float,
    threads: int,
) -> RainSample:
    """What the field of drops is at one moment, before one photograph."""
    drops, _ = drops_in_view(field, weather, shot.view, shot.depth.farthest_m, min_streak_width_px, moment)
    apparent = _apparent_event(weather, moment)
    sample = rain_before(
        shot, drops, weather, keys, min_streak_width_px=min_streak_width_px, threads=threads, apparent=apparent
    )
    sample.parameters["time_s"] = moment.time_s
    for axis, position_m, speed_m_s in zip(("right", "down", "away"), moment.camera_m, moment.camera_m_s, strict=True):
        sample.parameters[f"camera_{axis}_m"] = position_m
        sample.parameters[f"camera_{axis}_m_s"] = speed_m_s
    return sample


def _apparent_event(weather: RainEvent, moment: Moment) -> RainEvent:
    """The weather with the wind that a moving camera sees; the same where it stands still."""
    if not any(moment.camera_m_s):
        return weather
    right_m_s, _, away_m_s = moment.camera_m_s
    seen = np.clip(np.subtract(weather.wind_m_s, (right_m_s, away_m_s)), -MAX_APPARENT_WIND_M_S, MAX_APPARENT_WIND_M_S)
    return replace(weather, wind_m_s=(float(seen[0]), float(seen[1])))


def _moments(
    event: Any, motion: Callable[[int], tuple[Any, Any]], interval_s: float, start: int
) -> Iterator[tuple[Moment, RainEvent]]:
    """Moment and weather of every frame from `start` on; the paths of wind and sway add up from frame 0."""
    carried_m, swayed_m = np.zeros(2), 0.0
    before = _of_frame(event, 0, "event", RainEvent)
    for index in count():
        now = _of_frame(event, index, "event", RainEvent)
        if index > 0:
            carried_m += interval_s * 0.5 * np.add(before.wind_m_s, now.wind_m_s)
            swayed_m += interval_s * 0.5 * (before.turbulence_m_s + now.turbulence_m_s)
        before = now
        if index >= start:
            camera_m, camera_m_s = motion(index)
            carried = (float(carried_m[0]), float(carried_m[1]))
            time_s = index * interval_s
            yield Moment(time_s, carried, swayed_m, camera_m, camera_m_s), now


def _checked_motion(camera_motion: Any, frame_rate_hz: float) -> Callable[[int], tuple[Any, Any]]:
    """Position [m] and velocity [m/s] of the camera in each frame, as a function of its number."""
    given = np.zeros(3) if camera_motion is None else np.asarray(camera_motion)
    if given.ndim not in (1, 2) or given.shape[-1] != 3 or given.size == 0:
        raise InputError(
            f"camera_motion must be a velocity (right, down, away) or positions (n, 3), got shape {given.shape}."
        )
    hint = "Is it in km/h? Divide by 3.6."
    if given.ndim == 1:
        check_in_range(given, -MAX_CAMERA_SPEED_M_S, MAX_CAMERA_SPEED_M_S, "camera_motion in m/s", hint)
        velocity = tuple(map(float, given))
        return lambda index: (tuple(index / frame_rate_hz * speed for speed in velocity), velocity)
    check_in_range(given, -MAX_CAMERA_POSITION_M, MAX_CAMERA_POSITION_M, "camera_motion in m")
    velocities = np.gradient(given, axis=0) * frame_rate_hz if len(given) > 1 else np.zeros((1, 3))
    hint = "Positions are those of successive frames."
    check_in_range(velocities, -MAX_CAMERA_SPEED_M_S, MAX_CAMERA_SPEED_M_S, "speed of camera_motion in m/s", hint)
    positions = given.astype(np.float64)

    def at(index: int) -> tuple[Any, Any]:
        if index >= len(positions):
            raise InputError(f"camera_motion must have a position for every frame, got {len(positions)} for {index}.")
        return tuple(map(float, positions[index])), tuple(map(float, velocities[index]))

    return at


def _of_frame(given: Any, index: int, name: str, kind: type[Given]) -> Given:
    """What holds in frame `index`, where one is given for all frames, or a sequence, or a function."""
    if isinstance(given, kind):
        return given
    if isinstance(given, Sequence) and index >= len(given):
        raise InputError(f"{name} must hold one for every frame, got {len(given)} and a frame number {index}.")
    one = given(index) if callable(given) else given[index] if isinstance(given, Sequence) else given
    if not isinstance(one, kind):
        raise InputError(
            f"{name} must be a {kind.__name__}, a sequence of them or a function of the frame's number,"
            f" got {type(one).__name__}."
        )
    return one


def _background_of(frame: Frame, name: str) -> Background:
    if isinstance(frame, Background):
        return frame
    check_photo(frame, name)
    return Background(frame)


def _check_exposure(camera: Camera, frame_rate_hz: float) -> None:
    """Raise InputError where frames would be exposed longer than they last."""
    if camera.exposure_s * frame_rate_hz > 1 + EXPOSURE_ROUNDING:
        raise InputError(
            f"Camera.exposure_s must be at most 1 / frame_rate_hz, {1 / frame_rate_hz:g}, got {camera.exposure_s:g}."
            " Lower the frame rate or shorten the exposure."
        )


def _field_key(seed: int) -> int:
    """Key of a sequence's field of drops."""
    return int(sample_rng(seed, 0).integers(2**63))
