"""A set of shards in memory: the interface of rainsynth.shards.ShardSet on small pictures with bright streaks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np


class FakeShards:
    """`count` samples of rates 1, 2, ... mm/h (or those given), 24 x 32 px; their pixels depend on `seed` alone."""

    def __init__(self, count: int = 6, *, height_px: int = 24, width_px: int = 32, seed: int = 0, rates=None) -> None:
        rng = np.random.default_rng(seed)
        coarse = rng.integers(20, 180, (count, height_px // 8, width_px // 8, 3), dtype=np.uint8)
        self.clean = coarse.repeat(8, axis=1).repeat(8, axis=2)
        self.veiled = self.clean // 2 + 60
        streaks = rng.random((count, 1, width_px, 1)) < 0.2
        self.rainy = np.where(streaks, self.veiled + 70, self.veiled).astype(np.uint8)
        self.alpha16 = np.where(streaks[..., 0], 20_000, 0).repeat(height_px, axis=1).astype(np.uint16)
        rates = np.arange(1.0, count + 1) if rates is None else np.asarray(rates, float)
        columns = [("rain_rate_mm_h", float), ("height_px", np.int64), ("width_px", np.int64)]
        self.table = np.array([(rate, height_px, width_px) for rate in rates], dtype=columns)

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, index: int) -> SimpleNamespace:
        return self._pair(index, np.s_[:, :])

    def crop(self, index: int, top: int, left: int, size: int) -> SimpleNamespace:
        return self._pair(index, np.s_[top : top + size, left : left + size])

    def _pair(self, index: int, window) -> SimpleNamespace:
        stacks = {"rainy_srgb8": self.rainy, "clean_srgb8": self.clean, "veiled_srgb8": self.veiled}
        stacks |= {"streak_alpha16": self.alpha16}
        return SimpleNamespace(**{name: stack[index][window] for name, stack in stacks.items()})
