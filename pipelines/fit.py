"""`rainsynth fit`: the rain of a place from rainy photographs alone, as ranges that a config takes.

Rain of known numbers is put on clean photographs, the same statistics are taken of those pictures and of the rainy
ones, and the numbers are regressed on the statistics (rainsynth.measure.population): once over all that rain may be,
then nearer and nearer to what was found. docs/fit.md says how well that does, and what was tried besides.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from pipelines.fit_aim import aim_at
from pipelines.fit_camera import NOTHING_KNOWN, KnownCamera, camera_of
from pipelines.fit_families import (
    FAMILIES,
    FINDINGS_OF,
    PHYSICAL,
    RANGES_OF,
    SCREEN,
    STREAKS_OF,
    Number,
    with_spread,
)
from pipelines.fit_kinds import Kinds, kinds_of, pictures_drawn
from pipelines.fit_pictures import Rainy, survey_rainy
from pipelines.fit_rounds import Crew, Depths, Search, Setting, Simulated, crew_of, simulate_round, statistics_of
from pipelines.fit_statistics import NETWORK, network_of, telling
from pipelines.progress import progress
from rainsynth.checks import InputError, check_choice, check_count
from rainsynth.measure.population import Population, Regression, interval_sds, population, regress
from rainsynth.measure.rain_statistics import as_row, main_direction_near_deg, streak_profile
from rainsynth.seeding import ORDER_STREAM, sample_rng

AUTO = "auto"
PICTURES_OF_ROUNDS = (600, 600, 600, 1000)  # choice: minutes on two processors
QUICK_PICTURES_OF_ROUNDS = (120, 110, 110, 160)  # a first look: docs/fit.md says how much worse
STEEPEST_STREAK_DEG = 60.0
FASTEST_FALL_M_S = 9.17  # of drops of 5.8 mm, Gunn & Kinzer (1949): wind is this times the slant's tangent at most
SMALLEST_REACH_DEG = 10.0
REACH_SDS = 3.0
WIDER = 1.3  # choice: the search goes on so much wider than what was found, or the next round would only confirm it
NARROWEST_SHARE = 0.12  # of a number's whole range: no search is narrower
TOLD_SHARE = 0.15  # choice: of a number's whole range, that half a 90 % interval may be
WHOLE_OF_FINDINGS = 3.0  # choice: what follows in a picture is looked for over a factor of e^3 = 20
FIRST_ROUNDS = (0, 1, 100)  # numbers of the families' first rounds, which seed them, as the families are tried
LATER_ROUNDS = 2  # number of the round after those, and so on
EVEN_SD = 12**-0.5  # standard deviation of what is spread evenly over 1


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """How to fit. `family` "auto" decides between them; `camera` goes before EXIF.

    `network` names the weights, of the package or of a file, that see the streaks in all pictures alike.
    """

    family: str = AUTO
    network: str = NETWORK
    camera: KnownCamera = NOTHING_KNOWN
    seed: int = 0
    workers: int = 1
    pictures: tuple[int, ...] = PICTURES_OF_ROUNDS

    def __post_init__(self) -> None:
        check_choice(self.family, (AUTO, *FAMILIES), "--family")
        if self.family in STREAKS_OF and self.camera.ends():
            raise InputError(f"--fov-deg and --exposure-s must go with physical rain, got --family {self.family}.")
        check_count(self.seed, 0, 2**63 - 1, "--seed")
        check_count(self.workers, 1, 1024, "--workers")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Fit:
    """The rain of a place: where the search ended, and the numbers of its pictures there.

    `names` are those of the search's ranges, then of its findings; `whole` the ranges it began with. `family_odds` is
    by how much the next family was less likely, as a logarithm; NaN where it was not asked. `screen` is by how much
    lines are screened, from 0 to 1; `interval_sds` the reach of 90 % intervals in standard errors. `estimates` are
    the numbers of each photograph by itself; `kinds` is None for physical rain, which has a range of each number.
    """

    setting: Setting
    search: Search
    whole: dict[str, Number]
    names: tuple[str, ...]
    found: Population
    regression: Regression
    observed: Float[np.ndarray, "n s"]
    statistic_names: tuple[str, ...]
    estimates: Float[np.ndarray, "n q"]
    family_odds: float
    screen: float
    interval_sds: float
    kinds: Kinds | None = None

    @property
    def blend(self) -> str:
        """How lines are blended; physical rain is blended in linear light."""
        if self.search.family == PHYSICAL:
            return "linear light"
        return "screen" if self.screen > 0.5 else "additive"

    def place(self, name: str) -> int:
        """Where a number stands among all."""
        return self.names.index(name)

    def reach(self, name: str) -> float:
        """How far the 90 % interval of a number's mean reaches to either side, in the number's own scale."""
        return self.interval_sds * float(self.found.error[self.place(name), self.place(name)]) ** 0.5

    def told(self, name: str) -> bool:
        """Whether the photographs tell a number by itself: its interval is a small part of where it may lie at all."""
        low, high = self.whole[name].limits if name in self.whole else (0.0, WHOLE_OF_FINDINGS)
        return self.reach(name) < TOLD_SHARE * (high - low)


def fit(
    photographs: Path,
    backgrounds: tuple[Path, ...],
    options: FitOptions,
    depth_of: Callable[[Rainy], object] | None = None,
) -> Fit:
    """Fit the rain of a folder of rainy photographs; `backgrounds` are files of clean ones.

    `depth_of` gives a photograph's depth [m], a map or a number, where it is known. The result follows from the
    photographs, the backgrounds and the options but for `workers`.
    """
    network_of(options.network)  # weights that cannot be read are told before anything is simulated
    rainy = tuple(survey_rainy(photographs, options.seed))
    depths: Depths = {} if depth_of is None else {one.path: depth_of(one) for one in rainy}  # type: ignore[misc]
    camera = camera_of(options.camera, (one.path for one in rainy))
    setting = Setting(
        rainy=rainy, backgrounds=backgrounds, depths=depths, camera=camera, seed=options.seed, network=options.network
    )
    centre_deg, reach_deg = directions_of(rainy)
    families = (PHYSICAL,) if options.camera.ends() else FAMILIES
    families = families if options.family == AUTO else (options.family,)
    total = len(families) * options.pictures[0] + sum(options.pictures[1:])
    searches = [first_search(family, camera, centre_deg, reach_deg) for family in families]
    with crew_of(options.workers) as crew:
        with progress("rain simulated", total) as advance:
            firsts = [
                simulate_round(setting, search, number, options.pictures[0], crew, advance)
                for number, search in zip(FIRST_ROUNDS, searches, strict=False)
            ]
            observed = observe(setting, searches[0])
            chosen, odds = choose(firsts, observed)
            fitted = narrow(setting, searches[chosen], firsts[chosen], options, crew, advance, odds)
        if fitted.search.family == PHYSICAL:
            return fitted
        with progress("rain of the fit drawn", pictures_drawn(len(rainy))) as advance:
            made = kinds_of(setting, fitted.search, fitted.regression, fitted.estimates, fitted.found, crew, advance)
    return replace(fitted, kinds=made)


def directions_of(rainy: tuple[Rainy, ...]) -> tuple[float, float]:
    """Middle of the directions of the photographs' streaks, and how far around it to look [degrees]."""
    found = [main_direction_near_deg(streak_profile(one.seen()), 0, STEEPEST_STREAK_DEG) for one in rainy]
    middle = float(np.median(found))
    robust_sd = 1.4826 * float(np.median(np.abs(np.array(found) - middle)))
    return middle, float(np.clip(REACH_SDS * robust_sd, SMALLEST_REACH_DEG, STEEPEST_STREAK_DEG))


