"""`rainsynth derain`: rain off a picture, or off every picture of a folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipelines.progress import progress
from rainsynth.checks import InputError
from rainsynth.pictures import list_photos, read_photo, write_picture

Picture = UInt8[np.ndarray, "h w 3"]


def derain_path(source: Path, output: Path, restore: Callable[[Picture], Picture]) -> int:
    """Derain a picture to a picture, or a folder to a folder with the same tree and names; returns the count.

    A picture already in the output folder is left as it is, so a stopped run goes on. The input is never overwritten.
    """
    if output.resolve() == source.resolve():
        raise InputError(f"--output must not be the input, got {str(output)!r} for both.")
    if not source.is_dir():
        rainy = read_photo(source)
        write_picture(output / source.name if output.is_dir() else output, restore(rainy))
        return 1
    photos = list_photos(source)
    if output.resolve().is_relative_to(source.resolve()):
        raise InputError(f"--output must lie outside the input folder, got {str(output)!r}.")
    targets = [output / photo.relative_to(source) for photo in photos]
    missing = [(photo, target) for photo, target in zip(photos, targets, strict=True) if not target.exists()]
    with progress("derain", len(photos), len(photos) - len(missing)) as advance:
        for photo, target in missing:
            write_picture(target, restore(read_photo(photo)))
            advance()
    return len(photos)
