"""Pairs a second into shards, beside a peer that writes PNGs; on one worker and two; few samples and many.

    python benchmarks/generation.py                          one core, two workers, 100 and 1,000 samples
    python benchmarks/generation.py --long                   10,000 samples too: some minutes, 8 GB of disk
    python benchmarks/generation.py --profiles               bytes and time of a pair by profile
    python benchmarks/generation.py --scheduler-load 100000  tasks that do nothing: what scheduler, client and plan cost

Pairs are 512x512, preset heavy, PSNR and no SSIM, with a fingerprint of each of the eight photographs. The peer draws
albumentations' RandomRain, which has no depth, light or parameters, and writes rainy and clean picture with OpenCV. CPU
time stands beside wall time: on a machine that is busy with something else only the first can be compared.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

os.environ["NO_ALBUMENTATIONS_UPDATE"] = "1"
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

import albumentations
import cv2
import psutil
from PIL import Image

from pipelines.cluster import Crew
from pipelines.generate_config import GenerateConfig, PhotographsConfig
from pipelines.make_shard import forget_fingerprints, make_shard
from pipelines.photographs import Photograph, survey
from pipelines.plan import ShardTask, plan
from rainsynth.metrics import psnr_y
from rainsynth.pictures import read_photo
from rainsynth.preset_choice import PresetChoice
from rainsynth.shards.codecs import CODECS
from rainsynth.shards.schema import LAYERS

SIZE_PX = 512
PAIRS = 192
ROUNDS = 3
PHOTOGRAPHS = 8
WORKER_PROCESSES = 4
PLANNED_PAIRS = 10_000_000
PLANNED_WORKERS = 1000
PAIR_S = 0.015  # CPU seconds, with PSNR and its share of the shard
PLANNED_PER_SHARD = 91  # what SHARD_PIXELS allows at 512x512


@contextmanager
def stopwatch(title: str, pairs: int) -> Iterator[list[float]]:
    """Prints pairs a second by the clock, and by this process's CPU time; the list takes milliseconds a pair."""
    figures: list[float] = []
    wall, cpu = time.perf_counter(), time.process_time()
    yield figures
    wall_s, cpu_s = time.perf_counter() - wall, time.process_time() - cpu
    figures.extend((1e3 * wall_s / pairs, 1e3 * cpu_s / pairs))
    print(f"  {title:44} {pairs / wall_s:7.1f}/s {pairs / max(cpu_s, 1e-9):7.1f}/s of CPU")


def photographs(folder: Path) -> None:
    """Bundled photographs at 512x512, as JPEG files."""
    from skimage import data

    pictures = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()]
    for number in range(PHOTOGRAPHS):
        picture = Image.fromarray(pictures[number % len(pictures)]).resize((SIZE_PX, SIZE_PX))
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if number >= len(pictures) else picture
        picture.save(folder / f"{number}.jpg", quality=95)


def config(photos: Path, samples: int, **options: object) -> GenerateConfig:
    """The data set that is timed."""
    values: dict = {"samples": samples, "mixture": (PresetChoice(preset="heavy"),), "layers": ()}
    return GenerateConfig(data=PhotographsConfig(photographs=str(photos)), **(values | options))


def tasks_of(chosen: GenerateConfig, photos: Path) -> list[ShardTask]:
    """All shards of a data set."""
    return list(plan(chosen, survey(photos)))


