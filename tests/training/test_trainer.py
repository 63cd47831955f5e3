"""Training learns, gives the same bytes twice, survives being killed, and refuses what it cannot do."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_shards import FakeShards

from mspfn import derain, load_weights, mixture, objective, reports, trainer
from mspfn.checkpoint import save_weights
from mspfn.curriculum import CurriculumConfig
from mspfn.data_config import DataConfig, PatchStage, SourceConfig
from mspfn.networks import build_network
from mspfn.optimizer import clip_gradients
from mspfn.run_folder import first_difference
from mspfn.train_config import NetworkChoice, OptimizerConfig, TrainConfig
from mspfn.trainer import train, validation_set
from mspfn.training_loss import LossConfig
from mspfn.training_state import TrainingState
from mspfn.validation import ValidationSet, samples_by_class
from rainsynth.checks import InputError
from rainsynth.lookalikes import LineRain
from rainsynth.metrics import psnr_y
from rainsynth.pictures import read_photo, write_picture
from rainsynth.preset_choice import PresetChoice

TINY = NetworkChoice(name="mspfn", overrides={"fine_fusion_units": 1, "channels": 8})
LOGGED = {"step", "loss", "loss_parts", "gradient_norm", "learning_rate", "stage"}
CURRICULUM = CurriculumConfig(name="light-to-heavy", start_rain_rate_mm_h=2)


def tiny_config(steps=12, data=None, **changes):
    options = {"shards": "train", "validation_shards": "validation", "patch_px": 16, "batch_size": 2} | (data or {})
    rhythm = {"log_every_steps": 2, "validate_every_steps": 4, "checkpoint_every_steps": 3}
    defaults = {"network": TINY, "curriculum": CURRICULUM, "precision": "float32"} | rhythm
    return TrainConfig(data=DataConfig(**options), steps=steps, **(defaults | changes))


def sets_in_memory():
    """What `shards: train` and `validation_shards: validation` stand for here."""
    return {"train": FakeShards(seed=1), "validation": FakeShards(seed=2, rates=[1, 2, 20, 30, 60, 70])}


@pytest.fixture(autouse=True)
def fake_shards(monkeypatch):
    sets = sets_in_memory()
    monkeypatch.setattr(mixture, "open_shards", sets.__getitem__)
    return sets


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def alone(one_thread, tmp_path_factory):
    """Folder of a run of `tiny_config()` that nobody disturbed; to be copied, not changed."""
    folder = tmp_path_factory.mktemp("runs") / "alone"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mixture, "open_shards", sets_in_memory().__getitem__)
        train(tiny_config(), folder)
    return folder


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def files_of(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class Killed(Exception):
    """Stands for the end of the process."""


def killed_after(step):
    def report(progress):
        if progress.step == step:
            raise Killed

    return report


def train_until_killed(config, folder, step):
    with pytest.raises(Killed):
        train(config, folder, resume=True, report=killed_after(step))


def test_a_tiny_network_overfits_one_batch_and_its_weights_derain_it(tmp_path, fake_shards):
    fake_shards["train"] = FakeShards(1, height_px=16, width_px=16)  # one window in two mirrorings
    optimizer = OptimizerConfig(learning_rate=1e-2, warmup_steps=10)
    data = {"validation_shards": None, "target": "veiled"}
    config = tiny_config(100, data, loss="l1", optimizer=optimizer, ema_decay=0.9, curriculum=CurriculumConfig())
    result = train(config, tmp_path / "run")
    losses = [record["loss"] for record in log_of(tmp_path / "run")]
    assert np.mean(losses[-5:]) < 0.2 * losses[0]
    pair = fake_shards["train"][0]
    derained = derain(pair.rainy_srgb8, load_weights(result.weights))
    gain_db = psnr_y(derained, pair.veiled_srgb8) - psnr_y(pair.rainy_srgb8, pair.veiled_srgb8)
    assert gain_db > 12  # a fifth of the error is 14 dB if it is spread as the streaks were


def test_two_runs_of_a_config_make_the_same_files(tmp_path, alone):
    train(tiny_config(), tmp_path / "again")
    files = files_of(tmp_path / "again")
    assert files == files_of(alone)
    checkpoints = {"checkpoints/step-00000009.pt", "checkpoints/step-00000012.pt"}  # the last two of four
    assert set(files) == {"config.json", "log.jsonl", "best.pt", "weights.pt"} | checkpoints


def test_a_run_whose_batches_come_from_two_processes_makes_the_same_files(tmp_path, alone):
    train(tiny_config(data={"workers": 2}), tmp_path / "workers")
    assert files_of(tmp_path / "workers") == files_of(alone)


def test_two_runs_in_bfloat16_make_the_same_files_and_not_those_of_float32(tmp_path):
    for name, precision in (("one", "bfloat16"), ("two", "bfloat16"), ("three", "float32")):
        train(tiny_config(3, precision=precision), tmp_path / name)
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    assert (tmp_path / "one" / "weights.pt").read_bytes() != (tmp_path / "three" / "weights.pt").read_bytes()


def test_another_seed_makes_other_weights(tmp_path):
    train(tiny_config(3), tmp_path / "one")
    train(tiny_config(3, seed=1), tmp_path / "two")
    assert (tmp_path / "one" / "weights.pt").read_bytes() != (tmp_path / "two" / "weights.pt").read_bytes()


@pytest.mark.parametrize("stops", [(1,), (5,), (4, 7, 11), (12,)], ids=str)
def test_a_resumed_run_makes_the_files_of_one_that_was_left_alone(tmp_path, alone, stops):
    for stop in stops:
        train_until_killed(tiny_config(), tmp_path / "killed", stop)
    train(tiny_config(), tmp_path / "killed", resume=True)
    assert files_of(tmp_path / "killed") == files_of(alone)


def test_resuming_a_finished_run_takes_no_step_and_removes_what_a_kill_left(tmp_path, alone):
    shutil.copytree(alone, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "step-00000006.pt").write_bytes(b"old")
    (tmp_path / "run" / "weights.pt").unlink()
    result = train(tiny_config(), tmp_path / "run", resume=True, report=lambda progress: pytest.fail("took a step"))
    assert files_of(tmp_path / "run") == files_of(alone)
    assert result.steps == 12


KILLED_RUN = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
import test_trainer as tests
from mspfn import mixture, trainer
mixture.open_shards = tests.sets_in_memory().__getitem__
tests.torch.set_num_threads(1)
trainer.train(tests.{config}(40, precision="auto"), sys.argv[1], resume=True,
              report=lambda progress: print(progress.step, flush=True))
"""


