"""Kinds of rain whose layers are as those that a network takes off the photographs, looked for one by one.

Numbers that are regressed on a picture's statistics are drawn to the middle of what was simulated, and the picture's
rain with them. A layer that a network has taken off tells more: with it two layers can be compared, no picture between
them. So pictures of the fitted rain tell what a layer truly is of which so much is taken off (a regression of the
statistics of the true layer on those of the taken one), and for each photograph numbers are looked for whose layers
have just these statistics (differential evolution: Storn & Price 1997, doi:10.1023/A:1008202821328).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float
from scipy.optimize import differential_evolution

from pipelines.fit_families import LAYER_RANGES, SCREEN, STREAKS_OF, Number, line_kind
from pipelines.fit_kinds import Kinds, likely_numbers, places_used
from pipelines.fit_rounds import CHUNK, ROUND_STRIDE, Crew, Search, Setting
from pipelines.progress import progress
from rainsynth.lookalikes.layers import RECIPES
from rainsynth.lookalikes.line_rain import STREAKS
from rainsynth.measure.layer_shape import DIRECTION, ROWS, layer_shape, weights_of
from rainsynth.measure.population import regress
from rainsynth.measure.rain_statistics import Statistics, as_row
from rainsynth.seeding import MIXTURE_STREAM, sample_rng

WIDEST_PX = 480  # choice: of layers that are compared; columns in the middle tell enough, and time is short
LEAST_ERROR = 0.02  # of a statistic; below it one layer of the same numbers differs from the next
DIRECTION_ERROR_DEG, ROWS_ERROR = 1.0, 0.08  # choices: these are taken as the network shows them
MOST_APART = 16.0  # squared errors that one statistic may count, so that none decides
FIRST_DIRECTION_SD_DEG = 2.0  # of what is tried first, about the direction of the layer
MUTATION, RECOMBINATION = (0.3, 0.9), 0.9  # of differential evolution
JUDGED = 16  # of the last population, anew: the best of many by one draw is best by luck
JUDGED_DRAWS = 4
INDICES_EACH = 10  # of one photograph: of 1 + JUDGED_DRAWS layers, of what is tried first, and of the search
FIRST_PLACE, SEARCH_PLACE = 8, 9  # of the last two among these
LIBRARY_INDEX, MATCH_INDEX = 5 * ROUND_STRIDE, 6 * ROUND_STRIDE  # of layers; rounds and pictures have others

Layer = Float[np.ndarray, "h w"]
Size = tuple[int, int]  # height and width
Rows = Float[np.ndarray, "rows columns"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How long to look: pictures whose layers are known, layers to learn numbers from, and for each photograph how many
    numbers at a time, how often."""

    pictures: int
    library: int
    population: int
    rounds: int


WHOLE_EFFORT = Effort(pictures=200, library=2000, population=32, rounds=6)
QUICK_EFFORT = Effort(pictures=60, library=200, population=16, rounds=2)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wanted:
    """What the layer of one photograph is to be: its size, its statistics, how well each is known, and its weight."""

    size_px: Size
    shape: Float[np.ndarray, "s"]
    error: Float[np.ndarray, "s"]
    weights: Float[np.ndarray, "s"]

    def apart(self, shapes: Rows) -> Float[np.ndarray, "rows"]:
        """How far layers are from it: weighted mean of squares, in errors, of the statistics."""
        return np.minimum(((shapes - self.shape) / self.error) ** 2, MOST_APART) @ self.weights


def matched_search(search: Search, whole: dict[str, Number]) -> Search:
    """All that a family's numbers may be at all, and those that layers alone show: edges, and how they lie together."""
    ranges = {name: number for name, number in whole.items() if name != SCREEN} | LAYER_RANGES
    return replace(search, ranges=ranges, aim=None)


def limits_of(search: Search) -> Float[np.ndarray, "free 2"]:
    """Limits of each number in its own scale."""
    return np.array([number.limits for number in search.ranges.values()])


def layer_of(search: Search, values: Float[np.ndarray, "free"], size_px: Size, rng: np.random.Generator) -> Layer:
    """A layer of streaks of these numbers [codes]."""
    numbers = dict(line_kind(search.numbers(values) | {SCREEN: 0.0}).ranges)
    return RECIPES[STREAKS[STREAKS_OF[search.family]]](*size_px, numbers, rng)


def shape_of(search: Search, layer_codes: Layer) -> Statistics:
    """Statistics of a layer, whose streaks are looked for where the search looks for them."""
    return layer_shape(middle_columns(layer_codes), search.centre_deg, search.reach_deg)


def row_of(
    search: Search, values: Float[np.ndarray, "free"], size_px: Size, seed: int, index: int
) -> Float[np.ndarray, "s"]:
    """Statistics of a layer of these numbers: a function of the arguments."""
    cv2.setNumThreads(1)
    return as_row(shape_of(search, layer_of(search, values, size_px, sample_rng(seed, index, MIXTURE_STREAM))))


def middle_columns(layer_codes: Layer) -> Layer:
    """At most WIDEST_PX of a layer's columns, its whole height."""
    first = max(layer_codes.shape[1] - WIDEST_PX, 0) // 2
    return layer_codes[:, first : first + WIDEST_PX]