def one_core(photos: Path, out: Path) -> None:
    """Ours and the peer in turns, in this process."""
    chosen = config(photos, PAIRS)
    tasks = tasks_of(chosen, photos)
    pictures = [read_photo(path) for path in sorted(photos.iterdir())]
    rain = albumentations.RandomRain(p=1.0)
    make_shard(chosen, tasks[0], str(out))  # compiles
    print(f"\none core, {PAIRS} pairs of {SIZE_PX}x{SIZE_PX}, no layers, in turns")
    for _ in range(ROUNDS):
        forget_fingerprints()
        with stopwatch("rainsynth: rain, PSNR, shard checked", PAIRS) as ours:
            for task in tasks:
                make_shard(chosen, task, str(out))
        with stopwatch("RandomRain, PSNR, two PNGs by OpenCV", PAIRS) as peer:
            for number in range(PAIRS):
                clean = pictures[number % len(pictures)]
                rainy = rain(image=clean)["image"]
                psnr_y(rainy, clean)
                for kind, picture in (("rainy", rainy), ("clean", clean)):
                    cv2.imwrite(str(out / f"{kind}_{number}.png"), picture[..., ::-1])
        print(f"  {'CPU time of the peer, over ours':44} {peer[1] / ours[1]:7.2f}")
    shards = sum(path.stat().st_size for path in out.glob("*.h5")) / PAIRS
    png = sum(path.stat().st_size for path in out.glob("*.png")) / PAIRS
    print(f"  kB a pair: {shards / 1e3:.0f} in shards, where a photograph lies once a shard; {png / 1e3:.0f} as PNGs")


def workers(photos: Path, out: Path, samples: int) -> None:
    """One and two workers of a local cluster, once they have started."""
    chosen = config(photos, samples)
    tasks = tasks_of(chosen, photos)
    print(f"\nworkers of a local cluster, {samples} pairs, started and warm")
    taken = {}
    for count in (1, 2):
        with Crew(count) as crew:
            make = partial(make_shard, chosen, out=str(out))
            list(crew.results(make, tasks[: 2 * count]))
            with stopwatch(f"{count} (CPU is this process's alone)", samples) as figures:
                list(crew.results(make, tasks))
            taken[count] = figures[0]
    print(f"  two over one: {taken[1] / taken[2]:.2f}")


def flat(photos: Path, out: Path, sizes: tuple[int, ...]) -> None:
    """The rate and the client's memory, from few samples to many, on two workers."""
    print("\nfrom few samples to many, two workers, started and warm; most memory of the client so far")
    with Crew(2) as crew:
        for samples in sizes:
            chosen = config(photos, samples)
            make = partial(make_shard, chosen, out=str(out))
            shards = plan(chosen, survey(photos))
            list(crew.results(make, list(plan(config(photos, 256), survey(photos)))[:4]))
            with stopwatch(f"{samples} pairs", samples):
                sum(1 for _ in crew.results(make, shards))
            print(f"  {'':44} {peak_mib():7.0f} MiB")


def profiles(photos: Path, out: Path) -> None:
    """Bytes and CPU time of a pair by profile, in this process."""
    print(f"\nprofiles, {SIZE_PX}x{SIZE_PX}, preset heavy: kB and ms of CPU a pair")
    for layers in ((), LAYERS):
        for profile in CODECS:
            chosen = config(photos, 96, layers=layers, profile=profile)
            tasks = tasks_of(chosen, photos)
            make_shard(chosen, tasks[0], str(out))
            started = time.process_time()
            size = sum(make_shard(chosen, task, str(out))["bytes"] for task in tasks)
            cpu_ms = 1e3 * (time.process_time() - started) / chosen.samples
            kind = "every layer" if layers else "pairs alone"
            print(f"  {kind} {profile:10} {size / chosen.samples / 1e3:8.0f} kB {cpu_ms:8.1f} ms")
    print(f"  most memory of this process: {peak_mib():.0f} MiB")


def nothing(task: ShardTask) -> dict[str, object]:
    """A task that returns a record at once."""
    return {"file": task.file, "samples": len(task.indices), "bytes": 0, "sha256": "0" * 64}


