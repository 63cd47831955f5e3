"""The sRGB transfer function against IEC 61966-2-1 and its well-known values."""

from __future__ import annotations

import numpy as np
import pytest

from rainsynth.color import decode, encode, linear_to_srgb, srgb_to_linear


@pytest.mark.parametrize(
    ("code", "linear"),
    # IEC 61966-2-1 by hand: linear branch up to code 10 (10.31 = 0.04045 x 255), power branch above.
    [(0, 0.0), (1, 0.000303527), (10, 0.00303527), (11, 0.00334654), (128, 0.2158605), (188, 0.5028865), (255, 1.0)],
)
def test_codes_decode_to_their_light(code, linear):
    assert decode(np.array([code], dtype=np.uint8))[0] == pytest.approx(linear, rel=2e-6)  # float32


def test_every_code_survives_decoding_and_encoding():
    codes = np.arange(256, dtype=np.uint8)
    np.testing.assert_array_equal(encode(decode(codes)), codes)


def test_light_survives_both_transfer_functions():
    linear = np.linspace(0, 1, 1001)
    np.testing.assert_allclose(srgb_to_linear(linear_to_srgb(linear)), linear, atol=1e-7)  # the branches meet to 1e-8


def test_the_two_branches_meet():
    below, above = linear_to_srgb(np.array([0.0031308, 0.0031309]))
    assert 0 <= above - below < 2e-6
    below, above = srgb_to_linear(np.array([0.04045, 0.040451]))
    assert 0 <= above - below < 2e-7


def test_encoding_rounds_to_the_nearest_code():
    linear = np.random.default_rng(0).uniform(0, 1, 200_000).astype(np.float32)
    exact = 255 * linear_to_srgb(linear.astype(np.float64))
    # Half a code, and the 0.03 codes by which a table of 65536 steps may round the other way.
    assert np.abs(encode(linear) - exact).max() <= 0.5 + 0.03


def test_encoding_never_falls_with_more_light():
    assert np.all(np.diff(encode(np.linspace(0, 1, 300_000, dtype=np.float32)).astype(int)) >= 0)


def test_light_beyond_the_display_is_clipped():
    np.testing.assert_array_equal(encode(np.array([-1.0, 1.0, 1.5, 1e6], dtype=np.float32)), [0, 255, 255, 255])


def test_decoding_gives_single_precision():
    assert decode(np.zeros((2, 2, 3), dtype=np.uint8)).dtype == np.float32
    assert encode(np.zeros((2, 2, 3), dtype=np.float32)).dtype == np.uint8
