"""The shard format: what is written comes back, and what is damaged is seen."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

import rainsynth
from rainsynth.checks import InputError
from rainsynth.sample import RainSample
from rainsynth.shards import writer
from rainsynth.shards.reader import check_shard
from rainsynth.shards.schema import CODECS, COMPOSED_FROM, LAYERS, unit_of
from rainsynth.shards.writer import PlainPair, Provenance, write_shard

HEIGHT_PX, WIDTH_PX = 150, 140  # not multiples of a tile


@pytest.fixture(scope="module")
def samples() -> list[RainSample]:
    rng = np.random.default_rng(4)
    photos = [rng.integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8) for _ in range(2)]
    camera = rainsynth.Camera.from_fov(WIDTH_PX, HEIGHT_PX, 30, full_well_e=2000, read_noise_e=5)
    event = rainsynth.RainEvent(rain_rate_mm_h=80, sky_linear=3.0)
    return [
        rainsynth.render_rain(rainsynth.Background(photos[index % 2]), event, camera, seed=9, index=index)
        for index in range(4)
    ]


ORIGINS = [Provenance(f"photo_{index % 2}.png", f"{index % 2}" * 64) for index in range(4)]


@pytest.fixture(params=sorted(CODECS))
def shard(request: pytest.FixtureRequest, samples: list[RainSample], tmp_path: Path) -> Path:
    path = tmp_path / "shard-00000.h5"
    write_shard(path, samples, ORIGINS, {"note": "test"}, profile=request.param)
    return path


def test_every_layer_comes_back_bit_for_bit(shard: Path, samples: list[RainSample]) -> None:
    shards = rainsynth.open_shards(shard)
    assert len(shards) == 4
    for index, sample in enumerate(samples):
        whole = shards.whole(index)
        for name in ("clean_srgb8", "rainy_srgb8", "airlight_linear", *LAYERS):
            np.testing.assert_array_equal(getattr(whole, name), getattr(sample, name), err_msg=name)
        assert whole.noise == sample.noise
        assert {name: whole.parameters[name] for name in sample.parameters} == sample.parameters
        np.testing.assert_array_equal(rainsynth.recompose(whole), sample.rainy_srgb8)
        np.testing.assert_array_equal(shards[index].veiled_srgb8, sample.veiled_srgb8)


def test_a_crop_is_a_window_of_the_sample(shard: Path, samples: list[RainSample]) -> None:
    shards = rainsynth.open_shards(shard)
    window = shards.crop(3, 20, 7, 130)
    part = np.s_[20:150, 7:137]
    np.testing.assert_array_equal(window.rainy_srgb8, samples[3].rainy_srgb8[part])
    np.testing.assert_array_equal(window.clean_srgb8, samples[3].clean_srgb8[part])
    np.testing.assert_array_equal(window.veiled_srgb8, samples[3].veiled_srgb8[part])
    np.testing.assert_array_equal(window.streak_mask, samples[3].streak_mask[part])
    with pytest.raises(InputError, match=r"top must be between 0 and 20, got 21"):
        shards.crop(3, 21, 0, 130)
    with pytest.raises(InputError, match="size must be between 1 and 140, got 141"):
        shards.crop(3, 0, 0, 141)


def test_a_photograph_is_stored_once(shard: Path) -> None:
    with h5py.File(shard) as file:
        assert len(file["clean"]) == 2
        assert file["background_row"][:].tolist() == [0, 1, 0, 1]
        assert file["backgrounds"]["name"].tolist() == [b"photo_0.png", b"photo_1.png"]


@pytest.mark.parametrize("profile", sorted(CODECS))
def test_the_same_samples_give_the_same_bytes_on_any_number_of_threads(
    samples: list[RainSample], tmp_path: Path, profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = []
    for number, threads in enumerate((None, "1", "4")):
        monkeypatch.delenv("BLOSC_NTHREADS", raising=False)
        if threads is not None:
            monkeypatch.setenv("BLOSC_NTHREADS", threads)
        path = tmp_path / f"{number}.h5"
        write_shard(path, samples, ORIGINS, {}, profile=profile)
        written.append(path.read_bytes())
        assert os.environ.get("BLOSC_NTHREADS") == threads
    assert written[0] == written[1] == written[2]


def test_every_flipped_bit_of_the_pictures_is_seen(samples: list[RainSample], tmp_path: Path) -> None:
    path = tmp_path / "shard-00000.h5"
    write_shard(path, samples, ORIGINS, {})
    with h5py.File(path) as file:
        chunk = file["rainy"].id.get_chunk_info(0)
    whole = path.read_bytes()
    for place in np.linspace(0, chunk.size - 1, 12).astype(int):
        damaged = bytearray(whole)
        damaged[chunk.byte_offset + place] ^= 4
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"shard-00000\.h5"):
            check_shard(path)


def test_a_cut_shard_is_refused_in_one_line(shard: Path) -> None:
    shard.write_bytes(shard.read_bytes()[: shard.stat().st_size // 2])
    with pytest.raises(InputError, match=r"shard-00000\.h5 must be a whole rainsynth shard") as caught:
        rainsynth.open_shards(shard)
    assert "\n" not in str(caught.value)


def test_another_hdf5_file_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "shard-00000.h5", "w") as file:
        file["rainy"] = np.zeros((1, 2, 2, 3), np.uint8)
    with pytest.raises(InputError, match="must be a rainsynth-shard of version 3"):
        rainsynth.open_shards(tmp_path)


def test_a_failed_write_leaves_nothing_behind(samples: list[RainSample], tmp_path: Path) -> None:
    odd = rainsynth.add_rain(np.zeros((30, 40, 3), np.uint8), 5)
    with pytest.raises(InputError, match="must have one size"):
        write_shard(tmp_path / "shard-00000.h5", [*samples, odd], [*ORIGINS, ORIGINS[0]], {})
    with pytest.raises(ValueError, match="zip"):
        write_shard(tmp_path / "shard-00000.h5", samples, ORIGINS[:2], {})
    assert list(tmp_path.iterdir()) == []


def test_a_layer_that_was_not_stored_is_named(samples: list[RainSample], tmp_path: Path) -> None:
    write_shard(tmp_path / "shard-00000.h5", samples, ORIGINS, {}, layers=("streak_alpha16",))
    shards = rainsynth.open_shards(tmp_path)
    assert shards.layer_names(0) == ("streak_alpha16",)
    with pytest.raises(InputError, match="must hold the layer transmission16"):
        _ = shards[0].veiled_srgb8


def _first_rainy(path: str, queue: multiprocessing.Queue) -> None:
    queue.put(int(rainsynth.open_shards(path)[0].rainy_srgb8.sum()))


def test_a_set_goes_to_a_spawned_process(samples: list[RainSample], tmp_path: Path) -> None:
    write_shard(tmp_path / "shard-00000.h5", samples, ORIGINS, {})
    shards = rainsynth.open_shards(tmp_path)
    expected = int(shards[1].rainy_srgb8.sum())  # opens the file here
    code = "import pickle, sys; print(int(pickle.load(sys.stdin.buffer)[1].rainy_srgb8.sum()))"
    done = subprocess.run([sys.executable, "-c", code], input=pickle.dumps(shards), capture_output=True, check=True)
    assert int(done.stdout) == expected


def test_a_set_can_be_read_in_a_fork_and_pickled(samples: list[RainSample], tmp_path: Path) -> None:
    write_shard(tmp_path / "shard-00000.h5", samples, ORIGINS, {})
    shards = rainsynth.open_shards(tmp_path)
    expected = int(shards[0].rainy_srgb8.sum())  # opens the file before the fork
    queue = multiprocessing.get_context("fork").Queue()
    process = multiprocessing.get_context("fork").Process(target=_first_rainy, args=(str(tmp_path), queue))
    process.start()
    assert queue.get(timeout=60) == expected
    process.join()
    assert int(pickle.loads(pickle.dumps(shards))[0].rainy_srgb8.sum()) == expected


def test_units_stand_beside_the_parameters(shard: Path) -> None:
    import json

    with h5py.File(shard) as file:
        units = json.loads(file["parameters"].attrs["units"])
        assert set(units) == set(file["parameters"].dtype.names)
        assert units["rain_rate_mm_h"] == "mm/h"
        assert json.loads(file.attrs["config"]) == {"note": "test"}


def test_a_sample_keeps_its_own_shards_parameters_where_others_lack_them(
    samples: list[RainSample], tmp_path: Path
) -> None:
    write_shard(tmp_path / "shard-00000.h5", samples, ORIGINS, {})
    pair = PlainPair(samples[0].clean_srgb8, samples[0].rainy_srgb8, {"index": 7, "name": "a", "fog_per_m": 0.1})
    write_shard(tmp_path / "shard-00001.h5", [pair], ORIGINS[:1], {}, layers=())
    shards = rainsynth.open_shards(tmp_path)
    assert {name: shards[2].parameters[name] for name in samples[2].parameters} == samples[2].parameters
    assert type(shards[2].parameters["seed"]) is int  # in the table of both shards it is float
    assert np.isnan(shards.table["seed"][4])
    assert "seed" not in shards[4].parameters
    assert set(shards.units) == set(shards.table.dtype.names)
    assert (shards.units["rain_rate_mm_h"], shards.units["fog_per_m"]) == ("mm/h", "1/m")


def test_units_are_those_of_every_column_whichever_sample_has_it(tmp_path: Path) -> None:
    photo = np.zeros((30, 40, 3), np.uint8)
    samples = [rainsynth.add_rain(photo, preset=preset) for preset in ("heavy", "rain100l")]
    write_shard(tmp_path / "shard-00000.h5", samples, ORIGINS[:2], {}, layers=())
    shards = rainsynth.open_shards(tmp_path)
    assert set(shards.units) == set(shards.table.dtype.names)
    assert (shards.units["direction_deg"], shards.units["exposure_s"], shards.units["seed"]) == ("degrees", "s", "")


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("mist_per_km", "1/km"),
        ("fading_per_m", "1/m"),
        ("turbulence_m_s", "m/s"),
        ("focus_m", "m"),
        ("read_noise_e", "electrons"),
        ("mean_transmission", "1"),
        ("spectrum", ""),
    ],
)
def test_a_name_tells_its_unit(name: str, unit: str) -> None:
    assert unit_of(name) == unit


@pytest.mark.parametrize("other", ["rainy_srgb8", "clean_srgb8"])
def test_a_file_that_holds_other_pictures_is_never_published(
    samples: list[RainSample], tmp_path: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = getattr(samples[2], other).copy()
    changed[3, 4, 0] ^= 1
    wrong = [*samples[:2], replace(samples[2], **{other: changed}), samples[3]]
    write_shard(tmp_path / "wrong.h5", wrong, ORIGINS, {}, layers=())
    monkeypatch.setattr(writer, "_file_image", lambda *_: (tmp_path / "wrong.h5").read_bytes())
    with pytest.raises(InputError, match="must hold the pictures it was given, got others for sample 2"):
        write_shard(tmp_path / "shard-00000.h5", samples, ORIGINS, {}, layers=())
    assert [path.name for path in tmp_path.iterdir()] == ["wrong.h5"]


@pytest.mark.parametrize("layers", [LAYERS, COMPOSED_FROM], ids=["with depth", "without depth"])
def test_a_picture_that_its_layers_do_not_make_is_never_published(
    samples: list[RainSample], tmp_path: Path, layers: tuple[str, ...]
) -> None:
    other = samples[1].rainy_srgb8.copy()
    other[3, 4, 0] ^= 1
    wrong = [samples[0], replace(samples[1], rainy_srgb8=other), *samples[2:]]
    with pytest.raises(InputError, match="must compose again from its layers, got another picture for sample 1"):
        write_shard(tmp_path / "shard-00000.h5", wrong, ORIGINS, {}, layers=layers)
    assert list(tmp_path.iterdir()) == []
