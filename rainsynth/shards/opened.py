"""One shard: its tables, and its pictures and layers, open for reading."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import hdf5plugin  # noqa: F401  (registers the filters)
import numpy as np
from jaxtyping import UInt8

from rainsynth.checks import InputError
from rainsynth.shards.schema import FORMAT, FORMAT_VERSION
from rainsynth.shards.tiles import Damaged, PlainArray, TiledArray, stored_array, text_of


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShardHead:
    """A shard's tables and the names of its layers. Reading it compares the checksum of every table.

    Fingerprints, the largest of them by far, are read by `read_fingerprints` when they are asked for.
    """

    table: np.ndarray
    units: dict[str, str]
    background_row: np.ndarray
    backgrounds: np.ndarray
    has_fingerprints: bool
    layer_names: tuple[str, ...]

    @classmethod
    def read(cls, path: Path) -> ShardHead:
        """Head of a file; InputError if it is no shard of this version."""
        with h5py.File(path, "r") as file:
            check_format(file, path)
            return cls(
                table=checked_table(file["parameters"]),
                units=json.loads(file["parameters"].attrs["units"]),
                background_row=checked_table(file["background_row"]),
                backgrounds=checked_table(file["backgrounds"]),
                has_fingerprints="fingerprints" in file,
                layer_names=tuple(file.get("layers", ())),
            )


class OpenShard:
    """A shard's pictures and layers; the places of a dataset's tiles are found when it is first asked for.

    The file is open as plain bytes: HDF5 tells its structure and lets go of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = path.open("rb", buffering=0)
        self._arrays: dict[str, PlainArray | TiledArray] = {}

    def array(self, name: str) -> PlainArray | TiledArray:
        """A dataset, such as "rainy" or "layers/depth_m"."""
        if name in self._arrays:
            return self._arrays[name]
        with h5py.File(self.path, "r") as file:
            return self._arrays.setdefault(name, stored_array(self.path, self._file, file[name]))


def read_fingerprints(path: Path) -> UInt8[np.ndarray, "b bytes"]:
    """Fingerprints of a shard's photographs."""
    with h5py.File(path, "r") as file:
        return checked_table(file["fingerprints"])


def check_format(file: h5py.File, path: Path) -> None:
    """Raise InputError unless the file is a shard of this version."""
    found = text_of(file, "format"), file.attrs.get("format_version")
    if found == (FORMAT, FORMAT_VERSION):
        return
    if found[0] == FORMAT:
        raise InputError(
            f"{path} must be a {FORMAT} of version {FORMAT_VERSION}, got version {found[1]}. Generate it anew."
        )
    raise InputError(f"{path} must be a {FORMAT} of version {FORMAT_VERSION}. Was it written by another tool?")


def checked_table(dataset: h5py.Dataset) -> np.ndarray:
    """A dataset in one piece, whose SHA-256 stands beside it."""
    array = dataset[()]
    if text_of(dataset, "sha256") != sha256_of_array(array):
        raise Damaged(f"the checksum of {dataset.name.lstrip('/')} does not match")
    return array


def sha256_of_array(array: np.ndarray) -> str:
    """SHA-256 of an array's bytes as they lie in a file, row by row."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()
