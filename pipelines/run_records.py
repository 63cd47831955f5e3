"""The records of a run in its folder: the plan at its start, a line for every shard, the manifest at its end."""

from __future__ import annotations

import errno
import fcntl
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pipelines.generate_config import GenerateConfig
from pipelines.make_shard import Record, recorded
from pipelines.photographs import Broken, sha256_of
from pipelines.plan import Plan
from rainsynth.checks import InputError
from rainsynth.shards.schema import MANIFEST_NAME, code_version

PLAN_NAME = "plan.json"
JOURNAL_NAME = "records.jsonl"
LOCK_NAME = ".lock"
FORMAT, FORMAT_VERSION = "rainsynth-dataset", 2


class RunFolder:
    """Folder of a data set while it is made; `option` is what names it on the command line.

    `plan.json` is written first, `manifest.json` last. Between them `records.jsonl` takes a line for every shard that
    is published, so that a resumed run need not read them again. All that is held here is those records, about 0.5 kB
    a shard.
    """

    def __init__(self, path: Path, resume: bool, option: str = "--out") -> None:
        self.path = Path(path).resolve()
        self._option = option
        self._records: dict[str, Record] = {}
        self._head: dict[str, Any] = {}
        if not resume:
            check_new(self.path, option)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep a second run out of the folder; the lock falls when the process ends, however it ends."""
        with room_on_disk():
            self.path.mkdir(parents=True, exist_ok=True)
        empty = not any(self.path.iterdir())
        lock = self.path / LOCK_NAME
        with lock.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno in (errno.EACCES, errno.EAGAIN):
                    raise InputError(
                        f"{self._option} must be one run's own, got {str(self.path)!r}, in use by another."
                    ) from None
            try:
                yield
            finally:
                lock.unlink(missing_ok=True)
                if empty and not any(self.path.iterdir()):
                    self.path.rmdir()

    def begin(self, head: dict[str, Any]) -> None:
        """Make the folder ready for a run with this head: a new one, or one that an equal run began."""
        begin_run(self.path, PLAN_NAME, head)
        self._head = head
        self._remove_leftovers()
        self._records = {record["file"]: record for record in self._read_records() if self._is_there(record)}

    def recorded(self, file: str) -> bool:
        """Is this shard published and in the records?"""
        return file in self._records

    def published(self, file: str) -> bool:
        """Is this shard published?"""
        return (self.path / file).exists()

    def record(self, record: Record) -> None:
        """Take a shard that was published into the records."""
        self._records[record["file"]] = record
        with room_on_disk(), (self.path / JOURNAL_NAME).open("a") as journal:
            journal.write(json.dumps(record) + "\n")

    def finish(self, files: Iterable[str]) -> dict[str, Any]:
        """Write the manifest over all `files` and return it; what only a run in progress needs goes."""
        manifest = self._head | {"shards": [self._records[file] for file in files]}
        write_json(self.path / MANIFEST_NAME, manifest)
        (self.path / JOURNAL_NAME).unlink(missing_ok=True)
        self._remove_leftovers()
        return manifest

    def _read_records(self) -> Iterator[Record]:
        if (self.path / MANIFEST_NAME).exists():
            yield from _read_json(self.path / MANIFEST_NAME)["shards"]
        if (self.path / JOURNAL_NAME).exists():
            for line in (self.path / JOURNAL_NAME).read_text().splitlines():
                try:
                    yield json.loads(line)
                except ValueError:  # cut where the run was stopped
                    continue

    def _is_there(self, record: Record) -> bool:
        path = self.path / record["file"]
        return path.is_file() and path.stat().st_size == record["bytes"]

    def _remove_leftovers(self) -> None:
        for leftover in self.path.rglob(".*.part"):
            leftover.unlink(missing_ok=True)


def check_new(folder: Path, option: str) -> None:
    """Raise InputError where a folder holds something already; `option` named it."""
    if folder.exists() and _in_use(folder):
        raise InputError(
            f"{option} must be a new or empty folder, got {str(folder)!r}. --resume goes on with a stopped run."
        )


def begin_run(folder: Path, head_name: str, head: dict[str, Any]) -> None:
    """Write what a run is into its folder, a new or empty one; or see that it goes on with an equal run there."""
    path = folder / head_name
    if path.exists():
        before = _read_json(path)
        differing = [key for key in head if before.get(key) != head[key]]
        if differing:
            raise InputError(
                f"--resume must go on with the same run, got another {', '.join(differing)} than in {path}."
                " Use a new folder."
            )
        return
    if folder.exists() and _in_use(folder):
        raise InputError(f"--resume must name a folder that such a run began, got {str(folder)!r} without {head_name}.")
    with room_on_disk():
        folder.mkdir(parents=True, exist_ok=True)
    write_json(path, head)


def _in_use(folder: Path) -> bool:
    return any(path.name != LOCK_NAME for path in folder.iterdir())


def head_of(config: GenerateConfig, shards: Plan, broken: list[Broken]) -> dict[str, Any]:
    """What a data set is, before any of it is made: what its manifest begins with, and a resumed run must equal."""
    model = config.data.depth_model
    split = shards.parts
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "config": recorded(config),
        "code_version": code_version(),
        "samples": config.samples,
        "photographs": [
            asdict(photo) | ({"split": split[photo.sha256]} if split else {}) for photo in shards.photographs
        ],
        "skipped": [{"name": item.name, "reason": _without_folder(item, config)} for item in broken],
        "depth_model_sha256": sha256_of(Path(model.file)) if model else "",
        "shard_count": len(shards),
    }


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write a JSON file whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    with room_on_disk():
        try:
            part.write_text(json_text(values))
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def json_text(values: dict[str, Any]) -> str:
    """The text of a JSON file that write_json wrote: of equal values the same, byte for byte."""
    return json.dumps(values, indent=1, sort_keys=True) + "\n"


@contextmanager
def room_on_disk() -> Iterator[None]:
    """Turn a full disk into one line that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(
            f"the disk must have room for {error.filename or 'the records'}, got: {error.strerror}."
            " What was published is whole: make room and go on with --resume."
        ) from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except ValueError:
        raise InputError(f"{path} must be the JSON file that generate wrote, got something else.") from None


def _without_folder(item: Broken, config: GenerateConfig) -> str:
    return item.reason.replace(config.data.photographs + "/", "").replace(config.data.depth + "/", "")
