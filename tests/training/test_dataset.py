"""Batches are a function of (seed, step), and hold the windows that they say."""

import numpy as np
import pytest
import torch
from fake_shards import FakeShards
from PIL import Image

from mspfn.curriculum import CurriculumConfig
from mspfn.data_config import PatchStage
from mspfn.dataset import PairFolder, RenderedPairs, TrainingPairs
from mspfn.degradations import Degradations
from mspfn.pixels import codes_of, unit_pictures
from mspfn.training_pairs import oriented
from rainsynth.checks import InputError
from rainsynth.pictures import write_picture
from rainsynth.preset_choice import PresetChoice


def training_pairs(source=None, **changes):
    options = {"patch_px": 8, "batch_size": 5, "steps": 100, "seed": 0, "curriculum": CurriculumConfig()} | changes
    return TrainingPairs(FakeShards() if source is None else source, **options)


def equal(batch, other):
    return all(np.array_equal(picture, twin) for picture, twin in zip(batch, other, strict=True))


def write_pairs(folder, names=("a.png", "b.png"), sizes=((20, 30), (16, 24))):
    rng = np.random.default_rng(0)
    for side in ("input", "target"):
        (folder / side).mkdir(parents=True)
        for name, size in zip(names, sizes, strict=True):
            Image.fromarray(rng.integers(0, 256, (*size, 3), dtype=np.uint8)).save(folder / side / name)
    return folder


def test_two_fresh_objects_agree_on_every_step_in_any_order():
    first, second = training_pairs(), training_pairs()
    ahead = {step: first.pictures(step) for step in range(10)}
    for step in reversed(range(10)):
        assert equal(second.pictures(step), ahead[step])


def test_batches_differ_between_steps_and_between_seeds():
    pairs = training_pairs()
    assert not equal(pairs.pictures(0), pairs.pictures(1))
    assert not equal(pairs.pictures(0), training_pairs(seed=1).pictures(0))


def test_batch_is_float32_in_0_to_1_with_channels_last_and_of_the_asked_shape():
    for picture in map(unit_pictures, training_pairs().pictures(3)):
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
    rainy, aim = pairs.pictures(7)
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


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
def test_a_turned_picture_is_turned_to_the_left_as_numpy_does_and_then_mirrored(quarter_turns, channels):
    whole = np.random.default_rng(0).integers(256, size=(9, 9, channels), dtype=np.uint8)
    picture = whole[2:7, 1:6]  # part of a larger picture, as windows are
    turned = np.rot90(picture, quarter_turns)
    np.testing.assert_array_equal(oriented(picture, False, quarter_turns), turned)
    np.testing.assert_array_equal(oriented(picture, True, quarter_turns), turned[:, ::-1])


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
    tensor = unit_pictures(pictures)
    assert tensor[0, :, 15, 15].tolist() == [1, 1, 1]
    np.testing.assert_array_equal(codes_of(tensor, np.dtype(np.uint8)), pictures)


def test_pictures_of_the_network_are_clipped_and_rounded():
    tensor = torch.tensor([-0.2, 1.3, 100.4 / 255, 100.6 / 255]).reshape(1, 1, 2, 2).expand(1, 3, 2, 2)
    np.testing.assert_array_equal(codes_of(tensor, np.dtype(np.uint8))[0, :, :, 0], [[0, 255], [100, 101]])


@pytest.mark.parametrize("target", ["clean", "veiled"])
def test_a_share_of_windows_shows_the_target_itself(target):
    options = {"batch_size": 400, "target": target}
    dry = training_pairs(clean_fraction=0.25, **options).pictures(0)
    wet = training_pairs(**options).pictures(0)
    np.testing.assert_array_equal(dry[1], wet[1])  # the same windows
    untouched = (dry[0] == dry[1]).all(axis=(1, 2, 3))
    np.testing.assert_array_equal(dry[0][~untouched], wet[0][~untouched])
    assert 0.15 < untouched.mean() < 0.35 + (wet[0] == wet[1]).all(axis=(1, 2, 3)).mean()  # 4.6 sigma of 400 draws


def test_degradations_reach_the_rainy_picture_and_not_the_target():
    options = {"batch_size": 300, "patch_px": 16}
    plain = training_pairs(**options).pictures(4)
    changed = training_pairs(degradations=Degradations(jpeg_quality=(30, 60), fraction=0.5), **options).pictures(4)
    again = training_pairs(degradations=Degradations(jpeg_quality=(30, 60), fraction=0.5), **options).pictures(4)
    assert equal(changed, again)
    np.testing.assert_array_equal(changed[1], plain[1])
    degraded = (changed[0] != plain[0]).any(axis=(1, 2, 3))
    assert 0.36 < degraded.mean() < 0.64  # 4.8 sigma of 300 draws


