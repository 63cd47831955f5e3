"""The tables of a study of domains, as text."""

from __future__ import annotations

import numpy as np

from pipelines.domains.config import SOURCE, SUPERVISED, DomainStudy
from pipelines.domains.findings import PSNR, BySeed, Cell, Findings, Place, named
from pipelines.study_page import signed
from pipelines.study_statistics import mean_interval, paired_difference

FORMS = {"psnr_y": ".2f", "ssim_y": ".4f", "streak_energy_left": ".3f", "rest_kept": ".4f"}
NONE = "-"
Rows = list[dict[str, str]]


def matrix_rows(findings: Findings, metrics: tuple[str, ...], *, truth: bool) -> Rows:
    """Mean and half of its interval: a row for every source and method, a column for every target."""
    targets = [target for target in findings.targets if findings.truth[target] is truth]
    inputs = {target: [f"{findings.inputs[target][name]:{FORMS[name]}}" for name in metrics] for target in targets}
    rows = [{"network": "rainy"} | {target: ", ".join(texts) for target, texts in inputs.items()}]
    for source in findings.sources:
        for method in findings.methods:
            row = {"network": f"{source}, {method}"}
            for target in targets:
                tried = (source, target) in findings.cells[method]
                scores = findings.cells[method][source, target].scores if tried else {}
                row[target] = ", ".join(with_half(scores[name], FORMS[name]) for name in metrics) if tried else NONE
            rows.append(row)
    return [row for row in rows if set(row.values()) - {row["network"], NONE}]


def gain_rows(findings: Findings) -> Rows:
    """PSNR-Y minus that of the source network of the same seed: a row for every pair of domains, and for all."""
    rows = []
    for place in findings.places_gone_on:
        row = {"from, to": named(place)}
        for method in findings.judgements:
            row[method] = signed(findings.gain(method, place, PSNR)) if place in findings.cells[method] else NONE
        rows.append(row)
    everywhere = {method: signed(judged.mean_gain) for method, judged in findings.judgements.items()}
    return [*rows, {"from, to": "mean"} | everywhere] if rows else []


def kept_rows(findings: Findings) -> Rows:
    """What going on has cost: in the source's own domain, on clean pictures, and what the guard said."""
    rows = []
    for method in findings.methods:
        for place, cell in findings.cells[method].items() if method != SOURCE else ():
            before = findings.cells[SOURCE][place]
            rows.append(
                {
                    "from, to": f"{named(place)}, {method}",
                    "own domain [dB]": signed(paired_difference(cell.own[PSNR], before.own[PSNR])),
                    "clean pictures [dB]": signed(paired_difference(cell.clean_db, before.clean_db)),
                    "guard": guard_words(cell) if method != SUPERVISED else "none",
                }
            )
    return rows


def clean_rows(findings: Findings) -> Rows:
    """PSNR-Y of clean pictures that went through source networks."""
    cells = {source: findings.cells[SOURCE][source, source] for source in findings.sources}
    return [
        {"network": source, "clean pictures [dB]": with_half(cell.clean_db, ".2f")} for source, cell in cells.items()
    ]


def distance_rows(findings: Findings) -> Rows:
    """Distance of every pair of domains, in what they differ most, and the drop."""
    rows = []
    for place in sorted(findings.places, key=lambda place: findings.distances[place].value):
        distance, drop = findings.distances[place], findings.drops.get(place)
        rows.append(
            {
                "from, to": named(place),
                "distance": f"{distance.value:.2f}",
                "differs most in": f"{distance.foremost} {distance.shifts[distance.foremost]:+.1f} sd",
                "drop [dB]": signed(drop[1]) if drop else NONE,
            }
        )
    return rows


def domain_rows(config: DomainStudy) -> Rows:
    """Every domain: what it is, and what part it takes."""
    rows = []
    for name in config.used:
        domain = config.domains[name]
        what = (
            ", ".join(part.label for part in domain.rain) or str(domain.pairs or domain.photographs).rsplit("/", 1)[-1]
        )
        kind = "rendered" if domain.rendered else "pairs" if domain.truth else "photographs without truth"
        part = " and ".join(
            word for word, names in (("source", config.sources), ("target", config.targets)) if name in names
        )
        rows.append({"domain": name, "kind": kind, "rain": what, "is": part})
    return rows


def with_half(values: BySeed, form: str) -> str:
    """A mean over seeds and half of its interval; NONE where a seed has no value."""
    if np.isnan(values).any():
        return NONE
    found = mean_interval(values)
    return f"{found.mean:{form}} ± {found.high - found.mean:{form}}"


def guard_words(cell: Cell) -> str:
    """What the guard said over the seeds, and how much it left of what was learned."""
    lost = [seed for seed, words in enumerate(cell.breaches) if words]
    if not lost:
        return "held"
    steps = ", ".join(str(cell.steps[seed]) for seed in lost)
    kept = ", ".join(f"{cell.kept_fractions[seed]:.0%}" for seed in lost)
    return f"went back in {len(lost)} of {len(cell.breaches)}, after {steps} steps, to {kept}"


def breached(findings: Findings) -> list[tuple[str, Place, str]]:
    """Every breach of a guard: method, pair of domains and what was lost."""
    return [
        (method, place, words)
        for method, cells in findings.cells.items()
        for place, cell in cells.items()
        for words in cell.breaches
        if words
    ]
