"""Batches made ahead of the network, in a thread or in processes of their own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from types import TracebackType
from typing import Any

import cv2
from jaxtyping import UInt8
from numpy import ndarray

from mspfn.child_process import become_worker
from rainsynth.checks import InputError

PictureBatch = tuple[UInt8[ndarray, "n h w c"], ...]  # rainy and target, and layers where they are asked for
MakeBatch = Callable[..., PictureBatch]

BATCHES_AHEAD_A_WORKER = 2  # one in work, one that is ready


class Prefetcher:
    """Makes the pictures of the next steps in the background while the network works on this one's.

    Without `workers`, one thread makes every batch, so the data needs no locks, and is one step ahead. It must not
    call PyTorch: a second thread that does gets threads of its own to compute with, which fight the network's for the
    processor; OpenCV keeps to one thread in all of this process for the same reason.

    With `workers`, so many processes make whole batches, two steps ahead each; `make_batch` is pickled and sent to
    them. They do not load PyTorch unless it does, compute on one thread each, and end with this process however it
    ends. The batches are the same either way, and an error in one is raised where its batch is taken.

    `draw` is asked in this process, for each step in turn, for what its batch is made of: make_batch(step, draw(step)).
    It may know no more than `most_ahead_steps` beyond the step that is taken; None: all of them.
    """

    def __init__(
        self,
        make_batch: MakeBatch,
        steps: int,
        workers: int = 0,
        *,
        draw: Callable[[int], Any] | None = None,
        most_ahead_steps: int | None = None,
    ) -> None:
        self._steps, self._workers, self._draw = steps, workers, draw
        wanted_steps = BATCHES_AHEAD_A_WORKER * workers or 1
        self._ahead_steps = wanted_steps if most_ahead_steps is None else min(wanted_steps, most_ahead_steps)
        self._make_batch: MakeBatch = make_in_worker if workers else make_batch
        self._pool: Executor
        if workers:
            self._pool = ProcessPoolExecutor(
                workers, mp_context=get_context("spawn"), initializer=start_worker, initargs=(make_batch,)
            )
        else:
            self._pool = ThreadPoolExecutor(1, "batches", initializer=cv2.setNumThreads, initargs=(1,))
        self._ahead: dict[int, Future[PictureBatch]] = {}

    def take(self, step: int) -> PictureBatch:
        """The pictures of a step, waited for if they are not ready; begins those that come after."""
        last = min(step + self._ahead_steps, self._steps - 1)
        try:
            self._ahead = {
                ahead: self._ahead.get(ahead) or self._begin(ahead) for ahead in range(step, max(last, step) + 1)
            }
            return self._ahead.pop(step).result()
        except BrokenProcessPool:
            raise InputError(
                f"data.workers must be processes that stay alive, got {self._workers} of which one died. "
                'Is there memory for so many, and does a script that trains have `if __name__ == "__main__":`?'
            ) from None

    def _begin(self, step: int) -> Future[PictureBatch]:
        drawn = () if self._draw is None else (self._draw(step),)
        return self._pool.submit(self._make_batch, step, *drawn)

    def __enter__(self) -> Prefetcher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown(wait=True, cancel_futures=True)


_batch_of_worker: list[MakeBatch] = []  # one, in a worker process


def start_worker(make_batch: MakeBatch) -> None:
    """Make this process a worker that makes batches."""
    become_worker()
    _batch_of_worker[:] = [make_batch]


def make_in_worker(step: int, *drawn: Any) -> PictureBatch:
    """The batch of a step, in a worker process."""
    return _batch_of_worker[0](step, *drawn)
