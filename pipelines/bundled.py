"""Photographs that ship inside well-known wheels: enough to try everything without a download."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

import numpy as np
from jaxtyping import Float

from rainsynth.checks import InputError

# Calibration of scikit-image's Motorcycle stereo pair (Middlebury 2014, a quarter of its size).
MOTORCYCLE_FOCAL_PX = 994.978
MOTORCYCLE_BASELINE_M = 0.193001
MOTORCYCLE_PRINCIPAL_SHIFT_PX = 31.086


@dataclass(frozen=True, slots=True)
class BundledPhoto:
    """A picture file inside an installed package; `disparity` names the file of its true disparity, if it has one."""

    name: str
    package: str
    file: str
    disparity: str = ""


TRAINING_PHOTOS = (
    BundledPhoto("astronaut", "skimage.data", "astronaut.png"),
    BundledPhoto("chelsea", "skimage.data", "chelsea.png"),
    BundledPhoto("flower", "sklearn.datasets.images", "flower.jpg"),
    BundledPhoto("grace_hopper", "matplotlib.mpl-data.sample_data", "grace_hopper.jpg"),
    BundledPhoto("motorcycle", "skimage.data", "motorcycle_left.png", "motorcycle_disp.npz"),
    BundledPhoto("rocket", "skimage.data", "rocket.jpg"),
)
HELD_OUT_PHOTOS = (
    BundledPhoto("china", "sklearn.datasets.images", "china.jpg"),
    BundledPhoto("coffee", "skimage.data", "coffee.png"),
)


def unpack(photos: tuple[BundledPhoto, ...], folder: Path) -> None:
    """Copy bundled photographs into `folder`, and the true depth of those that have it as NAME.npy [m]."""
    folder.mkdir(parents=True, exist_ok=True)
    for photo in photos:
        with as_file(_file(photo.package, photo.file)) as source:
            shutil.copyfile(source, folder / f"{photo.name}{source.suffix}")
        if photo.disparity:
            with as_file(_file(photo.package, photo.disparity)) as source:
                disparity_px = np.load(source)["arr_0"]
            np.save(folder / f"{photo.name}.npy", depth_from_disparity_m(disparity_px))


def depth_from_disparity_m(disparity_px: Float[np.ndarray, "h w"]) -> Float[np.ndarray, "h w"]:
    """Depth of the Motorcycle picture [m]: z = f_px baseline / (disparity + 31.086 px), float32.

    A pixel without true disparity takes that of the nearest pixel to its left that has one, or where there is none the
    picture's median: what is unknown there is mostly hidden from the other camera.
    """
    known = np.isfinite(disparity_px)
    columns = np.where(known, np.arange(disparity_px.shape[1]), -1)
    nearest = np.maximum.accumulate(columns, axis=1)
    filled = np.take_along_axis(disparity_px, np.maximum(nearest, 0), axis=1)
    filled = np.where(nearest >= 0, filled, np.median(disparity_px[known]))
    return (MOTORCYCLE_FOCAL_PX * MOTORCYCLE_BASELINE_M / (filled + MOTORCYCLE_PRINCIPAL_SHIFT_PX)).astype(np.float32)


def _file(package: str, file: str):  # type: ignore[no-untyped-def]
    root, *folders = package.split(".")
    try:
        place = files(root)
    except ModuleNotFoundError:
        name = {"skimage": "scikit-image", "sklearn": "scikit-learn"}.get(root, root)
        raise InputError(
            f"the bundled photographs must have {name} installed. pip install 'rainsynth[demo]'."
        ) from None
    return place.joinpath(*folders, file)
