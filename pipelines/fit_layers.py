"""The streaks of the photographs themselves: what a network takes off each, as a picture of grey codes.

No family of rain is quite that of a place. A network that sees its streaks well takes off nearly those, ends, edges,
crossings and all, and laid over clean photographs they are what a network can learn the place's rain from. What it
leaves it does not show, so that they are too faint, and what it mistakes for rain they show.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from pipelines.fit_pictures import Photo, Rainy
from pipelines.fit_rounds import crew_of
from pipelines.fit_statistics import dry_codes
from pipelines.new_folder import new_folder
from pipelines.progress import progress
from rainsynth.display_blend import WHITE_CODE
from rainsynth.pictures import write_picture

LAYERS_OPTION = "--layers"
SCREENED = "screen"
CLIPPED_WEIGHT = 1e-3  # choice: of a channel that is white in the rain and says no more than that so much was added
SUFFIX = ".png"


def write_layers(rainy: tuple[Rainy, ...], network: str, blend: str, folder: Path, workers: int = 1) -> None:
    """Write the streaks of every photograph, as it is looked at, under the place that it has among them.

    The folder is there once all are.
    """
    with new_folder(folder, LAYERS_OPTION) as part:
        jobs = [(one, network, blend, part / f"{place:04d}_{one.path.stem}{SUFFIX}") for place, one in enumerate(rainy)]
        with crew_of(workers) as crew, progress("streaks taken", len(jobs)) as advance:
            for _ in crew(_write_layer, jobs):
                advance(1)


def _write_layer(job: tuple[Rainy, str, str, Path]) -> None:
    one, network, blend, path = job
    picture_srgb8 = one.picture()
    layer = taken_layer(picture_srgb8, dry_codes(picture_srgb8, network), blend)
    write_picture(path, np.repeat(layer[..., None], 3, axis=2))


def taken_layer(rainy_srgb8: Photo, dry: Float[np.ndarray, "h w 3"], blend: str) -> UInt8[np.ndarray, "h w"]:
    """The grey layer S [codes] nearest to what a network took off, by least squares over the channels.

    rainy = dry + g S, where g is 1 for streaks that were added and 1 - dry / 255 for those that were screened.
    """
    share = 1 - dry / WHITE_CODE if blend == SCREENED else np.ones_like(dry)
    weight = np.where(rainy_srgb8 == WHITE_CODE, CLIPPED_WEIGHT, 1.0)
    taken = (weight * share * (rainy_srgb8 - dry)).sum(axis=-1)
    known = np.maximum((weight * share**2).sum(axis=-1), CLIPPED_WEIGHT)
    return np.rint(np.clip(taken / known, 0, WHITE_CODE)).astype(np.uint8)