@pytest.mark.slow
@pytest.mark.parametrize("config", ["tiny_config", "everything_config"])
def test_a_run_killed_at_random_moments_makes_the_files_of_one_that_was_left_alone(tmp_path, config):
    script = KILLED_RUN.format(tests=str(Path(__file__).parent), config=config)
    subprocess.run([sys.executable, "-c", script, str(tmp_path / "alone")], check=True, stdout=subprocess.DEVNULL)
    rng = np.random.default_rng(0)
    kills = 0
    while not (tmp_path / "killed" / "weights.pt").exists():
        command = [sys.executable, "-c", script, str(tmp_path / "killed")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            steps_left = int(rng.integers(1, 15))
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


def everything_config(steps=12, **changes):
    """A run in which all that may follow the step is switched on: parts of batches, sizes, layers, losses, patience."""
    data = {"batch_size": 5, "clean_fraction": 0.2, "noise_codes": (0.0, 4.0), "target": "veiled"}
    data |= {"patch_schedule": (PatchStage(from_progress=0.45, patch_px=24, batch_size=3),)}
    loss = LossConfig(name="ssim", stages_weight=0.5, no_harm_weight=1, mask_weight=0.1, streak_weight=0.1)
    network = NetworkChoice(name="jorder", overrides={"channels": 8, "blocks": 1})
    return tiny_config(steps, data, **{"loss": loss, "network": network, "accumulate": 2} | changes)


def test_parts_of_the_loss_are_logged_by_name_and_add_up(tmp_path):
    train(everything_config(2), tmp_path / "run")
    record = log_of(tmp_path / "run")[0]
    assert set(record["loss_parts"]) == {"picture", "stages", "mask", "streaks"}
    assert record["loss"] == pytest.approx(sum(record["loss_parts"].values()))


@pytest.mark.parametrize("calls", [4, 16], ids=str)
def test_a_run_killed_between_parts_of_a_batch_makes_the_files_of_one_that_was_left_alone(tmp_path, monkeypatch, calls):
    train(everything_config(9), tmp_path / "alone")
    left, real = [calls], objective.loss_parts

    def deadly(*arguments):
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return real(*arguments)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(objective, "loss_parts", deadly)
        train(everything_config(9), tmp_path / "killed")
    train(everything_config(9), tmp_path / "killed", resume=True)
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "alone")


