"""One rainy picture with everything it was made of."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, UInt8, UInt16

from rainsynth.color import encode
from rainsynth.compositing import compose, compose_veiled, spread_grid
from rainsynth.display_blend import blend_on_display
from rainsynth.layer_steps import UNIT_STEPS, from_texture16, from_unit16
from rainsynth.sensor import SensorNoise, through_jpeg

LINEAR_LIGHT = "linear-light"  # the blend of physical rain; look-alikes have those of display_blend
VISIBLE_ALPHA = 0.01  # a streak that covers less of the exposure changes a picture by less than about a code


class LayerViews:
    """What follows from a sample's stored layers; computed when first asked for."""

    if TYPE_CHECKING:  # fields of RainSample, properties of shards.StoredSample

        @property
        def clean_srgb8(self) -> UInt8[np.ndarray, "h w 3"]: ...
        @property
        def streak_alpha16(self) -> UInt16[np.ndarray, "h w"]: ...
        @property
        def texture16(self) -> UInt16[np.ndarray, "h w"]: ...
        @property
        def transmission16(self) -> UInt16[np.ndarray, "h w"]: ...
        @property
        def airlight_linear(self) -> Float[np.ndarray, "3"]: ...
        @property
        def light_grid_linear(self) -> Float[np.ndarray, "gh gw 3"]: ...
        @property
        def noise(self) -> SensorNoise: ...

        parameters: dict[str, Any]

    @cached_property
    def veiled_srgb8(self) -> UInt8[np.ndarray, "h w 3"]:
        """Target without streaks and noise, but with the veil, (H, W, 3) uint8."""
        if self.parameters.get("blend", LINEAR_LIGHT) != LINEAR_LIGHT:
            return _blended_on_display(self, np.zeros_like(self.transmission16))
        return compose_veiled(self.clean_srgb8, self.transmission16, self.airlight_linear)

    @cached_property
    def streak_alpha(self) -> Float[np.ndarray, "h w"]:
        """Part of the exposure for which a drop covers the pixel, (H, W) float32 in [0, 1]."""
        return from_unit16(self.streak_alpha16)

    @cached_property
    def texture(self) -> Float[np.ndarray, "h w"]:
        """What rain too small to draw lets through, over its mean, (H, W) float32 in [0, 2]; 1 in the mean."""
        return from_texture16(self.texture16)

    @cached_property
    def transmission(self) -> Float[np.ndarray, "h w"]:
        """Transmission of the rain that is not drawn and of the mist, (H, W) float32 in [0, 1]."""
        return from_unit16(self.transmission16)

    @property
    def streak_mask(self) -> Bool[np.ndarray, "h w"]:
        """Pixels that a drop covers for at least a hundredth of the exposure, (H, W)."""
        return streak_mask(self.streak_alpha16)


@dataclass(frozen=True, eq=False, kw_only=True)
class RainSample(LayerViews):
    """A clean photograph, its rainy picture and the layers between them.

    Layers are kept in their storage types: `streak_alpha16` and `transmission16` in steps of 1/65535, `texture16` in
    steps of 1/32768, the drop light on the coarse grid it is computed on. Layers that repeat one column are read-only
    views. The float properties are derived from them when asked for.
    `parameters` holds every number that made the picture, by name and unit.
    """

    clean_srgb8: UInt8[np.ndarray, "h w 3"]
    rainy_srgb8: UInt8[np.ndarray, "h w 3"]
    streak_alpha16: UInt16[np.ndarray, "h w"]
    texture16: UInt16[np.ndarray, "h w"]
    transmission16: UInt16[np.ndarray, "h w"]
    light_grid_linear: Float[np.ndarray, "gh gw 3"]
    airlight_linear: Float[np.ndarray, "3"]
    depth_m: Float[np.ndarray, "h w"]
    noise: SensorNoise
    parameters: dict[str, Any]

    @cached_property
    def streak_light_linear(self) -> Float[np.ndarray, "h w 3"]:
        """Light that drops carry before each pixel, (H, W, 3) float32 linear RGB."""
        return spread_grid(self.light_grid_linear, *self.clean_srgb8.shape[:2])


def streak_mask(streak_alpha16: UInt16[np.ndarray, "h w"]) -> Bool[np.ndarray, "h w"]:
    """Pixels that a drop covers for at least a hundredth of the exposure."""
    return streak_alpha16 >= np.uint16(np.ceil(VISIBLE_ALPHA * UNIT_STEPS))


def recompose(sample: LayerViews) -> UInt8[np.ndarray, "h w 3"]:
    """`rainy_srgb8` once more from the layers of a sample, rendered or stored: the same bytes."""
    if sample.parameters.get("blend", LINEAR_LIGHT) != LINEAR_LIGHT:
        return _blended_on_display(sample, sample.streak_alpha16)
    rainy_srgb8 = compose(
        sample.clean_srgb8,
        sample.transmission16,
        sample.airlight_linear,
        sample.streak_alpha16,
        sample.light_grid_linear,
        sample.noise,
        texture16=sample.texture16,
    )
    quality = sample.parameters["jpeg_quality"]
    return through_jpeg(rainy_srgb8, quality) if quality else rainy_srgb8


def _blended_on_display(sample: LayerViews, streak16: UInt16[np.ndarray, "h w"]) -> UInt8[np.ndarray, "h w 3"]:
    """The picture of a look-alike with these streaks."""
    airlight_srgb8 = encode(sample.airlight_linear)
    blend = sample.parameters["blend"]
    return blend_on_display(blend, sample.clean_srgb8, streak16, sample.transmission16, airlight_srgb8)
