"""`verify` and `inspect` tell the truth: every fault is named in one line, and what is whole has none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

from pipelines.exchange import import_pairs
from pipelines.generate import generate, make_shard, plan
from pipelines.generate_config import GenerateConfig, MixturePart, PhotographsConfig
from pipelines.histograms import slant_deg
from pipelines.inspect import inspect, open_data_set
from pipelines.photographs import sha256_of, survey
from pipelines.verify import verify
from rainsynth.physics.fall_speed import fall_speed_m_s
from rainsynth.shards import opened


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, scheduler: str) -> Path:
    """A data set in two parts, of six shards."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "photos").mkdir()
    rng = np.random.default_rng(1)
    for number in range(4):
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(folder / "photos" / f"{number}.png")
    config = GenerateConfig(
        data=PhotographsConfig(photographs=str(folder / "photos")),
        samples=12,
        mixture=tuple(MixturePart(preset=name) for name in ("light", "violent")),
        samples_per_shard=2,
        split={"train": 0.5, "test": 0.5},
    )
    generate(config, folder / "out", workers=1, scheduler=scheduler)
    return folder / "out"


@pytest.fixture
def data_set(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "out"))


def test_a_whole_data_set_has_no_fault_and_neither_have_its_parts(whole: Path) -> None:
    assert verify(whole) == verify(whole / "train") == verify(whole / "test") == []


def edit_manifest(folder: Path, change: Callable[[dict], object]) -> None:
    for name in ("manifest.json", "plan.json"):
        values = json.loads((folder / name).read_text())
        change(values)
        (folder / name).write_text(json.dumps(values))


def edit_table(folder: Path, column: str, value: float) -> None:
    """Another value in the first row of a shard's table, with every checksum set anew."""
    path = folder / "train" / "shard-00000.h5"
    with h5py.File(path, "r+") as file:
        table = file["parameters"][()]
        table[column][0] = value
        file["parameters"][...] = table
        file["parameters"].attrs["sha256"] = opened.sha256_of_array(table)

    def change(values: dict) -> None:
        for shard in values.get("shards", ()):
            if shard["file"] == "train/shard-00000.h5":
                shard["sha256"] = sha256_of(path)

    edit_manifest(folder, change)


def swap_parts(folder: Path) -> None:
    """A shard of the test part passed off as one of training."""
    name = "shard-00000.h5"
    (folder / "train" / name).write_bytes((folder / "test" / name).read_bytes())
    edit_manifest(
        folder, lambda values: [s.update(sha256=sha256_of(folder / s["file"])) for s in values.get("shards", ())]
    )


FAULTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a flipped bit": (
        lambda folder: flip(folder / "train" / "shard-00001.h5"),
        "train/shard-00001.h5: its SHA-256 is not the manifest's",
    ),
    "a shard that is gone": (lambda folder: (folder / "test" / "shard-00001.h5").unlink(), "shard-00001.h5: missing"),
    "a shard too many": (
        lambda folder: shutil.copy(folder / "train" / "shard-00000.h5", folder / "train" / "shard-00077.h5"),
        "shard-00077.h5: not in the manifest",
    ),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "the run that makes it has not ended"),
    "a manifest that is none": (lambda folder: (folder / "manifest.json").write_text("[]"), "not a manifest"),
    "another plan": (
        lambda folder: (folder / "plan.json").write_text('{"samples": 13}'),
        "its samples is not the manifest's",
    ),
    "another PSNR": (lambda folder: edit_table(folder, "psnr_y_db", 99.0), "has psnr_y_db 99 in its table, measured"),
    "another difficulty": (lambda folder: edit_table(folder, "difficulty", 0.9), "has difficulty 0.9 in its table"),
    "another coverage": (
        lambda folder: edit_table(folder, "coverage_fraction", 0.9),
        "has coverage_fraction 0.9 in its table",
    ),
    "another transmission": (
        lambda folder: edit_table(folder, "mean_transmission", 0.1),
        "has mean_transmission 0.1 in its table",
    ),
    "another index": (lambda folder: edit_table(folder, "index", 99), "has index 99, beyond the data set's 12 samples"),
    "another size": (lambda folder: edit_table(folder, "height_px", 41), "has another size than its row"),
    "a leak between parts": (swap_parts, "belongs to the part 'test' of the split"),
    "a sample twice": (swap_parts, "which another sample has too"),
    "a sample lost": (swap_parts, "2 samples of 12 are in no shard, such as"),
    "an unknown photograph": (
        lambda folder: edit_manifest(folder, lambda values: values["photographs"][0].update(sha256="0" * 64)),
        "is not in the manifest",
    ),
    "photographs in another order": (
        lambda folder: edit_manifest(folder, lambda values: values["photographs"].reverse()),
        "shows another photograph than",
    ),
}


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_in_one_line(data_set: Path, fault: str) -> None:
    make, expected = FAULTS[fault]
    make(data_set)
    faults = verify(data_set)
    assert any(expected in line for line in faults), faults
    assert all("\n" not in line for line in faults)


