"""Work on the rows of a picture, divided among threads."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from rainsynth.checks import check_count

LEAST_ROWS = 16  # a band of fewer is not worth a thread
MOST_THREADS = 256


def over_bands(work: Callable[[int, int], object], rows: int, threads: int) -> None:
    """Call `work(first, last)` for bands of rows that make up [0, rows), one band a thread.

    `work` must give each row the same bytes whatever the band, and release the interpreter's lock to gain from it.
    """
    check_count(threads, 1, MOST_THREADS, "threads")
    bands = min(threads, max(1, rows // LEAST_ROWS))
    if bands == 1:
        work(0, rows)
        return
    edges = [rows * i // bands for i in range(bands + 1)]
    with ThreadPoolExecutor(bands) as pool:
        list(pool.map(work, edges[:-1], edges[1:]))
