"""Physically calibrated rain for clean photographs.

    import rainsynth
    sample = rainsynth.add_rain(photo_srgb8, rain_rate_mm_h=25, seed=7)
    sample.rainy_srgb8, sample.clean_srgb8, sample.veiled_srgb8

Names are loaded when first used, so that importing the package is quick.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from rainsynth.checks import InputError

if TYPE_CHECKING:
    from rainsynth import physics as physics
    from rainsynth.named_rain import add_rain as add_rain
    from rainsynth.render import render_rain as render_rain
    from rainsynth.sample import RainSample as RainSample
    from rainsynth.sample import recompose as recompose
    from rainsynth.scene.background import Background as Background
    from rainsynth.scene.camera import Camera as Camera
    from rainsynth.scene.rain_event import RainEvent as RainEvent
    from rainsynth.sequence import render_sequence as render_sequence
    from rainsynth.sequence import render_stereo as render_stereo
    from rainsynth.shards.reader import open_shards as open_shards

__version__ = "0.1.0"

HOMES = {
    "Background": "rainsynth.scene.background",
    "Camera": "rainsynth.scene.camera",
    "RainEvent": "rainsynth.scene.rain_event",
    "RainSample": "rainsynth.sample",
    "add_rain": "rainsynth.named_rain",
    "open_shards": "rainsynth.shards.reader",
    "recompose": "rainsynth.sample",
    "render_rain": "rainsynth.render",
    "render_sequence": "rainsynth.sequence",
    "render_stereo": "rainsynth.sequence",
}
SUBPACKAGES = ("metrics", "physics", "presets", "shards")

__all__ = [  # noqa: PLE0604
    "InputError",
    "__version__",
    *HOMES,
    *SUBPACKAGES,
]


def __getattr__(name: str) -> Any:
    if name in HOMES:
        return getattr(import_module(HOMES[name]), name)
    if name in SUBPACKAGES:
        return import_module(f"rainsynth.{name}")
    raise AttributeError(f"module 'rainsynth' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
