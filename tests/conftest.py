"""Shared by all tests: shapes and types checked at run time, and photographs to rain on."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

# Shapes in annotations are checked here only. An int where a float is annotated is welcome (PEP 484's numeric tower).
# Modules with compiled functions stay out: numba takes undecorated ones.
install_import_hook(
    [
        "rainsynth.physics",
        *(f"rainsynth.scene.{name}" for name in ("background", "camera", "drops", "rain_event")),
        "rainsynth.color",
    ],
    "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
)

# The same examples on every run and every machine; no example database beside the sources.
settings.register_profile("rainsynth", derandomize=True, deadline=None, database=None, max_examples=20)
settings.load_profile("rainsynth")


def synthetic_photo(height_px: int, width_px: int) -> np.ndarray:
    """A street at dusk by formula: bright sky, dark ground with stripes, two lamps; (H, W, 3) uint8 RGB."""
    y, x = np.mgrid[:height_px, :width_px]
    down, across = (y + 0.5) / height_px, (x + 0.5) / width_px
    sky = np.stack([150 + 60 * down, 165 + 60 * down, 190 + 50 * down], axis=-1)
    stripes = 1 + 0.3 * np.sin(40 * across + 12 * down)
    ground = np.stack([60 * stripes, 55 * stripes, 48 * stripes], axis=-1)
    picture = np.where((down < 0.45)[..., None], sky, ground)
    for lamp_y, lamp_x in ((0.55, 0.2), (0.5, 0.8)):
        lamp = np.hypot((down - lamp_y) * height_px, (across - lamp_x) * width_px) < 0.04 * width_px
        picture[lamp] = (255, 240, 200)
    return np.round(picture).astype(np.uint8)


@pytest.fixture
def photo_srgb8() -> np.ndarray:
    """A small photograph, 48 x 64 px."""
    return synthetic_photo(48, 64)


@pytest.fixture(scope="session")
def bundled_photo() -> np.ndarray:
    """A real photograph that ships inside a wheel, 512 x 512 px (scikit-image's astronaut, NASA, public domain)."""
    data = pytest.importorskip("skimage.data", reason="the bundled photograph comes with scikit-image")
    return np.ascontiguousarray(data.astronaut())


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """Folder of real data for tests marked `data`."""
    named = os.environ.get("RAINSYNTH_DATA")
    if not named:
        pytest.skip("set RAINSYNTH_DATA to the folder of the real data sets")
    if not Path(named).is_dir():
        pytest.skip(f"RAINSYNTH_DATA names no folder: {named}")
    return Path(named)
