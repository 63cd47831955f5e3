"""The report of a study of curricula: its words, tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mspfn.curriculum import CurriculumConfig
from mspfn.train_config import TrainConfig
from pipelines.evaluate import write_figures
from pipelines.study_config import CurriculumStudy
from pipelines.study_findings import ALL, Findings
from pipelines.study_page import FIGURES_NAME, Block, Heading, Shown, Table, signed, write_page
from pipelines.study_pictures import draw_differences, draw_learning_curves, draw_shown_rates, draw_strip
from pipelines.study_run import Run, evaluation_pictures, follows_validation
from pipelines.study_statistics import CONFIDENCE, MARGIN_DB, UNDECIDED, Judgement, mean_interval

TITLE = "Curricula compared"
METRIC_WORDS = {"psnr_y_db": ("PSNR-Y [dB]", ".2f"), "ssim_y": ("SSIM-Y", ".4f")}
PERCENT = f"{100 * CONFIDENCE:.0f} %"

RULE = (
    f"No worse: in every class of rain the {PERCENT} interval of the paired difference excludes a loss of more than"
    f" {MARGIN_DB} dB. Better: no worse, and the interval of the mean gain over classes lies above 0. Worse: in some"
    f" class the interval lies wholly below -{MARGIN_DB} dB. Else undecided. The default is to be the better one of"
    " the largest mean gain, and where none is better the baseline, which is simpler."
)
READING = (
    f"Intervals are Student's, {PERCENT}, over seeds, and of differences within a seed: runs of a seed share their"
    " first weights, photographs and plan of rain. They tell how sure the figures are for these pictures and this"
    " length of training, not how they would change with other photographs or more steps; and each stands for itself,"
    " so that of twenty comparisons one may miss. Pictures are measured with the weights at the end of training;"
    " learning curves are of a few of the same pictures' middles."
)
GATED = "Gates of staged curricula opened by the learning curves, that is by pictures that are measured in the end too."


def write_report(config: CurriculumStudy, findings: Findings, runs: Sequence[Run], out: Path) -> None:
    """Write figures.json, the pictures, report.md and report.html into the folder `out`."""
    write_figures(out / FIGURES_NAME, {"study": config.recorded()} | findings.as_dict())
    draw_differences(out / "differences.png", findings)
    draw_learning_curves(out / "learning_curves.png", findings)
    draw_strip(out / "pictures.png", findings, runs, evaluation_pictures(runs[0]))
    if any(len(rows) for rows in findings.shown.values()):
        draw_shown_rates(out / "shown_rates.png", findings)
    write_page(TITLE, blocks_of(config, findings, runs), out)


def blocks_of(config: CurriculumStudy, findings: Findings, runs: Sequence[Run]) -> list[Block]:
    """The report, piece by piece."""
    blocks: list[Block] = [
        Heading("Outcome"),
        [verdict_line(name, judged, findings.baseline) for name, judged in findings.judgements.items()],
        consequence(findings),
        RULE,
        Heading("What was compared"),
        compared(config, runs),
        Table(curriculum_rows(config)),
        Heading("Differences"),
        f"PSNR-Y minus that of {findings.baseline} with the same seed [dB]: mean over {config.seeds} seeds, and in"
        f" brackets its {PERCENT} interval.",
        Table(difference_rows(findings)),
        Shown("differences.png", f"Paired differences, mean and {PERCENT} interval; small dots are single seeds."),
    ]
    for metric, (words, _) in METRIC_WORDS.items():
        blocks += [
            Heading(words),
            f"Mean over {config.seeds} seeds, and half of its {PERCENT} interval; higher is better.",
            Table(score_rows(findings, metric)),
        ]
    blocks += [
        Heading("Pictures"),
        "The picture of each class whose rainy PSNR is the median: rainy, derained by the first seed of each"
        " curriculum, and the target. Windows from the middle, pixel by pixel; PSNR-Y is that of the whole picture.",
        Shown("pictures.png", "Rainy, derained, target."),
        Heading("Learning curves"),
        Shown(
            "learning_curves.png", "PSNR-Y by step: mean over seeds; the band is from the lowest seed to the highest."
        ),
    ]
    if any(len(rows) for rows in findings.shown.values()):
        caption = "Rain rates of the samples that training was shown: the median, and four fifths of them in the band."
        unknown = [name for name, rows in findings.shown.items() if not len(rows)]
        left_out = f" Not known of {', '.join(unknown)}." if unknown else ""
        blocks += [Heading("What was shown when"), Shown("shown_rates.png", caption + left_out)]
    gated = any(follows_validation(curriculum) for curriculum in config.curricula.values())
    return [*blocks, Heading("How to read the figures"), READING, *([GATED] if gated else [])]


def verdict_line(name: str, judged: Judgement, baseline: str) -> str:
    """A condition's verdict, with the figures that decided it."""
    lowest = min(judged.differences, key=lambda column: judged.differences[column].low)
    beside = f"against {baseline}" if judged.verdict == UNDECIDED else f"than {baseline}"
    return (
        f"{name}: {judged.verdict} {beside}. Mean gain {signed(judged.mean_gain)} dB; the class with the lowest bound"
        f" is {lowest}, {signed(judged.differences[lowest])} dB."
    )


