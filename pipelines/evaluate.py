"""`rainsynth evaluate`: how close derained pictures come to their targets, and what else a method does to them.

    pictures = find_pairs(path, target, set_name)            # or find_photographs(folder)
    methods = [*networks(weights), *results(folders, pictures)]
    outcome = compare(pictures, methods, report=folder)

Parts are in `pipelines.evaluation`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pipelines.benchmark_sets import version_remark
from pipelines.evaluation.ahead import usable_cores
from pipelines.evaluation.figures import DEFAULT_METRICS, RAINY, Row, judge_pair
from pipelines.evaluation.files import as_json, write_figures, write_rows
from pipelines.evaluation.measure import Keep, clean_psnr_db, measure
from pipelines.evaluation.methods import VIEWS, Method, check_names, networks, results
from pipelines.evaluation.pairs import Pair, Picture, Pictures, find_pairs, find_photographs
from pipelines.evaluation.real_rain import judge_photograph
from pipelines.evaluation.report import Section, new_report
from pipelines.evaluation.summary import (
    Summary,
    figure_table,
    gain_table,
    harm_table,
    is_paired,
    layer_table,
    method_table,
    real_table,
    summary_of,
    worst_table,
)
from pipelines.progress import progress

__all__ = [
    "VIEWS",
    "Outcome",
    "Pair",
    "compare",
    "evaluate",
    "figure_table",
    "find_pairs",
    "find_photographs",
    "networks",
    "read_pairs",
    "results",
    "write_figures",
    "write_rows",
]

FIGURES_NOTE = "PSNR in dB, SSIM up to 1, against the target: of the rainy picture, then of the derained one."
LAYER_NOTE = (
    "PSNR-Y inside streaks, in the veil beside them and in the dry rest, and what part of the squared error left in "
    "the derained picture lies there; means over the pictures that have such a place."
)
HARM_NOTE = (
    "Clean in: PSNR-Y of derained clean pictures against themselves, 100 dB where nothing changed. The rest is outside "
    "the rain, where the rainy picture is its target: mean absolute change [codes], mean change of luma [codes, below "
    "0: darker] and of a* (green to red) and b* (blue to yellow), and the energy of gradients over the target's (below "
    "1: detail was smoothed away)."
)
REAL_NOTE = (
    "Nobody knows these photographs without rain. Streak energy left: 1 is all, 0 none; rest kept: SSIM-Y with the "
    "photograph where no streak is, 1 is all. Blur leaves no streak either, and does not keep the rest."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What an evaluation found: figures of every method, picture by picture and summed up; and what was odd."""

    rows: dict[str, list[Row]]
    summaries: dict[str, Summary]
    remarks: list[str] = field(default_factory=list)

    def sections(self) -> list[Section]:
        """Tables for the command line and the report."""
        if not is_paired(next(iter(self.rows.values()))):
            worst = Section("Most streaks left", worst_table(self.summaries))
            return [Section("Real rain", real_table(self.summaries), REAL_NOTE), worst]
        alone, layers = len(self.summaries) == 1, layer_table(self.summaries)
        return [
            Section(
                "Figures",
                figure_table(*self.summaries.values()) if alone else method_table(self.summaries),
                FIGURES_NOTE,
            ),
            Section("Gain in PSNR-Y, dB", gain_table(self.summaries), "Over pictures: mean, median and worst."),
            *([Section("By layer of the rain", layers, LAYER_NOTE)] if layers else []),
            Section("Harm", harm_table(self.summaries), HARM_NOTE),
            Section("Least gain", worst_table(self.summaries)),
        ]

    def as_json(self) -> dict[str, Any]:
        """Everything, for a file; figures of a single method are at the top."""
        return as_json(self.summaries, {"remarks": self.remarks})


def compare(
    pictures: Pictures[Any],
    methods: Sequence[Method],
    *,
    metrics: Sequence[str] = DEFAULT_METRICS,
    masks: bool = True,
    threads: int | None = None,
    report: Path | None = None,
    title: str = "Evaluation",
) -> Outcome:
    """Figures of methods side by side, on pairs or on photographs without truth; the same on any number of threads.

    `masks` off leaves out what depends on where rain is. `report` is a folder to write, new or empty. Raises InputError
    for methods of one name and for what cannot be measured.
    """
    check_names(methods)
    threads = usable_cores() if threads is None else threads
    if report is None:
        return _measured(pictures, methods, metrics, masks, threads, None)
    with new_report(report) as under_way:
        outcome = _measured(pictures, methods, metrics, masks, threads, under_way.keep)
        under_way.finish(title, outcome.sections(), pictures, methods, outcome.rows)
    return outcome


def evaluate(
    restore: Callable[[Picture], Picture],
    pairs: Iterator[Pair],
    count: int,
    keep: Callable[[Pair, Picture], None] | None = None,
) -> Summary:
    """Figures of `restore` alone over pairs, as `compare` has them of a method; `keep` sees every result."""
    rows = []
    with progress("evaluate", count) as advance:
        for pair in pairs:
            derained = restore(pair.rainy_srgb8)
            rows.append(judge_pair(pair)(derained))
            if keep is not None:
                keep(pair, derained)
            advance()
    return summary_of(rows)


def read_pairs(path: Path, target: str) -> tuple[Iterator[Pair], int]:
    """Pairs of a folder of shards or of pictures one after the other, and their number."""
    pairs = find_pairs(path, target)
    return iter(pairs), len(pairs)


def _measured(
    pictures: Pictures[Any],
    methods: Sequence[Method],
    metrics: Sequence[str],
    masks: bool,
    threads: int,
    keep: Keep | None,
) -> Outcome:
    real = not pictures.truth
    judge = partial(judge_photograph, masks=masks) if real else partial(judge_pair, metrics=metrics, masks=masks)
    rows = measure(pictures, methods, judge, threads=threads, keep=keep)
    clean = {} if real else clean_psnr_db(pictures, methods)
    summaries = {name: summary_of(lines, clean.get(name, ())) for name, lines in rows.items()}
    return Outcome(rows=rows, summaries=summaries, remarks=[*pictures.remarks, *_version(pictures, summaries)])


def _version(pictures: Pictures[Any], summaries: dict[str, Summary]) -> list[str]:
    """What makes the pictures another version of the set that was named, if anything does."""
    if pictures.benchmark is None:
        return []
    first = next(iter(summaries.values()))
    remark = version_remark(pictures.benchmark, len(pictures), first[f"psnr_y_{RAINY}"], first[f"ssim_y_{RAINY}"])
    return [remark] if remark else []
