"""Learning from rainy photographs without pairs: a teacher, a student, and a guard over what they lose."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from test_trainer import fake_shards, files_of, log_of, one_thread, tiny_config  # noqa: F401

from mspfn import load_weights
from mspfn.checkpoint import about_weights
from mspfn.guard import PARTS, GuardConfig, breach, farthest_fraction
from mspfn.mean_teacher import UnpairedConfig, disagreement
from mspfn.trainer import train
from mspfn.training_state import TrainingState
from mspfn.validation import ValidationSet
from rainsynth.checks import InputError
from rainsynth.pictures import write_picture
from rainsynth.preset_choice import PresetChoice

HEAVY = (PresetChoice(preset="heavy"),)


def restore(network, pictures):
    return network(pictures)


def squared(pictures):
    return pictures**2


@pytest.fixture
def photographs(tmp_path):
    rng = np.random.default_rng(5)
    for number in range(3):
        write_picture(tmp_path / "photos" / f"{number}.png", rng.integers(0, 256, (32, 40, 3), dtype=np.uint8))
    return tmp_path / "photos"


def adapting(photographs, steps=6, **changes):
    unpaired = UnpairedConfig(photographs=str(photographs), presets=HEAVY, patch_px=16, batch_size=3)
    return tiny_config(steps, **{"unpaired": unpaired} | changes)


def test_a_student_that_gives_what_a_sure_teacher_gives_disagrees_by_nothing():
    pictures = torch.rand(2, 3, 8, 8)
    assert disagreement(squared, squared, restore, pictures, pictures, doubt_codes=8).item() == pytest.approx(0)


def test_where_the_teacher_contradicts_its_mirror_image_it_counts_less():
    rainy, more_rain = torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5)
    ramp = torch.linspace(0, 30 / 255, 4)  # a teacher that adds a ramp whatever it sees

    def teacher(pictures):
        return pictures + ramp

    found = disagreement(torch.nn.Identity(), teacher, restore, more_rain, rainy, doubt_codes=10).item()
    difference_codes = np.abs(np.array([0, 10, 20, 30.0]) - np.array([30.0, 20, 10, 0]))
    expected = np.mean((0.5 - 15 / 255) * np.exp(-difference_codes / 10))
    assert found == pytest.approx(expected, rel=1e-5)


def test_only_the_student_learns():
    student, teacher = torch.nn.Conv2d(3, 3, 1), torch.nn.Conv2d(3, 3, 1)
    disagreement(student, teacher, restore, torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 4), 8).backward()
    assert student.weight.grad is not None and teacher.weight.grad is None


def test_photographs_without_pairs_are_a_part_of_the_loss_and_change_the_weights(tmp_path, photographs):
    train(adapting(photographs), tmp_path / "adapted")
    train(tiny_config(6), tmp_path / "plain")
    assert set(log_of(tmp_path / "adapted")[0]["loss_parts"]) == {"picture", "unpaired"}
    adapted, plain = (load_weights(tmp_path / name / "weights.pt").state_dict() for name in ("adapted", "plain"))
    assert any(not torch.equal(adapted[name], plain[name]) for name in plain)


def test_a_resumed_adaptation_makes_the_files_of_one_that_was_left_alone(tmp_path, photographs, monkeypatch):
    config = adapting(photographs, steps=7, guard=GuardConfig(lost_db=50, dry_lost_db=90))
    train(config, tmp_path / "alone")
    left, real = [5], TrainingState.update_average

    def deadly(state):
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        real(state)

    with monkeypatch.context() as patch:
        patch.setattr(TrainingState, "update_average", deadly)
        with pytest.raises(KeyboardInterrupt):
            train(config, tmp_path / "killed")
    train(config, tmp_path / "killed", resume=True)
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "alone")


@pytest.mark.parametrize(
    ("now_db", "words"),
    [
        ({"all": 29.81, "dry": 60}, ""),
        ({"all": 29.79, "dry": 60}, "lost 0.21 dB on validation"),
        ({"all": 31, "dry": 44.1}, ""),
        ({"all": 31, "dry": 43.5}, "lost 1.50 dB on pictures without rain"),
    ],
)
def test_a_guard_holds_until_more_is_lost_than_it_allows(now_db, words):
    assert breach(GuardConfig(lost_db=0.2, dry_lost_db=1), {"all": 30, "dry": 70}, now_db) == words


@given(st.floats(0, 0.999))
def test_the_way_goes_as_far_as_the_guard_holds(limit):
    asked = []

    def holds(fraction):
        asked.append(fraction)
        return fraction <= limit

    assert farthest_fraction(holds) == pytest.approx(np.floor(PARTS * limit) / PARTS)
    assert len(asked) == 4
    assert 0 not in asked and 1 not in asked


def run_with(monkeypatch, path, photographs, scores, **guard):
    """A run that is validated every other step with these scores, the weights it had then, and the last that passed.

    Weights between the last that passed and the very last score what lies between their scores, as far along.
    """
    config = adapting(photographs, steps=20, guard=GuardConfig(**guard), validate_every_steps=2)
    held, seen = max(k for k, score in enumerate(scores) if score >= scores[0] - config.guard.lost_db), []

    def measure(_, network):
        state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        if len(seen) < len(scores):
            seen.append(state)
            return {"all": scores[len(seen) - 1], "dry": 60.0}
        way = distance(state, seen[held]) / distance(seen[-1], seen[held])
        return {"all": scores[held] + way * (scores[-1] - scores[held]), "dry": 60.0}

    monkeypatch.setattr(ValidationSet, "psnr_y_db", measure)
    return train(config, path), seen, seen[held]


def distance(one, other):
    return sum((one[name] - other[name]).square().sum().item() for name in one) ** 0.5


@pytest.mark.parametrize(
    ("scores", "guard", "steps", "kept_fraction"),
    [
        ([30.0, 30.5, 29.9, 29.0], {}, 6, 0.0625),  # (29.9 - 29.8) / (29.9 - 29) = 0.111
        ([30.0, 20.0], {}, 2, 0.0),  # 0.2 of 10 dB: less than a sixteenth
        ([30.0, 29.0, 29.0, 30.1, 29.0, 29.5, 29.7], {"patience": 3}, 12, 0.6875),  # 0.3 of 0.4 dB
    ],
)
def test_a_run_that_loses_ends_and_goes_back_as_far_as_it_must(
    tmp_path, photographs, monkeypatch, scores, guard, steps, kept_fraction
):
    result, seen, passed = run_with(monkeypatch, tmp_path / "run", photographs, scores, **guard)
    lost_db = scores[0] - scores[-1]
    assert (result.steps, result.breach) == (steps, f"lost {lost_db:.2f} dB on validation")
    assert result.kept_fraction == kept_fraction
    kept = load_weights(result.weights).state_dict()
    for name in kept:
        torch.testing.assert_close(kept[name], torch.lerp(passed[name], seen[-1][name], kept_fraction))
    told, last = log_of(tmp_path / "run")[-2:]
    assert told["guard"] == result.breach
    assert last["kept_fraction"] == about_weights(result.weights)["about"]["kept_fraction"] == kept_fraction


def test_a_run_that_lost_and_is_resumed_after_its_end_makes_the_same_files(tmp_path, photographs, monkeypatch):
    began = []

    def measure(_, network):
        state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        began.append(state)
        return {"all": 30 - 1000 * distance(state, began[0]), "dry": 60.0}

    monkeypatch.setattr(ValidationSet, "psnr_y_db", measure)
    config = adapting(photographs, steps=4, guard=GuardConfig(), validate_every_steps=4)
    once = train(config, tmp_path / "run")
    files = files_of(tmp_path / "run")
    assert 0 < once.kept_fraction < 1
    assert train(config, tmp_path / "run", resume=True) == once
    assert files_of(tmp_path / "run") == files


def test_targets_are_derained_too_with_a_guard_and_count_apart():
    class Darkening(torch.nn.Module):
        def forward(self, pictures):
            return pictures - 2 / 255

    from fake_shards import FakeShards

    pairs = FakeShards(seed=2, rates=[1, 2, 20, 30])
    plain = ValidationSet(pairs, samples_per_class=2, crop_px=16).psnr_y_db(Darkening())
    dry = ValidationSet(pairs, samples_per_class=2, crop_px=16, dry=True).psnr_y_db(Darkening())
    assert {name: dry[name] for name in plain} == plain
    luma_codes = 2 * 219 / 255  # of the step in all channels
    assert dry["dry"] == pytest.approx(20 * np.log10(255 / luma_codes), abs=0.3)  # less where black is clipped


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"guard": GuardConfig(), "data": {"validation_shards": None}}, "guard must go with data.validation_shards"),
        ({"ema_decay": 0}, "ema_decay must be more than 0 with unpaired"),
    ],
)
def test_what_cannot_go_together_is_refused(photographs, changes, message):
    with pytest.raises(InputError, match=message):
        adapting(photographs, **changes)


def test_a_config_keeps_the_name_of_the_photographs_and_not_their_place(photographs):
    assert adapting(photographs).recorded()["unpaired"]["photographs"] == "photos"
