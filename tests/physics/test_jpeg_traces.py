"""Traces of JPEG: a side of a pair that was compressed since the rain is named, old traces of photographs are not."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from rainsynth import add_rain
from rainsynth.measure.blend import find_blend
from rainsynth.measure.blend_layers import misses_of
from rainsynth.measure.jpeg_traces import LEAST_TRACE, blockiness, compressed_side, jpeg_trace
from rainsynth.measure.pair_audit import audit_pair


def jpeg(picture_srgb8: np.ndarray, quality: int) -> np.ndarray:
    """A picture through a JPEG file."""
    stream = io.BytesIO()
    Image.fromarray(picture_srgb8).save(stream, "JPEG", quality=quality)
    return np.array(Image.open(stream))


@pytest.fixture(scope="module")
def clean(bundled_photo: np.ndarray) -> np.ndarray:
    """A photograph that was never JPEG, 256 x 320 px (scikit-image keeps it as PNG)."""
    return np.ascontiguousarray(bundled_photo[60:316, 60:380])


@pytest.mark.parametrize("quality", [95, 85, 75, 50])
def test_a_decoded_jpeg_leaves_gaps_between_the_steps_of_its_quantiser(clean, quality):
    assert abs(jpeg_trace(clean)) < 0.15
    assert jpeg_trace(jpeg(clean, quality)) > LEAST_TRACE


def test_a_picture_without_high_frequencies_tells_nothing():
    assert np.isnan(jpeg_trace(np.full((64, 64, 3), 120, dtype=np.uint8)))


def test_steps_at_the_borders_of_blocks_stand_out():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 2, (128, 160, 3))
    blocks = np.kron(rng.normal(0, 1.5, (16, 20, 3)), np.ones((8, 8, 1)))
    assert blockiness(noise) < 4
    assert blockiness(noise + blocks) > 5
    assert blockiness(np.zeros((64, 64, 3))) == 0


def side_of(rainy: np.ndarray, clean: np.ndarray) -> str:
    return compressed_side(rainy, clean, misses_of(rainy, clean, find_blend(rainy, clean)))


@pytest.mark.parametrize("preset", ["rain100h", "heavy"])
def test_the_side_that_was_compressed_is_named(bundled_photo, preset):
    rainy = add_rain(bundled_photo, preset=preset, seed=3).rainy_srgb8
    assert side_of(rainy, bundled_photo) == ""
    assert side_of(jpeg(rainy, 92), bundled_photo) == "rainy"
    assert side_of(rainy, jpeg(bundled_photo, 75)) == "clean"


@pytest.mark.parametrize("preset", ["rain100l", "outdoor-rain"])
def test_a_photograph_that_was_jpeg_before_the_rain_is_no_fault(clean, preset):
    # Between sparse streaks, and through a veil, its blocks are still seen in the rainy picture.
    old = jpeg(clean, 80)
    found = audit_pair(add_rain(old, preset=preset, seed=3).rainy_srgb8, old)
    assert found.compressed_side == ""
    assert found.faults() == []


def test_noise_over_an_old_jpeg_is_not_taken_for_compression(clean):
    old = jpeg(clean, 80)
    noise = np.random.default_rng(1).normal(0, 2, old.shape)
    rainy = np.clip(np.rint(add_rain(old, preset="rain100l", seed=3).rainy_srgb8 + noise), 0, 255).astype(np.uint8)
    assert compressed_side(rainy, old, noise) == ""
