"""The runs of a study, some at a time, each a process of its own on one thread: how many changes no result."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess

from pipelines.cluster import ONE_THREAD
from pipelines.progress import Advance, progress
from pipelines.study_run import Job, run_in_process
from rainsynth.checks import InputError, check_count

MOST_WORKERS = 1024
KEPT = "Finished runs are kept, and --resume goes on with the others."


@dataclass(slots=True)
class Started:
    """A run in work: its process, what it tells, and the step that it last told of."""

    run: Job
    process: BaseProcess
    hears: Connection
    step: int


def make_runs(runs: Sequence[Job], workers: int) -> None:
    """Make every run that is not finished, `workers` at a time; InputError where one dies, after ending the others.

    A run begins once what it starts from is there; a run that others start from stands before them in `runs`. All go
    on from their last checkpoints when called again.
    """
    check_count(workers, 1, MOST_WORKERS, "workers")
    waiting = [run for run in runs if not run.finished]
    total = sum(run.config.steps for run in runs)
    done = total - sum(run.config.steps - steps_taken(run) for run in waiting)
    if not waiting:
        return
    working: list[Started] = []
    with progress("study", total, done) as advance:
        try:
            while waiting or working:
                while len(working) < workers and (run := take_ready(waiting)):
                    working.append(start(run))
                if not working:
                    raise RuntimeError(f"{waiting[0].name} waits for a run that is none of the study's")
                ready = wait([one.hears for one in working])
                for one in [one for one in working if one.hears in ready]:
                    if hear(one, advance):
                        one.process.join()
                        working.remove(one)
        finally:
            for one in working:
                one.process.terminate()
            for one in working:
                one.process.join()


def take_ready(waiting: list[Job]) -> Job | None:
    """Take the first run out that can begin, if any."""
    place = next((place for place, run in enumerate(waiting) if run.ready), None)
    return None if place is None else waiting.pop(place)


def steps_taken(run: Job) -> int:
    """Steps up to the last checkpoint of a run."""
    names = sorted(path.stem for path in (run.folder / "checkpoints").glob("step-*.pt"))
    return int(names[-1].removeprefix("step-")) if names else 0


def start(run: Job) -> Started:
    """A process that makes a run."""
    context = get_context("spawn")
    hears, tells = context.Pipe(duplex=False)
    process = context.Process(target=run_in_process, args=(run, tells), name=run.name, daemon=True)
    with one_thread_each():
        process.start()
    tells.close()  # the process holds the only other end, so its death is heard
    return Started(run, process, hears, steps_taken(run))


def hear(one: Started, advance: Advance) -> bool:
    """Take in what a run tells; whether it is done. InputError where it made a mistake or died."""
    try:
        kind, told = one.hears.recv()
    except EOFError:
        one.process.join()
        code = one.process.exitcode or 0
        cause = f"was killed by signal {-code}; is memory short?" if code < 0 else f"ended with exit code {code}."
        raise InputError(f"run {one.run.name} must come to its end, but its process {cause} {KEPT}") from None
    if kind == "mistake":
        raise InputError(f"run {one.run.name}: {told} {KEPT}")
    if kind == "step":
        step, note = told
        advance(step - one.step, note)
        one.step = step
    if kind == "done" and one.step < one.run.config.steps:  # a guard ended it
        advance(one.run.config.steps - one.step, one.run.name)
    return bool(kind == "done")


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Have libraries of processes that start meanwhile compute on one thread."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
