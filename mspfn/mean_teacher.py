"""Learning from rainy photographs without clean versions: a teacher derains them, a student does so through more rain.

The teacher is the running mean of the student's weights (Tarvainen and Valpola, NIPS 2017, arXiv:1703.01780). The
student sees the photograph under additional rain, rendered as for training, and is to give what the teacher gives for
the photograph itself. Where the teacher contradicts itself, it counts little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mspfn.data_config import EVERY_CLASS, FORBID_UNKNOWN_KEYS, LARGEST_BATCH, LARGEST_PATCH_PX, SMALLEST_PATCH_PX
from rainsynth.checks import InputError, check_count, check_in_range
from rainsynth.preset_choice import PresetChoice

WHITE_CODE = 255.0

Restore = Callable[[nn.Module, Tensor], Tensor]  # network, rainy pictures -> derained ones
Pictures = Float[Tensor, "n 3 h w"]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnpairedConfig:
    """Rainy photographs without clean versions, learned from beside the pairs.

    photographs             folder of them
    presets                 which rain is added to what the student sees, each by its weight
    patch_px, batch_size    side and number of the square windows of a step
    weight                  of the mean absolute difference between student and teacher, beside the loss of the pairs
    doubt_codes             difference between the teacher's results for a window and for its mirror image at which a
                            pixel counts 1/e as much as where they agree [codes of 255]
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    photographs: str
    presets: tuple[PresetChoice, ...] = EVERY_CLASS
    patch_px: int = 64
    batch_size: int = 4
    weight: float = 1.0
    doubt_codes: float = 8.0

    def __post_init__(self) -> None:
        if not self.presets:
            raise InputError("unpaired.presets must name at least one preset, got none.")
        check_count(self.patch_px, SMALLEST_PATCH_PX, LARGEST_PATCH_PX, "unpaired.patch_px")
        check_count(self.batch_size, 1, LARGEST_BATCH, "unpaired.batch_size")
        check_in_range(self.weight, 1e-9, 1e6, "unpaired.weight")
        check_in_range(self.doubt_codes, 1e-3, 255, "unpaired.doubt_codes")


def disagreement(
    student: nn.Module,
    teacher: nn.Module,
    restore: Restore,
    more_rain: Pictures,
    rainy: Pictures,
    doubt_codes: float,
) -> Tensor:
    """Weighted mean of |student(more_rain) - teacher(rainy)|; only the student has gradients.

    The teacher's word is the mean of its results for a window and for its mirror image; a pixel at which these differ
    by d in the mean over channels weighs exp(-d / doubt).
    """
    with torch.no_grad():
        plain, mirrored = restore(teacher, rainy), restore(teacher, rainy.flip(-1)).flip(-1)
        doubt = (plain - mirrored).abs().mean(dim=1, keepdim=True) * (WHITE_CODE / doubt_codes)
        word, confidence = (plain + mirrored) / 2, torch.exp(-doubt)
    return ((restore(student, more_rain) - word).abs() * confidence).mean()
