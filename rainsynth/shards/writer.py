"""Writing a shard: whole or not at all."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from jaxtyping import UInt8

from rainsynth.checks import InputError, check_choice
from rainsynth.sample import RainSample
from rainsynth.shards.codecs import CODECS, Codec
from rainsynth.shards.opened import sha256_of_array
from rainsynth.shards.prediction import predicted
from rainsynth.shards.reader import check_composes, open_shards
from rainsynth.shards.schema import (
    FORMAT,
    FORMAT_VERSION,
    LAYERS,
    LIGHT_GRID_CELLS,
    check_fingerprints,
    check_layers,
    code_version,
    parameter_table,
    unit_of,
)

BLOSC_THREADS = "BLOSC_NTHREADS"
FULL_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a sample's photograph came from: its name within the data set's folder and the SHA-256 of its file."""

    name: str
    sha256: str


@dataclass(frozen=True, eq=False)
class PlainPair:
    """A rainy picture and its clean one from elsewhere, without layers: what can be stored of it."""

    clean_srgb8: UInt8[np.ndarray, "h w 3"]
    rainy_srgb8: UInt8[np.ndarray, "h w 3"]
    parameters: dict[str, Any]


def write_shard(
    path: Path,
    samples: Sequence[RainSample | PlainPair],
    backgrounds: Sequence[Provenance],
    config: dict[str, Any],
    *,
    layers: tuple[str, ...] = LAYERS,
    profile: str = "default",
    fingerprints: Sequence[UInt8[np.ndarray, "bytes"]] | None = None,
) -> None:
    """Write samples of one size into a shard: beside its final name, read back and checked, then renamed.

    `backgrounds[i]` says where sample i's photograph came from, `fingerprints[i]` how to recognise it; a photograph is
    stored once. `config` is the resolved configuration that made the samples. `profile` names one of CODECS.

    The file is laid out in memory first: HDF5 never meets a disk that fills up. Raises InputError for samples of
    unequal size, unknown layers, and a disk that is full or read-only; nothing is left of the shard then.
    """
    check_layers(layers)
    check_choice(profile, tuple(CODECS), "profile")
    if fingerprints is not None:
        check_fingerprints(fingerprints, len(samples))
    shapes = {sample.rainy_srgb8.shape for sample in samples}
    if len(shapes) != 1:
        raise InputError(f"samples of a shard must have one size, got {sorted(shapes)}. Group them by size.")
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    image = _file_image(part, samples, backgrounds, config, layers, profile, fingerprints)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_through(part, image)
        _check_written(part, samples, layers, fingerprints)
        part.replace(path)
    except OSError as error:
        raise InputError(_refusal(path, error, len(image))) from None
    finally:
        with suppress(OSError):
            part.unlink()


def _file_image(
    path: Path,
    samples: Sequence[RainSample | PlainPair],
    backgrounds: Sequence[Provenance],
    config: dict[str, Any],
    layers: tuple[str, ...],
    profile: str,
    fingerprints: Sequence[np.ndarray] | None,
) -> bytes:
    """The bytes of the shard's file, which HDF5 keeps in memory under a name that no other has."""
    codec = CODECS[profile]
    clean, background_row = _distinct(samples, backgrounds)
    with _one_blosc_thread(), h5py.File(path, "w", driver="core", backing_store=False, libver="v110") as file:
        file.attrs["format_version"] = FORMAT_VERSION
        _set_text(file, "format", FORMAT)
        _set_text(file, "codec", json.dumps(codec.described(profile), sort_keys=True))
        _set_text(file, "code_version", json.dumps(code_version(), sort_keys=True))
        _set_text(file, "config", json.dumps(config, sort_keys=True))
        _store(file, "clean", np.stack([samples[i].clean_srgb8 for i in clean]), codec)
        _store(file, "rainy", np.stack([sample.rainy_srgb8 for sample in samples]), codec)
        for name in layers:
            _store(file, f"layers/{name}", np.stack([_layer(sample, name) for sample in samples]), codec)
        _store_table(file, "background_row", np.array(background_row, dtype=np.int32))
        origins = [{"name": backgrounds[i].name, "sha256": backgrounds[i].sha256} for i in clean]
        _store_table(file, "backgrounds", parameter_table(origins))
        if fingerprints is not None:
            _store_fingerprints(file, np.stack([fingerprints[i] for i in clean]))
        table = parameter_table([_row(sample) for sample in samples])
        _store_table(file, "parameters", table)
        units = {name: unit_of(name) for name in table.dtype.names or ()}
        _set_text(file["parameters"], "units", json.dumps(units, sort_keys=True))
        file.flush()
        return file.id.get_file_image()


@contextmanager
def _one_blosc_thread() -> Iterator[None]:
    """Blosc2 writes the number of its threads into every tile, and takes it from the environment."""
    before = os.environ.get(BLOSC_THREADS)
    os.environ[BLOSC_THREADS] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[BLOSC_THREADS]
        else:
            os.environ[BLOSC_THREADS] = before


