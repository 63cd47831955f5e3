"""What a run tells: rates over the steps since they were last asked, and TensorBoard with every step once."""

import pytest
from test_trainer import fake_shards, files_of, one_thread, tiny_config  # noqa: F401

from mspfn.reports import Progress, Rate, TensorBoardLog, scalars
from mspfn.trainer import train

RECORD = {"loss": 0.5, "loss_parts": {"picture": 0.5}, "gradient_norm": None, "stage": "all rates"}


def progress(step, record=None, step_s=0.5):
    return Progress(step, 10, 0.5, "all rates", 8, step_s, 0.1, record or {})


def test_rates_are_those_of_the_steps_since_they_were_last_taken():
    rate = Rate()
    assert rate.take() == {}
    for step in (1, 2):
        rate.count(progress(step))
    assert rate.take() == pytest.approx({"samples_per_s": 16, "data_share": 0.2})
    rate.count(progress(3, step_s=0.2))
    assert rate.take() == pytest.approx({"samples_per_s": 40, "data_share": 0.5})


def test_numbers_of_a_record_are_named_by_their_group_and_words_are_left_out():
    record = RECORD | {"psnr_y_db": {"light": 30.0, "all": 28.0}}
    assert scalars(record) == {
        "loss": 0.5, "loss_parts/picture": 0.5, "psnr_y_db/light": 30.0, "psnr_y_db/all": 28.0
    }  # fmt: skip


def test_tensorboard_shows_every_step_of_a_killed_and_resumed_run_once(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    for done, last in ((0, 7), (4, 8)):  # killed after step 7, resumed from a checkpoint of step 4
        log = TensorBoardLog(tmp_path, done)
        for step in range(done + 1, last + 1):
            log(progress(step, RECORD | {"loss": step + done} if step % 2 == 0 else None))
        log.close()
    events = accumulator.EventAccumulator(str(tmp_path / "tensorboard"))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss")] == [(2, 2), (4, 4), (6, 10), (8, 12)]
    assert {event.step for event in events.Scalars("samples_per_s")} == {2, 4, 6, 8}


def test_tensorboard_leaves_the_other_files_of_a_run_alone(tmp_path):
    pytest.importorskip("tensorboard")
    for name, tensorboard in (("plain", False), ("watched", True)):
        train(tiny_config(4, tensorboard=tensorboard), tmp_path / name)
    plain, watched = (files_of(tmp_path / name) for name in ("plain", "watched"))
    events = {name for name in watched if name.startswith("tensorboard/")}
    assert events
    assert {name: watched[name] for name in watched if name not in events} == plain
