"""Batches made ahead are the ones asked for, in a thread or in processes, and faults and kills arrive."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_shards import FakeShards

from mspfn.curriculum import CurriculumConfig
from mspfn.degradations import Degradations
from mspfn.prefetch import Prefetcher
from mspfn.training_pairs import TrainingPairs
from rainsynth.checks import InputError

FAULTY_STEP, DEADLY_STEP = 5, 7


class Pictures:
    """Batches of `pairs`, with what the process that makes them has loaded; one step is faulty, one kills."""

    def __init__(self):
        self.pairs = TrainingPairs(
            FakeShards(),
            patch_px=8,
            batch_size=4,
            steps=9,
            seed=0,
            curriculum=CurriculumConfig(name="light-to-heavy"),
            clean_fraction=0.2,
            degradations=Degradations(jpeg_quality=(50, 90), noise_codes=(0, 5)),
        )

    def __call__(self, step):
        if step == FAULTY_STEP:
            raise InputError("shard must be whole.")
        if step == DEADLY_STEP:
            os.kill(os.getpid(), signal.SIGKILL)
        return self.pairs.pictures(step), os.getpid(), cv2.getNumThreads(), "torch" in sys.modules


def test_the_next_batch_is_made_before_it_is_asked_for_and_none_beyond_the_end():
    made, second_made = [], threading.Event()

    def make(step):
        made.append(step)
        if step == 1:
            second_made.set()
        return step

    with Prefetcher(make, steps=3) as batches:
        assert batches.take(0) == 0
        assert second_made.wait(timeout=10)
        assert [batches.take(1), batches.take(2)] == [1, 2]
    assert made == [0, 1, 2]


@pytest.mark.parametrize(("workers", "most_ahead_steps", "ahead"), [(0, None, 1), (0, 0, 0), (0, 7, 1), (2, 3, 3)])
def test_batches_are_drawn_in_turn_in_this_process_and_no_further_ahead_than_is_known(workers, most_ahead_steps, ahead):
    drawn = []

    def draw(step):
        drawn.append(step)
        return step, os.getpid()

    options = {"draw": draw, "most_ahead_steps": most_ahead_steps}
    with Prefetcher(handed_on, steps=9, workers=workers, **options) as batches:
        for step in range(9):
            assert batches.take(step) == (step, (step, os.getpid()))
            assert drawn == list(range(min(step + ahead + 1, 9)))


def handed_on(step, drawn):
    return step, drawn


def test_workers_make_the_windows_that_they_are_handed():
    pairs = Pictures().pairs
    with Prefetcher(pairs.pictures, steps=9, workers=1, draw=lambda step: pairs.windows(step + 20)) as batches:
        for step in range(2):
            found, expected = batches.take(step), pairs.pictures(step, pairs.windows(step + 20))
            assert all(np.array_equal(picture, twin) for picture, twin in zip(found, expected, strict=True))
            assert not np.array_equal(found[1], pairs.pictures(step)[1])


def test_the_error_of_a_batch_is_handed_on():
    with Prefetcher(Pictures(), steps=9) as batches, pytest.raises(InputError, match="shard must be whole"):
        batches.take(FAULTY_STEP)


def test_worker_processes_make_the_same_batches_on_one_thread_each_without_pytorch_and_hand_on_errors():
    make = Pictures()
    with Prefetcher(make, steps=9, workers=2) as batches:
        found = [batches.take(step) for step in range(FAULTY_STEP)]
        with pytest.raises(InputError, match="shard must be whole"):
            batches.take(FAULTY_STEP)
        with pytest.raises(InputError, match=r"^data.workers must be processes that stay alive, got 2 of which one"):
            batches.take(DEADLY_STEP)
    for step, (pictures, worker, threads, knows_torch) in enumerate(found):
        np.testing.assert_array_equal(pictures, make.pairs.pictures(step))
        assert worker != os.getpid()
        assert (threads, knows_torch) == (1, False)


LEFT_ALONE = """
import os, time
from mspfn.prefetch import Prefetcher
def make(step):
    time.sleep(0.2)
    return os.getpid()
if __name__ == "__main__":
    with Prefetcher(make, steps=9, workers=2) as batches:
        print(*{batches.take(step) for step in range(4)}, flush=True)
        time.sleep(60)
"""


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for processes in /proc")
def test_workers_end_with_a_run_that_is_killed(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(LEFT_ALONE)
    command = [sys.executable, str(script)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        workers = [Path(f"/proc/{worker}") for worker in process.stdout.readline().split()]
        assert workers
        assert all(worker.exists() for worker in workers)
        process.kill()
    until = time.monotonic() + 20
    while any(alive(worker) for worker in workers):
        assert time.monotonic() < until, "workers outlive their run"
        time.sleep(0.05)


def alive(process):
    """Whether a process runs; one that ended may stay in /proc until its new parent looks."""
    try:
        return "\nState:\tZ" not in (process / "status").read_text()
    except OSError:
        return False
