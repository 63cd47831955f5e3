"""Batches are a function of (seed, step), and hold the windows that they say."""

import threading

import numpy as np
import pytest
import torch
from fake_shards import FakeShards
from PIL import Image

from mspfn.curriculum import CurriculumConfig
from mspfn.dataset import Prefetcher, TrainingPairs, oriented, to_srgb8, to_tensor
from mspfn.pair_folder import PairFolder
from rainsynth.checks import InputError


def training_pairs(source=None, **changes):
    options = {"patch_px": 8, "batch_size": 5, "steps": 100, "seed": 0, "curriculum": CurriculumConfig()} | changes
    return TrainingPairs(FakeShards() if source is None else source, **options)


def equal(batch, other):
    return all(torch.equal(picture, twin) for picture, twin in zip(batch, other, strict=True))


def write_pairs(folder, names=("a.png", "b.png"), sizes=((20, 30), (16, 24))):
    rng = np.random.default_rng(0)
    for side in ("input", "target"):
        (folder / side).mkdir(parents=True)
        for name, size in zip(names, sizes, strict=True):
            Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / side / name)
    return folder


def test_two_fresh_objects_agree_on_every_step_in_any_order():
    first, second = training_pairs(), training_pairs()
    ahead = {step: first.batch(step) for step in range(10)}
    for step in reversed(range(10)):
        assert equal(second.batch(step), ahead[step])


def test_batches_differ_between_steps_and_between_seeds():
    pairs = training_pairs()
    assert not equal(pairs.batch(0), pairs.batch(1))
    assert not equal(pairs.batch(0), training_pairs(seed=1).batch(0))


def test_batch_is_float32_in_0_to_1_with_channels_last_and_of_the_asked_shape():
    for picture in training_pairs().batch(3):
        assert picture.shape == (5, 3, 8, 8)
        assert picture.dtype == torch.float32
        assert 0 <= picture.min() < picture.max() <= 1
        assert picture.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("target", ["clean", "veiled"])
@pytest.mark.parametrize("turns", [False, True])
def test_batch_holds_the_windows_that_were_drawn(target, turns):
    source = FakeShards()
    pairs = training_pairs(source, target=target, turns=turns, batch_size=20)
    windows = pairs.windows(7)
    rainy, aim = (to_srgb8(tensor) for tensor in pairs.batch(7))
    for row, (sample, top, left, flipped, quarter_turns) in enumerate(zip(*windows, strict=True)):
        window = np.s_[sample, top : top + 8, left : left + 8]
        for batch, stack in ((rainy, source.rainy), (aim, getattr(source, target))):
            expected = np.rot90(stack[window], quarter_turns)
            np.testing.assert_array_equal(batch[row], np.flip(expected, axis=1) if flipped else expected)


def test_windows_reach_every_border_and_both_mirrorings():
    windows = training_pairs(batch_size=4000).windows(0)
    assert set(windows.top) == set(range(24 - 8 + 1))
    assert set(windows.left) == set(range(32 - 8 + 1))
    assert 0.45 < windows.flipped.mean() < 0.55  # 6 sigma of 4000 fair draws


def test_quarter_turns_are_drawn_only_when_asked_for():
    assert not training_pairs(batch_size=100).windows(0).quarter_turns.any()
    assert set(training_pairs(batch_size=100, turns=True).windows(0).quarter_turns) == {0, 1, 2, 3}


def test_a_mirrored_picture_keeps_its_rows():
    picture = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    np.testing.assert_array_equal(oriented(picture, True, 0), picture[:, [2, 1, 0]])


def test_draws_follow_the_curriculum_of_the_step():
    curriculum = CurriculumConfig(name="light-to-heavy", start_rain_rate_mm_h=2, reached_at=0.5, replay_fraction=0)
    pairs = training_pairs(FakeShards(rates=[1, 2, 30, 64]), curriculum=curriculum, batch_size=200)
    assert set(pairs.windows(0).sample) == {0, 1}
    assert set(pairs.windows(40).sample) == {0, 1, 2}  # 2 * 32^0.8 = 32 mm/h
    assert set(pairs.windows(50).sample) == {0, 1, 2, 3}
    assert [pairs.stage(step) for step in (0, 40, 50)] == ["rates up to 2 mm/h", "rates up to 32 mm/h", "all rates"]


