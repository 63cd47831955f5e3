"""Blosc2 and Zstandard, called in the libraries that hdf5plugin brings; and HDF5's Fletcher-32.

HDF5 decodes the same bytes; going round it saves its bookkeeping. Where a library does not hand out its functions
(Windows), `blosc2()` and `zstandard()` are None and the reader asks HDF5.
"""

from __future__ import annotations

import ctypes
import struct
import threading
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import hdf5plugin
import numpy as np
from numba import njit

BYTES = ctypes.c_void_p

# A Blosc2 frame of one chunk (c-blosc2, README_CFRAME_FORMAT.rst): a header, whose length is a big-endian int32 at byte
# 11, then the chunk, which begins with its own header: bytes of data at 4, of a block at 8, little-endian int32.
FRAME_MAGIC, FRAME_MAGIC_AT, FRAME_HEADER_LEAST = b"b2frame\0", 2, 87
FRAME_HEAD, CHUNK_SIZES = struct.Struct(">8sxi"), struct.Struct("<ii")
CHUNK_HEADER_BYTES = 32
CHUNK_SIZES_AT = 4
FLETCHER_BLOCK = 256  # words; 65535 times the sum of 1 to 256 fits 32 bits


class Scratch(threading.local):
    """A thread's own memory for a tile: as it is stored, and decoded. Addresses are kept, for asking takes long."""

    def __init__(self, stored_bytes: int, tile_bytes: int) -> None:
        self.stored, self.tile = (np.empty(size, dtype=np.uint8) for size in (stored_bytes, tile_bytes))
        self.stored_view = memoryview(self.stored.data)
        self.stored_at, self.tile_at = self.stored.ctypes.data, self.tile.ctypes.data


# Decodes the first bytes of `stored` into `tile`; False where they are no such stream, or one of another length.
Decode = Callable[[Scratch, int], bool]


class _DecompressionParameters(ctypes.Structure):
    """c-blosc2's blosc2_dparams: the number of threads, and pointers that stay null; longer than in any version."""

    _fields_ = (("threads", ctypes.c_int), ("unused", ctypes.c_void_p * 15))


def _library(name: str) -> ctypes.CDLL | None:
    found = sorted(Path(hdf5plugin.PLUGIN_PATH).glob(f"libh5{name}.*"))
    try:
        return ctypes.CDLL(str(found[0])) if found else None
    except OSError:
        return None


@lru_cache(maxsize=1)
def blosc2() -> Decode | None:
    """Decoder of what the HDF5 filter Blosc2 writes."""
    library = _library("blosc2")
    try:
        return _blosc2(library) if library else None
    except AttributeError:  # a library that keeps its functions to itself
        return None


def _blosc2(library: ctypes.CDLL) -> Decode:
    library.blosc2_init()
    library.blosc2_create_dctx.restype = BYTES
    library.blosc2_create_dctx.argtypes = [_DecompressionParameters]
    library.blosc2_decompress_ctx.argtypes = [BYTES, BYTES, ctypes.c_int32, BYTES, ctypes.c_int32]
    library.b2nd_from_cframe.argtypes = [BYTES, ctypes.c_int64, ctypes.c_bool, ctypes.POINTER(BYTES)]
    library.b2nd_to_cbuffer.argtypes = [BYTES, BYTES, ctypes.c_int64]
    library.b2nd_free.argtypes = [BYTES]
    own = threading.local()

    def decode(scratch: Scratch, length: int) -> bool:
        tile_bytes = scratch.tile.nbytes
        chunk_at = _one_block_chunk(scratch.stored_view, length, tile_bytes)
        if not chunk_at:
            return decode_blocks(scratch, length)
        try:
            context = own.context
        except AttributeError:
            context = own.context = library.blosc2_create_dctx(_DecompressionParameters(threads=1))
        begin, rest = scratch.stored_at + chunk_at, length - chunk_at
        return tile_bytes == library.blosc2_decompress_ctx(context, begin, rest, scratch.tile_at, tile_bytes)

    def decode_blocks(scratch: Scratch, length: int) -> bool:
        """Of several blocks, which Blosc2 puts in place; or of one value, which has none."""
        array = BYTES()
        if library.b2nd_from_cframe(scratch.stored_at, length, False, ctypes.byref(array)) != 0:
            return False
        done = library.b2nd_to_cbuffer(array, scratch.tile_at, scratch.tile.nbytes) == 0
        library.b2nd_free(array)
        return done

    return decode


