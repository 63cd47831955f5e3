"""Which sample shows which photograph, in which shard, under which rain: all of it from (config, index).

Nothing here is held for every sample: a plan is gone through in blocks of samples, and each block anew when needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Int

from pipelines.generate_config import GenerateConfig
from pipelines.photographs import Photograph
from rainsynth.checks import InputError
from rainsynth.preset_choice import PresetChoice
from rainsynth.seeding import ORDER_STREAM, sample_rng
from rainsynth.shards.schema import SHARD_GLOB

GOLDEN_RATIO = (5**0.5 - 1) / 2
SILVER_RATIO = 2**0.5 - 1  # a second circle of equal steps, independent of the golden one
SHARD_PIXELS = 24_000_000  # samples of a shard times their pixels: about 0.5 GB of layers while it is made
BLOCK_SAMPLES = 2**22  # samples planned at a time, 16 bytes each; one photograph's samples meet within a block
NUMBER_DIGITS = 5  # of a shard's number, at least


@dataclass(frozen=True, slots=True)
class ShardTask:
    """One shard to be made: its file within the data set and, for each of its samples, index and photograph."""

    file: str
    indices: tuple[int, ...]
    photographs: tuple[Photograph, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Photographs whose samples may share a shard: one size of samples, one part of the split ("" without split)."""

    part: str
    height_px: int
    width_px: int


