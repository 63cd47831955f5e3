"""The blend of a pair, against pairs made here by each formula in plain NumPy, and against rendered ones."""

from __future__ import annotations

import io
import math
from functools import cache

import cv2
import numpy as np
import pytest
from PIL import Image

from rainsynth import add_rain
from rainsynth.lookalikes import LOOKALIKES
from rainsynth.measure.blend import Blend, find_blend, simplest_formulas
from rainsynth.measure.blend_fit import observe, residual_codes
from rainsynth.measure.blend_formulas import solve_positive
from rainsynth.measure.blend_layers import misses_of, streaks_of
from rainsynth.presets import PRESETS

HEIGHT_PX, WIDTH_PX = 120, 160
LIGHT = np.array([235.0, 225, 205])
AIRLIGHT = np.array([170.0, 175, 185])


def colourful(seed: int = 0, lowest: float = 0, highest: float = 235) -> np.ndarray:
    """A picture of soft patches in many colours, (120, 160, 3) uint8."""
    rng = np.random.default_rng(seed)
    coarse = rng.uniform(lowest, highest, (9, 12, 3)).astype(np.float32)
    fine = rng.normal(0, 8, (HEIGHT_PX, WIDTH_PX, 3)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (WIDTH_PX, HEIGHT_PX)) + fine, 0, 255).round().astype(np.uint8)


def streak_pattern(seed: int = 1) -> np.ndarray:
    """Slanted streaks of strength 0 to 0.6, about a third of the picture."""
    rng = np.random.default_rng(seed)
    layer = np.zeros((HEIGHT_PX, WIDTH_PX), dtype=np.float32)
    for _ in range(60):
        x, y, long, strength = (
            rng.uniform(0, WIDTH_PX),
            rng.uniform(-20, HEIGHT_PX),
            rng.uniform(15, 40),
            rng.uniform(0.05, 0.6),
        )
        streak = np.zeros_like(layer)
        cv2.line(streak, (int(x), int(y)), (int(x + 0.2 * long), int(y + long)), float(strength), 2)
        layer = np.maximum(layer, streak)
    return layer[..., None].astype(np.float64)


def smooth_transmission() -> np.ndarray:
    """From 0.9 at the lower edge to 0.45 at the upper one, a little less to the right."""
    down, across = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    return (0.45 + 0.45 * (down / HEIGHT_PX) - 0.1 * across / WIDTH_PX)[..., None]


def light_of(codes: np.ndarray) -> np.ndarray:
    """IEC 61966-2-1, written once more."""
    s = np.asarray(codes) / 255
    return np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)


def codes_of(light: np.ndarray) -> np.ndarray:
    light = np.clip(light, 0, 1)
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


def made(formula: str, clean: np.ndarray) -> np.ndarray:
    """The rainy picture of a clean one by a named formula, rounded and clipped."""
    b, a, t = clean.astype(np.float64), streak_pattern(), smooth_transmission()
    linear, light, airlight = light_of(b), light_of(LIGHT), light_of(AIRLIGHT)
    rainy = {
        "additive": lambda: b + np.floor(150 * a),
        "coloured additive": lambda: b + 150 * a * (0.85, 1.0, 1.15),
        "additive in light": lambda: codes_of(linear + 0.4 * a),
        "screen": lambda: 255 - (255 - b) * (255 - 255 * a) / 255,
        "alpha": lambda: (1 - a) * b + a * LIGHT,
        "alpha in light": lambda: codes_of((1 - a) * linear + a * 1.8 * light),
        "veil": lambda: t * b + (1 - t) * AIRLIGHT,
        "veil in light": lambda: codes_of(t * linear + (1 - t) * airlight),
        "additive and veil": lambda: (b + 150 * a) * t + (1 - t) * AIRLIGHT,
        "alpha before veil": lambda: (1 - a) * (t * b + (1 - t) * AIRLIGHT) + a * LIGHT,
        "alpha behind veil": lambda: t * ((1 - a) * b + a * LIGHT) + (1 - t) * AIRLIGHT,
        "alpha before veil in light": lambda: codes_of((1 - a) * (t * linear + (1 - t) * airlight) + a * 1.5 * light),
    }[formula]()
    return np.clip(np.rint(rainy), 0, 255).astype(np.uint8)


