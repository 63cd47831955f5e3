"""What deraining takes: the published network beside ours in the same run, every size, large pictures, threads, GPU.

    python benchmarks/derain_speed.py [--weights TRAINED_MSPFN_PUBLISHED] [--pairs FOLDER] [--pictures 3]

The published network runs as its authors' graph does: float32, channels first, with all its weights, each ConvLSTM's
gates in one piece. Ours is the same function: no dead weights, gates by groups of channels, channels last, bfloat16
where the processor multiplies in it. On trained weights and pairs (`input/`, `target/`) the PSNR of both is compared.
Times on one thread are seconds of processor time, so that what else the machine does counts less; turns alternate, the
first does not count, medians.
"""

from __future__ import annotations

import argparse
import copy
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import mean, median

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from mspfn import build_network, derain, derain_batch, load_weights
from mspfn.checkpoint import BUNDLED_WEIGHTS
from mspfn.inference import inference_precision
from mspfn.lean import without_dead_weights
from mspfn.networks import MSPFN, NETWORKS
from mspfn.networks.blocks import FORGET_BIAS, LSTMCell
from mspfn.pair_folder import PairFolder
from mspfn.pixels import codes_of, unit_pictures
from pipelines.verbs.networks import DEFAULT_WEIGHTS
from rainsynth.checks import InputError
from rainsynth.metrics import psnr_y

ROUNDS = 3
PICTURE_PX = (320, 480)  # height and width of the field's benchmark sets
FRAME_PX, FRAME_TURNS = (360, 640), 10  # of the video that the size for real time is made for
LARGE_PX = ((720, 1280), (2160, 3840))
LARGE_NETWORKS = ("mspfn-tiny", "mspfn-small")
GPU_BATCH = 8
# One function at several sizes of file: the same output and, but for the first, the same work.
SAME_FUNCTION = ("mspfn", "mspfn-published", "mspfn-training-graph")

