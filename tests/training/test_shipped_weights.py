"""The weights that come with the package: small, honest about themselves, and of use on rain they were made for."""

from __future__ import annotations

import numpy as np
import pytest

from mspfn import derain, load_weights
from mspfn.checkpoint import BUNDLED_WEIGHTS, about_weights
from rainsynth import add_rain
from rainsynth.metrics import psnr_y

NAMES = sorted(path.stem for path in BUNDLED_WEIGHTS.glob("*.pt"))
MOST_WEIGHTS, MOST_BYTES = 2_000_000, 4_000_000
FOR_COMPARISONS = ("mspfn-fitted-rain100h", "mspfn-fitted-rain100l")  # twice as wide, and no weights for use
TIMES_AS_LARGE = dict.fromkeys(FOR_COMPARISONS, 3.3)
# What each must gain on one picture [dB], by preset; less where it has not learned from that rain.
GAINS_DB = {
    "mspfn-small": {"violent": 1.0, "rain100l": 3.0, "rain100h": 8.0},
    "mspfn-quick": {"violent": 0.8, "rain100l": 3.0, "rain100h": 8.0},
    "mspfn-realtime": {"violent": 0.5, "rain100l": 3.0, "rain100h": 8.0},
    "mspfn-any-rain": {"violent": 0.1, "rain100l": 3.0, "rain100h": 6.0},
    "mspfn-any-rain-deep": {"violent": 0.0, "rain100l": 3.0, "rain100h": 6.0},
    "mspfn-fitted-rain100h": {"rain100l": 3.0, "rain100h": 8.0},
    "mspfn-fitted-rain100l": {"rain100l": 3.0, "rain100h": 6.0},
}


def test_the_default_of_derain_is_there() -> None:
    assert "mspfn-small" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_weights_are_small_and_say_what_they_were_trained_on(name: str) -> None:
    count = sum(weight.numel() for weight in load_weights(name).parameters())
    times = TIMES_AS_LARGE.get(name, 1)
    assert count <= times * MOST_WEIGHTS
    assert (BUNDLED_WEIGHTS / f"{name}.pt").stat().st_size <= times * MOST_BYTES
    about = about_weights(name)["about"]
    assert about["config"]["seed"] >= 0 and about["steps"] > 0 and about["cost"]["machine"]
    assert about["card"] == (BUNDLED_WEIGHTS / f"{name}.md").read_text()
    data = about["config"]["data"]
    folders = [part.get(kind) for part in (data, *data["sources"]) for kind in ("photographs", "pairs", "shards")]
    named = [folder for folder in folders if folder]
    assert named and not any("/" in folder for folder in named)


@pytest.mark.parametrize("name", NAMES)
def test_rain_gets_less_and_a_clean_picture_stays_as_it_is(name: str, bundled_photo: np.ndarray) -> None:
    network, clean = load_weights(name), np.ascontiguousarray(bundled_photo[:200, :240])
    assert psnr_y(derain(clean, network), clean) > 40
    for preset, gain_db in GAINS_DB[name].items():
        sample = add_rain(clean, preset=preset, seed=3)
        before = psnr_y(sample.rainy_srgb8, sample.veiled_srgb8)
        assert psnr_y(derain(sample.rainy_srgb8, network), sample.veiled_srgb8) > before + gain_db, preset