EXPECTED = {
    "additive": ("additive", "display codes"),
    "coloured additive": ("additive", "display codes"),
    "additive in light": ("additive", "linear light"),
    "screen": ("screen", "display codes"),
    "alpha": ("alpha", "display codes"),
    "alpha in light": ("alpha", "linear light"),
    "veil": ("veil", "display codes"),
    "veil in light": ("veil", "linear light"),
    "additive and veil": ("additive and veil", "display codes"),
    "alpha before veil": ("alpha and veil", "display codes"),
    "alpha behind veil": ("alpha and veil", "display codes"),
    "alpha before veil in light": ("alpha and veil", "linear light"),
}


@cache
def blend_of(formula: str, **options: float) -> Blend:
    clean = colourful(**options)  # type: ignore[arg-type]
    return find_blend(made(formula, clean), clean)


# ------------------------------ which formula


@pytest.mark.parametrize("formula", EXPECTED)
def test_the_formula_that_made_a_pair_is_found_and_misses_no_more_than_rounding(formula):
    found = blend_of(formula)
    assert (found.blend, found.space) == EXPECTED[formula]
    assert found.decided
    # Rounding to codes alone: 1 / sqrt(12) = 0.289, in the directions that a streak's strength does not take up.
    assert found.residual_codes < 0.33


def test_other_formulas_miss_by_codes():
    # Of another family than the true one, on a colourful picture; those that hold the true one as a special case fit.
    residuals = blend_of("additive").residuals_codes
    assert residuals["additive"] == 0
    assert min(residuals[name] for name in ("screen", "alpha", "alpha in light", "veil", "veil in light")) > 2
    residuals = blend_of("screen").residuals_codes
    assert residuals["alpha"] < 0.33  # screen is alpha with white light
    assert min(residuals[name] for name in ("additive", "coloured additive", "additive in light", "veil")) > 1.5


def test_numbers_of_the_formula_are_found_with_it():
    assert np.allclose(blend_of("alpha").light_codes, LIGHT, atol=2)
    assert np.allclose(np.divide(blend_of("coloured additive").light_codes, 255), (0.85, 1, 1.15), atol=0.01)
    veil = blend_of("veil")
    assert np.allclose(veil.airlight_codes, AIRLIGHT, atol=2)
    assert veil.veil_fraction == pytest.approx(1 - smooth_transmission().mean(), abs=0.01)
    assert all(math.isnan(code) for code in veil.light_codes)
    both = blend_of("additive and veil")
    assert both.veil_fraction == pytest.approx(1 - smooth_transmission().mean(), abs=0.02)


def test_strengths_of_streaks_are_those_that_were_drawn():
    clean, drawn = colourful(), streak_pattern()[..., 0]
    for formula, truth in (("additive", np.floor(150 * drawn)), ("screen", 255 * drawn), ("alpha", 255 * drawn)):
        rainy = made(formula, clean)
        layer, known = streaks_of(rainy, clean, find_blend(rainy, clean))
        assert known.mean() > 0.5
        # Half a code of rounding over a contrast of 40 codes and more, in codes of alpha: 255 / 2 / 40 = 3.2 at most.
        assert np.abs(layer - truth)[known].max() < 4, formula


def test_a_veil_has_no_streaks():
    clean = colourful()
    layer, known = streaks_of(made("veil", clean), clean, blend_of("veil"))
    assert not layer.any()
    assert known.all()


# ------------------------------ what cannot be decided


