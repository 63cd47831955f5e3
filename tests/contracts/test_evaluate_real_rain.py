"""Real rain without truth, measured where the truth is known; and rain's cost to other programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

from pipelines.evaluation import downstream as tasks
from pipelines.evaluation.methods import Method
from pipelines.evaluation.pairs import Photograph
from pipelines.evaluation.real_rain import PROBE_PX, Streaks, judge_photograph, similarity_within, streak_response
from rainsynth.checks import InputError
from rainsynth.measure import autocorrelation, direction_profile, grey_layer, main_direction_deg, measurable_mask
from rainsynth.metrics import ssim_y
from rainsynth.pictures import list_photos, read_photo

Run = Callable[..., tuple[int, str, str]]


def drawn_rain(photo_srgb8: np.ndarray, angle_deg: float, codes: int = 80) -> np.ndarray:
    """A photograph with 300 streaks 2 px wide and 40 px long, their lower end to the right by `angle_deg`."""
    rng = np.random.default_rng(0)
    layer = np.zeros(photo_srgb8.shape[:2], np.uint8)
    for x, y in rng.integers(0, 470, (300, 2)):
        end = (int(x + 40 * np.sin(np.deg2rad(angle_deg))), int(y + 40 * np.cos(np.deg2rad(angle_deg))))
        cv2.line(layer, (int(x), int(y)), end, codes, 2)
    return cv2.add(photo_srgb8, np.repeat(layer[..., None], 3, axis=2))


@pytest.mark.parametrize("angle_deg", [-25.0, 4.0])
def test_streak_energy_left_follows_what_is_left(bundled_photo: np.ndarray, angle_deg: float) -> None:
    rainy = drawn_rain(bundled_photo, angle_deg)
    assert Streaks.of(rainy).direction_deg == pytest.approx(angle_deg, abs=2)
    judge = judge_photograph(Photograph("x", rainy))
    half = np.round((rainy.astype(float) + bundled_photo) / 2).astype(np.uint8)
    idle, weaker, gone = (judge(picture) for picture in (rainy, half, bundled_photo))
    assert idle["streak_energy_left"] == pytest.approx(1)
    assert idle["rest_kept"] == pytest.approx(1)
    assert weaker["streak_energy_left"] == pytest.approx(0.25, abs=0.08)  # half the contrast, and some of the scene
    assert gone["streak_energy_left"] < 0.1
    assert gone["rest_kept"] > 0.97
    blurred = judge(cv2.GaussianBlur(rainy, (0, 0), 3))
    assert blurred["streak_energy_left"] < 0.1
    assert blurred["rest_kept"] < 0.9  # which is why both are told
    everywhere = judge_photograph(Photograph("x", rainy), masks=False)
    assert everywhere(rainy)["streak_energy_left"] == pytest.approx(1)
    assert everywhere(bundled_photo)["rest_kept"] == pytest.approx(ssim_y(bundled_photo, rainy), abs=1e-9)


def test_response_is_the_contrast_of_a_streak_whatever_its_angle() -> None:
    strip = np.zeros((81, 81), np.float32)
    strip[:, 39:42] = np.array(PROBE_PX) * 30
    for angle_deg in (0.0, 20.0, -40.0):
        turn = cv2.getRotationMatrix2D((40, 40), angle_deg, 1)  # OpenCV turns the top to the left, the foot right
        turned = cv2.warpAffine(strip, turn, (81, 81), flags=cv2.INTER_LINEAR)
        assert streak_response(turned, angle_deg)[40, 40] == pytest.approx(30, rel=0.1)
        assert streak_response(-turned, angle_deg)[40, 40] == 0


def test_similarity_over_all_windows_is_ssim(bundled_photo: np.ndarray) -> None:
    other = cv2.blur(bundled_photo, (3, 3))
    whole = np.ones(bundled_photo.shape[:2], dtype=bool)
    assert similarity_within(other, bundled_photo, whole) == pytest.approx(ssim_y(other, bundled_photo), abs=1e-9)
    assert similarity_within(other, bundled_photo, ~whole) is None


def test_a_photograph_without_thin_light_has_no_streaks_to_measure() -> None:
    figures = judge_photograph(Photograph("x", np.full((64, 64, 3), 90, np.uint8)))(np.zeros((64, 64, 3), np.uint8))
    assert figures["streak_energy_left"] is None
    assert figures["streak_fraction"] == 0
    with pytest.raises(InputError, match="x must be over 18 px a side"):
        judge_photograph(Photograph("x", np.zeros((16, 40, 3), np.uint8)))


@pytest.mark.data
@pytest.mark.parametrize(("name", "most_left"), [("rain100l-dev", 0.2), ("rain100h-dev", 0.07)])
def test_on_pairs_the_direction_is_found_and_the_clean_picture_has_little_left(
    data_folder: Path, name: str, most_left: float
) -> None:
    left = []
    for path in list_photos(data_folder / "benchmarks" / name / "input")[::4]:
        rainy, clean = read_photo(path), read_photo(data_folder / "benchmarks" / name / "target" / path.name)
        layer = grey_layer(rainy, clean)
        true_deg = main_direction_deg(direction_profile(autocorrelation(layer, measurable_mask(rainy))))
        assert Streaks.of(rainy).direction_deg == pytest.approx(true_deg, abs=1.5)
        left.append(judge_photograph(Photograph(path.name, rainy))(clean)["streak_energy_left"])
    assert np.mean(left) < most_left


def test_rain_costs_stereo_disparities_and_clean_views_get_them_back() -> None:
    pytest.importorskip("skimage.data")
    left, right, true_px = tasks.motorcycle()
    clean = {True: left.image_srgb8, False: right.image_srgb8}
    turns = iter([True, False])
    found = tasks.stereo({"rainy": lambda rainy: rainy, "perfect": lambda _: clean[next(turns)]})
    values = {name: one["stereo_bad_fraction"] for name, one in found.items()}
    assert values["perfect"] == values["clean"] < values["rainy"] < 0.5
    # The depth that rain is drawn before is that of the true disparity: z = f b / d, half a pixel for the rest.
    known = np.isfinite(true_px)
    again_px = tasks.MOTORCYCLE_FOCAL_PX * tasks.MOTORCYCLE_BASELINE_M / left.depth_m[known]
    np.testing.assert_allclose(again_px, true_px[known], atol=0.1)
    assert np.isinf(np.asarray(right.depth_m)).sum() == 0


def test_a_view_of_the_same_photograph_has_its_matches_where_the_homography_says(bundled_photo: np.ndarray) -> None:
    views, homography = tasks.two_views(bundled_photo)
    right = tasks.inliers(*views, homography)
    wrong = tasks.inliers(*views, np.eye(3))
    for kind in ("orb", "sift"):
        assert right[f"{kind}_inliers"] > 5 * wrong[f"{kind}_inliers"]
        assert right[f"{kind}_inliers"] > 300
    flat = np.zeros_like(bundled_photo)
    assert tasks.inliers(flat, flat, homography) == {"orb_inliers": 0, "sift_inliers": 0}


def test_reading_is_compared_with_the_clean_page(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = SimpleNamespace(image_to_string=lambda picture: "a" * 6 if picture.max() == 0 else "a" * 4 + "bb")
    monkeypatch.setitem(__import__("sys").modules, "pytesseract", reader)
    found = tasks.reading({"rainy": lambda rainy: rainy, "black": np.zeros_like})
    assert found["clean"]["reading"] == found["rainy"]["reading"] == 1
    assert found["black"]["reading"] == pytest.approx(2 * 4 / 12)  # twice the equal letters over all


def test_downstream_tells_clean_rainy_and_networks(tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def three(states: dict[str, Any], names: tuple[str, ...]) -> dict[str, dict[str, float]]:
        return {name: dict.fromkeys(names, 0.5) for name in ("clean", *states)}

    monkeypatch.setattr(tasks, "stereo", lambda states: three(states, ("stereo_bad_fraction",)))
    monkeypatch.setattr(tasks, "matches", lambda states: three(states, ("orb_inliers", "sift_inliers")))
    monkeypatch.setattr(tasks, "can_read", lambda: False)
    method = Method(name="net", restore=lambda rainy: rainy)
    monkeypatch.setattr("pipelines.evaluate.networks", lambda given, views: [method])
    code, told, _ = run("evaluate", "--downstream", "--weights", "net.pt", "--json", tmp_path / "f.json")
    assert code == 0
    assert "reading was skipped" in told
    assert list(json.loads((tmp_path / "f.json").read_text())["states"]) == ["clean", "rainy", "net"]
    code, _, error = run("evaluate", "--downstream", "--results", "a=b")
    assert (code, "--downstream is for --weights" in error) == (2, True)


def test_a_missing_stereo_pair_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tasks.BundledPhoto("right", "skimage.data", "motorcycle_middle.png")
    monkeypatch.setattr(tasks, "MOTORCYCLE", (tasks.MOTORCYCLE[0], gone))
    with pytest.raises(InputError, match=r"got no motorcycle_middle\.png\. pip install"):
        tasks.motorcycle()
