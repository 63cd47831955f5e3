"""What a data set is made of: photographs, a mixture of rains, a number of samples. A YAML file has the same shape."""

from __future__ import annotations

from dataclasses import dataclass

from rainsynth.checks import InputError, check_choice, check_count, check_in_range
from rainsynth.lookalikes import LOOKALIKES
from rainsynth.physics.drop_size import MAX_RAIN_RATE_MM_H, MIN_RAIN_RATE_MM_H
from rainsynth.presets import PRESETS
from rainsynth.scene.depth_file import check_convention
from rainsynth.scene.depth_model import NORMALIZATIONS, check_model_kind
from rainsynth.shards.schema import CODECS, LAYERS, check_layers


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
class MixturePart:
    """One preset of a mixture, drawn with probability proportional to `weight`.

    `rain_rate_mm_h` (low, high) replaces the preset's own range; rates are uniform in their logarithm.
    """

    __pydantic_config__ = {"extra": "forbid"}  # noqa: RUF012
    preset: str
    weight: float = 1.0
    rain_rate_mm_h: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        check_choice(self.preset, (*PRESETS, *LOOKALIKES), "preset")
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
