"""Presets and look-alikes through one door: add_rain, shards, data sets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rainsynth
from pipelines.inspect import inspect
from rainsynth.checks import InputError
from rainsynth.lookalikes import LOOKALIKES
from rainsynth.named_rain import render_preset
from rainsynth.presets import PRESETS
from rainsynth.sample import recompose
from rainsynth.scene.background import Background
from rainsynth.shards.writer import Provenance, write_shard


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    y, x = np.mgrid[:96, :128]
    return np.stack([40 + y, 60 + x // 2, 90 + (x + y) // 4], axis=-1).astype(np.uint8)


def test_the_fields_sets_have_their_look_alikes():
    assert set(LOOKALIKES) == {"rain100l", "rain100h", "outdoor-rain", "raincityscapes"}
    assert not set(LOOKALIKES) & set(PRESETS)


@pytest.mark.parametrize("name", ["rain100l", "rain100h", "outdoor-rain", "raincityscapes"])
def test_a_look_alike_is_a_sample_like_any_other(photo, name):
    sample = rainsynth.add_rain(photo, preset=name, seed=5, index=2)
    np.testing.assert_array_equal(recompose(sample), sample.rainy_srgb8)
    again = rainsynth.add_rain(photo, preset=name, seed=5, index=2)
    np.testing.assert_array_equal(again.rainy_srgb8, sample.rainy_srgb8)
    other = rainsynth.add_rain(photo, preset=name, seed=5, index=3)
    assert not np.array_equal(other.rainy_srgb8, sample.rainy_srgb8)
    assert sample.parameters["preset"] == name
    assert np.isnan(sample.parameters["rain_rate_mm_h"])
    assert sample.streak_alpha16.max() > 0


@pytest.mark.parametrize("name", ["rain100l", "rain100h", "outdoor-rain", "raincityscapes"])
def test_a_look_alike_has_no_column_of_physics_that_it_does_not_know(photo, name):
    look_alike = rainsynth.add_rain(photo, preset=name, seed=5).parameters
    physical = rainsynth.add_rain(photo, preset="heavy", seed=5).parameters
    unknown = [key for key, value in look_alike.items() if isinstance(value, float) and np.isnan(value)]
    assert unknown == ["rain_rate_mm_h"]
    # What composing, the curriculum and the tables of a data set read, and how much of the picture is rain.
    assert set(look_alike) & set(physical) == {
        "blend", "rain_rate_mm_h", "airlight_red_linear", "airlight_green_linear", "airlight_blue_linear",
        "full_well_e", "read_noise_e", "jpeg_quality", "drop_count", "coverage_fraction", "mean_transmission", "seed",
        "index", "preset",
    }  # fmt: skip
    assert look_alike["look_alike"] == name


def test_a_shard_of_look_alikes_alone_is_read_composed_and_inspected(photo, tmp_path: Path):
    samples = [rainsynth.add_rain(photo, preset="rain100h", seed=7, index=i) for i in range(2)]
    write_shard(tmp_path / "shard-00000.h5", samples, [Provenance("photo.png", "0" * 64)] * 2, {})
    shards = rainsynth.open_shards(tmp_path)
    assert "exposure_s" not in shards.table.dtype.names
    for i, sample in enumerate(samples):
        np.testing.assert_array_equal(recompose(shards.whole(i)), sample.rainy_srgb8)
    assert [row["class"] for row in inspect(tmp_path, tmp_path / "sheet.png")] == ["unknown"]


@pytest.mark.parametrize("name", ["rain100l", "rain100h"])
def test_additive_look_alikes_are_the_clean_picture_plus_a_grey_layer_bit_for_bit(photo, name):
    sample = rainsynth.add_rain(photo, preset=name, seed=1)
    streaks = (sample.streak_alpha16.astype(int) + 128) // 257
    np.testing.assert_array_equal(sample.rainy_srgb8, np.minimum(photo.astype(int) + streaks[..., None], 255))
    np.testing.assert_array_equal(sample.veiled_srgb8, photo)  # no veil


def test_fog_of_a_look_alike_stays_in_the_veiled_target(photo):
    sample = rainsynth.add_rain(photo, preset="outdoor-rain", seed=1)
    change = np.abs(sample.veiled_srgb8.astype(int) - photo)
    assert change.mean() > 3
    t = sample.transmission[..., None].astype(np.float64)
    airlight = np.round(255 * _display(sample.airlight_linear))
    assert np.abs(sample.veiled_srgb8 - (photo * t + (1 - t) * airlight)).max() <= 0.51


def _display(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def test_a_window_of_a_look_alike_has_the_windows_photograph(photo):
    sample = render_preset(Background(photo), "rain100h", seed=0, window=(10, 20, 64, 64))
    np.testing.assert_array_equal(sample.clean_srgb8, photo[10:74, 20:84])
    assert sample.rainy_srgb8.shape == (64, 64, 3)


def test_a_window_of_rain100h_dims_towards_the_edges_of_the_photograph_and_not_of_the_window():
    # Measured on 40 pairs of the set: mean level 0.6 at the lower edge of the picture, from 70 px above it.
    black = Background(np.zeros((400, 40, 3), np.uint8))

    def level_of_rows(top: int) -> np.ndarray:
        windows = (render_preset(black, "rain100h", seed=0, index=i, window=(top, 4, 32, 32)) for i in range(100))
        return np.mean([window.rainy_srgb8 for window in windows], axis=(0, 2, 3))

    middle, lowest = level_of_rows(180), level_of_rows(400 - 32)
    np.testing.assert_allclose([middle[:4].mean(), middle[-4:].mean()], middle.mean(), rtol=0.05)
    assert 0.45 < lowest[-4:].mean() / middle.mean() < 0.75


def test_weather_cannot_be_asked_of_a_look_alike(photo):
    with pytest.raises(InputError, match="rain100h must stand alone, got rain_rate_mm_h"):
        rainsynth.add_rain(photo, 25.0, preset="rain100h")
    with pytest.raises(InputError, match="outdoor-rain"):
        rainsynth.add_rain(photo, preset="monsoon")


def test_physical_rain_and_look_alikes_share_a_shard(photo, tmp_path: Path):
    names = ["heavy", "rain100h", "drizzle", "outdoor-rain"]
    samples = [rainsynth.add_rain(photo, preset=name, seed=7, index=i) for i, name in enumerate(names)]
    write_shard(tmp_path / "shard-00000.h5", samples, [Provenance("photo.png", "0" * 64)] * len(names), {})
    shards = rainsynth.open_shards(tmp_path)
    assert [shards[i].parameters["preset"] for i in range(4)] == names
    for i, sample in enumerate(samples):
        np.testing.assert_array_equal(shards[i].rainy_srgb8, sample.rainy_srgb8)
        np.testing.assert_array_equal(shards[i].veiled_srgb8, sample.veiled_srgb8)
        np.testing.assert_array_equal(recompose(shards.whole(i)), sample.rainy_srgb8)
    for mine, other in ((1, 0), (0, 1)):  # direction, length, ... of the look-alike; exposure, ... of physical rain
        own = set(samples[mine].parameters) - set(samples[other].parameters)
        assert len(own) > 3
        assert all(np.isnan(shards.table[name][other]) for name in own if shards.table.dtype[name].kind == "f")


def test_a_data_set_of_unlike_shards_has_one_table_and_can_be_inspected(photo, tmp_path: Path):
    for number, names in enumerate((["heavy", "drizzle"], ["rain100h", "rain100l"])):
        samples = [rainsynth.add_rain(photo, preset=name, seed=7, index=i) for i, name in enumerate(names)]
        write_shard(tmp_path / f"shard-0000{number}.h5", samples, [Provenance("photo.png", "0" * 64)] * 2, {})
    table = rainsynth.open_shards(tmp_path).table
    assert table["preset"].tolist() == [b"heavy", b"drizzle", b"rain100h", b"rain100l"]
    assert np.isfinite(table["rain_rate_mm_h"]).tolist() == [True, True, False, False]
    assert [row["class"] for row in inspect(tmp_path, tmp_path / "sheet.png")] == ["light", "heavy", "unknown"]
    assert (tmp_path / "sheet.png").exists()
