"""A folder of clean photographs, with depth where there is some."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rainsynth.checks import InputError
from rainsynth.pictures import list_photos, photo_size_px, read_photo
from rainsynth.scene.background import Background


@dataclass(frozen=True, slots=True)
class Photograph:
    """A picture file of a folder: its relative name, size once upright, and the SHA-256 of the file."""

    name: str
    height_px: int
    width_px: int
    sha256: str


def survey(folder: Path) -> list[Photograph]:
    """All photographs of a folder in the order of their names."""
    photographs = []
    for path in list_photos(folder):
        height_px, width_px = photo_size_px(path)
        name = path.relative_to(folder).as_posix()
        photographs.append(Photograph(name, height_px, width_px, hashlib.sha256(path.read_bytes()).hexdigest()))
    return photographs


def load_background(folder: Path, name: str, depth_folder: Path | None) -> Background:
    """A photograph as a background; its depth [m] from `depth_folder`/STEM.npy where that file exists."""
    image_srgb8 = read_photo(folder / name)
    depth_path = depth_folder / Path(name).with_suffix(".npy") if depth_folder else None
    if depth_path is None or not depth_path.exists():
        return Background(image_srgb8)
    try:
        return Background(image_srgb8, np.load(depth_path, allow_pickle=False).astype(np.float32))
    except (ValueError, EOFError) as error:
        raise InputError(f"{depth_path} must be a depth map for {name}, got: {error}") from None
