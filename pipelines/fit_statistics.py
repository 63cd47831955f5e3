"""What a fit compares pictures by: statistics of a picture, and of the streaks that a network sees in it.

The network is `mspfn-any-rain` by default, which has learned lines and physical rain of any sort, and of no set or
place: what it sees of a place comes from the place's photographs alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from torch import nn

from mspfn import derain, load_weights
from pipelines.fit_families import NOISE, PHYSICAL
from rainsynth.display_blend import STEPS_PER_CODE
from rainsynth.measure.layer_statistics import GRAIN, PREFIX, layer_statistics
from rainsynth.measure.rain_statistics import Statistics, rain_statistics

NETWORK = "mspfn-any-rain"
PICTURES_PER_STATISTIC = 2  # choice: fewer weigh so many statistics by chance (docs/fit.md, "What was tried")

Photo = UInt8[np.ndarray, "h w 3"]


def picture_statistics(picture_srgb8: Photo, centre_deg: float, reach_deg: float, network: str) -> Statistics:
    """All statistics of a picture by name; streaks are looked for within `reach_deg` of `centre_deg` of vertical.

    `network` names the weights that see them, of the package or of a file.
    """
    own = rain_statistics(picture_srgb8, centre_deg, reach_deg)
    return own | layer_statistics(picture_srgb8, dry_codes(picture_srgb8, network), centre_deg, reach_deg)


def dry_codes(picture_srgb8: Photo, network: str, *, mirrored: bool = False) -> Float[np.ndarray, "h w 3"]:
    """What the network leaves of a picture, in codes of 8 bits that are not rounded; `mirrored` as in `derain`."""
    steps = picture_srgb8.astype(np.uint16) * STEPS_PER_CODE
    with one_thread():
        return derain(steps, network_of(network), mirrored=mirrored).astype(np.float32) / STEPS_PER_CODE


def telling(family: str, names: Sequence[str], pictures: int) -> Bool[np.ndarray, "s"]:
    """Which of the statistics with these names a family's numbers are told by, from so many simulated pictures.

    Choice: those of lines and noise by what the network sees alone, where rain is dense less drawn to what was
    simulated (docs/fit.md, "What was tried"); a veil only the picture itself shows. How a layer is made tells of noise,
    once there are PICTURES_PER_STATISTIC.
    """
    seen = {name for name in names if name.startswith(PREFIX)}
    grain = {name for name in seen if name.startswith(PREFIX + GRAIN)}
    if family == PHYSICAL:
        used = set(names) - grain
    elif family == NOISE and pictures >= PICTURES_PER_STATISTIC * len(seen):
        used = seen
    else:
        used = seen - grain
    return np.array([name in used for name in names])


@cache
def network_of(weights: str) -> nn.Module:
    """The network with these weights, read once."""
    return load_weights(weights)


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order, whatever the processes: PyTorch works on one thread, and on as many as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
