"""Targets of audited pairs: which are the same photograph, and whose a rainy picture is that does not fit its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import UInt8

from pipelines.audit_pairs import NamedPair
from pipelines.audit_report import named
from pipelines.check_leak import describe_change
from pipelines.progress import progress
from rainsynth.fingerprint import find_leaks, fingerprint_of
from rainsynth.measure.alignment import LEAST_PEAK, best_shift
from rainsynth.measure.registration import channels_of

MOST_CANDIDATES = 50  # misfits whose targets a rainy picture is compared with, one by one


@dataclass(slots=True)
class Targets:
    """Distinct targets by a key: the pairs that have each, and its fingerprint."""

    names: dict[str, list[str]] = field(default_factory=dict)
    fingerprints: dict[str, UInt8[np.ndarray, "8192"]] = field(default_factory=dict)

    def add(self, key: str, name: str, fingerprint: Callable[[], UInt8[np.ndarray, "8192"]]) -> None:
        """One more pair; the fingerprint is computed for the first with its target."""
        if key not in self.names:
            self.fingerprints[key] = fingerprint()
        self.names.setdefault(key, []).append(name)

    def faults(self, *, shared_by_design: bool) -> list[str]:
        """Targets that stand twice, exactly or as a changed copy, one line each.

        Where most pairs share their target the set is made that way, which is one line, and none for shards.
        """
        shared = [names for names in self.names.values() if len(names) > 1]
        pairs = sum(len(names) for names in self.names.values())
        lines = [f"the same target to the last bit: {named(names)}" for names in shared]
        if shared_by_design:
            lines = []
        elif sum(len(names) for names in shared) > pairs / 2:
            most = max(len(names) for names in shared)
            lines = [f"{pairs} pairs have {len(self.names)} different targets, up to {most} pairs each"]
        return lines + self._changed_copies()

    def _changed_copies(self) -> list[str]:
        keys, fingerprints = list(self.names), list(self.fingerprints.values())
        with progress("compare targets", len(keys)) as advance:
            leaks = find_leaks(fingerprints, fingerprints, advance=advance)
        return [
            f"one photograph as two targets: {self.names[keys[leak.train]][0]} and {self.names[keys[leak.test]][0]}, "
            f"{describe_change(leak, fingerprints[leak.train], fingerprints[leak.test])}"
            for leak in leaks
            if leak.train < leak.test
        ]


def partner_of(misfit: NamedPair, others: Sequence[NamedPair], targets: Targets) -> str:
    """Name of a pair whose target a misfit's rainy picture shows, "" if none is found.

    Targets of other misfits are compared as they are, first of all; then all, by their features.
    """
    rainy, _ = misfit.read()
    channels = channels_of(rainy)
    for other in others[:MOST_CANDIDATES]:
        target = other.read()[1]
        if target.shape == rainy.shape and best_shift(channels, channels_of(target))[0] >= LEAST_PEAK:
            return other.name
    leaks = find_leaks(list(targets.fingerprints.values()), [fingerprint_of(rainy)])
    best = max(leaks, key=lambda leak: leak.similarity.inliers, default=None)
    return list(targets.names.values())[best.train][0] if best is not None else ""
