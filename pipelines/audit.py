"""`rainsynth audit`: how a set of pairs was made, what its rain looks like, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

from pipelines.audit_pairs import AUTO, NamedPair, pairs_to_audit, pixels_sha256
from pipelines.audit_report import AuditReport
from pipelines.audit_targets import Targets, partner_of
from pipelines.progress import progress
from rainsynth.checks import InputError
from rainsynth.fingerprint import fingerprint_of
from rainsynth.measure.pair_audit import PairAudit, audit_pair


def audit(path: Path, *, layout: str = AUTO, pairs: int | None = None) -> AuditReport:
    """Audit a set of pairs: a folder in any layout of `pair_layouts`, or shards; `pairs` of them, evenly spread.

    A function of the pixels and names alone. Raises InputError where there is no pair; what is wrong with single pairs
    is among the report's faults.
    """
    chosen = pairs_to_audit(path, layout, pairs)
    faults, targets = list(chosen.faults), Targets()
    kept: list[NamedPair] = []
    sizes: list[tuple[int, int]] = []
    audits: list[PairAudit] = []
    with progress("audit", len(chosen.pairs)) as advance:
        for pair in chosen.pairs:
            try:
                rainy, target = pair.read()
                audits.append(audit_pair(rainy, target))
            except InputError as error:
                faults.append(f"{pair.name}: {error}")
            else:
                kept.append(pair)
                sizes.append((target.shape[0], target.shape[1]))
                key = pair.photograph or pixels_sha256(target)
                targets.add(key, pair.name, lambda target=target: fingerprint_of(target))  # type: ignore[misc]
            advance()
    if not kept:
        raise InputError(f"{path} must hold a pair that can be read, got none. {faults[0]}")
    faults += _faults_of_pairs(kept, audits, targets)
    faults += targets.faults(shared_by_design=bool(kept[0].photograph))
    return AuditReport(
        path=str(path),
        in_all=chosen.in_all,
        looked_at=chosen.looked_at,
        names=[pair.name for pair in kept],
        sizes_px=sizes,
        audits=audits,
        photographs=len(targets.names),
        faults=faults,
    )


def _faults_of_pairs(pairs: list[NamedPair], audits: list[PairAudit], targets: Targets) -> list[str]:
    """One line a fault of a pair; of a rainy picture that shows nothing of its target, whose target it shows."""
    misfits = [pair for pair, one in zip(pairs, audits, strict=True) if not one.alignment.same_scene]
    lines = []
    for pair, one in zip(pairs, audits, strict=True):
        for fault in one.faults():
            partner = (
                "" if one.alignment.same_scene else partner_of(pair, [m for m in misfits if m is not pair], targets)
            )
            lines.append(f"{pair.name}: {fault}" + (f", but the target of {partner}" if partner else ""))
    return lines