MEMORY = """
import resource, sys, numpy as np, torch
from mspfn import build_network, derain
torch.set_num_threads(1)
name, height_px, width_px = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
derain(np.zeros((height_px, width_px, 3), np.uint8), build_network(name))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""

Run = Callable[[], object]


class PublishedCell(nn.Module):
    """A ConvLSTM as the authors' graph computes it: all gates at once, of the input beside a state of zeros."""

    def __init__(self, cell: LSTMCell) -> None:
        super().__init__()
        self.weight, self.bias = cell.weight, cell.bias

    def forward(self, x: Tensor) -> Tensor:
        count, _, height, width = x.shape
        hidden = memory = x.new_zeros(count, len(self.bias) // 4, height, width)
        gates = F.conv2d(torch.cat((x, hidden), dim=1), self.weight, self.bias, padding=1)
        entry, new, forget, output = gates.chunk(4, dim=1)
        memory = memory * torch.sigmoid(forget + FORGET_BIAS) + torch.sigmoid(entry) * torch.tanh(new)
        return torch.tanh(memory) * torch.sigmoid(output)


def published_graph(network: MSPFN) -> Callable[[np.ndarray], np.ndarray]:
    """Derains in float32 as the authors' graph does, with the weights of `network`, dead ones included."""
    graph = copy.deepcopy(network).eval()
    cells = [(p, name) for p in graph.modules() for name, child in p.named_children() if isinstance(child, LSTMCell)]
    for parent, name in cells:
        setattr(parent, name, PublishedCell(getattr(parent, name)))

    def restore(photo_srgb8: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return codes_of(graph(unit_pictures(photo_srgb8[None]).contiguous()), photo_srgb8.dtype)[0]

    return restore


def alternating_s(runs: dict[str, Run], clock: Callable[[], float], rounds: int = ROUNDS) -> dict[str, float]:
    """Median seconds of each; they take turns, and the first turn does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(rounds + 1):
        for name, run in runs.items():
            started = clock()
            run()
            if turn:
                seconds[name].append(clock() - started)
    return {name: median(times) for name, times in seconds.items()}


def noise(height_px: int, width_px: int) -> np.ndarray:
    """A picture of random codes."""
    return np.random.default_rng(0).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)


def against_published(network: MSPFN) -> None:
    """Seconds of the published graph and of ours at 320x480, one thread, and their ratio."""
    graph, lean, photo = published_graph(network), without_dead_weights(network), noise(*PICTURE_PX)
    seconds = alternating_s(
        {"published graph, float32": lambda: graph(photo), "ours": lambda: derain(photo, lean)}, time.process_time
    )
    published_s, ours_s = seconds.values()
    print(f"\nmspfn-published at {PICTURE_PX[0]}x{PICTURE_PX[1]}, one thread, ours in {precision('cpu')}")
    for name, taken_s in seconds.items():
        print(f"  {name:26} {taken_s:7.2f} s")
    print(f"  {'published / ours':26} {published_s / ours_s:7.2f}")


def quality(network: MSPFN, pairs: Path, pictures: int) -> None:
    """PSNR-Y of the published graph and of ours on the first pictures of a folder of pairs."""
    graph, lean, folder = published_graph(network), without_dead_weights(network), PairFolder(pairs)
    scores = []
    for index in range(min(pictures, len(folder))):
        pair = folder[index]
        results = (pair.rainy_srgb8, graph(pair.rainy_srgb8), derain(pair.rainy_srgb8, lean))
        scores.append([psnr_y(result, pair.clean_srgb8) for result in results])
    rainy_db, published_db, ours_db = (mean(column) for column in zip(*scores, strict=True))
    largest_db = max(abs(ours - published) for _, published, ours in scores)
    print(f"  PSNR-Y of {len(scores)} pairs: rainy {rainy_db:.3f} dB, published graph {published_db:.3f}, ", end="")
    print(f"ours {ours_db:.3f}; difference {ours_db - published_db:+.4f}, of one pair at most {largest_db:.4f}")


def sizes() -> None:
    """Seconds of every network at 320x480 on one thread, and on two."""
    photo = noise(*PICTURE_PX)
    names = [name for name in NETWORKS if name not in SAME_FUNCTION]
    runs = {name: restoring(name, photo) for name in names}
    one = alternating_s(runs, time.process_time, rounds=1)
    torch.set_num_threads(2)
    two = alternating_s(runs, time.perf_counter, rounds=1)
    torch.set_num_threads(1)
    print(f"\n{PICTURE_PX[0]}x{PICTURE_PX[1]}, {precision('cpu')}     one thread   two threads (clock)")
    for name in names:
        print(f"  {name:26} {one[name]:7.2f} s {two[name]:10.2f} s")


def bundled() -> None:
    """Seconds of all weights that come with the package at 320x480, one thread, and of PReNet, beside mspfn-small's."""
    photo = noise(*PICTURE_PX)
    networks = {path.stem: load_weights(path) for path in sorted(BUNDLED_WEIGHTS.glob("*.pt"))}
    runs: dict[str, Run] = {name: partial(derain, photo, network) for name, network in networks.items()}
    runs["prenet"] = restoring("prenet", photo)
    seconds = alternating_s(runs, time.process_time)
    print(f"\nbundled weights, {PICTURE_PX[0]}x{PICTURE_PX[1]}, one thread, {precision('cpu')}     mspfn-small / this")
    for name, taken_s in seconds.items():
        print(f"  {name:26} {taken_s:7.2f} s {seconds[DEFAULT_WEIGHTS] / taken_s:10.2f}")


def real_time() -> None:
    """Frames a second, by the clock, of the size for real time beside mspfn-tiny."""
    frame = noise(*FRAME_PX)
    print(f"\n{FRAME_PX[1]}x{FRAME_PX[0]} frames a second, {precision('cpu')}")
    for threads in (1, 2):
        torch.set_num_threads(threads)
        runs = {name: restoring(name, frame) for name in ("mspfn-realtime", "mspfn-tiny")}
        turns = [alternating_s(runs, time.perf_counter, rounds=1) for _ in range(FRAME_TURNS)]
        for name in runs:
            seconds = sorted(turn[name] for turn in turns)
            print(f"  {name:16} {threads} threads: best {1 / seconds[0]:5.1f}, median {1 / median(seconds):5.1f}")
    torch.set_num_threads(1)


def restoring(name: str, photo_srgb8: np.ndarray) -> Run:
    """Deraining of a photograph by an untrained network of this name."""
    network = build_network(name).eval()
    return lambda: derain(photo_srgb8, network)


def large_pictures() -> None:
    """Peak memory and processor seconds of a process that derains one large picture, Python and PyTorch included."""
    print("\nlarge pictures, one thread, a process each")
    for name in LARGE_NETWORKS:
        for height_px, width_px in LARGE_PX:
            before_s = children_s()
            command = [sys.executable, "-c", MEMORY, name, str(height_px), str(width_px)]
            kib = int(subprocess.run(command, capture_output=True, check=True).stdout)
            print(f"  {name:12} {width_px}x{height_px:<5} {kib / 2**20:5.2f} GiB {children_s() - before_s:7.1f} s")


def children_s() -> float:
    """Processor seconds of the processes that this one has started and waited for."""
    times = os.times()
    return times.children_user + times.children_system


def on_gpu() -> None:
    """Milliseconds a picture of every network on the first GPU, one at a time and in batches."""
    if not torch.cuda.is_available():
        print("\nno GPU here")
        return
    print(f"\n{torch.cuda.get_device_name()}, {precision('cuda')}: ms a picture, alone and in batches of {GPU_BATCH}")
    for height_px, width_px in (PICTURE_PX, LARGE_PX[0]):
        photos = np.repeat(noise(height_px, width_px)[None], GPU_BATCH, axis=0)
        for name in NETWORKS:
            network = build_network(name).eval().cuda()
            seconds = alternating_s(gpu_runs(photos, network), time.perf_counter)  # results come back: no waiting
            alone_ms, batch_ms = 1e3 * seconds["alone"], 1e3 * seconds["batch"] / GPU_BATCH
            print(f"  {name:26} {width_px}x{height_px:<5} {alone_ms:8.1f} {batch_ms:8.1f}")


def gpu_runs(photos: np.ndarray, network: nn.Module) -> dict[str, Run]:
    """One picture, and all of them."""
    return {"alone": lambda: derain(photos[0], network), "batch": lambda: derain_batch(photos, network)}


def precision(device: str) -> str:
    """The number format that inference chooses on a device."""
    return str(inference_precision(torch.device(device))).removeprefix("torch.")


def published_network(weights: Path | None) -> MSPFN:
    """The network of a weights file, which must be an MSPFN with its dead weights; without a file, random weights."""
    network = load_weights(weights) if weights else build_network("mspfn-published")
    if not isinstance(network, MSPFN) or not network.config.dead_weights:
        raise InputError(f"--weights must be of an mspfn-published, got {weights}.")
    return network


def main() -> None:
    """Print every table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, help="trained mspfn-published; left out: random weights, no PSNR")
    parser.add_argument("--pairs", type=Path, help="folder of pairs for the PSNR")
    parser.add_argument("--pictures", type=int, default=3, help="how many of the pairs")
    parser.add_argument(
        "--only", choices=("published", "sizes", "weights", "realtime", "large", "gpu"), help="one table instead of all"
    )
    options = parser.parse_args()
    torch.set_num_threads(1)
    network = published_network(options.weights)
    tables: dict[str, Run] = {
        "published": lambda: against_published(network),
        "sizes": sizes,
        "weights": bundled,
        "realtime": real_time,
        "large": large_pictures,
        "gpu": on_gpu,
    }
    for name, table in tables.items():
        if options.only in (None, name):
            table()
            if name == "published" and options.weights and options.pairs:
                quality(network, options.pairs, options.pictures)


if __name__ == "__main__":
    main()
