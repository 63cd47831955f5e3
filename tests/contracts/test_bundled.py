"""The photographs that the demo takes from installed packages."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pipelines.bundled import HELD_OUT_PHOTOS, TRAINING_PHOTOS, depth_from_disparity_m, unpack
from pipelines.photographs import load_background, survey


def test_bundled_photographs_are_unpacked_with_true_depth(tmp_path: Path) -> None:
    unpack(TRAINING_PHOTOS, tmp_path)
    names = [photo.name for photo in survey(tmp_path)]
    assert len(names) == len(TRAINING_PHOTOS)
    depth_m = load_background(tmp_path, "motorcycle.png", tmp_path).depth_m
    # Middlebury 2014, Motorcycle: disparities of 7.2 to 59.9 px are 5.0 to 2.1 m.
    assert np.isclose([np.min(depth_m), np.max(depth_m)], [2.11, 5.02], atol=0.01).all()  # type: ignore[arg-type]


def test_photographs_of_evaluation_are_not_trained_on() -> None:
    assert len(HELD_OUT_PHOTOS) >= 2
    assert not {photo.file for photo in HELD_OUT_PHOTOS} & {photo.file for photo in TRAINING_PHOTOS}


def test_unknown_disparity_is_taken_from_the_left_or_else_the_median() -> None:
    disparity_px = np.array([[np.inf, 10.0, np.nan, 30.0], [20.0, np.nan, np.nan, 40.0]])
    filled_px = np.array([[25.0, 10.0, 10.0, 30.0], [20.0, 20.0, 20.0, 40.0]])
    expected_m = 994.978 * 0.193001 / (filled_px + 31.086)
    np.testing.assert_allclose(depth_from_disparity_m(disparity_px), expected_m, rtol=1e-6)
