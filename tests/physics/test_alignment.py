"""Alignment of pairs: faults planted in rained photographs are found, with their numbers; true pairs have none."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from rainsynth import add_rain
from rainsynth.checks import InputError
from rainsynth.measure.alignment import LEAST_PEAK, Alignment, best_shift, find_alignment
from rainsynth.measure.registration import channels_of, robust_solution
from rainsynth.pictures import read_photo

Picture = np.ndarray


@pytest.fixture(scope="module")
def pair(bundled_photo: Picture) -> tuple[Picture, Picture]:
    """A photograph under the densest rain there is, 240 x 320 px."""
    sample = add_rain(np.ascontiguousarray(bundled_photo[60:300, 60:380]), preset="rain100h", seed=2)
    return sample.rainy_srgb8, sample.clean_srgb8


def moved(picture: Picture, right_px: float, down_px: float, scale: float = 1.0, turn_deg: float = 0.0) -> Picture:
    """A picture scaled and turned clockwise about its middle, then moved; bilinear."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -turn_deg, scale)
    matrix[:, 2] += right_px, down_px
    return cv2.warpAffine(picture, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def test_a_true_pair_has_no_fault(pair):
    found = find_alignment(*pair)
    assert found.aligned
    assert found.fault() == ""
    assert found.displacement_px < 0.5


@pytest.mark.parametrize("preset", ["heavy", "outdoor-rain"])
def test_veils_and_drops_do_not_move_a_picture(bundled_photo, preset):
    sample = add_rain(np.ascontiguousarray(bundled_photo[60:300, 60:380]), preset=preset, seed=2)
    assert find_alignment(sample.rainy_srgb8, sample.clean_srgb8).aligned


@pytest.mark.parametrize("shift", [(1, 0), (2, -3), (0.5, 0), (0, 0.5), (25, -12)])
def test_a_shift_is_found_to_a_fifth_of_a_pixel(pair, shift):
    rainy, clean = pair
    found = find_alignment(moved(rainy, *shift), clean)
    assert not found.aligned
    assert found.shift_px == pytest.approx(shift, abs=0.2)
    assert found.scale == pytest.approx(1, abs=0.002)
    assert found.fault().startswith("shifted by (")


@pytest.mark.parametrize("scale", [0.98, 1.05, 1.25])
def test_a_scale_or_another_crop_is_found(pair, scale):
    rainy, clean = pair
    found = find_alignment(moved(rainy, 0, 0, scale), clean)
    assert found.scale == pytest.approx(scale, abs=0.003)
    assert f"scaled by {scale:.2f}" in found.fault()


def test_a_turn_is_found(pair):
    rainy, clean = pair
    found = find_alignment(moved(rainy, 2, 0, turn_deg=2), clean)
    assert found.turn_deg == pytest.approx(2, abs=0.1)
    assert found.shift_px == pytest.approx((2, 0), abs=0.3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda picture: picture[:, ::-1], "mirrored left to right"),
        (lambda picture: picture[::-1], "mirrored upside down"),
        (lambda picture: picture[::-1, ::-1], "turned by"),
    ],
)
def test_mirror_images_are_found(pair, change, told):
    rainy, clean = pair
    found = find_alignment(np.ascontiguousarray(change(rainy)), clean)
    assert found.fault().startswith(told)
    assert "shifted" not in found.fault()


def test_a_square_picture_turned_by_a_quarter_is_found(pair):
    rainy, clean = (np.ascontiguousarray(one[:, :240]) for one in pair)
    found = find_alignment(np.ascontiguousarray(np.rot90(rainy, -1)), clean)  # clockwise
    assert found.turn_deg == pytest.approx(90, abs=0.5)
    assert not found.mirrored


def test_the_partner_of_another_picture_shows_nothing_of_it(pair):
    data = pytest.importorskip("skimage.data", reason="the bundled photographs come with scikit-image")
    found = find_alignment(pair[0], np.ascontiguousarray(data.coffee()[60:300, 60:380]))
    assert not found.same_scene
    assert found.fault() == "shows nothing of its target"
    assert math.isnan(found.displacement_px)


def test_grey_pictures_align_by_their_grey(pair):
    rainy, clean = (np.repeat(one[..., 1:2], 3, axis=2) for one in pair)
    assert find_alignment(rainy, clean).aligned
    assert find_alignment(moved(rainy, 2, 0), clean).shift_px == pytest.approx((2, 0), abs=0.3)


def test_tiny_pairs_count_as_aligned_and_unequal_sizes_are_refused():
    tiny = np.zeros((16, 16, 3), dtype=np.uint8)
    assert find_alignment(tiny, tiny).aligned
    with pytest.raises(InputError, match="must have the size of its reference"):
        find_alignment(tiny, tiny[:8])


def test_a_picture_without_any_detail_is_not_called_aligned():
    flat = np.full((64, 64, 3), 90, dtype=np.uint8)
    assert not find_alignment(flat, flat + np.uint8(10)).same_scene


def test_faults_are_told_in_words():
    plain = {"same_scene": True, "peak": 50.0, "turn_deg": 0.0, "scale": 1.0, "displacement_px": 3.0}
    assert Alignment(**plain, shift_px=(3.0, -0.01)).fault() == "shifted by (3.0, 0.0) px"
    assert Alignment(**plain, shift_px=(0.0, 0.0)).fault() == "bent: corners move by 3.0 px"
    flipped = Alignment(**(plain | {"turn_deg": -180.0}), mirrored=True, shift_px=(0.0, 0.0))
    assert flipped.fault() == "mirrored upside down"


def test_least_squares_pass_over_what_does_not_fit():
    # y = 3, and a tenth of the equations 50 off: ordinary least squares would give 3 + 50 / 10.
    wrong = np.arange(300) % 10 == 0
    (level,), weight = robust_solution(np.ones((300, 1)), np.where(wrong, 53.0, 3 + 0.01 * np.sin(np.arange(300))))
    assert level == pytest.approx(3, abs=0.2)
    assert weight[wrong].max() < 0.05 * weight[~wrong].min()


@pytest.mark.data
@pytest.mark.parametrize("name", ["rain100l-dev", "rain100h-dev"])
def test_true_pairs_stand_out_and_pairs_of_different_pictures_do_not(data_folder, name):
    folder = data_folder / "benchmarks" / name
    paths = sorted((folder / "input").glob("*.png"))
    before = None
    for path in paths:
        rainy, clean = read_photo(path), read_photo(folder / "target" / path.name)
        assert find_alignment(rainy, clean).aligned, path.name
        assert best_shift(channels_of(rainy), channels_of(clean))[0] > 2 * LEAST_PEAK
        if before is not None and before.shape == rainy.shape:
            assert best_shift(channels_of(rainy), channels_of(before))[0] < 0.8 * LEAST_PEAK
        before = clean
