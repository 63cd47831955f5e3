"""The report of a study of domains: its words, tables and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pipelines.domains.config import FROM_FITTED, FROM_RAINY, METHODS, SOURCE, SUPERVISED, DomainStudy
from pipelines.domains.distance import FEWEST_PAIRS
from pipelines.domains.findings import Findings
from pipelines.domains.measure import WITHOUT_TRUTH
from pipelines.domains.pictures import draw_drops, draw_gains, draw_matrix, draw_strips
from pipelines.domains.plan import DomainRun
from pipelines.domains.tables import (
    breached,
    clean_rows,
    distance_rows,
    domain_rows,
    gain_rows,
    kept_rows,
    matrix_rows,
)
from pipelines.evaluate import write_figures
from pipelines.study_page import FIGURES_NAME, Block, Heading, Shown, Table, signed, write_page
from pipelines.study_report import PERCENT
from pipelines.study_statistics import MARGIN_DB, UNDECIDED, Judgement

TITLE = "Domains of rain"
MATRICES = {"psnr_y": "PSNR-Y [dB]", "ssim_y": "SSIM-Y"}
WHAT_METHODS_DO = {
    SOURCE: "source: the source network as it is.",
    METHODS[1]: "fitted: goes on with its own rain and, as often, with rain fitted to the target's rainy pictures.",
    METHODS[2]: "adapted: goes on with its own rain and, beside, with the target's rainy pictures, by a mean teacher.",
    METHODS[3]: "fitted+adapted: both, and the fitted rain is what is added to the rainy pictures.",
    SUPERVISED: "supervised: goes on with the target's own pairs; what can be had with truth, in as many steps.",
}
RULE = (
    f"No worse: in every pair of domains the {PERCENT} interval of the paired difference excludes a loss of more than"
    f" {MARGIN_DB} dB. Better: no worse, and the interval of the mean gain lies above 0. Worse: in some pair of domains"
    f" the interval lies wholly below -{MARGIN_DB} dB. Else undecided."
)
READING = (
    f"Intervals are Student's, {PERCENT}, over seeds, and of differences within a seed: a network that goes on starts"
    " from the source network of its seed. They tell how sure the figures are for these pictures and this length of"
    " training, and each stands for itself. Pairs of domains share domains, so they are fewer than they look, and a"
    " rank correlation over them is surer in looks than in truth. A distance is of windows of rainy pictures; where"
    " domains show other scenes it is partly that of the scenes."
)
FAVOUR = (
    "Rainy pictures of rendered domains are photographs that are also trained on with other rain, so methods that learn"
    " from them see no new scenes: a real place is harder."
)
TRANSDUCTIVE = "Adapted to the very rainy pictures that are measured, without their truth: {names}."


def write_report(config: DomainStudy, findings: Findings, runs: Sequence[DomainRun], out: Path) -> None:
    """Write figures.json, the pictures, report.md and report.html into the folder `out`."""
    write_figures(out / FIGURES_NAME, {"study": config.recorded()} | findings.as_dict())
    if findings.places_of(SOURCE, truth=True):
        for metric in MATRICES:
            draw_matrix(out / f"matrix_{metric}.png", findings, metric)
    if findings.judgements:
        draw_gains(out / "gains.png", findings)
    if findings.drops:
        draw_drops(out / "drops.png", findings)
    for source in findings.sources:
        draw_strips(out / strips_name(source), findings, runs, source)
    write_page(TITLE, blocks_of(config, findings, runs), out)


def blocks_of(config: DomainStudy, findings: Findings, runs: Sequence[DomainRun]) -> list[Block]:
    """The report, piece by piece."""
    return [
        Heading("Outcome"),
        outcome(findings),
        *([RULE] if findings.judgements else []),
        Heading("What was compared"),
        compared(config, runs),
        [WHAT_METHODS_DO[method] for method in METHODS if method in config.methods],
        Table(domain_rows(config)),
        *matrix_blocks(findings),
        *gain_blocks(config, findings),
        *without_truth_blocks(findings),
        *kept_blocks(findings),
        *distance_blocks(findings),
        *strip_blocks(findings),
        Heading("How to read the figures"),
        READING,
        *remarks(config),
    ]


def outcome(findings: Findings) -> list[str]:
    """What follows, a line for each thing."""
    lines = [verdict_line(findings, name, judged) for name, judged in findings.judgements.items()]
    lines.append(drop_line(findings))
    found = breached(findings)
    went_back = (
        f"{len(found)} of the runs that the guard looked at had lost too much, and went back as far as they had to."
    )
    lines.append(went_back if found else "No run lost more than the guard allows.")
    return lines


def verdict_line(findings: Findings, name: str, judged: Judgement) -> str:
    """A method's verdict, with the figures that decided it."""
    lowest = min(judged.differences, key=lambda column: judged.differences[column].low)
    beside = "against" if judged.verdict == UNDECIDED else "than"
    line = (
        f"{name}: {judged.verdict} {beside} {SOURCE}. Mean gain {signed(judged.mean_gain)} dB over"
        f" {len(judged.differences)} pairs of domains; the lowest bound is from {lowest},"
        f" {signed(judged.differences[lowest])} dB."
    )
    part = findings.regained(name)
    return line if part is None or name == SUPERVISED else f"{line} It has {100 * part:.0f} % of what truth would gain."