def consequence(findings: Findings) -> str:
    """What to make the default."""
    if findings.recommended == findings.baseline:
        return f"Recommended default: {findings.baseline}, the baseline. No other curriculum is better by the rule."
    return f"Recommended default: {findings.recommended}, the one of the largest mean gain among those that are better."


def difference_rows(findings: Findings) -> list[dict[str, str]]:
    """Paired differences as text: a row for each class and one for their mean."""
    rows = [
        {"rain": column} | {name: signed(judged.differences[column]) for name, judged in findings.judgements.items()}
        for column in findings.classes
    ]
    return [*rows, {"rain": ALL} | {name: signed(judged.mean_gain) for name, judged in findings.judgements.items()}]


def score_rows(findings: Findings, metric: str) -> list[dict[str, str]]:
    """Figures of the rainy pictures and of every condition as text: a row for each class and one for their mean."""
    form = METRIC_WORDS[metric][1]
    rows = []
    for column in findings.columns:
        intervals = {name: mean_interval(findings.score(metric, name, column)) for name in findings.conditions}
        rows.append(
            {"rain": column, "rainy": f"{findings.input(metric, column):{form}}"}
            | {name: f"{one.mean:{form}} ± {one.high - one.mean:{form}}" for name, one in intervals.items()}
        )
    return rows


def compared(config: CurriculumStudy, runs: Sequence[Run]) -> str:
    """Network, data, length and machine in a few sentences."""
    train: TrainConfig = config.train
    network = " ".join([train.network.name, *(f"{key} {value}" for key, value in train.network.overrides.items())])
    costs = [run.cost() for run in runs]
    minutes = sum(cost.seconds for cost in costs) / 60
    machines = "; ".join(sorted({cost.machine for cost in costs}))
    result = runs[0].result()
    rates = f"learning rate {train.optimizer.learning_rate:g}, running mean {train.ema_decay:g}"
    return (
        f"{len(config.curricula)} curricula with {config.seeds} seeds each. Network {network}; {result['steps']} steps"
        f" of {train.data.batch_size} windows of {train.data.patch_px} px, {result['samples']} in all; loss"
        f" {train.loss if isinstance(train.loss, str) else train.loss.name}, {rates}, target {train.data.target}."
        f" Measured on {len(result['pictures'])} pictures of {config.evaluation.crop_px} px"
        f" of photographs that were not trained on. Training took {minutes:.0f} minutes of one thread ({machines})."
        f" {FIGURES_NAME} has the whole config."
    )


def curriculum_rows(config: CurriculumStudy) -> list[dict[str, str]]:
    """Every curriculum by its settings, as far as they are not the defaults."""
    usual, rows = asdict(CurriculumConfig()), []
    for name, curriculum in config.curricula.items():
        given = {key: value for key, value in asdict(curriculum).items() if key != "name" and value != usual[key]}
        settings = ", ".join(f"{key} {in_words(value)}" for key, value in given.items())
        rows.append({"curriculum": name, "kind": curriculum.name, "settings": settings or "defaults"})
    return rows


def in_words(value: Any) -> str:
    """A setting as text, without the parts of it that are left open."""
    if isinstance(value, dict):
        return " ".join(f"{key} {in_words(part)}" for key, part in value.items() if part is not None)
    if isinstance(value, list | tuple):
        return "; ".join(in_words(part) for part in value)
    return f"{value:g}" if isinstance(value, float) else str(value)
