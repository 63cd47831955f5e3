"""Generation: what a data set holds follows from its config alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import rainsynth
from pipelines.generate import generate, make_sample, part_of, plan
from pipelines.generate_config import GenerateConfig, MixturePart, PhotographsConfig
from pipelines.inspect import inspect
from pipelines.photographs import survey
from pipelines.verify import verify
from rainsynth.checks import InputError


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(1)
    for number, shape in enumerate([(40, 60, 3), (60, 40, 3), (40, 60, 3)]):
        Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(folder / f"{number}.png")
    np.save(folder / "0.npy", np.full((40, 60), 3.0))
    return folder


def config(photos: Path, **options: object) -> GenerateConfig:
    values: dict = {"samples": 10, "mixture": (MixturePart(preset="heavy"),), "seed": 5, "samples_per_shard": 2}
    return GenerateConfig(data=PhotographsConfig(photographs=str(photos), depth=str(photos)), **(values | options))


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_one_worker_or_two_stopped_or_not_give_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    generate(config(photos), tmp_path / "two", workers=2)
    generate(config(photos), tmp_path / "stopped", workers=1)
    assert tree(tmp_path / "two") == tree(tmp_path / "stopped")
    (tmp_path / "stopped" / "manifest.json").unlink()  # as a run stopped half way leaves it
    (tmp_path / "stopped" / "shard-00001.h5").unlink()
    (tmp_path / "stopped" / ".shard-00003.h5.77.part").write_bytes(b"half")
    generate(config(photos), tmp_path / "stopped", workers=1, resume=True)
    assert tree(tmp_path / "two") == tree(tmp_path / "stopped")
    assert verify(tmp_path / "two") == []


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


def test_mixture_parts_come_in_their_shares() -> None:
    mixture = (MixturePart(preset="light"), MixturePart(preset="heavy", weight=3))
    counts = sum(part_of(mixture, index).preset == "heavy" for index in range(400))
    assert abs(counts - 300) <= 3


def test_rates_of_a_mixture_replace_the_presets(photos: Path) -> None:
    mixture = (MixturePart(preset="heavy", rain_rate_mm_h=(60.0, 61.0)),)
    rate = make_sample(config(photos, mixture=mixture), 0, survey(photos)[0]).parameters["rain_rate_mm_h"]
    assert 60 <= rate <= 61


def test_a_folder_in_use_and_another_config_are_refused(photos: Path, tmp_path: Path) -> None:
    generate(config(photos, samples=2), tmp_path / "out", workers=1)
    with pytest.raises(InputError, match="--out must be a new or empty folder"):
        generate(config(photos, samples=2), tmp_path / "out", workers=1)
    with pytest.raises(InputError, match="--resume must go on with the same run, got another config"):
        generate(config(photos, samples=2, seed=6), tmp_path / "out", workers=1, resume=True)


def test_verify_names_what_is_wrong(photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    generate(config(photos), out, workers=1)
    data = bytearray((out / "shard-00000.h5").read_bytes())
    data[len(data) // 2] ^= 1
    (out / "shard-00000.h5").write_bytes(data)
    (out / "shard-00001.h5").unlink()
    faults = verify(out)
    assert any("shard-00000.h5: its SHA-256" in fault for fault in faults)
    assert any(fault.endswith("shard-00001.h5: missing") for fault in faults)
    assert all("\n" not in fault for fault in faults)


def test_inspect_writes_a_sheet_and_counts_the_classes(photos: Path, tmp_path: Path) -> None:
    generate(config(photos, samples=6), tmp_path / "out", workers=1)
    rows = inspect(tmp_path / "out", tmp_path / "sheet.png", rows=3)
    assert [(row["class"], row["samples"]) for row in rows] == [("heavy", "6")]
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 300


def test_manifest_lists_shards_photographs_and_code(photos: Path, tmp_path: Path) -> None:
    generate(config(photos, samples=4), tmp_path / "out", workers=1)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert sum(shard["samples"] for shard in manifest["shards"]) == 4
    assert [photo["name"] for photo in manifest["photographs"]] == ["0.png", "1.png", "2.png"]
    assert manifest["code_version"]["rainsynth"] == rainsynth.__version__
    assert str(photos) not in json.dumps(manifest)  # a data set does not know its maker's folders


@pytest.mark.slow
def test_a_killed_run_resumes_to_the_same_bytes(photos: Path, tmp_path: Path) -> None:
    verb = [sys.executable, "-m", "pipelines.main", "generate", str(photos), "--preset", "heavy", "--samples", "600"]
    subprocess.run([*verb, "--out", str(tmp_path / "whole"), "--workers", "2"], check=True)
    run = [*verb, "--out", str(tmp_path / "killed"), "--workers", "2", "--resume"]
    killed_early = 0
    for seed in range(6):
        process = subprocess.Popen(run, start_new_session=True)
        time.sleep(float(np.random.default_rng(seed).uniform(3, 9)))
        killed_early += process.poll() is None
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    assert killed_early > 0
    subprocess.run(run, check=True)
    assert tree(tmp_path / "whole") == tree(tmp_path / "killed")
