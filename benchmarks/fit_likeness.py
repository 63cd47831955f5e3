"""How well rainy photographs can be told from pictures of a rain, such as one that was fitted to them.

    python benchmarks/fit_likeness.py PHOTOS CLEAN RAIN [RAIN ...] [--pictures 240] [--network WEIGHTS]

PHOTOS is a folder of rainy photographs, CLEAN one of clean ones to rain on, RAIN a config that `rainsynth fit` wrote
or, as its peer, the name of a preset. For each RAIN: the area under the curve of a linear discriminant on the
statistics that a fit compares pictures by, cross-validated: 0.5 where it cannot tell them apart, 1 where it always can.
Then the statistics that differ most on average, in standard deviations of the rain's pictures.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from jaxtyping import Float

from pipelines.adapt import Rain, fitted_rain
from pipelines.fit_pictures import Rainy, clean_like, survey_rainy
from pipelines.fit_statistics import NETWORK, picture_statistics
from rainsynth.measure.population import regress
from rainsynth.measure.rain_statistics import Statistics
from rainsynth.named_rain import render_preset
from rainsynth.pictures import list_photos
from rainsynth.preset_choice import PresetChoice
from rainsynth.scene.background import Background
from rainsynth.seeding import MIXTURE_STREAM, sample_rng

CENTRE_DEG, REACH_DEG = 0.0, 60.0  # where streaks are looked for
SEED = 7
SHOWN = 10
CONFIG_SUFFIXES = (".yaml", ".yml")


def rain_of(name: str) -> Rain:
    """The rain of a config, or a preset."""
    return fitted_rain(Path(name)) if name.endswith(CONFIG_SUFFIXES) else (PresetChoice(preset=name),)


def rained(rainy: Rainy, clean: tuple[Path, ...], rain: Rain, index: int, network: str) -> Statistics:
    """Statistics of a clean photograph in this rain, at the window of a rainy one."""
    rng = sample_rng(SEED, index, MIXTURE_STREAM)
    background = Background(clean_like(rainy, clean, rng))
    weights = np.array([part.weight for part in rain])
    part = rain[rng.choice(len(rain), p=weights / weights.sum())]
    sample = render_preset(background, part.family, name=part.label, seed=SEED, index=index, window=rainy.window)
    return picture_statistics(sample.rainy_srgb8, CENTRE_DEG, REACH_DEG, network)


def told_apart(ours: Float[np.ndarray, "n s"], theirs: Float[np.ndarray, "m s"]) -> float:
    """Area under the curve of a discriminant between two sorts of pictures, each judged by a fit to others."""
    labels = np.repeat([1.0, 0.0], [len(ours), len(theirs)])
    order = np.random.default_rng(SEED).permutation(len(labels))
    statistics, labels = np.concatenate([ours, theirs])[order], labels[order]
    scores = regress(statistics, labels[:, None]).cross_validated[:, 0]
    return float(np.mean(scores[labels == 1][:, None] > scores[labels == 0]))


def main() -> None:
    """Two lines for each rain."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photos", type=Path)
    parser.add_argument("clean", type=Path)
    parser.add_argument("rain", nargs="+")
    parser.add_argument("--pictures", type=int, default=240)
    parser.add_argument("--network", default=NETWORK)
    options = parser.parse_args()
    rainy, clean = survey_rainy(options.photos, seed=0), tuple(list_photos(options.clean))
    seen = [picture_statistics(one.seen(), CENTRE_DEG, REACH_DEG, options.network) for one in rainy]
    names = np.array(list(seen[0]))
    observed = np.array([list(one.values()) for one in seen])
    for name in options.rain:
        rain = rain_of(name)
        drawn = [rained(rainy[k % len(rainy)], clean, rain, k, options.network) for k in range(options.pictures)]
        made = np.array([list(one.values()) for one in drawn])
        varied = made.std(axis=0) > 0
        off = (observed.mean(axis=0) - made.mean(axis=0))[varied] / made.std(axis=0)[varied]
        most = np.argsort(-np.abs(off))[:SHOWN]
        print(f"{name}: told apart by {told_apart(observed[:, varied], made[:, varied]):.3f}")
        print("  " + ", ".join(f"{names[varied][place]} {off[place]:+.2f}" for place in most), flush=True)


if __name__ == "__main__":
    main()
