"""What a fit of a set's rainy pictures should find: the same measures of its pairs, in the windows the fit looks at.

    python benchmarks/fit_of_pairs.py PAIRS [PAIRS ...] [--fitted FITTED.yaml] [--network WEIGHTS] [--layers LAYERS]
        [--over PHOTOGRAPHS]

PAIRS holds `input/` and `target/`, pictures of equal names, in which grey streaks were added to display codes, as in
Rain100L and Rain100H. Means are those of logarithms, and so is the factor by which pictures differ. Windows are those
of seed 0. What `rainsynth fit PAIRS/input` says beside it is its peer.

`--fitted`: how near the kinds of each photograph in that config draw its own rain: by how much their measures are off,
root mean square of logarithms. `--network`: how near the streaks that these weights take off are to the true ones, over
pixels that are not white in the rain. `--layers`: the same of the layers that `rainsynth fit --layers` wrote, in which
what is missed lies beside them, but not where it is missed. `--over`, with `--network`: how well these weights derain
dry photographs in the true layers, and in those of `--layers`, which should be as hard; a photograph of each pair, the
same for both. Where the rain is white, and 5 px about, nobody knows the true layer, and no pixel and no window counts.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from mspfn import derain, load_weights
from pipelines.config import load_config
from pipelines.evaluation.pairs import grown
from pipelines.evaluation.real_rain import similarity_within
from pipelines.fit_families import LINE_FINDINGS, layer_findings
from pipelines.fit_missed import VARIANTS
from pipelines.fit_pictures import Rainy, clean_like, survey_rainy
from pipelines.fit_taking import Taking, is_white
from pipelines.generate_config import GenerateConfig
from rainsynth.display_blend import WHITE_CODE
from rainsynth.lookalikes import LineRain
from rainsynth.lookalikes.layers import RECIPES
from rainsynth.lookalikes.line_rain import STREAKS, TAKEN
from rainsynth.measure import grey_layer
from rainsynth.metrics import SSIM_WINDOW_PX, psnr_y
from rainsynth.pictures import list_photos, read_photo
from rainsynth.seeding import MIXTURE_STREAM, sample_rng

DRAWS = 2  # layers of each kind
LEAST_KNOWN = 0.3  # of a picture; of the others too little can be measured


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


def layers_over(
    name: str, pairs: list[Rainy], layers: list[list[np.ndarray]], network: str, dry: tuple[Path, ...]
) -> None:
    """PSNR-Y, SSIM-Y and brightness of derained photographs against dry ones in each pair's layers, means over all."""
    rows, weights = [], load_weights(network)
    for place, (rainy, over) in enumerate(zip(pairs, layers, strict=True)):
        white, true = is_white(read_photo(rainy.path)), true_layer(rainy)
        known = ~grown(white, SSIM_WINDOW_PX)
        if known.mean() < LEAST_KNOWN:
            continue
        clean = clean_like(rainy, dry, sample_rng(0, place, MIXTURE_STREAM))
        for layer in over:
            codes = np.rint(np.where(white, true, layer))
            added = np.clip(clean + codes[..., None], 0, WHITE_CODE).astype(np.uint8)
            derained = derain(added, weights)
            bias = (derained[known].astype(np.float64) - clean[known]).mean()
            rows.append([psnr_y(derained, clean, known), similarity_within(derained, clean, known), bias])
    psnr_db, ssim, bias = np.mean(rows, axis=0)
    print(f"  {name} over photographs: {psnr_db:.2f} dB, {ssim:.4f}, {bias:+.2f} codes, {len(rows)} pictures")


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
    parser.add_argument("--over", type=Path)
    given = parser.parse_args()
    if given.over and not given.network:
        parser.error("--over must go with --network WEIGHTS, got none.")
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
        if given.over:
            dry = tuple(list_photos(given.over))
            layers_over("true layers", pairs, [[true_layer(rainy)] for rainy in pairs], given.network, dry)
            if given.layers:
                layers_over("layers", pairs, layers_in(given.layers), given.network, dry)


if __name__ == "__main__":
    main()