@pytest.mark.parametrize("parts", [2, 3])
def test_a_batch_in_parts_makes_the_step_of_the_whole_batch(tmp_path, parts):
    # 5 rows in parts of 3 and 2, or of 2, 2 and 1: each counts by its rows.
    for name, accumulate in (("whole", 1), ("parts", parts)):
        train(tiny_config(8, {"batch_size": 5}, accumulate=accumulate), tmp_path / name)
    whole, in_parts = (load_weights(tmp_path / name / "weights.pt") for name in ("whole", "parts"))
    for weight, other in zip(whole.parameters(), in_parts.parameters(), strict=True):
        torch.testing.assert_close(weight, other, rtol=1e-3, atol=1e-5)
    losses = [[record["loss"] for record in log_of(tmp_path / name)] for name in ("whole", "parts")]
    np.testing.assert_allclose(*losses, rtol=1e-5)


def test_a_run_ends_when_validation_has_stopped_gaining_and_stays_ended(tmp_path, monkeypatch):
    scores = iter([20.0, 25.0, 24.0, 25.0, 30.0])
    monkeypatch.setattr(ValidationSet, "psnr_y_db", lambda *_: {"all": next(scores)})
    config = tiny_config(30, stop_after_validations=2, checkpoint_every_steps=7, log_every_steps=10)
    result = train(config, tmp_path / "run")
    assert (result.steps, result.best_psnr_y_db) == (16, 25)
    assert [record["step"] for record in log_of(tmp_path / "run")] == [4, 8, 10, 12, 16]
    assert "loss" in log_of(tmp_path / "run")[-1]
    assert (tmp_path / "run" / "checkpoints" / "step-00000016.pt").is_file()
    assert next(scores) == 30  # the fifth was not asked for
    before = files_of(tmp_path / "run")
    assert train(config, tmp_path / "run", resume=True).steps == 16
    assert files_of(tmp_path / "run") == before


def test_a_report_counts_the_samples_of_the_whole_batch(tmp_path):
    samples = []
    train(everything_config(4), tmp_path / "run", report=lambda progress: samples.append(progress.samples))
    assert samples == [5, 5, 3, 3]


def test_what_the_machine_lacks_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(InputError, match=r"^compile must be false without a C\+\+ compiler, .* no no-such-compiler"):
        train(tiny_config(compile=True), tmp_path / "run")
    monkeypatch.setattr(reports, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"^tensorboard must be false without its package, got true."):
        train(tiny_config(tensorboard=True), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs a C++ compiler")
def test_a_compiled_network_learns_as_it_is_written_and_resumes_to_the_last_bit(tmp_path):
    for name, compiled in (("plain", False), ("compiled", True)):
        train(tiny_config(6, compile=compiled), tmp_path / name)
    losses = [[record["loss"] for record in log_of(tmp_path / name)] for name in ("plain", "compiled")]
    np.testing.assert_allclose(*losses, rtol=1e-4)
    train_until_killed(tiny_config(6, compile=True), tmp_path / "killed", 5)
    train(tiny_config(6, compile=True), tmp_path / "killed", resume=True)
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "compiled")


def test_the_last_step_is_logged_validated_and_kept_whatever_the_rhythm(tmp_path):
    train(tiny_config(7), tmp_path / "run")
    last = log_of(tmp_path / "run")[-1]
    assert last["step"] == 7
    assert set(last) == LOGGED | {"psnr_y_db"}
    assert (tmp_path / "run" / "checkpoints" / "step-00000007.pt").is_file()


def test_gradients_are_never_longer_than_the_clip_norm(tmp_path, monkeypatch):
    norms = []

    def spy(optimizer):
        gradients = [weight.grad.flatten() for group in optimizer.param_groups for weight in group["params"]]
        norms.append(float(torch.cat(gradients).norm()))

    monkeypatch.setattr(torch.optim.AdamW, "step", spy)
    train(tiny_config(3), tmp_path / "free")
    free, norms[:] = min(norms), []
    train(tiny_config(3, optimizer=OptimizerConfig(clip_norm=free / 2)), tmp_path / "clipped")
    np.testing.assert_allclose(norms, free / 2, rtol=1e-4)  # PyTorch divides by norm + 1e-6


