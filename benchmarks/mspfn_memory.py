"""Peak memory of MSPFN at 320x480, with the ConvLSTM's gates computed by groups of channels and all at once.

    python benchmarks/mspfn_memory.py [--network mspfn-published]

Each case is a process of its own, on one thread. `at rest` is what the process holds with the weights loaded and a
small picture derained; `peak` is the most it held while deraining a picture; `above rest` is the difference. At full
resolution the published cell has 256 hidden channels, so 768 channels of gates (1024 with the forget gate, which
authors' graphs compute as well and nothing reads).
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from itertools import product

import torch

from mspfn.networks import blocks, build_network

HEIGHT_PX, WIDTH_PX = 320, 480
SMALL_PX = 32
GROUPS = {"groups of 64": blocks.GATE_GROUP_CHANNELS, "all at once": 1 << 20}
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
MIB_PER_KIB = 1 / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--network", default="mspfn-published-lean", help="name of a size of MSPFN")
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        print(*measure(options.network, *options.case))
        return
    print(f"{options.network}, {HEIGHT_PX}x{WIDTH_PX}\n")
    print("| precision | gates | at rest, MiB | peak, MiB | above rest, MiB |\n|---|---|---|---|---|")
    for precision, gates in product(PRECISIONS, GROUPS):
        command = [sys.executable, __file__, "--network", options.network, "--case", precision, gates]
        rest, peak = map(float, subprocess.run(command, capture_output=True, text=True, check=True).stdout.split())
        print(f"| {precision} | {gates} | {rest:.0f} | {peak:.0f} | {peak - rest:.0f} |", flush=True)


def measure(name: str, precision: str, gates: str) -> tuple[float, float]:
    """Largest resident memory [MiB] before and after deraining a picture."""
    torch.set_num_threads(1)
    blocks.GATE_GROUP_CHANNELS = GROUPS[gates]
    network = build_network(name, zero_output=False).eval()
    number_format = PRECISIONS[precision]
    with torch.inference_mode(), torch.autocast("cpu", number_format, enabled=number_format != torch.float32):
        network(picture(SMALL_PX, SMALL_PX))
        rest = peak_mib()
        network(picture(HEIGHT_PX, WIDTH_PX))
    return rest, peak_mib()


def picture(height_px: int, width_px: int) -> torch.Tensor:
    """A picture of noise, (1, 3, H, W), channels last."""
    rainy = torch.rand(1, 3, height_px, width_px, generator=torch.Generator().manual_seed(0))
    return rainy.contiguous(memory_format=torch.channels_last)


def peak_mib() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * MIB_PER_KIB


if __name__ == "__main__":
    main()