def test_a_grey_picture_does_not_tell_additive_from_screen():
    grey = np.repeat(colourful()[..., :1], 3, axis=2)
    found = find_blend(made("additive", grey), grey)
    assert {found.blend, *found.others} == {"additive", "screen"}
    assert not found.decided


def test_before_a_dark_picture_additive_and_screen_are_one():
    # They differ by B S / 255: under half a code for B up to 2 and S up to 60, so that both give the same picture.
    dark, added = (colourful() // 100).astype(np.uint8), np.floor(100 * streak_pattern())
    screen = np.rint(255 - (255.0 - dark) * (255 - added) / 255)
    np.testing.assert_array_equal(screen, dark + added)
    found = find_blend(screen.astype(np.uint8), dark)
    assert {found.blend, *found.others} == {"additive", "screen"}


def test_equal_pictures_have_no_blend_and_pictures_of_other_things_none_of_these():
    clean = colourful()
    found = find_blend(clean, clean)
    assert (found.blend, found.changed_fraction, found.fit) == ("none", 0, None)
    scrambled = np.random.default_rng(0).permuted(clean, axis=0)
    assert find_blend(scrambled, clean).blend == "other"


def test_where_all_is_white_nothing_can_be_judged():
    clean = colourful()
    found = find_blend(np.full_like(clean, 255), clean)
    assert found.blend == "other"
    assert math.isnan(found.residual_codes)


def test_noise_of_two_codes_does_not_change_the_verdict():
    clean = colourful()
    noise = np.random.default_rng(3).normal(0, 2, clean.shape)
    for formula in ("additive", "screen", "alpha in light"):
        found = find_blend(np.clip(np.rint(made(formula, clean) + noise), 0, 255).astype(np.uint8), clean)
        assert found.blend in {EXPECTED[formula][0], *found.others}, formula
        assert EXPECTED[formula][0] in {found.blend, *found.others}, formula
        assert found.residual_codes == pytest.approx(2.0, abs=0.4)


def test_of_formulas_that_fit_equally_the_simplest_is_taken():
    assert simplest_formulas({"additive": 0.30, "coloured additive": 0.29, "screen": 3.0}) == ["additive"]
    assert simplest_formulas({"additive": 0.30, "screen": 0.29}) == ["screen", "additive"]
    assert simplest_formulas({"additive": 0.60, "alpha in light": 0.29}) == ["alpha in light"]
    # Where all miss by more than rounding, a fifth more is allowed.
    assert simplest_formulas({"additive": 1.15, "additive and veil": 1.0}) == ["additive"]
    assert simplest_formulas({"additive": 1.15, "additive and veil": 0.9}) == ["additive and veil"]
    assert simplest_formulas({"additive": math.nan}) == []


# ------------------------------ how it is fitted


def test_the_residual_is_what_a_formula_misses_by_over_the_equations_left():
    # S = 10, 10, 13: its mean 11 leaves 1, 1 and -2 in three channels, of which one equation went into S.
    clean = np.full((8, 8, 3), 100, dtype=np.uint8)
    found = find_blend(clean + np.array([10, 10, 13], dtype=np.uint8), clean)
    assert found.residuals_codes["additive"] == pytest.approx(math.sqrt(6 / 2), abs=1e-6)
    misses = misses_of(clean, clean, find_blend(clean, clean))
    assert not misses.any()


def test_saturated_channels_are_left_out():
    clean = colourful(lowest=150, highest=250)
    rainy = made("additive", clean)
    assert (rainy == 255).mean() > 0.05
    assert find_blend(rainy, clean).residual_codes == 0
    seen = observe(rainy, clean, linear=False, step_px=1)
    assert not seen.codes_a_unit.reshape(rainy.shape)[rainy == 255].any()
    nothing = np.zeros(len(seen.rainy), dtype=bool)
    assert math.isnan(residual_codes(seen, find_blend(rainy, clean).fit, nothing))


def test_cholesky_solves_as_numpy_does():
    rng = np.random.default_rng(0)
    band = np.triu(np.tril(rng.normal(size=(30, 30)), 3), -3)
    matrix = band @ band.T + np.eye(30)
    right = rng.normal(size=30)
    np.testing.assert_allclose(solve_positive(matrix, right), np.linalg.solve(matrix, right), rtol=1e-9)


def test_the_same_pair_gives_the_same_numbers():
    first, second = blend_of("alpha before veil"), blend_of.__wrapped__("alpha before veil")
    assert first.residuals_codes == second.residuals_codes
    np.testing.assert_array_equal(first.fit.transmission, second.fit.transmission)


# ------------------------------ rendered rain

TRUTH = {  # blends that say what display_blend and compositing do
    "rain100l": ({"additive"}, "display codes"),
    "rain100h": ({"additive"}, "display codes"),
    "outdoor-rain": ({"additive and veil"}, "display codes"),
    # R is alpha of white light behind F; where there is no fog within the picture, the same without a veil.
    "raincityscapes": ({"alpha and veil"}, "display codes"),
} | {name: ({"alpha", "alpha and veil"}, "linear light") for name in PRESETS}


@pytest.mark.parametrize("preset", [*LOOKALIKES, "light", "heavy", "long-exposure"])
def test_rendered_rain_is_recognised(bundled_photo, preset):
    sample = add_rain(np.ascontiguousarray(bundled_photo[100:292, 100:356]), preset=preset, seed=1)
    found = find_blend(sample.rainy_srgb8, sample.clean_srgb8)
    blends, space = TRUTH[preset]
    assert found.blend in blends
    assert found.space == space
    assert found.decided


@pytest.mark.parametrize("preset", ["rain100l", "rain100h", "outdoor-rain", "heavy"])
def test_a_blend_is_recognised_through_jpeg(bundled_photo, preset):
    sample = add_rain(np.ascontiguousarray(bundled_photo[:320, :400]), preset=preset, seed=1)
    stream = io.BytesIO()
    Image.fromarray(sample.rainy_srgb8).save(stream, "JPEG", quality=75)
    found = find_blend(np.array(Image.open(stream)), sample.clean_srgb8)
    blends, space = TRUTH[preset]
    assert found.blend in blends
    assert found.space == space
    assert found.judged_over_px == 8
    assert found.residual_codes > max(found.residuals_codes[found.formula], 1.0)


@pytest.mark.slow
def test_rendered_rain_of_every_preset_is_recognised_on_nearly_all_photographs(tmp_path):
    # Measured: 112 of 112.
    from pipelines.bundled import HELD_OUT_PHOTOS, TRAINING_PHOTOS, unpack
    from rainsynth.pictures import list_photos, read_photo

    unpack(TRAINING_PHOTOS + HELD_OUT_PHOTOS, tmp_path)
    photos = [np.ascontiguousarray(read_photo(path)[:480, :640]) for path in list_photos(tmp_path)]
    wrong = []
    for preset, (blends, space) in TRUTH.items():
        for index, photo in enumerate(photos):
            sample = add_rain(photo, preset=preset, seed=0, index=index)
            found = find_blend(sample.rainy_srgb8, sample.clean_srgb8)
            if found.blend not in blends or found.space != space:
                wrong.append((preset, index, found.blend, found.space))
    assert len(wrong) <= 0.03 * len(TRUTH) * len(photos), wrong


def test_screen_is_told_from_additive_on_a_photograph(bundled_photo):
    sample = add_rain(np.ascontiguousarray(bundled_photo[100:292, 100:356]), preset="rain100l", seed=1)
    added = sample.streak_alpha16[..., None] / 257.0
    screen = np.rint(255 - (255 - sample.clean_srgb8) * (255 - added) / 255).astype(np.uint8)
    found = find_blend(screen, sample.clean_srgb8)
    assert (found.blend, found.decided) == ("screen", True)
