"""What the network sees next: the batch of a step, as a function of (seed, step) and of nothing else.

The only place of the package where 8-bit pictures become tensors, and tensors 8-bit pictures. `TrainingPairs` draws
windows from what is a `PairSource`: shards, PairFolder, RenderedPairs, or a Mixture of these; `Prefetcher` has them
made ahead.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from mspfn.mixture import Mixture
from mspfn.pair_folder import PairFolder
from mspfn.pair_source import Pair, PairSource
from mspfn.prefetch import Prefetcher
from mspfn.rendered_pairs import RenderedPairs
from mspfn.training_pairs import TrainingPairs, Windows

__all__ = [
    "Mixture",
    "Pair",
    "PairFolder",
    "PairSource",
    "Prefetcher",
    "RenderedPairs",
    "TrainingPairs",
    "Windows",
    "to_srgb8",
    "to_tensor",
]

Pictures = UInt8[np.ndarray, "n h w 3"]


def to_tensor(pictures_srgb8: Pictures) -> Float[Tensor, "n 3 h w"]:
    """8-bit pictures as the network sees them: float32 sRGB in [0, 1], channels last in memory."""
    return torch.from_numpy(np.ascontiguousarray(pictures_srgb8)).permute(0, 3, 1, 2).float().div_(255)


def to_srgb8(pictures: Float[Tensor, "n 3 h w"]) -> Pictures:
    """Pictures of the network, clipped to [0, 1] and rounded to 8 bit."""
    codes = pictures.detach().float().clamp(0, 1).mul(255).round().to(torch.uint8)
    return codes.permute(0, 2, 3, 1).contiguous().cpu().numpy()
