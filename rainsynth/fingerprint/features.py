"""The fingerprint of a picture: local features and a thumbnail in 8 KiB, by which changed copies are known again."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float32, UInt8, UInt64

from rainsynth.checks import InputError, check_photo

FINGERPRINT_VERSION = 1
FINGERPRINT_BYTES = 8192
FEATURES = 184
THUMBNAIL_CELLS = 24
CODE_BYTES = 32

# Channels: grey, and red minus blue, which a grey streak added to all three colours does not change.
GREY, COLOUR = 0, 1
AREA_PX = (
    60_000,
    20_000,
)  # pictures are shrunk to this area, per channel: a streak is thin, so colour is seen coarsely
CONTRAST = (0.01, 0.005)  # contrastThreshold of SIFT, per channel
COLOUR_GAIN = 1.5  # of red minus blue, about 128
MIN_SIDE_PX = 16  # below this a channel has no features

HEADER = np.dtype([("version", "u1"), ("spare", "u1", 3), ("grey", "<u2"), ("colour", "<u2"), ("size_px", "<u4", 2)])
FEATURE = np.dtype([("xy", "<u2", 2), ("size", "u1"), ("angle", "u1"), ("code", "u1", CODE_BYTES)])
XY_STEPS = 65535  # of the picture's width and height
SIZE_STEPS = 16  # to an octave
ANGLE_STEPS = 256  # to a turn

# SIFT's 128 numbers are 4 x 4 cells of 8 directions about the feature's own direction: mirrored across that direction,
# rows of cells change places and directions change sign.
MIRRORED_DIMENSIONS = np.arange(128).reshape(4, 4, 8)[::-1][:, :, -np.arange(8) % 8].ravel()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Features:
    """What a fingerprint holds, unpacked. The features of grey come first, then those of colour.

    `places` are x [px], y [px], log2 of the size [px] and the direction [rad, from +x towards +y] in the picture's own
    pixels; `codes` are 256-bit descriptors; `thumbnail` is grey and colour on a square grid over the whole picture.
    """

    width_px: int
    height_px: int
    grey_count: int
    places: Float32[np.ndarray, "n 4"]
    codes: UInt64[np.ndarray, "n 4"]
    thumbnail: Float32[np.ndarray, "2 cells cells"]


def fingerprint_of(picture_srgb8: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "8192"]:
    """Fingerprint of a picture: 8192 bytes, the first of which is the version. A function of the pixels alone.

    Up to 184 SIFT features (Lowe 2004, doi:10.1023/B:VISI.0000029664.99615.94) of the picture's grey and of its red
    minus blue, the strongest of each, and a thumbnail. A descriptor is binarised to 256 bits by two of its own
    quantiles, after Zhou et al. (2012), doi:10.1145/2393347.2393377. A picture without features gives a fingerprint
    that matches nothing. Equal bytes on machines with the same OpenCV and processor family; elsewhere bits may differ.
    """
    check_photo(picture_srgb8, "picture_srgb8")
    height_px, width_px = picture_srgb8.shape[:2]
    channels = _channels(picture_srgb8)
    found = [_features(image, channel, width_px / image.shape[1]) for channel, image in enumerate(channels)]
    counts = _share([len(features) for features in found])
    header = np.zeros(1, HEADER)
    header[0] = (FINGERPRINT_VERSION, 0, *counts, (width_px, height_px))
    kept = np.concatenate([features[:count] for features, count in zip(found, counts, strict=True)])
    data = header.tobytes() + _thumbnail(channels).tobytes() + kept.tobytes()
    return np.frombuffer(data.ljust(FINGERPRINT_BYTES, b"\0"), np.uint8).copy()


def unpack(fingerprint: UInt8[np.ndarray, "8192"]) -> Features:
    """What a fingerprint holds. InputError where it is none, or of another version."""
    data = np.ascontiguousarray(fingerprint)
    if data.dtype != np.uint8 or data.shape != (FINGERPRINT_BYTES,) or data[0] != FINGERPRINT_VERSION:
        raise InputError(
            f"fingerprint must be {FINGERPRINT_BYTES} bytes of version {FINGERPRINT_VERSION}, got {data.dtype}"
            f" {data.shape}, version {data.flat[0] if data.size else 'none'}. Compute it again from the picture."
        )
    header = data[: HEADER.itemsize].view(HEADER)[0]
    end = HEADER.itemsize + 2 * THUMBNAIL_CELLS**2
    count = int(header["grey"]) + int(header["colour"])
    features = data[end : end + count * FEATURE.itemsize].view(FEATURE)
    places = np.empty((count, 4), np.float32)
    places[:, :2] = features["xy"] * (header["size_px"] / XY_STEPS)
    places[:, 2] = features["size"] / SIZE_STEPS
    places[:, 3] = features["angle"] * (2 * np.pi / ANGLE_STEPS)
    thumbnail = data[HEADER.itemsize : end].reshape(2, THUMBNAIL_CELLS, THUMBNAIL_CELLS)
    return Features(
        width_px=int(header["size_px"][0]),
        height_px=int(header["size_px"][1]),
        grey_count=int(header["grey"]),
        places=places,
        codes=np.ascontiguousarray(features["code"]).view(np.uint64),
        thumbnail=thumbnail.astype(np.float32),
    )


def mirrored(features: Features) -> Features:
    """Features of the picture turned upside down by a mirror (y -> height - y), from the fingerprint alone.

    The descriptors are those of the mirrored patches exactly; features that SIFT would find there only are not known.
    """
    places = features.places.copy()
    places[:, 1] = features.height_px - places[:, 1]
    places[:, 3] = -places[:, 3] % (2 * np.pi)
    bits = np.unpackbits(features.codes.view(np.uint8), axis=1).reshape(-1, 2, 128)[:, :, MIRRORED_DIMENSIONS]
    return Features(
        width_px=features.width_px,
        height_px=features.height_px,
        grey_count=features.grey_count,
        places=places,
        codes=_packed(bits),
        thumbnail=features.thumbnail[:, ::-1].copy(),
    )


def thumbnail_of(picture_srgb8: UInt8[np.ndarray, "h w 3"]) -> Float32[np.ndarray, "2 cells cells"]:
    """The thumbnail that a picture's fingerprint holds, at a hundredth of the time."""
    check_photo(picture_srgb8, "picture_srgb8")
    return _thumbnail(_channels(picture_srgb8)).astype(np.float32)