@pytest.mark.parametrize("length", [1e-3, 0.5, 1 - 1e-7, 1.0, 7.0])
def test_clipping_is_that_of_pytorch_to_the_bit(length):
    direction = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    ours, theirs = ([torch.nn.Parameter(torch.zeros(5)) for _ in range(6)] for _ in range(2))
    for weights in (ours, theirs):
        for weight, part in zip(weights, direction * (length / direction.norm()), strict=True):
            weight.grad = part.clone()
    assert clip_gradients(ours, 1.0) == torch.nn.utils.clip_grad_norm_(theirs, 1.0).item()
    for one, other in zip(ours, theirs, strict=True):
        assert torch.equal(one.grad, other.grad)


def test_log_has_loss_stage_and_validation_by_class_and_no_times(alone):
    log = log_of(alone)
    assert [record["step"] for record in log] == [2, 4, 6, 8, 10, 12]
    assert set(log[0]) == LOGGED
    assert set(log[1]) == LOGGED | {"psnr_y_db"}
    assert set(log[1]["psnr_y_db"]) == {"light", "heavy", "violent", "all"}
    assert log[0]["stage"] == "rates up to 2.4 mm/h"  # 2 * 3^(1/6), half of 12 steps being the whole way to 6 mm/h
    assert log[-1]["stage"] == "all rates"


def test_logged_loss_is_the_mean_over_the_steps_since_the_last_line(tmp_path):
    losses = []
    train(tiny_config(), tmp_path / "run", report=lambda progress: losses.append(progress.loss))
    logged = [record["loss"] for record in log_of(tmp_path / "run")]
    np.testing.assert_allclose(logged, np.mean(np.reshape(losses, (6, 2)), axis=1), rtol=1e-12)


def test_best_weights_are_those_of_the_best_validation(tmp_path, monkeypatch):
    scores = iter([20.0, 25.0, 24.0])
    monkeypatch.setattr(ValidationSet, "psnr_y_db", lambda *_: {"all": next(scores)})
    result = train(tiny_config(), tmp_path / "run")
    assert result.best_psnr_y_db == 25
    content = torch.load(tmp_path / "run" / "best.pt", weights_only=True)
    assert content["about"]["steps"] == 8
    assert content["about"]["psnr_y_db"] == {"all": 25.0}


def test_a_loss_that_is_not_finite_is_skipped_and_logged_and_training_goes_on(tmp_path, monkeypatch):
    calls = []

    def faulty(_, predictions, batch):
        calls.append(1)
        difference = (predictions.derained - batch.target).abs().mean()
        return {"picture": difference * (math.nan if len(calls) in (2, 5) else 1)}

    monkeypatch.setattr(objective, "loss_parts", faulty)
    result = train(tiny_config(), tmp_path / "run")
    log = log_of(tmp_path / "run")
    assert [record for record in log if "skipped" in record] == [
        {"step": 2, "skipped": "loss nan"},
        {"step": 5, "skipped": "loss nan"},
    ]
    assert all(math.isfinite(record["loss"]) for record in log if "loss" in record)
    assert all(weight.isfinite().all() for weight in load_weights(result.weights).parameters())
    assert (result.skipped_steps, result.steps, len(calls)) == (2, 12, 12)


def infinite_loss(_, predictions, batch):
    return {"picture": predictions.derained.sum() * math.inf}


def test_a_skipped_step_leaves_weights_and_their_mean_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(objective, "loss_parts", infinite_loss)
    network = load_weights(train(tiny_config(1), tmp_path / "run").weights)
    untrained = TrainingState(tiny_config(1), torch.device("cpu")).network
    for weight, first in zip(network.parameters(), untrained.parameters(), strict=True):
        assert torch.equal(weight, first)


def test_training_that_only_skips_stops(tmp_path, monkeypatch):
    monkeypatch.setattr(trainer, "MAX_SKIPPED_IN_A_ROW", 4)
    monkeypatch.setattr(objective, "loss_parts", infinite_loss)
    with pytest.raises(InputError, match=r"^loss and gradient must be finite, got 4 steps .* Lower optimizer.learning"):
        train(tiny_config(), tmp_path / "run")


