"""Picture files for pictures to come back as they went in: depth, grey, transparency, EXIF, colour profile, notes."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image

from pipelines.picture_encoding import DEEP_FORMATS, SEE_THROUGH_FORMATS, encode_picture, format_of, png_notes
from rainsynth.checks import InputError
from rainsynth.pictures import UNREADABLE

ORIENTATION_TAG = 0x0112  # EXIF 2.3: 1 to 8
TURN_BACK = {6: 8, 8: 6}  # every other turn undoes itself
UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}
GREY_MODES, COLOUR_MODES = ("1", "L", "LA", "I;16", "I;16B"), ("RGB", "RGBA", "P", "PA")
ONE_PICTURE_FORMATS = ("PNG", "TIFF", "WEBP")  # a second picture in another, such as a phone's JPEG, is a by-product
TIFF_LAYOUT_TAGS = (*range(254, 260), 262, 266, 273, *range(277, 282), 284, 317, 320, *range(322, 326), 330, 338, 339)
TIFF_LAYOUT_TAGS += (347, *range(529, 533), 700, 34675)  # JPEG's and YCbCr's, XMP and colour profile


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureFile:
    """A picture, upright, and what its file says beside the pixels.

    pixels        (H, W, 3) RGB, turned upright as EXIF's orientation asks
    alpha         (H, W) of the same depth, 0 for what cannot be seen, or None
    grey          whether the file holds one colour channel, which `pixels` repeats
    orientation   EXIF's 1 to 8: how the file holds the picture, and will again
    exif          the block from its TIFF header on, b"" for none
    icc, xmp      colour profile and XMP packet, b"" for none
    notes         PNG's chunks about colours, size and texts, as they stand in the file
    """

    pixels: UInt8[np.ndarray, "h w 3"] | UInt16[np.ndarray, "h w 3"]
    alpha: UInt8[np.ndarray, "h w"] | UInt16[np.ndarray, "h w"] | None = None
    grey: bool = False
    orientation: int = 1
    exif: bytes = b""
    icc: bytes = b""
    xmp: bytes = b""
    notes: tuple[tuple[bytes, bytes], ...] = ()

    @property
    def deep(self) -> bool:
        """Whether the picture has 16 bits a channel."""
        return self.pixels.dtype == np.uint16


def read_picture_file(path: Path) -> PictureFile:
    """A picture file of 8 or 16 bits a channel, RGB, grey or with a palette (which becomes RGB), with or without alpha.

    CMYK, floating-point, animated and many-paged pictures are refused, as are files that are cut or no picture, and
    those of over 179 megapixels (Pillow's limit for what could be an attack): InputError.
    """
    try:
        content = Path(path).read_bytes()
        with warnings.catch_warnings(), Image.open(io.BytesIO(content)) as opened:
            warnings.simplefilter("ignore")
            return _picture_of(opened, content, path)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} must be a picture file, got nothing there. Is the path right?") from None
    except UNREADABLE as error:
        raise InputError(f"{path} must be a readable picture, got: {' '.join(str(error).split())}.") from None


def _picture_of(opened: Image.Image, content: bytes, path: Path) -> PictureFile:
    kind, layout = opened.format or "", _layout_of(opened)
    if kind in ONE_PICTURE_FORMATS and getattr(opened, "n_frames", 1) > 1:
        raise InputError(f"{path} must hold one picture, got {getattr(opened, 'n_frames', 1)}. Split it first.")
    if opened.mode not in GREY_MODES + COLOUR_MODES:
        raise InputError(
            f"{path} must be an RGB or grey picture of 8 or 16 bits, got mode {opened.mode}. Convert it to sRGB first."
        )
    exif = opened.getexif()  # before the pixels are read, which turns a TIFF and drops its tag
    said = exif.get(ORIENTATION_TAG, 1)
    orientation = said if said in UPRIGHT else 1
    block = _tiff_exif(exif) if kind == "TIFF" else bytes(opened.info.get("exif", b""))
    xmp = opened.info.get("xmp", b"")
    opened.load()  # a cut file is refused here: OpenCV would say so on its own
    grey = opened.mode in GREY_MODES or layout.startswith("LA")
    channels = _deep_channels(content, path) if ";16" in layout else _channels(opened, grey)
    if kind != "TIFF":  # both libraries turn TIFFs, and those alone
        channels = np.ascontiguousarray(UPRIGHT[orientation](channels))
    count = channels.shape[2]
    pixels = channels[..., :3] if count >= 3 else np.repeat(channels[..., :1], 3, axis=2)
    return PictureFile(
        pixels=np.ascontiguousarray(pixels),
        alpha=np.ascontiguousarray(channels[..., -1]) if count in (2, 4) else None,
        grey=grey,
        orientation=orientation,
        exif=block.removeprefix(b"Exif\0\0"),
        icc=opened.info.get("icc_profile") or b"",
        xmp=xmp if isinstance(xmp, bytes) else b"",
        notes=png_notes(content) if kind == "PNG" else (),
    )


def _layout_of(opened: Image.Image) -> str:
    """How the file holds a pixel, such as "RGB;16B": Pillow opens 16-bit colour as if it were 8-bit."""
    tiles = getattr(opened, "tile", None)
    layout = tiles[0][3] if tiles else ""
    return str(layout if isinstance(layout, str) else layout[0] if layout else "")


def _channels(opened: Image.Image, grey: bool) -> UInt8[np.ndarray, "h w c"]:
    """Channels of an 8-bit picture: grey or RGB, then alpha where the file has transparency of any kind."""
    mode = ("L" if grey else "RGB") + ("A" if opened.has_transparency_data else "")
    channels = np.array(opened.convert(mode))
    return channels if channels.ndim == 3 else channels[..., None]


def _deep_channels(content: bytes, path: Path) -> UInt16[np.ndarray, "h w c"]:
    """Channels of a 16-bit picture, which OpenCV reads and Pillow does not."""
    found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if found is None or found.dtype != np.uint16:
        raise InputError(f"{path} must be a 16-bit picture that OpenCV can read. Convert it to PNG first.")
    if found.ndim == 2:
        return found[..., None]
    return found[..., [2, 1, 0, 3][: found.shape[2]]]  # OpenCV's order is blue, green, red


def _tiff_exif(exif: Image.Exif) -> bytes:
    """EXIF block of a TIFF: its tags without those that say where and how the pixels lie."""
    for tag in TIFF_LAYOUT_TAGS:
        exif.pop(tag, None)
    return exif.tobytes()


def check_holds(path: Path, picture: PictureFile) -> None:
    """Raise InputError unless the format that `path` is named after holds the picture's depth and transparency."""
    kind = format_of(path)
    if picture.deep and kind not in DEEP_FORMATS:
        raise InputError(f"{path} must end in .png or .tif to hold the 16 bits of its input.")
    if picture.alpha is not None and kind not in SEE_THROUGH_FORMATS:
        raise InputError(f"{path} must end in .png, .tif or .webp to hold the transparency of its input.")


def write_picture_file(path: Path, picture: PictureFile) -> None:
    """Write a picture whole or not at all, turned as its EXIF says; the suffix names the format."""
    check_holds(path, picture)
    one_channel = picture.grey and not (picture.deep and picture.alpha is not None)  # few readers know grey like that
    channels = [luma(picture.pixels)[..., None] if one_channel else picture.pixels]
    if picture.alpha is not None:
        channels.append(picture.alpha[..., None])
    turn = UPRIGHT[TURN_BACK.get(picture.orientation, picture.orientation)]
    stored = np.ascontiguousarray(turn(np.concatenate(channels, axis=2)))
    try:
        content = encode_picture(
            stored, format_of(path), exif=picture.exif, icc=picture.icc, xmp=picture.xmp, notes=picture.notes
        )
    except (OSError, ValueError) as error:  # such as a side over 65,535 px in a JPEG
        raise InputError(f"{path} must be of a format that holds the picture, got: {error}. PNG does.") from None
    write_whole(path, content)


def luma(pixels: np.ndarray) -> np.ndarray:
    """Grey of RGB codes, (H, W, 3) -> (H, W): Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601), grey unchanged."""
    grey = pixels.astype(np.float64) @ np.array([0.299, 0.587, 0.114])
    return np.round(grey).astype(pixels.dtype)


def write_whole(path: Path, content: bytes) -> None:
    """Write beside `path`, then rename: whoever looks finds the old file, the new one, or none, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
