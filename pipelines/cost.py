"""What a run cost, kept beside what it made: on which machine, how long, and processor time."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from mspfn.checkpoint import write_whole
from rainsynth.checks import InputError

COST_NAME = "cost.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Time that a run took, all its parts together where it was stopped and gone on with.

    machine         processor and number of its cores, of the last part
    seconds         by the clock
    processor_s     of all threads and of worker processes that have ended; without what a part did that was killed
    """

    machine: str
    seconds: float = 0.0
    processor_s: float = 0.0


def cost_of(run: Path) -> Cost | None:
    """The cost that stands in a run's folder, if any."""
    path = run / COST_NAME
    return Cost(**json.loads(path.read_text())) if path.is_file() else None


@contextmanager
def counted_cost(run: Path) -> Iterator[None]:
    """Add what is done meanwhile to the cost in a run's folder, also of a run that is stopped; not of one refused."""
    started_s, started_processor_s = time.perf_counter(), processor_s()
    try:
        yield
    except InputError:
        raise
    except BaseException:
        add_cost(run, time.perf_counter() - started_s, processor_s() - started_processor_s)
        raise
    add_cost(run, time.perf_counter() - started_s, processor_s() - started_processor_s)


def add_cost(run: Path, seconds: float, processor_s: float) -> None:
    """Add time to the cost in a run's folder, if there is such a folder."""
    if not run.is_dir():
        return
    before = cost_of(run) or Cost(machine="")
    cost = Cost(
        machine=machine_name(),
        seconds=round(before.seconds + seconds, 1),
        processor_s=round(before.processor_s + processor_s, 1),
    )
    write_whole(run / COST_NAME, (json.dumps(asdict(cost), indent=1) + "\n").encode())


def processor_s() -> float:
    """Processor time of this process and of the children that it has waited for [s]."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def machine_name() -> str:
    """This machine's processor and how many cores it has."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{model or platform.processor() or platform.machine()}, {os.cpu_count()} cores"
