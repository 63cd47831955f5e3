"""Kinds of rain whose layers are as those that a network takes off the photographs, looked for one by one.

Numbers that are regressed on a picture's statistics are drawn to the middle of what was simulated, and the picture's
rain with them. A layer that a network has taken off tells more: with it two layers can be compared, no picture between
them. So pictures of the fitted rain tell what a layer truly is of which so much is taken off (a regression of the
statistics of the true layer on those of the taken one), and for each photograph numbers are looked for whose layers
have just these statistics on average (`fit_layer_model`). Found once, they are a nearer rain for pictures that tell
what is taken off, and a nearer place for layers to learn from: so they are looked for again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from jaxtyping import Float, Int

from pipelines.fit_families import LAYER_RANGES, SCREEN, STREAKS_OF, WIDER_OF_LAYERS, Number, line_kind
from pipelines.fit_kinds import Kinds, likely_numbers, places_used
from pipelines.fit_layer_model import DrawnLayers, LayerModel, Wanted, learned, starts_near
from pipelines.fit_rounds import CHUNK, ROUND_STRIDE, Crew, Rows, Search, Setting
from pipelines.progress import progress
from rainsynth.lookalikes.layers import RECIPES
from rainsynth.lookalikes.line_rain import STREAKS
from rainsynth.measure.layer_shape import DIRECTION, ROWS, layer_shape, weights_of
from rainsynth.measure.population import regress
from rainsynth.measure.rain_statistics import Statistics, as_row
from rainsynth.seeding import MIXTURE_STREAM, sample_rng

WIDEST_PX = 480  # choice: of layers that are compared; columns in the middle tell enough, and time is short
LEAST_ERROR = 0.02  # choice: no statistic is known better
DIRECTION_ERROR_DEG, ROWS_ERROR = 1.0, 0.08  # choices: these are taken as the network shows them
TURNS = 2  # choice: how often what a network takes off is looked at, from the second time in what was found before
ROUNDS = 2  # choice: how often numbers are looked for in a turn
FIRST_DIRECTION_SD_DEG = 2.0  # of where the search begins, about the direction of the layer
ABOUT_FRACTION = 0.08  # standard deviation, of its range, of each number that is drawn about one that was found
LEAST_NEAR = 10  # layers near each photograph's
LIBRARY_INDEX, MATCH_INDEX = 5 * ROUND_STRIDE, 6 * ROUND_STRIDE  # of layers, of numbers; rounds have others

Layer = Float[np.ndarray, "h w"]
Size = tuple[int, int]  # height and width
Limits = Float[np.ndarray, "free 2"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Effort:
    """How much is drawn: pictures whose layers are known, each turn, layers of numbers all over their ranges, and
    layers near those of all photographs, each round."""

    pictures: int
    library: int
    near: int


WHOLE_EFFORT = Effort(pictures=200, library=3000, near=1500)
QUICK_EFFORT = Effort(pictures=60, library=2000, near=1000)


def matched_search(search: Search, whole: dict[str, Number]) -> Search:
    """All that a family's numbers may be at all, and those that layers alone show: edges, and how they lie together."""
    ranges = {name: number for name, number in whole.items() if name != SCREEN}
    ranges |= WIDER_OF_LAYERS[search.family] | LAYER_RANGES
    return replace(search, ranges=ranges, aim=None)


def limits_of(search: Search) -> Limits:
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


def compared_px(size_px: Size) -> Size:
    """Height and width of what is compared of a layer."""
    height_px, width_px = size_px
    return height_px, min(width_px, WIDEST_PX)


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
        Wanted(
            size_px=compared_px(size_px),
            shape=shape,
            error=error,
            weights=weights,
            direction_deg=float(shape[direction].item()),
        )
        for shape, size_px in zip(shapes, sizes_px, strict=True)
    ]


def layers_all_over(
    setting: Setting, search: Search, sizes_px: Sequence[Size], effort: Effort, crew: Crew
) -> DrawnLayers:
    """Layers of numbers all over their ranges, of the sizes of the photographs in turn."""
    rng = sample_rng(setting.seed, LIBRARY_INDEX, MIXTURE_STREAM)
    numbers = np.stack([number.draw(rng, effort.library) for number in search.ranges.values()], axis=1)
    compared = np.resize([compared_px(size_px) for size_px in sizes_px], (effort.library, 2))
    return draw_layers(setting, search, numbers, compared, 0, crew)