@dataclass(frozen=True)
class Plan:
    """All shards of a data set, in order, made up anew whenever they are gone through; len() is their number.

    Memory is bounded by BLOCK_SAMPLES, whatever the number of samples.
    """

    config: GenerateConfig
    photographs: Sequence[Photograph]
    parts: dict[str, str]

    def __len__(self) -> int:
        return sum(self.shards_of_part.values())

    def __iter__(self) -> Iterator[ShardTask]:
        digits = {part: max(NUMBER_DIGITS, len(str(count - 1))) for part, count in self.shards_of_part.items()}
        numbers = dict.fromkeys(self.shards_of_part, 0)
        for group, indices, places in self._shards():
            file = SHARD_GLOB.replace("*", str(numbers[group.part]).zfill(digits[group.part]))
            numbers[group.part] += 1
            photographs = tuple(self.photographs[place] for place in places.tolist())
            yield ShardTask(f"{group.part}/{file}" if group.part else file, tuple(indices.tolist()), photographs)

    @cached_property
    def shards_of_part(self) -> dict[str, int]:
        """Number of shards in each part of the split; under "" without one."""
        counts = dict.fromkeys(self.config.split or [""], 0)
        for first in range(0, self.config.samples, BLOCK_SAMPLES):
            ranks = self._rank[photographs_of_block(self.config, first, len(self.photographs))]
            for group, count in zip(self._groups, np.bincount(self._group[ranks]).tolist(), strict=False):
                counts[group.part] += -(-count // self._samples_per_shard(group))
        return counts

    @cached_property
    def _by_group(self) -> tuple[list[Group], list[int], list[int]]:
        """Groups in order; photographs in the order of their groups; and the group of each of those."""
        size_px = self.config.size_px
        groups = [
            Group(self.parts.get(photo.sha256, ""), size_px or photo.height_px, size_px or photo.width_px)
            for photo in self.photographs
        ]
        parts = list(self.config.split or [""])
        distinct = sorted(set(groups), key=lambda group: (parts.index(group.part), group.height_px, group.width_px))
        number = {group: place for place, group in enumerate(distinct)}
        order = sorted(range(len(groups)), key=lambda place: (number[groups[place]], place))
        return distinct, order, [number[groups[place]] for place in order]

    @property
    def _groups(self) -> list[Group]:
        return self._by_group[0]

    @cached_property
    def _group(self) -> Int[np.ndarray, "photographs"]:
        """Group of the photograph of each rank."""
        return np.array(self._by_group[2], dtype=np.int32)

    @cached_property
    def _rank(self) -> Int[np.ndarray, "photographs"]:
        """Rank of each photograph in the order of groups."""
        rank = np.empty(len(self.photographs), dtype=np.int32)
        rank[self._by_group[1]] = np.arange(len(rank), dtype=np.int32)
        return rank

    def _samples_per_shard(self, group: Group) -> int:
        return max(1, min(self.config.samples_per_shard, SHARD_PIXELS // (group.height_px * group.width_px)))

    def _shards(self) -> Iterator[tuple[Group, np.ndarray, np.ndarray]]:
        """For every shard its group, the indices of its samples, and their photographs' places."""
        for first in range(0, self.config.samples, BLOCK_SAMPLES):
            places = photographs_of_block(self.config, first, len(self.photographs))
            ranks = self._rank[places]
            order = np.argsort(ranks, kind="stable")  # by group, then photograph, then index
            ends = np.searchsorted(self._group[ranks[order]], np.arange(len(self._groups)), side="right").tolist()
            for group, start, end in zip(self._groups, [0, *ends[:-1]], ends, strict=True):
                step = self._samples_per_shard(group)
                for at in range(start, end, step):
                    chosen = order[at : min(at + step, end)]
                    yield group, chosen + first, places[chosen]


def plan(config: GenerateConfig, photographs: Sequence[Photograph]) -> Plan:
    """Samples grouped into shards of one size and one part of the split each, a photograph's samples side by side.

    Raises InputError for a photograph smaller than the windows asked for, and a split of too few photographs.
    """
    if config.size_px is not None:
        small = [photo.name for photo in photographs if min(photo.height_px, photo.width_px) < config.size_px]
        if small:
            others = f" and {len(small) - 1} more" if len(small) > 1 else ""
            raise InputError(
                f"photographs must be at least size_px {config.size_px} high and wide, got {small[0]}{others}."
            )
    return Plan(config, photographs, parts_of(photographs, config.split or {}))


def parts_of(photographs: Sequence[Photograph], split: dict[str, float]) -> dict[str, str]:
    """The part of the split that each photograph belongs to, by the SHA-256 of its file; {} without a split.

    Distinct photographs in the order of their hashes, which is an order by chance that follows from the pictures
    alone, are cut into parts by the shares; every part gets one at least. Names and the seed play no role, and copies
    of one file stay together. Raises InputError for fewer distinct photographs than parts.
    """
    hashes = sorted({photo.sha256 for photo in photographs}) if split else []
    if len(hashes) < len(split):
        raise InputError(
            f"split must have a photograph for each of {', '.join(split)}, got {len(hashes)} different photographs."
        )
    parts: dict[str, str] = {}
    start, upto = 0, 0.0
    for number, (part, share) in enumerate(split.items(), start=1):
        upto += share
        end = min(max(round(upto * len(hashes)), start + 1), len(hashes) - (len(split) - number))
        parts |= dict.fromkeys(hashes[start:end], part)
        start = end
    return parts


def photographs_of_block(config: GenerateConfig, first: int, count: int) -> Int[np.ndarray, "samples"]:
    """Places of the photographs that samples `first` to `first` + BLOCK_SAMPLES show, as photograph_of says."""
    last = min(first + BLOCK_SAMPLES, config.samples)
    turns = range(first // count, -(-last // count))
    places = np.concatenate([_order(config.seed, turn, count) for turn in turns])
    return places[first - turns.start * count : last - turns.start * count]


def photograph_of(seed: int, index: int, count: int) -> int:
    """Which of `count` photographs sample `index` shows: each once in every round, in an order of the round's own."""
    turn, place = divmod(index, count)
    return int(_order(seed, turn, count)[place])


@lru_cache(maxsize=4)
def _order(seed: int, turn: int, count: int) -> Int[np.ndarray, "count"]:
    return sample_rng(seed, turn, ORDER_STREAM).permutation(count).astype(np.int32)


def part_of(mixture: Sequence[PresetChoice], index: int, step: float = GOLDEN_RATIO) -> PresetChoice:
    """Part of the mixture that sample `index` is drawn from.

    Steps of the golden ratio around a circle of weights: any run of n samples holds each part n times its share, to
    within a few.
    """
    return mixture[_place_on_circle([part.weight for part in mixture], index, step)]


def rain_of(config: GenerateConfig, index: int, rng: np.random.Generator) -> tuple[PresetChoice, float | None]:
    """Part of the mixture of sample `index`, and its rain rate [mm/h] where the preset does not draw it.

    With config.rates, steps of the golden ratio choose the interval of rates, the rate is uniform in its logarithm
    within it, and steps of the silver ratio choose among the parts whose range holds that rate.
    """
    if config.rates is None:
        part = part_of(config.mixture, index)
        return part, None if part.rain_rate_mm_h is None else _log_uniform(rng, *part.rain_rate_mm_h)
    place = _place_on_circle(config.rates.shares, index, GOLDEN_RATIO)
    rain_rate_mm_h = _log_uniform(rng, *config.rates.edges_mm_h[place : place + 2])
    parts = [part for part in config.mixture if part.range_mm_h[0] <= rain_rate_mm_h <= part.range_mm_h[1]]
    return part_of(parts, index, SILVER_RATIO), rain_rate_mm_h


def _place_on_circle(shares: Sequence[float], index: int, step: float) -> int:
    upto = np.cumsum(shares)
    place = (index * step) % 1.0 * upto[-1]
    return min(int(np.searchsorted(upto, place, side="right")), len(shares) - 1)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    drawn = float(np.exp(rng.uniform(*np.log((low, high)))))
    return min(max(drawn, low), high)  # rounding may lead a little out of the range
