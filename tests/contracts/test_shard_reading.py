"""Reading shards: every profile gives the same pixels by every route, and no damage passes."""

from __future__ import annotations

import ctypes
import hashlib
import json
import re
import resource
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import rainsynth
from mspfn.curriculum import CurriculumConfig
from mspfn.dataset import TrainingPairs
from rainsynth.checks import InputError
from rainsynth.sample import RainSample
from rainsynth.shards import reader, tiles
from rainsynth.shards.codecs import CODECS
from rainsynth.shards.native import fletcher32
from rainsynth.shards.prediction import predicted, restore_window
from rainsynth.shards.reader import check_shard
from rainsynth.shards.writer import Provenance, write_shard

HEIGHT_PX, WIDTH_PX = 150, 140  # not multiples of a tile
README = Path(rainsynth.__file__).parent / "shards" / "README.md"
TILED = [name for name in CODECS if name != "fast"]
ORIGINS = [Provenance(f"photo_{index}.png", f"{index}" * 64) for index in range(3)]


@pytest.fixture(scope="module")
def samples(bundled_photo: np.ndarray) -> list[RainSample]:
    """Rain on three windows of a photograph; the last is noise, which does not compress."""
    photos = [np.ascontiguousarray(bundled_photo[top : top + HEIGHT_PX, 90 : 90 + WIDTH_PX]) for top in (20, 200)]
    photos.append(np.random.default_rng(3).integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8))
    return [rainsynth.add_rain(photo, 10.0 * (index + 1), seed=index) for index, photo in enumerate(photos)]


