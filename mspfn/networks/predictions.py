"""What a deraining network says about a picture: always the derained picture, and what else some networks know.

Every network is called with `rainy`, (N, 3, H, W) sRGB in [0, 1], and returns `derained` of the same shape, unclipped.
Those that know more also have a method `predictions(rainy) -> Predictions` whose `derained` is what the call returns.
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn


class Predictions(NamedTuple):
    """Everything a network predicts of one batch; what it does not predict is empty or None.

    derained      (N, 3, H, W) sRGB, about [0, 1] and not clipped; its target is the clean or the veiled picture
    stages        derained pictures of the earlier stages of a recurrent network, first stage first, each with the
                  shape and the target of `derained`, which is the last stage's
    mask_logits   (N, 1, H, W), log(p / (1 - p)) of the probability p that rain covers the pixel; its target is 1 where
                  the sample's streak alpha is above 0 and 0 elsewhere, for binary_cross_entropy_with_logits
    streaks       (N, 3, H, W) sRGB difference, what the streaks added to the picture; its target is rainy - veiled
    """

    derained: Tensor
    stages: tuple[Tensor, ...] = ()
    mask_logits: Tensor | None = None
    streaks: Tensor | None = None


def predict(network: nn.Module, rainy: Tensor) -> Predictions:
    """All that `network` predicts of `rainy`, (N, 3, H, W) sRGB in [0, 1]; of a plain network its picture alone."""
    if hasattr(network, "predictions"):
        return network.predictions(rainy)  # type: ignore[no-any-return, operator]
    return Predictions(derained=network(rainy))
