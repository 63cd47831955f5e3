"""Degradations do to a picture what they say, and are a function of their random stream."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mspfn.degradations import Degradations, degraded, jpeg_of_part
from rainsynth.checks import InputError

GREY = np.full((96, 96, 3), 128, np.uint8)


def apply(picture, seed=0, **options):
    return degraded(picture, Degradations(**({"fraction": 1} | options)), np.random.default_rng(seed))


def test_nothing_asked_for_is_nothing_done(photo_srgb8):
    np.testing.assert_array_equal(apply(photo_srgb8), photo_srgb8)


def test_the_same_stream_gives_the_same_picture_and_another_another(photo_srgb8):
    options = {"blur_px": (0.3, 1), "noise_codes": (1, 8), "jpeg_quality": (40, 90)}
    np.testing.assert_array_equal(apply(photo_srgb8, 1, **options), apply(photo_srgb8, 1, **options))
    assert (apply(photo_srgb8, 1, **options) != apply(photo_srgb8, 2, **options)).any()


def test_noise_has_the_standard_deviation_asked_for():
    noise = apply(GREY, noise_codes=(6, 6)).astype(float) - 128
    assert noise.mean() == pytest.approx(0, abs=0.15)  # 4 sigma of 27,648 values
    assert noise.std() == pytest.approx(np.hypot(6, 1 / np.sqrt(12)), rel=0.02)  # rounding adds a twelfth


def test_blur_spreads_a_point_by_the_standard_deviation_asked_for():
    picture = np.zeros((41, 41, 3), np.uint8)
    picture[20, :] = 255  # a line, so that codes stay large enough to measure
    profile = apply(picture, blur_px=(2, 2))[:, 20, 0].astype(float)
    spread = np.sqrt((profile * (np.arange(41) - 20) ** 2).sum() / profile.sum())
    assert spread == pytest.approx(2, rel=0.03)


def test_no_blur_is_within_its_range(photo_srgb8):
    np.testing.assert_array_equal(apply(photo_srgb8, blur_px=(0, 0)), photo_srgb8)


def test_jpeg_at_its_own_corner_is_the_file_that_pillow_writes(photo_srgb8):
    file = BytesIO()
    Image.fromarray(photo_srgb8).save(file, "JPEG", quality=70)
    np.testing.assert_array_equal(jpeg_of_part(photo_srgb8, 70, 0, 0), np.asarray(Image.open(file)))


@pytest.mark.parametrize("down", [0, 3, 7])
def test_blocks_of_the_file_begin_where_they_are_said_to(down):
    # At quality 1 nothing but the mean of a block survives of a gentle slope: it is stairs of 8 rows.
    slope = np.linspace(0, 255, 80).astype(np.uint8)[:, None, None].repeat(80, 1).repeat(3, 2)
    stairs = jpeg_of_part(slope, 1, down, 5)
    assert stairs.shape == slope.shape
    last_rows = np.flatnonzero(np.diff(stairs.astype(int), axis=0).any(axis=(1, 2)))
    assert len(last_rows) > 4
    assert set(last_rows % 8) == {7 - down}


def test_quality_within_its_range_is_drawn_and_lower_is_worse(photo_srgb8):
    def error(low, high):
        return np.mean([np.abs(apply(photo_srgb8, seed, jpeg_quality=(low, high)) - 1.0 * photo_srgb8).mean()
                        for seed in range(20)])  # fmt: skip

    assert error(95, 95) < error(60, 95) < error(60, 60)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"jpeg_quality": (0, 50)}, "jpeg_quality must be between 1 and 100, got 0"),
        ({"jpeg_quality": (60.5, 90)}, "jpeg_quality must be a whole number"),
        ({"blur_px": (2, 1)}, "blur_px must be two numbers, low then high"),
        ({"noise_codes": (0, 500)}, "noise_codes must be between 0 and 100"),
        ({"fraction": 1.5}, "degraded_fraction must be between 0 and 1"),
    ],
)
def test_what_has_no_meaning_is_refused(options, message):
    with pytest.raises(InputError, match="^" + message):
        Degradations(**options)
