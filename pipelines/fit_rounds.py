"""Rounds of a fit: pictures simulated where the rain is looked for, numbers regressed, the search narrowed.

Every simulated picture stands for one of the rainy photographs: it has its size and its window. It follows from
(seed, round, number) alone, so that any number of processes makes the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float, UInt8

from pipelines.fit_aim import Aim, draw_numbers
from pipelines.fit_camera import KnownCamera
from pipelines.fit_families import FINDINGS_OF, Number, findings, named_numbers, render
from pipelines.fit_pictures import Rainy, clean_like
from pipelines.fit_statistics import picture_statistics
from rainsynth.lookalikes import LookAlike
from rainsynth.measure.rain_statistics import Statistics, as_row
from rainsynth.named_rain import render_preset
from rainsynth.presets import Preset
from rainsynth.sample import RainSample
from rainsynth.scene.background import Background
from rainsynth.seeding import MIXTURE_STREAM, sample_rng

CHUNK = 10  # pictures that a process makes at a time
ROUND_STRIDE = 1_000_000  # indices of a round

Rain = Preset | LookAlike
Rows = Float[np.ndarray, "rows columns"]
Depths = dict[Path, Float[np.ndarray, "h w"] | float]  # of rainy photographs whose depth is known [m]


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Where rain is looked for: the family, its numbers' ranges, the direction of its streaks, what is to follow."""

    family: str
    ranges: dict[str, Number]
    centre_deg: float
    reach_deg: float
    aim: Aim | None = None

    def numbers(self, values: Float[np.ndarray, "free"]) -> dict[str, float]:
        """Numbers by name, within their limits, of values in their own scales."""
        return named_numbers(self.ranges, values)


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What all rounds have in common: the rainy photographs, their depth and camera, clean backgrounds, the seed.

    `network` names the weights that see the streaks of photographs and of simulated pictures.
    """

    rainy: tuple[Rainy, ...]
    backgrounds: tuple[Path, ...]
    depths: Depths
    camera: KnownCamera
    seed: int
    network: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Simulated:
    """Statistics and numbers of simulated pictures, a row each; numbers are the search's own, then its findings."""

    statistics: Rows
    numbers: Rows


def statistics_of(setting: Setting, search: Search, picture_srgb8: UInt8[np.ndarray, "h w 3"]) -> Statistics:
    """Statistics of a picture, its streaks looked for where the search looks for them."""
    return picture_statistics(picture_srgb8, search.centre_deg, search.reach_deg, setting.network)


def simulate(setting: Setting, search: Search, index: int) -> tuple[np.ndarray, np.ndarray]:
    """Statistics and numbers of the simulated picture `index`."""
    cv2.setNumThreads(1)
    rng = sample_rng(setting.seed, index, MIXTURE_STREAM)
    drawn = draw_numbers(search.ranges, search.aim, rng)
    rainy = setting.rainy[index % len(setting.rainy)]
    clean_srgb8 = clean_like(rainy, setting.backgrounds, rng)
    background = Background(clean_srgb8, setting.depths.get(rainy.path))
    sample = render(search.family, search.numbers(drawn), background, rainy.window, setting.seed, index)
    statistics = as_row(statistics_of(setting, search, sample.rainy_srgb8))
    found = findings(search.family, sample)
    return statistics, np.array([*drawn, *(found[name] for name in FINDINGS_OF[search.family])])


def sample_like(setting: Setting, rainy: Rainy, rain: Rain, *, name: str = "fitted", index: int) -> RainSample:
    """A whole clean photograph of the size of a rainy one, with its depth where that is known, in rain of any sort."""
    background = Background(clean_at(setting, rainy, index), setting.depths.get(rainy.path))
    return render_preset(background, rain, name=name, seed=setting.seed, index=index)


def clean_at(setting: Setting, rainy: Rainy, index: int) -> UInt8[np.ndarray, "h w 3"]:
    """The whole clean photograph, made like a rainy one, that follows from an index."""
    return clean_like(rainy, setting.backgrounds, sample_rng(setting.seed, index, MIXTURE_STREAM))


def simulate_round(
    setting: Setting, search: Search, number: int, count: int, crew: Crew, advance: Callable[[int], None]
) -> Simulated:
    """`count` simulated pictures of round `number`."""
    first = number * ROUND_STRIDE
    chunks = [range(first + at, first + min(at + CHUNK, count)) for at in range(0, count, CHUNK)]
    rows = []
    for chunk in crew(_simulate_chunk, [(setting, search, chunk) for chunk in chunks]):
        rows += chunk
        advance(len(chunk))
    statistics, numbers = zip(*rows, strict=True)
    return Simulated(statistics=np.array(statistics), numbers=np.array(numbers))


def _simulate_chunk(job: tuple[Setting, Search, Sequence[int]]) -> list[tuple[np.ndarray, np.ndarray]]:
    setting, search, indices = job
    return [simulate(setting, search, index) for index in indices]


Crew = Callable[..., Iterator]  # map: a function and its jobs -> results in order


@contextmanager
def crew_of(workers: int) -> Iterator[Crew]:
    """Runs jobs in order on so many processes; in this one for 1."""
    if workers == 1:
        yield map
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        yield pool.map