def test_a_folder_that_is_not_empty_is_refused_without_resume(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"^out must be a new or empty folder.*Resume it"):
        train(tiny_config(), tmp_path)
    with pytest.raises(InputError, match=r"^out must be a new or empty folder.*holds no training run"):
        train(tiny_config(), tmp_path, resume=True)
    assert files_of(tmp_path) == {"notes.txt": b"mine"}


def test_a_mistake_in_the_data_leaves_no_folder_behind(tmp_path):
    with pytest.raises(InputError, match=r"^patch_px must be at most 24"):
        train(tiny_config(data={"patch_px": 25}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": 13}, "steps must be 12 to resume .*, got 13"),
        ({"data": {"batch_size": 3}}, "data.batch_size must be 2 to resume .*, got 3"),
        ({"curriculum": replace(CURRICULUM, name="competence")}, "curriculum.name must be 'light-to-heavy' to resume"),
        ({"optimizer": OptimizerConfig(betas=(0.8, 0.99))}, r"optimizer.betas must be \[0.9, 0.999\] to resume"),
    ],
)
def test_resuming_with_another_config_is_refused_by_its_first_key_that_differs(tmp_path, change, message):
    train_until_killed(tiny_config(), tmp_path / "run", 1)
    before = files_of(tmp_path / "run")
    with pytest.raises(InputError, match="^" + message):
        train(tiny_config(**change), tmp_path / "run", resume=True)
    assert files_of(tmp_path / "run") == before


def test_a_run_goes_on_after_its_start_weights_have_moved(tmp_path):
    config = tiny_config()
    (tmp_path / "here" / "first").mkdir(parents=True)
    save_weights(tmp_path / "here" / "first" / "weights.pt", TrainingState(config, torch.device("cpu")).average)

    def from_weights(place):
        weights = str(tmp_path / place / "first" / "weights.pt")
        return replace(config, network=replace(config.network, start_weights=weights))

    train_until_killed(from_weights("here"), tmp_path / "run", 1)
    (tmp_path / "here").rename(tmp_path / "there")
    train(from_weights("there"), tmp_path / "run", resume=True)
    recorded = json.loads((tmp_path / "run" / "config.json").read_text())
    assert recorded["network"]["start_weights"] == "first/weights.pt"


def test_a_run_keeps_what_its_start_weights_said_when_it_began(tmp_path):
    first = TrainingState(tiny_config(), torch.device("cpu")).average
    save_weights(tmp_path / "first.pt", first, about={"card": "as they were"})
    config = replace(tiny_config(), network=replace(TINY, start_weights=str(tmp_path / "first.pt")))
    train_until_killed(config, tmp_path / "run", 1)
    save_weights(tmp_path / "first.pt", first, about={"card": "as they are now"})
    train(config, tmp_path / "run", resume=True)
    assert json.loads((tmp_path / "run" / "start.json").read_text()) == {"card": "as they were"}


def test_records_name_folders_of_layers_by_their_last_name():
    parts = (PresetChoice(lines=LineRain(streaks="taken", layers="/some/where/layers")), PresetChoice(preset="heavy"))
    data = DataConfig(photographs="/some/where/photos", presets=parts)
    recorded = replace(tiny_config(), data=data, own_rain=parts).recorded()
    for presets in (recorded["data"]["presets"], recorded["own_rain"]):
        assert [part["lines"] and part["lines"]["layers"] for part in presets] == ["layers", None]
    assert "/some" not in json.dumps(recorded)


def test_keys_that_one_side_lacks_count_as_different():
    assert first_difference({"a": {"b": 1}}, {"a": {"b": 1}}) is None
    assert first_difference({"a": {"b": 1}}, {"a": {"b": 1, "c": None}}) == "a.c"
    assert first_difference({"a": {"b": 1, "c": 2}}, {"a": {"b": 1}}) == "a.c"


