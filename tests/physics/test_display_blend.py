"""Blends on display codes, against fractions without rounding, hand-computed values and their limits."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from rainsynth.checks import InputError
from rainsynth.display_blend import DISPLAY_BLENDS, blend_on_display

CLEAR, NO_AIRLIGHT = 65535, np.zeros(3, dtype=np.uint8)


def layers(shape: tuple[int, int], streak16: int = 0, transmission16: int = CLEAR) -> tuple[np.ndarray, np.ndarray]:
    return np.full(shape, streak16, dtype=np.uint16), np.full(shape, transmission16, dtype=np.uint16)


def exact_code(blend: str, clean: int, streak16: int, transmission16: int, airlight: int) -> int:
    """The published formulas in fractions, rounded to the nearest code at the end and clipped."""
    s, t = Fraction(int(streak16), 65535), Fraction(int(transmission16), 65535)
    b, a = Fraction(int(clean), 255), Fraction(int(airlight), 255)
    f = 1 - t
    value = {"additive": b + s, "heavy-rain": (b + s) * t + (1 - t) * a, "raincityscapes": b * (1 - s - f) + s + a * f}
    return int(min(max(255 * value[blend] + Fraction(1, 2), Fraction(0)), Fraction(255)) // 1)


@pytest.mark.parametrize("blend", DISPLAY_BLENDS)
def test_every_blend_is_its_formula_rounded_to_the_nearest_code(blend):
    rng = np.random.default_rng(4)
    clean = rng.integers(0, 256, (12, 15, 3), dtype=np.uint8)
    streak16, transmission16 = rng.integers(0, 65536, (2, 12, 15), dtype=np.uint16)
    streak16[0], transmission16[1], transmission16[2] = 0, 0, CLEAR
    airlight = np.array([250, 180, 3], dtype=np.uint8)
    rainy = blend_on_display(blend, clean, streak16, transmission16, airlight)
    for y, x, c in np.ndindex(rainy.shape):
        expected = exact_code(blend, clean[y, x, c], streak16[y, x], transmission16[y, x], airlight[c])
        assert rainy[y, x, c] == expected


def test_adding_whole_codes_is_bit_exact_for_every_pair_of_codes():
    background, added = np.mgrid[:256, :256]
    clean = np.repeat(background[..., None], 3, axis=-1).astype(np.uint8)
    rainy = blend_on_display("additive", clean, (257 * added).astype(np.uint16), layers((256, 256))[1], NO_AIRLIGHT)
    np.testing.assert_array_equal(rainy[..., 1], np.minimum(255, background + added))


def test_addition_takes_no_notice_of_the_veil():
    clean = np.full((2, 2, 3), 100, dtype=np.uint8)
    assert np.all(blend_on_display("additive", clean, *layers((2, 2), 257 * 7, 0), NO_AIRLIGHT) == 107)


@pytest.mark.parametrize("blend", DISPLAY_BLENDS)
def test_a_picture_without_rain_stays_as_it_is(blend):
    clean = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    np.testing.assert_array_equal(blend_on_display(blend, clean, *layers((9, 7)), NO_AIRLIGHT + 200), clean)


@pytest.mark.parametrize("blend", DISPLAY_BLENDS[1:])
def test_nothing_but_airlight_is_left_behind_an_opaque_veil(blend):
    clean = np.random.default_rng(1).integers(0, 256, (9, 7, 3), dtype=np.uint8)
    airlight = np.array([10, 120, 250], dtype=np.uint8)
    assert np.all(blend_on_display(blend, clean, *layers((9, 7), 0, 0), airlight) == airlight)


def test_streaks_lie_behind_the_veil_of_heavy_rain_and_before_that_of_raincityscapes():
    # t = 13107 / 65535 = 0.2, S = 51 codes = 0.2. Heavy rain: (100 + 51) 0.2 + 0.8 x 200 = 190.2.
    # RainCityscapes: 100 (1 - 0.2 - 0.8) + 51 + 0.8 x 200 = 211.
    clean, airlight = np.full((1, 1, 3), 100, dtype=np.uint8), np.full(3, 200, dtype=np.uint8)
    streaks = layers((1, 1), 51 * 257, 13107)
    assert blend_on_display("heavy-rain", clean, *streaks, airlight)[0, 0, 0] == 190
    assert blend_on_display("raincityscapes", clean, *streaks, airlight)[0, 0, 0] == 211


def test_what_is_brighter_than_white_is_clipped_after_the_veil():
    # (250 + 255) 0.8 + 0.2 x 10 = 406; a blend that clipped B + S first would give 206.
    clean, airlight = np.full((1, 1, 3), 250, dtype=np.uint8), np.full(3, 10, dtype=np.uint8)
    assert blend_on_display("heavy-rain", clean, *layers((1, 1), 65535, 52428), airlight)[0, 0, 0] == 255


def test_windows_of_larger_arrays_blend_as_their_copies():
    rng = np.random.default_rng(8)
    clean = rng.integers(0, 256, (20, 30, 3), dtype=np.uint8)
    streak16, transmission16 = rng.integers(0, 65536, (2, 20, 30), dtype=np.uint16)
    part = np.s_[3:17:2, 4:25]
    airlight = np.array([1, 2, 3], dtype=np.uint8)
    whole = blend_on_display("heavy-rain", clean, streak16, transmission16, airlight)
    np.testing.assert_array_equal(
        blend_on_display("heavy-rain", clean[part], streak16[part], transmission16[part], airlight), whole[part]
    )


def test_bad_input_is_refused_in_one_line():
    clean = np.zeros((4, 5, 3), dtype=np.uint8)
    good = layers((4, 5))
    with pytest.raises(InputError, match="blend must be one of additive, heavy-rain, raincityscapes, got 'screen'"):
        blend_on_display("screen", clean, *good, NO_AIRLIGHT)
    with pytest.raises(InputError, match="clean_srgb8 must be uint8 RGB"):
        blend_on_display("additive", clean[..., 0], *good, NO_AIRLIGHT)
    with pytest.raises(InputError, match=r"streak16 must be uint16 of shape \(4, 5\), got float64 \(4, 5\)"):
        blend_on_display("additive", clean, good[0] / 65535, good[1], NO_AIRLIGHT)
    with pytest.raises(InputError, match=r"transmission16 must be uint16 of shape \(4, 5\), got uint16 \(5, 4\)"):
        blend_on_display("additive", clean, good[0], good[1].T, NO_AIRLIGHT)
    with pytest.raises(InputError, match="airlight_srgb8 must be three uint8 codes"):
        blend_on_display("heavy-rain", clean, *good, np.array([0.8, 0.8, 0.8]))