def drop_line(findings: Findings) -> str:
    """How much is lost away from home, and whether distance foretells it."""
    drops = findings.drops
    if not drops:
        return "No drop is known: no target has truth."
    mean_db = sum(drop.mean for _, drop in drops.values()) / len(drops)
    line = f"Source networks lack {mean_db:.2f} dB in other domains, against {findings.drop_against}."
    rank = findings.rank_correlation
    if rank is not None:
        return f"{line} Rank correlation of distance and drop: {rank:+.2f} over {len(drops)} pairs of domains."
    few = f"{len(drops)} pairs of domains are too few" if len(drops) < FEWEST_PAIRS else "one of them does not vary"
    return f"{line} Whether distance foretells the drop is not known: {few} for a rank correlation."


def compared(config: DomainStudy, runs: Sequence[DomainRun]) -> str:
    """Network, data, length and machine in a few sentences."""
    train, adaptation, evaluation = config.train, config.adaptation, config.evaluation
    network = " ".join([train.network.name, *(f"{key} {value}" for key, value in train.network.overrides.items())])
    costs = [run.cost() for run in runs]
    minutes = sum(cost.processor_s for cost in costs) / 60
    machines = "; ".join(sorted({cost.machine for cost in costs}))
    return (
        f"{len(config.sources)} sources, {len(config.targets)} targets, {config.seeds} seeds: {len(runs)} runs."
        f" Network {network}, target {train.data.target}; source networks {train.steps} steps of"
        f" {train.data.batch_size} windows of {train.data.patch_px} px, all others {adaptation.steps} steps more."
        f" Measured in each domain on up to {evaluation.samples} windows of {evaluation.crop_px} px; of rendered"
        f" domains on photographs that were not trained on, the same in all. Training took {minutes:.0f} core-minutes"
        f" ({machines}). {FIGURES_NAME} has the whole config."
    )


def matrix_blocks(findings: Findings) -> list[Block]:
    """Matrices of source and target for every method, as pictures and tables."""
    if not findings.places_of(SOURCE, truth=True):
        return []
    blocks: list[Block] = []
    for metric, words in MATRICES.items():
        blocks += [
            Heading(f"{words}, source by target"),
            Shown(
                f"matrix_{metric}.png",
                f"{words}, mean over seeds; the colour is the difference to the rainy pictures. Where the target is"
                " the source it is the source network's.",
            ),
            f"Mean over seeds, and half of its {PERCENT} interval; higher is better.",
            Table(matrix_rows(findings, (metric,), truth=True)),
        ]
    return blocks


def gain_blocks(config: DomainStudy, findings: Findings) -> list[Block]:
    """What going on has gained."""
    if not findings.judgements:
        return []
    return [
        Heading("Gain over the source network"),
        f"PSNR-Y minus that of the source network with the same seed [dB]: mean over {config.seeds} seeds, and in"
        f" brackets its {PERCENT} interval.",
        Table(gain_rows(findings)),
        Shown("gains.png", f"Paired differences to the source network, mean and {PERCENT} interval."),
    ]


def without_truth_blocks(findings: Findings) -> list[Block]:
    """Figures of photographs whose truth nobody knows."""
    if not findings.places_of(SOURCE, truth=False):
        return []
    return [
        Heading("Photographs without truth"),
        "Energy of streaks left, of 1 in the photograph (lower is better), and SSIM-Y of the rest with the photograph"
        " (higher is better): both are needed, for what blurs everything leaves no streak.",
        Table(matrix_rows(findings, WITHOUT_TRUTH, truth=False)),
    ]


def kept_blocks(findings: Findings) -> list[Block]:
    """What was kept: the own domain, and pictures without rain."""
    rows = kept_rows(findings)
    blocks: list[Block] = [
        Heading("What is kept"),
        "PSNR-Y of clean pictures that went through the source networks, against themselves.",
        Table(clean_rows(findings)),
    ]
    if rows:
        blocks += [
            "Change by going on [dB], paired by seed: PSNR-Y in the source's own domain, and that of clean pictures"
            " against themselves.",
            Table(rows),
        ]
    return blocks


def distance_blocks(findings: Findings) -> list[Block]:
    """Distance of domains beside the drop."""
    shown = Shown("drops.png", f"Drop over distance: mean over seeds and {PERCENT} interval.")
    return [
        Heading("Distance and drop"),
        "Distance: energy distance of statistics of rainy pictures (direction, length, width, contrast, coverage and"
        " veil), in standard deviations within a domain; no network is asked. Drop: PSNR-Y of the source network below"
        f" {findings.drop_against}.",
        Table(distance_rows(findings)),
        *([shown] if findings.drops else []),
    ]


def strip_blocks(findings: Findings) -> list[Block]:
    """Derained pictures."""
    about = (
        "Of each target the picture whose rainy PSNR is the median, of the first seed. Windows from the middle, pixel"
        " by pixel; PSNR-Y is that of all that was measured of the picture."
    )
    return [
        Heading("Pictures"),
        about,
        *(Shown(strips_name(source), f"Networks from {source}.") for source in findings.sources),
    ]


def remarks(config: DomainStudy) -> list[Block]:
    """What these figures leave out."""
    targets = config.targets_for(*FROM_FITTED, *FROM_RAINY)
    rendered = any(config.domains[target].rendered for target in targets)
    same = [target for target in targets if config.domains[target].photographs is not None]
    return [*([FAVOUR] if rendered else []), *([TRANSDUCTIVE.format(names=", ".join(same))] if same else [])]


def strips_name(source: str) -> str:
    """File of the strips of a source."""
    return f"pictures_{source}.png"