def test_a_shortened_log_is_refused_on_resume(tmp_path):
    train_until_killed(tiny_config(), tmp_path / "run", 7)
    (tmp_path / "run" / "log.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"log.jsonl must have the \d+ bytes it had at the last checkpoint, got 3"):
        train(tiny_config(), tmp_path / "run", resume=True)


def test_running_mean_follows_its_formula():
    state = TrainingState(tiny_config(ema_decay=0.5), torch.device("cpu"))
    weight, average = next(state.network.parameters()), next(state.average.parameters())
    expected = average.clone()
    for step, decay in enumerate([0.1, 2 / 11, 3 / 12]):  # (1 + s) / (10 + s)
        with torch.no_grad():
            weight.add_(1)
        state.step = step
        state.update_average()
        expected = decay * expected + (1 - decay) * weight
    torch.testing.assert_close(average, expected)
    state.step = 1000
    state.update_average()
    torch.testing.assert_close(average, 0.5 * expected + 0.5 * weight)


def test_weight_decay_acts_on_kernels_only():
    config = tiny_config(optimizer=OptimizerConfig(weight_decay=0.3))
    decayed, spared = TrainingState(config, torch.device("cpu")).optimizer.param_groups
    assert (decayed["weight_decay"], spared["weight_decay"]) == (0.3, 0)
    assert {weight.ndim for weight in decayed["params"]} == {4}
    assert {weight.ndim for weight in spared["params"]} == {1}


def test_training_goes_on_from_start_weights(tmp_path):
    torch.manual_seed(5)
    started = build_network("mspfn", **TINY.overrides)
    save_weights(tmp_path / "start.pt", started)
    choice = replace(TINY, start_weights=str(tmp_path / "start.pt"))
    network = TrainingState(tiny_config(network=choice), torch.device("cpu")).network
    for weight, first in zip(network.parameters(), started.parameters(), strict=True):
        assert torch.equal(weight, first)
    deeper = replace(choice, overrides={"fine_fusion_units": 2, "channels": 8})
    network = TrainingState(tiny_config(network=deeper), torch.device("cpu")).network
    picture = torch.rand(1, 3, 24, 24)
    with torch.no_grad():
        assert torch.equal(network(picture), started(picture))
    other = replace(choice, overrides={"fine_fusion_units": 1, "channels": 12})
    with pytest.raises(InputError, match=r"^network.start_weights must hold the network of this config"):
        TrainingState(tiny_config(network=other), torch.device("cpu"))


def test_validation_takes_samples_evenly_along_each_class_and_names_unknown_rates():
    rates = np.array([30, 1, 1, 1, 1, 1, np.nan, 30])
    assert samples_by_class(rates, 3) == {"light": [1, 3, 5], "heavy": [0, 7], "unknown": [6]}


def test_validation_measures_the_centre_of_its_pictures(fake_shards):
    shards = fake_shards["validation"]
    validation = ValidationSet(shards, samples_per_class=1, crop_px=16, target="veiled")
    untrained = TrainingState(tiny_config(), torch.device("cpu")).average  # returns the picture it is given
    centre = np.s_[0, 4:20, 8:24]
    light_db = psnr_y(shards.rainy[centre], shards.veiled[centre])
    assert validation.psnr_y_db(untrained)["light"] == pytest.approx(light_db)


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA")
def test_a_device_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^device must be auto or cpu on this machine, got cuda"):
        train(tiny_config(device="cuda"), tmp_path / "run")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (DataConfig, "data must name exactly one of data.shards, .*, data.sources, got none"),
        (lambda: DataConfig(shards="a", pairs="b"), "data must name .* got shards and pairs. --set data.NAME=null"),
        (lambda: DataConfig(shards="a", sources=(SourceConfig(pairs="b"),)), "data must .*, got shards and sources"),
        (lambda: SourceConfig(shards="a", photographs="b"), "a source must name exactly one of shards, pairs, phot"),
        (lambda: SourceConfig(shards="a", weight=0), "weight must be between"),
        (lambda: DataConfig(pairs="a", presets=(PresetChoice(preset="heavy"),)), "presets must go with photographs"),
        (lambda: DataConfig(photographs="a", presets=()), "presets must name at least one preset"),
        (lambda: PresetChoice(preset="hevy"), "preset must be one of drizzle, .*, got 'hevy'"),
        (lambda: PresetChoice(preset="rain100h", rain_rate_mm_h=(1, 2)), "rain_rate_mm_h must be left out"),
        (lambda: PresetChoice(preset="heavy", rain_rate_mm_h=(9, 2)), "rain_rate_mm_h must be two rates, low then"),
        (lambda: DataConfig(pairs="a", target="veiled"), "data.target must be clean with data.pairs"),
        (
            lambda: DataConfig(shards="a", validation_pairs="b", target="veiled"),
            "data.target must be clean with data",
        ),
        (lambda: DataConfig(shards="a", clean_fraction=2), "data.clean_fraction must be between 0 and 1"),
        (lambda: DataConfig(shards="a", jpeg_quality=(95, 60)), "jpeg_quality must be two numbers, low then high"),
        (lambda: DataConfig(shards="a", workers=-1), "data.workers must be between 0"),
        (lambda: DataConfig(shards="a", target="dry"), "data.target must be one of clean, veiled, got 'dry'"),
        (lambda: DataConfig(shards="a", patch_px=16.5), "data.patch_px must be a whole number"),
        (lambda: DataConfig(shards="a", batch_size=0), "data.batch_size must be between 1"),
        (lambda: NetworkChoice(name="unet"), "network name must be one of mspfn"),
        (lambda: NetworkChoice(overrides={"width": 3}), "config of mspfn-tiny must use only .*, got width"),
        (lambda: tiny_config(0), "steps must be between 1"),
        (lambda: tiny_config(accumulate=3), "accumulate must be between 1 and 2, got 3. It divides a batch"),
        (
            lambda: tiny_config(data={"validation_shards": None}, stop_after_validations=2),
            "stop_after_validations must go with data.validation_shards",
        ),
        (lambda: tiny_config(precision="float16"), "precision must be one of auto, float32, bfloat16"),
        (lambda: tiny_config(device="tpu"), "device must be one of auto, cpu, cuda"),
        (lambda: tiny_config(ema_decay=1), "ema_decay must be between 0 and 1"),
        (lambda: tiny_config(seed=-1), "seed must be between 0"),
        (lambda: tiny_config(keep_checkpoints=0), "keep_checkpoints must be between 1"),
    ],
)
def test_config_refuses_what_has_no_meaning(make, message):
    with pytest.raises(InputError, match="^" + message):
        make()


