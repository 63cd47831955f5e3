"""Training windows a second from every kind of source, beside rain of other augmentation packages in the same run.

    python benchmarks/data_speed.py

A window is a rainy picture with its target, drawn as training draws it: shards and folders hold their rain, all others
render it for each window. Peers draw grey lines over the same windows (`pip install kornia`; left out if absent). One
core, by CPU time; photographs are decoded before. Turns alternate, medians over the turns.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import albumentations
import cv2

from mspfn.curriculum import CurriculumConfig
from mspfn.data_config import EVERY_CLASS
from mspfn.mixture import Mixture
from mspfn.pair_folder import PairFolder
from mspfn.pair_source import PairSource
from mspfn.prefetch import Prefetcher
from mspfn.rendered_pairs import RenderedPairs
from mspfn.training_pairs import TrainingPairs
from pipelines.bundled import HELD_OUT_PHOTOS, TRAINING_PHOTOS, unpack
from rainsynth import add_rain, open_shards
from rainsynth.pictures import list_photos, read_photo, write_picture
from rainsynth.preset_choice import PresetChoice
from rainsynth.shards.writer import Provenance, write_shard

PRESETS = ("light", "heavy", "violent", "long-exposure", "rain100l", "rain100h", "outdoor-rain", "raincityscapes")
SIZES_PX = (64, 96)
BATCH_SIZE, ROUNDS, STEPS_A_TURN = 8, 7, 4
PEER = "albumentations"
WORKER_STEPS = 60
Make = Callable[[int], object]  # the batch of a step


def store(folder: Path) -> None:
    """Photographs, shards of them in rain, and the same pairs as a folder."""
    unpack(TRAINING_PHOTOS + HELD_OUT_PHOTOS, folder / "photos")
    photos = list_photos(folder / "photos")
    for number, path in enumerate(photos):
        sample = add_rain(read_photo(path), 25.0, seed=number)
        origin = [Provenance(path.name, f"{number:064d}")]
        write_shard(folder / f"shards/shard-{number:05d}.h5", [sample], origin, {})
        write_picture(folder / "pairs" / "input" / f"{path.stem}.png", sample.rainy_srgb8)
        write_picture(folder / "pairs" / "target" / f"{path.stem}.png", sample.clean_srgb8)


def sources(folder: Path) -> dict[str, PairSource]:
    """Every kind of source over the same photographs."""

    def rendered(*presets: PresetChoice) -> RenderedPairs:
        return RenderedPairs(folder / "photos", presets, seed=0)

    found: dict[str, PairSource] = {
        "pair folder": PairFolder(folder / "pairs"),
        "shards": open_shards(folder / "shards"),
    }
    found |= {name: rendered(PresetChoice(preset=name)) for name in PRESETS}
    every = rendered(*EVERY_CLASS, PresetChoice(preset="rain100h"))
    return found | {"mixture 5:3:2": Mixture([every, found["shards"], found["pair folder"]], [5, 3, 2])}


def batches(source: PairSource, patch_px: int) -> TrainingPairs:
    """Windows of a source, as training draws them."""
    uniform = CurriculumConfig()
    return TrainingPairs(source, patch_px=patch_px, batch_size=BATCH_SIZE, steps=10**6, seed=0, curriculum=uniform)


def peers(pairs: TrainingPairs) -> dict[str, Make]:
    """Rain of other packages at their defaults over the targets of `pairs`, those that are installed."""
    augmentation = albumentations.RandomRain(p=1.0)

    def by_albumentations(step: int) -> object:
        _, target = pairs.pictures(step)
        return [augmentation(image=window)["image"] for window in target]

    found: dict[str, Make] = {PEER: by_albumentations}
    try:
        import kornia.augmentation
        import torch

        torch.set_num_threads(1)
        rain = kornia.augmentation.RandomRain(p=1.0)
        found["kornia"] = lambda step: rain(
            torch.from_numpy(pairs.pictures(step)[1]).permute(0, 3, 1, 2).float().div_(255)
        )
    except ImportError:
        print("kornia is not installed")
    return found


def windows_per_second(makers: dict[str, Make]) -> dict[str, list[float]]:
    """Windows a CPU second of each maker, one number a turn; the makers take turns, the first turn does not count."""
    speeds: dict[str, list[float]] = {name: [] for name in makers}
    for turn in range(ROUNDS + 1):
        for name, make in makers.items():
            started = time.process_time()
            for step in range(turn * STEPS_A_TURN, (turn + 1) * STEPS_A_TURN):
                make(step)
            if turn:
                speeds[name].append(BATCH_SIZE * STEPS_A_TURN / (time.process_time() - started))
    return speeds


def show(speeds: dict[int, dict[str, list[float]]]) -> None:
    """A row for each maker: windows a second at each size, and their ratio to the peer's."""
    print(f"{'':16}" + "".join(f"{f'{size} px':>10} {f'x {PEER}':>17}" for size in speeds))
    for name in next(iter(speeds.values())):
        cells = []
        for turns in speeds.values():
            ratio = median(own / peer for own, peer in zip(turns[name], turns[PEER], strict=True))
            cells.append(f"{median(turns[name]):8.0f}/s {ratio:17.2f}")
        print(f"{name:16}" + "".join(cells))


def show_workers(pairs: TrainingPairs) -> None:
    """Windows a second, by the clock, of a network that takes no time, with one thread and with processes."""
    for workers in (0, 1, 2):
        with Prefetcher(pairs.pictures, WORKER_STEPS + 10, workers) as ahead:
            for step in range(10):  # until all have started
                ahead.take(step)
            started = time.perf_counter()
            for step in range(10, WORKER_STEPS + 10):
                ahead.take(step)
            speed = BATCH_SIZE * WORKER_STEPS / (time.perf_counter() - started)
        print(f"data.workers {workers}: {speed:.0f} windows/s of heavy rain")


def main() -> None:
    """Print the tables."""
    cv2.setNumThreads(1)
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        store(folder)
        found = sources(folder)
        speeds = {}
        for patch_px in SIZES_PX:
            own = {name: batches(source, patch_px) for name, source in found.items()}
            for pairs in own.values():  # decode every photograph
                _ = [pair.rainy_srgb8 for pair in map(pairs.source.crop, range(8), [0] * 8, [0] * 8, [patch_px] * 8)]
            speeds[patch_px] = windows_per_second(
                {name: pairs.pictures for name, pairs in own.items()} | peers(own["pair folder"])
            )
        show(speeds)
        show_workers(batches(found["heavy"], 64))


if __name__ == "__main__":
    main()
