"""Several sources of pairs as one, each with its weight."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from mspfn.data_config import DataConfig, SourceConfig
from mspfn.pair_folder import PairFolder
from mspfn.pair_source import Pair, PairSource
from mspfn.picture_cache import CACHE_BYTES
from mspfn.rendered_pairs import RenderedPairs
from mspfn.samples import Samples
from rainsynth.shards import open_shards

COLUMNS = [("height_px", np.int64), ("width_px", np.int64), ("rain_rate_mm_h", np.float64)]


class Mixture:
    """Sources one after the other: len(), [i], .crop(i, top, left, size), .table with the columns that all share.

    `samples` says how often each sample is drawn: a source by its weight, and every sample of a source alike.
    """

    def __init__(self, sources: Sequence[PairSource], weights: Sequence[float]) -> None:
        self.sources = list(sources)
        counts = [len(source) for source in self.sources]
        self._ends = list(accumulate(counts))
        self.table = np.empty(self._ends[-1], dtype=COLUMNS)
        for source, count, end in zip(self.sources, counts, self._ends, strict=True):
            for name, _ in COLUMNS:
                self.table[name][end - count : end] = source.table[name]
        share_of_one = np.asarray(weights, dtype=np.float64) / np.sum(weights) / counts
        self.samples = Samples(
            self.table["rain_rate_mm_h"], np.repeat(share_of_one, counts), np.repeat(np.arange(len(counts)), counts)
        )

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index: int) -> Pair:
        number, place = self.locate(index)
        return self.sources[number][place]

    def crop(self, index: int, top: int, left: int, size: int) -> Pair:
        """A window of `size` x `size` pixels of a sample."""
        number, place = self.locate(index)
        return self.sources[number].crop(place, top, left, size)

    def locate(self, index: int) -> tuple[int, int]:
        """Number of a sample's source, and its place in it."""
        number = bisect_right(self._ends, index)
        return number, index - (self._ends[number - 1] if number else 0)


def as_mixture(source: PairSource) -> Mixture:
    """A source as a mixture of one, a mixture as itself."""
    return source if isinstance(source, Mixture) else Mixture([source], [1.0])


def training_mixture(data: DataConfig, seed: int) -> Mixture:
    """What a config learns from. Rain that is rendered follows from `seed` and the source's place in the config."""
    parts = data.mixture
    cache_bytes = CACHE_BYTES // len(parts) // max(data.workers, 1)  # each worker has a cache of its own
    sources = [open_source(part, seed, place, cache_bytes) for place, part in enumerate(parts)]
    return Mixture(sources, [part.weight for part in parts])


def validation_mixture(data: DataConfig) -> Mixture | None:
    """What a config is measured on while it trains, if anything."""
    sources: list[PairSource] = []
    if data.validation_shards is not None:
        sources.append(open_shards(data.validation_shards))
    if data.validation_pairs is not None:
        sources.append(PairFolder(data.validation_pairs, cache_bytes=0))  # each pair is looked at once
    return Mixture(sources, [1.0] * len(sources)) if sources else None


def open_source(config: SourceConfig, seed: int, place: int, cache_bytes: int) -> PairSource:
    """One source of a mixture, the `place`-th."""
    if config.shards is not None:
        return open_shards(config.shards)
    if config.pairs is not None:
        return PairFolder(config.pairs, cache_bytes=cache_bytes)
    return RenderedPairs(str(config.photographs), config.presets, seed=seed, stream=place, cache_bytes=cache_bytes)