@pytest.fixture(scope="module")
def sets(samples: list[RainSample], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The samples as a folder of two shards in each profile."""
    folders = {}
    for profile in CODECS:
        folders[profile] = tmp_path_factory.mktemp(profile)
        for number, part in enumerate((slice(0, 2), slice(2, 3))):
            write_shard(folders[profile] / f"shard-{number:05d}.h5", samples[part], ORIGINS[part], {}, profile=profile)
    return folders


@pytest.mark.parametrize("profile", CODECS)
@given(data=st.data())
def test_every_window_of_every_profile_is_the_samples(
    sets: dict[str, Path], samples: list[RainSample], profile: str, data: st.DataObject
) -> None:
    shards = rainsynth.open_shards(sets[profile])
    size = data.draw(st.integers(1, WIDTH_PX))
    top, left = (data.draw(st.integers(0, side - size)) for side in (HEIGHT_PX, WIDTH_PX))
    index = data.draw(st.integers(0, 2))
    window, part = shards.crop(index, top, left, size), np.s_[top : top + size, left : left + size]
    for name in ("rainy_srgb8", "clean_srgb8", "streak_alpha16", "transmission16", "depth_m"):
        np.testing.assert_array_equal(getattr(window, name), getattr(samples[index], name)[part], err_msg=name)


@pytest.mark.parametrize("profile", TILED)
def test_hdf5_reads_what_we_read(
    sets: dict[str, Path], samples: list[RainSample], profile: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "DECODERS", {})
    shards = rainsynth.open_shards(sets[profile])
    assert type(shards._opened(shards.paths[0]).array("rainy")) is tiles.TiledArray
    for index, sample in enumerate(samples):
        window = shards.crop(index, 7, 3, 131)
        np.testing.assert_array_equal(window.rainy_srgb8, sample.rainy_srgb8[7:138, 3:134])
        np.testing.assert_array_equal(window.transmission16, sample.transmission16[7:138, 3:134])


@pytest.mark.parametrize("profile", CODECS)
def test_the_decoder_of_the_readme_gives_the_same_pictures(
    sets: dict[str, Path], samples: list[RainSample], profile: str
) -> None:
    section = README.read_text().split("## Without rainsynth")[1]
    names: dict = {}
    exec(re.search(r"```python\n(.*?)```", section, re.DOTALL).group(1), names)  # type: ignore[union-attr]
    rainy, clean, parameters, units = names["pair"](sets[profile] / "shard-00000.h5", 1)
    np.testing.assert_array_equal(rainy, samples[1].rainy_srgb8)
    np.testing.assert_array_equal(clean, samples[1].clean_srgb8)
    assert parameters["rain_rate_mm_h"] == 20.0
    assert units["rain_rate_mm_h"] == "mm/h"


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
def test_the_predictor_in_c_of_the_readme_gives_the_same_pictures(
    sets: dict[str, Path], samples: list[RainSample], tmp_path: Path
) -> None:
    (source,) = re.findall(r"```c\n(.*?)```", README.read_text(), re.DOTALL)
    assert len(source.splitlines()) <= 10
    (tmp_path / "restore.c").write_text(source)
    command = ["cc", "-shared", "-fPIC", "-o", tmp_path / "restore.so", tmp_path / "restore.c"]
    subprocess.run(command, check=True)
    restore = ctypes.CDLL(str(tmp_path / "restore.so")).restore_tile
    found = np.empty_like(samples[1].rainy_srgb8)
    with h5py.File(sets["small"] / "shard-00000.h5") as file:
        rainy, side = file["rainy"], file["rainy"].chunks[2]
        for top, left in product(range(0, HEIGHT_PX, side), range(0, WIDTH_PX, side)):
            tile = np.ascontiguousarray(rainy[1, :, top : top + side, left : left + side])
            height_px, width_px = tile.shape[1:]
            rgb = np.empty((height_px, width_px, 3), np.uint8)
            restore(ctypes.c_void_p(tile.ctypes.data), ctypes.c_void_p(rgb.ctypes.data), height_px, width_px)
            found[top : top + side, left : left + side] = rgb
    np.testing.assert_array_equal(found, samples[1].rainy_srgb8)


@pytest.mark.parametrize("profile", CODECS)
def test_a_file_says_how_it_is_decoded(sets: dict[str, Path], profile: str) -> None:
    with h5py.File(sets[profile] / "shard-00000.h5") as file:
        codec = json.loads(file.attrs["codec"])
        filters = tiles.filters_of(file["rainy"]) + tiles.filters_of(file["layers/depth_m"])
        predicted_ones = [name for name in ("clean", "rainy") if "predictor" in file[name].attrs]
    assert codec["profile"] == profile
    assert codec["version"] == 1
    assert predicted_ones == (codec["predictor"] or {"datasets": []})["datasets"]
    for number in filters:  # Fletcher-32 is 3; what needs a plug-in is named by its number
        assert f"filter {number}" in codec["decoder"]


def test_the_sequence_is_one(sets: dict[str, Path], samples: list[RainSample]) -> None:
    shards = rainsynth.open_shards(sets["default"])
    assert len(shards) == 3
    np.testing.assert_array_equal(shards[-1].rainy_srgb8, samples[2].rainy_srgb8)
    assert [pair.parameters["rain_rate_mm_h"] for pair in shards] == [10.0, 20.0, 30.0]
    assert [pair.parameters["rain_rate_mm_h"] for pair in shards[::-2]] == [30.0, 10.0]
    assert shards[5:] == []
    for beyond in (3, -4):
        with pytest.raises(IndexError, match=f"sample {beyond} of 3"):
            shards[beyond]
    assert shards.units["exposure_s"] == "s"
    assert shards.background_rows.tolist() == [0, 1, 2]
    assert shards.backgrounds["name"].tolist() == [b"photo_0.png", b"photo_1.png", b"photo_2.png"]


def test_a_frame_needs_pandas(sets: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(InputError, match="pip install pandas"):
        rainsynth.open_shards(sets["default"]).frame()


def test_a_frame_has_the_columns_of_the_table(sets: dict[str, Path]) -> None:
    pytest.importorskip("pandas", reason="frame() is pandas'")
    shards = rainsynth.open_shards(sets["default"])
    frame = shards.frame()
    assert list(frame.columns) == list(shards.table.dtype.names)
    assert frame["preset"].tolist() == [""] * 3
    assert frame["rain_rate_mm_h"].tolist() == [10.0, 20.0, 30.0]


def test_a_split_data_set_names_its_parts(sets: dict[str, Path], tmp_path: Path) -> None:
    for part in ("val", "train"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "shard-00000.h5").write_bytes((sets["default"] / "shard-00000.h5").read_bytes())
    with pytest.raises(InputError, match="It has the parts train, val: name one"):
        rainsynth.open_shards(tmp_path)


def test_threads_read_the_same_at_once(sets: dict[str, Path], samples: list[RainSample]) -> None:
    for profile in CODECS:
        shards = rainsynth.open_shards(sets[profile])

        def same(place: int, shards=shards) -> bool:  # type: ignore[no-untyped-def]
            top, left = place % 17, place % 11
            window = shards.crop(place % 3, top, left, 120).rainy_srgb8
            return np.array_equal(window, samples[place % 3].rainy_srgb8[top : top + 120, left : left + 120])

        with ThreadPoolExecutor(4) as pool:
            assert all(pool.map(same, range(100)))


def test_few_files_are_open_at_a_time(
    sets: dict[str, Path], samples: list[RainSample], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "OPEN_FILES", 1)
    shards = rainsynth.open_shards(sets["default"])
    for index in (0, 2, 1, 2, 0):
        np.testing.assert_array_equal(shards[index].rainy_srgb8, samples[index].rainy_srgb8)
        assert len(shards._open) == 1


@pytest.mark.parametrize("profile", CODECS)
def test_training_draws_the_same_batches_from_every_profile(
    sets: dict[str, Path], samples: list[RainSample], profile: str
) -> None:
    pairs = TrainingPairs(
        rainsynth.open_shards(sets[profile]),
        patch_px=48,
        batch_size=3,
        steps=4,
        seed=1,
        curriculum=CurriculumConfig(name="uniform"),
        target="veiled",
    )
    windows = pairs.windows(2)
    rainy, veiled = pairs.pictures(2)
    for row, (index, top, left, flipped, _) in enumerate(zip(*windows, strict=True)):
        part = np.s_[top : top + 48, left : left + 48]
        for batch, whole in ((rainy, samples[index].rainy_srgb8), (veiled, samples[index].veiled_srgb8)):
            expected = whole[part][:, ::-1] if flipped else whole[part]
            np.testing.assert_array_equal(batch[row], expected)


def slow_fletcher32(data: bytes) -> int:
    """H5_checksum_fletcher32 of HDF5 1.14, word by word."""
    words = [data[i] << 8 | (data[i + 1] if i + 1 < len(data) else 0) for i in range(0, len(data), 2)]
    first = second = 0
    for word in words:
        first += word
        second += first
    fold = lambda total: (total - 1) % 65535 + 1 if total else 0  # noqa: E731  (ones' complement: 65535, not 0)
    return fold(second) << 16 | fold(first)


@pytest.mark.parametrize(
    "data",
    [
        *(np.random.default_rng(length).integers(0, 256, length, dtype=np.uint8) for length in (1, 2, 511, 513, 40961)),
        np.zeros(2000, np.uint8),
        np.full(2000, 255, np.uint8),
        np.array([255, 254, 0, 1], np.uint8),
    ],
    ids=lambda data: str(len(data)),
)
def test_the_checksum_is_hdf5s(data: np.ndarray, tmp_path: Path) -> None:
    with h5py.File(tmp_path / "checked.h5", "w") as file:
        _, stored = file.create_dataset("x", data=data, chunks=data.shape, fletcher32=True).id.read_direct_chunk((0,))
    assert int.from_bytes(stored[-4:], "little") == slow_fletcher32(data.tobytes()) == int(fletcher32(data, len(data)))


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 17), st.integers(0, 2**32 - 1))
def test_a_prediction_is_undone(height_px: int, width_px: int, tile_px: int, seed: int) -> None:
    pictures = np.random.default_rng(seed).integers(0, 256, (1, height_px, width_px, 3), dtype=np.uint8)
    residuals, restored = predicted(pictures, tile_px), np.zeros_like(pictures[0])
    for top in range(0, height_px, tile_px):
        for left in range(0, width_px, tile_px):
            tile = residuals[0, :, top : top + tile_px, left : left + tile_px].copy()
            into = restored[top : top + tile_px, left : left + tile_px]
            restore_window(tile, 0, tile.shape[1], 0, tile.shape[2], into)
    np.testing.assert_array_equal(restored, pictures[0])


def test_small_takes_fewer_bytes_than_png(samples: list[RainSample], tmp_path: Path) -> None:
    write_shard(tmp_path / "shard-00000.h5", samples[:2], ORIGINS[:2], {}, layers=(), profile="small")
    with h5py.File(tmp_path / "shard-00000.h5") as file:
        stored = sum(file[name].id.get_storage_size() for name in ("clean", "rainy"))
    png = 0
    for index, sample in enumerate(samples[:2]):
        for kind in ("rainy", "clean"):
            path = tmp_path / f"{kind}{index}.png"
            Image.fromarray(getattr(sample, f"{kind}_srgb8")).save(path, optimize=True)
            png += path.stat().st_size
    assert stored < png


@pytest.mark.parametrize("profile", TILED)
def test_a_flipped_bit_of_a_tile_is_seen_by_the_crop_that_reads_it(
    sets: dict[str, Path], profile: str, tmp_path: Path
) -> None:
    whole = (sets[profile] / "shard-00000.h5").read_bytes()
    path = tmp_path / "shard-00000.h5"
    with h5py.File(sets[profile] / "shard-00000.h5") as file:
        tile = file["rainy"].id.get_chunk_info(0)
    for place in np.linspace(0, tile.size - 1, 40).astype(int):
        damaged = bytearray(whole)
        damaged[tile.byte_offset + place] ^= 1 << place % 8
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"shard-00000\.h5 must be a whole rainsynth shard"):
            _ = rainsynth.open_shards(path).crop(0, 0, 0, 20).rainy_srgb8


@pytest.mark.parametrize("name", ["parameters", "background_row", "backgrounds"])
def test_a_flipped_bit_of_a_table_is_seen_when_the_shard_is_opened(
    sets: dict[str, Path], name: str, tmp_path: Path
) -> None:
    damaged = bytearray((sets["fast"] / "shard-00000.h5").read_bytes())
    with h5py.File(sets["fast"] / "shard-00000.h5") as file:
        damaged[file[name].id.get_offset() + 1] ^= 16
    (tmp_path / "shard-00000.h5").write_bytes(damaged)
    with pytest.raises(InputError, match=f"the checksum of {name} does not match"):
        rainsynth.open_shards(tmp_path)


@pytest.mark.parametrize("name", ["clean", "rainy", "layers/depth_m"])
def test_a_flipped_bit_of_a_fast_shard_is_seen_by_the_check(sets: dict[str, Path], name: str, tmp_path: Path) -> None:
    damaged = bytearray((sets["fast"] / "shard-00000.h5").read_bytes())
    with h5py.File(sets["fast"] / "shard-00000.h5") as file:
        damaged[file[name].id.get_offset() + 12345] ^= 1
    (tmp_path / "shard-00000.h5").write_bytes(damaged)
    with pytest.raises(InputError, match=f"the checksum of {name} does not match"):
        check_shard(tmp_path / "shard-00000.h5")


def test_fingerprints_come_back_beside_their_photographs(samples: list[RainSample], tmp_path: Path) -> None:
    prints = [np.full(600, value, np.uint8) for value in (5, 5, 9)]
    same = [samples[0], samples[0], samples[2]]
    origins = [ORIGINS[0], ORIGINS[0], ORIGINS[2]]
    write_shard(tmp_path / "shard-00000.h5", same, origins, {}, layers=(), fingerprints=prints)
    shards = rainsynth.open_shards(tmp_path)
    assert shards.fingerprints is not None
    assert shards.fingerprints[:, 0].tolist() == [5, 9]
    assert shards.background_rows.tolist() == [0, 0, 1]
    write_shard(tmp_path / "shard-00001.h5", same, origins, {}, layers=())
    assert rainsynth.open_shards(tmp_path).fingerprints is None
    for wrong, message in (
        (prints[:2], "fingerprints must be 3"),
        ([*prints[:2], prints[2][:5]], "bytes of one length"),
        ([np.zeros(8193, np.uint8)] * 3, "bytes of a fingerprint must be between 1 and 8192"),
    ):
        with pytest.raises(InputError, match=message):
            write_shard(tmp_path / "shard-00002.h5", same, origins, {}, fingerprints=wrong)


def test_a_disk_without_room_leaves_nothing_and_says_what_to_do(samples: list[RainSample], tmp_path: Path) -> None:
    write_shard(tmp_path / "shard-00000.h5", samples, ORIGINS, {})
    before = (tmp_path / "shard-00000.h5").read_bytes()
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))  # a file grows no further than that
    try:
        with pytest.raises(InputError, match=r"shard-00001\.h5 must fit on its disk.*--resume") as caught:
            write_shard(tmp_path / "shard-00001.h5", samples, ORIGINS, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["shard-00000.h5"]
    assert (tmp_path / "shard-00000.h5").read_bytes() == before


def test_a_folder_that_cannot_be_made_is_one_line(samples: list[RainSample], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="must be a file that can be written"):
        write_shard(tmp_path / "file" / "shard-00000.h5", samples, ORIGINS, {})


@pytest.mark.slow
@pytest.mark.parametrize("profile", CODECS)
def test_of_a_thousand_flipped_bits_the_check_misses_none_that_change_what_is_read(
    sets: dict[str, Path], profile: str, tmp_path: Path
) -> None:
    source, path, rng = sets[profile] / "shard-00000.h5", tmp_path / "shard-00000.h5", np.random.default_rng(8)
    whole, expected = source.read_bytes(), _content(source)
    places = [*rng.integers(len(whole), size=150), *rng.choice(_structure(source), size=100)]
    for place, bit in zip(places, rng.integers(8, size=250), strict=True):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(bit)
        path.write_bytes(damaged)
        try:
            check_shard(path)
        except InputError:
            continue
        assert _content(path) == expected, f"bit {bit} of byte {place}"  # between datasets lies nothing that is read


def _structure(path: Path) -> np.ndarray:
    """Places of the bytes that hold no array: HDF5's own, attributes, and gaps."""
    free = np.ones(path.stat().st_size, dtype=bool)

    def note(_: str, item: h5py.Group | h5py.Dataset) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        if item.chunks is None:
            free[item.id.get_offset() :][: item.nbytes] = False
        else:
            item.id.chunk_iter(lambda tile: free[tile.byte_offset :][: tile.size].fill(False))

    with h5py.File(path) as file:
        file.visititems(note)
    return np.flatnonzero(free)


def _content(path: Path) -> list[str]:
    """Every array and every attribute of a shard."""
    with h5py.File(path) as file:
        found = [repr(sorted(file.attrs.items()))]

        def note(name: str, item: h5py.Group | h5py.Dataset) -> None:
            array = item[()].tobytes() if isinstance(item, h5py.Dataset) else b""
            found.append(f"{name} {sorted(item.attrs.items())} {hashlib.sha256(array).hexdigest()}")

        file.visititems(note)
    return found
