"""What a fit of a set's rainy pictures should find: the same measures of its pairs, in the windows the fit looks at.

    python benchmarks/fit_of_pairs.py PAIRS [PAIRS ...] [--fitted FITTED.yaml] [--layers LAYERS]

PAIRS holds `input/` and `target/`, pictures of equal names, in which grey streaks were added to display codes, as in
Rain100L and Rain100H. Means are those of logarithms, and so is the factor by which pictures differ. Windows are those
of seed 0. What `rainsynth fit PAIRS/input` says beside it is its peer.

`--fitted`: how near the kinds of each photograph in that config draw its own rain: by how much their measures are off,
root mean square of logarithms. `--layers`: how near the streaks that `rainsynth fit --layers` took off are to the true
ones, over pixels that are not white in the rain.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from pipelines.config import load_config
from pipelines.fit_families import LINE_FINDINGS, layer_findings
from pipelines.fit_pictures import survey_rainy
from pipelines.generate_config import GenerateConfig
from rainsynth.display_blend import WHITE_CODE
from rainsynth.lookalikes.layers import RECIPES
from rainsynth.lookalikes.line_rain import STREAKS, TAKEN
from rainsynth.measure import grey_layer
from rainsynth.pictures import read_photo

DRAWS = 2  # layers of each kind


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


def findings_of_kinds(fitted: Path, name: str, size_px: tuple[int, ...]) -> np.ndarray:
    """Mean logarithms of LINE_FINDINGS of what a config's kinds for the photograph `name` draw."""
    rows = []
    for part in (choice.lines for choice in load_config(GenerateConfig, fitted).mixture):
        if part is None or part.streaks == TAKEN:
            continue
        recipe = RECIPES[STREAKS[part.streaks]]
        for kind in (kind for kind in part.kinds if kind.title == f"as {name}"):
            for seed in range(DRAWS):
                layer = recipe(*size_px, dict(kind.ranges), np.random.default_rng(seed))
                found = layer_findings(np.minimum(layer, WHITE_CODE))
                rows.append([np.log(found[name]) for name in LINE_FINDINGS])
    return np.mean(rows, axis=0)


def kinds_against_pairs(folder: Path, fitted: Path) -> list[str]:
    """A line for each measure of whole layers: of the pairs, of the kinds, and how far these are off."""
    true, drawn = [], []
    for rainy in survey_rainy(folder / "input", seed=0):
        layer = grey_layer(read_photo(rainy.path), read_photo(folder / "target" / rainy.path.name))
        true.append([np.log(layer_findings(layer.astype(np.float32))[name]) for name in LINE_FINDINGS])
        drawn.append(findings_of_kinds(fitted, rainy.path.name, layer.shape))
    pairs, kinds = np.array(true), np.array(drawn)
    return [
        f"  {name:18} pairs {np.exp(pair.mean()):7.3f}, kinds {np.exp(kind.mean()):7.3f},"
        f" off by x or / {np.exp(np.sqrt(np.mean((kind - pair) ** 2))):.2f},"
        f" correlation {np.corrcoef(pair, kind)[0, 1]:.2f}"
        for name, pair, kind in zip(LINE_FINDINGS, pairs.T, kinds.T, strict=True)
    ]


def layers_against_pairs(folder: Path, layers: Path) -> str:
    """Difference of taken and true layers [codes] and their correlation, means over the pictures."""
    rows = []
    for rainy, path in zip(survey_rainy(folder / "input", seed=0), sorted(layers.iterdir()), strict=True):
        rainy_srgb8 = read_photo(rainy.path)
        known = ~(rainy_srgb8 == WHITE_CODE).all(axis=-1)
        true = grey_layer(rainy_srgb8, read_photo(folder / "target" / rainy.path.name))[known].astype(np.float64)
        taken = read_photo(path)[..., 0][known].astype(np.float64)
        off = taken - true
        rows.append([np.sqrt(np.mean(off**2)), off.mean(), true.mean(), np.corrcoef(true, taken)[0, 1]])
    rms, bias, mean, correlation = np.mean(rows, axis=0)
    near = f"{rms:.1f} codes rms from the true ones, correlation {correlation:.3f}"
    return f"  layers: {near}, {bias:+.1f} of {mean:.1f} codes"


def main() -> None:
    """A line for each measure of each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, nargs="+")
    parser.add_argument("--fitted", type=Path)
    parser.add_argument("--layers", type=Path)
    given = parser.parse_args()
    for folder in given.pairs:
        logarithms = np.log(findings_of_pairs(folder))
        print(f"{folder.name}, {len(logarithms)} pairs")
        for name, values in zip(LINE_FINDINGS, logarithms.T, strict=True):
            print(f"  {name:18} {np.exp(values.mean()):7.3f}, x or / {np.exp(values.std()):.2f}")
        print("\n".join(kinds_against_pairs(folder, given.fitted) if given.fitted else []))
        print(layers_against_pairs(folder, given.layers) if given.layers else "")


if __name__ == "__main__":
    main()
