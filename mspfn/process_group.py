"""The processes that train one network together under `torchrun`. A process without others is a group of one.

Every process has the whole network and makes its own rows of a step's batch. The gradients are added up over all of
them, so that each takes the same step with the same bits, and only the first writes anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous

from rainsynth.checks import InputError

# Nobody gives up on the first process while it validates. A process that dies is noticed at once, by its connection.
LONGEST_WAIT = timedelta(days=7)

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """Number `rank` of `count` processes, and the device that it works on."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes, measures and reports."""
        return self.rank == 0

    @property
    def rows(self) -> slice:
        """Rows of a batch that this process works on; every process has some of a batch of at least `count`."""
        return slice(self.rank, None, self.count)

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put into each tensor its sum over all processes: one message for all of them, the same bits everywhere."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, total in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(total.reshape(tensor.shape))

    def wait(self) -> None:
        """Until every process has come here."""
        self.ask_first(lambda: None)

    def check_same(self, value: int, name: str, hint: str) -> None:
        """Raise InputError in a process whose value is not the first one's."""
        first = self.ask_first(lambda: value)
        if value != first:
            raise InputError(
                f"{name} must be {first}, as in the first process, got {value} in number {self.rank}. {hint}"
            )

    def ask_first(self, question: Callable[[], Found]) -> Found:
        """What the first process finds; the others wait for it and are told."""
        if self.count == 1:
            return question()
        told = [question() if self.is_first else None]
        dist.broadcast_object_list(told, src=0, device=self.device)
        return told[0]  # type: ignore[return-value]


@contextmanager
def process_group(device_name: str, purpose: str = "train") -> Iterator[ProcessGroup]:
    """The group that this process belongs to, as `torchrun` tells by its environment; alone without it.

    A process may belong to one group after the other, each for another purpose. On CUDA every process of a machine has
    its own device, and NCCL carries their messages; else Gloo does.
    """
    rank, count = rank_and_count()
    device = training_device(device_name)
    if count == 1:
        yield ProcessGroup(device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
        torch.cuda.set_device(device)
    # torchrun keeps one store over its restarts, where the addresses of processes that died would be found again.
    store, _, _ = next(rendezvous("env://"))
    store = dist.PrefixStore(f"{purpose}-restart-{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, store=store, rank=rank, world_size=count, timeout=LONGEST_WAIT)
    try:
        yield ProcessGroup(device, rank, count)
    finally:
        dist.destroy_process_group()


def training_device(name: str) -> torch.device:
    """The device of a name; "auto" is a CUDA device if there is one."""
    if name == "cuda" and not torch.cuda.is_available():
        raise InputError("device must be auto or cpu on this machine, got cuda. PyTorch finds no CUDA device.")
    return torch.device("cuda" if name != "cpu" and torch.cuda.is_available() else "cpu")


def rank_and_count() -> tuple[int, int]:
    """Number of this process and how many there are, from the environment that `torchrun` makes; else 0 of 1."""
    count = int(os.environ.get("WORLD_SIZE", "1"))
    return (int(os.environ.get("RANK", "0")), count) if count > 1 else (0, 1)