def test_inspect_shows_a_split_data_set_on_a_page_of_its_own(whole: Path, tmp_path: Path) -> None:
    rows = inspect(whole, tmp_path / "sheet.png", rows=3)
    assert [(row["class"], row["samples"]) for row in rows] == [("light", "6"), ("violent", "6")]
    page = (tmp_path / "sheet.html").read_text()
    assert "all of train" in page and "all of test" in page
    assert page.count('src="data:image/png;base64,') == 2
    assert "http" not in page and page.count("src=") == 2  # nothing is fetched
    with Image.open(tmp_path / "sheet_histograms.png") as picture:
        assert picture.width > 1000


def test_every_sample_of_every_part_is_in_the_table_of_a_data_set(whole: Path) -> None:
    data = open_data_set(whole)
    assert sorted(data.table["index"].tolist()) == list(range(12))
    assert sorted(set(data.part_of_rows().tolist())) == ["test", "train"]
    for row in (0, 5, 11):
        shards, place = data.locate(row)
        assert shards[place].parameters["index"] == data.table["index"][row]


def test_streaks_slant_as_wind_and_fall_speed_say() -> None:
    table = np.array(
        [(0.0, 10.0), (5.0, 10.0), (-5.0, 10.0)], dtype=[("wind_right_m_s", float), ("rain_rate_mm_h", float)]
    )
    speed_m_s = float(fall_speed_m_s(np.array([0.895 * 10**0.21]))[0])
    assert slant_deg(table) == pytest.approx(np.degrees(np.arctan([0, 5 / speed_m_s, -5 / speed_m_s])), rel=1e-3)


def test_inspect_shows_samples_without_a_rain_rate(whole: Path, tmp_path: Path) -> None:
    config = GenerateConfig(
        data=PhotographsConfig(photographs=str(whole.parent / "photos")),
        samples=4,
        mixture=(MixturePart(preset="rain100h"), MixturePart(preset="heavy")),
    )
    for task in plan(config, survey(whole.parent / "photos")):
        make_shard(config, task, str(tmp_path))
    rows = inspect(tmp_path, tmp_path / "sheet.png", rows=4)
    assert [(row["class"], row["samples"]) for row in rows] == [("heavy", "2"), ("unknown", "2")]
    assert rows[1]["mm/h"] == "-"


def test_inspect_shows_imported_pairs(whole: Path, tmp_path: Path) -> None:
    for kind in ("input", "target"):
        shutil.copytree(whole.parent / "photos", tmp_path / "pairs" / kind)
    import_pairs(tmp_path / "pairs", tmp_path / "out")
    assert [row["samples"] for row in inspect(tmp_path / "out", tmp_path / "sheet.png", rows=2)] == ["4"]