def first_search(family: str, camera: KnownCamera, centre_deg: float, reach_deg: float) -> Search:
    """All that rain of a family may be, but for what is known of direction and camera."""
    ranges = dict(RANGES_OF[family])
    if family in STREAKS_OF:
        low, high = ranges["direction_deg"].limits
        ranges["direction_deg"] = Number(low=max(centre_deg - reach_deg, low), high=min(centre_deg + reach_deg, high))
    if family == PHYSICAL:
        steepest = [
            np.clip(centre_deg + sign * reach_deg, -STEEPEST_STREAK_DEG, STEEPEST_STREAK_DEG) for sign in (-1, 1)
        ]
        low, high = (float(FASTEST_FALL_M_S * np.tan(np.radians(angle_deg))) for angle_deg in steepest)
        limits = ranges["wind_right_m_s"].limits
        ranges["wind_right_m_s"] = Number(low=max(low, limits[0]), high=min(high, limits[1]))
    for name, (low, high) in camera.ends().items():
        if name in ranges:
            ranges[name] = Number(low=low, high=high, scale=ranges[name].scale)
    return Search(family=family, ranges=ranges, centre_deg=centre_deg, reach_deg=reach_deg)


def observe(setting: Setting, search: Search) -> Float[np.ndarray, "n s"]:
    """Statistics of the rainy photographs."""
    return np.array([as_row(statistics_of(setting, search, one.seen())) for one in setting.rainy])


