"""How long a step of Muon takes beside torch.optim.Muon and AdamW, for all weights of a bundled network.

    python benchmarks/muon_speed.py [WEIGHTS] [--rounds 20]

Gradients are noise and there already, so that nothing but the optimisers is timed; medians, in turns in one process.
torch.optim.Muon is given the kernels alone, as matrices.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import torch

from mspfn import load_weights
from mspfn.muon import Muon

RATE = 1e-6  # so small that weights stay what they are


def matrices_of(weights: list[torch.nn.Parameter]) -> list[torch.nn.Parameter]:
    """Copies of the kernels among weights as matrices, with gradients."""
    copies = [torch.nn.Parameter(weight.detach().flatten(1).clone()) for weight in weights if weight.ndim > 1]
    for one in copies:
        one.grad = torch.randn_like(one)
    return copies


def seconds(step: Callable[[], object]) -> float:
    """How long a step takes by the clock."""
    began_s = time.perf_counter()
    step()
    return time.perf_counter() - began_s


def main() -> None:
    """Print seconds a step, and how many times as long the others take."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", default="mspfn-fitted-rain100h")
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    network = load_weights(given.weights).to(memory_format=torch.channels_last).requires_grad_(True)  # type: ignore[call-overload]
    weights = list(network.parameters())
    for weight in weights:
        weight.grad = torch.randn_like(weight)
    optimizers = {
        "muon": Muon(network, RATE, (0.9, 0.999), 0.0),
        "torch.optim.Muon": torch.optim.Muon(matrices_of(weights), lr=RATE, adjust_lr_fn="match_rms_adamw"),
        "AdamW": torch.optim.AdamW(weights, lr=RATE, fused=True),
    }
    for optimizer in optimizers.values():
        optimizer.step()  # the first makes the state
    taken = {name: [] for name in optimizers}
    for _ in range(given.rounds):
        for name, optimizer in optimizers.items():
            taken[name].append(seconds(optimizer.step))
    ours_s = median(taken["muon"])
    for name, times_s in taken.items():
        print(f"{name:18} {median(times_s):.3f} s a step, {median(times_s) / ours_s:.2f} times ours")


if __name__ == "__main__":
    main()
