"""Pairs to audit, of a folder in any known layout or of shards; what cannot be paired is said and left out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from pipelines.pair_layouts import KNOWN, Layout, layout_of, match_pairs, pair_files
from rainsynth.checks import InputError, check_choice, check_count
from rainsynth.pictures import photo_size_px
from rainsynth.shards.reader import ShardSet, open_shards
from rainsynth.shards.schema import SHARD_GLOB

Picture = UInt8[np.ndarray, "h w 3"]
AUTO = "auto"


@dataclass(frozen=True, slots=True, eq=False)
class NamedPair:
    """A pair by its name: how to read both pictures, and the photograph behind it where shards say which."""

    name: str
    read: Callable[[], tuple[Picture, Picture]]
    photograph: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class PairsToAudit:
    """Pairs in the order of their names, and what was wrong when they were put together.

    `looked_at` of `in_all` were chosen; those of them that cannot be compared are among the faults.
    """

    pairs: list[NamedPair]
    in_all: int
    looked_at: int
    faults: list[str]


def pairs_to_audit(path: Path, layout: str = AUTO, most: int | None = None) -> PairsToAudit:
    """Pairs of a folder or of shards; at most `most` of them, evenly spread. InputError where there is none."""
    if most is not None:
        check_count(most, 1, 10**9, "pairs")
    if path.is_file() or any(path.glob(SHARD_GLOB)):
        shards = open_shards(path)
        chosen = spread(len(shards), most)
        return PairsToAudit([_stored_pair(shards, index) for index in chosen], len(shards), len(chosen), [])
    if not path.is_dir():
        raise InputError(f"{path} must be a folder of pairs or of shards, got nothing there. Is the path right?")
    check_choice(layout, [AUTO, *KNOWN], "layout")
    return _folder_pairs(path, KNOWN[layout_of(path) if layout == AUTO else layout], most)


def spread(count: int, most: int | None) -> list[int]:
    """Indices of at most `most` of `count` things, evenly spread, the first and the last among them."""
    if most is None or most >= count:
        return list(range(count))
    return np.unique(np.linspace(0, count - 1, most).round().astype(int)).tolist()


def pixels_sha256(picture_srgb8: Picture) -> str:
    """SHA-256 of a picture's size and pixels, whatever file it came from."""
    digest = hashlib.sha256(repr(picture_srgb8.shape).encode())
    digest.update(np.ascontiguousarray(picture_srgb8).data)
    return digest.hexdigest()


def _folder_pairs(folder: Path, layout: Layout, most: int | None) -> PairsToAudit:
    matched = match_pairs(folder, layout)
    faults = [f"{path.relative_to(folder)}: has no partner" for path, _ in matched.lonely]
    names = sorted(matched.pairs, key=_by_number)
    if not names:
        raise InputError(f"{folder} must hold pairs {layout.words()}, got none.")
    pairs = []
    chosen = [names[index] for index in spread(len(names), most)]
    for name in chosen:
        rainy, target = matched.pairs[name]
        try:
            sizes = photo_size_px(rainy), photo_size_px(target)
            if sizes[0] == sizes[1]:
                pairs.append(NamedPair(name, pair_files(name, rainy, target, layout.halves).read))
                continue
            rainy_px, target_px = (f"{width}x{height} px" for height, width in sizes)
            faults.append(f"{name}: sizes are not equal: rainy {rainy_px}, target {target_px}")
        except InputError as error:
            faults.append(f"{name}: {error}")
    return PairsToAudit(pairs, len(names), len(chosen), faults)


def _by_number(name: str) -> tuple[bool, int, str]:
    """Numbers come first, and count as numbers."""
    return (not name.isdigit(), int(name) if name.isdigit() else 0, name)


def _stored_pair(shards: ShardSet, index: int) -> NamedPair:
    row = int(shards.background_rows[index])
    photograph = shards.backgrounds["name"][row].decode()
    number = shards.table["index"][index] if "index" in (shards.table.dtype.names or ()) else index

    def read() -> tuple[Picture, Picture]:
        sample = shards[index]
        return sample.rainy_srgb8, sample.clean_srgb8

    return NamedPair(
        f"sample {number} ({photograph})", read, f"{photograph} {shards.backgrounds['sha256'][row].decode()}"
    )
