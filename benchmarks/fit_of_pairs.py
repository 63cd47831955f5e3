"""What a fit of a set's rainy pictures should find: the same measures of its pairs, in the windows the fit looks at.

    python benchmarks/fit_of_pairs.py PAIRS [PAIRS ...]

PAIRS holds `input/` and `target/`, pictures of equal names, in which grey streaks were added to display codes, as in
Rain100L and Rain100H. Means are those of logarithms, and so is the factor by which pictures differ. Windows are those
of seed 0. What `rainsynth fit PAIRS/input` says beside it is its peer.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from pipelines.fit_families import LINE_FINDINGS, layer_findings
from pipelines.fit_pictures import survey_rainy
from rainsynth.measure import grey_layer
from rainsynth.pictures import read_photo


def findings_of_pairs(folder: Path) -> np.ndarray:
    """LINE_FINDINGS of every pair, a row each."""
    rows = []
    for rainy in survey_rainy(folder / "input", seed=0):
        top, left, height, width = rainy.window
        layer = grey_layer(read_photo(rainy.path), read_photo(folder / "target" / rainy.path.name))
        window = layer[top : top + height, left : left + width].astype(np.float32)
        found = layer_findings(window)
        rows.append([found[name] for name in LINE_FINDINGS])
    return np.array(rows)


def main() -> None:
    """A line for each measure of each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, nargs="+")
    for folder in parser.parse_args().pairs:
        logarithms = np.log(findings_of_pairs(folder))
        print(f"{folder.name}, {len(logarithms)} pairs")
        for name, values in zip(LINE_FINDINGS, logarithms.T, strict=True):
            print(f"  {name:18} {np.exp(values.mean()):7.3f}, x or / {np.exp(values.std()):.2f}")


if __name__ == "__main__":
    main()
