"""Random 128x128 crops a second from shards of 512x512 pictures, beside folders of PNGs and LMDB in the same run.

    python benchmarks/shard_speed.py

A crop of a rainy picture and the same crop of its clean one count as two. One core, files in the page cache, every
reader draws the same places; readers take turns, medians over the turns. PNGs are read as training code does: the
whole picture by cv2.imread, then the crop. LMDB (`pip install lmdb`, left out if absent) holds PNGs of level 1, as
BasicSR stores them. The copy from an array in memory is what no reader can pass.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle
from multiprocessing import get_context
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import h5py
import numpy as np

from pipelines.bundled import HELD_OUT_PHOTOS, TRAINING_PHOTOS, unpack
from rainsynth import add_rain, open_shards
from rainsynth.pictures import list_photos, read_photo
from rainsynth.shards.codecs import CODECS
from rainsynth.shards.writer import Provenance, write_shard

SIDE_PX, CROP_PX, SAMPLES, SHARDS = 512, 128, 48, 2
ROUNDS, TURN_S = 7, 0.25
RATES_MM_H = (5.0, 25.0, 80.0)
KINDS = ("rainy", "clean")
Pair = tuple[np.ndarray, np.ndarray]
Reader = Callable[[int, int, int], Pair]  # sample, top, left


def make(folder: Path) -> np.ndarray:
    """The same samples in every form; returns them as one array (N, 2, H, W, 3)."""
    unpack(TRAINING_PHOTOS + HELD_OUT_PHOTOS, folder / "photos")
    photos = [window(read_photo(path), index) for path in list_photos(folder / "photos") for index in range(6)]
    samples = [
        add_rain(photo, RATES_MM_H[index % len(RATES_MM_H)], seed=index) for index, photo in enumerate(photos[:SAMPLES])
    ]
    origins = [Provenance(f"{index}", f"{index:064d}") for index in range(SAMPLES)]
    for profile in CODECS:
        for number in range(SHARDS):
            part = slice(number * SAMPLES // SHARDS, (number + 1) * SAMPLES // SHARDS)
            path = folder / profile / f"shard-{number:05d}.h5"
            write_shard(path, samples[part], origins[part], {}, layers=(), profile=profile)
    pictures = np.stack([(sample.rainy_srgb8, sample.clean_srgb8) for sample in samples])
    write_pngs(folder, pictures)
    return pictures


def window(photo_srgb8: np.ndarray, index: int) -> np.ndarray:
    """A window of 512x512 px of a photograph, mirrored at its edge where it is smaller."""
    height_px, width_px = photo_srgb8.shape[:2]
    photo = np.pad(
        photo_srgb8, ((0, max(SIDE_PX - height_px, 0)), (0, max(SIDE_PX - width_px, 0)), (0, 0)), mode="reflect"
    )
    rng = np.random.default_rng(index)
    top, left = (int(rng.integers(side - SIDE_PX + 1)) for side in photo.shape[:2])
    return np.ascontiguousarray(photo[top : top + SIDE_PX, left : left + SIDE_PX])


def write_pngs(folder: Path, pictures: np.ndarray) -> None:
    """A folder of PNGs as small as they get, and LMDBs of level 1."""
    for place, kind in enumerate(KINDS):
        (folder / "png" / kind).mkdir(parents=True)
        for index, picture in enumerate(pictures[:, place]):
            path = folder / "png" / kind / f"{index:05d}.png"
            cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 9])
    try:
        import lmdb
    except ImportError:
        return
    for place, kind in enumerate(KINDS):
        with lmdb.open(str(folder / f"{kind}.lmdb"), map_size=2**30) as base, base.begin(write=True) as writing:
            for index, picture in enumerate(pictures[:, place]):
                encoded = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1]
                writing.put(f"{index:05d}".encode(), encoded.tobytes())


def of_shards(path: Path) -> Reader:
    """Crops by rainsynth.open_shards."""
    shards = open_shards(path)

    def read(index: int, top: int, left: int) -> Pair:
        sample = shards.crop(index, top, left, CROP_PX)
        return sample.rainy_srgb8, sample.clean_srgb8

    return read


def of_h5py(path: Path) -> Reader:
    """Crops of the same files by h5py alone, without its cache of tiles: a real set is larger than any cache."""
    files = [h5py.File(shard, rdcc_nbytes=0) for shard in sorted(path.glob("*.h5"))]
    datasets = [[file[kind] for kind in KINDS] for file in files]

    def read(index: int, top: int, left: int) -> Pair:
        shard, row = divmod(index, SAMPLES // SHARDS)
        part = np.s_[row, top : top + CROP_PX, left : left + CROP_PX]
        return datasets[shard][0][part], datasets[shard][1][part]

    return read


def of_pngs(folder: Path) -> Reader:
    """Whole pictures by cv2.imread, then the crop."""

    def read(index: int, top: int, left: int) -> Pair:
        pictures = (cv2.imread(str(folder / kind / f"{index:05d}.png")) for kind in KINDS)
        rainy, clean = (picture[top : top + CROP_PX, left : left + CROP_PX].copy() for picture in pictures)
        return rainy, clean

    return read


def of_lmdb(folder: Path) -> Reader:
    """Whole pictures out of LMDB by cv2.imdecode, then the crop."""
    import lmdb

    reading = [lmdb.open(str(folder / f"{kind}.lmdb"), readonly=True, lock=False).begin() for kind in KINDS]

    def read(index: int, top: int, left: int) -> Pair:
        stored = (base.get(f"{index:05d}".encode()) for base in reading)
        pictures = (cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) for data in stored)
        rainy, clean = (picture[top : top + CROP_PX, left : left + CROP_PX].copy() for picture in pictures)
        return rainy, clean

    return read


def of_memory(pictures: np.ndarray) -> Reader:
    """Crops of an array."""

    def read(index: int, top: int, left: int) -> Pair:
        rainy, clean = pictures[index]
        part = np.s_[top : top + CROP_PX, left : left + CROP_PX]
        return rainy[part].copy(), clean[part].copy()

    return read


def readers(folder: Path) -> dict[str, Reader]:
    """Every reader of files by its name; peers that are not installed are left out."""
    found = {profile: of_shards(folder / profile) for profile in CODECS}
    found["h5py on default"] = of_h5py(folder / "default")
    found["PNG folder"] = of_pngs(folder / "png")
    if (folder / "rainy.lmdb").exists():
        found["LMDB of PNGs"] = of_lmdb(folder)
    else:
        print("lmdb is not installed")
    return found


def crops_per_second(read: Reader, seed: int, seconds: float = TURN_S) -> float:
    """Crops of random places for a while."""
    bounds = (SAMPLES, SIDE_PX - CROP_PX + 1, SIDE_PX - CROP_PX + 1)
    places = cycle(np.random.default_rng(seed).integers(bounds, size=(4096, 3)).tolist())
    count, started = 0, time.perf_counter()
    while (taken := time.perf_counter() - started) < seconds:
        read(*next(places))
        count += 2
    return count / taken


def in_a_process(folder: str, name: str, seed: int) -> float:
    """Crops a second of one of several processes."""
    cv2.setNumThreads(1)
    read = readers(Path(folder))[name]
    crops_per_second(read, seed, TURN_S)
    return crops_per_second(read, seed, 4 * TURN_S)


def two_processes(folder: Path, names: list[str]) -> dict[str, float]:
    """Crops a second of two processes together."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        return {name: sum(pool.map(in_a_process, [str(folder)] * 2, [name] * 2, [1, 2])) for name in names}


