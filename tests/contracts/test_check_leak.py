"""`rainsynth check-leak`: what it compares, what it says, and its exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import rainsynth
from pipelines import check_leak as leaks
from pipelines.generate_config import GenerateConfig, PhotographsConfig
from pipelines.make_shard import make_shard
from pipelines.photographs import survey
from pipelines.plan import plan
from rainsynth.fingerprint import fingerprint_of
from rainsynth.pictures import read_photo
from rainsynth.preset_choice import PresetChoice
from rainsynth.shards.writer import Provenance, write_shard

Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def check(run: Check) -> Check:
    """Exit code, output and error output of `rainsynth check-leak WORDS`."""
    return partial(run, "check-leak")


@pytest.fixture(scope="module")
def pictures() -> dict[str, np.ndarray]:
    """Three photographs that ship inside wheels, 320 px wide."""
    data = pytest.importorskip("skimage.data", reason="the bundled photographs come with scikit-image")
    found = {"astronaut": data.astronaut(), "cat": data.chelsea(), "coffee": data.coffee()}
    return {name: cv2.resize(one, (320, 320 * one.shape[0] // one.shape[1])) for name, one in found.items()}


def folder_of(path: Path, pictures: dict[str, np.ndarray]) -> Path:
    for name, picture in pictures.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path / f"{name}.png")
    return path


@pytest.fixture
def train(tmp_path: Path, pictures: dict[str, np.ndarray]) -> Path:
    return folder_of(tmp_path / "train", {name: pictures[name] for name in ("astronaut", "cat")})


def test_a_leak_is_one_line_with_its_change_and_exit_code_1(
    check: Check, train: Path, tmp_path: Path, pictures: dict[str, np.ndarray]
) -> None:
    cut = cv2.resize(pictures["astronaut"][40:240, 60:260], (140, 140), interpolation=cv2.INTER_AREA)
    test = folder_of(tmp_path / "test", {"deep/cut": cut[:, ::-1], "coffee": pictures["coffee"]})
    code, told, _ = check(train, test, "--json", tmp_path / "found.json", "--sheet", tmp_path / "sheet.png")
    assert code == 1
    (line,) = [line for line in told.splitlines() if "inliers" in line]
    train_name, test_name, _, change = line.split("  ")
    assert (train_name, test_name) == ("astronaut.png", "deep/cut.png")
    assert change == "cropped to 39 %, mirrored, scaled 0.70"  # 200^2 / 320^2 and 140 / 200
    found = json.loads((tmp_path / "found.json").read_text())
    assert (found["train_backgrounds"], found["test_backgrounds"], found["featureless"]) == (2, 2, [])
    (leak,) = found["leaks"]
    assert (leak["train"], leak["test"], leak["mirrored"]) == ("astronaut.png", "deep/cut.png", True)
    assert leak["scale"] == pytest.approx(0.7, rel=0.02)
    assert leak["train_shared_fraction"] == pytest.approx(200**2 / 320**2, rel=0.03)
    assert leak["expected_by_chance"] < 0.05
    sheet = read_photo(tmp_path / "sheet.png")
    assert ((sheet == (255, 0, 0)).all(axis=2)).sum() > 500  # the outline of the crop in the training picture


def test_no_leak_is_exit_code_0_and_no_sheet(
    check: Check, train: Path, tmp_path: Path, pictures: dict[str, np.ndarray]
) -> None:
    test = folder_of(tmp_path / "test", {"coffee": pictures["coffee"]})
    code, told, _ = check(train, test, "--sheet", tmp_path / "sheet.png")
    assert (code, "no leak: 2 backgrounds against 1" in told) == (0, True)
    assert not (tmp_path / "sheet.png").exists()


@pytest.mark.parametrize(("clean", "leaks"), [("cat", 1), ("coffee", 0)])
def test_pairs_are_judged_by_their_targets(
    clean: str, leaks: int, check: Check, train: Path, tmp_path: Path, pictures: dict[str, np.ndarray]
) -> None:
    folder_of(tmp_path / "pairs" / "input", {"1": pictures["astronaut"]})
    folder_of(tmp_path / "pairs" / "target", {"1": pictures[clean]})
    code, told, _ = check(train, tmp_path / "pairs")
    assert (code, told.count("target/1.png")) == (leaks, leaks)


def test_without_clean_pictures_the_rainy_ones_are_compared(
    check: Check, train: Path, tmp_path: Path, pictures: dict[str, np.ndarray]
) -> None:
    rainy = rainsynth.add_rain(pictures["cat"], 40, 3, preset="heavy").rainy_srgb8
    folder_of(tmp_path / "pairs" / "input", {"1": rainy})
    code, told, _ = check(train, tmp_path / "pairs")
    assert (code, "cat.png  input/1.png" in told, "same place and size" in told) == (1, True, True)


@pytest.mark.parametrize("stored", [False, True])
def test_a_photograph_of_shards_counts_once(
    stored: bool, check: Check, train: Path, tmp_path: Path, pictures: dict[str, np.ndarray]
) -> None:
    # With fingerprints in the shards those count: here they are another photograph's than the pixels show.
    samples = [rainsynth.add_rain(pictures["cat"], 20, 5, index=index) for index in range(2)]
    fingerprints = [fingerprint_of(pictures["astronaut"])] * 2 if stored else None
    (tmp_path / "shards").mkdir()
    for number in range(2):
        path = tmp_path / "shards" / f"shard-{number:05d}.h5"
        write_shard(path, samples, [Provenance("mine.jpg", "0" * 64)] * 2, {}, fingerprints=fingerprints)
    code, told, _ = check(tmp_path / "shards", train)
    assert code == 1
    (line,) = [line for line in told.splitlines() if "inliers" in line]
    assert line.startswith(f"mine.jpg  {'astronaut' if stored else 'cat'}.png")
    assert "1 leaks: 1 backgrounds against 2" in told


def made_of(photos: Path, out: Path, **options: object) -> Path:
    """A data set of four samples of a folder's photographs."""
    values: dict = {"samples": 4, "mixture": (PresetChoice(preset="heavy"),), "layers": ()}
    config = GenerateConfig(data=PhotographsConfig(photographs=str(photos)), **(values | options))
    for task in plan(config, survey(photos)):
        make_shard(config, task, str(out))
    return out


