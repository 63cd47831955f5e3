"""`rainsynth verify`: is a data set whole, and what its manifest says it is?"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from pipelines.progress import progress
from rainsynth.checks import InputError
from rainsynth.shards.reader import check_shard
from rainsynth.shards.schema import MANIFEST_NAME, SHARD_GLOB


def verify(folder: Path) -> list[str]:
    """Faults of a data set, one line each; an empty list if there is none.

    Every shard's SHA-256 against the manifest, every tile's checksum, and every sample composed again from its layers.
    """
    if not folder.is_dir():
        raise InputError(f"the data set must be a folder, got {str(folder)!r}. Does it exist?")
    faults: list[str] = []
    known: dict[str, str] = {}
    try:
        manifest = json.loads((folder / MANIFEST_NAME).read_text())
        known = {shard["file"]: shard["sha256"] for shard in manifest["shards"]}
    except FileNotFoundError:
        faults.append(f"{folder / MANIFEST_NAME}: missing; the run that makes it has not ended (generate --resume)")
    except (ValueError, KeyError, TypeError) as error:
        faults.append(f"{folder / MANIFEST_NAME}: not a manifest ({type(error).__name__})")
    files = sorted({path.name for path in folder.glob(SHARD_GLOB)} | set(known))
    with progress("verify", len(files)) as advance:
        for name in files:
            faults.extend(_shard_faults(folder / name, known))
            advance()
    return faults


def _shard_faults(path: Path, known: dict[str, str]) -> Iterator[str]:
    if not path.exists():
        yield f"{path}: missing"
        return
    if known and path.name not in known:
        yield f"{path}: not in the manifest"
    elif known and hashlib.sha256(path.read_bytes()).hexdigest() != known[path.name]:
        yield f"{path}: its SHA-256 is not the manifest's"
    try:
        check_shard(path)
    except InputError as error:
        yield str(error)
