"""What a network takes off a rainy picture, as one grey layer of codes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from pipelines.fit_pictures import Photo
from pipelines.fit_statistics import dry_codes
from rainsynth.display_blend import WHITE_CODE

SCREENED = "screen"
CLIPPED_WEIGHT = 1e-3  # choice: of a channel that is white in the rain and says no more than that so much was added


@dataclass(frozen=True, slots=True, kw_only=True)
class Taking:
    """How streaks are taken off: by which weights, blended how."""

    network: str
    blend: str

    def layer(self, picture_srgb8: Photo) -> Float[np.ndarray, "h w"]:
        """The streaks of a picture [codes]; the mean over it and its mirror image, which is nearer to them."""
        return taken_codes(picture_srgb8, dry_codes(picture_srgb8, self.network, mirrored=True), self.blend)


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
