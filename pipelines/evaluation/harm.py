"""Do no harm: what a method does to a picture where no rain is.

Outside the rain is where the rainy picture is its target, within 3 codes in every channel, for 2 px around. There
nothing was to be done, so what a method changes is harm. In a pair whose rain or veil is everywhere there is no such
place, and its figures are left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from pipelines.evaluation.pairs import Mask, Picture, differs, grown
from rainsynth.metrics import LUMA_WEIGHTS

RAIN_GROWN_PX = 2  # choice: a network that blurs a streak's edge is not blamed for it outside
LEAST_OUTSIDE_FRACTION = 0.01  # choice: of the picture; less says too little
FIGURES = (
    "outside_fraction",
    "change_outside_codes",
    "luma_change_outside_codes",
    "a_shift_outside",
    "b_shift_outside",
    "gradient_ratio_outside",
)


@dataclass(frozen=True, slots=True, eq=False)
class Outside:
    """Where no rain is, and what the rainy picture and its target are there."""

    mask: Mask
    rainy_srgb8: Picture
    rainy_lab: np.ndarray
    target_gradient: float

    @classmethod
    def of(cls, rainy_srgb8: Picture, target_srgb8: Picture) -> Outside | None:
        """None where less than a hundredth of the picture is outside the rain."""
        mask = outside_rain(rainy_srgb8, target_srgb8)
        if mask.mean() < LEAST_OUTSIDE_FRACTION:
            return None
        return cls(mask, rainy_srgb8, mean_lab(rainy_srgb8, mask), gradient_energy(target_srgb8, mask))

    def figures(self, derained_srgb8: Picture) -> dict[str, float | None]:
        """Harm of a derained picture, by the names in FIGURES."""
        lab_shift = mean_lab(derained_srgb8, self.mask) - self.rainy_lab
        gradient = gradient_energy(derained_srgb8, self.mask)
        return {
            "outside_fraction": float(self.mask.mean()),
            "change_outside_codes": change_codes(derained_srgb8, self.rainy_srgb8, self.mask),
            "luma_change_outside_codes": luma_change_codes(derained_srgb8, self.rainy_srgb8, self.mask),
            "a_shift_outside": float(lab_shift[1]),
            "b_shift_outside": float(lab_shift[2]),
            "gradient_ratio_outside": gradient / self.target_gradient if self.target_gradient > 0 else None,
        }


def outside_rain(rainy_srgb8: Picture, target_srgb8: Picture) -> Mask:
    """Pixels around which, for 2 px, no channel of the rainy picture is more than 3 codes off its target's."""
    return ~grown(differs(rainy_srgb8, target_srgb8), 2 * RAIN_GROWN_PX + 1)


def change_codes(derained_srgb8: Picture, rainy_srgb8: Picture, mask: Mask) -> float:
    """Mean of |derained - rainy| over pixels of `mask` and channels [codes]; 0 where nothing was touched."""
    return float(np.mean(_mean(cv2.absdiff(derained_srgb8, rainy_srgb8), mask)))


def luma_change_codes(derained_srgb8: Picture, rainy_srgb8: Picture, mask: Mask) -> float:
    """Mean of Y(derained) - Y(rainy) over `mask` [codes of MATLAB's Y, 219 from black to white]; below 0: darker."""
    return float(LUMA_WEIGHTS @ (_mean(derained_srgb8, mask) - _mean(rainy_srgb8, mask)))


def mean_lab(picture_srgb8: Picture, mask: Mask) -> np.ndarray:
    """Mean L*, a* and b* of CIELAB (D65) over `mask`; a* from green to red, b* from blue to yellow.

    About 2.3 is a just noticeable difference (Mahy et al. 1994, doi:10.1002/col.5080190207).
    """
    return _mean(cv2.cvtColor(picture_srgb8.astype(np.float32) / 255, cv2.COLOR_RGB2Lab), mask)


def gradient_energy(picture_srgb8: Picture, mask: Mask) -> float:
    """Mean of (dY/dx)^2 + (dY/dy)^2 over `mask` [codes^2], differences to the next pixel right and below.

    The ratio of a derained picture's to its target's is below 1 where detail was smoothed away, above 1 where
    something was added.
    """
    y = cv2.transform(picture_srgb8.astype(np.float32), LUMA_WEIGHTS[None].astype(np.float32))
    energy = np.zeros_like(y)
    energy[:, :-1] += np.square(y[:, 1:] - y[:, :-1])
    energy[:-1] += np.square(y[1:] - y[:-1])
    return float(_mean(energy, mask)[0])


def _mean(picture: np.ndarray, mask: Mask) -> np.ndarray:
    """Mean of each channel over `mask`."""
    return np.array(cv2.mean(picture, mask.view(np.uint8))[: picture.shape[2] if picture.ndim == 3 else 1])
