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

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, Int

from pipelines.fit import Fit
from pipelines.fit_config import choice_of_fit
from pipelines.fit_pictures import Photo, Rainy
from pipelines.fit_rounds import ROUND_STRIDE, Crew, Setting, crew_of, sample_like
from pipelines.fit_statistics import STEPS_PER_CODE, dry_codes
from pipelines.new_folder import new_folder
from pipelines.progress import progress
from rainsynth.display_blend import WHITE_CODE
from rainsynth.lookalikes import LookAlike
from rainsynth.lookalikes.taken_layers import picture_of_layer
from rainsynth.pictures import write_picture
from rainsynth.presets import Preset

LAYERS_OPTION = "--layers"
SCREENED = "screen"
CLIPPED_WEIGHT = 1e-3  # choice: of a channel that is white in the rain and says no more than that so much was added
SUFFIX = ".png"
PICTURES = 40  # choice: of the fitted rain, for levels; 6 million pixels where photographs are of 320x480
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


def write_layers(fit: Fit, folder: Path, workers: int = 1) -> None:
    """Write the streaks of every photograph of a fit, as it is looked at, under the place that it has among them.

    The folder is there once all are written.
    """
    rainy, taking = fit.setting.rainy, Taking(network=fit.setting.network, blend=fit.blend)
    with new_folder(folder, LAYERS_OPTION) as part, crew_of(workers) as crew:
        curve = level_curve(fit.setting, choice_of_fit(fit).family, taking, crew)
        files = [part / f"{place:04d}_{one.path.stem}{SUFFIX}" for place, one in enumerate(rainy)]
        jobs = [(one, taking, curve, file) for one, file in zip(rainy, files, strict=True)]
        with progress("streaks taken", len(jobs)) as advance:
            for _ in crew(_write_layer, jobs):
                advance(1)


def _write_layer(job: tuple[Rainy, Taking, Curve, Path]) -> None:
    one, taking, curve, path = job
    rainy_srgb8 = one.picture()
    codes = np.rint(np.interp(taking.layer(rainy_srgb8), CODES, curve)).astype(np.uint8)
    write_picture(path, picture_of_layer(codes, is_white(rainy_srgb8)))


def level_curve(setting: Setting, rain: Preset | LookAlike, taking: Taking, crew: Crew) -> Curve:
    """The level of the streaks [codes] for each code that is taken off, as pictures of `rain` have them."""
    taken, laid = np.zeros((2, len(CODES)), dtype=np.int64)
    with progress("levels of the fit", PICTURES) as advance:
        for of_taken, of_laid in crew(_levels, [(setting, rain, taking, number) for number in range(PICTURES)]):
            taken, laid = taken + of_taken, laid + of_laid
            advance(1)
    return matched_levels(taken, laid)


def _levels(
    job: tuple[Setting, Preset | LookAlike, Taking, int],
) -> tuple[Int[np.ndarray, "256"], Int[np.ndarray, "256"]]:
    setting, rain, taking, number = job
    like = setting.rainy[number % len(setting.rainy)]
    sample = sample_like(setting, like, rain, index=FIRST_INDEX + number)
    known = ~is_white(sample.rainy_srgb8)
    taken = np.rint(taking.layer(sample.rainy_srgb8))[known].astype(int)
    laid = np.rint(sample.streak_alpha16 / STEPS_PER_CODE)[known].astype(int)
    return np.bincount(taken, minlength=len(CODES)), np.bincount(laid, minlength=len(CODES))


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
