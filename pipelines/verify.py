"""`rainsynth verify`: is a data set whole, and what its manifest says it is?"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from pipelines.difficulty import difficulty
from pipelines.photographs import Photograph, sha256_of
from pipelines.plan import photograph_of
from pipelines.progress import progress
from pipelines.run_records import PLAN_NAME, json_text
from rainsynth.checks import InputError
from rainsynth.fingerprint import thumbnail_of, unpack
from rainsynth.metrics import psnr_y
from rainsynth.shards.reader import ShardSet, check_shard, open_shards
from rainsynth.shards.schema import MANIFEST_NAME, SHARD_GLOB

TOLERANCE = 1e-6  # of a figure measured again: float64 sums in another order
THUMBNAIL_CODES = 2.0  # a thumbnail made again on another processor differs by less
NAMED_AT_ONCE = 3


@dataclass(frozen=True, slots=True)
class ShardClaim:
    """What a manifest says of a shard."""

    file: str
    samples: int
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Claims:
    """What a data set's manifest says: its shards by file, its photographs in order and their parts of the split by
    SHA-256, its samples, its seed, and whether fingerprints are stored.
    """

    shards: dict[str, ShardClaim] = field(default_factory=dict)
    photographs: tuple[Photograph, ...] = ()
    parts: dict[str, str] = field(default_factory=dict)
    samples: int = 0
    seed: int | None = None
    fingerprints: bool = False

    def photograph(self, index: int) -> Photograph | None:
        """The photograph that sample `index` must show; None where the manifest does not tell."""
        if self.seed is None or not self.photographs:
            return None
        return self.photographs[photograph_of(self.seed, index, len(self.photographs))]


def verify(folder: Path) -> list[str]:
    """Faults of a data set, one line each; an empty list if there is none.

    Every shard's size and SHA-256 against the manifest; every tile's checksum; every sample composed again from its
    layers, where they are stored; every figure of the table that pictures and layers give, measured again; that each
    sample shows the photograph that the plan gives it, and each index is there once; that no photograph is in two
    parts of the split; that fingerprints are those of the photographs; that plan and manifest agree and are as they
    were written. `folder` may be one part of a split data set.
    """
    if not folder.is_dir():
        raise InputError(f"the data set must be a folder, got {str(folder)!r}. Does it exist?")
    base, part = _base_of(folder)
    claims, faults = _read_claims(base)
    wanted = {file for file in claims.shards if file.startswith(part)}
    present = {path.relative_to(base).as_posix() for path in folder.rglob(SHARD_GLOB)}
    seen: Bool[np.ndarray, "samples"] = np.zeros(claims.samples, dtype=bool)
    homes: dict[str, str] = {}
    with progress("verify", len(present | wanted)) as advance:
        for file in sorted(present | wanted):
            faults.extend(_shard_faults(base / file, file, claims, seen, homes))
            advance()
    if claims.shards and not part:
        faults.extend(_missing_samples(base, seen))
    return faults


def _base_of(folder: Path) -> tuple[Path, str]:
    """The folder with the manifest, and the part of its files that is asked for."""
    if not (folder / MANIFEST_NAME).exists() and (folder.resolve().parent / MANIFEST_NAME).exists():
        return folder.resolve().parent, folder.resolve().name + "/"
    return folder, ""


def _read_claims(base: Path) -> tuple[Claims, list[str]]:
    path = base / MANIFEST_NAME
    try:
        text = path.read_text()
        manifest = json.loads(text)
        claims = _claims_of(manifest)
    except FileNotFoundError:
        return Claims(), [f"{path}: missing; the run that makes it has not ended (generate --resume)"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return Claims(), [f"{path}: not a manifest ({type(error).__name__})"]
    faults = _rewritten(path, text, manifest)
    if manifest.get("samples", claims.samples) != claims.samples:
        faults.append(
            f"{path}: its shards hold {claims.samples} samples, not the {manifest['samples']} of the data set"
        )
    if (base / PLAN_NAME).exists():
        faults.extend(_differences(base / PLAN_NAME, manifest))
    return claims, faults


def _claims_of(manifest: dict[str, Any]) -> Claims:
    shards = {shard["file"]: ShardClaim(**shard) for shard in manifest["shards"]}
    photographs, parts = [], {}
    for values in manifest.get("photographs", ()):
        photo = Photograph(**{name: value for name, value in values.items() if name != "split"})
        photographs.append(photo)
        parts[photo.sha256] = values.get("split", "")
    config = manifest.get("config", {})
    samples = sum(shard.samples for shard in shards.values())
    return Claims(shards, tuple(photographs), parts, samples, config.get("seed"), config.get("fingerprints") is True)


def _rewritten(path: Path, text: str, values: dict[str, Any]) -> list[str]:
    """A file whose values can be read, though it is not the one that was written."""
    return [] if text == json_text(values) else [f"{path}: changed since it was written"]


def _differences(path: Path, manifest: dict[str, Any]) -> Iterator[str]:
    try:
        text = path.read_text()
        planned = dict(json.loads(text))
    except (ValueError, TypeError):
        yield f"{path}: not a plan"
        return
    yield from _rewritten(path, text, planned)
    for name, value in planned.items():
        if value != manifest.get(name):
            yield f"{path}: its {name} is not the manifest's"


def _shard_faults(
    path: Path, file: str, claims: Claims, seen: Bool[np.ndarray, "samples"], homes: dict[str, str]
) -> Iterator[str]:
    if not path.exists():
        yield f"{path}: missing"
        return
    claim = claims.shards.get(file)
    if claim is None and claims.shards:
        yield f"{path}: not in the manifest"
    elif claim is not None and sha256_of(path) != claim.sha256:
        yield f"{path}: its SHA-256 is not the manifest's"
    elif claim is not None and path.stat().st_size != claim.bytes:
        yield f"{path}: has {path.stat().st_size} bytes, not the manifest's {claim.bytes}"
    try:
        check_shard(path)
        shards = open_shards(path)
        if claim is not None and len(shards) != claim.samples:
            yield f"{path}: holds {len(shards)} samples, not the manifest's {claim.samples}"
        yield from _sample_faults(path, shards, claims, seen)
        yield from _split_faults(path, file, shards, claims, homes)
        yield from _fingerprint_faults(path, shards, claims)
        shards.close()
    except InputError as error:
        yield str(error)


def _sample_faults(path: Path, shards: ShardSet, claims: Claims, seen: Bool[np.ndarray, "samples"]) -> Iterator[str]:
    """Faults of each sample's row: its index, its photograph, its size and its figures."""
    origins = [sha256.decode() for sha256 in shards.backgrounds["sha256"][shards.background_rows]]
    for number in range(len(shards)):
        sample = shards[number]
        values = sample.parameters
        place = f"{path}: sample {number}"
        index = values.get("index")
        if claims.samples and isinstance(index, int):
            if not 0 <= index < len(seen):
                yield f"{place} has index {index}, beyond the data set's {len(seen)} samples"
                continue
            if seen[index]:
                yield f"{place} has index {index}, which another sample has too"
            seen[index] = True
            photo = claims.photograph(index)
            if photo is not None and photo.sha256 != origins[number]:
                yield f"{place} shows another photograph than {photo.name}, which the plan gives it"
        if (values["height_px"], values["width_px"]) != sample.rainy_srgb8.shape[:2]:
            yield f"{place} has another size than its row of the table says"
            continue
        stored = shards.layer_names(number)
        for name, measured in _measured(sample, stored):
            if name in values and not math.isclose(values[name], measured, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
                yield f"{place} has {name} {values[name]:.9g} in its table, measured {measured:.9g}"


def _measured(sample: Any, stored: tuple[str, ...]) -> Iterator[tuple[str, float]]:
    """Figures of the table that a sample's pictures and layers give."""
    values = sample.parameters
    psnr_y_db = psnr_y(sample.rainy_srgb8, sample.clean_srgb8)
    yield "psnr_y_db", psnr_y_db
    if {"coverage_fraction", "mean_transmission"} <= set(values):
        yield "difficulty", difficulty(psnr_y_db, values["coverage_fraction"], values["mean_transmission"])
    if "streak_alpha16" in stored:
        yield "coverage_fraction", float(sample.streak_mask.mean())
    if "transmission16" in stored:
        yield "mean_transmission", float(sample.transmission16.mean() / 65535)


def _split_faults(path: Path, file: str, shards: ShardSet, claims: Claims, homes: dict[str, str]) -> Iterator[str]:
    """Photographs that the manifest does not know, that belong to another part, or that are in two."""
    known = {photo.sha256: photo for photo in claims.photographs}
    part = file.rpartition("/")[0]
    for sha256 in sorted({sha256.decode() for sha256 in shards.backgrounds["sha256"]}):
        if known and sha256 not in known:
            yield f"{path}: a photograph with SHA-256 {sha256[:12]}... is not in the manifest"
        elif known and claims.parts[sha256] != part:
            name, home = known[sha256].name, claims.parts[sha256]
            yield f"{path}: photograph {name} belongs to the part {home!r} of the split"
        if homes.setdefault(sha256, part) != part:
            yield f"{path}: photograph {sha256[:12]}... is in {homes[sha256]} too; the parts are not disjoint"


def _fingerprint_faults(path: Path, shards: ShardSet, claims: Claims) -> Iterator[str]:
    """Fingerprints that are wanted and not there, that cannot be read, or that are of other pictures."""
    if shards.fingerprints is None:
        if claims.fingerprints:
            yield f"{path}: has no fingerprints, which its config asks for"
        return
    sizes_px = {photo.sha256: (photo.height_px, photo.width_px) for photo in claims.photographs}
    rows, first_samples = np.unique(shards.background_rows, return_index=True)
    for row, sample in zip(rows.tolist(), first_samples.tolist(), strict=True):
        name, sha256 = (text.decode() for text in shards.backgrounds[row].tolist())
        try:
            features = unpack(shards.fingerprints[row])
        except InputError as error:
            yield f"{path}: photograph {name}: {error}"
            continue
        size_px, clean_srgb8 = (features.height_px, features.width_px), shards[sample].clean_srgb8
        same = size_px == sizes_px.get(sha256, size_px)
        if size_px == clean_srgb8.shape[:2]:  # else a window is stored
            same &= bool(np.abs(thumbnail_of(clean_srgb8) - features.thumbnail).max() <= THUMBNAIL_CODES)
        if not same:
            yield f"{path}: the fingerprint of photograph {name} is another picture's"


def _missing_samples(base: Path, seen: Bool[np.ndarray, "samples"]) -> Iterator[str]:
    missing = np.flatnonzero(~seen)
    if len(missing):
        first = ", ".join(str(index) for index in missing[:NAMED_AT_ONCE])
        yield f"{base}: {len(missing)} samples of {len(seen)} are in no shard, such as {first}"