def test_stored_fingerprints_change_nothing_but_the_time(
    train: Path, tmp_path: Path, pictures: dict[str, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    test = folder_of(tmp_path / "test", {"cut": pictures["cat"][20:180, 40:300], "coffee": pictures["coffee"]})
    with_them = made_of(train, tmp_path / "with")
    without = made_of(train, tmp_path / "without", fingerprints=False)
    computed: list[tuple[int, ...]] = []
    monkeypatch.setattr(leaks, "fingerprint_of", lambda one: (computed.append(one.shape), fingerprint_of(one))[1])
    found = leaks.check_leak(with_them, test).as_dict()
    assert len(computed) == 2  # those of the test pictures
    assert len(found["leaks"]) == 1
    assert leaks.check_leak(without, test).as_dict() == found
    assert len(computed) == 6


def test_windows_of_one_photograph_are_a_leak_although_they_share_no_pixel(
    check: Check, tmp_path: Path, pictures: dict[str, np.ndarray]
) -> None:
    # The upper left and the lower right corner, a ninth of the picture each, with the whole one's fingerprint.
    photo = pictures["astronaut"]
    for name, window in (("one", np.s_[:100, :100]), ("other", np.s_[-100:, -100:])):
        sample = rainsynth.add_rain(np.ascontiguousarray(photo[window]), 20, 5)
        path = tmp_path / name / "shard-00000.h5"
        write_shard(path, [sample], [Provenance("a.png", "0" * 64)], {}, fingerprints=[fingerprint_of(photo)])
    code, told, _ = check(tmp_path / "one", tmp_path / "other", "--sheet", tmp_path / "sheet.png")
    assert (code, "same place and size" in told) == (1, True)
    assert not (read_photo(tmp_path / "sheet.png") == (255, 0, 0)).all(axis=2).any()  # nothing is outlined


def test_all_parts_of_a_split_count(check: Check, train: Path, tmp_path: Path) -> None:
    out = made_of(train, tmp_path / "out", split={"train": 0.5, "test": 0.5})
    assert check(out / "train", out / "test")[0] == 0
    code, told, _ = check(out, train)
    assert (code, "2 leaks: 2 backgrounds against 2" in told) == (1, True)


def test_pictures_too_plain_to_compare_are_named(check: Check, train: Path, tmp_path: Path) -> None:
    test = folder_of(tmp_path / "test", {"sky": np.full((60, 80, 3), 200, np.uint8)})
    code, told, _ = check(train, test)
    assert (code, "too plain to be recognised: 1 backgrounds, the first is sky.png" in told) == (0, True)


def test_a_mistake_is_one_line_and_exit_code_2(check: Check, train: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    folder_of(tmp_path / "cut", {"a": np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)})
    (tmp_path / "cut" / "a.png").write_bytes((tmp_path / "cut" / "a.png").read_bytes()[:900])
    for test, expected in (("absent", "got nothing there"), ("empty", "at least one picture"), ("cut", "a.png")):
        code, _, error = check(train, tmp_path / test)
        assert (code, expected in error, error.count("\n")) == (2, True, 1)
