"""What a training step makes small: a sum over parts of what a network predicts of a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import torch.nn.functional as F
from torch import Tensor

from mspfn.data_config import FORBID_UNKNOWN_KEYS
from mspfn.losses import PICTURE_LOSSES, SMALLEST_PX
from mspfn.networks import Predictions
from rainsynth.checks import InputError, check_choice, check_in_range

Known = TypeVar("Known")

LOWER_LEVELS = (2, 4)  # sides of the boxes whose means are MSPFN's half and quarter resolution


class Batch(NamedTuple):
    """What a step learns from, float32; the last two only where a loss asks for the layers of the rain.

    rainy, target   (N, 3, H, W) sRGB in [0, 1]
    veiled          (N, 3, H, W), the rainy picture without its streaks
    streak_mask     (N, 1, H, W), 1 where the streaks' alpha is above 0, else 0
    """

    rainy: Tensor
    target: Tensor
    veiled: Tensor | None = None
    streak_mask: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LossConfig:
    """The loss of a derained picture, and what is added to it by weight; a weight of 0 leaves a part out.

    name                    of the picture's loss, one of mspfn.losses.PICTURE_LOSSES
    stages_weight           each picture of the earlier stages of a recurrent network, by the same loss
    lower_levels_weight     means over 2x2 and over 4x4 pixels against those of the target, by the same loss: the two
                            lower levels of MSPFN, whose network gives pictures at full resolution only
    no_harm_weight          how much more a pixel counts, in all of these, where the rainy picture is the target already
    mask_weight             cross-entropy of the mask of the rain; for networks that predict it, and data with layers
    streak_weight           mean squared error of the streaks, likewise. Their target is rainy - veiled, which holds
                            more than streaks: texture of finer rain, sensor noise, the data's degradations
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    name: str = "charbonnier-edge"
    stages_weight: float = 0.0
    lower_levels_weight: float = 0.0
    no_harm_weight: float = 0.0
    mask_weight: float = 0.0
    streak_weight: float = 0.0

    def __post_init__(self) -> None:
        check_choice(self.name, tuple(PICTURE_LOSSES), "loss")
        for part in ("stages_weight", "lower_levels_weight", "no_harm_weight", "mask_weight", "streak_weight"):
            check_in_range(getattr(self, part), 0, 1e6, f"loss.{part}")

    @property
    def needs_layers(self) -> bool:
        """Whether a batch must hold `veiled` and `streak_mask`."""
        return bool(self.mask_weight or self.streak_weight)

    @property
    def smallest_patch_px(self) -> int:
        """Side of the smallest windows that this loss can be taken of."""
        smallest_px = SMALLEST_PX.get(self.name, 1)
        return smallest_px * LOWER_LEVELS[-1] if self.lower_levels_weight else smallest_px


class NameOrConfig:
    """Read by pydantic, where a config comes from a file: a loss's config, of which the name alone may be given."""

    def __get_pydantic_core_schema__(self, _: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        in_full = handler.generate_schema(LossConfig)
        return core_schema.no_info_before_validator_function(
            lambda loss: {"name": loss} if isinstance(loss, str) else loss, in_full
        )


def as_loss_config(loss: LossConfig | str) -> LossConfig:
    """A config of a loss, of which the name alone may be given."""
    return LossConfig(name=loss) if isinstance(loss, str) else loss


def loss_parts(config: LossConfig, predictions: Predictions, batch: Batch) -> dict[str, Tensor]:
    """The parts of the loss by name, each with its weight; their sum is what a step makes small.

    "picture", and of "stages", "lower_levels", "mask" and "streaks" those with a weight.
    """
    picture_loss, weight = PICTURE_LOSSES[config.name], pixel_weight(config, batch)
    derained, target = predictions.derained, batch.target
    parts = {"picture": picture_loss(derained, target, weight)}
    if config.stages_weight:
        earlier = known(predictions.stages or None, "stages_weight")
        stages = (picture_loss(stage, target, weight) for stage in earlier)
        parts["stages"] = config.stages_weight * sum(stages, start=target.new_zeros(()))
    if config.lower_levels_weight:
        levels = (
            picture_loss(F.avg_pool2d(derained, side), F.avg_pool2d(target, side), box_means(weight, side))
            for side in LOWER_LEVELS
        )
        parts["lower_levels"] = config.lower_levels_weight * sum(levels, start=target.new_zeros(()))
    if config.mask_weight:
        mask_logits, mask = (known(mask, "mask_weight") for mask in (predictions.mask_logits, batch.streak_mask))
        parts["mask"] = config.mask_weight * F.binary_cross_entropy_with_logits(mask_logits, mask)
    if config.streak_weight:
        streaks, veiled = (known(picture, "streak_weight") for picture in (predictions.streaks, batch.veiled))
        parts["streaks"] = config.streak_weight * F.mse_loss(streaks, batch.rainy - veiled)
    return parts


def total(parts: dict[str, Tensor]) -> Tensor:
    """The sum of the parts."""
    first, *others = parts.values()
    return sum(others, start=first)


def known(what: Known | None, weight: str) -> Known:
    """What a network predicts or a batch holds; InputError, that names the weight which asks for it, if it does not."""
    if what is None:
        raise InputError(
            f"loss.{weight} must be 0 for a network that does not predict what it weighs, got more. "
            "prenet has earlier stages; jorder has them, a mask and streaks."
        )
    return what


def pixel_weight(config: LossConfig, batch: Batch) -> Tensor | None:
    """(N, 1, H, W), 1 + no_harm_weight where all channels of the rainy picture equal the target's, else 1."""
    if not config.no_harm_weight:
        return None
    untouched = (batch.rainy == batch.target).all(dim=1, keepdim=True)
    return 1 + config.no_harm_weight * untouched.to(batch.target.dtype)


def box_means(weight: Tensor | None, side: int) -> Tensor | None:
    """Means over squares of `side` pixels."""
    return None if weight is None else F.avg_pool2d(weight, side)


def in_float32(predictions: Predictions) -> Predictions:
    """Predictions of a network that may have run in another precision, for losses, which are float32 always."""
    derained, stages, mask_logits, streaks = predictions
    return Predictions(
        derained=derained.float(),
        stages=tuple(stage.float() for stage in stages),
        mask_logits=None if mask_logits is None else mask_logits.float(),
        streaks=None if streaks is None else streaks.float(),
    )
