"""Generation: what a data set holds follows from its config alone."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import rainsynth
from pipelines import make_shard as making
from pipelines.difficulty import difficulty
from pipelines.estimate import estimate
from pipelines.generate import generate
from pipelines.generate_config import GenerateConfig, PhotographsConfig
from pipelines.inspect import inspect
from pipelines.make_shard import make_sample, make_shard
from pipelines.photographs import survey
from pipelines.plan import part_of, plan
from pipelines.run_records import JOURNAL_NAME
from pipelines.verify import verify
from rainsynth.checks import InputError
from rainsynth.fingerprint import fingerprint_of
from rainsynth.pictures import read_photo
from rainsynth.preset_choice import PresetChoice


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(1)
    for number, shape in enumerate([(40, 60, 3), (60, 40, 3), (40, 60, 3)]):
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{number}.png")
    np.save(folder / "0.npy", np.full((40, 60), 3.0))
    return folder


def config(photos: Path, **options: object) -> GenerateConfig:
    values: dict = {"samples": 10, "mixture": (PresetChoice(preset="heavy"),), "seed": 5, "samples_per_shard": 2}
    return GenerateConfig(data=PhotographsConfig(photographs=str(photos), depth=str(photos)), **(values | options))


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_the_bytes_do_not_depend_on_the_workers_nor_on_a_stop(photos: Path, tmp_path: Path, scheduler: str) -> None:
    generate(config(photos), tmp_path / "one", workers=1)
    generate(config(photos), tmp_path / "stopped", workers=1, scheduler=scheduler)
    assert tree(tmp_path / "one") == tree(tmp_path / "stopped")
    (tmp_path / "stopped" / "manifest.json").unlink()  # as a run stopped half way leaves it
    (tmp_path / "stopped" / "shard-00001.h5").unlink()
    (tmp_path / "stopped" / ".shard-00003.h5.77.part").write_bytes(b"half")
    generate(config(photos), tmp_path / "stopped", workers=1, scheduler=scheduler, resume=True)
    assert tree(tmp_path / "one") == tree(tmp_path / "stopped")
    assert verify(tmp_path / "one") == []


def test_shards_made_here_in_any_order_are_those_of_a_cluster(photos: Path, tmp_path: Path, scheduler: str) -> None:
    manifest = generate(config(photos), tmp_path / "cluster", workers=1, scheduler=scheduler)
    tasks = list(plan(config(photos), survey(photos, photos)))
    (tmp_path / "here").mkdir()
    records = [make_shard(config(photos), task, str(tmp_path / "here")) for task in reversed(tasks)]
    assert records[::-1] == manifest["shards"]
    for task in tasks:
        assert (tmp_path / "here" / task.file).read_bytes() == (tmp_path / "cluster" / task.file).read_bytes()


def test_a_resumed_run_trusts_its_records_and_reads_what_has_none(photos: Path, tmp_path: Path, scheduler: str) -> None:
    out = tmp_path / "out"
    manifest = generate(config(photos), out, workers=1, scheduler=scheduler)
    whole = tree(out)
    (out / "manifest.json").unlink()
    lines = [json.dumps(record) + "\n" for record in manifest["shards"][:3]]
    (out / JOURNAL_NAME).write_text("".join(lines) + '{"file": "shard-000')  # cut in the middle of a line
    (out / "shard-00002.h5").unlink()  # recorded, and gone
    generate(config(photos), out, workers=1, scheduler=scheduler, resume=True)
    assert tree(out) == whole
    (out / "manifest.json").unlink()
    (out / "shard-00004.h5").write_bytes(whole["shard-00004.h5"][:-9])
    with pytest.raises(InputError, match=r"shard-00004\.h5 must be a whole rainsynth shard"):
        generate(config(photos), out, workers=1, scheduler=scheduler, resume=True)


def test_plan_groups_equal_sizes_and_holds_every_sample_once(photos: Path) -> None:
    tasks = plan(config(photos, samples=31), survey(photos))
    assert sorted(index for task in tasks for index in task.indices) == list(range(31))
    for task in tasks:
        assert len({(photo.height_px, photo.width_px) for photo in task.photographs}) == 1


def test_a_sample_does_not_depend_on_the_others(photos: Path) -> None:
    photo = survey(photos)[0]
    a = make_sample(config(photos, samples=10), 7, photo)
    b = make_sample(config(photos, samples=1000, samples_per_shard=9), 7, photo)
    np.testing.assert_array_equal(a.rainy_srgb8, b.rainy_srgb8)
    assert a.parameters == b.parameters
    assert float(a.depth_m.max()) == 3.0  # from 0.npy beside the photograph


def test_windows_have_the_size_asked_for(photos: Path) -> None:
    sample = make_sample(config(photos, size_px=32), 3, survey(photos)[1])
    assert sample.rainy_srgb8.shape == (32, 32, 3)
    with pytest.raises(InputError, match="at least size_px 64"):
        plan(config(photos, size_px=64), survey(photos))


@pytest.mark.parametrize("size_px", [None, 32])
def test_shards_hold_the_fingerprints_of_whole_photographs(photos: Path, tmp_path: Path, size_px: int | None) -> None:
    chosen = config(photos, size_px=size_px)
    for task in plan(chosen, survey(photos, photos)):
        make_shard(chosen, task, str(tmp_path))
    shards = rainsynth.open_shards(tmp_path)
    assert shards.fingerprints is not None
    assert len(shards.fingerprints) == len(shards.backgrounds)
    for (name, _), stored in zip(shards.backgrounds.tolist(), shards.fingerprints, strict=True):
        np.testing.assert_array_equal(stored, fingerprint_of(read_photo(photos / name.decode())))


def test_fingerprints_may_be_left_out(photos: Path, tmp_path: Path) -> None:
    chosen = config(photos, samples=2, fingerprints=False)
    make_shard(chosen, next(iter(plan(chosen, survey(photos, photos)))), str(tmp_path))
    assert rainsynth.open_shards(tmp_path).fingerprints is None


def test_a_fingerprint_is_computed_once_a_photograph(
    photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    computed: list[tuple[int, ...]] = []
    monkeypatch.setattr(
        making, "fingerprint_of", lambda photo: (computed.append(photo.shape), fingerprint_of(photo))[1]
    )
    making.forget_fingerprints()
    tasks = list(plan(config(photos, samples=24), survey(photos, photos)))
    for task in tasks:
        make_shard(config(photos, samples=24), task, str(tmp_path))
    assert (len(tasks), len(computed)) == (12, 3)


def test_few_fingerprints_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(making, "KEPT_FINGERPRINTS", 2)
    making.forget_fingerprints()
    for sha256 in ("a", "b", "a", "c", "d", "a"):
        making.photograph_fingerprint(sha256, np.zeros((20, 20, 3), np.uint8))
    assert list(making._fingerprints) == ["d", "a"]
    making.forget_fingerprints()


def test_mixture_parts_come_in_their_shares() -> None:
    mixture = (PresetChoice(preset="light"), PresetChoice(preset="heavy", weight=3))
    counts = sum(part_of(mixture, index).preset == "heavy" for index in range(400))
    assert abs(counts - 300) <= 3


def test_rates_of_a_mixture_replace_the_presets(photos: Path) -> None:
    mixture = (PresetChoice(preset="heavy", rain_rate_mm_h=(60.0, 61.0)),)
    rate = make_sample(config(photos, mixture=mixture), 0, survey(photos)[0]).parameters["rain_rate_mm_h"]
    assert 60 <= rate <= 61


def test_a_folder_in_use_and_another_config_are_refused(photos: Path, tmp_path: Path, scheduler: str) -> None:
    generate(config(photos, samples=2), tmp_path / "out", workers=1, scheduler=scheduler)
    with pytest.raises(InputError, match="--out must be a new or empty folder"):
        generate(config(photos, samples=2), tmp_path / "out", workers=1, scheduler=scheduler)
    with pytest.raises(InputError, match="--resume must go on with the same run, got another config"):
        generate(config(photos, samples=2, seed=6), tmp_path / "out", workers=1, scheduler=scheduler, resume=True)


def test_verify_names_what_is_wrong(photos: Path, tmp_path: Path, scheduler: str) -> None:
    out = tmp_path / "out"
    generate(config(photos), out, workers=1, scheduler=scheduler)
    data = bytearray((out / "shard-00000.h5").read_bytes())
    data[len(data) // 2] ^= 1
    (out / "shard-00000.h5").write_bytes(data)
    (out / "shard-00001.h5").unlink()
    faults = verify(out)
    assert any("shard-00000.h5: its SHA-256" in fault for fault in faults)
    assert any(fault.endswith("shard-00001.h5: missing") for fault in faults)
    assert all("\n" not in fault for fault in faults)


def test_inspect_writes_a_sheet_and_counts_the_classes(photos: Path, tmp_path: Path, scheduler: str) -> None:
    generate(config(photos, samples=6), tmp_path / "out", workers=1, scheduler=scheduler)
    rows = inspect(tmp_path / "out", tmp_path / "sheet.png", rows=3)
    assert [(row["class"], row["samples"]) for row in rows] == [("heavy", "6")]
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 300


def test_manifest_lists_shards_photographs_and_code(photos: Path, tmp_path: Path, scheduler: str) -> None:
    generate(config(photos, samples=4), tmp_path / "out", workers=1, scheduler=scheduler)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert sum(shard["samples"] for shard in manifest["shards"]) == 4
    assert [photo["name"] for photo in manifest["photographs"]] == ["0.png", "1.png", "2.png"]
    assert manifest["code_version"]["rainsynth"] == rainsynth.__version__
    assert str(photos) not in json.dumps(manifest)  # a data set does not know its maker's folders


def test_difficulty_and_its_parts_stand_in_the_table(photos: Path, tmp_path: Path, scheduler: str) -> None:
    generate(config(photos, samples=4), tmp_path / "out", workers=1, scheduler=scheduler)
    for row in rainsynth.open_shards(tmp_path / "out").table:
        error = np.clip((50 - row["psnr_y_db"]) / 40, 0, 1)
        expected = error / 2 + row["coverage_fraction"] / 4 + (1 - row["mean_transmission"]) / 4
        assert row["difficulty"] == pytest.approx(expected)


@pytest.mark.parametrize(("psnr_y_db", "covered", "transmission", "expected"), [(float("inf"), 0, 1, 0), (5, 1, 0, 1)])
def test_difficulty_ends_at_no_rain_and_at_nothing_but_rain(
    psnr_y_db: float, covered: float, transmission: float, expected: float
) -> None:
    assert difficulty(psnr_y_db, covered, transmission) == expected


@pytest.mark.parametrize("size_px", [None, 32])
def test_a_dry_run_counts_exactly_and_writes_nothing(photos: Path, tmp_path: Path, size_px: int | None) -> None:
    chosen = config(photos, samples=30, size_px=size_px)
    told = estimate(chosen, workers=2)
    assert (told.samples, told.photographs) == (30, 3)
    assert sum(told.shards.values()) == len(plan(chosen, survey(photos)))
    assert told.bytes == pytest.approx(generate_here(chosen, tmp_path / "out"), rel=0.3)
    assert any("estimate" in line and "Nothing was written" in line for line in told.lines())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]


def generate_here(chosen: GenerateConfig, out: Path) -> int:
    """Bytes of all shards, made in this process."""
    return sum(
        make_shard(chosen, task, str(out))["bytes"] for task in plan(chosen, survey(Path(chosen.data.photographs)))
    )
