"""A fit as kinds of rain: what one photograph may have of it goes together, and differs from the next photograph's.

Simulated pictures that were seen most as a photograph was stand for it, their numbers moved by what is left between the
estimates (regression adjustment: Beaumont, Zhang & Balding 2002, doi:10.1093/genetics/162.4.2025). All photographs'
kinds together are the rain of the place: numbers that go together stay together, two sorts of pictures stay two sorts,
and a number of which a picture says nothing is as the last rounds drew it.

One picture tells less than all do, so that its kinds stay nearer to what was simulated than they should, and limits cut
some off. So all kinds are moved alike, until what they draw covers as much, and is as bright, long and wide on average,
as was found for all photographs together.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from pipelines.fit_families import FINDINGS_OF, LAYER_RANGES, Number, findings, named_numbers, render
from pipelines.fit_rounds import CHUNK, ROUND_STRIDE, Crew, Search, Setting
from rainsynth.measure.population import Population, Regression
from rainsynth.measure.response import Rows
from rainsynth.scene.background import Background

KINDS = 120  # choice: about so many in all, but one at least for each of the photographs that are used
SMALLEST_SPREAD = 1e-12
MOVES = 4  # choice: what is missing is a few per cent then, less than is known of it
DRAWS = (
    4  # choice: pictures of each kind that are drawn, so that their mean is known better than that of the photographs
)
DIRECTIONS = ("direction_deg", "faint_direction_deg")
MOVES_INDEX = 8 * ROUND_STRIDE  # of the pictures that are drawn to see what is missing; rounds have others


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kinds:
    """Photographs by their places, and numbers that each may have, in their own scales: several times, all as likely.

    `numbers` holds those that are drawn one by one, in the order of `ranges`.
    """

    ranges: dict[str, Number]
    places: tuple[int, ...]
    numbers: Float[np.ndarray, "kinds free"]

    @property
    def matched(self) -> bool:
        """Whether they are matched to streaks that were taken off, and have the numbers that layers alone show."""
        return LAYER_RANGES.keys() <= self.ranges.keys()

    def named(self, kind: int) -> dict[str, float]:
        """Numbers of one kind by name, within their limits."""
        return named_numbers(self.ranges, self.numbers[kind])


def kinds_of(
    setting: Setting,
    search: Search,
    regression: Regression,
    estimates: Rows,
    found: Population,
    crew: Crew,
    advance: Callable[[int], None],
) -> Kinds:
    """The kinds of a fit: `estimates` are those of the photographs, `found` the numbers over all of them.

    Of more than KINDS photographs that many are used, evenly. `advance` hears of every picture that is drawn.
    """
    places, each = places_used(len(estimates))
    likely = np.concatenate([likely_numbers(regression, estimates[place], each) for place in places])
    free = len(search.ranges)
    kinds = Kinds(ranges=search.ranges, places=tuple(np.repeat(places, each).tolist()), numbers=likely[:, :free])
    return moved(setting, search, kinds, shift_of(regression, search.ranges), found.mean[free:], crew, advance)


def places_used(photographs: int) -> tuple[np.ndarray, int]:
    """Which of so many photographs have kinds, and how many each."""
    places = np.unique(np.linspace(0, photographs - 1, min(photographs, KINDS)).round().astype(int))
    return places, max(KINDS // len(places), 1)


def pictures_drawn(photographs: int) -> int:
    """How many pictures `kinds_of` draws."""
    places, each = places_used(photographs)
    return (MOVES + 1) * DRAWS * len(places) * each


def likely_numbers(
    regression: Regression, estimate: Float[np.ndarray, "q"], count: int
) -> Float[np.ndarray, "count q"]:
    """Numbers that a photograph with an estimate may have: those of the pictures with estimates nearest to its."""
    spread = np.maximum(regression.numbers.std(axis=0), SMALLEST_SPREAD)
    apart = np.sum(((estimate - regression.cross_validated) / spread) ** 2, axis=1)
    nearest = np.argsort(apart, kind="stable")[:count]
    return regression.numbers[nearest] + estimate - regression.cross_validated[nearest]


def shift_of(regression: Regression, ranges: Collection[str]) -> Float[np.ndarray, "findings free"]:
    """By how much the numbers of simulated pictures differ where a finding differs by one, and no other finding.

    Directions stay: they follow from no finding, and differ by chance alone.
    """
    off, free = regression.numbers - regression.numbers.mean(axis=0), len(ranges)
    shift, *_ = np.linalg.lstsq(off[:, free:], off[:, :free], rcond=1e-6)
    return shift * ~np.isin(list(ranges), DIRECTIONS)


def moved(
    setting: Setting,
    search: Search,
    kinds: Kinds,
    shift: Float[np.ndarray, "findings free"],
    wanted: Float[np.ndarray, "findings"],
    crew: Crew,
    advance: Callable[[int], None],
) -> Kinds:
    """The kinds moved alike, so that what they draw has nearly the means `wanted`; of all moves the best."""
    tried = []
    for _ in range(MOVES + 1):
        drawn = drawn_findings(setting, search, kinds, crew, advance)
        missing = wanted - drawn.mean(axis=0)
        tried.append((float(np.sum((missing / np.maximum(drawn.std(axis=0), SMALLEST_SPREAD)) ** 2)), kinds))
        kinds = replace(kinds, numbers=kinds.numbers + missing @ shift)
    return min(tried, key=lambda one: one[0])[1]


def drawn_findings(setting: Setting, search: Search, kinds: Kinds, crew: Crew, advance: Callable[[int], None]) -> Rows:
    """What follows in DRAWS pictures of each kind, as the fit's own pictures show it; the same chance in every call."""
    count = DRAWS * len(kinds.places)
    chunks = [range(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)]
    rows = []
    for chunk in crew(_draw_chunk, [(setting, search, kinds, chunk) for chunk in chunks]):
        rows += chunk
        advance(len(chunk))
    return np.array(rows)


def _draw_chunk(job: tuple[Setting, Search, Kinds, Sequence[int]]) -> list[list[float]]:
    setting, search, kinds, chosen = job
    return [_draw(setting, search, kinds, number) for number in chosen]


def _draw(setting: Setting, search: Search, kinds: Kinds, number: int) -> list[float]:
    kind = number % len(kinds.places)
    rainy = setting.rainy[kinds.places[kind]]
    black = Background(np.zeros((rainy.height_px, rainy.width_px, 3), np.uint8))
    sample = render(search.family, kinds.named(kind), black, rainy.window, setting.seed, MOVES_INDEX + number)
    found = findings(search.family, sample)
    return [found[name] for name in FINDINGS_OF[search.family]]
