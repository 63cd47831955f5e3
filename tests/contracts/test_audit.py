"""`rainsynth audit`: what it reads, what it says of a set, and the faults it finds; facts of Rain100H and Rain100L."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from pipelines.audit import audit
from pipelines.audit_figures import FIGURES, plain
from pipelines.audit_pairs import pairs_to_audit, spread
from rainsynth import add_rain
from rainsynth.checks import InputError
from rainsynth.shards.writer import Provenance, write_shard

Audit = Callable[..., tuple[int, str, str]]
Pairs = dict[str, tuple[np.ndarray, np.ndarray]]


@pytest.fixture
def run_audit(run: Audit) -> Audit:
    """Exit code, output and error output of `rainsynth audit WORDS`."""
    return partial(run, "audit")


@pytest.fixture(scope="module")
def photos() -> list[np.ndarray]:
    """Photographs that ship inside wheels, in two sizes."""
    data = pytest.importorskip("skimage.data", reason="the bundled photographs come with scikit-image")
    wide = [cv2.resize(one, (192, 128), interpolation=cv2.INTER_AREA) for one in (data.astronaut(), data.chelsea())]
    return [*wide, cv2.resize(data.coffee(), (128, 192), interpolation=cv2.INTER_AREA)]


@pytest.fixture(scope="module")
def pairs(photos: list[np.ndarray]) -> Pairs:
    """Three pairs of a Rain100L look-alike."""
    samples = [add_rain(photo, preset="rain100l", seed=5, index=index) for index, photo in enumerate(photos)]
    return {str(number): (sample.rainy_srgb8, sample.clean_srgb8) for number, sample in enumerate(samples, 1)}


def write_pairs(folder: Path, pairs: Pairs, rainy: str = "input/{}.png", target: str = "target/{}.png") -> Path:
    for name, pictures in pairs.items():
        for place, picture in zip((rainy, target), pictures, strict=True):
            path = folder / place.format(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
    return folder


# ------------------------------ what it says


def test_an_audit_tells_how_a_set_was_made(run_audit: Audit, pairs: Pairs, tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "set", pairs)
    page, figures = tmp_path / "page.html", tmp_path / "figures.json"
    code, told, _ = run_audit(folder, "--json", figures, "--html", page)
    assert code == 0
    assert "3 pairs with 3 different targets: 2 of 192x128 px, 1 of 128x192 px" in told
    assert "blend: additive on display codes: 3 of 3" in told
    assert "bit for bit min(255, clean + S), S grey and whole: 3 of 3" in told
    assert "length of streaks (px)" in told
    assert told.rstrip().splitlines()[-3] == "no fault"
    found = json.loads(figures.read_text())
    assert (found["pairs_looked_at"], found["targets"], found["faults"]) == (3, 3, [])
    assert found["formula_residuals_codes"]["additive"] == 0
    assert found["formula_residuals_codes"]["screen"] > 1
    assert [row["name"] for row in found["per_pair"]] == ["1", "2", "3"]
    assert found["per_pair"][2]["size_px"] == [192, 128]
    assert found["per_pair"][0]["greyness_fraction"] == 1
    assert set(FIGURES) <= set(found["per_pair"][0])
    assert found["per_pair"][0]["airlight_codes"] == [None] * 3  # there is no veil: null, not NaN


def test_the_page_needs_nothing_beside_it(run_audit: Audit, pairs: Pairs, tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "set", pairs | {"4": pairs["1"]})
    run_audit(folder, "-o", tmp_path / "deep" / "page.html")
    page = (tmp_path / "deep" / "page.html").read_text()
    assert "data:image/png;base64," in page
    assert 'src="data:' in page
    assert page.count("src=") == page.count('src="data:')
    assert "the same target to the last bit: 1, 4" in page
    assert "<td>additive</td><td>0.00</td>" in page
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["page.html"]


def test_the_same_set_gives_the_same_figures(pairs: Pairs, tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "set", {"1": pairs["1"]})
    assert json.dumps(audit(folder).as_dict()) == json.dumps(audit(folder).as_dict())


def test_a_picture_of_another_blend_is_called_odd(pairs: Pairs, tmp_path: Path) -> None:
    rainy, clean = pairs["2"]
    added = rainy.astype(np.int16) - clean
    grey = np.where(rainy < 255, added, 0).max(axis=-1, keepdims=True)
    screen = np.rint(255 - (255.0 - clean) * (255 - grey) / 255).astype(np.uint8)
    report = audit(write_pairs(tmp_path / "set", pairs | {"2": (screen, clean)}))
    assert report.blend_counts() == {"additive on display codes": 2, "screen on display codes": 1}
    assert "screen on display codes: 2" in report.odd()


def test_numbers_that_are_not_finite_become_null() -> None:
    value = {"a": (float("nan"), np.float32(0.5), np.inf), "b": [np.int64(3), True, "x"]}
    assert plain(value) == {"a": [None, 0.5, None], "b": [3, True, "x"]}


# ------------------------------ faults


def faulty(pairs: Pairs) -> Pairs:
    """A good pair and seven with known faults."""
    (rainy, clean), (other_rainy, other_clean), (tall_rainy, tall_clean) = pairs.values()
    half = cv2.warpAffine(rainy, np.array([[1.0, 0, 0.5], [0, 1, 0]]), (192, 128), borderMode=cv2.BORDER_REPLICATE)
    return {
        "good": (rainy, clean),
        "shifted": (np.roll(rainy, (1, 2), (0, 1)), clean),
        "half": (half, clean),
        "mirrored": (np.ascontiguousarray(rainy[:, ::-1]), clean),
        "swapped-a": (other_rainy, clean),
        "swapped-b": (rainy, other_clean),
        "unequal": (tall_rainy, clean),
        "cut": (tall_rainy, np.ascontiguousarray(tall_clean)),
    }


def test_every_fault_is_one_line_and_the_exit_code_stays_0(run_audit: Audit, pairs: Pairs, tmp_path: Path) -> None:
    folder = write_pairs(tmp_path / "set", faulty(pairs))
    cut = folder / "target" / "cut.png"
    cut.write_bytes(cut.read_bytes()[:-2000])
    Image.fromarray(pairs["1"][0]).save(folder / "input" / "lonely.png")
    code, told, error = run_audit(folder)
    assert (code, error) == (0, "")
    lines = told.splitlines()
    assert "input/lonely.png: has no partner" in lines
    assert "unequal: sizes are not equal: rainy 128x192 px, target 192x128 px" in lines
    assert [line for line in lines if line.startswith("cut: ") and "must be a readable picture" in line]
    assert "shifted: shifted by (2.0, 1.0) px" in lines
    assert "half: shifted by (0.5, 0.0) px" in lines
    assert "mirrored: mirrored left to right" in lines
    assert "swapped-a: shows nothing of its target, but the target of swapped-b" in lines
    assert "swapped-b: shows nothing of its target, but the target of swapped-a" in lines
    assert not [line for line in lines if line.startswith("good:")]
    assert "figures of the set are those of the 1 pairs that are aligned" in lines


def test_photographs_that_stand_twice_are_named(pairs: Pairs, photos: list[np.ndarray], tmp_path: Path) -> None:
    crop = np.ascontiguousarray(photos[0][:112, 20:])
    again = add_rain(crop, preset="rain100l", seed=5, index=9)
    more = pairs | {"exact": (pairs["2"][1], pairs["2"][1]), "near": (again.rainy_srgb8, again.clean_srgb8)}
    faults = audit(write_pairs(tmp_path / "set", more)).faults
    assert "the same target to the last bit: 2, exact" in faults
    (near,) = [fault for fault in faults if fault.startswith("one photograph as two targets")]
    assert near.startswith("one photograph as two targets: 1 and near, cropped to 7")  # 112 172 / (128 192) = 78 %


def test_sets_with_many_rains_a_photograph_say_so_once(pairs: Pairs, tmp_path: Path) -> None:
    more = {f"{name}-{turn}": pairs[name] for name in "12" for turn in range(2)}
    faults = audit(write_pairs(tmp_path / "set", more)).faults
    assert faults == ["4 pairs have 2 different targets, up to 2 pairs each"]


# ------------------------------ what it reads


@pytest.mark.parametrize(
    ("rainy", "target"),
    [("lq/{}.png", "gt/{}.png"), ("rain-{}.png", "norain-{}.png"), ("input/deep/{}.png", "target/deep/{}.png")],
)
def test_every_layout_is_read(pairs: Pairs, tmp_path: Path, rainy: str, target: str) -> None:
    found = pairs_to_audit(write_pairs(tmp_path, pairs, rainy, target))
    assert [Path(pair.name).name for pair in found.pairs] == ["1", "2", "3"]
    for pair, (rainy_picture, clean) in zip(found.pairs, pairs.values(), strict=True):
        read = pair.read()
        np.testing.assert_array_equal(read[0], rainy_picture)
        np.testing.assert_array_equal(read[1], clean)


def test_shards_are_read_and_their_shared_photographs_are_no_fault(photos: list[np.ndarray], tmp_path: Path) -> None:
    samples = [add_rain(photos[0], preset="heavy", seed=1, index=index) for index in range(2)]
    write_shard(tmp_path / "shard-00000.h5", samples, [Provenance("mine.jpg", "0" * 64)] * 2, {})
    report = audit(tmp_path)
    assert report.names == ["sample 0 (mine.jpg)", "sample 1 (mine.jpg)"]
    assert (report.photographs, report.faults) == (1, [])
    assert all("in linear light" in words for words in report.blend_counts())


def test_a_sample_of_a_set_is_spread_evenly_and_said(run_audit: Audit, pairs: Pairs, tmp_path: Path) -> None:
    assert spread(10, 4) == [0, 3, 6, 9]
    assert spread(3, 9) == [0, 1, 2]
    code, told, _ = run_audit(write_pairs(tmp_path, pairs), "--pairs", 2)
    assert code == 0
    assert "2 pairs of 3, evenly spread, with 2 different targets" in told


def test_numbers_count_as_numbers(pairs: Pairs, tmp_path: Path) -> None:
    found = pairs_to_audit(write_pairs(tmp_path, {"10": pairs["1"], "9": pairs["2"]}))
    assert [pair.name for pair in found.pairs] == ["9", "10"]


def test_mistakes_are_one_line_and_exit_code_2(run_audit: Audit, pairs: Pairs, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    apart = write_pairs(tmp_path / "apart", {"1": pairs["1"]}, "input/{}.png", "target/other-{}.png")
    for words, expected in (
        ([tmp_path / "absent"], "must be a folder of pairs or of shards"),
        ([tmp_path / "empty"], "must hold input/ and target/"),
        ([apart], "got none"),
        ([apart, "--layout", "mine"], "layout must be one of auto, input-target, basicsr, prenet"),
        ([apart, "--pairs", 0], "pairs must be between 1"),
    ):
        code, _, error = run_audit(*words)
        assert (code, expected in error, error.count("\n")) == (2, True, 1), (words, error)


def test_a_set_of_which_nothing_can_be_read_is_a_mistake(pairs: Pairs, tmp_path: Path) -> None:
    folder = write_pairs(tmp_path, {"1": (pairs["1"][0], pairs["3"][1])})
    with pytest.raises(InputError, match=r"got none\. 1: sizes are not equal"):
        audit(folder)


# ------------------------------ the field's sets


def figures_of_set(data_folder: Path, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    found = audit(data_folder / "benchmarks" / name).as_dict()
    return found, found["per_pair"]


@pytest.mark.data
def test_the_audit_of_rain100h_finds_what_is_known_of_it(data_folder: Path) -> None:
    # The data's README: bit for bit min(255, clean + S) with one grey integer layer; streaks 2.5 to 3.2 px wide (in
    # another way: half maxima give 1.9 to 3.1), 20 to 85 px long, 1 to 4 directions within about 20 degrees of
    # vertical, levels 14/55/115 at 5/50/95 %, coverage about 80 %; input PSNR-Y 13.703, SSIM-Y 0.3971.
    found, rows = figures_of_set(data_folder, "rain100h-dev")
    assert found["blends"] == {"additive on display codes": 40}
    assert found["formula_residuals_codes"]["additive"] == 0
    assert min(v for k, v in found["formula_residuals_codes"].items() if "additive" not in k) > 5
    assert all(row["bit_exact"] and row["greyness_fraction"] == 1 and row["darkened_fraction"] == 0 for row in rows)
    assert found["mean"]["psnr_y_db"] == pytest.approx(13.703, abs=5e-4)
    assert found["mean"]["ssim_y"] == pytest.approx(0.3971, abs=5e-5)
    assert found["mean"]["coverage_above_10_codes"] == pytest.approx(0.80, abs=0.03)
    levels = [found["median"][f"level_at_{share}_percent_codes"] for share in (5, 50, 95)]
    np.testing.assert_allclose(levels, (14, 55, 115), rtol=0.15)
    assert np.mean([20 < row["length_px"] < 85 for row in rows]) > 0.8
    assert all(1.85 < row["width_px"] < 3.2 for row in rows)
    angles = [angle for row in rows for angle in row["directions_deg"]]
    assert np.mean(np.abs(angles) <= 20) > 0.95
    assert {len(row["directions_deg"]) for row in rows} <= {1, 2, 3, 4}
    assert max(len(row["directions_deg"]) for row in rows) >= 2
    assert found["faults"] == [f"the same target to the last bit: {pair}" for pair in ("5, 14", "7, 36", "12, 91")]


@pytest.mark.data
def test_the_audit_of_rain100l_finds_sparse_rain_in_one_direction(data_folder: Path) -> None:
    found, rows = figures_of_set(data_folder, "rain100l-dev")
    assert found["blends"] == {"additive on display codes": 40}
    assert all(row["bit_exact"] and len(row["directions_deg"]) == 1 for row in rows)
    assert found["mean"]["psnr_y_db"] == pytest.approx(26.60, abs=0.005)  # the data's README
    assert found["median"]["coverage_above_10_codes"] < 0.2
    assert [fault for fault in found["faults"] if "last bit" not in fault] == []
