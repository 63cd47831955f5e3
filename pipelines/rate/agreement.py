"""How far raters can be relied on: with each other, with themselves, and on what nobody can get wrong."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import combinations
from statistics import median

import numpy as np

from pipelines.rate.store import Answer
from pipelines.rate.study import ATTENTION, LEFT, PAIR, REPEAT, RIGHT, TIE

FIRST_BETTER, EQUAL, SECOND_BETTER = 1, 0, -1  # answers in one order of methods: equal lies between the others

Unit = tuple[str, str, str]  # picture and two methods, in the order of their names


@dataclass(frozen=True, slots=True, kw_only=True)
class RaterRecord:
    """One rater's answers, counted.

    checks_failed       attention checks in which the worse copy was not recognised; a tie is a failure too
    repeats_kept        repeats answered as before
    ties, left          answers "no difference", and "left" of those that named a side; of plain comparisons
    """

    rater: str
    comparisons: int
    checks: int
    checks_failed: int
    repeats: int
    repeats_kept: int
    ties: int
    left: int
    median_s: float


def unit_and_value(answer: Answer) -> tuple[Unit, int]:
    """What was judged, whichever side it stood on, and the judgement."""
    value = {LEFT: FIRST_BETTER, RIGHT: SECOND_BETTER, TIE: EQUAL}[answer.answer]
    left, right = answer.method_left, answer.method_right
    if left <= right:
        return (answer.picture, left, right), value
    return (answer.picture, right, left), -value


def rater_records(answers: list[Answer]) -> list[RaterRecord]:
    """Every rater's record, in the order of their names."""
    of_raters: dict[str, list[Answer]] = defaultdict(list)
    for answer in answers:
        of_raters[answer.rater].append(answer)
    return [_record(rater, of_raters[rater]) for rater in sorted(of_raters)]


def _record(rater: str, answers: list[Answer]) -> RaterRecord:
    of_kind = {kind: [answer for answer in answers if answer.kind == kind] for kind in (PAIR, ATTENTION, REPEAT)}
    first = dict(map(unit_and_value, of_kind[PAIR]))
    again = list(map(unit_and_value, of_kind[REPEAT]))
    sides = [answer.answer for answer in of_kind[PAIR]]
    return RaterRecord(
        rater=rater,
        comparisons=len(sides),
        checks=len(of_kind[ATTENTION]),
        checks_failed=sum(answer.answer not in {LEFT, RIGHT} - {answer.worse} for answer in of_kind[ATTENTION]),
        repeats=len(again),
        repeats_kept=sum(first.get(unit) == value for unit, value in again),
        ties=sides.count(TIE),
        left=sides.count(LEFT),
        median_s=median(answer.seconds for answer in answers),
    )


def judgements(answers: list[Answer]) -> dict[Unit, list[int]]:
    """Judgements of all raters by what was judged; plain comparisons only."""
    found: dict[Unit, list[int]] = defaultdict(list)
    for answer in answers:
        if answer.kind == PAIR:
            unit, value = unit_and_value(answer)
            found[unit].append(value)
    return found


def equal_answers(units: dict[Unit, list[int]]) -> tuple[int, int]:
    """Of all two raters who judged the same: how many gave the same answer, and how many there are."""
    both = [one == other for values in units.values() for one, other in combinations(values, 2)]
    return sum(both), len(both)


def krippendorff_alpha(units: list[list[int]] | list[list[float]]) -> float | None:
    """Agreement of raters beyond chance: 1 for perfect, 0 for chance, below 0 for systematic disagreement.

    alpha = 1 - D_o / D_e with squared differences (interval data), so that better against worse counts four times as
    much as either against equal; raters may be missing. None where nothing can be compared, or all values are equal.
    Source: Hayes & Krippendorff (2007), Communication Methods and Measures 1(1), doi:10.1080/19312450709336664.
    """
    pairable = [np.asarray(values, dtype=np.float64) for values in units if len(values) > 1]
    if not pairable:
        return None
    everything = np.concatenate(pairable)
    count = len(everything)
    observed = sum(_squared_differences(values) / (len(values) - 1) for values in pairable) / count
    expected = _squared_differences(everything) / (count * (count - 1))
    return float(1 - observed / expected) if expected else None


def _squared_differences(values: np.ndarray) -> float:
    """Sum of (v_i - v_j)^2 over all ordered pairs: 2 (n sum v^2 - (sum v)^2)."""
    return float(2 * (len(values) * (values**2).sum() - values.sum() ** 2))
