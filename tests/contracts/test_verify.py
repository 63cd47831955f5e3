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
from pipelines.generate import generate
from pipelines.generate_config import GenerateConfig, PhotographsConfig
from pipelines.histograms import slant_deg
from pipelines.inspect import inspect, open_data_set
from pipelines.make_shard import make_shard
from pipelines.photographs import sha256_of, survey
from pipelines.plan import plan
from pipelines.run_records import write_json
from pipelines.verify import verify
from rainsynth.fingerprint import fingerprint_of
from rainsynth.physics.fall_speed import fall_speed_m_s
from rainsynth.preset_choice import PresetChoice
from rainsynth.shards import opened
from rainsynth.shards.codecs import CODECS

NOISE_FINGERPRINT = fingerprint_of(np.random.default_rng(9).integers(0, 256, (40, 60, 3), dtype=np.uint8))


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
        mixture=tuple(PresetChoice(preset=name) for name in ("light", "violent")),
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
        write_json(folder / name, values)


def edit_table(folder: Path, column: str, value: float) -> None:
    """Another value in the first row of a shard's table."""
    edit_dataset(folder, "parameters", lambda table: table[column].__setitem__(0, value))


def edit_dataset(folder: Path, name: str, edit: Callable[[np.ndarray], object] | None) -> None:
    """A shard's table or fingerprints edited, or deleted, with every checksum set anew."""
    path = folder / "train" / "shard-00000.h5"
    with h5py.File(path, "r+") as file:
        if edit is None:
            del file[name]
        else:
            array = file[name][()]
            edit(array)
            file[name][...] = array
            file[name].attrs["sha256"] = opened.sha256_of_array(array)

    def change(values: dict) -> None:
        for shard in values.get("shards", ()):
            if shard["file"] == "train/shard-00000.h5":
                shard.update(sha256=sha256_of(path), bytes=path.stat().st_size)

    edit_manifest(folder, change)


def swap_parts(folder: Path) -> None:
    """A shard of the test part passed off as one of training."""
    name = "shard-00000.h5"
    (folder / "train" / name).write_bytes((folder / "test" / name).read_bytes())
    edit_manifest(folder, lambda values: [s.update(sha256=sha256_of(folder / s["file"])) for s in shards_of(values)])


def shards_of(values: dict) -> list[dict]:
    """Shards of a manifest; a plan has none."""
    return values.get("shards", [])


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
    "a manifest in another hand": (
        lambda folder: (folder / "manifest.json").write_text((folder / "manifest.json").read_text() + " "),
        "manifest.json: changed since it was written",
    ),
    "another number of bytes": (
        lambda folder: edit_manifest(folder, lambda values: [s.update(bytes=7) for s in shards_of(values)]),
        "bytes, not the manifest's 7",
    ),
    "a flipped bit of a fingerprint": (
        lambda folder: flip_fingerprint(folder / "test" / "shard-00000.h5"),
        "test/shard-00000.h5 must be a whole rainsynth shard",
    ),
    "no fingerprints": (
        lambda folder: edit_dataset(folder, "fingerprints", None),
        "has no fingerprints, which its config asks for",
    ),
    "another picture's fingerprint": (
        lambda folder: edit_dataset(folder, "fingerprints", lambda rows: rows.__setitem__(0, NOISE_FINGERPRINT)),
        "is another picture's",
    ),
    "a fingerprint of another version": (
        lambda folder: edit_dataset(folder, "fingerprints", lambda rows: rows[:, 0].fill(9)),
        "fingerprint must be 8192 bytes of version 1, got uint8 (8192,), version 9",
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


def flip(path: Path, place: int | None = None, bit: int = 0) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2 if place is None else place] ^= 1 << bit
    path.write_bytes(data)


def flip_fingerprint(path: Path) -> None:
    with h5py.File(path) as file:
        stored = file["fingerprints"].id.get_chunk_info(0)
    flip(path, stored.byte_offset + stored.size // 2)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_in_one_line(data_set: Path, fault: str) -> None:
    make, expected = FAULTS[fault]
    make(data_set)
    faults = verify(data_set)
    assert any(expected in line for line in faults), faults
    assert all("\n" not in line for line in faults)


@pytest.mark.slow
@pytest.mark.parametrize("profile", CODECS)
def test_of_a_thousand_flipped_bits_none_goes_unseen(whole: Path, profile: str, tmp_path: Path, scheduler: str) -> None:
    config = GenerateConfig(
        data=PhotographsConfig(photographs=str(whole.parent / "photos")),
        samples=2,
        mixture=(PresetChoice(preset="heavy"),),
        samples_per_shard=1,
        profile=profile,
    )
    out, rng = tmp_path / "out", np.random.default_rng(6)
    generate(config, out, workers=1, scheduler=scheduler)
    contents = {path: path.read_bytes() for path in sorted(out.iterdir())}
    places = [(path, place) for path, data in contents.items() for place in range(len(data))]
    with h5py.File(out / "shard-00000.h5") as file:
        stored = file["fingerprints"].id.get_chunk_info(0)
    of_fingerprints = np.arange(stored.byte_offset, stored.byte_offset + stored.size)
    chosen = [places[row] for row in rng.integers(len(places), size=600)]
    chosen += [(out / name, int(rng.integers(len(contents[out / name])))) for name in ("manifest.json",) * 200]
    chosen += [(out / name, int(rng.integers(len(contents[out / name])))) for name in ("plan.json",) * 100]
    chosen += [(out / "shard-00000.h5", int(place)) for place in rng.choice(of_fingerprints, 100)]
    for (path, place), bit in zip(chosen, rng.integers(8, size=len(chosen)), strict=True):
        flip(path, place, int(bit))
        faults = verify(out)
        assert faults, f"bit {bit} of byte {place} of {path.name}"
        assert all("\n" not in fault for fault in faults)
        path.write_bytes(contents[path])


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
        mixture=(PresetChoice(preset="rain100h"), PresetChoice(preset="heavy")),
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
