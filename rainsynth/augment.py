"""Rain as a transform of albumentations.

    import albumentations as A
    from rainsynth.augment import PhysicalRain
    augment = A.Compose([A.RandomCrop(256, 256), PhysicalRain(preset="heavy", p=1)], seed=7)
    rainy = augment(image=photo_srgb8)["image"]

Written for albumentations 2.0.8, its last release under the MIT licence; `pip install 'rainsynth[augment]'` brings it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import wraps
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from rainsynth.checks import InputError, check_choice, check_in_range, check_number, one_line
from rainsynth.presets import (
    LOGARITHMIC_RANGES,
    PRESETS,
    UNIFORM_RANGES,
    Preset,
    Range,
    camera_of,
    draw_numbers,
    event_of,
)
from rainsynth.render import render_rain
from rainsynth.scene.background import MAX_DEPTH_M, Background

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # or its import asks the network for a newer release
try:
    from albumentations.core.transforms_interface import BaseTransformInitSchema, ImageOnlyTransform
    from pydantic import ValidationError, ValidationInfo, field_validator, model_validator
except ModuleNotFoundError as error:
    raise InputError(f"rainsynth.augment must have {error.name} installed. pip install 'rainsynth[augment]'.") from None

RANGES = UNIFORM_RANGES + LOGARITHMIC_RANGES
# Without a preset: a photographer's rain, as Preset has it.
NO_PRESET = Preset(title="5 to 50 mm/h", rain_rate_mm_h=(5.0, 50.0))
DEPTH_TARGET = "depth"
SEED_BOUND = 2**53  # whole numbers below it survive JSON everywhere
FLOAT_OVERSHOOT = 0.5  # cubic interpolation of black and white noise leaves [0, 1] by up to 0.43
CODES = np.float32(255)


def as_range(value: Any, name: str) -> Range:
    """One number or two as (low, high)."""
    ends = list(value) if isinstance(value, list | tuple) else [value, value]
    if len(ends) != 2:
        raise InputError(f"{name} must be a number or (low, high), got {value!r}.")
    for end in ends:
        check_number(end, -np.inf, np.inf, name)
    if ends[0] > ends[1]:
        raise InputError(f"{name} must be (low, high), got {value!r}. Swap the two.")
    if name in LOGARITHMIC_RANGES and ends[0] <= 0:
        raise InputError(f"{name} must be above 0, got {value!r}. It is drawn uniformly in its logarithm.")
    return float(ends[0]), float(ends[1])


def family_of(preset: str | None, spectrum: str | None, ranges: Mapping[str, Range | None]) -> Preset:
    """A preset, or the rain without one, with those ranges replaced that are given."""
    if preset is not None:
        check_choice(preset, tuple(PRESETS), "preset")
    family = NO_PRESET if preset is None else PRESETS[preset]
    given: dict[str, Any] = {name: ends for name, ends in ranges.items() if ends is not None}
    return replace(family, **given, spectrum=spectrum or family.spectrum)


def refusing_in_one_line(transform: type) -> type:
    """A transform whose arguments are refused as InputError, in place of pydantic's table."""
    validated_init: Callable[..., None] = transform.__init__  # type: ignore[misc]

    @wraps(validated_init)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        try:
            validated_init(self, *args, **kwargs)
        except ValueError as error:
            if not isinstance(error.__cause__, ValidationError):
                raise
            raise input_error(error.__cause__) from None

    transform.__init__ = init  # type: ignore[misc]
    return transform


def input_error(refusal: ValidationError) -> InputError:
    """The first thing that pydantic refused, as one line."""
    first = refusal.errors()[0]
    cause = first.get("ctx", {}).get("error")
    if isinstance(cause, InputError):
        return cause
    rule = first["msg"].removeprefix("Input should ")
    return InputError(one_line(f"{'.'.join(map(str, first['loc']))} must {rule}, got {first['input']!r}."))


