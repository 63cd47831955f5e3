"""What a fit of a set's rainy pictures should find: the same measures of its pairs, in the windows the fit looks at.

    python benchmarks/fit_of_pairs.py PAIRS [PAIRS ...] [--fitted FITTED.yaml] [--network WEIGHTS] [--layers LAYERS]

PAIRS holds `input/` and `target/`, pictures of equal names, in which grey streaks were added to display codes, as in
Rain100L and Rain100H. Means are those of logarithms, and so is the factor by which pictures differ. Windows are those
of seed 0. What `rainsynth fit PAIRS/input` says beside it is its peer.

`--fitted`: how near the kinds of each photograph in that config draw its own rain: by how much their measures are off,
root mean square of logarithms. `--network`: how near the streaks that these weights take off are to the true ones, over
pixels that are not white in the rain. `--layers`: the same of the layers that `rainsynth fit --layers` wrote, in which
what is missed lies beside them, but not where it is missed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from pipelines.config import load_config
from pipelines.fit_families import LINE_FINDINGS, layer_findings
from pipelines.fit_layers import VARIANTS, Taking, is_white
from pipelines.fit_pictures import Rainy, survey_rainy
from pipelines.generate_config import GenerateConfig
from rainsynth.display_blend import WHITE_CODE
from rainsynth.lookalikes import LineRain
from rainsynth.lookalikes.layers import RECIPES
from rainsynth.lookalikes.line_rain import STREAKS, TAKEN
from rainsynth.measure import grey_layer
from rainsynth.pictures import read_photo

DRAWS = 2  # layers of each kind


def true_layer(rainy: Rainy) -> np.ndarray:
    """The grey layer of a pair, whole [codes], as float32."""
    clean = rainy.path.parent.with_name("target") / rainy.path.name
    return grey_layer(read_photo(rainy.path), read_photo(clean)).astype(np.float32)


def logarithms(layer: np.ndarray) -> list[float]:
    """Logarithms of LINE_FINDINGS of a layer."""
    found = layer_findings(layer)
    return [float(np.log(found[name])) for name in LINE_FINDINGS]


def logarithms_in_windows(pairs: list[Rainy]) -> np.ndarray:
    """The same of the windows of all pairs, a row each."""
    rows = []
    for rainy in pairs:
        top, left, height, width = rainy.window
        rows.append(logarithms(true_layer(rainy)[top : top + height, left : left + width]))
    return np.array(rows)


def drawn_by(parts: list[LineRain], name: str, size_px: tuple[int, ...]) -> np.ndarray:
    """Means of the same over what the kinds for the photograph `name` draw."""
    rows = []
    for part in parts:
        recipe = RECIPES[STREAKS[part.streaks]]
        for kind in (kind for kind in part.kinds if kind.title == f"as {name}"):
            for seed in range(DRAWS):
                layer = recipe(*size_px, dict(kind.ranges), np.random.default_rng(seed))
                rows.append(logarithms(np.minimum(layer, WHITE_CODE)))
    return np.mean(rows, axis=0)


def kinds_against_pairs(pairs: list[Rainy], fitted: Path) -> None:
    """A line for each measure of whole layers: of the pairs, of the kinds, and how far these are off."""
    lines = [choice.lines for choice in load_config(GenerateConfig, fitted).mixture]
    parts = [part for part in lines if part is not None and part.streaks != TAKEN]
    layers = [true_layer(rainy) for rainy in pairs]
    true = np.array([logarithms(layer) for layer in layers])
    drawn = np.array([drawn_by(parts, one.path.name, layer.shape) for one, layer in zip(pairs, layers, strict=True)])
    for name, pair, kind in zip(LINE_FINDINGS, true.T, drawn.T, strict=True):
        off = np.exp(np.sqrt(np.mean((kind - pair) ** 2)))
        means = f"pairs {np.exp(pair.mean()):7.3f}, kinds {np.exp(kind.mean()):7.3f}"
        print(f"  {name:18} {means}, off by x or / {off:.2f}, correlation {np.corrcoef(pair, kind)[0, 1]:.2f}")


def layers_against_pairs(name: str, pairs: list[Rainy], layers: list[list[np.ndarray]]) -> None:
    """Difference of layers of each pair and its true one [codes] and their correlation, means over all."""
    rows = []
    for rainy, seen in zip(pairs, layers, strict=True):
        known = ~is_white(read_photo(rainy.path))
        true = true_layer(rainy)[known]
        for layer in seen:
            off = layer[known].astype(np.float64) - true
            rows.append([np.sqrt(np.mean(off**2)), off.mean(), true.mean(), np.corrcoef(true, true + off)[0, 1]])
    rms, bias, mean, correlation = np.mean(rows, axis=0)
    near = f"{rms:.1f} codes rms from the true ones, correlation {correlation:.3f}"
    print(f"  {name}: {near}, {bias:+.1f} of {mean:.1f} codes")


def layers_in(folder: Path) -> list[list[np.ndarray]]:
    """The layers of each photograph, VARIANTS of every one."""
    layers = [read_photo(path)[..., 0] for path in sorted(folder.iterdir())]
    return [layers[first : first + VARIANTS] for first in range(0, len(layers), VARIANTS)]


def main() -> None:
    """A line for each measure of each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", type=Path, nargs="+")
    parser.add_argument("--fitted", type=Path)
    parser.add_argument("--network")
    parser.add_argument("--layers", type=Path)
    given = parser.parse_args()
    for folder in given.pairs:
        pairs = survey_rainy(folder / "input", seed=0)
        print(f"{folder.name}, {len(pairs)} pairs")
        for name, values in zip(LINE_FINDINGS, logarithms_in_windows(pairs).T, strict=True):
            print(f"  {name:18} {np.exp(values.mean()):7.3f}, x or / {np.exp(values.std()):.2f}")
        if given.fitted:
            kinds_against_pairs(pairs, given.fitted)
        if given.network:
            taking = Taking(network=given.network, blend="additive")
            layers_against_pairs("taken", pairs, [[taking.layer(read_photo(one.path))] for one in pairs])
        if given.layers:
            layers_against_pairs("layers", pairs, layers_in(given.layers))


if __name__ == "__main__":
    main()