def scheduler_load(count: int, folder: Path) -> None:
    """CPU time a task of scheduler and client, each in a process of its own; and what a plan of ten million takes."""
    photos = [Photograph(f"{n}.jpg", SIZE_PX, SIZE_PX, f"{n:064x}") for n in range(10_000)]
    pairs = config(Path("photos"), count * PLANNED_PER_SHARD, samples_per_shard=PLANNED_PER_SHARD)
    file = folder / "scheduler.json"
    options = ["--scheduler-file", str(file), "--no-dashboard"]
    processes = [start("dask_scheduler", "--port", "0", *options)]
    for _ in range(WORKER_PROCESSES):
        processes.append(start("dask_worker", "--nthreads", "32", "--no-nanny", "--memory-limit", "0", *options))
    try:
        while not file.exists():
            time.sleep(0.1)
        time.sleep(5)
        slots = 32 * WORKER_PROCESSES
        print(f"\n{count} tasks of {PLANNED_PER_SHARD} samples that return a record at once, {slots} slots")
        with Crew(1, str(file)) as crew:
            tasks = plan(pairs, photos)
            list(crew.results(nothing, list(plan(config(Path("photos"), 100), photos))))
            before, wall = cpu_seconds(processes), time.perf_counter()
            done = sum(1 for _ in crew.results(nothing, tasks))
            wall_s = time.perf_counter() - wall
            taken = [after - start_s for after, start_s in zip(cpu_seconds(processes), before, strict=True)]
        memory_mib = psutil.Process(processes[0].pid).memory_info().rss / 2**20
    finally:
        for process in processes:
            process.kill()
    scheduler_ms, client_ms = (1e3 * seconds / done for seconds in (taken[0], taken[-1]))
    print(f"  {done / wall_s:.0f} tasks/s here, on {os.cpu_count()} cores that also carry the workers")
    print(f"  CPU a task: scheduler {scheduler_ms:.2f} ms, client {client_ms:.2f} ms, with its plan")
    print(f"  memory: scheduler {memory_mib:.0f} MiB, client {peak_mib():.0f} MiB at most")
    wall = time.perf_counter()
    whole = plan(config(Path("photos"), PLANNED_PAIRS, samples_per_shard=PLANNED_PER_SHARD), photos)
    shards = sum(1 for _ in whole)
    print(f"a plan of {PLANNED_PAIRS} pairs: {shards} shards, {time.perf_counter() - wall:.0f} s to go through,")
    print(f"  {peak_mib():.0f} MiB at most in this process")
    rate = PLANNED_WORKERS / (PLANNED_PER_SHARD * PAIR_S)
    print(f"{PLANNED_WORKERS} workers at {1e3 * PAIR_S:g} ms a pair: {rate:.0f} tasks/s want", end=" ")
    print(
        f"{rate * scheduler_ms / 1e3:.2f} cores of scheduler and {rate * client_ms / 1e3:.2f} of client; each has one"
    )


def start(module: str, *options: str) -> subprocess.Popen[bytes]:
    """A scheduler or a worker of dask."""
    command = [sys.executable, "-m", f"distributed.cli.{module}", *options]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def cpu_seconds(processes: list[subprocess.Popen[bytes]]) -> list[float]:
    """CPU time so far of each process, and of this one last."""
    times = [psutil.Process(pid).cpu_times() for pid in (*(process.pid for process in processes), os.getpid())]
    return [used.user + used.system for used in times]


def peak_mib() -> float:
    """Most memory that this process had so far [MiB]."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Print what the options ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--profiles", action="store_true")
    parser.add_argument("--scheduler-load", type=int, metavar="TASKS")
    chosen = parser.parse_args()
    cv2.setNumThreads(1)
    folder = Path(tempfile.mkdtemp())
    photos, out = folder / "photos", folder / "out"
    photos.mkdir()
    out.mkdir()
    try:
        if chosen.scheduler_load:
            scheduler_load(chosen.scheduler_load, folder)
            return
        photographs(photos)
        print(f"load of this machine before: {os.getloadavg()[0]:.2f} on {os.cpu_count()} cores")
        if chosen.profiles:
            profiles(photos, out)
            return
        one_core(photos, out)
        workers(photos, out, 4 * PAIRS)
        flat(photos, out, (100, 1000, 10_000) if chosen.long else (100, 1000))
        print(f"load after: {os.getloadavg()[0]:.2f}")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
