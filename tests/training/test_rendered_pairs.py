"""Rain on photographs while training: planned samples, windows of the photograph's camera, drops that never repeat."""

import pickle

import numpy as np
import pytest

from mspfn import rendered_pairs
from mspfn.curriculum import CurriculumConfig
from mspfn.data_config import EVERY_CLASS
from mspfn.dataset import RenderedPairs, TrainingPairs
from rainsynth.checks import InputError
from rainsynth.named_rain import render_preset
from rainsynth.pictures import write_picture
from rainsynth.preset_choice import PresetChoice

HEAVY = (PresetChoice(preset="heavy"),)


@pytest.fixture
def photographs(tmp_path, photo_srgb8):
    """Folder of three photographs, 48 x 64 px."""
    for name, shift in (("a", 0), ("b", 7), ("c", 20)):
        write_picture(tmp_path / "photos" / f"{name}.png", np.roll(photo_srgb8, shift, axis=1))
    return tmp_path / "photos"


def test_plan_shows_photographs_in_rounds_presets_by_weight_and_rates_evenly_in_their_logarithm(photographs):
    presets = (
        PresetChoice(preset="heavy", weight=2),
        PresetChoice(preset="rain100h"),
        PresetChoice(preset="windy", weight=5, rain_rate_mm_h=(1, 100)),
    )
    table = RenderedPairs(photographs, presets, seed=0, samples=800).table
    for first in range(0, 798, 3):
        assert set(table["name"][first : first + 3]) == {b"a.png", b"b.png", b"c.png"}
    rates = {name: table["rain_rate_mm_h"][table["preset"] == name.encode()] for name in ("heavy", "rain100h", "windy")}
    assert {name: len(found) for name, found in rates.items()} == {"heavy": 200, "rain100h": 100, "windy": 500}
    assert np.isnan(rates["rain100h"]).all()
    assert rates["heavy"].min() >= 10
    assert rates["heavy"].max() <= 50
    below = [np.mean(rates["windy"] < limit) for limit in (10**0.5, 10, 10**1.5)]
    np.testing.assert_allclose(below, [0.25, 0.5, 0.75], atol=0.09)  # 4 sigma of 500 draws
    assert (table["height_px"] == 48).all()
    assert (table["width_px"] == 64).all()


def test_there_are_at_least_as_many_samples_as_photographs(photographs):
    assert set(RenderedPairs(photographs, HEAVY, seed=0, samples=1).table["name"]) == {b"a.png", b"b.png", b"c.png"}


def test_without_presets_of_ones_own_every_class_of_rain_falls(photographs):
    rates = RenderedPairs(photographs, EVERY_CLASS, seed=0, samples=100).table["rain_rate_mm_h"]
    assert np.histogram(rates, [0.5, 2.5, 10, 50, 150])[0].tolist() == [25, 25, 25, 25]


def test_plan_and_windows_are_a_function_of_the_seed_and_of_the_stream(photographs):
    def rainy(**options):
        pairs = RenderedPairs(photographs, HEAVY, **options)
        return pairs.table["rain_rate_mm_h"][:3].tolist(), pairs.crop(2, 5, 6, 24).rainy_srgb8.tolist()

    first = rainy(seed=4)
    assert rainy(seed=4) == first
    assert all(one != other for one, other in zip(rainy(seed=5), first, strict=True))
    assert all(one != other for one, other in zip(rainy(seed=4, stream=1), first, strict=True))


@pytest.mark.parametrize("preset", ["violent", "rain100l", "rain100h", "outdoor-rain", "raincityscapes"])
def test_a_window_shows_its_part_of_the_photograph_in_rain(photographs, photo_srgb8, preset):
    pairs = RenderedPairs(photographs, (PresetChoice(preset=preset),), seed=1)
    index = int(np.flatnonzero(pairs.table["name"] == b"a.png")[0])
    window = pairs.crop(index, 20, 30, 16)
    np.testing.assert_array_equal(window.clean_srgb8, photo_srgb8[20:36, 30:46])
    assert window.rainy_srgb8.shape == window.veiled_srgb8.shape == (16, 16, 3)
    assert (window.rainy_srgb8 != window.clean_srgb8).any()
    whole = pairs[index]
    np.testing.assert_array_equal(whole.clean_srgb8, photo_srgb8)
    assert whole.rainy_srgb8.shape == photo_srgb8.shape


