"""What a shard holds: names, types and units. README.md in this folder says it in words."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np

import rainsynth
from rainsynth.checks import InputError

FORMAT = "rainsynth-shard"
FORMAT_VERSION = 2
SHARD_GLOB = "shard-*.h5"
MANIFEST_NAME = "manifest.json"
TILE_PX = 128
COMPOSED_FROM = ("streak_alpha16", "texture16", "transmission16", "light_grid_linear")
LAYERS = (*COMPOSED_FROM, "depth_m")
LIGHT_GRID_CELLS = 26  # light grids are stored in the corner of a square this large

CODECS: dict[str, dict[str, Any]] = {
    "default": dict(hdf5plugin.Blosc2(cname="lz4", clevel=5, filters=hdf5plugin.Blosc2.BITSHUFFLE)),
    "portable": {"compression": "gzip", "compression_opts": 4, "shuffle": True},
}
CODEC_NAMES = {
    "default": "Blosc2 (HDF5 filter 32026), LZ4, bitshuffle; decode with hdf5plugin or any HDF5 with that filter",
    "portable": "gzip and shuffle, filters of every HDF5 library",
}

# Columns of /parameters with a unit of their own; all others have the unit that ends their name, or none.
TEXT_BYTES = 64
UNITS = {
    "rain_rate_mm_h": "mm/h",
    "extinction_per_km": "1/km",
    "mist_per_km": "1/km",
    "wind_right_m_s": "m/s",
    "wind_away_m_s": "m/s",
    "turbulence_m_s": "m/s",
    "sky_linear": "white",
    "highlight_linear": "white",
    "airlight_red_linear": "white",
    "airlight_green_linear": "white",
    "airlight_blue_linear": "white",
    "exposure_s": "s",
    "focal_px": "px",
    "principal_x_px": "px",
    "principal_y_px": "px",
    "near_m": "m",
    "aperture_mm": "mm",
    "focus_m": "m",
    "full_well_e": "electrons",
    "read_noise_e": "electrons",
    "coverage_fraction": "1",
    "mean_transmission": "1",
    "min_streak_width_px": "px",
    "psnr_y_db": "dB",
    "height_px": "px",
    "width_px": "px",
}


def parameter_table(rows: list[dict[str, Any]]) -> np.ndarray:
    """Parameters of samples as a structured array: text, bool, int64 or float64 by the first value of each name.

    A sample that lacks a parameter of another has NaN there, or no text.
    """
    first: dict[str, Any] = {}
    for row in rows:
        first = row | first if first else dict(row)
    missing = [name for name in first if any(name not in row for row in rows)]
    types = {name: _column_type(value) for name, value in first.items()}
    types |= {name: np.float64 for name in missing if not isinstance(first[name], str)}
    blank = {name: "" if isinstance(first[name], str) else np.nan for name in missing}
    return np.array([tuple(_cell((blank | row)[name]) for name in first) for row in rows], dtype=list(types.items()))


def code_sha256() -> str:
    """Hash of the package's own source: two shards with the same hash were made by the same code."""
    folder = Path(rainsynth.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def code_version() -> dict[str, str]:
    """What made a shard: package version, hash of its source, and the HDF5 library."""
    return {
        "rainsynth": rainsynth.__version__,
        "source_sha256": code_sha256(),
        "hdf5": h5py.version.hdf5_version,
        "hdf5plugin": version("hdf5plugin"),
    }


def check_layers(layers: tuple[str, ...]) -> None:
    """Raise InputError unless every name is a layer that shards can hold."""
    for name in layers:
        if name not in LAYERS:
            raise InputError(f"layers must be among {', '.join(LAYERS)}, got {name!r}.")


def _column_type(value: Any) -> Any:
    if isinstance(value, str):
        return f"S{TEXT_BYTES}"
    if isinstance(value, bool | np.bool_):
        return np.bool_
    return np.int64 if isinstance(value, int | np.integer) else np.float64


def _cell(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.encode()
    if len(text) > TEXT_BYTES:
        raise InputError(f"names in a shard's parameters must be at most {TEXT_BYTES} bytes long, got {value!r}.")
    return text
