"""The field's sets are found in the layouts that their authors hand out, and other versions of them are told apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.audit_pairs import pairs_to_audit
from pipelines.benchmark_pairs import find_set
from pipelines.benchmark_sets import SETS, set_named, version_remark
from pipelines.exchange import import_pairs
from pipelines.pair_layouts import KNOWN, LAYOUTS, layout_of
from rainsynth.checks import InputError
from rainsynth.metrics import psnr_y, ssim_y

HEIGHT_PX, WIDTH_PX = 48, 64

# Two pairs of every layout, as named in: PReNet's statistic_rain100H.m, statistic_rain12.m and DerainDataset.py, the
# archives rain_data_test_Light and li_cvpr16_rain, RCDNet's README, Restormer's and BasicSR's folders, DDN's
# rainy_image_dataset, SPANet's real_test_1000.txt, DeRaindrop's test_a, and RainDS's DerainDataset.py.
FILES = {
    "prenet-test": ("rain100h", [("rainy/rain-001.png", "norain-001.png"), ("rainy/rain-100.png", "norain-100.png")]),
    "prenet": ("rain100l", [("rain-2.png", "norain-2.png"), ("rain-10.png", "norain-10.png")]),
    "jorder": (
        "rain100l",
        [
            ("rain/X2/norain-1x2.png", "norain/norain-1.png"),
            ("rain/X2/norain-2x2.png", "norain/norain-2.png"),
        ],
    ),
    "rain-norain": ("rain200h", [(f"rain/rain-{n}.png", f"norain/norain-{n}.png") for n in (1, 200)]),
    "rain-norain-equal": ("rain100h", [(f"rainy/norain-{n}.png", f"norain/norain-{n}.png") for n in (1, 2)]),
    "input-target": ("test2800", [(f"input/{n}.jpg", f"target/{n}.jpg") for n in ("801_1", "801_2")]),
    "basicsr": ("pairs", [(f"lq/{n}.png", f"gt/{n}.png") for n in ("a", "b")]),
    "rain12": ("rain12", [(f"{n:03d}_in.png", f"{n:03d}_GT.png") for n in (1, 12)]),
    "rain12-prenet": ("rain12", [(f"rainy/{n}.png", f"groundtruth/{n}.png") for n in (9, 10)]),
    "ddn": ("rain1400", [(f"rainy_image/901_{n}.jpg", "ground_truth/901.jpg") for n in (2, 14)]),
    "spa": ("spa-data", [(f"rain/{n:03d}.png", f"gt/{n:03d}gt.png") for n in (0, 999)]),
    "raindrop": ("raindrop-a", [(f"data/{n}_rain.png", f"gt/{n}_clean.png") for n in (0, 57)]),
    "rainds-streaks": (
        "rainds-syn-streaks",
        [("rainstreak/rain-5.png", "gt/norain-5.png"), ("rainstreak/pie-rain-5.png", "gt/pie-norain-5.png")],
    ),
    "rainds-drops": (
        "rainds-syn-drops",
        [("raindrop/rd-5.png", "gt/norain-5.png"), ("raindrop/pie-rd-5.png", "gt/pie-norain-5.png")],
    ),
    "rainds-both": (
        "rainds-syn-both",
        [
            ("rainstreak_raindrop/rd-rain-5.png", "gt/norain-5.png"),
            ("rainstreak_raindrop/pie-rd-rain-5.png", "gt/pie-norain-5.png"),
        ],
    ),
    "rainds-real-streaks": ("rainds-real-streaks", [(f"rainstreak/{n}.png", f"gt/{n}.png") for n in (2, 218)]),
    "rainds-real-drops": ("rainds-real-drops", [(f"raindrop/{n}.png", f"gt/{n}.png") for n in (2, 218)]),
    "rainds-real-both": ("rainds-real-both", [(f"rainstreak_raindrop/{n}.png", f"gt/{n}.png") for n in (2, 218)]),
}
# One picture each: which half is clean. ID-CGAN's README (which_direction=BtoA) and RESCAN's dataset.py; DID-MDN's
# pix2pix.py and derain_train_2018.py.
HALVES = {"clean-rainy": ("rain800", "test_syn"), "rainy-clean": ("rain1200", "testA")}


def scene(seed: int) -> np.ndarray:
    """A clean picture: blocks of grey that no other seed shares."""
    blocks = np.random.default_rng(seed).integers(20, 180, (HEIGHT_PX // 8, WIDTH_PX // 8, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((8, 8, 1), np.uint8))


def in_rain(clean: np.ndarray) -> np.ndarray:
    """The same under slanted streaks of 60 codes."""
    y, x = np.mgrid[:HEIGHT_PX, :WIDTH_PX]
    return clean + np.where((4 * x + y) % 23 < 5, 60, 0).astype(np.uint8)[..., None]


def save(path: Path, picture: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(path, quality=100, subsampling=0)


def write_set(folder: Path, layout: str) -> Path:
    """Pairs of the layout; those that share a clean picture show one scene."""
    cleans = sorted({clean for _, clean in FILES[layout][1]})
    for rainy, clean in FILES[layout][1]:
        picture = scene(cleans.index(clean))
        save(folder / clean, picture)
        save(folder / rainy, in_rain(picture))
    return folder


def beside(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    return np.concatenate([left, right], axis=1)


def refused(name: str, folder: Path) -> str:
    with pytest.raises(InputError) as caught:
        find_set(name, folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_every_layout_is_tried_here():
    assert {*FILES, *HALVES} == set(KNOWN)
    assert {layout for one in SETS.values() for layout in one.all_layouts} <= set(KNOWN)


@pytest.mark.parametrize("layout", FILES)
def test_a_set_is_found_in_its_layout(layout: str, tmp_path: Path) -> None:
    name, files = FILES[layout]
    found = find_set(name, write_set(tmp_path, layout))
    assert (found.layout, found.remarks) == (layout, [])
    paths = [(pair.rainy.relative_to(tmp_path), pair.target.relative_to(tmp_path)) for pair in found.pairs]
    assert paths == [(Path(rainy), Path(clean)) for rainy, clean in files]
    for pair in found.pairs:
        rainy, clean = pair.read()
        assert rainy.shape == clean.shape == (pair.height_px, pair.width_px, 3) == (HEIGHT_PX, WIDTH_PX, 3)
        assert rainy.mean() > clean.mean() + 5


@pytest.mark.parametrize(
    "layout", sorted(set(FILES) - {"rainds-real-streaks", "rainds-real-drops", "rainds-real-both"})
)
def test_audit_and_import_know_the_same_layouts(layout: str, tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", layout)
    assert layout_of(folder) == layout
    assert len(pairs_to_audit(folder).pairs) == 2
    if layout not in LAYOUTS:  # those are imported in tests/contracts/test_exchange.py
        assert import_pairs(folder, tmp_path / "shards", fingerprints=False)["samples"] == 2


def test_a_folder_that_fits_two_layouts_is_not_guessed(tmp_path: Path) -> None:
    for layout in ("rainds-real-streaks", "rainds-real-drops"):
        write_set(tmp_path, layout)
    with pytest.raises(InputError, match=r"got rainds-real-streaks and rainds-real-drops\. --layout names one"):
        layout_of(tmp_path)
    assert len(find_set("rainds-real-drops", tmp_path).pairs) == 2
    assert len(pairs_to_audit(tmp_path, "rainds-real-drops").pairs) == 2


@pytest.mark.parametrize("layout", HALVES)
def test_pictures_that_hold_both_halves_are_cut(layout: str, tmp_path: Path) -> None:
    clean = scene(1)
    halves = (clean, in_rain(clean)) if layout == "clean-rainy" else (in_rain(clean), clean)
    save(tmp_path / "10.png", beside(*halves))
    save(tmp_path / "9.png", beside(*halves))
    found = find_set(HALVES[layout][0], tmp_path)
    assert (found.layout, found.remarks) == (layout, [])
    assert [pair.name for pair in found.pairs] == ["9", "10"]
    rainy, target = found.pairs[0].read()
    np.testing.assert_array_equal(target, clean)
    np.testing.assert_array_equal(rainy, in_rain(clean))
    audited = pairs_to_audit(tmp_path, layout).pairs[0].read()
    np.testing.assert_array_equal(audited[0], in_rain(clean))


def test_halves_the_other_way_round_are_remarked(tmp_path: Path) -> None:
    save(tmp_path / "1.png", beside(in_rain(scene(1)), scene(1)))
    (remark,) = find_set("rain800", tmp_path).remarks
    assert "darker than their targets in 1 of 1 pictures" in remark
    assert "clean left is expected" in remark


def test_single_pictures_are_not_taken_for_halves(tmp_path: Path) -> None:
    save(tmp_path / "1.png", np.repeat(np.repeat(beside(scene(1), scene(2)), 2, axis=0), 2, axis=1))
    told = refused("rain800", tmp_path)
    assert told.startswith(f"{tmp_path / '1.png'} must hold a rainy and a clean picture side by side")
    save(tmp_path / "1.png", beside(scene(1), scene(1))[:, 1:])
    assert "1.png must be two pictures of one size side by side, got 127x48 px" in refused("rain1200", tmp_path)


def test_rainy_pictures_of_one_photograph_share_their_target_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    save(tmp_path / "ground_truth/3.jpg", scene(3))
    for take in range(1, 15):
        save(tmp_path / f"rainy_image/3_{take}.jpg", in_rain(scene(3)))
    found = find_set("Rain_12600", tmp_path)
    assert [pair.name for pair in found.pairs] == [f"3_{take}" for take in range(1, 15)]
    assert {pair.target for pair in found.pairs} == {tmp_path / "ground_truth/3.jpg"}


# ------------------------------ what is refused, and what is said


def lose_partner(folder: Path) -> None:
    (folder / "gt/999gt.png").unlink()


def lose_rainy(folder: Path) -> None:
    (folder / "rain/000.png").unlink()


def cut_size(folder: Path) -> None:
    save(folder / "gt/000gt.png", scene(0)[:-1])


def make_deep(folder: Path) -> None:
    Image.fromarray(np.zeros((HEIGHT_PX, WIDTH_PX), np.uint16)).save(folder / "rain/000.png")


def make_transparent(folder: Path) -> None:
    alpha = np.full((HEIGHT_PX, WIDTH_PX, 1), 255, np.uint8)
    alpha[3, 5] = 128
    save(folder / "rain/999.png", np.concatenate([scene(1), alpha], axis=2))


def break_file(folder: Path) -> None:
    (folder / "gt/000gt.png").write_bytes(b"not a picture")


FAULTS = {
    lose_partner: "got rain/999 without gt/999gt (1 such)",
    lose_rainy: "got gt/000gt without rain/000 (1 such)",
    cut_size: "rain/000.png must have the size of",
    make_deep: "rain/000.png must be an 8-bit RGB or grey picture",
    make_transparent: "rain/999.png must be opaque, got transparency down to 128 of 255",
    break_file: "gt/000gt.png must be a readable picture",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_set_with_a_fault_is_refused_by_its_file(fault, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    fault(write_set(tmp_path, "spa"))
    assert FAULTS[fault] in refused("spa-data", tmp_path)


def test_a_fourth_channel_that_hides_nothing_is_read(tmp_path: Path) -> None:
    folder = write_set(tmp_path, "rainds-real-drops")
    opaque = np.full((HEIGHT_PX, WIDTH_PX, 1), 255, np.uint8)
    save(folder / "raindrop/2.png", np.concatenate([in_rain(scene(0)), opaque], axis=2))
    np.testing.assert_array_equal(find_set("rainds-real-drops", folder).pairs[0].read()[0], in_rain(scene(0)))


@pytest.mark.parametrize(
    ("layout", "name", "looks"),
    [
        ("ddn", "rain800", "2 pairs rainy_image/NAME_1 and ground_truth/NAME. It looks like rain1400 or rain12600."),
        ("raindrop", "spa-data", "It looks like raindrop-a or raindrop-b."),
        ("rain12", "rain1200", "It looks like rain12."),
        ("rainds-drops", "rain100h", "It looks like rainds-syn-drops."),
        ("prenet", "rain800", "It looks like rain100l or rain100h or rain200l or rain200h."),
    ],
)
def test_the_layout_of_another_set_is_named(layout: str, name: str, looks: str, tmp_path: Path) -> None:
    assert looks in refused(name, write_set(tmp_path, layout))


def test_a_folder_without_pairs_says_where_they_are(tmp_path: Path) -> None:
    write_set(tmp_path / "set/testing", "ddn")
    assert "in its sub-folder testing/" in refused("rain1400", tmp_path / "set")
    (tmp_path / "empty").mkdir()
    assert "got 0 pictures and no pair" in refused("rain1400", tmp_path / "empty")
    assert "Does it exist?" in refused("rain1400", tmp_path / "absent")
    save(tmp_path / "odd/input/a.png", scene(0))
    save(tmp_path / "odd/target/b.png", scene(0))
    assert "got input/a without target/a (2 such)" in refused("test2800", tmp_path / "odd")
    assert "set name must be one of rain100l" in refused("rain9", tmp_path)


def test_known_strays_of_an_archive_are_left_out_and_said(tmp_path: Path) -> None:
    folder = write_set(tmp_path, "rainds-real-streaks")
    save(folder / "rainstreak/IMG_7435.png", scene(4))
    found = find_set("rainds-real-streaks", folder)
    assert len(found.pairs) == 2
    assert found.remarks == ["rainstreak/IMG_7435.png has no partner in the authors' archive either: left out"]
    save(folder / "rainstreak/IMG_7436.png", scene(4))
    assert "got rainstreak/IMG_7436 without gt/IMG_7436 (1 such)" in refused("rainds-real-streaks", folder)


def test_pictures_with_names_of_no_pair_are_said(tmp_path: Path) -> None:
    save(write_set(tmp_path, "raindrop") / "data/cover.png", scene(4))
    assert find_set("raindrop-a", tmp_path).remarks == ["left out for their names: data/cover.png"]
    save(tmp_path / "gt/cover.png", scene(4))
    assert find_set("raindrop-a", tmp_path).remarks == ["left out for their names: data/cover.png and 1 more"]


# ------------------------------ versions


@pytest.mark.parametrize(
    ("name", "pairs", "psnr_y_db", "ssim_y", "expected"),
    [
        ("rain100h", 100, 13.551, 0.3786, ""),
        ("RAIN 100H", 100, 13.56, 0.3800, ""),
        ("test100", 98, 22.6, 0.69, ""),
        ("rain1400", 1400, 25.24, 0.8097, ""),
        ("raindrop-a", 58, 24.0, 0.8, ""),
        ("pairs", 3, 20.0, 0.5, ""),
        (
            "rain100h", 40, 13.703, 0.3971,
            "Rain100H holds 100 pairs with input PSNR 13.55 dB / 0.379; this folder has 40 pairs at 13.70 / 0.397: "
            "a part of it or another version",
        ),
        ("rain100h", 100, 26.90, 0.838, "this folder has 100 pairs at 26.90 / 0.838: it looks like Rain100L"),
        ("rain100h", 100, 13.0, 0.3786, "this folder has 100 pairs at 13.00 / 0.379: another version"),
        ("rain100h", 200, 13.0, 0.38, "another version or part (the authors' later version, Rain200H, holds 200)"),
        ("rain100l", 40, 13.703, 0.3971, "another set or version, with rain as strong as that of Rain100H"),
        ("rain800", 98, 22.5, 0.68, "as published; this folder has 98 pairs at 22.50 / 0.680: it looks like Test100"),
        ("raindrop-a", 249, 24.0, 0.8, "Raindrop, test_a holds 58 pairs; this folder has 249 pairs at 24.00 / 0.800"),
        ("rain12", 13, 30.14, 0.8555, "another version, or more than its test pairs"),
    ],
)  # fmt: skip
def test_another_version_of_a_set_is_said_in_a_sentence(name, pairs, psnr_y_db, ssim_y, expected):  # type: ignore[no-untyped-def]
    told = version_remark(set_named(name), pairs, psnr_y_db, ssim_y)
    assert expected in told
    assert bool(told) == bool(expected)
    assert "\n" not in told


def test_a_set_has_both_figures_or_none_and_a_source():
    for one in SETS.values():
        assert (one.input_psnr_y_db is None) == (one.input_ssim_y is None)
        assert one.source
        assert one.pairs not in one.others


def test_the_page_of_sets_is_up_to_date():
    page = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
    for name, one in SETS.items():
        assert f"| `{name}` | {one.pairs or 'any'} | " in page, "run python docs/metric_table.py"


@pytest.mark.data
@pytest.mark.parametrize("name", ["rain100h", "rain100l"])
def test_a_part_of_a_real_set_is_told_from_the_set(name: str, data_folder: Path) -> None:
    found = find_set(name, data_folder / "benchmarks" / f"{name}-dev")
    figures = [(psnr_y(*pair), ssim_y(*pair)) for pair in (one.read() for one in found.pairs)]
    psnr_y_db, similarity = np.mean(figures, axis=0)
    assert (found.layout, len(found.pairs), found.remarks) == ("input-target", 40, [])
    remark = version_remark(found.benchmark, 40, psnr_y_db, similarity)
    assert remark.startswith(f"{found.benchmark.title} holds 100 pairs")
    assert remark.endswith("a part of it or another version")