def choose(firsts: list[Simulated], observed: Float[np.ndarray, "n s"]) -> tuple[int, float]:
    """Which of the families the photographs are of, and by how much the next is less likely, as a logarithm; NaN: none.

    The likelier of the first two, then of it and the next.
    """
    best, odds = 0, float("nan")
    for other in range(1, len(firsts)):
        found = other_odds(firsts[best], firsts[other], observed)
        odds = abs(found) if found > 0 else float(np.fmin(odds, -found))
        best = other if found > 0 else best
    return best, odds


def other_odds(one: Simulated, other: Simulated, observed: Float[np.ndarray, "n s"]) -> float:
    """By how much likelier the photographs are of the other of two families, as a logarithm.

    A linear discriminant between simulated pictures of both, normal within each; the photographs' sum of logarithms.
    """
    labels = np.repeat([0.0, 1.0], [len(one.statistics), len(other.statistics)])
    order = np.random.default_rng(np.random.SeedSequence(len(labels))).permutation(len(labels))
    statistics, labels = np.concatenate([one.statistics, other.statistics])[order], labels[order]
    told = regress(statistics, labels[:, None])
    scores, known = told.estimates(observed)[:, 0], told.cross_validated[:, 0]
    logs = [_log_normal(scores, known[labels == label]) for label in (0.0, 1.0)]
    return float(np.sum(np.clip(logs[1] - logs[0], -3, 3)))  # no single picture decides


def _log_normal(values: Float[np.ndarray, "n"], of: Float[np.ndarray, "m"]) -> Float[np.ndarray, "n"]:
    return -0.5 * ((values - of.mean()) / of.std()) ** 2 - np.log(of.std())


def narrow(
    setting: Setting,
    search: Search,
    first: Simulated,
    options: FitOptions,
    crew: Crew,
    advance: Callable[[int], None],
    odds: float,
) -> Fit:
    """Round after round, each where the last one found the rain; numbers are told by the last two.

    Lines are of either blend until the last round, which is told best where all else is known, and of one in that:
    the same streaks are brighter where they are screened, so that a blend half told would pull at all levels.
    """
    whole, simulated, screen = search.ranges, [first], float("nan")
    names = (*search.ranges, *FINDINGS_OF[search.family])
    free = np.arange(len(names)) < len(search.ranges)
    statistic_names = tuple(statistics_of(setting, search, setting.rainy[0].seen()))
    for number in range(len(options.pictures)):
        observed = observe(setting, search)
        latest = [within(one, search) for one in simulated[-2:]]
        used = telling(search.family, statistic_names, sum(len(one.statistics) for one in latest))
        regression = told_by(latest, used)
        found = population(regression, observed[:, used], free, len(setting.backgrounds))
        if SCREEN in names and number == max(len(options.pictures) - 2, 0):
            screen = float(found.mean[names.index(SCREEN)])
            search = blended(search, screen)
        if number + 1 < len(options.pictures):
            search = aimed(narrowed(search, whole, names, found), latest[-1].numbers, found)
            simulated.append(
                simulate_round(setting, search, LATER_ROUNDS + number, options.pictures[number + 1], crew, advance)
            )
    rng = sample_rng(setting.seed, 0, ORDER_STREAM)
    reach_sds = interval_sds(regression, len(setting.rainy), free, len(setting.backgrounds), rng)
    return Fit(
        setting=setting,
        search=search,
        whole=whole,
        names=names,
        found=found,
        regression=regression,
        observed=observed,
        statistic_names=statistic_names,
        estimates=regression.estimates(observed[:, used]),
        family_odds=odds,
        screen=screen,
        interval_sds=reach_sds,
    )


