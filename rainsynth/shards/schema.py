"""What a shard holds: names, types and units. README.md in this folder says it in words."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import h5py
import numpy as np

import rainsynth
from rainsynth.checks import InputError, check_in_range
from rainsynth.shards.codecs import CODECS  # noqa: F401  (their names are part of the schema)

FORMAT = "rainsynth-shard"
FORMAT_VERSION = 3
SHARD_GLOB = "shard-*.h5"
MANIFEST_NAME = "manifest.json"
COMPOSED_FROM = ("streak_alpha16", "texture16", "transmission16", "light_grid_linear")
LAYERS = (*COMPOSED_FROM, "depth_m")
LIGHT_GRID_CELLS = 26  # light grids are stored in the corner of a square this large

TEXT_BYTES = 64  # columns of text are this wide, or a multiple of it where a name is longer
FINGERPRINT_BYTES = 8192  # at most, for a photograph

# The unit of a column of /parameters: that of the longest of these endings its name has, "" where it has none.
UNIT_OF_ENDING = {
    "_mm_h": "mm/h",
    "_per_km": "1/km",
    "_per_m": "1/m",
    "_m_s": "m/s",
    "_linear": "white",
    "_s": "s",
    "_px": "px",
    "_m": "m",
    "_mm": "mm",
    "_e": "electrons",
    "_deg": "degrees",
    "_db": "dB",
    "_codes": "codes of 255",
    "_fraction": "1",
    "transmission": "1",
    "difficulty": "1",
}


def unit_of(name: str) -> str:
    """Unit of a parameter, by how its name ends; "" for one without."""
    endings = [ending for ending in UNIT_OF_ENDING if name.endswith(ending)]
    return UNIT_OF_ENDING[max(endings, key=len)] if endings else ""


def parameter_table(rows: list[dict[str, Any]]) -> np.ndarray:
    """Parameters of samples as a structured array: text, bool, int64 or float64 by the first value of each name.

    A sample that lacks a parameter of another has NaN there, or no text.
    """
    first: dict[str, Any] = {}
    for row in rows:
        first = row | first if first else dict(row)
    missing = [name for name in first if any(name not in row for row in rows)]
    types = {name: _column_type([row[name] for row in rows if name in row]) for name in first}
    types |= {name: np.float64 for name in missing if not isinstance(first[name], str)}
    blank = {name: "" if isinstance(first[name], str) else np.nan for name in missing}
    return np.array([tuple(_cell((blank | row)[name]) for name in first) for row in rows], dtype=list(types.items()))


def join_tables(tables: list[np.ndarray]) -> np.ndarray:
    """Parameter tables one after the other; a column that some lack is NaN there, or no text.

    Look-alikes and imported pairs have other columns than physical rain.
    """
    if all(table.dtype == tables[0].dtype for table in tables):
        return np.concatenate(tables)
    names = list(dict.fromkeys(name for table in tables for name in table.dtype.names or ()))
    columns = [_joined_column(tables, name) for name in names]
    joined = np.empty(len(columns[0]), dtype=[(name, c.dtype) for name, c in zip(names, columns, strict=True)])
    for name, column in zip(names, columns, strict=True):
        joined[name] = column
    return joined


def _joined_column(tables: list[np.ndarray], name: str) -> np.ndarray:
    there = [table.dtype[name] for table in tables if name in (table.dtype.names or ())]
    blank = np.zeros(1, there[0]) if there[0].kind == "S" else np.full(1, np.nan)
    return np.concatenate(
        [table[name] if name in (table.dtype.names or ()) else np.repeat(blank, len(table)) for table in tables]
    )


@lru_cache(maxsize=1)
def code_sha256() -> str:
    """Hash of the package's own source as this process first met it: two shards with the same hash were made by the
    same code.
    """
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


def check_fingerprints(fingerprints: Sequence[np.ndarray], count: int) -> None:
    """Raise InputError unless there are `count` rows of bytes of one length that shards can hold."""
    if len(fingerprints) != count:
        raise InputError(f"fingerprints must be {count}, one a sample, got {len(fingerprints)}.")
    for fingerprint in fingerprints:
        if fingerprint.dtype != np.uint8 or fingerprint.ndim != 1 or fingerprint.size != fingerprints[0].size:
            raise InputError(f"fingerprints must be bytes of one length, got {fingerprint.dtype} {fingerprint.shape}.")
        check_in_range(fingerprint.size, 1, FINGERPRINT_BYTES, "bytes of a fingerprint")


def _column_type(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, str):
        longest = max(len(value.encode()) for value in values)
        return f"S{TEXT_BYTES * max(math.ceil(longest / TEXT_BYTES), 1)}"
    if isinstance(first, bool | np.bool_):
        return np.bool_
    return np.int64 if isinstance(first, int | np.integer) else np.float64


def _cell(value: Any) -> Any:
    return value.encode() if isinstance(value, str) else value