@pytest.mark.parametrize("preset", ["violent", "outdoor-rain"])
def test_the_veil_of_a_window_is_that_of_the_whole_photograph(photographs, monkeypatch, preset):
    calls = []

    def spy(background, preset, **options):
        calls.append((background, options))
        return render_preset(background, preset, **options)

    monkeypatch.setattr(rendered_pairs, "render_preset", spy)
    pairs = RenderedPairs(photographs, (PresetChoice(preset=preset),), seed=3)
    veiled = pairs.crop(0, 9, 21, 32).veiled_srgb8
    ((background, options),) = calls
    whole = render_preset(background, preset, **(options | {"window": None}))  # the same weather, camera and light
    np.testing.assert_array_equal(veiled, whole.veiled_srgb8[9:41, 21:53])


def test_every_window_of_a_sample_has_drops_of_its_own_and_the_same_window_always_the_same(tmp_path):
    write_picture(tmp_path / "black.png", np.zeros((64, 64, 3), np.uint8))
    pairs = RenderedPairs(tmp_path, (PresetChoice(preset="rain100l"),), seed=0)
    first, again, beside = (pairs.crop(0, 0, left, 32).rainy_srgb8 for left in (0, 0, 8))
    np.testing.assert_array_equal(first, again)
    assert (first[:, 8:] != beside[:, :24]).mean() > 0.1


def test_photographs_that_do_not_fit_into_memory_are_read_each_time_and_give_the_same(photographs):
    kept, read = (RenderedPairs(photographs, HEAVY, seed=0, cache_bytes=size) for size in (48 * 64 * 3 * 2, 0))
    for index in range(6):
        one, other = kept.crop(index, 3, 4, 20), read.crop(index, 3, 4, 20)
        np.testing.assert_array_equal(one.rainy_srgb8, other.rainy_srgb8)
    assert (len(kept._backgrounds), len(read._backgrounds)) == (2, 0)


def test_a_copy_for_another_process_leaves_the_pictures_behind_and_renders_the_same(photographs):
    pairs = RenderedPairs(photographs, HEAVY, seed=0, samples=3)
    expected = pairs.crop(1, 2, 3, 24).rainy_srgb8
    sent = pickle.dumps(pairs)
    assert len(sent) < 48 * 64 * 3
    np.testing.assert_array_equal(pickle.loads(sent).crop(1, 2, 3, 24).rainy_srgb8, expected)


def test_clean_windows_are_not_rendered(photographs, monkeypatch):
    monkeypatch.setattr(rendered_pairs, "render_preset", lambda *_, **__: pytest.fail("rendered"))
    options = {"patch_px": 16, "batch_size": 4, "steps": 9, "seed": 0, "curriculum": CurriculumConfig()}
    pairs = TrainingPairs(RenderedPairs(photographs, HEAVY, seed=0), clean_fraction=1.0, **options)
    np.testing.assert_array_equal(*pairs.pictures(0))


def test_a_curriculum_orders_rendered_rain_by_its_rate(photographs):
    curriculum = CurriculumConfig(name="light-to-heavy", replay_fraction=0)
    source = RenderedPairs(photographs, EVERY_CLASS, seed=0)
    pairs = TrainingPairs(source, patch_px=16, batch_size=200, steps=100, seed=0, curriculum=curriculum)
    heaviest = [source.table["rain_rate_mm_h"][pairs.windows(step).sample].max() for step in (0, 25, 50)]
    assert heaviest[0] <= 2.5
    assert 10 < heaviest[1] < 20  # 2.5 * 60^0.5 = 19 mm/h halfway to 150
    assert heaviest[2] > 100


def test_a_folder_without_photographs_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"^photographs must hold at least one picture"):
        RenderedPairs(tmp_path, HEAVY, seed=0)
