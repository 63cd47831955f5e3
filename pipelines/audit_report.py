"""What an audit found of a set of pairs: lines, tables, odd pictures, and everything for JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pipelines.audit_figures import FIGURES, blend_words, details_of, figures_of, plain
from rainsynth.measure.blend import HYPOTHESES, simplest_formulas
from rainsynth.measure.pair_audit import PairAudit

ODD_DEVIATIONS = 4.0  # robust standard deviations from the median beyond which a picture is called odd
QUARTILES_APART = 1.349  # standard deviations of a normal distribution
NAMED_AT_ONCE = 6
SIZES_AT_ONCE = 3
RANKS = {"median": 50, "10 %": 10, "90 %": 90, "lowest": 0, "highest": 100}


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """What an audit found. `looked_at` of `in_all` pairs were chosen; `names` are those that could be read.

    `photographs` counts distinct targets; `faults` are one line each.
    """

    path: str
    in_all: int
    looked_at: int
    names: list[str]
    sizes_px: list[tuple[int, int]]
    audits: list[PairAudit]
    photographs: int
    faults: list[str]

    def measured(self) -> list[tuple[str, PairAudit]]:
        """Pairs that figures of the set are taken from, with their names: those that are aligned, or all if none is."""
        everyone = list(zip(self.names, self.audits, strict=True))
        return [(name, one) for name, one in everyone if one.alignment.aligned] or everyone

    def column(self, figure: str) -> np.ndarray:
        """One figure of every measured pair; NaN where a pair does not have it."""
        return np.array([figures_of(one)[figure] for _, one in self.measured()], dtype=np.float64)

    def blend_counts(self) -> dict[str, int]:
        """How many measured pairs each blend made, the most frequent first."""
        return dict(Counter(blend_words(one.blend) for _, one in self.measured()).most_common())

    def formula_residuals(self) -> dict[str, float]:
        """Residual of every formula over the set [codes]: root of the mean square over its pairs.

        Where a freer formula was not tried because a simple one was exact, that one's stands for it; a formula that was
        tried on no pair is left out.
        """
        rows = [one.blend.residuals_codes for _, one in self.measured()]
        rows = [row for row in rows if np.isfinite(list(row.values())).any()]
        tried = [name for name in HYPOTHESES if any(name in row for row in rows)]
        filled = [[row.get(name, np.nanmin(list(row.values()))) for name in tried] for row in rows]
        return dict(zip(tried, np.sqrt(np.nanmean(np.square(filled), axis=0)).tolist(), strict=True)) if rows else {}

    def lines(self) -> list[str]:
        """What the set is, in a few lines."""
        measured = self.measured()
        pairs = f"{len(self.names)} pairs" + (
            f" of {self.in_all}, evenly spread," if self.looked_at < self.in_all else ""
        )
        sizes = Counter(f"{width}x{height} px" for height, width in self.sizes_px).most_common()
        told = ", ".join(f"{count} of {size}" for size, count in sizes[:SIZES_AT_ONCE])
        more = f" and {len(sizes) - SIZES_AT_ONCE} more sizes" if len(sizes) > SIZES_AT_ONCE else ""
        lines = [f"{pairs} with {self.photographs} different targets: {told}{more}"]
        if len(measured) < len(self.names):
            lines.append(f"figures of the set are those of the {len(measured)} pairs that are aligned")
        counts = self.blend_counts().items()
        residuals = self.column("residual_codes")
        misses = f"; median residual {np.nanmedian(residuals):.2f} codes" if np.isfinite(residuals).any() else ""
        lines.append("blend: " + "; ".join(f"{words}: {count} of {len(measured)}" for words, count in counts) + misses)
        exact = sum(one.bit_exact for _, one in measured)
        if exact:
            lines.append(f"bit for bit min(255, clean + S), S grey and whole: {exact} of {len(measured)}")
        return lines

    def odd(self) -> list[str]:
        """Pairs unlike most others, one line a figure: over four robust standard deviations from the median.

        And pairs whose blend is not that of most.
        """
        measured = self.measured()
        found = [
            f"{words}: {named([name for name, one in measured if blend_words(one.blend) == words])}"
            for words in list(self.blend_counts())[1:]
        ]
        for figure, (title, form, step) in FIGURES.items():
            values = self.column(figure)
            if np.isfinite(values).sum() < 2:
                continue
            low, median, high = np.nanpercentile(values, (25, 50, 75))
            away = np.nan_to_num(np.abs(values - median))
            places = np.flatnonzero(away > ODD_DEVIATIONS * max((high - low) / QUARTILES_APART, step))
            places = places[np.argsort(-away[places], kind="stable")]
            if len(places):
                told = named([f"{measured[place][0]} ({values[place]:{form}})" for place in places])
                found.append(f"{title}, median {median:{form}}: {told}")
        return found

    def table(self) -> list[dict[str, str]]:
        """Mean, median, 10 and 90 %, lowest and highest of every figure over the measured pairs, as text."""
        rows = []
        for name, (title, form, _) in FIGURES.items():
            values = self.column(name)
            values = values[np.isfinite(values)]
            if len(values):
                ranks = {rank: f"{np.percentile(values, share):{form}}" for rank, share in RANKS.items()}
                rows.append({"figure": title, "mean": f"{values.mean():{form}}"} | ranks)
        return rows

    def formula_table(self) -> list[dict[str, str]]:
        """Residual of every formula over the set, and of how many pairs it is the simplest that fits, as text."""
        residuals = self.formula_residuals()
        chosen = Counter(one.blend.formula for _, one in self.measured())
        simplest = simplest_formulas(residuals)
        return [
            {
                "formula": name,
                "residual (codes)": f"{residuals[name]:.2f}" if name in residuals else "not needed",
                "simplest that fits": f"{chosen[name]} pairs" + (", and the set" if name in simplest[:1] else ""),
            }
            for name in (HYPOTHESES if residuals else ())
        ]

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON; what is not known is null."""
        columns = {name: self.column(name) for name in FIGURES}
        known = {name: values for name, values in columns.items() if np.isfinite(values).any()}
        per_pair = [
            {"name": name, "size_px": size} | details_of(one)
            for name, size, one in zip(self.names, self.sizes_px, self.audits, strict=True)
        ]
        return plain(
            {
                "path": self.path,
                "pairs_in_all": self.in_all,
                "pairs_looked_at": self.looked_at,
                "pairs_measured": len(self.measured()),
                "targets": self.photographs,
                "faults": self.faults,
                "odd": self.odd(),
                "blends": self.blend_counts(),
                "formula_residuals_codes": self.formula_residuals(),
                "median": {name: np.nanmedian(values) for name, values in known.items()},
                "mean": {name: np.nanmean(values) for name, values in known.items()},
                "per_pair": per_pair,
            }
        )


def named(names: Sequence[str]) -> str:
    """Some names, and how many more there are."""
    more = f" and {len(names) - NAMED_AT_ONCE} more" if len(names) > NAMED_AT_ONCE else ""
    return ", ".join(names[:NAMED_AT_ONCE]) + more
