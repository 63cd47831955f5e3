"""Reading shards: a folder of them as one sequence of samples."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from itertools import accumulate
from pathlib import Path
from typing import Any, overload

import h5py
import numpy as np
from jaxtyping import Float, Int, UInt8, UInt16

from rainsynth.checks import InputError, check_count, check_in_range
from rainsynth.sample import LayerViews, RainSample, recompose
from rainsynth.seeding import sample_keys
from rainsynth.sensor import SensorNoise
from rainsynth.shards.opened import OpenShard, ShardHead, checked_table, read_fingerprints
from rainsynth.shards.schema import COMPOSED_FROM, SHARD_GLOB, join_tables
from rainsynth.shards.tiles import Span

OPEN_FILES = 256  # a file descriptor and the places of its tiles each: about 0.1 MB


class StoredSample(LayerViews):
    """One sample of a shard, or a window of it; each array is read when first asked for.

    Arrays are those of RainSample. A layer that was not stored is an InputError when asked for.
    """

    def __init__(self, read: Callable[[str], Any], record: np.void) -> None:
        self._read, self._record = read, record

    @cached_property
    def parameters(self) -> dict[str, Any]:  # type: ignore[override]
        """Every number that made the sample, by name and unit."""
        return {name: _plain(self._record[name]) for name in self._record.dtype.names or ()}

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

    Tables are read at once, pictures when asked for. Files are opened when first read, once per process, so a set may
    be handed to threads and to forked or spawned workers.
    """

    def __init__(self, path: Path | str) -> None:
        path = Path(path)
        self.paths = [path] if path.is_file() else sorted(path.glob(SHARD_GLOB))
        if not self.paths:
            parts = sorted({shard.parent.name for shard in path.glob(f"*/{SHARD_GLOB}")})
            hint = f" It has the parts {', '.join(parts)}: name one." if parts else ""
            raise InputError(f"shards must be a folder with {SHARD_GLOB} or one such file, got {str(path)!r}.{hint}")
        self._open: dict[Path, OpenShard] = {}
        self._heads: list[ShardHead] = []
        for shard in self.paths:
            with _reading(shard):
                self._heads.append(ShardHead.read(shard))
        self._ends = list(accumulate(len(head.table) for head in self._heads))
        self._table = join_tables([head.table for head in self._heads])
        if all(head.table.dtype == self._table.dtype for head in self._heads):  # then one copy does
            tables = np.split(self._table, self._ends[:-1])
            self._heads = [replace(head, table=table) for head, table in zip(self._heads, tables, strict=True)]
        self.units = {name: unit for head in self._heads for name, unit in head.units.items()}
        self._background_row = np.concatenate([head.background_row for head in self._heads])
        self._size_px = np.stack([self._table["height_px"], self._table["width_px"]], axis=1).tolist()

    @property
    def table(self) -> np.ndarray:
        """Every sample's parameters: a structured array, one row a sample, one column a parameter.

        `units` has the unit of each column, "" for those without. A column that some shards lack is NaN there, or no
        text, so whole numbers are float in it; a sample's own `parameters` are those of its shard alone.
        """
        return self._table

    def frame(self) -> Any:
        """`table` as a pandas DataFrame, text as str; InputError where pandas is not installed."""
        try:
            import pandas  # type: ignore[import-untyped,import-not-found,unused-ignore]
        except ImportError:
            raise InputError("frame() must have pandas, which is not installed. Run: pip install pandas") from None
        columns = {name: self.table[name] for name in self.table.dtype.names or ()}
        return pandas.DataFrame(
            {name: np.char.decode(values) if values.dtype.kind == "S" else values for name, values in columns.items()}
        )

    @cached_property
    def backgrounds(self) -> np.ndarray:
        """Name and SHA-256 of the photographs of every shard, shard after shard; one in two shards stands twice."""
        return join_tables([head.backgrounds for head in self._heads])

    @cached_property
    def background_rows(self) -> Int[np.ndarray, "n"]:
        """For each sample the row of its photograph in `backgrounds` and `fingerprints`."""
        before = np.cumsum([0, *(len(head.backgrounds) for head in self._heads[:-1])])
        return self._background_row + np.repeat(before, np.diff(self._ends, prepend=0))

    @cached_property
    def fingerprints(self) -> UInt8[np.ndarray, "b bytes"] | None:
        """Fingerprints of the photographs, in the rows of `backgrounds`; None unless every shard has them."""
        if not all(head.has_fingerprints for head in self._heads):
            return None
        found = []
        for shard in self.paths:
            with _reading(shard):
                found.append(read_fingerprints(shard))
        return np.concatenate(found)

    def __len__(self) -> int:
        return self._ends[-1]

    @overload
    def __getitem__(self, index: int, /) -> StoredSample: ...
    @overload
    def __getitem__(self, index: slice, /) -> list[StoredSample]: ...
    def __getitem__(self, index: int | slice, /) -> StoredSample | list[StoredSample]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        return self._sample(self._checked(index), None)

    def crop(self, index: int, top: int, left: int, size: int) -> StoredSample:
        """A window of `size` x `size` pixels of a sample; reads only the tiles it touches."""
        index = self._checked(index)
        height_px, width_px = self._size_px[index]
        if not (0 <= top <= height_px - size and 0 <= left <= width_px - size and size > 0):
            check_count(size, 1, min(height_px, width_px), "size", "The window must lie inside the sample.")
            check_in_range(top, 0, height_px - size, "top", "The window must lie inside the sample.")
            check_in_range(left, 0, width_px - size, "left", "The window must lie inside the sample.")
        return self._sample(index, ((top, top + size), (left, left + size)))

    def size_px(self, index: int) -> tuple[int, int]:
        """(height, width) of a sample."""
        height_px, width_px = self._size_px[self._checked(index)]
        return height_px, width_px

    def layer_names(self, index: int) -> tuple[str, ...]:
        """Layers that are stored for a sample."""
        return self._heads[self._locate(self._checked(index))[0]].layer_names

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
        self._open.clear()

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_open": {}}

    def _checked(self, index: int) -> int:
        if not -len(self) <= index < len(self):
            raise IndexError(f"sample {index} of {len(self)}")
        return index % len(self)

    def _locate(self, index: int) -> tuple[int, int]:
        """Number of the shard, and row in it."""
        shard = bisect_right(self._ends, index)
        return shard, index - (self._ends[shard - 1] if shard else 0)

    def _sample(self, index: int, window: tuple[Span, Span] | None) -> StoredSample:
        number, row = self._locate(index)
        shard, head = self.paths[number], self._heads[number]

        def read(name: str) -> np.ndarray:
            layer = name.removeprefix("layers/")
            if layer != name and layer not in head.layer_names:
                raise InputError(f"{shard} must hold the layer {layer} for this. Generate with --layers {layer}.")
            first = int(self._background_row[index]) if name == "clean" else row
            with _reading(shard):
                array = self._opened(shard).array(name)
                if window is None or name == "layers/light_grid_linear":
                    return array.whole(first)
                return array.window(first, *window)

        return StoredSample(read, head.table[row])

    def _opened(self, path: Path) -> OpenShard:
        shard = self._open.pop(path, None) or OpenShard(path)
        self._open[path] = shard  # the last is the one used last
        while len(self._open) > OPEN_FILES:
            self._open.pop(next(iter(self._open)), None)
        return shard


