"""What a data set is made of: photographs, a mixture of rains, a number of samples. A YAML file has the same shape."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from math import isnan

from rainsynth.checks import InputError, check_choice, check_count, check_in_range
from rainsynth.physics.drop_size import MAX_RAIN_RATE_MM_H, MIN_RAIN_RATE_MM_H
from rainsynth.preset_choice import PresetChoice
from rainsynth.scene.depth_file import check_convention
from rainsynth.scene.depth_model import NORMALIZATIONS, check_model_kind
from rainsynth.shards.schema import CODECS, LAYERS, check_layers

SHARES_TOLERANCE = 1e-6  # shares are decimal numbers that people write
PART_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class DepthModelConfig:
    """An ONNX file that gives a photograph's depth; see rainsynth.scene.depth_model.OnnxDepth for what each means."""

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    file: str
    kind: str = "metric"
    near_m: float | None = None
    far_m: float | None = None
    scale_m: float | None = None
    normalization: str = "imagenet"
    short_side_px: int = 518
    multiple_px: int = 14

    def __post_init__(self) -> None:
        check_model_kind(self.kind, self.near_m, self.far_m, self.scale_m)
        check_choice(self.normalization, tuple(NORMALIZATIONS), "depth_model.normalization")
        check_count(self.short_side_px, 16, 8192, "depth_model.short_side_px")
        check_count(self.multiple_px, 1, 512, "depth_model.multiple_px")


@dataclass(frozen=True, slots=True, kw_only=True)
class PhotographsConfig:
    """Folder of clean photographs, and where their depth comes from.

    `depth` names a folder with depth maps STEM.npy, .npz, .png or .tif for some of them, read by `depth_convention`
    and `depth_scale_m` (see rainsynth.scene.depth_file.read_depth_m). The others take the depth that `depth_model`
    gives them, or without one the level-ground prior.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    photographs: str
    depth: str = ""
    depth_convention: str = "auto"
    depth_scale_m: float | None = None
    depth_model: DepthModelConfig | None = None

    def __post_init__(self) -> None:
        check_convention(self.depth_convention, self.depth_scale_m)
        if not self.depth and (self.depth_convention != "auto" or self.depth_scale_m is not None):
            raise InputError("depth_convention and depth_scale_m must go with depth, the folder of maps they read.")


@dataclass(frozen=True, slots=True, kw_only=True)
class RatesConfig:
    """A histogram of rain rates to meet: `shares[i]` of all samples rain with edges_mm_h[i] to edges_mm_h[i + 1].

    Within an interval rates are uniform in their logarithm. A sample takes a part of the mixture whose range holds its
    rate, so each part keeps its meaning.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    edges_mm_h: tuple[float, ...]
    shares: tuple[float, ...]

    def __post_init__(self) -> None:
        check_in_range(self.edges_mm_h, MIN_RAIN_RATE_MM_H, MAX_RAIN_RATE_MM_H, "rates.edges_mm_h")
        if len(self.edges_mm_h) < 2 or any(low >= high for low, high in pairwise(self.edges_mm_h)):
            raise InputError(f"rates.edges_mm_h must be two or more rising numbers, got {list(self.edges_mm_h)}.")
        if len(self.shares) != len(self.edges_mm_h) - 1:
            raise InputError(
                f"rates.shares must be one fewer than rates.edges_mm_h, got {len(self.shares)} shares for"
                f" {len(self.edges_mm_h)} edges."
            )
        check_shares(self.shares, "rates.shares")


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateConfig:
    """A data set: which photographs, which rain, how many samples.

    `size_px` takes a square window of each photograph instead of all of it. `samples_per_shard` is an upper limit.
    `fingerprints` stores by what check-leak knows each photograph again: 8 KiB of it a shard.
    `rates` asks for a histogram of rain rates. `split` names parts and their shares of the photographs, such as
    {train: 0.8, val: 0.1, test: 0.1}: each part is a folder of shards, and no photograph is in two of them.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    data: PhotographsConfig
    samples: int
    mixture: tuple[PresetChoice, ...]
    seed: int = 0
    size_px: int | None = None
    layers: tuple[str, ...] = LAYERS
    samples_per_shard: int = 32
    profile: str = "default"
    fingerprints: bool = True
    rates: RatesConfig | None = None
    split: dict[str, float] | None = None

    def __post_init__(self) -> None:
        check_count(self.samples, 1, 1_000_000_000, "samples")
        check_count(self.seed, 0, 2**63 - 1, "seed")
        check_in_range(len(self.mixture), 1, 1000, "number of presets in mixture")
        check_count(self.samples_per_shard, 1, 10_000, "samples_per_shard")
        check_layers(self.layers)
        check_choice(self.profile, tuple(CODECS), "profile")
        if self.size_px is not None:
            check_count(self.size_px, 8, 16_384, "size_px")
        if self.split is not None:
            _check_split(self.split)
        if self.rates is not None:
            _check_covered(self.rates, self.mixture)


def read_shares(text: str) -> dict[str, float]:
    """Shares from a line such as "train=0.8,val=0.1,test=0.1"; InputError for anything else."""
    shares = {}
    for item in text.split(","):
        part, _, share = (word.strip() for word in item.partition("="))
        try:
            shares[part] = float(share)
        except ValueError:
            raise InputError(f"--split must be shares such as train=0.8,val=0.1,test=0.1, got {text!r}.") from None
    return shares


def check_shares(shares: tuple[float, ...], name: str) -> None:
    """Raise InputError unless these are numbers from 0 to 1 that sum to 1."""
    check_in_range(shares, 0, 1, name, "They are shares of all samples.")
    if abs(sum(shares) - 1) > SHARES_TOLERANCE:
        raise InputError(f"{name} must sum to 1, got {', '.join(f'{share:g}' for share in shares)}: {sum(shares):g}.")


def _check_split(split: dict[str, float]) -> None:
    for part, share in split.items():
        if not PART_NAME.fullmatch(part):
            raise InputError(f"split must name parts by small letters, digits, - and _, got {part!r}.")
        check_in_range(share, SHARES_TOLERANCE, 1, f"split.{part}", "It is that part's share of the photographs.")
    check_shares(tuple(split.values()), "split")


def _check_covered(rates: RatesConfig, mixture: tuple[PresetChoice, ...]) -> None:
    """Every rate that may be drawn lies in the range of some part."""
    ranges = sorted(part.range_mm_h for part in mixture if not isnan(part.range_mm_h[0]))
    for (low, high), share in zip(pairwise(rates.edges_mm_h), rates.shares, strict=True):
        reached = low
        for part_low, part_high in ranges if share > 0 else ():
            if part_low <= reached:
                reached = max(reached, part_high)
        if share > 0 and reached < high:
            raise InputError(
                f"rates.edges_mm_h must lie in the ranges of the mixture, got {low:g} to {high:g} mm/h:"
                f" no part rains {reached:g} mm/h and a little more. Add a preset, or give a part rain_rate_mm_h."
            )
