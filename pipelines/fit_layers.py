"""The streaks of the photographs themselves: what a network takes off each, as a picture of grey codes.

No family of rain is quite that of a place. A network that sees its streaks well takes off nearly those, ends, edges,
crossings and all, and laid over clean photographs they are what a network can learn the place's rain from. What it
leaves it does not show, so that they are too faint, and what it mistakes for rain they show.

What a network takes off is the mean of what may have been there, so that its levels lie closer together than those of
the rain, and the next network would learn to take off less still. How much closer is seen in pictures of the fitted
rain, whose streaks are known: there every level is given that of the streaks with as many fainter ones (quantile
mapping), and the photographs' streaks are written with these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

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
from rainsynth.measure.population import regress
from rainsynth.measure.rain_statistics import Statistics, as_row
from rainsynth.pictures import read_photo, write_picture
from rainsynth.presets import Preset

LAYERS_OPTION = "--layers"
SCREENED = "screen"
CLIPPED_WEIGHT = 1e-3  # choice: of a channel that is white in the rain and says no more than that so much was added
SUFFIX = ".png"
MOST_GAIN = 1.15  # choice: beyond it a photograph is unlike all pictures of the fit
SMALLEST_CODES = 1.0  # of a mean whose logarithm is taken
FIRST_INDEX = 7 * ROUND_STRIDE  # of these pictures; rounds, kinds and the report have others
CODES = np.arange(WHITE_CODE + 1)

Curve = Float[np.ndarray, "256"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """How streaks are taken off: by which weights, blended how."""

    network: str
    blend: str

    def layer(self, picture_srgb8: Photo) -> Float[np.ndarray, "h w"]:
        """The streaks of a picture [codes]; the mean over it and its mirror image, which is nearer to them."""
        return taken_codes(picture_srgb8, dry_codes(picture_srgb8, self.network, mirrored=True), self.blend)


def take_layers(fit: Fit, folder: Path, effort: Effort = WHOLE_EFFORT, workers: int = 1) -> Fit:
    """Write the streaks of every photograph of a fit, as it is looked at, under the place that it has among them.

    The folder is there once all are written. The fit comes back with kinds that are matched to these streaks, TURNS
    times: what a network takes off, and how, is seen in pictures of the kinds of the turn before.
    """
    rainy, taking = fit.setting.rainy, Taking(network=fit.setting.network, blend=fit.blend)
    search = matched_search(fit.search, fit.whole)
    sizes_px = [(one.height_px, one.width_px) for one in rainy]
    with new_folder(folder, LAYERS_OPTION) as part, crew_of(workers) as crew:
        files = [part / f"{place:04d}_{one.path.stem}{SUFFIX}" for place, one in enumerate(rainy)]
        jobs = [(one, taking, search, file) for one, file in zip(rainy, files, strict=True)]
        taken: list[Looks] = []
        with progress("streaks taken", len(jobs)) as advance:
            for looks in crew(_take, jobs):
                taken.append(looks)
                advance(1)
        names, drawn, kinds = tuple(taken[0].shape), layers_all_over(fit.setting, search, sizes_px, effort, crew), None
        for turn in range(TURNS):
            numbers = range(turn * effort.pictures, (turn + 1) * effort.pictures)
            known, seen = pictures_known(fit.setting, choice_of_fit(fit).family, taking, search, numbers, crew)
            wanted = wanted_layers(names, rows_of(known), rows_of(seen), rows_of(taken), sizes_px)
            for _ in range(ROUNDS):
                kinds, drawn = matched_kinds(fit.setting, search, wanted, drawn, effort, crew, kinds)
            fit = replace(fit, kinds=kinds)
        curve = matched_levels(sum_of(seen), sum_of(known))
        for file, gain in zip(files, gains(known, seen, taken, curve), strict=True):
            raise_levels(file, curve * gain)
    return fit


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Looks:
    """What is kept of a layer: its statistics, and how many known pixels, which are not white, have each code."""

    shape: Statistics
    counts: Int[np.ndarray, "256"]

    def mean(self, curve: Curve = CODES) -> float:
        """Mean over known pixels [codes], were every code that of the curve; of none, 1."""
        return max(float(self.counts @ curve) / max(int(self.counts.sum()), 1), SMALLEST_CODES)


def looks_of(layer_codes: Float[np.ndarray, "h w"], known: Bool[np.ndarray, "h w"], search: Search) -> Looks:
    """What is kept of a layer [codes]."""
    codes = np.rint(np.clip(layer_codes, 0, WHITE_CODE)).astype(int)
    return Looks(shape=shape_of(search, layer_codes), counts=np.bincount(codes[known], minlength=len(CODES)))


def rows_of(looks: Sequence[Looks]) -> Float[np.ndarray, "n s"]:
    """Statistics of layers, a row each."""
    return np.array([as_row(one.shape) for one in looks])


def sum_of(looks: Sequence[Looks]) -> Int[np.ndarray, "256"]:
    """How many pixels of all layers have each code."""
    return np.sum([one.counts for one in looks], axis=0)


def pictures_known(
    setting: Setting, rain: Preset | LookAlike, taking: Taking, search: Search, numbers: range, crew: Crew
) -> tuple[list[Looks], list[Looks]]:
    """True and taken layers of pictures of `rain`, which follow from these numbers."""
    jobs = [(setting, rain, taking, search, number) for number in numbers]
    pairs = []
    with progress("streaks taken off the fit", len(jobs)) as advance:
        for pair in crew(_look, jobs):
            pairs.append(pair)
            advance(1)
    known, seen = zip(*pairs, strict=True)
    return list(known), list(seen)


def _look(job: tuple[Setting, Preset | LookAlike, Taking, Search, int]) -> tuple[Looks, Looks]:
    setting, rain, taking, search, number = job
    like = setting.rainy[number % len(setting.rainy)]
    sample = sample_like(setting, like, rain, index=FIRST_INDEX + number)
    known = ~is_white(sample.rainy_srgb8)
    true = sample.streak_alpha16.astype(np.float32) / STEPS_PER_CODE
    return looks_of(true, known, search), looks_of(taking.layer(sample.rainy_srgb8), known, search)


def _take(job: tuple[Rainy, Taking, Search, Path]) -> Looks:
    one, taking, search, path = job
    rainy_srgb8 = one.picture()
    layer, white = taking.layer(rainy_srgb8), is_white(rainy_srgb8)
    write_picture(path, picture_of_layer(np.rint(layer).astype(np.uint8), white))
    return looks_of(layer, ~white, search)


def gains(known: Sequence[Looks], seen: Sequence[Looks], taken: Sequence[Looks], curve: Curve) -> list[float]:
    """By how much each photograph's streaks are brighter still than the curve makes them.

    Their mean is regressed on all statistics of what was taken: dense rain is taken off less than faint rain is, which
    no curve of levels tells.
    """
    told = regress(
        np.column_stack([rows_of(seen), [np.log(one.mean()) for one in seen]]),
        np.log([[one.mean()] for one in known]),
    )
    logs = told.estimates(np.column_stack([rows_of(taken), [np.log(one.mean()) for one in taken]]))[:, 0]
    found = np.exp(logs) / np.array([one.mean(curve) for one in taken])
    return np.clip(found, 1 / MOST_GAIN, MOST_GAIN).tolist()


def raise_levels(path: Path, curve: Curve) -> None:
    """Give every code of a layer in a file that of the curve."""
    picture = read_photo(path)
    codes = np.rint(np.minimum(curve, WHITE_CODE)).astype(np.uint8)[picture[..., 0]]
    write_picture(path, picture_of_layer(codes, unknown_of(picture)))


def matched_levels(taken: Int[np.ndarray, "256"], laid: Int[np.ndarray, "256"]) -> Curve:
    """For every code the one with as large a share of pixels below it: `taken` and `laid` count pixels by code.

    Never falling. Above the highest code that was taken off all are raised alike; nothing counted changes nothing.
    """
    if not taken.any():
        return CODES.astype(float)
    curve = np.interp(middle_ranks(taken), middle_ranks(laid), CODES)
    highest = int(np.flatnonzero(taken)[-1])
    curve[highest:] = np.minimum(CODES[highest:] + curve[highest] - highest, WHITE_CODE)
    return np.maximum.accumulate(np.maximum(curve, 0))


def middle_ranks(counts: Int[np.ndarray, "256"]) -> Float[np.ndarray, "256"]:
    """Share of pixels below the middle of those at each code."""
    return (np.cumsum(counts) - counts / 2) / counts.sum()


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
