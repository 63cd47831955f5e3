"""The streaks of the photographs themselves: what a network takes off each, as a picture of grey codes.

No family of rain is quite that of a place. A network that sees its streaks well takes off nearly those, ends, edges,
crossings and all, and laid over clean photographs they are what a network can learn the place's rain from. What it
leaves it does not show, so that they are too faint, and what it mistakes for rain they show.

What a network takes off is the mean of what may have been there: paler than the rain, smoother at its edges, and with
no trace of what lies too thin or too even to be told from the photograph. Another network learns them in no time, and
learns to leave what they lack. What a network misses is seen in pictures of the fitted rain, whose streaks are known:
there it is the difference of true and taken. So every photograph's streaks are laid together with what the network
missed of other streaks, of the photograph's own kind. That is not the rain that was missed, but as much, as fine and as
bright.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

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
from pipelines.fit_pictures import Photo, Rainy
from pipelines.fit_rounds import ROUND_STRIDE, Crew, Search, Setting, crew_of, sample_like
from pipelines.fit_statistics import STEPS_PER_CODE, dry_codes
from pipelines.new_folder import new_folder
from pipelines.progress import progress
from rainsynth.display_blend import WHITE_CODE
from rainsynth.lookalikes import LookAlike
from rainsynth.lookalikes.taken_layers import picture_of_layer, unknown_of
from rainsynth.measure.rain_statistics import Statistics, as_row
from rainsynth.pictures import read_photo, write_picture
from rainsynth.presets import Preset
from rainsynth.sample import RainSample

LAYERS_OPTION = "--layers"
SCREENED = "screen"
CLIPPED_WEIGHT = 1e-3  # choice: of a channel that is white in the rain and says no more than that so much was added
SUFFIX = ".png"
VARIANTS = 3  # choice: layers of each photograph, with what was missed of as many others
FIRST_INDEX, MISSED_INDEX = 7 * ROUND_STRIDE, 9 * ROUND_STRIDE  # of pictures; rounds, kinds and the report have others

Rain = Preset | LookAlike


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """How streaks are taken off: by which weights, blended how."""

    network: str
    blend: str

    def layer(self, picture_srgb8: Photo) -> Float[np.ndarray, "h w"]:
        """The streaks of a picture [codes]; the mean over it and its mirror image, which is nearer to them."""
        return taken_codes(picture_srgb8, dry_codes(picture_srgb8, self.network, mirrored=True), self.blend)


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


def add_missed(fit: Fit, taking: Taking, files: Sequence[Sequence[Path]], crew: Crew) -> None:
    """Lay each photograph's streaks, which its first file holds, together with what is missed of others like them.

    Every file is written anew.
    """
    jobs = [(fit.setting, rain_at(fit, place), taking, place, paths) for place, paths in enumerate(files)]
    with progress("what is missed", len(jobs)) as advance:
        for _ in crew(_add_missed, jobs):
            advance(1)


def _add_missed(job: tuple[Setting, Rain, Taking, int, Sequence[Path]]) -> None:
    setting, rain, taking, place, paths = job
    picture = read_photo(paths[0])
    for variant, path in enumerate(paths):
        sample = sample_like(setting, setting.rainy[place], rain, index=MISSED_INDEX + place * VARIANTS + variant)
        codes = np.clip(picture[..., 0] + missed_codes(sample, taking), 0, WHITE_CODE)
        write_picture(path, picture_of_layer(np.rint(codes).astype(np.uint8), unknown_of(picture)))


def missed_codes(sample: RainSample, taking: Taking) -> Float[np.ndarray, "h w"]:
    """True less taken streaks of a picture [codes]; nothing where it is white, and no one can tell."""
    missed = true_codes(sample) - taking.layer(sample.rainy_srgb8)
    return np.where(is_white(sample.rainy_srgb8), 0, missed)


def rain_at(fit: Fit, place: int) -> Rain:
    """The rain of one photograph: its own kinds, or, where it has none, those of all."""
    assert fit.kinds is not None
    own = [kind for kind, at in enumerate(fit.kinds.places) if at == place]
    if own:
        fit = replace(fit, kinds=replace(fit.kinds, places=(place,) * len(own), numbers=fit.kinds.numbers[own]))
    return choice_of_fit(fit).family


def true_codes(sample: RainSample) -> Float[np.ndarray, "h w"]:
    """The streaks of a sample [codes]."""
    return sample.streak_alpha16.astype(np.float32) / STEPS_PER_CODE


def is_white(picture_srgb8: Photo) -> Bool[np.ndarray, "h w"]:
    """Where a picture is white in every channel: of what was added there it says only how much at the least."""
    return (picture_srgb8 == WHITE_CODE).all(axis=-1)


def taken_codes(rainy_srgb8: Photo, dry: Float[np.ndarray, "h w 3"], blend: str) -> Float[np.ndarray, "h w"]:
    """The grey layer S [codes] nearest to what a network took off, by least squares over the channels.

    rainy = dry + g S, where g is 1 for streaks that were added and 1 - dry / 255 for those that were screened.
    """
    share = 1 - dry / WHITE_CODE if blend == SCREENED else np.ones_like(dry)
    weight = np.where(rainy_srgb8 == WHITE_CODE, CLIPPED_WEIGHT, 1.0)
    taken = (weight * share * (rainy_srgb8 - dry)).sum(axis=-1)
    known = np.maximum((weight * share**2).sum(axis=-1), CLIPPED_WEIGHT)
    return np.clip(taken / known, 0, WHITE_CODE)
