"""`rainsynth evaluate`: several methods side by side, harm, real rain, files, and what is refused."""

from __future__ import annotations

import csv
import json
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mspfn.checkpoint import load_weights, save_weights
from mspfn.inference import derain
from mspfn.networks import build_network
from pipelines.evaluate import compare
from pipelines.evaluation.ahead import in_order
from pipelines.evaluation.figures import judge_pair
from pipelines.evaluation.harm import gradient_energy, mean_lab
from pipelines.evaluation.measure import clean_psnr_db
from pipelines.evaluation.methods import Method, networks, result_files, weights_named
from pipelines.evaluation.pairs import Pair, find_pairs, find_photographs
from rainsynth import add_rain
from rainsynth.checks import InputError
from rainsynth.metrics import METRICS, psnr_y, ssim_y
from rainsynth.pictures import read_photo
from rainsynth.shards.writer import Provenance, write_shard
from tests.conftest import synthetic_photo

Run = Callable[..., tuple[int, str, str]]
HEIGHT_PX, WIDTH_PX = 60, 80
NAMES = ("1", "2", "10")


def save(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path)


def clean_picture(seed: int) -> np.ndarray:
    """Blocks of colour, each seed its own, away from black and white."""
    blocks = np.random.default_rng(seed).integers(60, 150, (HEIGHT_PX // 10, WIDTH_PX // 10, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((10, 10, 1), np.uint8))


def streaks() -> np.ndarray:
    """Slanted streaks over the left half, (H, W) bool."""
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    return ((4 * x + y) % 47 < 8) & (x < WIDTH_PX // 2)


def rainy_picture(clean: np.ndarray, codes: int = 60) -> np.ndarray:
    return clean + np.where(streaks(), codes, 0).astype(np.uint8)[..., None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """pairs/ of three pictures; results "half", with half the streaks, and "darker", where all is 10 codes darker."""
    for seed, name in enumerate(NAMES):
        clean = clean_picture(seed)
        save(tmp_path / "pairs" / "target" / f"{name}.png", clean)
        save(tmp_path / "pairs" / "input" / f"{name}.png", rainy_picture(clean))
        save(tmp_path / "half" / f"{name}.png", rainy_picture(clean, 30))
        save(tmp_path / "darker" / f"{name}.png", rainy_picture(clean) - 10)
    return tmp_path


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_weights(tmp_path / "weights.pt", build_network("mspfn-demo", fine_fusion_units=1, channels=8))
    return tmp_path / "weights.pt"


def test_methods_stand_side_by_side_in_table_json_and_csv(folder: Path, weights: Path, run: Run) -> None:
    code, told, _ = run(
        "evaluate", "--pairs", folder / "pairs", "--weights", f"net={weights}", "--results", f"half={folder / 'half'}",
        "--json", folder / "figures.json", "--csv", folder / "figures.csv",
    )  # fmt: skip
    assert code == 0
    methods = json.loads((folder / "figures.json").read_text())["methods"]
    assert list(methods) == ["net", "half"]
    with (folder / "figures.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [(line["method"], line["picture"]) for line in lines] == [(m, n) for m in methods for n in ("1", "10", "2")]
    rainy, target = (read_photo(folder / "pairs" / part / "2.png") for part in ("input", "target"))
    network = load_weights(weights)
    for line, picture in ((lines[2], derain(rainy, network)), (lines[5], read_photo(folder / "half" / "2.png"))):
        for name in ("psnr_y", "ssim_y", "psnr_rgb", "ssim_rgb"):
            assert float(line[f"{name}_rainy"]) == METRICS[name](rainy, target)
            assert float(line[f"{name}_derained"]) == METRICS[name](picture, target)
    gains = [psnr_gain(folder, name) for name in NAMES]
    assert methods["half"]["median"]["gain_db"] == pytest.approx(np.median(gains))
    assert [one["gain_db"] for one in methods["half"]["worst"]] == pytest.approx(sorted(gains))
    assert "half" in told
    assert "+6.02" in told  # half of an error is 20 log10(2) dB less


def psnr_gain(folder: Path, name: str) -> float:
    rainy, half, target = (
        read_photo(folder / place / f"{name}.png") for place in ("pairs/input", "half", "pairs/target")
    )
    return psnr_y(half, target) - psnr_y(rainy, target)


def test_figures_are_the_same_on_any_number_of_threads(folder: Path, run: Run) -> None:
    for threads in (1, 3):
        code, _, _ = run(
            "evaluate", "--pairs", folder / "pairs", "--results", f"half={folder / 'half'}",
            "--results", f"darker={folder / 'darker'}", "--threads", threads, "--metric", "ms_ssim_y",
            "--json", folder / f"{threads}.json", "--csv", folder / f"{threads}.csv",
        )  # fmt: skip
        assert code == 0
    for suffix in ("json", "csv"):
        assert (folder / f"1.{suffix}").read_bytes() == (folder / f"3.{suffix}").read_bytes()
    assert "ms_ssim_y_derained,," not in (folder / "1.csv").read_text()
    row = json.loads((folder / "1.json").read_text())["methods"]["half"]["per_picture"][0]
    assert row["ms_ssim_y_derained"] is None  # from 176 px a side
    assert "ssim_rgb_derained" not in row  # was not asked for


def test_work_done_ahead_comes_in_order_and_its_first_error_in_its_turn() -> None:
    def work(index: int) -> int:
        time.sleep(0.01 * (index % 3 == 0))
        if index in (7, 8):
            raise InputError(f"picture {index} must be whole, got half.")
        return index

    for threads in (1, 4):
        seen = []
        with pytest.raises(InputError, match="picture 7"):
            for index in in_order(work, 20, threads):
                seen.append(index)
        assert seen == list(range(7))


def test_harm_outside_the_rain_is_what_was_done_there() -> None:
    clean = clean_picture(5)
    pair = Pair("x", rainy_picture(clean), clean, clean)
    judge = judge_pair(pair)
    nothing = judge(pair.rainy_srgb8)
    assert nothing["change_outside_codes"] == nothing["luma_change_outside_codes"] == 0
    assert nothing["gradient_ratio_outside"] == pytest.approx(1, rel=1e-6)
    far = ~(cv2.dilate(streaks().astype(np.uint8), np.ones((5, 5), np.uint8)) > 0)  # 2 px away from any streak
    assert nothing["outside_fraction"] == pytest.approx(far.mean())
    inside_only = np.where(far[..., None], pair.rainy_srgb8, 0)
    assert judge(inside_only)["change_outside_codes"] == 0
    darker = judge(pair.rainy_srgb8 - 10)
    assert darker["change_outside_codes"] == 10
    assert darker["luma_change_outside_codes"] == pytest.approx(-10 * 219 / 255)  # Y has 219 codes
    redder = judge(np.where(far[..., None], pair.rainy_srgb8 + np.array([12, 0, 0], np.uint8), 0))
    expected = slow_lab(pair.rainy_srgb8 + np.array([12, 0, 0]))[far] - slow_lab(pair.rainy_srgb8)[far]
    np.testing.assert_allclose(
        [redder["a_shift_outside"], redder["b_shift_outside"]], expected.mean(axis=0)[1:], atol=0.02
    )


def slow_lab(picture_srgb8: np.ndarray) -> np.ndarray:
    """CIELAB for D65 by its definition (CIE 15:2004), sRGB's primaries as IEC 61966-2-1 gives them."""
    encoded = picture_srgb8 / 255
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    matrix = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = linear @ matrix.T / matrix.sum(axis=1)
    root = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


def test_colours_and_gradients_are_those_of_their_definitions() -> None:
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 256, (13, 17, 3), dtype=np.uint8)
    mask = rng.random((13, 17)) < 0.5
    np.testing.assert_allclose(mean_lab(picture, mask), slow_lab(picture)[mask].mean(axis=0), atol=0.1)
    y = 16 + picture @ np.array([65.481, 128.553, 24.966]) / 255
    total = 0.0
    for row, column in zip(*np.nonzero(mask), strict=True):
        total += (y[row, column + 1] - y[row, column]) ** 2 if column < 16 else 0
        total += (y[row + 1, column] - y[row, column]) ** 2 if row < 12 else 0
    assert gradient_energy(picture, mask) == pytest.approx(total / mask.sum(), rel=1e-4)


def test_smoothing_lowers_the_gradients_outside() -> None:
    clean = np.random.default_rng(4).integers(80, 120, (HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
    figures = judge_pair(Pair("x", rainy_picture(clean), clean, clean))(cv2.blur(clean, (3, 3)))
    # White noise has a gradient energy of 2 s^2; its mean over 3x3 pixels is s^2 / 9 strong and two such, one pixel
    # apart, share 6 of 9 pixels: 2 s^2 / 9 x (1 - 6 / 9) = 2 s^2 / 27.
    assert figures["gradient_ratio_outside"] == pytest.approx(1 / 27, rel=0.15)


def test_rain_everywhere_leaves_nothing_outside() -> None:
    clean = clean_picture(6)
    figures = judge_pair(Pair("x", clean + 30, clean, clean))(clean)
    assert figures["change_outside_codes"] is None
    assert figures["psnr_y_derained"] == 100


def test_error_is_split_by_the_layers_of_a_shard(tmp_path: Path) -> None:
    photo = synthetic_photo(96, 128)
    samples = [add_rain(photo, preset="violent", seed=1, index=index) for index in range(2)]
    write_shard(tmp_path / "shard-00000.h5", samples, [Provenance("a.png", "0" * 64)] * 2, {})
    pairs = find_pairs(tmp_path)
    assert pairs.names == ["sample 0", "sample 1"]
    for index, sample in enumerate(samples):
        row = judge_pair(pairs.read(index))(sample.veiled_srgb8)
        assert row["class"] == "violent"
        mask = sample.streak_mask
        assert row["psnr_y_streaks_rainy"] == psnr_y(sample.rainy_srgb8, sample.clean_srgb8, mask)
        y_error = (sample.veiled_srgb8 - sample.clean_srgb8.astype(float)) @ np.array([65.481, 128.553, 24.966]) / 255
        seen = np.any(np.abs(sample.veiled_srgb8.astype(int) - sample.clean_srgb8) > 3, axis=2) & ~mask
        for layer, where in (("streaks", mask), ("veil", seen), ("dry", ~(mask | seen))):
            share = (y_error[where] ** 2).sum() / (y_error**2).sum()
            assert row[f"error_share_{layer}_derained"] == pytest.approx(share, abs=1e-12)
    with pytest.raises(InputError, match="--set-name is for a folder of pictures"):
        find_pairs(tmp_path, set_name="rain100l")
    veiled = find_pairs(tmp_path, "veiled").read(0)
    assert judge_pair(veiled)(samples[0].veiled_srgb8)["psnr_y_derained"] == 100


def test_networks_are_tried_on_each_clean_picture_once(folder: Path) -> None:
    save(folder / "pairs" / "input" / "20.png", rainy_picture(clean_picture(0)))
    save(folder / "pairs" / "target" / "20.png", clean_picture(0))
    pairs = find_pairs(folder / "pairs")
    methods = [
        Method(name="kind", restore=lambda rainy: rainy),
        Method(name="darker", restore=lambda rainy: rainy - 10),
        Method(name="files", files=(Path("x"),) * 4),
    ]
    found = clean_psnr_db(pairs, methods)
    assert found["kind"] == [100, 100, 100]
    assert found["darker"] == pytest.approx([20 * np.log10(255 / (10 * 219 / 255))] * 3)
    assert "files" not in found
    assert len(clean_psnr_db(pairs, methods, most=2)["kind"]) <= 2


def test_results_go_by_the_name_of_the_rainy_picture_or_of_the_pair(tmp_path: Path) -> None:
    for name in ("1", "2"):
        save(tmp_path / "set" / "rainy" / f"rain-{name}.png", rainy_picture(clean_picture(0)))
        save(tmp_path / "set" / f"norain-{name}.png", clean_picture(0))
        save(tmp_path / "plain" / f"{name}.png", clean_picture(0))
        save(tmp_path / "full" / f"rain-{name}.jpg", clean_picture(0))
    pairs = find_pairs(tmp_path / "set", set_name="Rain100H")
    assert [path.name for path in result_files(tmp_path / "plain", pairs)] == ["1.png", "2.png"]
    assert [path.name for path in result_files(tmp_path / "full", pairs)] == ["rain-1.jpg", "rain-2.jpg"]


@pytest.mark.parametrize("views", [("mirrored",), ("shifted",), ("mirrored", "shifted")], ids=" and ".join)
def test_networks_are_measured_over_views_beside_plain(tmp_path: Path, views: tuple[str, ...]) -> None:
    network = build_network("mspfn-demo", fine_fusion_units=1, channels=8, zero_output=False)
    save_weights(tmp_path / "weights.pt", network)
    plain, seen = networks([f"net={tmp_path / 'weights.pt'}"], views)
    assert (plain.name, seen.name) == ("net", f"net, {' and '.join(views)}")
    assert plain.restore is not None
    assert seen.restore is not None
    rainy = rainy_picture(clean_picture(0))
    np.testing.assert_array_equal(seen.restore(rainy), derain(rainy, network, **dict.fromkeys(views, True)))
    np.testing.assert_array_equal(plain.restore(rainy), derain(rainy, network))


def test_weights_go_by_their_run_or_file_or_a_given_name(tmp_path: Path) -> None:
    assert weights_named("runs/long/weights.pt").name == "long"
    assert weights_named("nets/prenet.pt").name == "prenet"
    assert (weights_named("mine=a.pt").name, weights_named("mine=a.pt").path) == ("mine", "a.pt")
    assert weights_named("mspfn-small").name == "mspfn-small"


def test_methods_must_have_names_of_their_own(folder: Path) -> None:
    with pytest.raises(InputError, match="names of methods must differ, got 'x' twice"):
        compare(find_pairs(folder / "pairs"), [Method(name="x"), Method(name="x")])


def spoil_size(folder: Path) -> None:
    save(folder / "half" / "2.png", clean_picture(0)[:40])


def spoil_depth(folder: Path) -> None:
    Image.fromarray(np.zeros((HEIGHT_PX, WIDTH_PX), np.uint16)).save(folder / "half" / "2.png")


def spoil_alpha(folder: Path) -> None:
    save(folder / "half" / "2.png", np.full((HEIGHT_PX, WIDTH_PX, 4), 128, np.uint8))


def spoil_missing(folder: Path) -> None:
    (folder / "half" / "2.png").unlink()


def spoil_partner(folder: Path) -> None:
    (folder / "pairs" / "target" / "2.png").unlink()


def spoil_cut(folder: Path) -> None:
    whole = (folder / "half" / "2.png").read_bytes()
    (folder / "half" / "2.png").write_bytes(whole[: len(whole) // 2])


def spoil_small(folder: Path) -> None:
    for place in ("pairs/input", "pairs/target", "half"):
        save(folder / place / "2.png", clean_picture(0)[:10])


SPOILT = {
    "another size": (spoil_size, "half/2.png must have the size of its rainy picture, 80x60 px, got 80x40 px"),
    "16 bits": (spoil_depth, "half/2.png must be an 8-bit"),
    "transparency": (spoil_alpha, "half/2.png must be opaque"),
    "no result": (spoil_missing, "got none for 2 (1 such)"),
    "no partner": (spoil_partner, "got input/2 without target/2"),
    "a cut file": (spoil_cut, "half/2.png must be a readable picture"),
    "too small": (spoil_small, "2 must be at least 11 px a side, got 80x10"),
}


@pytest.mark.parametrize("mistake", SPOILT)
def test_wrong_pictures_are_refused_by_their_file_and_nothing_is_written(mistake: str, folder: Path, run: Run) -> None:
    spoil, expected = SPOILT[mistake]
    spoil(folder)
    code, _, error = run(
        "evaluate", "--pairs", folder / "pairs", "--results", f"half={folder / 'half'}", "--json", folder / "f.json",
        "--csv", folder / "f.csv", "--report", folder / "report",
    )  # fmt: skip
    assert code == 2
    assert expected in error
    assert error.count("\n") == 1
    assert not {"f.json", "f.csv", "report"} & {path.name for path in folder.iterdir()}
    assert not list(folder.rglob("*.part"))


WORDS = {
    "nothing to measure on": ([], "evaluate must have one of --pairs, --photographs, --downstream, got none"),
    "two things": (["--pairs", "pairs", "--photographs", "pairs"], "got --pairs and --photographs"),
    "no method": (["--pairs", "pairs"], "evaluate must have --weights or --results NAME=DIR, got neither"),
    "results without name": (["--pairs", "pairs", "--results", "half"], "--results must be NAME=DIR, got 'half'"),
    "unknown set": (["--pairs", "pairs", "--set-name", "rain9"], "got 'rain9'"),
    "another set's layout": (["--pairs", "pairs", "--set-name", "raindrop-a", "--results", "a=no"], "must be in a fol"),
    "unknown metric": (["--pairs", "pairs", "--metric", "lpips"], "got 'lpips'"),
    "unknown target": (["--pairs", "pairs", "--target", "dry"], "got 'dry'"),
    "no threads": (["--pairs", "pairs", "--results", "a=half", "--threads", "0"], "threads must be between 1"),
    "report there already": (["--pairs", "pairs", "--results", "a=half", "--report", "half"], "--report must be a new"),
}


@pytest.mark.parametrize("mistake", WORDS)
def test_wrong_words_are_refused_in_one_line(
    mistake: str, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    words, expected = WORDS[mistake]
    code, _, error = run("evaluate", *words)
    assert code == 2
    assert expected in error
    assert error.count("\n") == 1


def test_a_named_set_of_other_pictures_is_warned_of(folder: Path, run: Run) -> None:
    words = ["evaluate", "--pairs", folder / "pairs", "--results", f"half={folder / 'half'}"]
    code, told, _ = run(*words, "--set-name", "Rain100L", "--json", folder / "f.json")
    assert code == 0
    assert "warning: Rain100L holds 100 pairs" in told
    assert json.loads((folder / "f.json").read_text())["remarks"][0].startswith("Rain100L holds 100 pairs")
    assert "warning" not in run(*words)[1]


def test_without_masks_only_the_metrics_are_counted(folder: Path, run: Run) -> None:
    words = ["evaluate", "--pairs", folder / "pairs", "--results", f"half={folder / 'half'}", "--json", folder / "f"]
    assert run(*words, "--no-mask")[0] == 0
    row = json.loads((folder / "f").read_text())["per_picture"][0]
    assert not any("outside" in name or "streaks" in name for name in row)
    assert run(*words)[0] == 0
    assert "change_outside_codes" in json.loads((folder / "f").read_text())["per_picture"][0]


def test_photographs_need_no_partner(folder: Path, run: Run) -> None:
    code, told, _ = run(
        "evaluate", "--photographs", folder / "pairs" / "input", "--results", f"half={folder / 'half'}",
        "--json", folder / "f.json", "--csv", folder / "f.csv",
    )  # fmt: skip
    assert code == 0
    assert "streak energy left" in told
    figures = json.loads((folder / "f.json").read_text())
    assert figures["pictures"] == 3
    assert 0 < figures["streak_energy_left"] < 1
    assert ssim_y(clean_picture(0), rainy_picture(clean_picture(0))) < figures["rest_kept"]
    assert find_photographs(folder / "pairs" / "input").names == ["1.png", "10.png", "2.png"]
