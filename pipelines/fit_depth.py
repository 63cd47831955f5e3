"""Depth of the rainy photographs of a fit, where somebody knows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import Float

from pipelines.fit_pictures import Rainy
from pipelines.photographs import depth_of_file_m, find_depth
from rainsynth.checks import InputError, check_number
from rainsynth.pictures import read_photo
from rainsynth.scene.background import MAX_DEPTH_M

DepthOf = Callable[[Rainy], Float[np.ndarray, "h w"] | float]


def depth_of(text: str) -> DepthOf | None:
    """Depth of each photograph [m] from one number, or a folder of maps with the photographs' names; "" is None.

    Raises InputError for a folder that is not there, and where a photograph has no map in it.
    """
    if not text:
        return None
    try:
        depth_m = float(text)
    except ValueError:
        return lambda rainy: _map_m(rainy, Path(text))
    check_number(depth_m, 0.01, MAX_DEPTH_M, "--depth", "In metres.")
    return lambda _: depth_m


def _map_m(rainy: Rainy, folder: Path) -> Float[np.ndarray, "h w"]:
    if not folder.is_dir():
        raise InputError(f"--depth must be a number of metres or a folder of maps, got {str(folder)!r}.")
    path = find_depth(rainy.path.parent, rainy.path.name, folder)
    if path is None:
        raise InputError(f"--depth must hold a map of every photograph, got none of {rainy.path.name} in {folder}.")
    depth_m = depth_of_file_m(path, read_photo(rainy.path))
    size = (rainy.width_px, rainy.height_px)
    return np.ascontiguousarray(cv2.resize(depth_m, size, interpolation=cv2.INTER_NEAREST), dtype=np.float32)
