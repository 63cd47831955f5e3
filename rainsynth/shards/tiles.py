"""One dataset of a shard, read window by window without going through HDF5 each time.

HDF5 says once where each tile lies; after that a window is a read, a checksum and a decoder for every tile it touches.
Readers may be used by threads, and by processes forked after they were made.
"""

from __future__ import annotations

import math
import mmap
import os
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rainsynth.shards.codecs import BLOSC2, DEFLATE, FLETCHER32, GREEN_MEDIAN, SHUFFLE, ZSTD
from rainsynth.shards.native import Decode, Scratch, blosc2, checksum_holds, zstandard
from rainsynth.shards.prediction import restore_window

CHECKSUM_BYTES = 4
Span = tuple[int, int]  # [begin, end) in pixels


class Damaged(OSError):
    """Bytes that are not what was written."""


class PlainArray:
    """A dataset in one piece, without filters: mapped into memory."""

    def __init__(self, file: FileIO, dataset: h5py.Dataset) -> None:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        begin, count = dataset.id.get_offset(), math.prod(dataset.shape)
        self._array = np.frombuffer(mapped, dataset.dtype, count, begin).reshape(dataset.shape)

    def whole(self, row: int) -> np.ndarray:
        """Everything of a row, in a new array."""
        return self._array[row].copy()

    def window(self, row: int, rows: Span, columns: Span) -> np.ndarray:
        """A window of a row, in a new array."""
        return self._array[row, rows[0] : rows[1], columns[0] : columns[1]].copy()


