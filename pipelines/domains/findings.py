"""What the runs of a study of domains have found, and what follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from pipelines.domains.config import SOURCE, SUPERVISED, DomainStudy
from pipelines.domains.distance import Distance, rank_correlation
from pipelines.domains.measure import CLEAN, WITH_TRUTH, WITHOUT_TRUTH
from pipelines.domains.plan import DomainRun
from pipelines.study_statistics import Interval, Judgement, judge, mean_interval, paired_difference

PSNR = WITH_TRUTH[0]
AGAINST_SUPERVISED = "what supervised training in the target reaches"
AGAINST_SOURCE = "what the source network has in its own domain"

BySeed = Float[np.ndarray, "seeds"]
Place = tuple[str, str]  # source and target


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cell:
    """A method with a source and a target, a value for every seed.

    scores      in the target, by metric
    own         in the source's own domain
    clean_db    PSNR-Y of clean pictures, derained, against themselves
    breaches    what the guard said, "" where it held; the steps that were taken then, and how far back it went: 1 not
                at all, 0 to the last weights that it had let pass
    """

    scores: dict[str, BySeed]
    own: dict[str, BySeed]
    clean_db: BySeed
    breaches: tuple[str, ...]
    steps: tuple[int, ...]
    kept_fractions: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """A study's figures.

    truth           domains that were measured in, and whether their truth is known
    inputs          of the rainy pictures, by domain and metric
    cells           by method, source and target; "source" also where the target is the source
    judgements      of every method but "source", in PSNR-Y: columns are pairs of domains, as places_named says
    distances       between domains
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    methods: tuple[str, ...]
    truth: dict[str, bool]
    inputs: dict[str, dict[str, float]]
    cells: dict[str, dict[Place, Cell]]
    judgements: dict[str, Judgement]
    distances: dict[Place, Distance]

    @property
    def places(self) -> list[Place]:
        """Every source with every other target."""
        return [(source, target) for source in self.sources for target in self.targets if source != target]

    def places_of(self, method: str, *, truth: bool) -> list[Place]:
        """Pairs of domains in which a method was tried, with or without known truth."""
        return [place for place in self.places if place in self.cells[method] and self.truth[place[1]] is truth]

    @property
    def places_gone_on(self) -> list[Place]:
        """Pairs of domains with truth in which something besides the source network was tried."""
        tried = {place for method in self.judgements for place in self.cells[method]}
        return [place for place in self.places_of(SOURCE, truth=True) if place in tried]

    def cell(self, method: str, source: str, target: str) -> Cell | None:
        """A method's figures; where the target is the source those of the source network."""
        return self.cells[SOURCE if source == target else method].get((source, target))

    def gain(self, method: str, place: Place, metric: str) -> Interval:
        """Paired difference to the source network."""
        return paired_difference(self.cells[method][place].scores[metric], self.cells[SOURCE][place].scores[metric])

    def drop_db(self, place: Place) -> BySeed | None:
        """PSNR-Y that the source network lacks in a target; see `drop_against`. None without truth."""
        source, target = place
        if not self.truth[target]:
            return None
        own = self.cells[SOURCE][source, source].scores[PSNR]
        if self.ceiling:
            cell = self.cells[SUPERVISED].get(place)
            return None if cell is None else cell.scores[PSNR] - self.cells[SOURCE][place].scores[PSNR]
        return own - self.cells[SOURCE][place].scores[PSNR]

    @property
    def ceiling(self) -> bool:
        """Whether there is a method that learns from the target's truth."""
        return SUPERVISED in self.methods

    @property
    def drop_against(self) -> str:
        """What drops are taken from."""
        return AGAINST_SUPERVISED if self.ceiling else AGAINST_SOURCE

    @property
    def drops(self) -> dict[Place, tuple[float, Interval]]:
        """Distance and drop of every pair of domains whose drop is known."""
        known = {place: self.drop_db(place) for place in self.places}
        return {
            place: (self.distances[place].value, mean_interval(drop_db))
            for place, drop_db in known.items()
            if drop_db is not None
        }

    @property
    def rank_correlation(self) -> float | None:
        """Spearman's of distance and mean drop; None for too few pairs of domains."""
        rows = np.array([(distance, drop.mean) for distance, drop in self.drops.values()]).reshape(-1, 2)
        return rank_correlation(rows[:, 0], rows[:, 1])

    def regained(self, method: str) -> float | None:
        """Part of the ceiling's gain that a method has, over the pairs of domains in which both were tried.

        None without a ceiling, or where it gains nothing.
        """
        if not self.ceiling:
            return None
        both = [place for place in self.places_of(method, truth=True) if place in self.cells[SUPERVISED]]
        gains = [sum(self.gain(name, place, PSNR).mean for place in both) for name in (method, SUPERVISED)]
        return gains[0] / gains[1] if gains[1] > 0 else None

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, for JSON."""
        return {
            "input": self.inputs,
            "methods": {
                method: {
                    source: {
                        target: self._cell_as_dict(method, (source, target))
                        for target in dict.fromkeys((source, *self.targets))
                        if (source, target) in cells
                    }
                    for source in self.sources
                }
                for method, cells in self.cells.items()
            },
            "judgements": {name: asdict(judged) for name, judged in self.judgements.items()},
            "regained_fraction": {name: self.regained(name) for name in self.judgements},
            "distances": {
                source: {other: asdict(found) for (one, other), found in self.distances.items() if one == source}
                for source in self.sources
            },
            "drop": {
                "against": self.drop_against,
                "pairs": len(self.drops),
                "rank_correlation": self.rank_correlation,
                "psnr_y_db": {named(place): asdict(drop) for place, (_, drop) in self.drops.items()},
            },
        }

    def _cell_as_dict(self, method: str, place: Place) -> dict[str, Any]:
        cell = self.cells[method][place]
        told = {name: interval_as_dict(values) for name, values in (cell.scores | {CLEAN: cell.clean_db}).items()}
        told["own_domain"] = {name: interval_as_dict(values) for name, values in cell.own.items()}
        return told | {
            "guard": list(cell.breaches),
            "steps": list(cell.steps),
            "kept_fraction": list(cell.kept_fractions),
        }


def find(config: DomainStudy, runs: Sequence[DomainRun], distances: Mapping[Place, Distance]) -> Findings:
    """The findings of finished runs."""
    truth = {name: config.domains[name].truth for name in config.used}
    results: dict[str, dict[Place, list[dict[str, Any]]]] = {method: {} for method in config.methods}
    for run in sorted(runs, key=lambda run: run.seed):
        result = run.result()
        targets = result["domains"] if run.method == SOURCE else (run.target,)
        for target in targets:
            results[run.method].setdefault((run.source, target), []).append(result)
    cells = {
        method: {place: cell_of(of_seeds, place, truth) for place, of_seeds in found.items()}
        for method, found in results.items()
    }
    first = {target: of_seeds[0] for (_, target), of_seeds in results[SOURCE].items()}
    return Findings(
        sources=config.sources,
        targets=config.targets,
        methods=config.methods,
        truth=truth,
        inputs={name: input_of(result["domains"][name], truth[name]) for name, result in first.items()},
        cells=cells,
        judgements={
            method: judged for method in config.methods if (judged := judged_of(cells, method, truth)) is not None
        },
        distances=dict(distances),
    )


def cell_of(of_seeds: list[dict[str, Any]], place: Place, truth: Mapping[str, bool]) -> Cell:
    """A cell from the results of its seeds."""
    source, target = place
    return Cell(
        scores=scores_of([result["domains"][target] for result in of_seeds], truth[target]),
        own=scores_of([result["domains"][source] for result in of_seeds], truth[source]),
        clean_db=np.array([np.mean(result["clean_psnr_y_db"]) for result in of_seeds]),
        breaches=tuple(result["breach"] for result in of_seeds),
        steps=tuple(result["steps"] for result in of_seeds),
        kept_fractions=tuple(result["kept_fraction"] for result in of_seeds),
    )


def scores_of(of_seeds: list[list[dict[str, Any]]], truth: bool) -> dict[str, BySeed]:
    """Mean over the pictures of each metric, for every seed."""
    named_as = {name: f"{name}_derained" if truth else name for name in (WITH_TRUTH if truth else WITHOUT_TRUTH)}
    return {name: np.array([mean_of(rows, key) for rows in of_seeds]) for name, key in named_as.items()}


def mean_of(rows: list[dict[str, Any]], key: str) -> float:
    """Mean over the pictures that have a figure; NaN where none has."""
    values = [row[key] for row in rows if row[key] is not None]
    return float(np.mean(values)) if values else float("nan")


def input_of(rows: list[dict[str, Any]], truth: bool) -> dict[str, float]:
    """Figures of the rainy pictures; of those without truth all streaks are left, and all of the rest is kept."""
    return {name: mean_of(rows, f"{name}_rainy") for name in WITH_TRUTH} if truth else dict.fromkeys(WITHOUT_TRUTH, 1.0)


def judged_of(cells: Mapping[str, Mapping[Place, Cell]], method: str, truth: Mapping[str, bool]) -> Judgement | None:
    """A method against the source networks over all pairs of domains with truth; None where there is no such pair."""
    places = [place for place in cells[method] if truth[place[1]]]
    if method == SOURCE or not places:
        return None
    values, baseline = (
        {named(place): cells[name][place].scores[PSNR] for place in places} for name in (method, SOURCE)
    )
    return judge(values, baseline)


def named(place: Place) -> str:
    """A pair of domains in words."""
    return f"{place[0]} to {place[1]}"


def interval_as_dict(values: BySeed) -> dict[str, Any]:
    """Mean, interval and single seeds; None for what is not known."""
    found = {**asdict(mean_interval(values)), "by_seed": values.tolist()}
    return {name: None for name in found} if np.isnan(values).any() else found
