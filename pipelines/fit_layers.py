"""The streaks of the photographs themselves: what a network takes off each, as a picture of grey codes.

No family of rain is quite that of a place. A network that sees its streaks well takes off nearly those, ends, edges,
crossings and all, and laid over clean photographs they are what a network can learn the place's rain from. What it
leaves it does not show, so that they are too faint (pipelines.fit_missed lays beside them what that may be), and what
it mistakes for rain they show.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float

from pipelines.fit import Fit
from pipelines.fit_config import choice_of_fit
from pipelines.fit_match import (
    ROUNDS,
    TURNS,
    WHOLE_EFFORT,
    Effort,
    layers_all_over,
    matched_kinds,
    matched_search,
    shape_of,
    wanted_layers,
)
from pipelines.fit_missed import VARIANTS, add_missed, true_codes
from pipelines.fit_pictures import Rainy
from pipelines.fit_rounds import ROUND_STRIDE, Crew, Rain, Search, Setting, crew_of, sample_like
from pipelines.fit_taking import Taking, is_white
from pipelines.new_folder import new_folder
from pipelines.progress import progress
from rainsynth.lookalikes.taken_layers import picture_of_layer
from rainsynth.measure.rain_statistics import Statistics, as_row
from rainsynth.pictures import write_picture

LAYERS_OPTION = "--layers"
SUFFIX = ".png"
FIRST_INDEX = 7 * ROUND_STRIDE  # of pictures; rounds, kinds, what is missed and the report have others


def take_layers(fit: Fit, folder: Path, effort: Effort = WHOLE_EFFORT, workers: int = 1) -> Fit:
    """Write VARIANTS layers of every photograph of a fit, as it is looked at, under the place that it has among them.

    The folder is there once all are written. The fit comes back with kinds that are matched to these streaks, TURNS
    times: what a network takes off, and how, is seen in pictures of the kinds of the turn before.
    """
    rainy, taking = fit.setting.rainy, Taking(network=fit.setting.network, blend=fit.blend)
    search = matched_search(fit.search, fit.whole)
    sizes_px = [(one.height_px, one.width_px) for one in rainy]
    with new_folder(folder, LAYERS_OPTION) as part, crew_of(workers) as crew:
        stems = [f"{place:04d}_{one.path.stem}" for place, one in enumerate(rainy)]
        files = [[part / f"{stem}_{variant}{SUFFIX}" for variant in range(VARIANTS)] for stem in stems]
        jobs = [(one, taking, search, paths[0]) for one, paths in zip(rainy, files, strict=True)]
        taken: list[Statistics] = []
        with progress("streaks taken", len(jobs)) as advance:
            for shape in crew(_take, jobs):
                taken.append(shape)
                advance(1)
        names, drawn, kinds = tuple(taken[0]), layers_all_over(fit.setting, search, sizes_px, effort, crew), None
        for turn in range(TURNS):
            numbers = range(turn * effort.pictures, (turn + 1) * effort.pictures)
            known, seen = pictures_known(fit.setting, choice_of_fit(fit).family, taking, search, numbers, crew)
            wanted = wanted_layers(names, rows_of(known), rows_of(seen), rows_of(taken), sizes_px)
            for _ in range(ROUNDS):
                kinds, drawn = matched_kinds(fit.setting, search, wanted, drawn, effort, crew, kinds)
            fit = replace(fit, kinds=kinds)
        add_missed(fit, taking, files, crew)
    return fit


def rows_of(shapes: Sequence[Statistics]) -> Float[np.ndarray, "n s"]:
    """Statistics of layers, a row each."""
    return np.array([as_row(shape) for shape in shapes])


def pictures_known(
    setting: Setting, rain: Rain, taking: Taking, search: Search, numbers: range, crew: Crew
) -> tuple[list[Statistics], list[Statistics]]:
    """Statistics of true and taken layers of pictures of `rain`, which follow from these numbers."""
    jobs = [(setting, rain, taking, search, number) for number in numbers]
    pairs = []
    with progress("streaks taken off the fit", len(jobs)) as advance:
        for pair in crew(_look, jobs):
            pairs.append(pair)
            advance(1)
    known, seen = zip(*pairs, strict=True)
    return list(known), list(seen)


def _look(job: tuple[Setting, Rain, Taking, Search, int]) -> tuple[Statistics, Statistics]:
    setting, rain, taking, search, number = job
    like = setting.rainy[number % len(setting.rainy)]
    sample = sample_like(setting, like, rain, index=FIRST_INDEX + number)
    return shape_of(search, true_codes(sample)), shape_of(search, taking.layer(sample.rainy_srgb8))


def _take(job: tuple[Rainy, Taking, Search, Path]) -> Statistics:
    one, taking, search, path = job
    rainy_srgb8 = one.picture()
    layer = taking.layer(rainy_srgb8)
    write_picture(path, picture_of_layer(np.rint(layer).astype(np.uint8), is_white(rainy_srgb8)))
    return shape_of(search, layer)