class TiledArray:
    """A dataset in tiles of one row each, decoded by HDF5: slow, and the same everywhere."""

    def __init__(self, path: Path, dataset: h5py.Dataset) -> None:
        self._path, self._name = path, dataset.name.lstrip("/")
        self._predicted = text_of(dataset, "predictor") == GREEN_MEDIAN
        self._shape, self._tile, self._dtype = dataset.shape, dataset.chunks, dataset.dtype
        sides = slice(2, 4) if self._predicted else slice(1, 3)
        self._height_px, self._width_px = self._shape[sides]
        self._tile_height_px, self._tile_width_px = self._tile[sides]
        self._colours = (3,) if self._predicted else self._shape[3:]
        self._hdf5: tuple[int, h5py.File] | None = None

    def whole(self, row: int) -> np.ndarray:
        """Everything of a row, in a new array."""
        return self.window(row, (0, self._height_px), (0, self._width_px))

    def window(self, row: int, rows: Span, columns: Span) -> np.ndarray:
        """A window of a row, in a new array."""
        tile_height_px, tile_width_px = self._tile_height_px, self._tile_width_px
        out = np.empty((rows[1] - rows[0], columns[1] - columns[0], *self._colours), dtype=self._dtype)
        for down in range(rows[0] // tile_height_px, -(-rows[1] // tile_height_px)):
            y = down * tile_height_px
            top, bottom = max(rows[0] - y, 0), min(rows[1] - y, tile_height_px)
            into_rows = out[y + top - rows[0] : y + bottom - rows[0]]
            for across in range(columns[0] // tile_width_px, -(-columns[1] // tile_width_px)):
                x = across * tile_width_px
                left, right = max(columns[0] - x, 0), min(columns[1] - x, tile_width_px)
                into = into_rows[:, x + left - columns[0] : x + right - columns[0]]
                tile = self._read_tile(row, down, across)
                if self._predicted:
                    restore_window(tile, top, bottom, left, right, into)
                else:
                    into[...] = tile[top:bottom, left:right]
        return out

    def _read_tile(self, row: int, down: int, across: int) -> np.ndarray:
        """A tile without its first axis; HDF5 cuts it off at the edge of the picture."""
        if self._hdf5 is None or self._hdf5[0] != os.getpid():  # HDF5 handles do not survive a fork
            self._hdf5 = (os.getpid(), h5py.File(self._path))
        y = slice(down * self._tile_height_px, (down + 1) * self._tile_height_px)
        x = slice(across * self._tile_width_px, (across + 1) * self._tile_width_px)
        return self._hdf5[1][self._name][(row, slice(None), y, x) if self._predicted else (row, y, x)]


@dataclass(frozen=True, slots=True)
class TilePlaces:
    """Where the tiles of a dataset lie: offset and length in bytes, and the filters that HDF5 left out, as bits."""

    offset: np.ndarray
    length: np.ndarray
    skipped: np.ndarray

    @classmethod
    def of(cls, dataset: h5py.Dataset) -> TilePlaces:
        """Ask HDF5, once for all tiles."""
        grid = [math.ceil(side / tile) for side, tile in zip(dataset.shape, dataset.chunks, strict=True)]
        places = cls(*(np.zeros(grid, dtype=np.int64) for _ in range(3)))

        def note(tile: Any) -> None:
            place = tuple(at // side for at, side in zip(tile.chunk_offset, dataset.chunks, strict=True))
            places.offset[place], places.length[place] = tile.byte_offset, tile.size
            places.skipped[place] = tile.filter_mask

        dataset.id.chunk_iter(note)
        return places


class DirectTiledArray(TiledArray):
    """A dataset in tiles that are read and decoded here; each tile's checksum is compared whenever it is read.

    Its filters are, in the order of writing: shuffle or none, a compressor of DECODERS, Fletcher-32.
    """

    def __init__(self, path: Path, file: FileIO, dataset: h5py.Dataset) -> None:
        super().__init__(path, dataset)
        filters = filters_of(dataset)
        self._file, self._decode = file, DECODERS[filters[-2]]()
        self._shuffled = filters[0] == SHUFFLE
        self._decode_bit, self._checksum_bit = 1 << len(filters) - 2, 1 << len(filters) - 1
        places = TilePlaces.of(dataset)
        rest = (0,) * (0 if self._predicted else len(self._colours))
        cut: Any = (slice(None), 0) if self._predicted else (..., *rest)
        self._offset, self._length, self._skipped = (
            table[cut] for table in (places.offset, places.length, places.skipped)
        )
        self._tile_bytes = math.prod(self._tile) * self._dtype.itemsize
        self._scratch = Scratch(int(self._length.max()), self._tile_bytes)

    def _read_tile(self, row: int, down: int, across: int) -> np.ndarray:
        """A tile without its first axis, in memory that the next tile overwrites."""
        place, scratch = (row, down, across), self._scratch
        length, skipped = self._length.item(place), self._skipped.item(place)
        got = os.preadv(self._file.fileno(), [scratch.stored_view[:length]], self._offset.item(place))
        if got != length or length <= CHECKSUM_BYTES:
            raise Damaged(f"a tile of {self._name} is cut")
        if skipped & self._checksum_bit or not checksum_holds(scratch.stored, length):
            raise Damaged(f"the checksum of a tile of {self._name} does not match")
        length -= CHECKSUM_BYTES
        if skipped & self._decode_bit:
            done = _copy(scratch, length)
        else:
            done = self._decode is not None and self._decode(scratch, length)
        if not done:
            raise Damaged(f"a tile of {self._name} cannot be decoded")
        tile = scratch.tile
        if self._shuffled and not skipped & 1:
            tile = np.ascontiguousarray(tile.reshape(self._dtype.itemsize, -1).T).reshape(-1)
        return tile.view(self._dtype).reshape(self._tile[1:])


def _copy(scratch: Scratch, length: int) -> bool:
    """A tile that is stored as it is."""
    if length != scratch.tile.nbytes:
        return False
    scratch.tile[...] = scratch.stored[:length]
    return True


def _inflate(scratch: Scratch, length: int) -> bool:
    try:
        data = zlib.decompress(scratch.stored_view[:length], bufsize=scratch.tile.nbytes)
    except zlib.error:
        return False
    if len(data) != scratch.tile.nbytes:
        return False
    scratch.tile[...] = np.frombuffer(data, dtype=np.uint8)
    return True


DECODERS: dict[int, Callable[[], Decode | None]] = {DEFLATE: lambda: _inflate, BLOSC2: blosc2, ZSTD: zstandard}


def text_of(place: h5py.File | h5py.Dataset, name: str) -> str:
    """An attribute that is text; "" where there is none."""
    found = place.attrs.get(name, "")
    return found.decode() if isinstance(found, bytes) else str(found)


def filters_of(dataset: h5py.Dataset) -> tuple[int, ...]:
    """Numbers of a dataset's filters, in the order of writing."""
    properties = dataset.id.get_create_plist()
    return tuple(properties.get_filter(position)[0] for position in range(properties.get_nfilters()))


def stored_array(path: Path, file: FileIO, dataset: h5py.Dataset) -> PlainArray | TiledArray:
    """The quickest reader of a dataset; `file` is the same file, open as bytes."""
    if dataset.chunks is None:
        return PlainArray(file, dataset)
    *before, checksum = filters_of(dataset) or (0,)
    compressor = before.pop() if before else 0
    known = checksum == FLETCHER32 and compressor in DECODERS and before in ([], [SHUFFLE])
    if known and DECODERS[compressor]() is not None and hasattr(os, "preadv"):
        return DirectTiledArray(path, file, dataset)
    return TiledArray(path, dataset)
