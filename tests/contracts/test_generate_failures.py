"""What can go wrong while a data set is made: nothing that was published is lost, and one line says what to do."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from pipelines import generate as generating
from pipelines import make_shard as making
from pipelines import run_records
from pipelines.cluster import Crew
from pipelines.generate import generate
from pipelines.generate_config import GenerateConfig, PhotographsConfig
from pipelines.make_shard import make_shard
from pipelines.photographs import survey
from pipelines.plan import ShardTask, plan
from pipelines.run_records import RunFolder
from pipelines.verify import verify
from rainsynth.checks import InputError
from rainsynth.preset_choice import PresetChoice

KILLS = 10


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(4):
        Image.fromarray(rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    return folder


def config(photos: Path, **options: object) -> GenerateConfig:
    values: dict = {"samples": 10, "mixture": (PresetChoice(preset="heavy"),), "seed": 5, "samples_per_shard": 2}
    return GenerateConfig(data=PhotographsConfig(photographs=str(photos)), **(values | options))


def tree(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:2000])


def test_a_cut_picture_is_named_before_anything_is_made(photos: Path, tmp_path: Path) -> None:
    cut(photos / "1.png")
    cut(photos / "3.png")
    with pytest.raises(
        InputError, match=r"1\.png must be a readable picture.* So are 3\.png\. --skip-broken"
    ) as caught:
        generate(config(photos), tmp_path / "out", workers=1)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_skipped_pictures_are_listed_and_a_resumed_run_keeps_the_plan(
    photos: Path, tmp_path: Path, scheduler: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cut(photos / "1.png")
    options: dict = {"workers": 1, "scheduler": scheduler, "skip_broken": True}
    manifest = generate(config(photos), tmp_path / "out", **options)
    assert [item["name"] for item in manifest["skipped"]] == ["1.png"]
    assert [photo["name"] for photo in manifest["photographs"]] == ["0.png", "2.png", "3.png"]
    assert str(photos) not in json.dumps(manifest)
    assert "skipped 1.png" in capsys.readouterr().out
    whole = tree(tmp_path / "out")
    (tmp_path / "out" / "manifest.json").unlink()
    (tmp_path / "out" / "shard-00001.h5").unlink()
    generate(config(photos), tmp_path / "out", resume=True, **options)
    assert tree(tmp_path / "out") == whole
    cut(photos / "2.png")
    with pytest.raises(InputError, match="must go on with the same run, got another photographs, skipped"):
        generate(config(photos), tmp_path / "out", resume=True, **options)


def test_where_every_picture_is_broken_nothing_can_be_skipped(photos: Path, tmp_path: Path) -> None:
    for path in photos.iterdir():
        cut(path)
    with pytest.raises(InputError, match=r"0\.png must be a readable picture"):
        generate(config(photos), tmp_path / "out", workers=1, skip_broken=True)


def test_a_broken_depth_map_is_named_before_anything_is_made(photos: Path, tmp_path: Path) -> None:
    np.save(photos / "0.npy", np.full((40, 60), 3.0))
    np.save(photos / "2.npy", np.full((40, 61), 3.0))
    data = PhotographsConfig(photographs=str(photos), depth=str(photos))
    with pytest.raises(InputError, match=r"2\.npy must have its photograph's size 60x40, got 61x40"):
        generate(
            GenerateConfig(data=data, samples=2, mixture=(PresetChoice(preset="heavy"),)), tmp_path / "out", workers=1
        )


def test_a_photograph_that_changes_during_a_run_is_refused(photos: Path, tmp_path: Path) -> None:
    task = next(iter(plan(config(photos), survey(photos))))
    Image.new("RGB", (60, 40)).save(photos / task.photographs[0].name)
    with pytest.raises(InputError, match="must not change during a run"):
        make_shard(config(photos), task, str(tmp_path))


def test_a_worker_with_another_rainsynth_is_refused(photos: Path, tmp_path: Path) -> None:
    task = next(iter(plan(config(photos), survey(photos))))
    with pytest.raises(InputError, match="workers must have the same rainsynth"):
        make_shard(config(photos), task, str(tmp_path), source_sha256="0" * 64)


def test_a_full_disk_keeps_what_was_published_and_the_run_goes_on_later(
    photos: Path, tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = generate(config(photos), tmp_path / "whole", workers=1, scheduler=scheduler)
    write = making.write_shard

    def full_at_the_third(path: Path, *values: object, **options: object) -> None:
        if path.name == "shard-00003.h5":
            raise InputError(f"{path} must fit on its disk, got No space left on device. --resume goes on.")
        write(path, *values, **options)

    monkeypatch.setattr(making, "write_shard", full_at_the_third)  # the cluster's workers are threads of this process
    with pytest.raises(InputError, match=r"shard-00003\.h5 must fit on its disk"):
        generate(config(photos), tmp_path / "out", workers=1, scheduler=scheduler)
    kept = tree(tmp_path / "out")
    assert "shard-00000.h5" in kept and "manifest.json" not in kept
    monkeypatch.undo()
    assert generate(config(photos), tmp_path / "out", workers=1, scheduler=scheduler, resume=True) == whole
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")
    assert all(tree(tmp_path / "out")[name] == kept[name] for name in kept if name.endswith(".h5"))


def test_a_full_disk_under_the_records_is_one_line_too(tmp_path: Path) -> None:
    told = pytest.raises(InputError, match=r"the disk must have room for .*make room and go on with --resume")
    with told as caught, run_records.room_on_disk():
        raise OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "plan.json"))
    assert "\n" not in str(caught.value)


def test_a_second_run_in_the_same_folder_is_refused(photos: Path, tmp_path: Path) -> None:
    first = RunFolder(tmp_path / "out", resume=True)
    with first.locked(), pytest.raises(InputError, match="--out must be one run's own"):
        generate(config(photos), tmp_path / "out", workers=1, resume=True)


def test_a_scheduler_is_an_address_or_a_scheduler_file(
    photos: Path, tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "scheduler.json").write_text(json.dumps({"type": "Scheduler", "address": scheduler, "workers": {}}))
    generate(config(photos, samples=2), tmp_path / "out", workers=1, scheduler=str(tmp_path / "scheduler.json"))
    with pytest.raises(InputError, match=r"--scheduler must be an address .* or a scheduler file, got 'absent\.json'"):
        generate(config(photos), tmp_path / "absent", workers=1, scheduler="absent.json")
    monkeypatch.setattr("pipelines.cluster.CONNECT_S", 1)
    with pytest.raises(InputError, match=r"--scheduler must be reachable, got 'tcp://127\.0\.0\.1:9'"):
        generate(config(photos), tmp_path / "unreachable", workers=1, scheduler="tcp://127.0.0.1:9")


def test_no_more_tasks_than_the_window_are_with_the_cluster_at_once(scheduler: str) -> None:
    taken: list[int] = []
    tasks = (taken.append(number) or number for number in range(100))
    with Crew(1, scheduler) as crew:
        for done, (task, record) in enumerate(crew.results(abs, tasks), start=1):
            assert task == record
            assert len(taken) <= done + 4  # one worker, four tasks
    assert len(taken) == 100


class Deadly(Crew):
    """A crew whose task of one shard ends its workers."""

    def results(self, function, tasks):  # type: ignore[no-untyped-def]
        for task in tasks:
            yield task, None if task.file == "shard-00001.h5" else function(task)


def test_a_shard_that_ends_its_worker_is_named_and_all_others_are_made(
    photos: Path, tmp_path: Path, scheduler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(generating, "Crew", Deadly)
    with pytest.raises(InputError, match=r"shard-00001\.h5 must not end its worker, got that 3 times.*--resume tries"):
        generate(config(photos), tmp_path / "out", workers=1)
    kept = {path.name for path in (tmp_path / "out").glob("*.h5")}
    assert kept == {"shard-00000.h5", "shard-00002.h5", "shard-00003.h5", "shard-00004.h5"}
    monkeypatch.undo()
    generate(config(photos), tmp_path / "out", workers=1, scheduler=scheduler, resume=True)
    assert verify(tmp_path / "out") == []


def die_at_the_second(task: ShardTask, marks: str) -> str:
    """A task that leaves a mark at every try, and kills its worker if it is the second shard's."""
    if task.file == "shard-00001.h5":
        (Path(marks) / str(time.time_ns())).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return task.file


