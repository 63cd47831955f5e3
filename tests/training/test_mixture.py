"""A mixture draws its sources by weight, and hands on what each of them holds."""

import numpy as np
import pytest
from fake_shards import FakeShards

from mspfn import mixture
from mspfn.curriculum import CurriculumConfig
from mspfn.data_config import DataConfig, SourceConfig
from mspfn.dataset import Mixture, PairFolder, RenderedPairs, TrainingPairs
from mspfn.mixture import training_mixture
from rainsynth.checks import InputError
from rainsynth.pictures import write_picture
from rainsynth.preset_choice import PresetChoice


def write_pairs(folder, photo_srgb8):
    write_picture(folder / "input" / "a.png", np.clip(photo_srgb8 + 30.0, 0, 255).astype(np.uint8))
    write_picture(folder / "target" / "a.png", photo_srgb8)
    return folder


def test_mixture_holds_its_sources_one_after_the_other():
    first, second = FakeShards(3, seed=1), FakeShards(2, seed=2, height_px=16, rates=[7, 8])
    both = Mixture([first, second], [1, 1])
    assert len(both) == 5
    assert both.table["rain_rate_mm_h"].tolist() == [1, 2, 3, 7, 8]
    assert both.table["height_px"].tolist() == [24, 24, 24, 16, 16]
    np.testing.assert_array_equal(both[2].rainy_srgb8, first.rainy[2])
    np.testing.assert_array_equal(both[3].clean_srgb8, second.clean[0])
    np.testing.assert_array_equal(both.crop(4, 1, 2, 8).veiled_srgb8, second.veiled[1, 1:9, 2:10])


@pytest.mark.parametrize("name", ["uniform", "light-to-heavy"])
def test_sources_are_drawn_by_weight_and_not_by_size_also_under_a_curriculum(name):
    sources = [FakeShards(40, rates=np.geomspace(1, 100, 40)), FakeShards(3, rates=[2, 30, 60]), FakeShards(1)]
    both = Mixture(sources, [5, 3, 2])
    curriculum = CurriculumConfig(name=name)
    pairs = TrainingPairs(both, patch_px=8, batch_size=5000, steps=10, seed=0, curriculum=curriculum)
    for step in (0, 2, 9):
        drawn = np.bincount([both.locate(index)[0] for index in pairs.windows(step).sample]) / 5000
        np.testing.assert_allclose(drawn, [0.5, 0.3, 0.2], atol=0.03)  # 4 sigma of 5000 draws


def test_a_source_alone_and_a_mixture_of_one_give_the_same_batches():
    options = {"patch_px": 8, "batch_size": 6, "steps": 10, "seed": 3, "curriculum": CurriculumConfig()}
    alone = TrainingPairs(FakeShards(), **options).pictures(4)
    mixed = TrainingPairs(Mixture([FakeShards()], [7.0]), **options).pictures(4)
    np.testing.assert_array_equal(alone, mixed)


def test_config_opens_every_kind_of_source_and_the_short_form_opens_the_same(tmp_path, photo_srgb8, monkeypatch):
    monkeypatch.setattr(mixture, "open_shards", {"shards": FakeShards(6)}.__getitem__)
    pairs = str(write_pairs(tmp_path, photo_srgb8))
    photographs, presets = str(tmp_path / "target"), (PresetChoice(preset="rain100l"), PresetChoice(preset="violent"))
    sources = (
        SourceConfig(photographs=photographs, presets=presets, weight=5),
        SourceConfig(shards="shards", weight=3),
        SourceConfig(pairs=pairs, weight=2),
    )
    found = training_mixture(DataConfig(sources=sources), seed=1)
    assert [type(source) for source in found.sources] == [RenderedPairs, FakeShards, PairFolder]
    np.testing.assert_allclose(np.bincount(found.samples.source, found.samples.share), [0.5, 0.3, 0.2])
    options = {"patch_px": 24, "batch_size": 8, "steps": 9, "seed": 1}
    batch = TrainingPairs(found, curriculum=CurriculumConfig(name="light-to-heavy"), **options).pictures(0)
    assert [picture.shape for picture in batch] == [(8, 24, 24, 3)] * 2

    for source in sources:
        short = {"shards": source.shards, "pairs": source.pairs, "photographs": source.photographs}
        short |= {"presets": presets} if source.photographs else {}
        uniform = {"curriculum": CurriculumConfig()} | options
        twins = DataConfig(**short), DataConfig(sources=(source,))
        batches = [TrainingPairs(training_mixture(twin, 1), **uniform).pictures(2) for twin in twins]
        np.testing.assert_array_equal(*batches)


def test_two_rendered_sources_of_a_run_have_rain_of_their_own(tmp_path, photo_srgb8):
    write_pairs(tmp_path, photo_srgb8)
    source = SourceConfig(photographs=str(tmp_path / "target"))
    first, second = training_mixture(DataConfig(sources=(source, source)), seed=1).sources
    assert not np.array_equal(first.table["rain_rate_mm_h"], second.table["rain_rate_mm_h"])


def test_memory_for_decoded_pictures_is_shared_by_sources_and_workers(tmp_path, photo_srgb8):
    source = SourceConfig(pairs=str(write_pairs(tmp_path, photo_srgb8)))
    found = training_mixture(DataConfig(sources=(source, source), workers=4), seed=1)
    assert [folder.decoded.limit_bytes for folder in found.sources] == [2**30 // 8] * 2


def test_a_mixture_without_any_rate_allows_only_the_uniform_curriculum():
    both = Mixture([FakeShards(rates=[np.nan] * 6), FakeShards(rates=[np.nan] * 6)], [1, 1])
    with pytest.raises(InputError, match=r"^curriculum.name must be uniform for samples of unknown rain rate"):
        TrainingPairs(
            both, patch_px=8, batch_size=1, steps=1, seed=0, curriculum=CurriculumConfig(name="light-to-heavy")
        )