def wanted_layers(names: Sequence[str], known: Rows, seen: Rows, taken: Rows, sizes_px: Sequence[Size]) -> list[Wanted]:
    """What the layers of photographs are to be whose taken ones have the statistics `taken`, a row each.

    `known` and `seen` are statistics of true and of taken layers of the same pictures. Rows and directions stay as
    taken: the pictures' own rows do not dim, and a network does not turn streaks.
    """
    told = regress(seen, known)
    error = np.maximum(np.sqrt(np.mean((told.numbers - told.cross_validated) ** 2, axis=0)), LEAST_ERROR)
    rows = np.array([name.startswith(ROWS) for name in names])
    direction = np.array([name == DIRECTION for name in names])
    error = np.where(rows, ROWS_ERROR, np.where(direction, DIRECTION_ERROR_DEG, error))
    shapes = np.where(rows | direction, taken, told.estimates(taken))
    weights = weights_of(names)
    return [
        Wanted(size_px=(height, min(width, WIDEST_PX)), shape=shape, error=error, weights=weights)
        for shape, (height, width) in zip(shapes, sizes_px, strict=True)
    ]


def matched_kinds(
    setting: Setting, search: Search, names: Sequence[str], wanted: Sequence[Wanted], effort: Effort, crew: Crew
) -> Kinds:
    """Kinds of all photographs that have any, each of numbers whose layers are as `wanted` of it."""
    places, each = places_used(len(wanted))
    numbers, shapes = library(setting, search, wanted[0].size_px, effort.library, crew)
    told, direction = regress(shapes, numbers), list(search.ranges).index("direction_deg")
    jobs = []
    for place in places.tolist():
        one, index = wanted[place], MATCH_INDEX + place * INDICES_EACH
        rng = sample_rng(setting.seed, index + FIRST_PLACE, MIXTURE_STREAM)
        start = likely_numbers(told, told.estimates(one.shape[None])[0], effort.population)
        own_deg = one.shape[list(names).index(DIRECTION)]
        start[:, direction] = own_deg + FIRST_DIRECTION_SD_DEG * rng.standard_normal(len(start))
        start = np.clip(start, *limits_of(search).T)
        jobs.append((search, one, start, setting.seed, index, effort.rounds, each))
    found = []
    with progress("kinds matched to streaks", len(jobs)) as advance:
        for kinds in crew(_match, jobs):
            found.append(kinds)
            advance(1)
    return Kinds(ranges=search.ranges, places=tuple(np.repeat(places, each).tolist()), numbers=np.concatenate(found))


def library(
    setting: Setting, search: Search, size_px: Size, count: int, crew: Crew
) -> tuple[Float[np.ndarray, "count free"], Rows]:
    """Numbers all over their ranges, and statistics of a layer of each."""
    rng = sample_rng(setting.seed, LIBRARY_INDEX, MIXTURE_STREAM)
    numbers = np.stack([number.draw(rng, count) for number in search.ranges.values()], axis=1)
    chunks = [range(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)]
    rows: list[np.ndarray] = []
    with progress("layers drawn", count) as advance:
        for chunk in crew(_draw_chunk, [(search, numbers[chunk], size_px, setting.seed, chunk) for chunk in chunks]):
            rows += chunk
            advance(len(chunk))
    return numbers, np.array(rows)


def _draw_chunk(job: tuple[Search, Rows, Size, int, range]) -> list[np.ndarray]:
    search, numbers, size_px, seed, chunk = job
    drawn = zip(chunk, numbers, strict=True)
    return [row_of(search, values, size_px, seed, LIBRARY_INDEX + 1 + at) for at, values in drawn]


def _match(job: tuple[Search, Wanted, Rows, int, int, int, int]) -> Rows:
    """The `each` numbers whose layers are nearest to what is wanted."""
    search, wanted, start, seed, index, rounds, each = job

    def apart(values: Float[np.ndarray, "free"], at: int) -> float:
        return float(wanted.apart(row_of(search, values, wanted.size_px, seed, at)[None])[0])

    limits = limits_of(search)
    open_ = limits[:, 1] > limits[:, 0]

    def whole(values: Float[np.ndarray, "open"]) -> Float[np.ndarray, "free"]:
        full = limits[:, 0].copy()
        full[open_] = values
        return full

    evolved = differential_evolution(
        lambda values: apart(whole(values), index),
        limits[open_],
        init=start[:, open_],
        maxiter=rounds,
        mutation=MUTATION,
        recombination=RECOMBINATION,
        tol=0,
        polish=False,
        seed=sample_rng(seed, index + SEARCH_PLACE, MIXTURE_STREAM),
    )
    best = np.argsort(evolved.population_energies, kind="stable")[: max(JUDGED, each)]
    last = [whole(values) for values in evolved.population[best]]
    judged = [np.mean([apart(values, index + 1 + draw) for draw in range(JUDGED_DRAWS)]) for values in last]
    chosen = np.resize(np.argsort(judged, kind="stable")[:each], each)  # fewer than `each` come twice
    return np.array(last)[chosen]