@pytest.mark.slow
def test_a_task_that_kills_its_worker_is_given_up_after_three_tries(photos: Path, tmp_path: Path) -> None:
    tasks = list(plan(config(photos, samples=24), survey(photos)))
    (tmp_path / "marks").mkdir()
    with Crew(2) as crew:
        ended = dict(
            (task.file, record)
            for task, record in crew.results(partial(die_at_the_second, marks=str(tmp_path / "marks")), tasks)
        )
    assert ended == {task.file: None if task.file == "shard-00001.h5" else task.file for task in tasks}
    assert len(list((tmp_path / "marks").iterdir())) == 3


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2, 4])
def test_a_run_that_is_killed_ten_times_ends_with_the_same_bytes(photos: Path, tmp_path: Path, workers: int) -> None:
    options: dict = {"samples": 240, "samples_per_shard": 4, "size_px": None}
    for task in plan(config(photos, **options), survey(photos)):
        make_shard(config(photos, **options), task, str(tmp_path / "whole"))
    run = [sys.executable, "-m", "pipelines.main", "generate", str(photos), "--preset", "heavy", "--samples", "240"]
    run += ["--seed", "5", "--set", "samples_per_shard=4", "--out", str(tmp_path / "out"), "--resume"]
    run += ["--workers", str(workers)]
    killed = 0
    chance = random.Random(workers)
    while killed < KILLS:
        process = psutil.Popen(run, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and killed < KILLS:
            time.sleep(chance.uniform(0.2, 2.5))
            killed += kill_one_of(process, chance, process_itself=killed % 3 == 2)
        if killed < KILLS and process.wait() == 0:  # it was quicker than the kills: take some away again
            for path in chance.sample(sorted((tmp_path / "out").glob("*.h5")), 30):
                path.unlink()
            (tmp_path / "out" / "manifest.json").unlink()
        process.wait()
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    made = tree(tmp_path / "out")
    assert {name: data for name, data in made.items() if name.endswith(".h5")} == tree(tmp_path / "whole")
    assert set(made) == {*tree(tmp_path / "whole"), "plan.json", "manifest.json"}
    assert verify(tmp_path / "out") == []


def kill_one_of(process: psutil.Popen, chance: random.Random, *, process_itself: bool) -> int:
    """SIGKILL to the process or to one of its workers; 1 if there was one to kill."""
    try:
        workers = [child for child in process.children() if "spawn_main" in " ".join(child.cmdline())]
        victim = process if process_itself else chance.choice(workers)
        victim.kill()
    except (psutil.NoSuchProcess, IndexError):
        return 0
    return 1


@pytest.mark.slow
def test_a_disk_that_is_really_full_ends_in_one_line_and_the_run_goes_on(photos: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(disk)]
    if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
        pytest.skip("a tmpfs can be mounted by root only")
    run = [sys.executable, "-m", "pipelines.main", "generate", str(photos), "--preset", "heavy", "--samples", "60"]
    run += ["--set", "samples_per_shard=4", "--workers", "1", "--out", str(disk / "out"), "--resume"]
    try:
        done = subprocess.run(run, check=False, capture_output=True, text=True)
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1 and "--resume" in done.stderr and "Traceback" not in done.stderr
        kept = {name: data for name, data in tree(disk / "out").items() if name.endswith(".h5")}
        assert kept and not list(disk.rglob("*.part"))
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
        made = tree(disk / "out")
        assert {name: made[name] for name in kept} == kept
        assert verify(disk / "out") == []
    finally:
        subprocess.run(["umount", str(disk)], check=True)