def test_config_is_read_from_plain_values_and_unknown_keys_are_refused():
    pydantic = pytest.importorskip("pydantic")
    adapter, resolved = pydantic.TypeAdapter(TrainConfig), tiny_config().resolved()
    assert adapter.validate_python(resolved) == tiny_config()
    for section in (None, "data", "network", "curriculum", "optimizer"):
        wrong = json.loads(json.dumps(resolved))
        (wrong[section] if section else wrong)["patch_size"] = 3
        with pytest.raises(pydantic.ValidationError, match="patch_size"):
            adapter.validate_python(wrong)


def test_what_files_keep_of_a_config_names_data_but_neither_its_place_nor_the_workers():
    data = DataConfig(shards="/somewhere/data/rain", validation_shards="elsewhere/held_out/", workers=3)
    recorded = TrainConfig(data=data, steps=1).recorded()
    assert (recorded["data"]["shards"], recorded["data"]["validation_shards"]) == ("rain", "held_out")
    assert recorded["data"]["pairs"] is None
    assert "workers" not in recorded["data"]
    sources = (SourceConfig(shards="/somewhere/rain", weight=2), SourceConfig(photographs="/home/me/photos"))
    recorded = TrainConfig(data=DataConfig(sources=sources), steps=1).recorded()
    found = [(source["shards"], source["photographs"], source["weight"]) for source in recorded["data"]["sources"]]
    assert found == [("rain", None, 2), (None, "photos", 1)]


def test_validation_measures_pairs_of_a_folder_beside_shards(tmp_path, fake_shards):
    rng = np.random.default_rng(0)
    for side in ("input", "target"):
        (tmp_path / side).mkdir()
        for name in ("a.png", "b.png", "c.png"):
            write_picture(tmp_path / side / name, rng.integers(0, 256, (32, 40, 3), dtype=np.uint8))
    data = {"validation_pairs": str(tmp_path), "validation_samples_per_class": 2}
    both = validation_set(tiny_config(data=data))
    assert {name: len(pairs) for name, pairs in both.pairs.items()} == {
        "light": 2, "heavy": 2, "violent": 2, "unknown": 2
    }  # fmt: skip
    alone = validation_set(tiny_config(data=data | {"validation_shards": None}))
    assert [name for name in alone.pairs] == ["unknown"]
    np.testing.assert_array_equal(alone.pairs["unknown"][0][1], read_photo(tmp_path / "target" / "a.png")[:, 4:36])
