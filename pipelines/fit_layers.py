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
from pipelines.fit_statistics import dry_codes
from pipelines.progress import progress
from rainsynth.checks import InputError
from rainsynth.pictures import write_picture

SCREENED = "screen"
WHITE_CODE = 255
CLIPPED_WEIGHT = 1e-3  # choice: of a channel that is white in the rain and says no more than that so much was added
SUFFIX = ".png"


def check_new(folder: Path) -> None:
    """Raise InputError unless a folder is absent or empty."""
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise InputError(f"--layers must be a new or an empty folder, got {str(folder)!r}.")


def write_layers(rainy: tuple[Rainy, ...], network: str, blend: str, folder: Path) -> None:
    """Write the streaks of every photograph, as it is looked at, under the place that it has among them."""
    with progress("streaks taken", len(rainy)) as advance:
        for place, one in enumerate(rainy):
            picture_srgb8 = one.picture()
            layer = taken_layer(picture_srgb8, dry_codes(picture_srgb8, network), blend)
            write_picture(folder / f"{place:04d}_{one.path.stem}{SUFFIX}", np.repeat(layer[..., None], 3, axis=2))
            advance(1)


def taken_layer(rainy_srgb8: Photo, dry: Float[np.ndarray, "h w 3"], blend: str) -> UInt8[np.ndarray, "h w"]:
    """The grey layer S [codes] nearest to what a network took off, by least squares over the channels.

    rainy = dry + g S, where g is 1 for streaks that were added and 1 - dry / 255 for those that were screened.
    """
    share = 1 - dry / WHITE_CODE if blend == SCREENED else np.ones_like(dry)
    weight = np.where(rainy_srgb8 == WHITE_CODE, CLIPPED_WEIGHT, 1.0)
    taken = (weight * share * (rainy_srgb8 - dry)).sum(axis=-1)
    known = np.maximum((weight * share**2).sum(axis=-1), CLIPPED_WEIGHT)
    return np.rint(np.clip(taken / known, 0, WHITE_CODE)).astype(np.uint8)
