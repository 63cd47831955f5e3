"""Work done ahead in threads, and handed out in order."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from rainsynth.checks import check_count

T = TypeVar("T")
AHEAD_A_THREAD = 2  # pictures under way for each thread: what waits for its turn stays small
MOST_THREADS = 256


def in_order(work: Callable[[int], T], count: int, threads: int) -> Iterator[T]:
    """`work(0)`, `work(1)`, ... as a plain loop would give them, on `threads` threads that are a little ahead.

    An error is raised when its turn comes, so that it is the same one on any number of threads.
    """
    check_count(threads, 1, MOST_THREADS, "threads")
    with ThreadPoolExecutor(threads) as pool:
        started = iter(range(count))
        waiting: deque[Future[T]] = deque()
        try:
            for index in started:
                waiting.append(pool.submit(work, index))
                if len(waiting) >= threads * AHEAD_A_THREAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def usable_cores() -> int:
    """Processor cores that this process may use, at most MOST_THREADS."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_THREADS)
