"""What a run cost, kept beside what it made: on which machine, how long, and processor time.

Every process of a run under `torchrun` keeps its own file, so that none has to wait for another when it is stopped.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mspfn.checkpoint import write_whole
from rainsynth.checks import InputError

COST_NAME = "cost.json"  # of the first process of a run
OTHERS_COST_NAME = "cost-{rank}.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Time that a run took, all its parts together where it was stopped and gone on with.

    machine         processor and number of its cores, of the last part
    seconds         by the clock
    processor_s     of all processes, their threads and workers that have ended; without what a part did that was killed
    """

    machine: str
    seconds: float = 0.0
    processor_s: float = 0.0


def cost_of(run: Path) -> Cost | None:
    """The cost that stands in a run's folder, if any: that of its first process, with the processor time of all."""
    first = cost_in(run / COST_NAME)
    if first is None:
        return None
    others = (cost_in(path) for path in sorted(run.glob(OTHERS_COST_NAME.format(rank="*"))))
    total_s = first.processor_s + sum(other.processor_s for other in others if other)
    return replace(first, processor_s=round(total_s, 1))


def cost_in(path: Path) -> Cost | None:
    """The cost that stands in a file, if there is one."""
    return Cost(**json.loads(path.read_text())) if path.is_file() else None


@contextmanager
def counted_cost(run: Path, rank: int = 0) -> Iterator[None]:
    """Add what is done meanwhile to the cost in a run's folder, also of a run that is stopped; not of one refused."""
    started_s, started_processor_s, refused = time.perf_counter(), processor_s(), False
    try:
        yield
    except InputError:
        refused = True
        raise
    finally:
        if not refused:
            add_cost(run, time.perf_counter() - started_s, processor_s() - started_processor_s, rank)


def add_cost(run: Path, seconds: float, processor_s: float, rank: int = 0) -> None:
    """Add time of process number `rank` to the cost in a run's folder, if there is such a folder."""
    if not run.is_dir():
        return
    path = run / (OTHERS_COST_NAME.format(rank=rank) if rank else COST_NAME)
    before = cost_in(path) or Cost(machine="")
    cost = Cost(
        machine=machine_name(),
        seconds=round(before.seconds + seconds, 1),
        processor_s=round(before.processor_s + processor_s, 1),
    )
    write_whole(path, (json.dumps(asdict(cost), indent=1) + "\n").encode())


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
