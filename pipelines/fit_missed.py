"""What a network misses of streaks, laid beside what it takes off.

What a network takes off is the mean of what may have been there: paler than the rain, smoother at its edges, and with
no trace of what lies too thin or too even to be told from the photograph. Another network learns that in no time, and
learns to leave what it lacks. What a network misses is seen where the streaks are known: in pictures of the fitted
rain, and in pictures of layers that have been made so already, moved about over other photographs. There it is the
difference of true and taken. It is not the rain that was missed in this photograph, but as much, as fine and as bright.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from pipelines.fit import Fit
from pipelines.fit_config import choice_of_fit
from pipelines.fit_pictures import Photo
from pipelines.fit_rounds import ROUND_STRIDE, Crew, Rain, Setting, clean_at, sample_like
from pipelines.fit_taking import Taking, is_white
from pipelines.progress import progress
from rainsynth.display_blend import STEPS_PER_CODE, WHITE_CODE, blend_on_display
from rainsynth.layer_steps import UNIT_STEPS
from rainsynth.lookalikes.line_rain import LINE_BLENDS
from rainsynth.lookalikes.taken_layers import picture_of_layer, unknown_of
from rainsynth.pictures import read_photo, write_picture
from rainsynth.sample import RainSample
from rainsynth.seeding import ORDER_STREAM, sample_rng

OF_FIT = 3  # choice: layers of each photograph with what is missed of the fitted rain
TIMES_MOVED = 2  # choice: then as many with what is missed of those, moved about, and of those again
VARIANTS = OF_FIT * (1 + TIMES_MOVED)  # layers of each photograph
MISSED_INDEX = 9 * ROUND_STRIDE  # of pictures; rounds, kinds and the report have others


def add_missed(fit: Fit, taking: Taking, files: Sequence[Sequence[Path]], crew: Crew) -> None:
    """Lay each photograph's streaks, which its first file holds, together with what is missed of others like them.

    Every file is written anew: OF_FIT with what is missed of the photograph's own kind of the fitted rain, every other
    one with what is missed of the layer OF_FIT before it.
    """
    jobs = [(fit.setting, rain_at(fit, place), taking, place, paths) for place, paths in enumerate(files)]
    with progress("what is missed", len(jobs)) as advance:
        for _ in crew(_add_missed, jobs):
            advance(1)


def _add_missed(job: tuple[Setting, Rain, Taking, int, Sequence[Path]]) -> None:
    setting, rain, taking, place, paths = job
    streaks = read_photo(paths[0])
    for number, path in enumerate(paths):
        index = MISSED_INDEX + place * len(paths) + number
        if number < OF_FIT:
            sample = sample_like(setting, setting.rainy[place], rain, index=index)
            missed = missed_codes(true_codes(sample), sample.rainy_srgb8, taking)
        else:
            missed = missed_of_moved(read_photo(paths[number - OF_FIT]), setting, taking, place, index)
        codes = np.clip(streaks[..., 0] + missed, 0, WHITE_CODE)
        write_picture(path, picture_of_layer(np.rint(codes).astype(np.uint8), unknown_of(streaks)))


def missed_of_moved(
    layer: UInt8[np.ndarray, "h w 3"], setting: Setting, taking: Taking, place: int, index: int
) -> Float[np.ndarray, "h w"]:
    """What is missed of a layer [codes], moved about over a clean photograph; nothing where it is not known itself."""
    rng = sample_rng(setting.seed, index, ORDER_STREAM)
    moved = np.roll(layer, rng.integers(layer.shape[:2]), axis=(0, 1))
    codes = moved[..., 0]
    rainy_srgb8 = laid_over(clean_at(setting, setting.rainy[place], index), codes, taking.blend)
    return np.where(unknown_of(moved), 0, missed_codes(codes.astype(np.float32), rainy_srgb8, taking))


def laid_over(clean_srgb8: Photo, codes: UInt8[np.ndarray, "h w"], blend: str) -> Photo:
    """A clean photograph in these streaks."""
    streak16 = codes.astype(np.uint16) * np.uint16(STEPS_PER_CODE)
    clear16, black = np.full_like(streak16, UNIT_STEPS), np.zeros(3, dtype=np.uint8)
    return blend_on_display(LINE_BLENDS[blend], clean_srgb8, streak16, clear16, black)


def missed_codes(true: Float[np.ndarray, "h w"], rainy_srgb8: Photo, taking: Taking) -> Float[np.ndarray, "h w"]:
    """True less taken streaks of a picture [codes]; nothing where it is white, and no one can tell."""
    return np.where(is_white(rainy_srgb8), 0, true - taking.layer(rainy_srgb8))


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
