"""One field of drops that fills all space and all time: what a camera sees of it at any moment.

Each bin of diameter has its own columns of air that fall past the camera for ever. A slot of a column is a place for a
drop, with a size and a height of its own; where in the column it falls, and how it sways, is drawn afresh for every
turn of the column, and again for every turn in depth. All numbers are functions of (key, bin, slot, turns), so any
moment is found without those before it, by any worker, from any place.

Slots come in the order of a density: slot j is filled while the j-th point of a Poisson process of unit rate lies below
the number of drops that a column holds. So at any moment the drops are a Poisson field of the event's spectrum, and
rain that grows adds drops to those that are there.

Choices: a column keeps its slots, so that over the frames of one field the number of drops in view has about 0.6 of
Poisson's variance. Sideways the field repeats after its period, which is the width of the view that it was made for,
and at least 1 m.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, UInt64
from numba import njit

from rainsynth.counters import random_bits, two_normals, two_uniforms
from rainsynth.scene.camera import Camera
from rainsynth.scene.drop_places import volumes_m3
from rainsynth.scene.drops import Drops, drops_per_m3, margins_m_of, resolved_ends_m, size_bins, view_slopes
from rainsynth.scene.rain_event import RainEvent

LEAST_PERIOD_M = 1.0  # choice: drops close to the lens have fallen out of view before a copy of theirs comes
SPARE_DEVIATIONS = 6  # of the number of drops, in the room that is made for them
IDENTITY_COUNTER = 1 << 40  # beyond the counters of a drop's other numbers


@dataclass(frozen=True, slots=True, eq=False)
class DropField:
    """A field of drops: `key` names the draw, `period_m` (right, down, away) by bin of diameter the size of a turn."""

    key: int
    period_m: Float[np.ndarray, "3 bins"]


@dataclass(frozen=True, slots=True)
class Moment:
    """How far all things have moved at one moment, right, down and away [m].

    `time_s` is the time since the beginning, `carried_m` (right, away) the path of the mean wind up to now, `swayed_m`
    that of a drop that sways at one standard deviation. The camera is at `camera_m` and moves at `camera_m_s`.
    """

    time_s: float = 0.0
    carried_m: tuple[float, float] = (0.0, 0.0)
    swayed_m: float = 0.0
    camera_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    camera_m_s: tuple[float, float, float] = (0.0, 0.0, 0.0)


def field_for(camera: Camera, event: RainEvent, min_streak_width_px: float, key: int) -> DropField:
    """A field whose period holds what `camera` resolves of it."""
    near_m, end_m = camera.near_m, resolved_ends_m(camera, min_streak_width_px)
    left, right, top, bottom = view_slopes(camera)
    aside_m, upright_m = 2 * margins_m_of(event, camera)
    spans_m = np.stack([(right - left) * end_m + aside_m, (bottom - top) * end_m + upright_m, end_m - near_m])
    return DropField(key, np.maximum(spans_m, LEAST_PERIOD_M))


def drops_in_view(
    field: DropField, event: RainEvent, camera: Camera, far_m: float, min_streak_width_px: float, moment: Moment
) -> tuple[Drops, UInt64[np.ndarray, "n"]]:
    """Resolved drops of the field whose streaks may touch the picture, as `sample_drops` would draw them.

    Places and velocities are those seen from the camera, which may move. With the drops comes the identity of each: a
    drop that is seen from two places, or at two moments, has the same.
    """
    bins = size_bins()
    end_m = np.minimum(resolved_ends_m(camera, min_streak_width_px), max(far_m, camera.near_m))
    slopes = np.array(view_slopes(camera))
    margins_m = margins_m_of(event, camera) + _margins_of_motion_m(camera, slopes, moment.camera_m_s)
    per_m3 = drops_per_m3(event)
    expected = float(per_m3 @ volumes_m3(camera.near_m, end_m, margins_m, slopes).sum(axis=0))
    room = int(expected + SPARE_DEVIATIONS * (np.sqrt(expected) + SPARE_DEVIATIONS))
    air = (
        np.array([event.wind_m_s[0], 0.0, event.wind_m_s[1]]) - moment.camera_m_s,
        np.array([moment.carried_m[0], 0.0, moment.carried_m[1]]) - moment.camera_m,
        float(moment.time_s),
        float(event.turbulence_m_s),
        float(moment.swayed_m),
    )
    while True:
        columns, identity = np.empty((7, room)), np.empty(room, dtype=np.uint64)
        count = _find_drops(
            columns,
            identity,
            np.uint64(field.key),
            field.period_m,
            per_m3,
            camera.near_m,
            end_m,
            margins_m,
            slopes,
            bins.diameter_mm,
            bins.edge_fall_speed_m_s,
            air,
        )
        if count <= room:
            return Drops(*columns[:, :count]), identity[:count]
        room = count


def _margins_of_motion_m(
    camera: Camera, slopes: Float[np.ndarray, "4"], camera_m_s: tuple[float, float, float]
) -> Float[np.ndarray, "2 1"]:
    """How much farther outside the view, sideways and upright, drops are seen by a camera that moves [m]."""
    right_m, down_m, away_m = camera.exposure_s / 2 * np.abs(camera_m_s)
    return np.array([[right_m], [down_m]]) + away_m * np.abs(slopes).max()


@njit(cache=True, nogil=True, error_model="numpy")
def _find_drops(  # type: ignore[no-untyped-def]
    columns,
    identity,
    key,
    period_m,
    per_m3,
    near_m,
    end_m,
    margins_m,
    slopes,
    diameter_mm,
    edge_fall_speed_m_s,
    air,
):
    """Write the drops in the order of Drops, as many as there is room for; returns how many there are.

    `air` is seen from the camera: its velocity and path (right, down, away), the time, and of the sway the standard
    deviation of speed and path.
    """
    log_ratio = np.log(diameter_mm[1] / diameter_mm[0])
    found = 0
    for size in range(len(per_m3)):
        period = (period_m[0, size], period_m[1, size], period_m[2, size])
        held = per_m3[size] * period[0] * period[1] * period[2]
        if end_m[size] <= near_m:
            continue
        view = (near_m, end_m[size], slopes, margins_m[0, size], margins_m[1, size])
        size_key = random_bits(key, size)
        slot, order = 0, 0.0
        while True:
            slot_key = random_bits(size_key, slot)
            gap, height = two_uniforms(slot_key, 0)
            order -= np.log(gap)
            if order >= held:
                break
            within, _ = two_uniforms(slot_key, 1)
            before, slot = found, slot + 1
            fall_m_s = (1 - within) * edge_fall_speed_m_s[size] + within * edge_fall_speed_m_s[size + 1]
            found = _find_of_slot(columns, identity, found, slot_key, height, fall_m_s, period, view, air)
            for drop in range(before, min(found, len(identity))):
                columns[0, drop] = diameter_mm[size] * np.exp((within - 0.5) * log_ratio)
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _find_of_slot(  # type: ignore[no-untyped-def]
    columns, identity, found, slot_key, height, fall_m_s, period, view, air
):
    """Write place and velocity of the drops that one slot has in view."""
    near_m, end_m, slopes, aside_m, upright_m = view
    velocity_m_s, path_m, time_s, turbulence_m_s, swayed_m = air
    down_m = height * period[1] + fall_m_s * time_s + path_m[1]
    top_m = min(slopes[2] * near_m, slopes[2] * end_m) - upright_m
    bottom_m = max(slopes[3] * near_m, slopes[3] * end_m) + upright_m
    for turn in _turns(down_m, period[1], top_m, bottom_m):
        y_m = down_m + turn * period[1]
        turn_key = random_bits(slot_key, turn)
        depth, _ = two_uniforms(turn_key, 0)
        sway_away, _ = two_normals(turn_key, 1)
        away_m = depth * period[2] + path_m[2] + swayed_m * sway_away
        for deep_turn in _turns(away_m, period[2], near_m, end_m):
            z_m = away_m + deep_turn * period[2]
            if not slopes[2] * z_m - upright_m <= y_m <= slopes[3] * z_m + upright_m:
                continue
            place_key = random_bits(turn_key, deep_turn)
            aside, _ = two_uniforms(place_key, 0)
            sway_right, _ = two_normals(place_key, 1)
            right_m = aside * period[0] + path_m[0] + swayed_m * sway_right
            for copy in _turns(right_m, period[0], slopes[0] * z_m - aside_m, slopes[1] * z_m + aside_m):
                if found < len(identity):
                    identity[found] = random_bits(place_key, IDENTITY_COUNTER + copy)
                    columns[1, found] = right_m + copy * period[0]
                    columns[2, found] = y_m
                    columns[3, found] = z_m
                    columns[4, found] = velocity_m_s[0] + turbulence_m_s * sway_right
                    columns[5, found] = velocity_m_s[1] + fall_m_s
                    columns[6, found] = velocity_m_s[2] + turbulence_m_s * sway_away
                found += 1
    return found


@njit(cache=True, nogil=True, error_model="numpy")
def _turns(at_m: float, period_m: float, first_m: float, last_m: float) -> range:
    """Numbers n for which at + n period lies between `first_m` and `last_m`."""
    return range(int(np.ceil((first_m - at_m) / period_m)), int(np.floor((last_m - at_m) / period_m)) + 1)