def told_by(simulated: Sequence[Simulated], used: Bool[np.ndarray, "s"]) -> Regression:
    """Numbers regressed on the statistics that are used, over all of these pictures."""
    statistics = np.concatenate([one.statistics[:, used] for one in simulated])
    return regress(statistics, np.concatenate([one.numbers for one in simulated]))


def blended(search: Search, screen: float) -> Search:
    """The search among lines of the likelier blend alone."""
    likelier = Number(low=float(screen > 0.5), high=float(screen > 0.5))
    return replace(search, ranges=search.ranges | {SCREEN: likelier})


def within(simulated: Simulated, search: Search) -> Simulated:
    """Those of the pictures whose lines are blended as the search's."""
    if SCREEN not in search.ranges:
        return simulated
    number, values = search.ranges[SCREEN], simulated.numbers[:, list(search.ranges).index(SCREEN)]
    rows = (number.low == 0) & (values <= 0.5) | (number.high == 1) & (values > 0.5)
    return Simulated(statistics=simulated.statistics[rows], numbers=simulated.numbers[rows])


def narrowed(search: Search, whole: dict[str, Number], names: tuple[str, ...], found: Population) -> Search:
    """The search around what was found; numbers that the pictures do not tell stay where they are looked for."""
    ranges = dict(search.ranges)
    for place, name in enumerate(search.ranges):
        low, high = whole[name].limits
        if found.told[place] and high > low and name != SCREEN:
            sd = WIDER * float(np.hypot(found.sd[place], np.sqrt(found.error[place, place])))
            sd = min(max(sd, NARROWEST_SHARE * (high - low)), EVEN_SD * (high - low))
            ranges[name] = with_spread(whole[name], float(found.mean[place]), sd)
    centre_deg, reach_deg = search.centre_deg, search.reach_deg
    if "direction_deg" in ranges and ranges["direction_deg"].mean is not None:
        centre_deg = float(ranges["direction_deg"].mean)
        reach_deg = float(np.clip(REACH_SDS * found.sd[names.index("direction_deg")], SMALLEST_REACH_DEG, reach_deg))
    return replace(search, ranges=ranges, centre_deg=centre_deg, reach_deg=reach_deg)


def aimed(search: Search, numbers: Float[np.ndarray, "rows q"], found: Population) -> Search:
    """The search, aimed at what of the findings was told; what was aimed at before and is not told better stays."""
    drawn = len(search.ranges)
    before = search.aim
    middle = before.middle if before else np.full(numbers.shape[1] - drawn, np.nan)
    sd = before.sd if before else np.full(numbers.shape[1] - drawn, np.nan)
    told = found.told[drawn:]
    spread = WIDER * np.hypot(found.sd, np.sqrt(np.diag(found.error)))[drawn:]
    middle = np.where(told, found.mean[drawn:], middle)
    sd = np.where(told, np.maximum(spread, NARROWEST_SHARE * WHOLE_OF_FINDINGS), sd)
    return replace(search, aim=aim_at(numbers, drawn, middle, sd))
