"""What the runs of a study have found, by condition and class of rain, and what follows from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from pipelines.study_run import SHOWN_PERCENTILES, Run
from pipelines.study_statistics import (
    CONFIDENCE,
    MARGIN_DB,
    Judgement,
    judge,
    mean_interval,
    mean_over,
    recommended,
)

METRICS = ("psnr_y_db", "ssim_y")
ALL = "all"  # the mean over the classes of rain, each counting alike

BySeed = Float[np.ndarray, "seeds"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """A study's figures.

    classes         classes of rain that were measured, the lightest first
    inputs          of the rainy pictures, by metric and class
    scores          of what networks made of them, by metric, condition and class: a value for every seed
    curve_steps     steps at which a part of the pictures was measured while training
    curves_db       PSNR-Y then, by condition and class: a row for every seed [dB]
    shown           last steps of parts of the run and the percentiles of the rain rates shown in them [mm/h], by
                    condition; without rows where rates are not known
    judgements      of every condition but the baseline
    """

    baseline: str
    classes: tuple[str, ...]
    inputs: dict[str, dict[str, float]]
    scores: dict[str, dict[str, dict[str, BySeed]]]
    curve_steps: list[int]
    curves_db: dict[str, dict[str, Float[np.ndarray, "seeds steps"]]]
    shown: dict[str, Float[np.ndarray, "parts 1+percentiles"]]
    judgements: dict[str, Judgement]

    @property
    def conditions(self) -> tuple[str, ...]:
        """What was compared, in the order of the config."""
        return tuple(self.scores[METRICS[0]])

    @property
    def columns(self) -> tuple[str, ...]:
        """The classes and their mean."""
        return (*self.classes, ALL)

    @property
    def recommended(self) -> str:
        """The condition to make the default."""
        return recommended(self.judgements, self.baseline)

    def input(self, metric: str, column: str) -> float:
        """The rainy pictures' figure."""
        values = self.inputs[metric]
        return float(np.mean(list(values.values()))) if column == ALL else values[column]

    def score(self, metric: str, condition: str, column: str) -> BySeed:
        """A condition's figure for every seed."""
        values = self.scores[metric][condition]
        return mean_over(values) if column == ALL else values[column]

    def as_dict(self) -> dict[str, Any]:
        """Everything as plain numbers, for JSON."""
        judgements = {name: asdict(judgement) for name, judgement in self.judgements.items()}
        return {
            "baseline": self.baseline,
            "recommended": self.recommended,
            "margin_db": MARGIN_DB,
            "confidence": CONFIDENCE,
            "input": {metric: {name: self.input(metric, name) for name in self.columns} for metric in METRICS},
            "conditions": {name: self._condition_as_dict(name) | judgements.get(name, {}) for name in self.conditions},
            "learning_curve_steps": self.curve_steps,
            "shown_percentiles": list(SHOWN_PERCENTILES),
        }

    def _condition_as_dict(self, condition: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for metric in METRICS:
            columns = {name: self.score(metric, condition, name) for name in self.columns}
            found[metric] = {
                name: asdict(mean_interval(values)) | {"by_seed": values.tolist()} for name, values in columns.items()
            }
        found["learning_curve_psnr_y_db"] = {
            name: values.tolist() for name, values in self.curves_db[condition].items()
        }
        found["shown_rain_rates_mm_h"] = [
            {"step": int(row[0]), "percentiles": row[1:].tolist()} for row in self.shown[condition]
        ]
        return found


def find(runs: Sequence[Run], baseline: str) -> Findings:
    """The findings of finished runs: every condition with every seed."""
    conditions = list(dict.fromkeys(run.condition for run in runs))
    members = {
        name: sorted((run for run in runs if run.condition == name), key=lambda run: run.seed) for name in conditions
    }
    results = {name: [run.result() for run in members[name]] for name in conditions}
    pictures = results[baseline][0]["pictures"]
    classes = tuple(dict.fromkeys(row["class"] for row in pictures))
    inputs = {metric: {name: class_mean(pictures, name, f"{metric}_input") for name in classes} for metric in METRICS}
    scores = {
        metric: {name: scores_of(results[name], classes, f"{metric}_derained") for name in conditions}
        for metric in METRICS
    }
    steps = [line["step"] for line in members[baseline][0].learning_curve()]
    in_db = scores["psnr_y_db"]
    return Findings(
        baseline=baseline,
        classes=classes,
        inputs=inputs,
        scores=scores,
        curve_steps=steps,
        curves_db={name: curves_of(members[name], classes) for name in conditions},
        shown={name: mean_shown([result["shown"] for result in results[name]]) for name in conditions},
        judgements={name: judge(in_db[name], in_db[baseline]) for name in conditions if name != baseline},
    )


def class_mean(pictures: list[dict[str, Any]], rain_class: str, figure: str) -> float:
    """Mean of a figure over the pictures of a class."""
    return float(np.mean([row[figure] for row in pictures if row["class"] == rain_class]))


def scores_of(results: list[dict[str, Any]], classes: Sequence[str], figure: str) -> dict[str, BySeed]:
    """Mean of a figure in every class, for every seed."""
    return {name: np.array([class_mean(result["pictures"], name, figure) for result in results]) for name in classes}


def curves_of(runs: Sequence[Run], classes: Sequence[str]) -> dict[str, Float[np.ndarray, "seeds steps"]]:
    """Learning curves of the seeds of a condition, by class and of all classes [dB]."""
    lines = [run.learning_curve() for run in runs]
    curves = {name: np.array([[line["psnr_y_db"][name] for line in of_run] for of_run in lines]) for name in classes}
    return curves | {ALL: np.mean(list(curves.values()), axis=0)}


def mean_shown(of_seeds: list[list[dict[str, Any]]]) -> Float[np.ndarray, "parts 1+percentiles"]:
    """Mean over seeds of the percentiles of shown rain rates: a row for every part of the run, its last step first."""
    by_step: dict[int, list[list[float]]] = {}
    for row in (row for rows in of_seeds for row in rows):
        by_step.setdefault(row["step"], []).append(row["percentiles_mm_h"])
    rows = [[step, *np.mean(found, axis=0)] for step, found in sorted(by_step.items())]
    return np.array(rows, dtype=np.float64).reshape(-1, 1 + len(SHOWN_PERCENTILES))