def test_pair_folder_is_read_as_a_set_of_shards_is(tmp_path):
    folder = PairFolder(write_pairs(tmp_path))
    assert len(folder) == 2
    assert folder.table["height_px"].tolist() == [20, 16]
    assert folder.table["width_px"].tolist() == [30, 24]
    assert np.isnan(folder.table["rain_rate_mm_h"]).all()
    stored = np.asarray(Image.open(tmp_path / "target" / "b.png"))
    np.testing.assert_array_equal(folder[1].clean_srgb8, stored)
    np.testing.assert_array_equal(folder.crop(1, 2, 3, 8).clean_srgb8, stored[2:10, 3:11])
    rainy, target = training_pairs(folder).pictures(0)
    assert rainy.shape == target.shape == (5, 8, 8, 3)
    assert not np.array_equal(rainy, target)


def test_pair_folder_without_its_cache_reads_the_same(tmp_path):
    cached, uncached = PairFolder(write_pairs(tmp_path)), PairFolder(tmp_path, cache_bytes=0)
    for step in (0, 1):
        assert equal(training_pairs(uncached).pictures(step), training_pairs(cached).pictures(step))
    assert (len(cached.decoded), len(uncached.decoded)) == (4, 0)


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


def test_pair_folder_has_one_target_whatever_it_is_called(tmp_path):
    folder = PairFolder(write_pairs(tmp_path))
    clean, veiled = (training_pairs(folder, target=target).pictures(0) for target in ("clean", "veiled"))
    np.testing.assert_array_equal(clean, veiled)


def test_rows_made_apart_are_the_rows_of_the_whole_batch():
    options = {
        "batch_size": 7,
        "clean_fraction": 0.3,
        "degradations": Degradations(jpeg_quality=(30, 60)),
        "layers": True,
    }
    whole = training_pairs(**options).pictures(3)
    for rank in range(3):
        part = training_pairs(**options, rows=slice(rank, None, 3)).pictures(3)
        assert equal(part, [pictures[rank::3] for pictures in whole])


def test_windows_grow_and_batches_shrink_as_the_schedule_says():
    later = (
        PatchStage(from_progress=0.25, patch_px=16, batch_size=3),
        PatchStage(from_progress=0.5, patch_px=24, batch_size=1),
    )
    pairs = training_pairs(patch_schedule=later)
    shapes = [pairs.pictures(step)[0].shape for step in (0, 24, 25, 49, 50, 99)]
    first, middle, last = (5, 8, 8, 3), (3, 16, 16, 3), (1, 24, 24, 3)
    assert shapes == [first, first, middle, middle, last, last]
    with pytest.raises(InputError, match=r"^patch_px must be at most 24, .*got 25"):
        training_pairs(patch_schedule=[PatchStage(from_progress=0.9, patch_px=25, batch_size=1)])


def test_a_schedule_leaves_the_batches_before_it_alone():
    later = (PatchStage(from_progress=0.5, patch_px=16, batch_size=3),)
    assert equal(training_pairs(patch_schedule=later).pictures(49), training_pairs().pictures(49))


@pytest.mark.parametrize("turns", [False, True])
def test_layers_lie_where_the_rain_is_and_pictures_are_those_without_them(turns):
    options = {"batch_size": 30, "turns": turns, "target": "clean"}
    rainy, clean, veiled, mask = training_pairs(**options, layers=True).pictures(2)
    assert equal((rainy, clean), training_pairs(**options).pictures(2))
    assert (mask.shape, mask.dtype) == ((30, 8, 8, 1), np.uint8)
    np.testing.assert_array_equal(mask[..., 0] == 255, (rainy > veiled).all(axis=-1))
    np.testing.assert_array_equal(rainy.astype(int) - veiled, np.where(mask == 255, 70, 0).repeat(3, axis=-1))


def test_windows_shown_without_rain_have_empty_layers():
    rainy, clean, veiled, mask = training_pairs(clean_fraction=1.0, layers=True).pictures(2)
    assert not mask.any()
    assert equal((rainy, veiled), (clean, clean))


def test_rendered_rain_has_layers_that_fit_its_pictures(tmp_path):
    write_picture(tmp_path / "photo.png", np.full((48, 64, 3), 90, np.uint8))
    source = RenderedPairs(tmp_path, [PresetChoice(preset="rain100l")], seed=0)  # nothing but streaks, no fine texture
    rainy, _, veiled, mask = training_pairs(source, patch_px=32, batch_size=4, layers=True).pictures(0)
    touched = (rainy != veiled).any(axis=-1)
    assert (mask[..., 0][touched] == 255).all()
    assert 0.1 < 0.8 * (mask == 255).mean() < touched.mean()  # the faintest change no code


def test_data_without_layers_is_refused_before_it_is_read(tmp_path):
    with pytest.raises(InputError, match=r"^data must have layers, got the folder of pairs .*loss.mask_weight and"):
        training_pairs(PairFolder(write_pairs(tmp_path)), layers=True)
    bare = FakeShards()
    bare.layer_names = lambda index: () if index == 4 else ("streak_alpha16", "transmission16", "depth_m")
    with pytest.raises(InputError, match=r"^data must have layers, got shards whose sample 4 lacks some"):
        training_pairs(bare, layers=True)
    training_pairs(bare)
