"""What a data set is made of: photographs, a mixture of rains, a number of samples. A YAML file has the same shape."""

from __future__ import annotations

from dataclasses import dataclass

from rainsynth.checks import check_choice, check_count, check_in_range
from rainsynth.physics.drop_size import MAX_RAIN_RATE_MM_H, MIN_RAIN_RATE_MM_H
from rainsynth.presets import PRESETS
from rainsynth.shards.schema import CODECS, LAYERS, check_layers


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotographsConfig:
    """Folder of clean photographs; `depth` may name a folder with a depth map [m] STEM.npy for some of them."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    photographs: str
    depth: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixturePart:
    """One preset of a mixture, drawn with probability proportional to `weight`.

    `rain_rate_mm_h` (low, high) replaces the preset's own range; rates are uniform in their logarithm.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    preset: str
    weight: float = 1.0
    rain_rate_mm_h: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_choice(self.preset, tuple(PRESETS), "preset")
        check_in_range(self.weight, 1e-9, 1e9, "weight")
        if self.rain_rate_mm_h is not None:
            check_in_range(self.rain_rate_mm_h, MIN_RAIN_RATE_MM_H, MAX_RAIN_RATE_MM_H, "rain_rate_mm_h")
            check_in_range(self.rain_rate_mm_h[0], 0, self.rain_rate_mm_h[1], "rain_rate_mm_h", "Give low, then high.")


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateConfig:
    """A data set: which photographs, which rain, how many samples.

    `size_px` takes a square window of each photograph instead of all of it. `samples_per_shard` is an upper limit.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    data: PhotographsConfig
    samples: int
    mixture: tuple[MixturePart, ...]
    seed: int = 0
    size_px: int | None = None
    layers: tuple[str, ...] = LAYERS
    samples_per_shard: int = 32
    profile: str = "default"

    def __post_init__(self) -> None:
        check_count(self.samples, 1, 1_000_000_000, "samples")
        check_count(self.seed, 0, 2**63 - 1, "seed")
        check_in_range(len(self.mixture), 1, 1000, "number of presets in mixture")
        check_count(self.samples_per_shard, 1, 10_000, "samples_per_shard")
        check_layers(self.layers)
        check_choice(self.profile, tuple(CODECS), "profile")
        if self.size_px is not None:
            check_count(self.size_px, 8, 16_384, "size_px")
