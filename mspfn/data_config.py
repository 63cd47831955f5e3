"""What training learns from and is measured on, as frozen dataclasses; a YAML file has the same shape."""

from __future__ import annotations

from dataclasses import dataclass

from mspfn.degradations import Degradations
from mspfn.pair_source import TARGETS
from rainsynth.checks import InputError, check_choice, check_count, check_in_range
from rainsynth.preset_choice import PresetChoice
from rainsynth.presets import RAIN_CLASSES

FORBID_UNKNOWN_KEYS = {"extra": "forbid"}  # read by pydantic, where a config comes from a file

FOLDERS = ("shards", "pairs", "photographs")  # what a source may be
SMALLEST_PATCH_PX, LARGEST_PATCH_PX, LARGEST_BATCH = 8, 4096, 65_536


EVERY_CLASS = tuple(PresetChoice(preset=name) for name in RAIN_CLASSES)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One source of a mixture: exactly one of `shards`, `pairs` and `photographs`, as in DataConfig.

    `weight`: windows are drawn from a source with probability proportional to it. `presets` go with `photographs`.
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    shards: str | None = None
    pairs: str | None = None
    photographs: str | None = None
    presets: tuple[PresetChoice, ...] = EVERY_CLASS
    weight: float = 1.0

    def __post_init__(self) -> None:
        given = [name for name in FOLDERS if getattr(self, name) is not None]
        if len(given) != 1:
            raise InputError(f"a source must name exactly one of {', '.join(FOLDERS)}, got {_listed(given)}.")
        check_presets(self.photographs, self.presets)
        check_in_range(self.weight, 1e-9, 1e9, "weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchStage:
    """Side and number of the windows of a step, from the share `from_progress` of all steps on."""

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    from_progress: float
    patch_px: int
    batch_size: int

    def __post_init__(self) -> None:
        check_in_range(self.from_progress, 0, 1, "from_progress", "It is a share of all steps.")
        check_count(self.patch_px, SMALLEST_PATCH_PX, LARGEST_PATCH_PX, "patch_px")
        check_count(self.batch_size, 1, LARGEST_BATCH, "batch_size")


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """What is learned from: exactly one of `shards`, `pairs`, `photographs` and `sources`.

    shards                          folder of shards, as `rainsynth generate` writes them
    pairs                           folder with input/ and target/ of equal names
    photographs                     folder of clean photographs, rained on while training; nothing is stored
    presets                         which rain falls on `photographs`, each by its weight: by default light, moderate,
                                    heavy and violent rain alike; without `photographs` leave it out, or empty
    sources                         several of these at once, each by its weight
    target                          "clean": take off all rain; "veiled": streaks only (not with pairs alone; among
                                    sources the target/ of pairs is what is learned of them, whichever it shows)
    patch_px, batch_size            side and number of the square windows of a step
    patch_schedule                  other sides and numbers later on, as [{from_progress: 0.5, patch_px: 128,
                                    batch_size: 4}]: large windows are dear, and best at the end
    turns                           turn windows by quarters; see TrainingPairs for why not
    clean_fraction                  share of windows without rain, which a network must learn to leave alone
    jpeg_quality, blur_px,          what else is done to the rainy picture, and not to the target; each (low, high),
    noise_codes                     see mspfn.degradations; None: nothing
    degraded_fraction               share of windows that this is done to
    workers                         processes that make batches ahead; 0: one thread of this process. The batches are
                                    the same. A script that trains with workers needs `if __name__ == "__main__":`
    validation_shards,              other photographs' shards, or a folder of pairs, to measure on while training, or
    validation_pairs                both; None: none
    validation_samples_per_class    samples of each class of rain in that measurement; a class is "unknown"
    validation_crop_px              side of their centre windows, or the picture's where that is smaller
    """

    __pydantic_config__ = FORBID_UNKNOWN_KEYS

    shards: str | None = None
    pairs: str | None = None
    photographs: str | None = None
    presets: tuple[PresetChoice, ...] = EVERY_CLASS
    sources: tuple[SourceConfig, ...] = ()
    target: str = "clean"
    patch_px: int = 96
    batch_size: int = 8
    patch_schedule: tuple[PatchStage, ...] = ()
    turns: bool = False
    clean_fraction: float = 0.0
    jpeg_quality: tuple[int, int] | None = None
    blur_px: tuple[float, float] | None = None
    noise_codes: tuple[float, float] | None = None
    degraded_fraction: float = 0.5
    workers: int = 0
    validation_shards: str | None = None
    validation_pairs: str | None = None
    validation_samples_per_class: int = 8
    validation_crop_px: int = 256

    def __post_init__(self) -> None:
        given = [name for name in FOLDERS if getattr(self, name) is not None] + ["sources"] * bool(self.sources)
        if len(given) != 1:
            hint = " --set data.NAME=null takes one out." if given else ""
            named = ", ".join(f"data.{name}" for name in (*FOLDERS, "sources"))
            raise InputError(f"data must name exactly one of {named}, got {_listed(given)}.{hint}")
        check_presets(self.photographs, self.presets)
        check_choice(self.target, TARGETS, "data.target")
        if self.target != "clean" and all(source.pairs is not None for source in self.mixture):
            raise InputError("data.target must be clean with data.pairs, got veiled. Its target/ is what there is.")
        if self.target != "clean" and self.validation_pairs is not None:
            raise InputError("data.target must be clean with data.validation_pairs, got veiled.")
        check_count(self.patch_px, SMALLEST_PATCH_PX, LARGEST_PATCH_PX, "data.patch_px")
        check_count(self.batch_size, 1, LARGEST_BATCH, "data.batch_size")
        starts = [stage.from_progress for stage in self.patch_schedule]
        if starts != sorted(set(starts)):
            raise InputError(f"data.patch_schedule must have growing from_progress, got {starts}.")
        check_in_range(self.clean_fraction, 0, 1, "data.clean_fraction")
        _ = self.degradations  # checks what it is made of
        check_count(self.workers, 0, 1024, "data.workers")
        check_count(self.validation_samples_per_class, 1, 10_000, "data.validation_samples_per_class")
        check_count(self.validation_crop_px, 16, LARGEST_PATCH_PX, "data.validation_crop_px")

    @property
    def mixture(self) -> tuple[SourceConfig, ...]:
        """The sources, also where there is but one."""
        if self.sources:
            return self.sources
        folders = {name: getattr(self, name) for name in FOLDERS}
        return (SourceConfig(**folders, presets=self.presets),)

    @property
    def patch_stages(self) -> tuple[PatchStage, ...]:
        """Sides and numbers of windows through the whole run; the first from progress 0 on."""
        first = PatchStage(from_progress=0.0, patch_px=self.patch_px, batch_size=self.batch_size)
        return (first, *self.patch_schedule)

    @property
    def degradations(self) -> Degradations:
        """What is done to rainy pictures besides rain."""
        return Degradations(
            blur_px=self.blur_px,
            noise_codes=self.noise_codes,
            jpeg_quality=self.jpeg_quality,
            fraction=self.degraded_fraction,
        )


def check_presets(photographs: str | None, presets: tuple[PresetChoice, ...]) -> None:
    """Raise InputError for presets without photographs, and for photographs without any.

    Without photographs there are none, or those that nobody named.
    """
    if photographs is None and presets not in (EVERY_CLASS, ()):
        raise InputError("presets must go with photographs, got presets alone. What is stored keeps its rain.")
    if photographs is not None and not presets:
        raise InputError("presets must name at least one preset, got none.")


def _listed(names: list[str]) -> str:
    return " and ".join(names) or "none"