def _thumbnail(channels: tuple[np.ndarray, np.ndarray]) -> UInt8[np.ndarray, "2 cells cells"]:
    cells = (THUMBNAIL_CELLS, THUMBNAIL_CELLS)
    return np.stack([cv2.resize(image, cells, interpolation=cv2.INTER_AREA) for image in channels])


def _channels(picture_srgb8: UInt8[np.ndarray, "h w 3"]) -> tuple[UInt8[np.ndarray, "h w"], UInt8[np.ndarray, "h w"]]:
    """Grey, and red minus blue about 128, each at its working size; pictures are never enlarged."""
    grey = cv2.cvtColor(picture_srgb8, cv2.COLOR_RGB2GRAY)
    red_less_blue = _shrunk(picture_srgb8[..., 0].astype(np.float32) - picture_srgb8[..., 2], AREA_PX[COLOUR])
    colour = np.clip(np.round(128 + COLOUR_GAIN * red_less_blue), 0, 255).astype(np.uint8)
    return _shrunk(grey, AREA_PX[GREY]), colour


def _shrunk(image: np.ndarray, area_px: int) -> np.ndarray:
    height_px, width_px = image.shape[:2]
    factor = np.sqrt(area_px / (height_px * width_px))
    if factor >= 1:
        return image
    size = (max(1, round(width_px * factor)), max(1, round(height_px * factor)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA)


def _features(image: UInt8[np.ndarray, "h w"], channel: int, shrunk_by: float) -> np.ndarray:
    """The strongest SIFT features of a channel that was shrunk by a factor, the strongest first, as they are stored."""
    height_px, width_px = image.shape
    if min(height_px, width_px) < MIN_SIDE_PX:
        return np.zeros(0, FEATURE)
    sift = cv2.SIFT_create(nfeatures=FEATURES, contrastThreshold=CONTRAST[channel])  # type: ignore[attr-defined]
    found, descriptors = sift.detectAndCompute(image, None)  # equally strong ones may be more than asked for
    order = sorted(range(len(found)), key=lambda i: _by_strength(found[i]))[:FEATURES]
    if not order:
        return np.zeros(0, FEATURE)
    points, descriptors = [found[i] for i in order], descriptors[order]
    features = np.zeros(len(points), FEATURE)
    xy = np.array([point.pt for point in points]) / (width_px, height_px)
    features["xy"] = np.clip(np.round(xy * XY_STEPS), 0, XY_STEPS)
    sizes_px = shrunk_by * np.array([point.size for point in points])
    features["size"] = np.clip(np.round(SIZE_STEPS * np.log2(sizes_px)), 0, 255)
    features["angle"] = np.round(np.array([point.angle for point in points]) * (ANGLE_STEPS / 360)) % ANGLE_STEPS
    features["code"] = _packed(_binarised(descriptors)).view(np.uint8).reshape(-1, CODE_BYTES)
    return features


def _by_strength(point: cv2.KeyPoint) -> tuple[float, ...]:
    return (-point.response, *point.pt, point.angle, point.size)


def _binarised(descriptors: Float32[np.ndarray, "n 128"]) -> np.ndarray:
    """Bits (n, 2, 128): is a number at least its descriptor's median; is it at least its upper quartile."""
    ordered = np.sort(descriptors, axis=1)
    median, quartile = np.maximum(ordered[:, [64]], 1), np.maximum(ordered[:, [96]], 1)
    return np.stack([descriptors >= median, descriptors >= quartile], axis=1)


def _packed(bits: np.ndarray) -> UInt64[np.ndarray, "n 4"]:
    return np.ascontiguousarray(np.packbits(bits.reshape(-1, 256), axis=1)).view(np.uint64)


def _share(found: list[int]) -> tuple[int, int]:
    """How many features of each channel are kept: half the room each, and what one leaves free goes to the other."""
    half = FEATURES // 2
    grey = min(found[GREY], max(half, FEATURES - found[COLOUR]))
    return grey, min(found[COLOUR], FEATURES - grey)
