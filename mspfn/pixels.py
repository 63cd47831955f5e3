"""Codes of a picture, 8 or 16 bit, as the numbers a network works with, and back."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, UInt8, UInt16
from torch import Tensor

from rainsynth.checks import InputError, one_line

Photo = UInt8[np.ndarray, "h w 3"] | UInt16[np.ndarray, "h w 3"]
Photos = UInt8[np.ndarray, "n h w 3"] | UInt16[np.ndarray, "n h w 3"]

WHITE_CODES = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535}  # sRGB code of 1.0


def check_codes(codes: np.ndarray, name: str, axes: str) -> None:
    """Raise InputError unless `codes` is uint8 or uint16 RGB of shape `axes`, such as "H W 3", no axis empty."""
    shape, dtype = getattr(codes, "shape", None), getattr(codes, "dtype", None)
    wanted = axes.split()
    if dtype in WHITE_CODES and shape is not None and len(shape) == len(wanted) and shape[-1] == 3 and min(shape) > 0:
        return
    found = f"{dtype} {shape}" if shape is not None else type(codes).__name__
    message = f"{name} must be uint8 or uint16 RGB of shape ({', '.join(wanted)}), got {found}."
    raise InputError(one_line(message, hint(dtype, shape, len(wanted))))


def hint(dtype: np.dtype | None, shape: tuple[int, ...] | None, axes: int) -> str:
    """The likely cause of a picture that is refused."""
    if shape is None:
        return "A file is read by rainsynth.pictures.read_photo."
    if 0 in shape:
        return "It has no pixels."
    if len(shape) != axes and shape[-1] == 3:
        return "derain takes one picture, derain_batch several of one size."
    if len(shape) == axes and shape[-1] == 4:
        return "Take its alpha off, and put it back afterwards."
    if dtype is not None and dtype.kind == "f":
        return "Multiply sRGB in [0, 1] by 255, round, and take the bytes."
    return "Grey, palette and CMYK pictures: rainsynth.pictures.read_photo converts files."


def unit_pictures(photos: UInt8[np.ndarray, "n h w c"] | UInt16[np.ndarray, "n h w c"]) -> Float[Tensor, "n c h w"]:
    """Codes of pictures, or of masks with one channel, as float32 in [0, 1], channels last in memory."""
    values = torch.from_numpy(photos.astype(np.float32, order="C")).div_(WHITE_CODES[photos.dtype])
    return values.permute(0, 3, 1, 2)


def codes_of(pictures: Float[Tensor, "n 3 h w"], dtype: np.dtype) -> Photos:
    """Pictures clipped to [0, 1] and rounded to codes of `dtype`, uint8 or uint16."""
    codes = pictures.detach().float().clamp(0, 1).mul_(WHITE_CODES[dtype]).round_()
    return codes.permute(0, 2, 3, 1).cpu().numpy().astype(dtype, order="C")
