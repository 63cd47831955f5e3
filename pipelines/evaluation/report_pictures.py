"""Pictures of a report: whole, as error maps, as thumbnails, and where the worst windows are."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from pipelines.evaluation.figures import error_map
from pipelines.evaluation.methods import Method
from pipelines.evaluation.pairs import Picture, Rainy
from rainsynth.pictures import read_photo, write_picture

FOLDER = "pictures"
WHITE_CODES = 40.0  # choice: error that is shown brightest
WINDOW_PX = 64  # as page.js enlarges them
WINDOWS = 2  # of each method
THUMBNAIL_PX = 96
THUMBNAIL_QUALITY = 70


def result_name(index: int, number: int) -> str:
    """Path inside a report of what method `number` made of picture `index`."""
    return f"{FOLDER}/{index:05d}-{number}.png"


def write_view(folder: Path, index: int, one: Rainy, methods: Sequence[Method]) -> dict[str, Any]:
    """Write a picture's files into a report, and tell the page where they are; networks' results are there already.

    Errors are against the target, and for a photograph without one what a method changed.
    """
    rainy, target = one.rainy_srgb8, getattr(one, "target_srgb8", None)
    height_px, width_px = rainy.shape[:2]
    view: dict[str, Any] = {"width": width_px, "height": height_px, "thumbnail": thumbnail(rainy)}
    for state, picture in (("rainy", rainy), ("target", target)):
        if picture is not None:
            view[state] = f"{FOLDER}/{index:05d}-{state}.png"
            write_picture(folder / view[state], picture)
    if target is not None:
        view["target_name"] = "clean" if target is getattr(one, "clean_srgb8", None) else "target, veiled"
    view |= {"derained": [], "errors": [], "windows": []}
    for number, method in enumerate(methods):
        place = folder / result_name(index, number)
        if method.files:
            write_picture(place, read_photo(method.files[index]))
        error = np.abs(error_map(read_photo(place), rainy if target is None else target))
        map_name = result_name(index, number).replace(".png", "-error.jpg")
        write_picture(folder / map_name, shown_error(error))
        view["derained"].append(result_name(index, number))
        view["errors"].append(map_name)
        view["windows"] += [{"left": left, "top": top, "method": number} for top, left in worst_windows(error)]
    return view


def shown_error(error_codes: Float[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """Error as a picture, black for none, from 40 codes on the brightest yellow (matplotlib's inferno)."""
    grey = np.clip(error_codes / WHITE_CODES * 255, 0, 255).astype(np.uint8)
    return np.ascontiguousarray(cv2.applyColorMap(grey, cv2.COLORMAP_INFERNO)[..., ::-1])


def worst_windows(
    error_codes: Float[np.ndarray, "h w"], size_px: int = WINDOW_PX, most: int = WINDOWS
) -> list[tuple[int, int]]:
    """Top and left of the windows of largest mean squared error, the worst first, that do not overlap.

    Of a picture smaller than a window, its corner.
    """
    size_px = min(size_px, *error_codes.shape)
    total = np.pad(np.square(error_codes).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    inside = total[size_px:, size_px:] - total[:-size_px, size_px:] - total[size_px:, :-size_px]
    inside = inside + total[:-size_px, :-size_px]
    found: list[tuple[int, int]] = []
    while len(found) < most and np.isfinite(inside).any():
        top, left = (int(place) for place in np.unravel_index(int(inside.argmax()), inside.shape))
        found.append((top, left))
        overlapping = np.s_[max(top - size_px + 1, 0) : top + size_px, max(left - size_px + 1, 0) : left + size_px]
        inside[overlapping] = -np.inf
    return found


def thumbnail(picture_srgb8: Picture) -> str:
    """A small JPEG as a data URL."""
    small = Image.fromarray(picture_srgb8)
    small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
    data = io.BytesIO()
    small.save(data, format="jpeg", quality=THUMBNAIL_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(data.getvalue()).decode()}"