def open_shards(path: Path | str) -> ShardSet:
    """Samples of a shard or of a folder of shards: len(), [i], .crop(i, top, left, size), .table, .whole(i).

    Raises InputError for a folder without shards, and for a shard that is cut, damaged or of another format.
    """
    return ShardSet(path)


def check_shard(path: Path) -> None:
    """Read a whole shard, and compose every sample again where its layers are stored; InputError at the first fault."""
    shards = ShardSet(path)
    with _reading(path), h5py.File(path, "r") as file:
        file.visititems(lambda _, item: _check_dataset(item) if isinstance(item, h5py.Dataset) else None)
    for index, sample in enumerate(shards):
        check_composes(path, index, sample, shards.layer_names(index))
    shards.close()


def check_composes(path: Path, index: int, sample: StoredSample, layers: tuple[str, ...]) -> None:
    """Raise InputError unless a sample's layers give its picture, where all that it takes are stored."""
    if set(COMPOSED_FROM) <= set(layers) and not np.array_equal(recompose(sample), sample.rainy_srgb8):
        raise InputError(f"{path} must compose again from its layers, got another picture for sample {index}.")


def _check_dataset(dataset: h5py.Dataset) -> None:
    """Read a dataset through HDF5, which compares the checksums of tiles; one in one piece against its SHA-256."""
    if dataset.chunks is None or "sha256" in dataset.attrs:
        checked_table(dataset)
    else:
        _ = dataset[()]


@contextmanager
def _reading(shard: Path) -> Iterator[None]:
    """Turn HDF5's errors about a file into one line."""
    try:
        yield
    except InputError:
        raise
    except (OSError, KeyError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{shard} must be a whole rainsynth shard, got: {reason}. Delete it and run generate --resume."
        ) from None


def _plain(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value.item()