def srgb8_of(image: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """The picture in 8 bits: as it is, or sRGB floats in [0, 1] rounded to the nearest code.

    Floats up to 0.5 outside [0, 1], which cubic interpolation leaves, are clipped.
    """
    shape, dtype = tuple(image.shape), image.dtype
    if len(shape) != 3 or shape[2] != 3 or min(shape) < 1:
        raise InputError(
            f"image must be RGB of shape (H, W, 3), got {shape}."
            " Grey pictures need A.ToRGB() before PhysicalRain; ToTensorV2 comes after it."
        )
    if dtype == np.uint8:
        return image
    if dtype != np.float32:
        raise InputError(f"image must be uint8, or float32 in [0, 1], got {dtype}. Divide by its white as float32.")
    hint = "Normalised? Put A.Normalize after PhysicalRain."
    check_in_range(image, -FLOAT_OVERSHOOT, 1 + FLOAT_OVERSHOOT, "image", hint)
    return np.rint(np.clip(image, 0, 1) * CODES).astype(np.uint8)


def check_depth(depth_m: Any, height_px: int, width_px: int) -> None:
    """Raise InputError unless the target `depth` is a map of the picture's size, in metres."""
    if np.shape(depth_m) != (height_px, width_px):
        raise InputError(
            f"depth must have the image's shape {(height_px, width_px)}, got {np.shape(depth_m)}."
            " Give A.Compose additional_targets={'depth': 'mask'}, so that crops move it along."
        )
    hint = "In metres. Where a transform pads, its fill_mask must be a depth."
    check_in_range(depth_m, 0.01, MAX_DEPTH_M, "depth", hint)


@refusing_in_one_line
class PhysicalRain(ImageOnlyTransform):
    """Rain of rainsynth's renderer on a photograph, drawn anew for every call.

    Every range is one number or (low, high), drawn uniformly, rates and exposures uniformly in their logarithm; None
    takes it from the preset, or without preset from a photographer's rain of 5 to 50 mm/h (`presets.Preset`).
    `field_of_view_deg` is that of the picture that arrives here: after A.RandomCrop, of the crop. With
    `full_width_px`, the width of the photographs before cropping, it is that of the whole photograph, and a crop
    shows rain of the same size as the photograph would.

    Targets: `image` and further targets of its type, all in the same rain. Those named in `dry_targets` stay as they
    are. A target `depth` (H, W) in metres, declared as {"depth": "mask"}, is the scene's depth and stays as it is;
    without it the ground-plane prior of Background is used. `images` are frames in one weather, each with its own
    drops. Masks, boxes and keypoints stay as they are; volumes are refused.
    Pictures are RGB: uint8, or float32 sRGB in [0, 1], rounded to 8 bits on the way and returned as float32.

    The numbers drawn, with the seed of the drops, are the transform's parameters: A.ReplayCompose saves and replays
    them. With a preset alone, `add_rain(image, preset=preset, seed=seed)` is the same picture.
    Workers of a torch DataLoader hold copies of the Compose and of its random state, which albumentations 2.0.8 does
    not tell apart: call `compose.set_random_seed(torch.initial_seed() % 2**32)` in `worker_init_fn`.
    Raises InputError for arguments, pictures and depths that are not valid.
    """

    class InitSchema(BaseTransformInitSchema):
        """Types and limits of the arguments; every range becomes two floats."""

        rain_rate_mm_h: Range | None
        exposure_s: Range | None
        field_of_view_deg: Range | None
        near_m: Range | None
        aperture_mm: Range | None
        focus_m: Range | None
        wind_right_m_s: Range | None
        wind_away_m_s: Range | None
        turbulence_m_s: Range | None
        mist_per_km: Range | None
        sky_linear: Range | None
        preset: str | None
        spectrum: str | None
        full_width_px: int | None
        dry_targets: tuple[str, ...]

        @field_validator(*RANGES, mode="before")
        @classmethod
        def two_floats(cls, value: Any, info: ValidationInfo) -> Range | None:
            return None if value is None else as_range(value, str(info.field_name))

        @field_validator("dry_targets")
        @classmethod
        def not_the_image(cls, names: tuple[str, ...]) -> tuple[str, ...]:
            if {"image", "images"} & set(names):
                raise InputError(f"dry_targets must name additional targets, got {names!r}. p=0 keeps the image dry.")
            return names

        @model_validator(mode="after")
        def both_ends_make_rain(self) -> Any:
            family = family_of(self.preset, self.spectrum, {name: getattr(self, name) for name in RANGES})
            for end in (0, 1):
                numbers = {name: getattr(family, name)[end] for name in RANGES}
                event_of(numbers | {"spectrum": family.spectrum})
                camera_of(numbers, 1, 1, self.full_width_px)
            return self

    def __init__(
        self,
        rain_rate_mm_h: float | Range | None = None,
        preset: str | None = None,
        field_of_view_deg: float | Range | None = None,
        exposure_s: float | Range | None = None,
        wind_right_m_s: float | Range | None = None,
        wind_away_m_s: float | Range | None = None,
        sky_linear: float | Range | None = None,
        mist_per_km: float | Range | None = None,
        turbulence_m_s: float | Range | None = None,
        near_m: float | Range | None = None,
        aperture_mm: float | Range | None = None,
        focus_m: float | Range | None = None,
        spectrum: str | None = None,
        full_width_px: int | None = None,
        dry_targets: tuple[str, ...] = ("clean",),
        p: float = 0.5,
    ):
        super().__init__(p=p)
        ranges: dict[str, Any] = {
            "rain_rate_mm_h": rain_rate_mm_h,
            "field_of_view_deg": field_of_view_deg,
            "exposure_s": exposure_s,
            "wind_right_m_s": wind_right_m_s,
            "wind_away_m_s": wind_away_m_s,
            "sky_linear": sky_linear,
            "mist_per_km": mist_per_km,
            "turbulence_m_s": turbulence_m_s,
            "near_m": near_m,
            "aperture_mm": aperture_mm,
            "focus_m": focus_m,
        }
        self.family = family_of(preset, spectrum, ranges)
        # albumentations writes a transform to a file by the attributes that bear its arguments' names.
        for name, ends in ranges.items():
            setattr(self, name, ends)
        self.preset, self.spectrum = preset, spectrum
        self.full_width_px, self.dry_targets = full_width_px, dry_targets

    def add_targets(self, additional_targets: dict[str, str]) -> None:
        """Declare further targets; rain falls on those of type image that are not dry."""
        dry = {*self.dry_targets, DEPTH_TARGET}
        super().add_targets({name: kind for name, kind in additional_targets.items() if name not in dry})

    def get_params_dependent_on_data(self, params: dict[str, Any], data: dict[str, Any]) -> dict[str, Any]:
        """This call's rain: every number by name and unit, and the seed of the drops; all plain, for JSON."""
        seed = int(self.random_generator.integers(SEED_BOUND))
        return {"seed": seed} | draw_numbers(self.family, seed)

    def apply_with_params(self, params: dict[str, Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Rain with these parameters; the depth comes from the data at hand, also in a replay."""
        return super().apply_with_params(params | {"depth_m": kwargs.get(DEPTH_TARGET)}, *args, **kwargs)

    def apply(
        self,
        img: np.ndarray,
        *args: Any,
        frame: int = 0,
        depth_m: Float[np.ndarray, "h w"] | None = None,
        **params: Any,
    ) -> np.ndarray:
        """The picture in rain, of the type it came in; `frame` picks the draw of drops."""
        photo_srgb8 = srgb8_of(img)
        height_px, width_px = photo_srgb8.shape[:2]
        if depth_m is not None:
            check_depth(depth_m, height_px, width_px)
        camera = camera_of(params, width_px, height_px, self.full_width_px)
        background = Background(photo_srgb8, depth_m)
        sample = render_rain(background, event_of(params), camera, seed=params["seed"], index=frame)
        return sample.rainy_srgb8 if img.dtype == np.uint8 else sample.rainy_srgb8 / CODES

    def apply_to_images(self, images: np.ndarray, *args: Any, **params: Any) -> np.ndarray:
        """Frames (N, H, W, 3) in one weather, each with its own drops."""
        return np.stack([self.apply(image, frame=frame, **params) for frame, image in enumerate(images)])

    def apply_to_volume(self, volume: np.ndarray, *args: Any, **params: Any) -> np.ndarray:
        """Refused: a volume is not a photograph."""
        raise InputError(f"volume must be left out, got shape {np.shape(volume)}. Frames of a camera go in images=.")

    def get_transform_init_args(self) -> dict[str, Any]:
        """Arguments to write to a file; albumentations would leave out dry_targets=()."""
        return super().get_transform_init_args() | {"dry_targets": self.dry_targets}
