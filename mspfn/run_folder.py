"""The folder of a training run: its config, log, checkpoints and weights, and when one may be written to.

config.json   log.jsonl   checkpoints/step-00001000.pt ...   best.pt   weights.pt   accepted.pt (with a guard)
start.json    of a run that goes on from weights: what these said of themselves when it began
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from torch import nn

from mspfn.checkpoint import Checkpoint, about_weights, load_checkpoint, save_checkpoint, save_weights, write_whole
from rainsynth.checks import InputError

CONFIG_NAME = "config.json"
START_NAME = "start.json"


class RunFolder:
    """A folder that holds one training run with one config.

    A folder that is not empty is refused unless `resume` is set and it holds a run with the same config.
    With `resume`, an absent or empty folder is a fresh start.

    Of several processes that train together, those that are not the first only read (`writes` False), and the first
    has been here before them.
    """

    def __init__(self, path: Path | str, config: dict[str, Any], *, resume: bool, writes: bool = True) -> None:
        self.path = Path(path)
        self.checkpoints, self.log_path = self.path / "checkpoints", self.path / "log.jsonl"
        self.weights, self.best_weights = self.path / "weights.pt", self.path / "best.pt"
        self.accepted = self.path / "accepted.pt"
        self.config, self.writes = config, writes
        if not writes:
            return
        self._check(resume)
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(self.path / CONFIG_NAME, (json.dumps(config, indent=2) + "\n").encode())
        self.checkpoints.mkdir(exist_ok=True)
        self._remove_old_checkpoints()  # which a run that was killed right after saving did not

    def note_start(self, weights: str | None) -> None:
        """Keep what the weights that a run goes on from, if any, say of themselves: their file may be replaced later.

        What was noted when the run began stays.
        """
        path = self.path / START_NAME
        if self.writes and weights is not None and not path.is_file():
            write_whole(path, (json.dumps(about_weights(weights)["about"], indent=2) + "\n").encode())

    def latest_checkpoint(self) -> Checkpoint | None:
        """The newest checkpoint, or None before the first."""
        paths = self._checkpoint_paths()
        return load_checkpoint(paths[-1]) if paths else None

    def log(self, keep_bytes: int) -> Log:
        """The log, to be gone on with after its first `keep_bytes`."""
        return Log(self.log_path if self.writes else None, keep_bytes)

    def save(self, checkpoint: Checkpoint) -> None:
        """Add a checkpoint, then remove all but the last few."""
        if self.writes:
            save_checkpoint(self.checkpoints / f"step-{checkpoint.step:08d}.pt", checkpoint)
            self._remove_old_checkpoints()

    def save_weights(self, path: Path, network: nn.Module, about: dict[str, Any]) -> None:
        """Write `weights` or `best_weights`."""
        if self.writes:
            save_weights(path, network, about=about)

    def _remove_old_checkpoints(self) -> None:
        for path in self._checkpoint_paths()[: -self.config["keep_checkpoints"]]:
            path.unlink()

    def _checkpoint_paths(self) -> list[Path]:
        return sorted(self.checkpoints.glob("step-*.pt"))

    def _check(self, resume: bool) -> None:
        if self.path.exists() and not self.path.is_dir():
            raise InputError(f"out must be a folder, got the file {str(self.path)!r}.")
        if resume and (self.path / CONFIG_NAME).is_file():
            return self._check_config()
        unfinished = f".{CONFIG_NAME}.part"  # of a run that was killed before it began
        if self.path.is_dir() and any(found.name != unfinished for found in self.path.iterdir()):
            hint = "It holds no training run." if resume else "Resume it, or train into another folder."
            raise InputError(f"out must be a new or empty folder, got {str(self.path)!r}. {hint}")

    def _check_config(self) -> None:
        path = self.path / CONFIG_NAME
        try:
            stored = json.loads(path.read_text())
        except ValueError:
            raise InputError(f"{path} must be the config of a run, got no JSON. Was it edited?") from None
        key = first_difference(stored, self.config)
        if key is not None:
            raise InputError(
                f"{key} must be {flat(stored).get(key)!r} to resume {self.path}, got {flat(self.config).get(key)!r}. "
                "Resume with the run's own config, or train into another folder."
            )


class Log:
    """log.jsonl, a line a record. It holds nothing that differs between two runs of one config, such as times."""

    def __init__(self, path: Path | None, keep_bytes: int) -> None:
        """Go on after the first `keep_bytes` of the file; what a killed run wrote after its last checkpoint is cut.

        Without a path nothing is written.
        """
        self._file = path.open("ab") if path is not None else None
        if self._file is None:
            return
        if self._file.tell() < keep_bytes:
            raise InputError(
                f"{path} must have the {keep_bytes} bytes it had at the last checkpoint, got {self._file.tell()}. "
                "Was it edited?"
            )
        self._file.truncate(keep_bytes)

    def write(self, record: dict[str, Any]) -> None:
        """Add a line."""
        if self._file is not None:
            self._file.write(json.dumps(record, allow_nan=False).encode() + b"\n")
            self._file.flush()

    def settle(self) -> int:
        """Wait until all lines are on the disk; the length of the file in bytes."""
        if self._file is None:
            return 0
        os.fsync(self._file.fileno())
        return os.fstat(self._file.fileno()).st_size

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()


def first_difference(stored: dict[str, Any], given: dict[str, Any]) -> str | None:
    """The first key, as "data.patch_px", whose value differs between two nested configs."""
    ours, theirs = flat(given), flat(stored)
    return next(
        (key for key in ours | theirs if key not in ours or key not in theirs or ours[key] != theirs[key]), None
    )


def flat(config: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one, keys joined by dots."""
    values: dict[str, Any] = {}
    for key, value in config.items():
        values |= flat(value, f"{prefix}{key}.") if isinstance(value, dict) else {f"{prefix}{key}": value}
    return values