def matched_kinds(
    setting: Setting,
    search: Search,
    wanted: Sequence[Wanted],
    drawn: DrawnLayers,
    effort: Effort,
    crew: Crew,
    before: Kinds | None = None,
) -> tuple[Kinds, DrawnLayers]:
    """A kind of every photograph that has one, of the numbers whose layers are on average as `wanted` of it: one round.

    Where the model of layers errs the search finds it out, and the next round draws layers there that correct it: about
    the kinds that were found `before`, in the first round about what a regression over the layers `drawn` tells. They
    come back with these.
    """
    places, _ = places_used(len(wanted))
    each, limits = max(effort.near // len(places), LEAST_NEAR), limits_of(search)
    of_places = [wanted[place] for place in places]
    rng = sample_rng(setting.seed, MATCH_INDEX + len(drawn.numbers), MIXTURE_STREAM)
    near = numbers_told(drawn, of_places, each) if before is None else numbers_about(before, limits, each, rng)
    sizes_px = np.repeat([one.size_px for one in of_places], each, axis=0)
    near = np.clip(near, *limits.T)
    drawn = drawn.with_more(draw_layers(setting, search, near, sizes_px, len(drawn.numbers), crew))
    model = learned(limits, drawn, len(near), setting.seed, crew)
    direction = list(search.ranges).index("direction_deg")
    jobs = []
    for one in of_places:
        start = starts_near(one, drawn, model.spread)
        start[:, direction] = one.direction_deg + FIRST_DIRECTION_SD_DEG * rng.standard_normal(len(start))
        jobs.append((model, one, np.clip(start, *limits.T)))
    found = []
    with progress("kinds matched to streaks", len(jobs)) as advance:
        for values in crew(_nearest, jobs):
            found.append(values)
            advance(1)
    return Kinds(ranges=search.ranges, places=tuple(places.tolist()), numbers=np.array(found)), drawn


def numbers_told(drawn: DrawnLayers, wanted: Sequence[Wanted], each: int) -> Rows:
    """Numbers that every photograph may have, by a regression over layers that were drawn."""
    told = regress(drawn.shapes, drawn.numbers)
    estimates = told.estimates(np.array([one.shape for one in wanted]))
    return np.concatenate([likely_numbers(told, estimate, each) for estimate in estimates])


def numbers_about(kinds: Kinds, limits: Limits, each: int, rng: np.random.Generator) -> Rows:
    """Numbers about those of every kind."""
    wide = ABOUT_FRACTION * (limits[:, 1] - limits[:, 0])
    return np.concatenate([values + wide * rng.standard_normal((each, len(wide))) for values in kinds.numbers])


def draw_layers(
    setting: Setting, search: Search, numbers: Rows, sizes_px: Int[np.ndarray, "rows 2"], first: int, crew: Crew
) -> DrawnLayers:
    """A layer of each of these numbers and sizes; the first of them is the layer `first` of all that are drawn."""
    count = len(numbers)
    chunks = [range(at, min(at + CHUNK, count)) for at in range(0, count, CHUNK)]
    jobs = [
        (search, numbers[chunk], sizes_px[chunk], setting.seed, LIBRARY_INDEX + 1 + first + chunk[0])
        for chunk in chunks
    ]
    rows: list[np.ndarray] = []
    with progress("layers drawn", count) as advance:
        for chunk_rows in crew(_draw_chunk, jobs):
            rows += chunk_rows
            advance(len(chunk_rows))
    return DrawnLayers(numbers=numbers, sizes_px=sizes_px, shapes=np.array(rows))


def _draw_chunk(job: tuple[Search, Rows, Int[np.ndarray, "rows 2"], int, int]) -> list[np.ndarray]:
    search, numbers, sizes_px, seed, first = job
    drawn = enumerate(zip(numbers, sizes_px.tolist(), strict=True))
    return [row_of(search, values, (height, width), seed, first + at) for at, (values, (height, width)) in drawn]


def _nearest(job: tuple[LayerModel, Wanted, Rows]) -> Float[np.ndarray, "free"]:
    model, wanted, start = job
    return model.nearest(wanted, start)
