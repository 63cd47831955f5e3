"""Pixels into the bytes of a picture file: PNG and TIFF of 8 or 16 bits, JPEG, WebP and BMP."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
from jaxtyping import UInt8, UInt16
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from rainsynth.checks import InputError

FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".bmp": "BMP", ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP",
}  # fmt: skip
DEEP_FORMATS = ("PNG", "TIFF")  # hold 16 bits a channel
SEE_THROUGH_FORMATS = ("PNG", "TIFF", "WEBP")  # hold transparency
JPEG_QUALITY = 95  # of 100; above it, files grow and pictures do not
WEBP_QUALITY = 95
SAVE_OPTIONS = {
    "JPEG": {"quality": JPEG_QUALITY, "subsampling": 0},  # 0: colours in full resolution (4:4:4)
    "WEBP": {"quality": WEBP_QUALITY, "exact": True},  # exact: colours under full transparency too
}
KEPT_NOTES = (
    b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"cICP", b"mDCV", b"cLLI", b"pHYs", b"eXIf", b"tEXt", b"zTXt", b"iTXt",
)  # fmt: skip
PNG_HEADER_BYTES = 33  # signature and IHDR, after which notes may stand
SUB_DIRECTORIES = (0x8769, 0x8825)  # of EXIF: the camera's tags, GPS
DEFLATE, HORIZONTAL_PREDICTOR, UNASSOCIATED_ALPHA = 8, 2, 2  # TIFF 6.0 and its supplements


def format_of(path: Path) -> str:
    """The format that a file's suffix names; InputError for none of ours."""
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise InputError(f"{path} must end in one of {', '.join(FORMATS)}. PNG keeps every pixel.")
    return kind


def encode_picture(
    channels: UInt8[np.ndarray, "h w c"] | UInt16[np.ndarray, "h w c"],
    kind: str,
    *,
    exif: bytes = b"",
    icc: bytes = b"",
    xmp: bytes = b"",
    notes: tuple[tuple[bytes, bytes], ...] = (),
) -> bytes:
    """The bytes of a file of format `kind` with 1 (grey), 2 (and alpha, 8 bits only), 3 (RGB) or 4 channels.

    exif, icc, xmp   blocks to put beside the pixels; b"" for none
    notes            chunks of a PNG, put in as they are; then exif and icc are taken to be among them
    """
    if kind == "TIFF":
        return _tiff(channels, exif, icc, xmp)
    if kind == "PNG":
        return _png(channels, notes or _notes_of(exif, icc))
    stream, options = io.BytesIO(), dict(SAVE_OPTIONS.get(kind, {}))
    beside = {"exif": b"Exif\0\0" + exif if exif else b"", "icc_profile": icc, "xmp": xmp}
    if kind != "BMP":
        options |= {name: block for name, block in beside.items() if block}  # type: ignore[misc]
    Image.fromarray(channels[..., 0] if channels.shape[2] == 1 else channels).save(stream, kind, **options)
    return stream.getvalue()


def _png(channels: np.ndarray, notes: tuple[tuple[bytes, bytes], ...]) -> bytes:
    if channels.dtype == np.uint8:
        stream = io.BytesIO()
        Image.fromarray(channels[..., 0] if channels.shape[2] == 1 else channels).save(stream, "PNG")
        plain = stream.getvalue()
    else:
        order = [0] if channels.shape[2] == 1 else [2, 1, 0, 3][: channels.shape[2]]  # blue, green, red for OpenCV
        done, encoded = cv2.imencode(".png", np.ascontiguousarray(channels[..., order]))
        if not done:
            raise OSError("OpenCV cannot write it")
        plain = encoded.tobytes()
    beside = b"".join(_chunk(name, content) for name, content in notes)
    return plain[:PNG_HEADER_BYTES] + beside + plain[PNG_HEADER_BYTES:]


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def _notes_of(exif: bytes, icc: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Chunks for what another format's file said."""
    profile = ((b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc)),) if icc else ()
    return profile + (((b"eXIf", exif),) if exif else ())


def png_notes(content: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Chunks of a PNG file that say how to show it or what it is of: (name, content) each."""
    notes, at = [], 8
    while at + 12 <= len(content):
        (size,) = struct.unpack_from(">I", content, at)
        name = content[at + 4 : at + 8]
        if name in KEPT_NOTES:
            notes.append((name, content[at + 8 : at + 8 + size]))
        at += 12 + size
    return tuple(notes)


def _tiff(channels: np.ndarray, exif: bytes, icc: bytes, xmp: bytes) -> bytes:
    """A TIFF of one strip, deflated after differences along rows are taken; Pillow writes no 16-bit RGB.

    Source: TIFF revision 6.0 (Adobe 1992), sections 8 (baseline), 14 (predictor), 18 (extra samples).
    """
    height_px, width_px, count = channels.shape
    differences = channels.copy()
    differences[:, 1:] -= channels[:, :-1]  # modulo 2^bits, as the predictor asks
    strip = zlib.compress(differences.astype(differences.dtype.newbyteorder("<")).tobytes())
    directory = ImageFileDirectory_v2(prefix=b"II")
    _copy_tags(directory, exif)
    bits = (channels.dtype.itemsize * 8,) * count
    layout = {256: width_px, 257: height_px, 258: bits, 259: DEFLATE, 262: 1 if count < 3 else 2, 273: 0, 277: count}
    layout |= {278: height_px, 279: len(strip), 284: 1, 317: HORIZONTAL_PREDICTOR}
    if count in (2, 4):
        layout[338] = UNASSOCIATED_ALPHA
    for tag, value in layout.items():
        directory[tag] = value
    for tag, block in ((34675, icc), (700, xmp)):
        if block:
            directory.tagtype[tag] = 7  # bytes of no stated kind
            directory[tag] = block
    stream = io.BytesIO()
    directory.save(stream)  # the strip's place, 0 so far, is set to the directory's end
    return stream.getvalue() + strip


def _copy_tags(directory: ImageFileDirectory_v2, exif: bytes) -> None:
    """Put the tags of an EXIF block into a TIFF's directory, those of its sub-directories into theirs."""
    if not exif:
        return
    tags = Image.Exif()
    tags.load(exif)
    for tag in tags:
        if tag not in SUB_DIRECTORIES:
            directory[tag] = tags[tag]
        elif inner := tags.get_ifd(tag):
            directory[tag] = dict(inner)
