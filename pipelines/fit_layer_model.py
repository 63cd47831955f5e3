"""What layers of streaks of some numbers look like on average: a small network that goes from numbers to statistics.

Two layers of the same numbers differ, in some statistics by more than what is asked of them. So the nearest of many
layers that are drawn is nearest by luck, and its numbers are such as scatter little. Averages can be compared without
either: the network is learned from layers of many numbers, each drawn once, and by how much it misses layers that it
has not learned from is how much layers scatter (a synthetic likelihood: Wood 2010, doi:10.1038/nature09319). It also
has a gradient, which seventeen numbers at a time are found along (Adam: Kingma & Ba 2015, arXiv:1412.6980).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from pipelines.fit_rounds import Crew, Rows
from pipelines.fit_statistics import one_thread

MEMBERS = 4  # networks, each learned without its quarter of the layers; their mean is the average that is looked for
HIDDEN = 192  # choice, as all of these: less than a minute of two processors, and a mean known better than to scatter
EPOCHS, BATCH, MOST_RATE, WEIGHT_DECAY = 40, 128, 6e-3, 1e-2
STARTS, STEPS, STEP_RATE = 64, 250, 0.06  # of the search: so many numbers at a time
UNIT_MARGIN = 0.01  # of the range that a search begins from its ends, where it would hardly move
MOST_APART = 16.0  # squared errors that one statistic counts in full, so that none decides
FAR_SHARE = 0.05  # of what is beyond, so that the search feels it
USUAL_SIDE_PX = 480  # of pictures; members are given sides as logarithms against it
LEAST_SD = 1e-6  # of a statistic that all layers share


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DrawnLayers:
    """Layers that were drawn: their numbers in their own scales, height and width, statistics; a row each."""

    numbers: Rows
    sizes_px: Int[np.ndarray, "rows 2"]
    shapes: Rows

    def with_more(self, other: DrawnLayers) -> DrawnLayers:
        """These and others."""
        return DrawnLayers(
            numbers=np.concatenate([self.numbers, other.numbers]),
            sizes_px=np.concatenate([self.sizes_px, other.sizes_px]),
            shapes=np.concatenate([self.shapes, other.shapes]),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Wanted:
    """What the layer of one photograph is to be: its height and width, its statistics, how well each is known and how
    much it counts, and the direction of its streaks, which is one of them."""

    size_px: tuple[int, int]
    shape: Float[np.ndarray, "s"]
    error: Float[np.ndarray, "s"]
    weights: Float[np.ndarray, "s"]
    direction_deg: float

    def apart(self, shapes: Rows, spread: Float[np.ndarray, "s"] | float = 0.0) -> Float[np.ndarray, "rows"]:
        """How far layers that scatter by `spread` are from it: weighted mean of squares, in errors, of statistics."""
        variance = self.error**2 + np.square(spread)
        return np.minimum((shapes - self.shape) ** 2 / variance, MOST_APART) @ self.weights


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LayerModel:
    """Statistics of layers on average over all of the same numbers, and by how much one layer is off it (`spread`)."""

    limits: Float[np.ndarray, "free 2"]
    members: tuple[nn.Module, ...]
    mean: Float[np.ndarray, "s"]
    sd: Float[np.ndarray, "s"]
    spread: Float[np.ndarray, "s"]

    def shapes(self, numbers: Rows, sizes_px: Int[np.ndarray, "rows 2"]) -> Rows:
        """Statistics on average, of numbers in their own scales."""
        with torch.inference_mode(), one_thread():
            found = self._standard(torch.from_numpy(inputs(self.limits, numbers, sizes_px)))
        return found.numpy() * self.sd + self.mean

    def nearest(self, wanted: Wanted, start: Rows) -> Float[np.ndarray, "free"]:
        """The numbers whose layers are on average nearest to what is wanted: the best that is reached from `start`."""
        sizes_px = np.broadcast_to(wanted.size_px, (len(start), 2))
        given = inputs(self.limits, start, sizes_px)
        unit = np.clip(given[:, :-2], UNIT_MARGIN, 1 - UNIT_MARGIN)
        place = torch.from_numpy(np.log(unit / (1 - unit))).requires_grad_()
        size = torch.from_numpy(given[:, -2:])
        target, variance, weights = (
            torch.from_numpy(np.asarray(one, np.float32))
            for one in (
                (wanted.shape - self.mean) / self.sd,
                (wanted.error**2 + self.spread**2) / self.sd**2,
                wanted.weights,
            )
        )
        optimizer = torch.optim.Adam([place], lr=STEP_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
        with one_thread():
            for _ in range(STEPS):
                found = self._standard(torch.cat([torch.sigmoid(place), size], dim=1))
                squares = (found - target) ** 2 / variance
                felt = squares.clamp(max=MOST_APART) + FAR_SHARE * F.relu(squares - MOST_APART)
                apart = felt @ weights
                optimizer.zero_grad()
                apart.sum().backward()
                optimizer.step()
                schedule.step()
        best = torch.sigmoid(place.detach()[apart.argmin()]).numpy().astype(float)
        return self.limits[:, 0] + best * (self.limits[:, 1] - self.limits[:, 0])

    def _standard(self, given: Tensor) -> Tensor:
        return torch.stack([member(given) for member in self.members]).mean(dim=0)


def learned(limits: Float[np.ndarray, "free 2"], drawn: DrawnLayers, near: int, seed: int, crew: Crew) -> LayerModel:
    """The model of layers that were drawn; their scatter is that of the last `near`, as each is seen by the member that
    has not learned from it.

    A function of the arguments, whatever the crew.
    """
    mean, sd = drawn.shapes.mean(axis=0), np.maximum(drawn.shapes.std(axis=0), LEAST_SD)
    given = inputs(limits, drawn.numbers, drawn.sizes_px)
    standard = ((drawn.shapes - mean) / sd).astype(np.float32)
    left_out = np.random.default_rng(seed).permutation(len(given)) % MEMBERS
    jobs = [(given, standard, left_out != member, seed + member) for member in range(MEMBERS)]
    members = tuple(crew(_learn_member, jobs))
    missed = np.empty_like(standard)
    with torch.inference_mode(), one_thread():
        for number, member in enumerate(members):
            out = left_out == number
            missed[out] = standard[out] - member(torch.from_numpy(given[out])).numpy()
    spread = np.sqrt(np.mean(missed[-near:].astype(float) ** 2, axis=0)) * sd
    return LayerModel(limits=limits, members=members, mean=mean, sd=sd, spread=spread)


def inputs(
    limits: Float[np.ndarray, "free 2"], numbers: Rows, sizes_px: Int[np.ndarray, "rows 2"]
) -> Float[np.ndarray, "rows inputs"]:
    """What members are given: numbers within their limits, 0 to 1, and logarithms of height and width."""
    low, high = limits.T
    unit = (numbers - low) / np.where(high > low, high - low, 1)
    return np.column_stack([unit, np.log(np.asarray(sizes_px) / USUAL_SIDE_PX)]).astype(np.float32)


class _Member(nn.Module):
    """Linear in what it is given, and what three layers of HIDDEN add to it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        widths = (inputs, HIDDEN, HIDDEN, HIDDEN)
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.SiLU()]
        self.curved = nn.Sequential(*layers, nn.Linear(HIDDEN, outputs))
        self.straight = nn.Linear(inputs, outputs)

    def forward(self, given: Tensor) -> Tensor:
        return self.curved(given) + self.straight(given)


def _learn_member(job: tuple[np.ndarray, np.ndarray, np.ndarray, int]) -> nn.Module:
    given, standard, used, seed = job
    rows, targets = torch.from_numpy(given[used]), torch.from_numpy(standard[used])
    with torch.random.fork_rng(devices=[]), one_thread():
        torch.manual_seed(seed)
        member = _Member(rows.shape[1], targets.shape[1])
        optimizer = torch.optim.AdamW(member.parameters(), lr=MOST_RATE, weight_decay=WEIGHT_DECAY)
        batches = -(-len(rows) // BATCH)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, MOST_RATE, total_steps=EPOCHS * batches)
        for _ in range(EPOCHS):
            for places in torch.randperm(len(rows)).split(BATCH):
                loss = F.huber_loss(member(rows[places]), targets[places])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                schedule.step()
    return member.eval()


def starts_near(wanted: Wanted, drawn: DrawnLayers, spread: Float[np.ndarray, "s"]) -> Rows:
    """Numbers of the STARTS layers that are nearest to what is wanted."""
    return drawn.numbers[np.argsort(wanted.apart(drawn.shapes, spread), kind="stable")[:STARTS]]
