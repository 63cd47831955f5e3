"""Processes that train together under torchrun take the steps of one, and survive being killed, to the last bit."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import test_feedback
import torch
from test_feedback import stages_of
from test_trainer import everything_config, fake_shards, files_of, log_of, one_thread, tiny_config  # noqa: F401

from mspfn.process_group import ProcessGroup, rank_and_count
from mspfn.run_folder import RunFolder
from mspfn.trainer import train, training_pairs
from rainsynth.checks import InputError

PROCESSES = 2

RUN = """
import os, sys
sys.path.insert(0, {tests!r})
import test_feedback as tests
from mspfn import mixture, trainer
mixture.open_shards = tests.sets_in_memory().__getitem__
tests.torch.set_num_threads(1)
print("process", os.environ["RANK"], os.getpid(), flush=True)
trainer.train(tests.{config}, sys.argv[1], resume=True,
              report=lambda progress: print("step", progress.step, flush=True))
"""
EVERYTHING = "everything_config(30)"
LONG_TINY = "tiny_config(50, log_every_steps=1)"


@pytest.fixture
def run_script(tmp_path):
    """Writes a script that trains; gives the command that starts it in two processes."""

    def command(config, folder, *options):
        script = tmp_path / "run.py"
        script.write_text(RUN.format(tests=str(Path(__file__).parent), config=config))
        launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={PROCESSES}"]
        return [*launcher, *options, str(script), str(folder)]

    return command


def run_to_the_end(command):
    """What a run says."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def run_and_kill(command, rank, steps, pause_s):
    """Start a run, and kill one of its processes some time after so many steps; whether it came to that."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as launcher:
        victim, killed = None, False
        for line in launcher.stdout:
            for found, pid in re.findall(r"process (\d+) (\d+)", line):
                victim = int(pid) if int(found) == rank else victim
            steps -= "step" in line
            if steps <= 0 and victim is not None and not killed:
                time.sleep(pause_s)
                os.kill(victim, signal.SIGKILL)
                killed = True
    return killed


def test_one_process_is_the_first_of_one_and_tells_itself():
    group = ProcessGroup(torch.device("cpu"))
    tensor = torch.ones(3)
    group.add_up([tensor])
    group.wait()
    assert (group.is_first, group.ask_first(lambda: 5), tensor.sum()) == (True, 5, 3)
    assert list(range(7))[group.rows] == list(range(7))
    assert rank_and_count() == (0, 1)


def test_processes_share_the_rows_of_a_batch_and_none_goes_without():
    groups = [ProcessGroup(torch.device("cpu"), rank, 3) for rank in range(3)]
    shares = [list(range(7))[group.rows] for group in groups]
    assert sorted(row for share in shares for row in share) == list(range(7))
    assert {len(share) for share in shares} == {2, 3}
    with pytest.raises(InputError, match=r"^data.batch_size must be at least 3, the number of processes, got 2"):
        training_pairs(tiny_config(), groups[0])


def test_a_process_that_is_not_the_first_writes_nothing(tmp_path):
    run = RunFolder(tmp_path / "run", {"keep_checkpoints": 1}, resume=False, writes=False)
    with run.log(0) as log:
        log.write({"step": 1})
        assert log.settle() == 0
    run.save_weights(run.weights, torch.nn.Identity(), {})
    assert run.latest_checkpoint() is None
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_losses_of_two_processes_stay_by_those_of_one(tmp_path, run_script):
    run_to_the_end(run_script(LONG_TINY, tmp_path / "two"))
    train(eval(LONG_TINY), tmp_path / "one")
    one, two = ([record["loss"] for record in log_of(tmp_path / name)] for name in ("one", "two"))
    assert len(one) == len(two) == 50
    np.testing.assert_allclose(two, one, atol=1e-4)
    names = {name: set(files_of(tmp_path / name)) for name in ("one", "two")}
    assert names["one"] == names["two"]


@pytest.mark.slow
def test_a_run_of_two_processes_one_of_which_is_killed_makes_the_files_of_one_left_alone(tmp_path, run_script):
    run_to_the_end(run_script(EVERYTHING, tmp_path / "alone"))
    rng = np.random.default_rng(1)
    kills = [
        run_and_kill(run_script(EVERYTHING, tmp_path / "killed"), rank, int(rng.integers(2, 11)), rng.uniform(0, 0.05))
        for rank in (1, 0, 1)
    ]
    assert kills.count(True) >= 2
    run_to_the_end(run_script(EVERYTHING, tmp_path / "killed"))
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "alone")


@pytest.mark.slow
@pytest.mark.parametrize("config", ["gated_config(80)", "self_paced_config(80)"])
def test_processes_that_follow_their_own_measurements_agree_and_survive_a_kill(tmp_path, run_script, config):
    run_to_the_end(run_script(config, tmp_path / "alone"))
    assert len(set(stages_of(tmp_path / "alone"))) > 2
    assert run_and_kill(run_script(config, tmp_path / "killed"), 1, 45, 0.02)
    run_to_the_end(run_script(config, tmp_path / "killed"))
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "alone")
    train(getattr(test_feedback, config.split("(")[0])(80), tmp_path / "one")
    assert stages_of(tmp_path / "one") == stages_of(tmp_path / "alone")
    one, two = ([record["loss"] for record in log_of(tmp_path / name)] for name in ("one", "alone"))
    np.testing.assert_allclose(two, one, atol=1e-4)


@pytest.mark.slow
def test_torchrun_starts_a_killed_run_again_by_itself(tmp_path, run_script):
    run_to_the_end(run_script(EVERYTHING, tmp_path / "alone"))
    restarting = run_script(EVERYTHING, tmp_path / "killed", "--max-restarts=1")
    assert run_and_kill(restarting, 1, 12, 0.0)
    assert (tmp_path / "killed" / "weights.pt").is_file()
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "alone")
