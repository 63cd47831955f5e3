"""What came out of a study: scores of methods, pairs of them, raters; and every answer as CSV."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from pipelines.picture_files import write_whole
from pipelines.rate.agreement import RaterRecord, equal_answers, judgements, krippendorff_alpha, rater_records
from pipelines.rate.davidson import (
    ELO_PER_LOG,
    FEWEST_GROUPS,
    FIRST,
    SECOND,
    TIE,
    Outcomes,
    Strengths,
    fit_davidson,
)
from pipelines.rate.store import COLUMNS, Answer, RatingStore
from pipelines.rate.study import LEFT, PAIR, RIGHT, Study
from rainsynth.checks import InputError

Rows = list[dict[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RatingReport:
    """Answers of a study, and the strengths of its methods fitted to the plain comparisons among them.

    Attention checks and repeats do not count for strengths; nor do raters who were left out.
    """

    study: Study
    answers: list[Answer]
    outcomes: Outcomes
    strengths: Strengths

    def method_table(self) -> Rows:
        """Methods from best to worst, their answers, share of comparisons with the mean method, and Elo points."""
        fit = self.strengths
        rows = []
        for method in np.argsort(-fit.log_strength, kind="stable"):
            contrast = np.eye(self.outcomes.methods)[method] - 1 / self.outcomes.methods
            strength, half = float(fit.log_strength[method]), fit.half_width(contrast)
            won, tied, lost = self._counts(int(method))
            rows.append(
                {
                    "method": self.study.methods[method],
                    "judged": str(won + tied + lost),
                    "won": str(won),
                    "tied": str(tied),
                    "lost": str(lost),
                    "preferred (95 %)": _share(fit, strength, half),
                    "Elo (95 %)": f"{round(ELO_PER_LOG * strength):+d} (+-{ELO_PER_LOG * half:.0f})",
                }
            )
        return rows

    def pair_table(self) -> Rows:
        """Every two methods: answers, and the share in which the model has the better one preferred."""
        fit = self.strengths
        rows = []
        for one, other in combinations(np.argsort(-fit.log_strength, kind="stable"), 2):
            unit = np.eye(self.outcomes.methods)
            difference = float(fit.log_strength[one] - fit.log_strength[other])
            won, tied, lost = self._counts(int(one), int(other))
            rows.append(
                {
                    "pair": f"{self.study.methods[one]} over {self.study.methods[other]}",
                    "won": str(won),
                    "tied": str(tied),
                    "lost": str(lost),
                    "preferred (95 %)": _share(fit, difference, fit.half_width(unit[one] - unit[other])),
                }
            )
        return rows

    def rater_table(self) -> Rows:
        """Every rater: how many answers, failed checks, repeats answered as before, and habits."""
        return [_rater_row(record) for record in rater_records(self.answers)]

    def lines(self) -> list[str]:
        """How much there is, how far raters agree, and for whom the intervals hold."""
        units = judgements(self.answers)
        same, both = equal_answers(units)
        alpha = krippendorff_alpha(list(units.values()))
        raters = len(set(self.outcomes.rater.tolist()))
        lines = [
            f"{len(self.outcomes.outcome)} comparisons by {raters} raters on "
            f"{len(set(self.outcomes.picture.tolist()))} of {len(self.study.pictures)} pictures"
        ]
        if both:
            told = f"{alpha:.2f}" if alpha is not None else "undefined"
            lines.append(
                f"agreement: {same / both:.0%} of {both} pairs of answers to the same are equal;"
                f" Krippendorff's alpha {told}"
            )
        if raters < FEWEST_GROUPS:
            lines.append(f"intervals hold for these raters alone: of others {FEWEST_GROUPS} raters or more would tell")
        lines.append(
            "preferred: share of comparisons with the mean method, or the other one, a tie as half (Davidson 1970)"
        )
        return lines

    def _counts(self, method: int, other: int | None = None) -> tuple[int, int, int]:
        """Comparisons that a method won, tied and lost; with `other`, against that one."""
        found = self.outcomes
        as_first, as_second = found.first == method, found.second == method
        if other is not None:
            as_first, as_second = as_first & (found.second == other), as_second & (found.first == other)
        won = (as_first & (found.outcome == FIRST)) | (as_second & (found.outcome == SECOND))
        tied = (as_first | as_second) & (found.outcome == TIE)
        return int(won.sum()), int(tied.sum()), int((as_first | as_second).sum() - won.sum() - tied.sum())


def _share(fit: Strengths, log_ratio: float, half: float) -> str:
    share, low, high = (100 * fit.share(log_ratio + step) for step in (0.0, -half, half))
    return f"{share:.1f} % ({low:.1f} to {high:.1f})"


def _rater_row(record: RaterRecord) -> dict[str, str]:
    sided = record.comparisons - record.ties
    return {
        "rater": record.rater,
        "judged": str(record.comparisons),
        "checks failed": f"{record.checks_failed} of {record.checks}",
        "repeats kept": f"{record.repeats_kept} of {record.repeats}",
        "ties": _percent(record.ties, record.comparisons),
        "left": _percent(record.left, sided),
        "median": f"{record.median_s:.1f} s",
    }


def _percent(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else "-"


def rating_report(path: Path, leave_out: tuple[str, ...] = ()) -> RatingReport:
    """Report of the answers in a file of ratings, without those of some raters."""
    store = RatingStore(path)
    answers, study = store.answers(), store.study
    store.close()
    there = {answer.rater for answer in answers}
    for rater in leave_out:
        if rater not in there:
            raise InputError(f"--leave-out must name a rater of {path}, got {rater!r}. There are: {_listed(there)}.")
    kept = [answer for answer in answers if answer.rater not in leave_out]
    if not any(answer.kind == PAIR for answer in kept):
        raise InputError(f"{path} must hold at least one answer to a comparison, got none so far.")
    outcomes = outcomes_of(study, kept)
    return RatingReport(study=study, answers=kept, outcomes=outcomes, strengths=fit_davidson(outcomes))


def _listed(raters: set[str]) -> str:
    return ", ".join(sorted(raters)) or "none"


def outcomes_of(study: Study, answers: list[Answer]) -> Outcomes:
    """Plain comparisons among answers as numbers."""
    pairs = [answer for answer in answers if answer.kind == PAIR]
    methods = {name: index for index, name in enumerate(study.methods)}
    pictures = {name: index for index, name in enumerate(study.pictures)}
    raters = {name: index for index, name in enumerate(sorted({answer.rater for answer in pairs}))}
    codes = {LEFT: FIRST, RIGHT: SECOND}
    return Outcomes(
        methods=len(methods),
        first=np.array([methods[answer.method_left] for answer in pairs]),
        second=np.array([methods[answer.method_right] for answer in pairs]),
        outcome=np.array([codes.get(answer.answer, TIE) for answer in pairs]),
        rater=np.array([raters[answer.rater] for answer in pairs]),
        picture=np.array([pictures[answer.picture] for answer in pairs]),
    )


def write_answers(path: Path, answers: list[Answer]) -> None:
    """Write every answer as a line of CSV, UTF-8, whole or not at all; columns are the fields of `Answer`."""
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows([getattr(answer, name) for name in COLUMNS] for answer in answers)
    write_whole(path, text.getvalue().encode())