def test_patch_larger_than_the_smallest_sample_is_refused():
    with pytest.raises(InputError, match=r"^patch_px must be at most 24, .*got 25"):
        training_pairs(patch_px=25)


def test_every_8_bit_code_survives_the_way_to_the_network_and_back():
    pictures = np.arange(256, dtype=np.uint8).repeat(3).reshape(1, 16, 16, 3)
    tensor = to_tensor(pictures)
    assert tensor[0, :, 15, 15].tolist() == [1, 1, 1]
    np.testing.assert_array_equal(to_srgb8(tensor), pictures)


def test_pictures_of_the_network_are_clipped_and_rounded():
    tensor = torch.tensor([-0.2, 1.3, 100.4 / 255, 100.6 / 255]).reshape(1, 1, 2, 2).expand(1, 3, 2, 2)
    np.testing.assert_array_equal(to_srgb8(tensor)[0, :, :, 0], [[0, 255], [100, 101]])


def test_prefetcher_makes_the_next_batch_before_it_is_asked_for_and_none_beyond_the_end():
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


def test_prefetcher_hands_on_the_error_of_a_batch():
    def fail(step):
        raise InputError("shard must be whole.")

    with Prefetcher(fail, steps=3) as batches, pytest.raises(InputError, match="shard must be whole"):
        batches.take(0)


def test_pair_folder_is_read_as_a_set_of_shards_is(tmp_path):
    folder = PairFolder(write_pairs(tmp_path))
    assert len(folder) == 2
    assert folder.table["height_px"].tolist() == [20, 16]
    assert folder.table["width_px"].tolist() == [30, 24]
    assert np.isnan(folder.table["rain_rate_mm_h"]).all()
    stored = np.asarray(Image.open(tmp_path / "target" / "b.png"))
    np.testing.assert_array_equal(folder[1].clean_srgb8, stored)
    np.testing.assert_array_equal(folder.crop(1, 2, 3, 8).clean_srgb8, stored[2:10, 3:11])
    rainy, target = training_pairs(folder).batch(0)
    assert rainy.shape == target.shape == (5, 3, 8, 8)
    assert not torch.equal(rainy, target)


def test_pair_folder_without_its_cache_reads_the_same(tmp_path, monkeypatch):
    cached = PairFolder(write_pairs(tmp_path))
    expected = [training_pairs(cached).batch(step) for step in (0, 1)]
    assert len(cached._decoded) == 4
    monkeypatch.setattr("mspfn.pair_folder.CACHE_BYTES", 0)
    uncached = PairFolder(tmp_path)
    assert all(equal(training_pairs(uncached).batch(step), expected[step]) for step in (0, 1))
    assert not uncached._decoded


def test_pair_folder_refuses_names_that_lack_their_partner(tmp_path):
    write_pairs(tmp_path)
    (tmp_path / "input" / "b.png").unlink()
    with pytest.raises(InputError, match=r"must hold the same names in input/ and target/, got 1 .* such as b.png"):
        PairFolder(tmp_path)


def test_pair_folder_refuses_a_pair_of_two_sizes(tmp_path):
    write_pairs(tmp_path)
    Image.new("RGB", (5, 5)).save(tmp_path / "target" / "a.png")
    with pytest.raises(InputError, match=r"must hold pairs of one size, got \(20, 30\) and \(5, 5\) for a.png"):
        _ = PairFolder(tmp_path)[0]


def test_pair_folder_allows_only_the_uniform_curriculum(tmp_path):
    with pytest.raises(InputError, match=r"^curriculum.name must be uniform"):
        training_pairs(PairFolder(write_pairs(tmp_path)), curriculum=CurriculumConfig(name="competence"))


def test_pair_folder_has_no_veiled_target(tmp_path):
    with pytest.raises(InputError, match=r"^target must be clean for a folder of pairs"):
        training_pairs(PairFolder(write_pairs(tmp_path)), target="veiled").batch(0)
