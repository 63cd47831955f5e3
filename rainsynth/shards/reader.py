"""Reading shards: a folder of them as one sequence of samples."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin  # noqa: F401  (registers the Blosc2 filter)
import numpy as np
from jaxtyping import Float, UInt8, UInt16

from rainsynth.checks import InputError, check_in_range
from rainsynth.sample import LayerViews, RainSample, recompose
from rainsynth.seeding import sample_keys
from rainsynth.sensor import SensorNoise
from rainsynth.shards.schema import COMPOSED_FROM, FORMAT, FORMAT_VERSION, SHARD_GLOB

OPEN_FILES = 64


class StoredSample(LayerViews):
    """One sample of a shard, or a window of it; each array is read when first asked for.

    Arrays are those of RainSample. A layer that was not stored is an InputError when asked for.
    """

    def __init__(self, read: Callable[[str], Any], parameters: dict[str, Any]) -> None:
        self._read = read
        self.parameters = parameters

    @cached_property
    def clean_srgb8(self) -> UInt8[np.ndarray, "h w 3"]:
        """The photograph, (H, W, 3) uint8."""
        return self._read("clean")

    @cached_property
    def rainy_srgb8(self) -> UInt8[np.ndarray, "h w 3"]:
        """The photograph in rain, (H, W, 3) uint8."""
        return self._read("rainy")

    @cached_property
    def streak_alpha16(self) -> UInt16[np.ndarray, "h w"]:
        """Part of the exposure for which a drop covers the pixel, in steps of 1/65535."""
        return self._read("layers/streak_alpha16")

    @cached_property
    def transmission16(self) -> UInt16[np.ndarray, "h w"]:
        """Transmission of the rain that is not drawn and of the mist, in steps of 1/65535."""
        return self._read("layers/transmission16")

    @cached_property
    def texture16(self) -> UInt16[np.ndarray, "h w"]:
        """Texture of rain too small to draw, in steps of 1/32768 about 1."""
        return self._read("layers/texture16")

    @cached_property
    def light_grid_linear(self) -> Float[np.ndarray, "gh gw 3"]:
        """Light of the drops on its grid, linear RGB; it spans the whole sample, of a window too."""
        cells = np.s_[: self.parameters["light_rows"], : self.parameters["light_columns"]]
        return np.ascontiguousarray(self._read("layers/light_grid_linear")[cells])

    @cached_property
    def depth_m(self) -> Float[np.ndarray, "h w"]:
        """Distance along the optical axis, (H, W) float32 [m]."""
        return self._read("layers/depth_m")

    @cached_property
    def airlight_linear(self) -> Float[np.ndarray, "3"]:
        """Colour of the veil, linear RGB."""
        names = ("airlight_red_linear", "airlight_green_linear", "airlight_blue_linear")
        return np.array([self.parameters[name] for name in names], dtype=np.float32)

    @property
    def noise(self) -> SensorNoise:
        """Sensor noise of the sample; a window's own noise starts at its corner, so it is the whole sample's only."""
        return SensorNoise(
            full_well_e=self.parameters["full_well_e"],
            read_noise_e=self.parameters["read_noise_e"],
            key=sample_keys(self.parameters["seed"], self.parameters["index"])[0],
        )


class ShardSet(Sequence[StoredSample]):
    """All samples of one shard, or of a folder of shards in the order of their names.

    Files are opened when first read, once per process, so a set may be handed to forked or spawned workers.
    """

    def __init__(self, path: Path | str) -> None:
        path = Path(path)
        self.paths = [path] if path.is_file() else sorted(path.glob(SHARD_GLOB))
        if not self.paths:
            raise InputError(f"shards must be a folder with {SHARD_GLOB} or one such file, got {str(path)!r}.")
        self._open: OrderedDict[Path, h5py.File] = OrderedDict()
        self._process = os.getpid()
        counts = []
        for shard in self.paths:
            with _reading(shard):
                counts.append(len(self._file(shard)["rainy"]))
        self._ends = np.cumsum(counts)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index: int) -> StoredSample:  # type: ignore[override]
        return self._read(index, np.s_[:], np.s_[:])

    def crop(self, index: int, top: int, left: int, size: int) -> StoredSample:
        """A window of `size` x `size` pixels of a sample; reads only the tiles it touches."""
        height_px, width_px = self.size_px(index)
        if size > min(height_px, width_px):
            raise InputError(f"size must be at most {min(height_px, width_px)} for this sample, got {size}.")
        check_in_range(top, 0, height_px - size, "top", "The window must lie inside the sample.")
        check_in_range(left, 0, width_px - size, "left", "The window must lie inside the sample.")
        return self._read(index, np.s_[top : top + size], np.s_[left : left + size])

    def size_px(self, index: int) -> tuple[int, int]:
        """(height, width) of a sample."""
        row = self.table[self._checked(index)]
        return int(row["height_px"]), int(row["width_px"])

    def layer_names(self, index: int) -> tuple[str, ...]:
        """Layers that are stored for a sample."""
        shard, _ = self._locate(index)
        with _reading(shard):
            return tuple(self._file(shard).get("layers", ()))

    @cached_property
    def table(self) -> np.ndarray:
        """Every sample's parameters: a structured array, one row a sample, one column a parameter."""
        tables = []
        for shard in self.paths:
            with _reading(shard):
                tables.append(self._file(shard)["parameters"][:])
        return np.concatenate(tables)

    def whole(self, index: int) -> RainSample:
        """A sample with every layer, as it was rendered. InputError where a layer was not stored."""
        stored = self[index]
        return RainSample(
            clean_srgb8=stored.clean_srgb8,
            rainy_srgb8=stored.rainy_srgb8,
            streak_alpha16=stored.streak_alpha16,
            texture16=stored.texture16,
            transmission16=stored.transmission16,
            light_grid_linear=stored.light_grid_linear,
            airlight_linear=stored.airlight_linear,
            depth_m=stored.depth_m,
            noise=stored.noise,
            parameters=stored.parameters,
        )

    def close(self) -> None:
        """Close this process's files; a later read opens them again."""
        for file in self._open.values():
            file.close()
        self._open.clear()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": OrderedDict()}

    def _checked(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        return index % len(self)

    def _locate(self, index: int) -> tuple[Path, int]:
        index = self._checked(index)
        shard = int(np.searchsorted(self._ends, index, side="right"))
        return self.paths[shard], index - (int(self._ends[shard - 1]) if shard else 0)

    def _read(self, index: int, rows: slice, columns: slice) -> StoredSample:
        shard, row = self._locate(index)

        def read(name: str) -> Any:
            if name == "layers/light_grid_linear":
                return self._dataset(shard, name, (row,))
            first = int(self._dataset(shard, "background_row", (row,))) if name == "clean" else row
            return self._dataset(shard, name, (first, rows, columns))

        record = self.table[self._checked(index)]
        names = self.table.dtype.names or ()
        return StoredSample(read, {name: _plain(record[name]) for name in names})

    def _dataset(self, shard: Path, name: str, part: tuple[Any, ...]) -> Any:
        with _reading(shard):
            file = self._file(shard)
            if name.startswith("layers/") and name not in file:
                layer = name.removeprefix("layers/")
                raise InputError(f"{shard} must hold the layer {layer} for this. Generate with --layers {layer}.")
            return file[name][part]

    def _file(self, shard: Path) -> h5py.File:
        if self._process != os.getpid():  # HDF5 handles do not survive a fork
            self._open, self._process = OrderedDict(), os.getpid()
        if shard in self._open:
            self._open.move_to_end(shard)
            return self._open[shard]
        file = h5py.File(shard, "r")
        if file.attrs.get("format") != FORMAT or file.attrs.get("format_version") != FORMAT_VERSION:
            raise InputError(f"{shard} must be a {FORMAT} of version {FORMAT_VERSION}. Was it written by another tool?")
        self._open[shard] = file
        if len(self._open) > OPEN_FILES:
            self._open.popitem(last=False)[1].close()
        return file


def open_shards(path: Path | str) -> ShardSet:
    """Samples of a shard or of a folder of shards: len(), [i], .crop(i, top, left, size), .table, .whole(i).

    Raises InputError for a folder without shards, and for a shard that is cut, damaged or of another format.
    """
    return ShardSet(path)


def check_shard(path: Path) -> None:
    """Read a whole shard, and compose every sample again where its layers are stored; InputError at the first fault."""
    shards = ShardSet(path)
    with _reading(path):
        file = shards._file(path)
        file.visititems(lambda _, item: item[()] if isinstance(item, h5py.Dataset) else None)
        recomposable = all(f"layers/{name}" in file for name in COMPOSED_FROM)
    for index, sample in enumerate(shards) if recomposable else ():
        if not np.array_equal(recompose(sample), sample.rainy_srgb8):
            raise InputError(f"{path} must compose again from its layers, got another picture for sample {index}.")
    shards.close()


@contextmanager
def _reading(shard: Path) -> Iterator[None]:
    """Turn HDF5's errors about a file into one line."""
    try:
        yield
    except (OSError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{shard} must be a whole rainsynth shard, got: {reason}. Delete it and run generate --resume."
        ) from None


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value.item()
