"""`rainsynth check-leak`: what it compares, what it says, and its exit codes."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import rainsynth
from pipelines import main
from rainsynth.fingerprint import fingerprint_of
from rainsynth.pictures import read_photo
from rainsynth.shards.writer import Provenance, write_shard

Check = Callable[..., tuple[int, str, str]]


@pytest.fixture
def check(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Check:
    """Exit code, output and error output of `rainsynth check-leak WORDS`."""

    def run(*words: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["rainsynth", "check-leak", *map(str, words)])
        with pytest.raises(SystemExit) as exit_:
            main.main()
        told = capsys.readouterr()
        return int(exit_.value.code or 0), told.out, told.err

    return run


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
