"""Streaks that were taken off rainy photographs, laid over other ones: the rain of a place itself, by no model of it.

`rainsynth fit --layers` writes them, as pictures of grey codes. They are as true as the network that took them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from rainsynth.pictures import read_photo

CACHED_LAYERS = 256


def taken_codes(
    height_px: int, width_px: int, drawn: Mapping[str, Any], rng: np.random.Generator
) -> Float[np.ndarray, "h w"]:
    """A window by chance of the layer `kind` in the folder `layers`, float32 [codes].

    A window that is larger than the layer goes on at its other side. Raises InputError for a layer that is not there.
    """
    layer = read_layer(Path(drawn["layers"]) / drawn["kind"])
    sides = zip((height_px, width_px), layer.shape, strict=True)
    rows, columns = ((int(rng.integers(max(has - side, 0) + 1)) + np.arange(side)) % has for side, has in sides)
    return layer[np.ix_(rows, columns)].astype(np.float32)


@lru_cache(maxsize=CACHED_LAYERS)
def read_layer(path: Path) -> UInt8[np.ndarray, "h w"]:
    """A layer from its file [codes]; of a picture with colours its red."""
    return np.ascontiguousarray(read_photo(path)[..., 0])
