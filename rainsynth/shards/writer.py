"""Writing a shard: whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rainsynth.checks import InputError, check_choice
from rainsynth.sample import RainSample
from rainsynth.shards.reader import check_shard
from rainsynth.shards.schema import (
    CODEC_NAMES,
    CODECS,
    FORMAT,
    FORMAT_VERSION,
    LAYERS,
    LIGHT_GRID_CELLS,
    TILE_PX,
    UNITS,
    check_layers,
    code_version,
    parameter_table,
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a sample's photograph came from: its name within the data set's folder and the SHA-256 of its file."""

    name: str
    sha256: str


def write_shard(
    path: Path,
    samples: Sequence[RainSample],
    backgrounds: Sequence[Provenance],
    config: dict[str, Any],
    *,
    layers: tuple[str, ...] = LAYERS,
    profile: str = "default",
) -> None:
    """Write samples of one size into a shard: beside its final name, read back and checked, then renamed.

    `backgrounds[i]` says where sample i's photograph came from; a photograph is stored once. `config` is the resolved
    configuration that made the samples. Raises InputError for samples of unequal size or unknown layers.
    """
    check_layers(layers)
    check_choice(profile, tuple(CODECS), "profile")
    shapes = {sample.rainy_srgb8.shape for sample in samples}
    if len(shapes) != 1:
        raise InputError(f"samples of a shard must have one size, got {sorted(shapes)}. Group them by size.")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with h5py.File(part, "w", libver="v110") as file:
            _write(file, samples, backgrounds, config, layers, profile)
        check_shard(part)
        _sync(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _write(
    file: h5py.File,
    samples: Sequence[RainSample],
    backgrounds: Sequence[Provenance],
    config: dict[str, Any],
    layers: tuple[str, ...],
    profile: str,
) -> None:
    file.attrs["format"] = FORMAT
    file.attrs["format_version"] = FORMAT_VERSION
    file.attrs["codec"] = CODEC_NAMES[profile]
    file.attrs["code_version"] = json.dumps(code_version(), sort_keys=True)
    file.attrs["config"] = json.dumps(config, sort_keys=True)
    clean, background_row = _distinct(samples, backgrounds)
    _store(file, "clean", np.stack([samples[i].clean_srgb8 for i in clean]), profile)
    _store(file, "rainy", np.stack([sample.rainy_srgb8 for sample in samples]), profile)
    file["background_row"] = np.array(background_row, dtype=np.int32)
    file["backgrounds"] = parameter_table(
        [{"name": backgrounds[i].name, "sha256": backgrounds[i].sha256} for i in clean]
    )
    for name in layers:
        _store(file, f"layers/{name}", np.stack([_layer(sample, name) for sample in samples]), profile)
    rows = [_row(sample) for sample in samples]
    file["parameters"] = parameter_table(rows)
    file["parameters"].attrs["units"] = json.dumps({name: UNITS.get(name, "") for name in rows[0]}, sort_keys=True)


def _store(file: h5py.File, name: str, array: np.ndarray, profile: str) -> None:
    """One dataset in tiles of a single sample, checksummed; small ones whole."""
    tile = (1, min(TILE_PX, array.shape[1]), min(TILE_PX, array.shape[2]), *array.shape[3:])
    file.create_dataset(name, data=array, chunks=tile, fletcher32=True, **CODECS[profile])
    file.flush()  # else tiles are laid out when garbage collection closes the dataset: other bytes now and then


def _layer(sample: RainSample, name: str) -> np.ndarray:
    layer = getattr(sample, name)
    if name != "light_grid_linear":
        return layer
    padded = np.zeros((LIGHT_GRID_CELLS, LIGHT_GRID_CELLS, 3), dtype=np.float32)
    padded[: layer.shape[0], : layer.shape[1]] = layer
    return padded


def _row(sample: RainSample) -> dict[str, Any]:
    height_px, width_px = sample.rainy_srgb8.shape[:2]
    light_rows, light_columns = sample.light_grid_linear.shape[:2]
    sizes = {"height_px": height_px, "width_px": width_px, "light_rows": light_rows, "light_columns": light_columns}
    return sample.parameters | sizes


def _distinct(samples: Sequence[RainSample], backgrounds: Sequence[Provenance]) -> tuple[list[int], list[int]]:
    """Samples that bring a photograph not seen before, and for each sample the row of its photograph among those."""
    first: dict[bytes, int] = {}
    rows = []
    for sample, background in zip(samples, backgrounds, strict=True):
        key = background.sha256.encode() + sample.clean_srgb8.tobytes()
        rows.append(first.setdefault(key, len(first)))
    clean = [rows.index(row) for row in range(len(first))]
    return clean, rows


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
