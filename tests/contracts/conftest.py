"""What tests of the command line and of generation share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Exit code, output and error output of `rainsynth WORDS`."""
    from pipelines import main

    def run_words(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rainsynth", *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            main.main()
        told = capsys.readouterr()
        return int(exit_.value.code or 0), told.out, told.err

    return run_words


@pytest.fixture(scope="session")
def scheduler() -> Iterator[str]:
    """Address of a cluster of one worker, a thread of this process: starting one takes longer than most tests."""
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, protocol="tcp://", dashboard_address=":0"
    ) as cluster:
        yield cluster.scheduler_address
