"""A run tells its curriculum how it goes, and the batches that follow are the same whoever makes them, and when."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from test_trainer import (  # noqa: F401  (test_distributed starts scripts that know them by this module)
    everything_config,
    fake_shards,
    files_of,
    infinite_loss,
    log_of,
    one_thread,
    sets_in_memory,
    tiny_config,
    train_until_killed,
)

from mspfn import objective, trainer, training_pairs
from mspfn.curriculum_config import CurriculumConfig, CurriculumStage, Gate
from mspfn.networks import predict
from mspfn.pacing import Pacing
from mspfn.pixels import unit_pictures
from mspfn.process_group import ProcessGroup
from mspfn.trainer import train
from mspfn.training_state import TrainingState
from mspfn.validation import ValidationSet

STAGES = (
    CurriculumStage(name="light", from_progress=0, rain_rate_mm_h=(0, 2)),
    CurriculumStage(name="more", from_progress=0.6, rain_rate_mm_h=(0, 4)),
    CurriculumStage(name="heavy", from_progress=0.9, difficulty_share=(0.5, 1)),
)
STEPS, DELAY = 16, 4
QUICK = {"batch_size": 4, "validation_samples_per_class": 1, "validation_crop_px": 16}
RHYTHM = {"log_every_steps": 1, "validate_every_steps": 2, "checkpoint_every_steps": 5}


def gated_config(steps=STEPS, **changes):
    """A run whose gate opens stages early: no validation gains 100 dB."""
    gated = CurriculumConfig(name="staged", stages=STAGES, gate=Gate(validations=1, gain_db=100))
    return tiny_config(steps, QUICK, **RHYTHM | {"curriculum": gated} | changes)


def self_paced_config(steps=STEPS, data=None, **changes):
    """A run on six bins of a sample each, the order of which its own error decides."""
    paced = CurriculumConfig(name="self-paced", bins=6, reached_at=1, replay_fraction=0.9)
    data = QUICK | {"validation_shards": None} | (data or {})
    return tiny_config(steps, data, curriculum=paced, **RHYTHM | changes)


CONFIGS = {"gated": gated_config, "self-paced": self_paced_config}


@pytest.fixture
def short_delay(monkeypatch):
    """Feedback that acts after a few steps, so that short runs feel it."""
    monkeypatch.setattr(training_pairs, "Pacing", partial(Pacing, delay_steps=DELAY))


@pytest.fixture(scope="module")
def alone(one_thread, tmp_path_factory):  # noqa: F811
    """Folders of runs that nobody disturbed, by the names of CONFIGS."""
    folders = {name: tmp_path_factory.mktemp("runs") / name for name in CONFIGS}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mspfn.mixture.open_shards", sets_in_memory().__getitem__)
        patch.setattr(training_pairs, "Pacing", partial(Pacing, delay_steps=DELAY))
        for name, config in CONFIGS.items():
            train(config(), folders[name])
    return folders


def stages_of(folder):
    return [record["stage"] for record in log_of(folder) if "stage" in record]


def test_feedback_changes_what_these_runs_see(alone):
    # Validations follow indices 1, 3, ...: the first is to be beaten, the second opens "more" from index 3 + 4 on,
    # ahead of its time. The first two of that stage follow 7 and 9, and open "heavy" from 9 + 4 on.
    assert stages_of(alone["gated"]) == ["light"] * 7 + ["more"] * 6 + ["heavy"] * 3
    stages = stages_of(alone["self-paced"])
    in_order = {f"bins 1-{count} of 6" for count in range(2, 6)} | {"bins 1 of 6", "all bins"}  # of rates
    assert set(stages[:DELAY]) <= in_order
    assert len([stage for stage in stages if stage not in in_order]) > 2


@pytest.mark.usefixtures("short_delay")
@pytest.mark.parametrize("name", CONFIGS)
def test_a_resumed_run_makes_the_files_of_one_that_was_left_alone(tmp_path, alone, name):
    for stop in (6, 12):  # from the checkpoints after 5 and 10 steps: between a validation and the stage that it opened
        train_until_killed(CONFIGS[name](), tmp_path / "killed", stop)
    train(CONFIGS[name](), tmp_path / "killed", resume=True)
    assert files_of(tmp_path / "killed") == files_of(alone[name])


@pytest.mark.usefixtures("short_delay")
def test_batches_from_processes_far_ahead_are_those_of_the_thread(tmp_path, alone):
    train(self_paced_config(data={"workers": 2}), tmp_path / "workers")
    assert files_of(tmp_path / "workers") == files_of(alone["self-paced"])


def errors_heard(monkeypatch):
    heard = []
    real = Pacing.hear_errors

    def spy(pacing, step, sums, rows):
        heard.append((step, sums, rows))
        real(pacing, step, sums, rows)

    monkeypatch.setattr(Pacing, "hear_errors", spy)
    return heard


@pytest.mark.parametrize("accumulate", [1, 3])
def test_errors_of_bins_are_those_of_their_rows(tmp_path, monkeypatch, accumulate):
    heard = errors_heard(monkeypatch)
    config = self_paced_config(1, loss="mse", accumulate=accumulate)
    train(config, tmp_path / "run")
    pairs = trainer.training_pairs(config, ProcessGroup(torch.device("cpu")))
    rainy, target = (unit_pictures(stack) for stack in pairs.pictures(0))
    with torch.no_grad():
        derained = predict(TrainingState(config, torch.device("cpu")).network, rainy).derained
    sums, rows = np.zeros(6), np.zeros(6, int)
    for row, sample in enumerate(pairs.windows(0).sample):  # six samples of 1 to 6 mm/h, each a bin
        sums[sample] += float((derained[row] - target[row]).abs().mean())
        rows[sample] += 1
    [(step, heard_sums, heard_rows)] = heard
    assert (step, heard_rows) == (0, rows.tolist())
    np.testing.assert_allclose(heard_sums, sums, rtol=1e-5)


def test_a_skipped_step_tells_nothing(tmp_path, monkeypatch):
    heard = errors_heard(monkeypatch)
    monkeypatch.setattr(objective, "loss_parts", infinite_loss)
    train(self_paced_config(2), tmp_path / "run")
    assert heard == []


@pytest.mark.usefixtures("short_delay")
def test_a_gate_waits_while_validation_gains(tmp_path, monkeypatch):
    scores = iter(np.arange(20.0, 28.0))
    monkeypatch.setattr(ValidationSet, "psnr_y_db", lambda *_: {"all": next(scores)})
    gate = Gate(validations=1, gain_db=0.9)
    config = gated_config(curriculum=CurriculumConfig(name="staged", stages=STAGES, gate=gate))
    told = []
    train(config, tmp_path / "run", report=lambda progress: told.append(progress.stage))
    # 0.6 of 16 steps is 9.6, so index 10 is the first of "more"; 0.9 is 14.4
    assert told == ["light"] * 10 + ["more"] * 5 + ["heavy"]
    assert stages_of(tmp_path / "run") == told


KILLED_RUN = """
import sys
sys.path.insert(0, {tests!r})
import test_feedback as tests
from mspfn import mixture, trainer
mixture.open_shards = tests.sets_in_memory().__getitem__
tests.torch.set_num_threads(1)
trainer.train(tests.{config}, sys.argv[1], resume=True, report=lambda progress: print(progress.step, flush=True))
"""


@pytest.mark.slow
@pytest.mark.parametrize("config", ["gated_config(100)", "self_paced_config(100)"])
def test_a_run_killed_at_random_moments_makes_the_files_of_one_that_was_left_alone(tmp_path, config):
    script = KILLED_RUN.format(tests=str(Path(__file__).parent), config=config)
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "alone")], check=True, stdout=subprocess.DEVNULL)
    rng = np.random.default_rng(0)
    kills = 0
    while not (tmp_path / "killed" / "weights.pt").exists():
        command = [sys.executable, "-c", script, str(tmp_path / "killed")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            steps_left = int(rng.integers(10, 40))
            for _ in process.stdout:
                steps_left -= 1
                if steps_left == 0:
                    with pytest.raises(subprocess.TimeoutExpired):
                        process.wait(timeout=rng.uniform(0.001, 0.03))  # into the middle of a step
                    os.kill(process.pid, signal.SIGKILL)
                    kills += 1
        assert process.returncode in (0, -signal.SIGKILL)
    assert kills >= 3
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "alone")
    assert len(set(stages_of(tmp_path / "alone"))) > 2
