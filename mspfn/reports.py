"""What a run tells while it goes on, beyond its log: to whoever calls `train`, and to TensorBoard."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from rainsynth.checks import InputError

TENSORBOARD_FOLDER = "tensorboard"


class Progress(NamedTuple):
    """What a report hears after every step; `record` is what went into the log, empty for most steps.

    `step_s` is the time of the whole step, `data_wait_s` the part of it that was spent waiting for the batch of
    `samples` windows.
    """

    step: int
    steps: int
    loss: float
    stage: str
    samples: int
    step_s: float
    data_wait_s: float
    record: dict[str, Any]


class Rate:
    """Samples a second, and the share of the time that was spent waiting for data, since it was last taken."""

    def __init__(self) -> None:
        self.samples, self.seconds, self.data_wait_s = 0, 0.0, 0.0

    def count(self, progress: Progress) -> None:
        """Note a step."""
        self.samples += progress.samples
        self.seconds += progress.step_s
        self.data_wait_s += progress.data_wait_s

    def take(self) -> dict[str, float]:
        """`samples_per_s` and `data_share`; nothing before the first step."""
        seconds, samples, data_wait_s = self.seconds, self.samples, self.data_wait_s
        self.samples, self.seconds, self.data_wait_s = 0, 0.0, 0.0
        return {"samples_per_s": samples / seconds, "data_share": data_wait_s / seconds} if seconds > 0 else {}


class TensorBoardLog:
    """A report that writes the log's numbers, with the speed between its lines, as TensorBoard reads them.

    `done_steps` is where the run goes on; what was written of later steps before a kill is marked as void, so that
    TensorBoard shows every step once.
    """

    def __init__(self, run: Path, done_steps: int) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._rate = Rate()
        self._writer = SummaryWriter(str(run / TENSORBOARD_FOLDER), purge_step=done_steps + 1)  # type: ignore[no-untyped-call]

    def __call__(self, progress: Progress) -> None:
        self._rate.count(progress)
        if not progress.record:
            return
        for name, value in scalars(progress.record | self._rate.take()).items():
            self._writer.add_scalar(name, value, progress.step)  # type: ignore[no-untyped-call]
        self._writer.flush()  # type: ignore[no-untyped-call]

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()  # type: ignore[no-untyped-call]


def scalars(record: dict[str, Any]) -> dict[str, float]:
    """The numbers of a record of the log, those of a group as "group/name"."""
    found: dict[str, float] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            found |= {f"{name}/{part}": number for part, number in value.items()}
        elif isinstance(value, int | float):
            found[name] = value
    return found


def check_tensorboard() -> None:
    """Raise InputError where TensorBoard is not installed."""
    if find_spec("tensorboard") is None:
        raise InputError("tensorboard must be false without its package, got true. Run: pip install tensorboard")
