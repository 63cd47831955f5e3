"""The table of docs/networks.md, "Networks side by side": every network of the registry, measured on this machine.

    python docs/network_table.py [NAME ...] [--limit-s 60]

With names, these rows are measured anew and the others stay as they are. Pictures at which a network is expected to
take more than the limit are left out. Weights are untrained: they change neither time nor memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from mspfn.inference import inference_precision
from mspfn.networks import NETWORKS, build_network

PAGE = Path(__file__).with_name("networks.md")
BEGIN, END = "<!-- begin: python docs/network_table.py -->\n", "<!-- end -->\n"
HEAD = (
    "| network | weights | GMACs at 256x256 | s at 320x480 | MB at 320x480 | s at 1280x720 | MB at 1280x720 |\n"
    "|---|---|---|---|---|---|---|\n"
)
COUNTED_PX = (256, 256)  # height and width at which the field states multiply-accumulates
MEASURED_PX = ((320, 480), (720, 1280))
ROUNDS, ENOUGH_S = 3, 20.0  # the best of three rounds, or of fewer once they have taken this long
NOT_MEASURED = "-"


def main() -> None:
    """Measure, and write the table into its page."""
    options = parsed_options()
    if options.measure:
        name, height_px, width_px = options.measure
        print(json.dumps(measured(name, int(height_px), int(width_px))))
        return
    rows = rows_of(PAGE.read_text())
    networks = distinct_networks()
    for label, name in networks.items():
        if not options.names or set(options.names) & set(label.split(", ")):
            rows[label] = row(label, name, options.limit_s)
            write_table([rows[known] for known in networks if known in rows])
            print(rows[label], end="")


def parsed_options() -> argparse.Namespace:
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="networks to measure; all without one")
    parser.add_argument("--limit-s", type=float, default=60.0, help="longest picture to wait for [s]")
    parser.add_argument("--measure", nargs=3, metavar=("NAME", "HEIGHT", "WIDTH"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.names) - set(NETWORKS)
    if unknown:
        parser.error(f"unknown networks: {', '.join(sorted(unknown))}; known are {', '.join(NETWORKS)}")
    return options


def distinct_networks() -> dict[str, str]:
    """Networks of the registry: all names of one and the same, and the first of these."""
    labels: dict[str, str] = {}
    for name, network in NETWORKS.items():
        same = [other for other, value in NETWORKS.items() if value == network]
        labels.setdefault(", ".join(same), name)
    return labels


def row(label: str, name: str, limit_s: float) -> str:
    """One line of the table."""
    with torch.device("meta"):
        network = build_network(name)
    weights = sum(weight.numel() for weight in network.parameters())
    cells = [f"`{label.replace(', ', '`, `')}`", f"{weights:,}", f"{multiply_accumulates(network) / 1e9:.1f}"]
    seconds_per_px = 0.0
    for height_px, width_px in MEASURED_PX:
        if seconds_per_px * height_px * width_px > limit_s:
            cells += [NOT_MEASURED, NOT_MEASURED]
            continue
        command = [sys.executable, __file__, "--measure", name, str(height_px), str(width_px)]
        figures = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        seconds_per_px = figures["seconds"] / (height_px * width_px)
        cells += [f"{figures['seconds']:.2f}", f"{figures['memory_bytes'] / 1e6:.0f}"]
    return f"| {' | '.join(cells)} |\n"


def multiply_accumulates(network: nn.Module) -> int:
    """Multiply-accumulates of the convolutions for one picture, of a network on the meta device; each is two FLOPs."""
    counter = FlopCounterMode(display=False)
    with counter, torch.inference_mode():
        network(torch.empty(1, 3, *COUNTED_PX, device="meta"))
    return counter.get_total_flops() // 2


def measured(name: str, height_px: int, width_px: int) -> dict[str, float]:
    """Processor seconds and peak memory [bytes] of deraining one picture on one thread, in a process of its own.

    Precision and memory layout are those of mspfn.inference; memory is what the process grows by at its largest,
    weights included.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    precision = inference_precision(torch.device("cpu"))
    before_bytes, seconds = peak_bytes(), list[float]()
    network = build_network(name).eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    rainy = torch.rand(1, 3, height_px, width_px).contiguous(memory_format=torch.channels_last)
    with torch.inference_mode(), torch.autocast("cpu", precision, enabled=precision != torch.float32):
        while len(seconds) < ROUNDS and sum(seconds) < ENOUGH_S:
            start = time.process_time()
            network(rainy)
            seconds.append(time.process_time() - start)
    return {"seconds": min(seconds), "memory_bytes": peak_bytes() - before_bytes}


def peak_bytes() -> int:
    """The most memory that this process has had so far (Linux). ru_maxrss would count the one that started it, too."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.partition("VmHWM:")[2].split()[0])


def rows_of(page: str) -> dict[str, str]:
    """The lines of the table on a page, by the names in their first cell."""
    table = page.partition(BEGIN)[2].partition(END)[0]
    lines = [line for line in table.splitlines(keepends=True) if line.startswith("| `")]
    return {line.split("|")[1].strip().replace("`", ""): line for line in lines}


def write_table(lines: list[str]) -> None:
    """Put these lines into the page, whole or not at all, read anew so that the rest of it stays as it is."""
    before, _, rest = PAGE.read_text().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{PAGE.name} must hold the lines {BEGIN.strip()!r} and {END.strip()!r}, got none.")
    part = PAGE.with_suffix(".part")
    part.write_text(f"{before}{BEGIN}{HEAD}{''.join(lines)}{END}{after}")
    part.replace(PAGE)


if __name__ == "__main__":
    main()
