"""Depth maps from files: NumPy arrays in metres, the 16-bit pictures of KITTI and NYU, and others by their scale."""

from __future__ import annotations

import warnings
import zipfile
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Float
from PIL import Image

from rainsynth.checks import InputError, check_choice, check_count, check_number, one_line
from rainsynth.pictures import UNREADABLE
from rainsynth.scene.background import MAX_DEPTH_M

# Metres a step of the conventions whose scale is fixed; `scale` takes the caller's.
METRES_A_STEP = {"npy": 1.0, "kitti": 1 / 256, "nyu": 1 / 1000}
CONVENTIONS = ("auto", *METRES_A_STEP, "scale")
ARRAY_SUFFIXES = (".npy", ".npz")
DEEP_PICTURE_SUFFIXES = (".png", ".tif", ".tiff")
DEPTH_SUFFIXES = (*ARRAY_SUFFIXES, *DEEP_PICTURE_SUFFIXES)
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")  # Pillow's names of 16-bit, 32-bit and floating-point grey
MIN_DEPTH_M = 0.01
SCALE_RANGE_M = (1e-9, 1000.0)
NO_GUESS = "Say kitti (metres = value / 256), nyu (millimetres), or give scale_m, the metres of a step."


def read_depth_m(path: Path, convention: str = "auto", scale_m: float | None = None) -> Float[np.ndarray, "h w"]:
    """Depth map of a file (H, W) float32 [m], NaN where it is unknown.

    `convention` says what a number in the file means:
    `npy` - metres, in a floating-point array .npy, or .npz that holds one array;
    `kitti` - 16-bit PNG, metres = value / 256 (Uhrig et al. 2017, 3DV, doi:10.1109/3DV.2017.00012, and its devkit);
    `nyu` - 16-bit PNG in millimetres, as NYU Depth v2 (Silberman et al. 2012, ECCV, doi:10.1007/978-3-642-33715-4_54)
    is passed around, and most depth cameras write;
    `scale` - any of these files, or a 16-bit or floating-point TIFF, times `scale_m` metres a step;
    `auto` - `npy` for floating-point arrays, `scale` where `scale_m` is given. What else a number may mean is not
    guessed.
    0 and NaN are unknown. Known depths are 0.01 to 60,000 m. InputError for a file that is missing, cut, of 8 bits, of
    another shape than (H, W), without a convention, or with a depth that is negative, infinite or nowhere known.
    """
    path = Path(path)
    check_convention(convention, scale_m)
    is_picture = path.suffix.lower() in DEEP_PICTURE_SUFFIXES
    values = _picture_values(path) if is_picture else _array_values(path)
    if convention == "auto":
        if is_picture and scale_m is None:
            raise InputError(f"{path} must come with a depth convention, got a picture of {values.dtype}. {NO_GUESS}")
        convention = "npy" if scale_m is None else "scale"
    _check_fits(path, values, is_picture, convention)
    scale = METRES_A_STEP.get(convention, scale_m)
    return _checked_m(values, np.float64(scale), path)


def check_convention(convention: str, scale_m: float | None) -> None:
    """Raise InputError unless convention and scale go together."""
    check_choice(convention, CONVENTIONS, "depth convention")
    if scale_m is not None:
        check_number(scale_m, *SCALE_RANGE_M, "depth scale_m", "Metres of a step: 0.001 for millimetres.")
        if convention in METRES_A_STEP:
            raise InputError(f"depth scale_m must go with convention scale or auto, got convention {convention}.")
    elif convention == "scale":
        raise InputError("depth scale_m must be given for convention scale, got None. 0.001 for millimetres.")


def resized_depth_m(depth_m: Float[np.ndarray, "h w"], height_px: int, width_px: int) -> Float[np.ndarray, "h2 w2"]:
    """A depth map brought to another size, float32 [m]: each pixel takes the nearest one's depth.

    No depth is made between a near thing and what lies behind it, which no surface would have; NaN stays NaN.
    """
    check_count(height_px, 1, 1_000_000, "height_px")
    check_count(width_px, 1, 1_000_000, "width_px")
    rows, columns = (
        ((np.arange(new) + 0.5) * (old / new)).astype(np.int64)
        for new, old in zip((height_px, width_px), np.shape(depth_m), strict=True)
    )
    return np.asarray(depth_m, dtype=np.float32)[np.ix_(rows, columns)]


def _check_fits(path: Path, values: np.ndarray, is_picture: bool, convention: str) -> None:
    """Raise InputError unless a file can be of its convention."""
    whole_numbers = values.dtype.kind in "ui"
    found = f"for convention {convention}, got {path.suffix} of {values.dtype}."
    if convention in ("kitti", "nyu") and not (is_picture and whole_numbers):
        raise InputError(f"{path} must be a 16-bit PNG {found}")
    if convention == "npy" and (is_picture or whole_numbers):
        hint = "Whole numbers are often millimetres: give scale_m, the metres of a step."
        raise InputError(f"{path} must be a floating-point array (.npy or .npz) {found} {hint}")


def _array_values(path: Path) -> np.ndarray:
    """The numbers of a .npy file, or of a .npz file that holds one array."""
    if path.suffix.lower() not in ARRAY_SUFFIXES:
        raise InputError(f"{path} must be a depth map, one of {', '.join(DEPTH_SUFFIXES)}, got {path.suffix!r}.")
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            if len(loaded.files) != 1:
                raise InputError(f"{path} must hold one array, got {', '.join(loaded.files) or 'none'}.")
            return loaded[loaded.files[0]]
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} must be a depth map, got nothing there. Is the path right?") from None
    except (ValueError, EOFError, OSError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(one_line(f"{path} must be a readable depth map, got: {error}.")) from None


def _picture_values(path: Path) -> np.ndarray:
    """The numbers of a grey picture of 16 bits or more, as they stand in the file."""
    try:
        with warnings.catch_warnings(), Image.open(path) as opened:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            if opened.mode not in DEEP_MODES:
                hint = "8 bits are too coarse for metres: save 16-bit grey, or metres as .npy."
                raise InputError(f"{path} must be a 16-bit grey depth map, got an 8-bit {opened.mode} picture. {hint}")
            return np.array(opened)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"{path} must be a depth map, got nothing there. Is the path right?") from None
    except UNREADABLE as error:
        raise InputError(one_line(f"{path} must be a readable depth map, got: {error}.")) from None


def _checked_m(values: np.ndarray, scale: np.float64, path: Path) -> Float[np.ndarray, "h w"]:
    """Metres from numbers, NaN for unknown; InputError for what no depth can be."""
    if values.ndim != 2 or values.dtype.kind not in "uif" or min(values.shape) < 1:
        raise InputError(f"{path} must hold depth_m of shape (H, W), got {values.dtype} {values.shape}.")
    depth_m = (values * scale).astype(np.float32)
    depth_m[values == 0] = np.nan
    known_m = depth_m[~np.isnan(depth_m)]
    if known_m.size == 0:
        raise InputError(f"{path} must hold depth_m for some pixel, got 0 or NaN (unknown) for all.")
    low, high = float(known_m.min()), float(known_m.max())
    if low < MIN_DEPTH_M or high > MAX_DEPTH_M:
        hint = "NaN or 0 is unknown." if low < 0 or np.isinf(high) else "Is the scale right?"
        found = f"{low:g}" if low < MIN_DEPTH_M else f"{high:g}"
        raise InputError(f"{path} must hold depth_m between {MIN_DEPTH_M:g} and {MAX_DEPTH_M:g}, got {found}. {hint}")
    return depth_m
