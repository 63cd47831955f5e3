"""PhysicalRain keeps the rules of albumentations and of the renderer."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from rainsynth import Background, InputError, add_rain, render_rain
from rainsynth.presets import PRESETS, camera_of, draw_rain, event_of

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
A = pytest.importorskip("albumentations", reason="albumentations is absent: pip install 'rainsynth[augment]'")
augment = importlib.import_module("rainsynth.augment")
PhysicalRain, RANGES = augment.PhysicalRain, augment.RANGES

# Bright above, dark below, and grain by which every pixel can be told.
GRAIN = np.random.default_rng(0).normal(0, 15, (96, 128, 3))
PHOTO = np.clip(np.linspace(220, 40, 96)[:, None, None] + GRAIN, 0, 255).astype(np.uint8)
FURTHER = {"clean": "image", "depth": "mask"}


def params_of(saved: dict[str, Any]) -> dict[str, Any]:
    """What ReplayCompose saved of the rain, which comes last."""
    return saved["transforms"][-1]["params"]


# Seeds


def test_the_seed_of_compose_fixes_every_picture() -> None:
    def three(seed: int) -> list[np.ndarray]:
        compose = A.Compose([PhysicalRain(p=1)], seed=seed)
        return [compose(image=PHOTO)["image"] for _ in range(3)]

    first, again, other = three(7), three(7), three(8)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], first[1])
    assert not np.array_equal(first[0], other[0])


def test_a_pickled_compose_goes_on_with_the_same_pictures() -> None:
    # What a worker of a DataLoader gets.
    compose = A.Compose([A.RandomCrop(64, 64), PhysicalRain(preset="windy", p=0.7)], seed=3)
    compose(image=PHOTO)
    copy = pickle.loads(pickle.dumps(compose))
    for _ in range(3):
        assert np.array_equal(copy(image=PHOTO)["image"], compose(image=PHOTO)["image"])


def test_workers_told_apart_by_set_random_seed_draw_other_rain() -> None:
    copies = [pickle.loads(pickle.dumps(A.Compose([PhysicalRain(p=1)], seed=3))) for _ in range(2)]
    copies[1].set_random_seed(4)
    assert not np.array_equal(copies[0](image=PHOTO)["image"], copies[1](image=PHOTO)["image"])


def test_p_decides_how_often_it_rains() -> None:
    assert np.array_equal(A.Compose([PhysicalRain(p=0)], seed=1)(image=PHOTO)["image"], PHOTO)
    sometimes = A.Compose([PhysicalRain(p=0.5)], seed=1)
    small = np.ascontiguousarray(PHOTO[::4, ::4])
    dry = sum(np.array_equal(sometimes(image=small)["image"], small) for _ in range(40))
    assert 8 <= dry <= 32  # binomial (40, 1/2): outside with probability 1e-4


# What falls


def test_a_preset_alone_is_the_picture_of_add_rain() -> None:
    result = A.ReplayCompose([PhysicalRain(preset="thunderstorm", p=1)])(image=PHOTO)
    expected = add_rain(PHOTO, preset="thunderstorm", seed=params_of(result["replay"])["seed"])
    assert np.array_equal(result["image"], expected.rainy_srgb8)


def drawn(**options: Any) -> dict[str, np.ndarray]:
    transform = PhysicalRain(**options)
    draws = [transform.get_params_dependent_on_data({}, {}) for _ in range(400)]
    return {name: np.array([draw[name] for draw in draws]) for name in RANGES}


def test_rates_are_drawn_uniformly_in_their_logarithm() -> None:
    rates_mm_h = drawn(rain_rate_mm_h=(1, 100))["rain_rate_mm_h"]
    assert rates_mm_h.min() >= 1 and rates_mm_h.max() <= 100
    # Half of the draws lie below 10 mm/h, of a uniform draw 9 %; 0.1 is four standard deviations of 400 draws.
    assert abs(np.mean(rates_mm_h < 10) - 0.5) < 0.1


@pytest.mark.parametrize("name", RANGES)
def test_every_range_can_be_given_and_overrides_the_preset(name: str) -> None:
    low, high = getattr(PRESETS["heavy"], name)
    wanted = low + 0.25 * (high - low), low + 0.5 * (high - low)
    numbers = drawn(preset="heavy", **{name: wanted})
    assert wanted[0] <= numbers[name].min() < numbers[name].max() <= wanted[1]
    for other in set(RANGES) - {name}:
        ends = getattr(PRESETS["heavy"], other)
        assert ends[0] <= numbers[other].min() < numbers[other].max() <= ends[1]


def test_a_transform_with_a_preset_draws_the_weather_and_camera_of_that_preset() -> None:
    transform = PhysicalRain(preset="windy")
    numbers = transform.get_params_dependent_on_data({}, {})
    event, camera = draw_rain("windy", 128, 96, numbers["seed"], 0)
    assert (event_of(numbers), camera_of(numbers, 128, 96)) == (event, camera)


def test_one_number_is_taken_as_it_is() -> None:
    assert set(drawn(rain_rate_mm_h=33, exposure_s=1 / 500)["rain_rate_mm_h"]) == {33.0}


def test_spectrum_can_be_given_and_overrides_the_preset() -> None:
    spectra = [PhysicalRain(preset="drizzle", spectrum=name).family.spectrum for name in (None, "best")]
    assert spectra == ["joss-drizzle", "best"]


def test_crop_with_the_full_width_shows_rain_as_large_as_the_photograph() -> None:
    numbers = PhysicalRain(field_of_view_deg=30).get_params_dependent_on_data({}, {})
    full = camera_of(numbers, 128, 96, None)
    crop = camera_of(numbers, 32, 24, 128)
    assert crop.focal_px == full.focal_px == 64 / np.tan(np.radians(15))
    assert (crop.width_px, crop.height_px, crop.principal_x_px, crop.principal_y_px) == (32, 24, 16, 12)
    assert camera_of(numbers, 32, 24, None).focal_px == pytest.approx(full.focal_px / 4)


# Targets


def test_clean_target_is_cropped_and_flipped_along_but_stays_dry() -> None:
    compose = A.ReplayCompose(
        [A.RandomCrop(48, 64), A.HorizontalFlip(p=1), PhysicalRain(preset="heavy", p=1)], additional_targets=FURTHER
    )
    result = compose(image=PHOTO, clean=PHOTO)
    clean = result["clean"]
    left, top, right, bottom = result["replay"]["transforms"][0]["params"]["crop_coords"]
    assert np.array_equal(clean, PHOTO[top:bottom, left:right][:, ::-1])
    # The rain lies on just this clean picture: rendered upon it, the same rain gives the same bytes.
    sample = add_rain(clean, preset="heavy", seed=params_of(result["replay"])["seed"])
    assert np.array_equal(result["image"], sample.rainy_srgb8)
    assert not np.array_equal(result["image"], clean)


def test_rainy_minus_clean_is_small_outside_the_rain() -> None:
    compose = A.Compose(
        [A.RandomCrop(48, 64), A.HorizontalFlip(p=0.5), PhysicalRain(rain_rate_mm_h=2, mist_per_km=0, p=1)],
        additional_targets=FURTHER,
        seed=5,
    )
    result = compose(image=PHOTO, clean=PHOTO)
    difference = np.abs(result["image"].astype(int) - result["clean"])
    assert difference.max() > 0
    # 2 mm/h veil 60 m by 1 - exp(-0.3647 2^0.63 0.06) = 3 %: under 5 codes of mean change.
    assert np.median(difference) < 5
    misaligned = np.abs(result["image"].astype(int) - result["clean"][:, ::-1])
    assert misaligned.mean() > 3 * difference.mean()


def test_dry_targets_can_be_named_and_others_share_the_rain() -> None:
    declared = {"target": "image", "second": "image"}
    result = A.Compose([PhysicalRain(dry_targets=("target",), p=1)], additional_targets=declared)(
        image=PHOTO, target=PHOTO, second=PHOTO
    )
    assert np.array_equal(result["target"], PHOTO)
    assert np.array_equal(result["second"], result["image"])


def test_masks_boxes_and_keypoints_stay_as_they_are() -> None:
    mask = (PHOTO[..., 0] > 100).astype(np.uint8)
    compose = A.Compose(
        [A.HorizontalFlip(p=0), PhysicalRain(preset="violent", p=1)],
        bbox_params=A.BboxParams("pascal_voc", label_fields=["labels"]),
        keypoint_params=A.KeypointParams("xy"),
    )
    boxes, points = [[10.0, 20.0, 30.0, 40.0]], [[5.0, 6.0]]
    result = compose(image=PHOTO, mask=mask, masks=[mask, mask], bboxes=boxes, labels=[1], keypoints=points)
    assert np.array_equal(result["mask"], mask)
    assert all(np.array_equal(one, mask) for one in result["masks"])
    np.testing.assert_allclose(result["bboxes"], boxes, atol=1e-4)
    np.testing.assert_allclose(result["keypoints"], points, atol=1e-4)


def test_near_wall_hides_the_rain_behind_it() -> None:
    wall_m = np.full(PHOTO.shape[:2], 60.0, dtype=np.float32)
    wall_m[:, :64] = 0.6
    rain = PhysicalRain(rain_rate_mm_h=50, near_m=0.5, mist_per_km=0, sky_linear=2, p=1)
    compose = A.Compose([rain], additional_targets=FURTHER, seed=2)
    result = compose(image=PHOTO, clean=PHOTO, depth=wall_m)
    assert np.array_equal(result["depth"], wall_m) and result["depth"].dtype == np.float32
    change = np.abs(result["image"].astype(int) - PHOTO).mean(axis=(0, 2))
    # beta = 0.3647 50^0.63 = 4.3 per km: the rain before the wall at 0.6 m covers 0.3 %, that before 60 m 23 %.
    assert change[:64].mean() < 1
    assert change[64:].mean() > 8


def test_depth_target_moves_along_with_crop_and_flip() -> None:
    depth_m = np.linspace(2, 80, PHOTO.shape[0] * PHOTO.shape[1], dtype=np.float32).reshape(PHOTO.shape[:2])
    compose = A.ReplayCompose(
        [A.RandomCrop(48, 64), A.HorizontalFlip(p=1), PhysicalRain(preset="heavy", p=1)], additional_targets=FURTHER
    )
    result = compose(image=PHOTO, clean=PHOTO, depth=depth_m)
    seed = params_of(result["replay"])["seed"]
    with_depth = add_rain(result["clean"], preset="heavy", seed=seed, depth_m=result["depth"]).rainy_srgb8
    without = add_rain(result["clean"], preset="heavy", seed=seed).rainy_srgb8
    assert np.array_equal(result["image"], with_depth)
    assert not np.array_equal(with_depth, without)


def test_frames_share_the_weather_and_have_drops_of_their_own() -> None:
    frames = np.stack([PHOTO] * 3)
    transform = PhysicalRain(preset="heavy", p=1)
    rainy = A.Compose([transform], seed=4)(images=frames)["images"]
    numbers = transform.get_applied_params()
    camera = camera_of(numbers, 128, 96, None)
    for index in range(3):
        sample = render_rain(Background(PHOTO), event_of(numbers), camera, seed=numbers["seed"], index=index)
        assert np.array_equal(rainy[index], sample.rainy_srgb8)
    assert not np.array_equal(rainy[0], rainy[1])


def test_float_pictures_are_rained_on_in_8_bits() -> None:
    rainy = A.Compose([PhysicalRain(p=1)], seed=6)(image=PHOTO)["image"]
    rainy_float = A.Compose([PhysicalRain(p=1)], seed=6)(image=(PHOTO / 255).astype(np.float32))["image"]
    assert rainy_float.dtype == np.float32
    assert np.array_equal(rainy_float, rainy / np.float32(255))


def test_floats_are_rounded_to_the_nearest_code_and_what_resizing_overshot_is_clipped() -> None:
    codes = np.array([[[-20.0, 12.4, 12.6], [0.0, 255.0, 280.0]]])
    expected = [[[0, 12, 13], [0, 255, 255]]]
    assert augment.srgb8_of((codes / 255).astype(np.float32)).tolist() == expected
    corner = np.zeros((16, 16, 3), dtype=np.float32)
    corner[:8, :8] = 1
    enlarge = A.Resize(80, 80, interpolation=cv2.INTER_CUBIC)
    assert enlarge(image=corner)["image"].max() > 1.1
    A.Compose([enlarge, PhysicalRain(p=1)])(image=corner)  # not refused


# Files and replays


@pytest.mark.parametrize("data_format", ["json", "yaml"])
@pytest.mark.parametrize(
    "options",
    [
        {"preset": "windy", "rain_rate_mm_h": (5, 20), "full_width_px": 200},
        {"exposure_s": 0.002, "sky_linear": (2, 4), "spectrum": "best", "dry_targets": ()},
    ],
    ids=["preset", "ranges"],
)
def test_a_compose_comes_back_from_dict_and_file(tmp_path: Path, options: dict[str, Any], data_format: str) -> None:
    compose = A.Compose([A.RandomCrop(48, 64), PhysicalRain(p=0.9, **options)], additional_targets=FURTHER, seed=7)
    A.save(compose, tmp_path / "compose", data_format=data_format)
    expected = compose(image=PHOTO, clean=PHOTO)
    for copy in (A.from_dict(A.to_dict(compose)), A.load(tmp_path / "compose", data_format=data_format)):
        assert A.to_dict(copy) == A.to_dict(compose)
        copy.set_random_seed(7)  # albumentations writes no seed
        found = copy(image=PHOTO, clean=PHOTO)
        assert all(np.array_equal(found[name], expected[name]) for name in ("image", "clean"))


def test_replay_brings_the_same_rain_from_plain_numbers() -> None:
    compose = A.ReplayCompose(
        [A.RandomCrop(48, 64), PhysicalRain(preset="heavy", full_width_px=128, p=1)], additional_targets=FURTHER
    )
    depth_m = np.full(PHOTO.shape[:2], 20, dtype=np.float32)
    first = compose(image=PHOTO, clean=PHOTO, depth=depth_m)
    saved = json.loads(json.dumps(first["replay"]))
    assert 10 <= params_of(saved)["rain_rate_mm_h"] <= 50
    again = A.ReplayCompose.replay(saved, image=PHOTO, clean=PHOTO, depth=depth_m)
    assert all(np.array_equal(again[name], first[name]) for name in ("image", "clean", "depth"))
    negative = A.ReplayCompose.replay(saved, image=255 - PHOTO)["image"]
    numbers = params_of(saved)
    left, top, right, bottom = saved["transforms"][0]["params"]["crop_coords"]
    background = Background(np.ascontiguousarray(255 - PHOTO[top:bottom, left:right]))
    sample = render_rain(background, event_of(numbers), camera_of(numbers, 64, 48, 128), seed=numbers["seed"])
    assert np.array_equal(negative, sample.rainy_srgb8)


def test_a_dry_draw_replays_dry() -> None:
    result = A.ReplayCompose([PhysicalRain(p=0)])(image=PHOTO)
    assert np.array_equal(A.ReplayCompose.replay(result["replay"], image=PHOTO)["image"], PHOTO)


def test_it_takes_its_turn_in_one_of() -> None:
    compose = A.Compose(
        [A.OneOf([PhysicalRain(p=1), A.HorizontalFlip(p=1)], p=1)], additional_targets=FURTHER, seed=1, strict=True
    )
    small = np.ascontiguousarray(PHOTO[::4, ::4])
    results = [compose(image=small, clean=small) for _ in range(8)]
    flipped = [np.array_equal(result["image"], small[:, ::-1]) for result in results]
    assert 0 < sum(flipped) < 8
    assert all(flip or np.array_equal(result["clean"], small) for flip, result in zip(flipped, results, strict=True))


# Mistakes

HOLED_M = np.zeros(PHOTO.shape[:2], dtype=np.float32)
RAIN = {"p": 1, "rain_rate_mm_h": 5}
MISTAKES = {
    # what: (arguments, targets, the name that the message must hold)
    "negative rate": ({"rain_rate_mm_h": -1}, {}, "rain_rate_mm_h"),
    "no rate": ({"rain_rate_mm_h": (0, 5)}, {}, "rain_rate_mm_h"),
    "rate in words": ({"rain_rate_mm_h": "heavy"}, {}, "rain_rate_mm_h"),
    "three rates": ({"rain_rate_mm_h": (1, 2, 3)}, {}, "rain_rate_mm_h"),
    "rates from high to low": ({"rain_rate_mm_h": (50, 5)}, {}, "Swap"),
    "rate of NaN": ({"rain_rate_mm_h": float("nan")}, {}, "rain_rate_mm_h"),
    "rate in drops": ({"rain_rate_mm_h": (1, 1e9)}, {}, "rain_rate_mm_h"),
    "exposure in ms": ({"exposure_s": (0.001, 4)}, {}, "exposure_s"),
    "wind in km/h": ({"wind_right_m_s": 60}, {}, "wind_m_s"),
    "field of view of a half turn": ({"field_of_view_deg": 180}, {}, "field_of_view_deg"),
    "unknown preset": ({"preset": "monsoon"}, {}, "preset"),
    "preset of a number": ({"preset": 3}, {}, "preset"),
    "unknown spectrum": ({"spectrum": "marshall_palmer"}, {}, "spectrum"),
    "p over 1": ({"p": 2}, {}, "p must"),
    "no full width": ({"full_width_px": 0}, {}, "width_px"),
    "half a pixel": ({"full_width_px": 99.5}, {}, "full_width_px"),
    "picture wider than the photograph": ({"full_width_px": 99}, {"image": PHOTO}, "width"),
    "dry targets of one word": ({"dry_targets": "clean"}, {}, "dry_targets"),
    "dry image": ({"dry_targets": ("image",)}, {}, "dry_targets"),
    "grey picture": ({}, {"image": PHOTO[..., 0]}, "A.ToRGB"),
    "grey picture of three axes": ({}, {"image": PHOTO[..., :1]}, "A.ToRGB"),
    "16-bit picture": ({}, {"image": PHOTO.astype(np.uint16)}, "image must be uint8"),
    "double picture": ({}, {"image": PHOTO / 255}, "image must be uint8"),
    "normalised picture": ({}, {"image": PHOTO.astype(np.float32) / 60 - 2}, "A.Normalize"),
    "float picture in codes": ({}, {"image": PHOTO.astype(np.float32)}, "image"),
    "depth with holes": ({}, {"depth": HOLED_M}, "fill_mask"),
    "depth of another size": ({}, {"depth": np.ones((4, 4), dtype=np.float32)}, "depth': 'mask"),
    "volume": ({}, {"volume": PHOTO[None]}, "volume"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_refused_in_one_line(mistake: str) -> None:
    arguments, targets, name = MISTAKES[mistake]
    with pytest.raises(InputError) as caught:
        transform = PhysicalRain(**(RAIN | arguments))  # refuses its arguments before it meets a picture
        if targets:
            transform(**({"image": PHOTO} | targets))
    message = str(caught.value)
    assert "\n" not in message
    assert name in message


def test_without_albumentations_the_import_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*sys.modules]:
        if name == "rainsynth.augment" or name.startswith("albumentations."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "albumentations", None)
    with pytest.raises(InputError, match=r"pip install 'rainsynth\[augment\]'") as caught:
        importlib.import_module("rainsynth.augment")
    assert "\n" not in str(caught.value)
