"""Pairs a second of PSNR-Y and SSIM-Y, beside scikit-image's in the same run.

    python benchmarks/metric_speed.py

Pairs are 512x512, decoded before. One thread, by CPU time; turns alternate, medians over the turns. scikit-image gets
the same Y and the settings that count the same windows (left out if absent). Then 1,000 pairs of ours by the clock,
decoding them from PNG among it, in as many processes as the machine has cores; and `rainsynth evaluate` on a folder of
100 results.
"""

from __future__ import annotations

import io
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median

os.environ.setdefault("OMP_NUM_THREADS", "1")

import cv2
import numpy as np
from PIL import Image

from pipelines.evaluate import compare, find_pairs, results
from pipelines.evaluation.ahead import usable_cores
from pipelines.evaluation.figures import ALWAYS
from rainsynth.metrics import METRICS, SSIM_SIGMA_PX, luma, psnr_y, ssim_y

SIDE_PX, ROUNDS, PAIRS = 512, 15, 1000
COMMAND_PAIRS = 100
Pair = tuple[np.ndarray, np.ndarray]


def make_pair(seed: int = 0) -> Pair:
    """A rainy picture and its target: smooth fields with slanted streaks over them."""
    rng = np.random.default_rng(seed)
    clean = cv2.resize(rng.integers(0, 200, (SIDE_PX // 16, SIDE_PX // 16, 3), dtype=np.uint8), (SIDE_PX, SIDE_PX))
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX]
    streaks = np.where((5 * x + y) % 97 < 8, 70, 0).astype(np.uint8)
    return cv2.add(clean, np.repeat(streaks[..., None], 3, axis=2)), clean


def ours(pair: Pair) -> tuple[float, float]:
    """PSNR-Y [dB] and SSIM-Y."""
    return psnr_y(*pair), ssim_y(*pair)


def scikit_image(pair: Pair) -> tuple[float, float]:
    """The same by scikit-image."""
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    image, reference = (luma(picture) for picture in pair)
    alike = {"gaussian_weights": True, "sigma": SSIM_SIGMA_PX, "use_sample_covariance": False, "data_range": 255}
    return (
        peak_signal_noise_ratio(reference, image, data_range=255),
        structural_similarity(image, reference, **alike),
    )


def timed(work: dict[str, Callable[[Pair], object]], pair: Pair) -> dict[str, float]:
    """CPU seconds of each, the median over turns in which they alternate."""
    taken: dict[str, list[float]] = {name: [] for name in work}
    for turn in range(ROUNDS + 1):
        for name, call in work.items():
            start = time.process_time()
            call(pair)
            if turn:  # the first warms up
                taken[name].append(time.process_time() - start)
    return {name: median(seconds) for name, seconds in taken.items()}


def beside_peers(pair: Pair) -> None:
    """Our pairs a second, and the ratio to scikit-image's."""
    work: dict[str, Callable[[Pair], object]] = {"ours": ours}
    try:
        found = ours(pair), scikit_image(pair)
        work["scikit-image"] = scikit_image
        apart = max(abs(a - b) for a, b in zip(*found, strict=True))
        print(f"ours and scikit-image's differ by {apart:.1e} at most")
    except ImportError:
        print("scikit-image is not installed")
    seconds = timed(work, pair)
    for name, taken in seconds.items():
        print(f"{name:>14}: {1 / taken:6.1f} pairs/s on one core, {taken / seconds['ours']:.1f} times ours")


def every_metric(pair: Pair) -> None:
    """Milliseconds of every variant."""
    seconds = timed({name: partial(_call, name) for name in METRICS}, pair)
    print("\n" + "\n".join(f"{name:>24}: {1e3 * taken:5.1f} ms" for name, taken in seconds.items()))


def by_the_clock(pair: Pair) -> None:
    """1,000 pairs from PNG files in memory, in processes of one thread each."""
    encoded = tuple(_png(picture) for picture in pair)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ProcessPoolExecutor(cores, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        list(pool.map(_from_png, [encoded] * cores))  # processes are up
        start = time.perf_counter()
        cpu_s = sum(pool.map(_from_png, [encoded] * PAIRS, chunksize=25))
        taken = time.perf_counter() - start
    print(f"\n{PAIRS} pairs from PNG: {taken:.1f} s by the clock, {PAIRS / taken:.0f} pairs/s in {cores} processes")
    print(
        f"of which a pair takes {1e3 * cpu_s / PAIRS:.1f} ms of CPU time: {cores * PAIRS / cpu_s:.0f} pairs/s if alone"
    )


def whole_command(pair: Pair) -> None:
    """`rainsynth evaluate --results` on PNG files, PSNR-Y and SSIM-Y before and after and harm; threads as it has."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for part, picture in zip(("input", "target", "results"), (*pair, cv2.blur(pair[0], (3, 3))), strict=True):
            (folder / part).mkdir()
            for index in range(COMMAND_PAIRS):
                (folder / part / f"{index}.png").write_bytes(_png(picture))
        start, cpu_start = time.perf_counter(), time.process_time()
        pairs = find_pairs(folder)
        compare(pairs, results([f"results={folder / 'results'}"], pairs), metrics=ALWAYS)
        taken, cpu_s = time.perf_counter() - start, time.process_time() - cpu_start
    cores = usable_cores()
    print(f"\nevaluate --results, {COMMAND_PAIRS} pairs: {COMMAND_PAIRS / taken:.0f} pairs/s in {cores} threads")
    print(
        f"of which a pair takes {1e3 * cpu_s / COMMAND_PAIRS:.1f} ms of CPU time: "
        f"{cores * COMMAND_PAIRS / cpu_s:.0f} pairs/s if alone"
    )


def _call(name: str, pair: Pair) -> float:
    return METRICS[name](*pair)


def _png(picture: np.ndarray) -> bytes:
    data = io.BytesIO()
    Image.fromarray(picture).save(data, format="png")
    return data.getvalue()


def _from_png(encoded: tuple[bytes, bytes]) -> float:
    """CPU seconds of decoding and measuring a pair."""
    start = time.process_time()
    rainy, clean = (np.array(Image.open(io.BytesIO(data)).convert("RGB")) for data in encoded)
    ours((rainy, clean))
    return time.process_time() - start


def main() -> None:
    """Print every figure."""
    cv2.setNumThreads(1)
    pair = make_pair()
    beside_peers(pair)
    every_metric(pair)
    by_the_clock(pair)
    whole_command(pair)


if __name__ == "__main__":
    main()
