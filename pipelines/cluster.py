"""Work on a dask cluster: a local one, or one that runs elsewhere; a window of tasks at a time."""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from pipelines.progress import console
from rainsynth.checks import InputError, check_count

TASKS_PER_WORKER = 4  # submitted at a time: enough to keep a worker busy, few enough for any number of tasks
TRIES = 3  # times that a task may end its worker
CONNECT_S = 30
SECONDS_BETWEEN_COUNTS = 2.0  # of workers; a cluster may grow and shrink
# Freed memory is kept for the next picture: dask's own setting hands it back each time, which costs 30 % of the speed.
KEPT_BYTES = 2**28
KEEP_MEMORY = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")
ONE_THREAD = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS", "BLOSC_NTHREADS")

Task = TypeVar("Task")
Record = TypeVar("Record")


class Crew:
    """Workers of one thread each: `workers` processes of a local cluster, or those of the cluster at `scheduler`.

    `scheduler` is an address (tcp://HOST:PORT) or a scheduler file. The cluster starts when work is first given.
    """

    def __init__(self, workers: int, scheduler: str = "") -> None:
        check_count(workers, 1, 4096, "workers")
        self._workers, self._scheduler = workers, scheduler
        self._stack = ExitStack()
        self._client: Any = None

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def results(
        self, function: Callable[[Task], Record], tasks: Iterable[Task]
    ) -> Iterator[tuple[Task, Record | None]]:
        """function(task) of every task, in the order in which they end; None for a task that ended its worker TRIES
        times.

        A few tasks a worker are with the cluster at a time, so memory does not grow with their number. What a function
        raises is raised here.
        """
        from distributed import as_completed

        queue = iter(tasks)
        first = next(queue, None)
        if first is None:
            return
        queue, client = chain([first], queue), self._start()
        done = as_completed()
        pending: dict[str, Task] = {}
        room, counted_s = self._room(client), time.monotonic()

        def submit() -> None:
            batch = list(islice(queue, max(room - len(pending), 0)))
            if batch:
                futures = client.map(function, batch, key=_name(function), pure=False)
                pending.update({future.key: task for future, task in zip(futures, batch, strict=True)})
                done.update(futures)

        submit()
        for finished in done.batches():
            for future in finished:
                yield pending.pop(future.key), self._result(future)
            if time.monotonic() - counted_s > SECONDS_BETWEEN_COUNTS:
                room, counted_s = self._room(client), time.monotonic()
            submit()

    def _result(self, future: Any) -> Any:
        from distributed.scheduler import KilledWorker

        try:
            return future.result()
        except KilledWorker:
            return None
        except CancelledError:
            raise InputError(
                f"the scheduler {self._scheduler or 'of the local cluster'} must stay up, got no answer from it."
                " What was finished is kept; --resume goes on."
            ) from None

    def _room(self, client: Any) -> int:
        return TASKS_PER_WORKER * max(1, sum(client.nthreads().values()))

    def _start(self) -> Any:
        if self._client is None:
            self._client = self._elsewhere() if self._scheduler else self._here()
        return self._client

    def _elsewhere(self) -> Any:
        from distributed import Client

        file = Path(self._scheduler)
        if "://" not in self._scheduler and not file.is_file():
            raise InputError(
                f"--scheduler must be an address such as tcp://HOST:8786 or a scheduler file, got {self._scheduler!r}."
            )
        place: dict[str, Any] = {"scheduler_file": str(file)} if file.is_file() else {"address": self._scheduler}
        try:
            client = self._stack.enter_context(Client(timeout=CONNECT_S, **place))
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"--scheduler must be reachable, got {self._scheduler!r}: {reason}. Is it up?") from None
        console.print(f"{len(client.nthreads())} workers at {self._scheduler}")
        return client

    def _here(self) -> Any:
        import dask
        from distributed import Client, LocalCluster

        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        console.print(
            f"starting {self._workers} worker{'s' if self._workers > 1 else ''}"
            " (the very first run also compiles the renderer)"
        )
        settings: dict[str, Any] = {f"distributed.nanny.pre-spawn-environ.{name}": 1 for name in ONE_THREAD}
        settings |= {f"distributed.nanny.pre-spawn-environ.{name}": KEPT_BYTES for name in KEEP_MEMORY}
        settings["distributed.scheduler.allowed-failures"] = TRIES - 1
        settings["distributed.scheduler.worker-saturation"] = 1.0  # a dead worker is blamed on what it ran, no more
        self._stack.enter_context(dask.config.set(settings))
        options: dict[str, Any] = {"threads_per_worker": 1, "dashboard_address": None, "silence_logs": logging.CRITICAL}
        options["memory_limit"] = 0  # a task's memory is bounded, and a worker that dask pauses for memory stays paused
        cluster = self._stack.enter_context(LocalCluster(n_workers=self._workers, **options))
        client = self._stack.enter_context(Client(cluster))
        client.run(leave_ctrl_c_to_parent)
        return client


def leave_ctrl_c_to_parent() -> None:
    """Make a worker process deaf to Ctrl-C: the process that started it hears it too, and ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _name(function: Callable[..., Any]) -> str:
    return getattr(getattr(function, "func", function), "__name__", "task")
