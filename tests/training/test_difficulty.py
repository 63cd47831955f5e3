"""How hard samples are: from tables where these say it, else measured, and ordered by what a curriculum asks for."""

import numpy as np
import pytest
from fake_shards import FakeShards

from mspfn.curriculum_config import CurriculumConfig
from mspfn.dataset import Mixture, PairFolder, RenderedPairs, TrainingPairs
from mspfn.difficulty import figures, graded_samples
from mspfn.samples import Samples, share_below
from rainsynth.checks import InputError
from rainsynth.pictures import write_picture
from rainsynth.preset_choice import PresetChoice

TRAINING = {"patch_px": 8, "batch_size": 4, "steps": 10, "seed": 0}


def asking(difficulty, name="competence", **options):
    return CurriculumConfig(name=name, difficulty=difficulty, **options)


def with_columns(shards, **columns):
    """Fake shards whose table has more columns."""
    table = shards.table
    shards.table = np.empty(len(table), dtype=[*table.dtype.descr, *((name, float) for name in columns)])
    for name in table.dtype.names:
        shards.table[name] = table[name]
    for name, values in columns.items():
        shards.table[name] = values
    return shards


def plain_psnr_y_db(rainy, clean):
    """From the weights of ITU-R BT.601 in studio range, over all pixels."""
    luma = (rainy.astype(float) - clean) @ [65.481 / 255, 128.553 / 255, 24.966 / 255]
    return 10 * np.log10(255**2 / np.mean(luma**2))


def test_share_below_is_the_share_of_lower_values_by_their_weight_and_knows_no_unknown():
    rng = np.random.default_rng(0)
    values, share = rng.integers(0, 8, 40).astype(float), rng.random(40)
    values[[3, 9]] = np.nan
    known = ~np.isnan(values)
    expected = [share[known & (values < value)].sum() / share[known].sum() for value in values]
    np.testing.assert_allclose(share_below(values, share)[known], np.array(expected)[known], atol=1e-12)
    assert np.isnan(share_below(values, share)[~known]).all()
    assert np.isnan(share_below(np.full(2, np.nan), np.ones(2))).all()


@pytest.mark.parametrize(("samples", "bins"), [(40, 8), (41, 8), (17, 3), (8, 8)])
def test_bins_are_equal_and_in_order_of_difficulty(samples, bins):
    difficulty = np.random.default_rng(0).permutation(samples).astype(float)
    found = Samples(np.full(samples, np.nan), difficulty=difficulty).bins(bins)
    counts = np.bincount(found, minlength=bins)
    assert counts.max() - counts.min() <= 1
    assert (np.diff(found[np.argsort(difficulty)]) >= 0).all()


def test_bins_go_by_the_weight_of_sources_and_leave_unknown_samples_out():
    # two samples of the first source have half of the draws of known difficulty: they fill the first two bins of four
    difficulty = np.array([1.0, 2, 3, 4, 5, 6, np.nan])
    share = np.array([2.0, 2, 1, 1, 1, 1, 8]) / 16
    samples = Samples(np.full(7, np.nan), share, np.array([0, 0, 1, 1, 1, 1, 2]), difficulty)
    assert samples.bins(4).tolist() == [0, 1, 2, 2, 3, 3, -1]


def test_shards_are_as_hard_as_their_table_says():
    shards = with_columns(FakeShards(3), psnr_y_db=[30.0, 20, 25], coverage_fraction=[0.1, 0.5, 0.6])
    mixture = Mixture([shards], [1])
    assert graded_samples(asking("input-psnr"), mixture).difficulty.tolist() == [-30, -20, -25]
    assert graded_samples(asking("coverage"), mixture).difficulty.tolist() == [0.1, 0.5, 0.6]
    both = graded_samples(asking({"input-psnr": 2, "coverage": 1, "rain-rate": 1}), mixture)
    # shares that are easier: by PSNR 0, 2/3, 1/3; by coverage 0, 1/3, 2/3; by rate, 1 to 3 mm/h, likewise
    np.testing.assert_allclose(both.difficulty, [0, 4 / 3 + 2 / 3, 2 / 3 + 4 / 3])
    assert both.rain_rate_mm_h.tolist() == [1, 2, 3]
    assert graded_samples(asking("rain-rate"), mixture) is mixture.samples


def test_units_of_difficulty_do_not_matter():
    rng = np.random.default_rng(4)
    psnr_y_db, coverage = rng.uniform(10, 40, 30), rng.random(30)
    plain = with_columns(FakeShards(30), psnr_y_db=psnr_y_db, coverage_fraction=coverage)
    other = with_columns(FakeShards(30), psnr_y_db=10 * psnr_y_db, coverage_fraction=coverage**3)
    config = asking({"input-psnr": 2, "coverage": 1})
    found = [graded_samples(config, Mixture([shards], [1])).difficulty for shards in (plain, other)]
    np.testing.assert_array_equal(*found)