def _one_block_chunk(frame: memoryview, length: int, tile_bytes: int) -> int:
    """Where the chunk of a frame begins if it is a single block of a whole tile; else 0."""
    if length < FRAME_HEADER_LEAST:
        return 0
    magic, begin = FRAME_HEAD.unpack_from(frame, FRAME_MAGIC_AT)
    if magic != FRAME_MAGIC or not FRAME_HEADER_LEAST <= begin <= length - CHUNK_HEADER_BYTES:
        return 0
    sizes = CHUNK_SIZES.unpack_from(frame, begin + CHUNK_SIZES_AT)
    return begin if sizes == (tile_bytes, tile_bytes) else 0


@lru_cache(maxsize=1)
def zstandard() -> Decode | None:
    """Decoder of a Zstandard frame."""
    library = _library("zstd")
    try:
        return _zstandard(library) if library else None
    except AttributeError:
        return None


def _zstandard(library: ctypes.CDLL) -> Decode:
    library.ZSTD_createDCtx.restype = BYTES
    library.ZSTD_decompressDCtx.argtypes = [BYTES, BYTES, ctypes.c_size_t, BYTES, ctypes.c_size_t]
    library.ZSTD_decompressDCtx.restype = ctypes.c_size_t
    own = threading.local()

    def decode(scratch: Scratch, length: int) -> bool:
        try:
            context = own.context
        except AttributeError:
            context = own.context = library.ZSTD_createDCtx()
        tile_bytes = scratch.tile.nbytes
        return tile_bytes == library.ZSTD_decompressDCtx(
            context, scratch.tile_at, tile_bytes, scratch.stored_at, length
        )

    return decode


@njit(cache=True, nogil=True)
def fletcher32(data: np.ndarray, length: int) -> np.uint64:
    """HDF5's checksum of the first `length` bytes: H5_checksum_fletcher32, words of two bytes, the first the higher.

    The sum of all words and the sum of its partial sums, modulo 65535. Such sums of words whose bytes are swapped are
    the sums with their bytes swapped, so words are read as they lie. 65535 and 0 are the same to the sums; HDF5 writes
    0 for zeros alone.
    """
    words = data[: length // 2 * 2].view(np.uint16)
    first, second = np.uint64(0), np.uint64(0)
    whole = len(words) // FLETCHER_BLOCK * FLETCHER_BLOCK
    for begin in range(0, whole, FLETCHER_BLOCK):
        plain, weighted = np.uint32(0), np.uint32(0)
        for place in range(FLETCHER_BLOCK):
            word = np.uint32(words[begin + place])
            plain += word
            weighted += word * np.uint32(FLETCHER_BLOCK - place)
        second += first * np.uint64(FLETCHER_BLOCK) + np.uint64(weighted)
        first += np.uint64(plain)
    for place in range(whole, len(words)):
        first += np.uint64(words[place])
        second += first
    if length % 2:
        first += np.uint64(data[length - 1])
        second += first
    return _swapped_sum(second) << np.uint64(16) | _swapped_sum(first)


@njit(cache=True, nogil=True)
def _swapped_sum(total: np.uint64) -> np.uint64:
    """A sum modulo 65535, in 1 to 65535 unless it is 0, with its two bytes swapped."""
    left = total % np.uint64(65535)
    if left == 0 and total > 0:
        left = np.uint64(65535)
    return (left & np.uint64(255)) << np.uint64(8) | left >> np.uint64(8)


@njit(cache=True, nogil=True)
def checksum_holds(data: np.ndarray, length: int) -> bool:
    """Whether the last four of `length` bytes are the Fletcher-32 of those before, little-endian."""
    stored = np.uint64(0)
    for place in range(4):
        stored |= np.uint64(data[length - 4 + place]) << np.uint64(8 * place)
    return stored == fletcher32(data, length - 4)