def _store(file: h5py.File, name: str, array: np.ndarray, codec: Codec) -> None:
    """Pictures or a layer in tiles of a single sample, checksummed; or in one piece."""
    tile_px = codec.tile_px_of(name)
    if tile_px == 0:
        _store_table(file, name, array)
        return
    tile = (1, min(tile_px, array.shape[1]), min(tile_px, array.shape[2]), *array.shape[3:])
    is_predicted = bool(codec.predictor) and name in ("clean", "rainy")
    if is_predicted:
        array, tile = predicted(array, tile_px), (1, 3, *tile[1:3])
    dataset = file.create_dataset(name, data=array, chunks=tile, fletcher32=True, **codec.filters_of(name))
    if is_predicted:
        _set_text(dataset, "predictor", codec.predictor)
    file.flush()  # else tiles are laid out when garbage collection closes the dataset: other bytes now and then


def _store_table(file: h5py.File, name: str, array: np.ndarray) -> None:
    """A dataset in one piece with its checksum."""
    _set_text(file.create_dataset(name, data=array), "sha256", sha256_of_array(array))
    file.flush()


def _store_fingerprints(file: h5py.File, fingerprints: UInt8[np.ndarray, "b bytes"]) -> None:
    """One piece too, deflated: windows of one photograph have one fingerprint, and repeat it row after row."""
    options: dict[str, Any] = {"chunks": fingerprints.shape, "compression": "gzip", "compression_opts": 1}
    dataset = file.create_dataset("fingerprints", data=fingerprints, fletcher32=True, **options)
    _set_text(dataset, "sha256", sha256_of_array(fingerprints))
    file.flush()


def _set_text(place: h5py.File | h5py.Dataset, name: str, text: str) -> None:
    """An attribute of fixed length: HDF5 keeps it where a checksum covers it, unlike text of any length."""
    place.attrs[name] = np.bytes_(text.encode())


def _layer(sample: RainSample | PlainPair, name: str) -> np.ndarray:
    layer = getattr(sample, name)
    if name != "light_grid_linear":
        return layer
    padded = np.zeros((LIGHT_GRID_CELLS, LIGHT_GRID_CELLS, 3), dtype=np.float32)
    padded[: layer.shape[0], : layer.shape[1]] = layer
    return padded


def _row(sample: RainSample | PlainPair) -> dict[str, Any]:
    height_px, width_px = sample.rainy_srgb8.shape[:2]
    sizes = {"height_px": height_px, "width_px": width_px}
    if isinstance(sample, RainSample):
        light_rows, light_columns = sample.light_grid_linear.shape[:2]
        sizes |= {"light_rows": light_rows, "light_columns": light_columns}
    return sample.parameters | sizes


def _distinct(
    samples: Sequence[RainSample | PlainPair], backgrounds: Sequence[Provenance]
) -> tuple[list[int], list[int]]:
    """Samples that bring a photograph not seen before, and for each sample the row of its photograph among those."""
    first: dict[bytes, int] = {}
    rows = []
    for sample, background in zip(samples, backgrounds, strict=True):
        key = background.sha256.encode() + sample.clean_srgb8.tobytes()
        rows.append(first.setdefault(key, len(first)))
    clean = [rows.index(row) for row in range(len(first))]
    return clean, rows


def _write_through(path: Path, image: bytes) -> None:
    """Bytes into a file and onto the disk."""
    with path.open("wb") as file:
        file.write(image)
        file.flush()
        os.fsync(file.fileno())


def _check_written(
    part: Path,
    samples: Sequence[RainSample | PlainPair],
    layers: tuple[str, ...],
    fingerprints: Sequence[np.ndarray] | None,
) -> None:
    """Raise InputError unless a file reads back as what it was given, bit for bit, and its layers make its pictures.

    Everything is read once, a clean picture once for all its samples; readers compare the checksums of what they read.
    """
    shards = open_shards(part)
    known: Any = shards.fingerprints  # an array wherever `fingerprints` are given
    clean: dict[int, np.ndarray] = {}
    for index, (sample, row) in enumerate(zip(samples, shards.background_rows.tolist(), strict=True)):
        stored = shards[index]
        if row in clean:
            stored.clean_srgb8 = clean[row]
        clean[row] = stored.clean_srgb8
        names = ("rainy_srgb8", "clean_srgb8", *layers)
        if not all(np.array_equal(getattr(stored, name), getattr(sample, name)) for name in names):
            raise InputError(f"{part} must hold the pictures it was given, got others for sample {index}.")
        check_composes(part, index, stored, layers)
        if fingerprints is not None and not np.array_equal(known[row], fingerprints[index]):
            raise InputError(f"{part} must hold the fingerprints it was given, got another for sample {index}.")
    shards.close()


def _refusal(path: Path, error: OSError, needed_bytes: int) -> str:
    reason = error.strerror or " ".join(str(error).split())
    if error.errno in FULL_DISK:
        return (
            f"{path} must fit on its disk, which has no room for its {needed_bytes / 1e6:.1f} MB ({reason})."
            " Free space or delete other files there, then run the same command with --resume."
        )
    return f"{path} must be a file that can be written, got: {reason}. Is the folder writable?"
