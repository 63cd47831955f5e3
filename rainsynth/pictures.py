"""Photographs from files, and pictures into them."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps, UnidentifiedImageError

from rainsynth.checks import InputError

PHOTO_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp")
EIGHT_BIT_MODES = ("RGB", "L", "P", "1", "LA", "RGBA", "PA")
UNREADABLE = (
    UnidentifiedImageError,
    OSError,
    SyntaxError,
    ValueError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


def list_photos(folder: Path) -> list[Path]:
    """Pictures under `folder`, sub-folders included, in the order of their relative paths.

    A folder that is missing or holds no picture is an InputError.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise InputError(f"photographs must be a folder of pictures, got {str(folder)!r}. Does it exist?")
    photos = [path for path in folder.rglob("*") if path.suffix.lower() in PHOTO_SUFFIXES and path.is_file()]
    if not photos:
        raise InputError(
            f"photographs must hold at least one picture ({', '.join(PHOTO_SUFFIXES)}), got none in {str(folder)!r}."
        )
    return sorted(photos, key=lambda path: path.relative_to(folder).as_posix())


def read_photo(path: Path) -> UInt8[np.ndarray, "h w 3"]:
    """A picture file as (H, W, 3) uint8 RGB, turned upright by its EXIF tag.

    Grey is repeated to three channels; transparency is laid over white; an embedded colour profile is not applied.
    CMYK, 16-bit and floating-point pictures are refused, as are files that are cut or are no picture: InputError.
    """
    try:
        with warnings.catch_warnings(), Image.open(path) as opened:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            check_eight_bit(opened, path)
            picture = ImageOps.exif_transpose(opened)
            if picture.has_transparency_data:
                picture = picture.convert("RGBA")
                picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
            return np.array(picture.convert("RGB"))
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} must be a picture file, got nothing there. Is the path right?") from None
    except UNREADABLE as error:
        raise InputError(f"{path} must be a readable picture, got: {' '.join(str(error).split())}.") from None


def check_eight_bit(opened: Image.Image, path: Path) -> None:
    """Raise InputError unless the file holds 8-bit RGB or grey; Pillow opens 16-bit colour as if it were 8-bit."""
    deep = any(";16" in str(tile[3]) for tile in getattr(opened, "tile", ()))
    if opened.mode not in EIGHT_BIT_MODES or deep:
        found = "16 bits a channel" if deep else f"mode {opened.mode}"
        raise InputError(f"{path} must be an 8-bit RGB or grey picture, got {found}. Convert it to 8-bit sRGB first.")


def photo_size_px(path: Path) -> tuple[int, int]:
    """(height, width) of a picture file once it is upright, from its header alone."""
    try:
        with Image.open(path) as opened:
            turned = opened.getexif().get(0x0112, 1) >= 5  # EXIF orientations 5 to 8 swap the sides
            width, height = opened.size
            return (width, height) if turned else (height, width)
    except UNREADABLE as error:
        raise InputError(f"{path} must be a readable picture, got: {' '.join(str(error).split())}.") from None


def write_picture(path: Path, picture_srgb8: UInt8[np.ndarray, "h w 3"]) -> None:
    """Write a picture whole or not at all; the suffix names the format."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() not in PHOTO_SUFFIXES:
        raise InputError(f"{path} must end in one of {', '.join(PHOTO_SUFFIXES)}. PNG keeps every pixel.")
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    Image.fromarray(picture_srgb8).save(part, quality=95)
    part.replace(path)
