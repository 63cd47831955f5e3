"""The pictures of a fit: windows of rainy photographs, and clean ones made like them to rain on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8

from rainsynth.checks import InputError
from rainsynth.measure.rain_statistics import SMALLEST_SIDE_PX
from rainsynth.pictures import list_photos, read_photo
from rainsynth.seeding import ORDER_STREAM, sample_rng

Photo = UInt8[np.ndarray, "h w 3"]
Window = tuple[int, int, int, int]  # top, left, height and width

LONGEST_SIDE_PX = 1024  # choice: larger photographs are looked at scaled down to it
WINDOW_PX = 256  # side of the window of each photograph that is looked at
FEWEST_PHOTOGRAPHS = 10
MOST_PHOTOGRAPHS = 1000
CACHED_BACKGROUNDS = 400
BACKGROUNDS_TRIED = 4
GAMMA_LOG_SD = 0.2  # of the brightness of backgrounds: rain comes with dark weather, and few backgrounds have it


@dataclass(frozen=True, slots=True, kw_only=True)
class Rainy:
    """A rainy photograph: its file, its size as it is looked at, and the window of it that is."""

    path: Path
    height_px: int
    width_px: int
    window: Window

    def picture(self) -> Photo:
        """The whole photograph as it is looked at."""
        return scaled_down(read_photo(self.path))

    def seen(self) -> Photo:
        """The window that is looked at."""
        top, left, height, width = self.window
        return np.ascontiguousarray(self.picture()[top : top + height, left : left + width])


def survey_rainy(folder: Path, seed: int) -> list[Rainy]:
    """All rainy photographs of a folder, each with a window by chance. Raises InputError for too few or too many."""
    paths = list_photos(folder)
    if not FEWEST_PHOTOGRAPHS <= len(paths) <= MOST_PHOTOGRAPHS:
        raise InputError(
            f"PHOTOS must hold {FEWEST_PHOTOGRAPHS} to {MOST_PHOTOGRAPHS} photographs, got {len(paths)}."
            " One picture tells little of a place; of more, take a part."
        )
    return [look_at(path, np.shape(scaled_down(read_photo(path)))[:2], seed, k) for k, path in enumerate(paths)]


def look_at(path: Path, size_px: tuple[int, ...], seed: int, index: int) -> Rainy:
    """A photograph of this size with its window."""
    height_px, width_px = size_px
    if min(height_px, width_px) < SMALLEST_SIDE_PX:
        raise InputError(f"{path} must be at least {SMALLEST_SIDE_PX} px each way, got {width_px}x{height_px}.")
    side = min(WINDOW_PX, height_px, width_px)
    rng = sample_rng(seed, index, ORDER_STREAM)
    top, left = int(rng.integers(height_px - side + 1)), int(rng.integers(width_px - side + 1))
    return Rainy(path=path, height_px=height_px, width_px=width_px, window=(top, left, side, side))


def scaled_down(photo_srgb8: Photo) -> Photo:
    """The photograph with a longer side of LONGEST_SIDE_PX at most."""
    height_px, width_px = photo_srgb8.shape[:2]
    scale = LONGEST_SIDE_PX / max(height_px, width_px)
    if scale >= 1:
        return photo_srgb8
    size = (max(round(scale * width_px), 1), max(round(scale * height_px), 1))
    return cv2.resize(photo_srgb8, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def clean_like(rainy: Rainy, backgrounds: tuple[Path, ...], rng: np.random.Generator) -> Photo:
    """A clean photograph of the size of a rainy one: a part of a background, mirrored, brighter or darker by chance.

    Of a few backgrounds by chance it is the first that need not be enlarged, or the one that need least: enlarged
    pictures are too smooth, and what the photographs show beyond that would count as rain. A larger background is
    scaled down by chance, at most until it just fits.
    """
    drawn = [_read(backgrounds[int(place)]) for place in rng.integers(len(backgrounds), size=BACKGROUNDS_TRIED)]
    needed = [max(rainy.height_px / one.shape[0], rainy.width_px / one.shape[1]) for one in drawn]
    chosen = next((k for k, scale in enumerate(needed) if scale <= 1), int(np.argmin(needed)))
    background, scale = drawn[chosen], needed[chosen] ** (rng.random() if needed[chosen] < 1 else 1)
    if rng.random() < 0.5:
        background = background[:, ::-1]
    sizes = zip((rainy.height_px, rainy.width_px), background.shape, strict=False)
    height_px, width_px = (min(round(side / scale), limit) for side, limit in sizes)
    top = int(rng.integers(background.shape[0] - height_px + 1))
    left = int(rng.integers(background.shape[1] - width_px + 1))
    part = np.ascontiguousarray(background[top : top + height_px, left : left + width_px])
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    part = cv2.resize(part, (rainy.width_px, rainy.height_px), interpolation=how)
    gamma = np.exp(GAMMA_LOG_SD * rng.standard_normal())
    return cv2.LUT(part, np.rint(255 * (np.arange(256) / 255) ** gamma).astype(np.uint8))  # type: ignore[return-value]


@lru_cache(maxsize=CACHED_BACKGROUNDS)
def _read(path: Path) -> Photo:
    return scaled_down(read_photo(path))