def bytes_in(path: Path) -> int:
    """Bytes of the files of a folder."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def main() -> None:
    """Print the table."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        pictures = make(folder)
        found = readers(folder) | {"array in memory": of_memory(pictures)}
        for read in found.values():  # the same pixels from all
            rainy, _ = read(3, 17, 200)
            assert np.array_equal(np.sort(rainy, axis=-1), np.sort(pictures[3, 0, 17:145, 200:328], axis=-1))
        speeds: dict[str, list[float]] = {name: [] for name in found}
        for turn in range(ROUNDS + 1):
            for name, read in found.items():
                speed = crops_per_second(read, turn)
                if turn:
                    speeds[name].append(speed)
        both = two_processes(folder, [name for name in found if name != "array in memory"])
        print(
            f"{SAMPLES} pairs of {SIDE_PX}x{SIDE_PX} px, crops of {CROP_PX}x{CROP_PX}; Python {sys.version.split()[0]}"
        )
        show(speeds, both, sizes(folder) | {"array in memory": pictures.nbytes})


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of what each reader reads."""
    found = {profile: bytes_in(folder / profile) for profile in CODECS}
    lmdbs = sum(bytes_in(folder / f"{kind}.lmdb") for kind in KINDS)
    return found | {"h5py on default": found["default"], "PNG folder": bytes_in(folder / "png"), "LMDB of PNGs": lmdbs}


def show(speeds: dict[str, list[float]], both: dict[str, float], stored: dict[str, int]) -> None:
    """A row for each reader: crops a second, their ratio to the PNG folder's, and bytes."""
    print(f"{'':16} {'crops/s':>9} {'x PNG':>7} {'x LMDB':>7} {'2 processes':>12} {'bytes':>11} {'of PNG':>7}")
    for name, turns in speeds.items():
        ratios = [
            median(own / peer for own, peer in zip(turns, speeds[rival], strict=True))
            if rival in speeds
            else float("nan")
            for rival in ("PNG folder", "LMDB of PNGs")
        ]
        together = f"{both[name]:12.0f}" if name in both else f"{'':12}"
        speed = f"{median(turns):9.0f} {ratios[0]:7.1f} {ratios[1]:7.1f} {together}"
        print(f"{name:16} {speed} {stored[name]:11d} {stored[name] / stored['PNG folder']:7.3f}")


if __name__ == "__main__":
    main()