def test_a_psnr_that_is_missing_is_measured_and_a_coverage_stays_unknown():
    shards = with_columns(FakeShards(3), psnr_y_db=[30.0, np.nan, np.inf])
    found = figures(shards, ["input-psnr", "coverage"])
    measured = plain_psnr_y_db(shards.rainy[1], shards.clean[1])
    np.testing.assert_allclose(found["input-psnr"], [-30, -measured, -np.inf])
    assert np.isnan(found["coverage"]).all()
    assert np.isnan(shards.table["psnr_y_db"][1])  # the table is not written to


@pytest.fixture
def pairs(tmp_path):
    """Three pairs, the second with the strongest rain and the third without any."""
    rng = np.random.default_rng(0)
    for name, strength in (("a", 20), ("b", 90), ("c", 0)):
        clean = rng.integers(0, 150, (24, 32, 3), dtype=np.uint8)
        rainy = clean + rng.integers(0, strength + 1, clean.shape, dtype=np.uint8)
        write_picture(tmp_path / "target" / f"{name}.png", clean)
        write_picture(tmp_path / "input" / f"{name}.png", rainy)
    return PairFolder(tmp_path)


def test_folders_of_pairs_are_ordered_by_the_psnr_of_their_input(pairs):
    mixture = Mixture([pairs], [1])
    difficulty = graded_samples(asking("input-psnr"), mixture).difficulty
    assert difficulty[0] == pytest.approx(-plain_psnr_y_db(pairs[0].rainy_srgb8, pairs[0].clean_srgb8))
    assert difficulty.argsort().tolist() == [2, 0, 1]
    config = asking("input-psnr", "light-to-heavy", start_competence_fraction=0.5, replay_fraction=0)
    assert set(TrainingPairs(mixture, **TRAINING | {"batch_size": 50}, curriculum=config).windows(0).sample) == {0, 2}
    for unknown in ("coverage", {"coverage": 1, "input-psnr": 1}):
        with pytest.raises(InputError, match=r"^curriculum.difficulty must be known of some samples, got .* of none"):
            TrainingPairs(mixture, **TRAINING, curriculum=asking(unknown))


def test_in_a_mixture_what_is_unknown_keeps_its_weight(pairs):
    shards = with_columns(FakeShards(4), coverage_fraction=[0.1, 0.5, 0.6, 0.9])
    config = asking("coverage", start_competence_fraction=0.5, replay_fraction=0)
    drawn = TrainingPairs(
        Mixture([shards, pairs], [1, 1]), **TRAINING | {"batch_size": 4000}, curriculum=config
    ).windows(0)
    share = np.bincount(drawn.sample, minlength=7) / 4000
    np.testing.assert_allclose(share, [1 / 4, 1 / 4, 0, 0, 1 / 6, 1 / 6, 1 / 6], atol=0.03)  # 4 sigma of 4000 draws


def test_rendered_rain_is_judged_by_the_middle_of_each_sample(tmp_path, photo_srgb8):
    write_picture(tmp_path / "photo.png", np.tile(photo_srgb8, (2, 2, 1)))  # 96 x 128 px
    presets = (PresetChoice(preset="light"), PresetChoice(preset="violent"), PresetChoice(preset="rain100h"))
    source = RenderedPairs(tmp_path, presets, seed=3, samples=12)
    found = figures(source, ["input-psnr", "coverage"])
    for sample in (0, 5, 11):
        middle = source.crop(sample, 16, 32, 64)
        expected = -plain_psnr_y_db(middle.rainy_srgb8, middle.clean_srgb8)
        assert found["input-psnr"][sample] == pytest.approx(expected)
        # a drop covers a pixel that it hides for a hundredth of the exposure
        assert found["coverage"][sample] == np.mean(middle.streak_alpha16 >= 0.01 * 65535)
    again = figures(RenderedPairs(tmp_path, presets, seed=3, samples=12), ["input-psnr"])
    np.testing.assert_array_equal(again["input-psnr"], found["input-psnr"])
    kind = source.table["preset"]
    assert found["input-psnr"][kind == b"light"].max() < found["input-psnr"][kind == b"rain100h"].min()


def test_the_uniform_curriculum_looks_at_no_picture(pairs):
    mixture = Mixture([pairs], [1])
    (pairs.path / "input" / "b.png").write_bytes(b"damaged")
    assert graded_samples(CurriculumConfig(difficulty="input-psnr"), mixture) is mixture.samples
