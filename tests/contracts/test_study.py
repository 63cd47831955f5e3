"""A study survives kills, repeats nothing, gives one result on any number of workers, and refuses what it must."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

from mspfn import derain, load_weights
from mspfn.process_group import ProcessGroup
from mspfn.trainer import training_pairs
from mspfn.training_state import TrainingState
from pipelines import study, study_run, study_runs
from pipelines.config import build_config, load_config
from pipelines.evaluate import write_figures
from pipelines.study import study_curricula
from pipelines.study_config import CurriculumStudy
from pipelines.study_findings import Findings
from pipelines.study_run import Run, make_run, shown_rates
from rainsynth import Background
from rainsynth.checks import InputError
from rainsynth.metrics import psnr_y
from rainsynth.named_rain import render_preset
from rainsynth.presets import RAIN_CLASSES
from rainsynth.shards import open_shards
from rainsynth.shards.writer import Provenance, write_shard

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "study" / "curriculum.yaml"
STEPS = 4
ALONE = ProcessGroup(torch.device("cpu"))
SMALL = {
    "train": {
        "data": {"photographs": "photos", "target": "veiled", "patch_px": 16, "batch_size": 2},
        "network": {"name": "mspfn", "overrides": {"fine_fusion_units": 1, "channels": 8}},
        "steps": STEPS,
        "optimizer": {"learning_rate": 0.005, "warmup_steps": 1},
        "loss": "psnr",
        "precision": "float32",
        "log_every_steps": 2,
        "checkpoint_every_steps": 2,
    },
    "curricula": {"uniform": {"name": "uniform"}, "rising": {"name": "light-to-heavy", "reached_at": 1.0}},
    "baseline": "uniform",
    "seeds": 2,
    "evaluation": {"shards": "evaluation", "samples_per_class": 2, "crop_px": 32},
    "learning_curve_every_steps": 2,
}


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def material(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with photos/ to train on, heldout/, and evaluation/, shards of the latter: two samples of each class."""
    folder = tmp_path_factory.mktemp("material")
    rng = np.random.default_rng(5)
    for name in ("photos/a.png", "photos/b.png", "heldout/c.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        coarse = rng.integers(20, 200, (5, 6, 3), dtype=np.uint8)
        Image.fromarray(coarse.repeat(8, axis=0).repeat(8, axis=1)).save(folder / name)
    background = Background(np.array(Image.open(folder / "heldout" / "c.png")))
    samples = [
        render_preset(background, preset, seed=3, index=index)
        for index, preset in enumerate(name for name in RAIN_CLASSES for _ in range(2))
    ]
    (folder / "evaluation").mkdir()
    write_shard(folder / "evaluation" / "shard-00000.h5", samples, [Provenance("c.png", "0" * 64)] * len(samples), {})
    return folder


@pytest.fixture(scope="module")
def alone(material: Path) -> Path:
    """Folder of a study of `small()` that nobody disturbed, its runs made in this process; not to be changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(material)
        make_here(patch)
        study_curricula(small(), material / "alone", workers=1)
    return material / "alone"


@pytest.fixture
def here(material: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A working folder with a copy of the material."""
    for name in ("photos", "heldout", "evaluation"):
        shutil.copytree(material / name, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def make_here(patch: pytest.MonkeyPatch) -> list[str]:
    """Have runs be made in this process, one after the other; the names of those that are made."""
    made: list[str] = []

    def make_all(runs: list[Run], workers: int) -> None:
        for run in runs:
            if not run.finished:
                make_run(run, lambda step, note: None)
                made.append(run.name)

    patch.setattr(study, "make_runs", make_all)
    return made


def small(**changes: object) -> CurriculumStudy:
    return build_config(CurriculumStudy, SMALL | changes, "a test")


def files_of(folder: Path, *names: str) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for name in names for path in folder.rglob(name)}


# The whole of it.


def test_a_study_measures_every_run_as_derain_makes_its_pictures(material: Path, alone: Path) -> None:
    figures = json.loads((alone / "figures.json").read_text())
    run = alone / "runs" / "rising" / "seed-1"
    result = json.loads((run / "result.json").read_text())
    assert (result["steps"], result["samples"], len(result["pictures"])) == (STEPS, 2 * STEPS, 8)
    assert figures["learning_curve_steps"] == [2, 4]

    # One class, measured again with the run's weights on the middle of its samples.
    shards, network = open_shards(material / "evaluation"), load_weights(run / "weights.pt")
    pairs = [shards.crop(index, 4, 8, 32) for index in (6, 7)]
    before = [psnr_y(pair.rainy_srgb8, pair.veiled_srgb8) for pair in pairs]
    after = [psnr_y(derain(pair.rainy_srgb8, network), pair.veiled_srgb8) for pair in pairs]
    assert figures["input"]["psnr_y_db"]["violent"] == pytest.approx(np.mean(before))
    assert figures["conditions"]["rising"]["psnr_y_db"]["violent"]["by_seed"][1] == pytest.approx(np.mean(after))


def test_figures_are_means_of_the_results_and_the_report_shows_them(alone: Path) -> None:
    figures = json.loads((alone / "figures.json").read_text())
    rising, uniform = (figures["conditions"][name]["psnr_y_db"] for name in ("rising", "uniform"))
    assert rising["all"]["mean"] == pytest.approx(np.mean([rising[name]["mean"] for name in RAIN_CLASSES]))
    gain_db = rising["all"]["mean"] - uniform["all"]["mean"]
    assert figures["conditions"]["rising"]["mean_gain"]["mean"] == pytest.approx(gain_db)

    page, words = ((alone / name).read_text() for name in ("report.html", "report.md"))
    for name in ("differences", "learning_curves", "pictures", "shown_rates"):
        assert Image.open(alone / f"{name}.png").width <= 1200
        assert f"({name}.png)" in words
    assert page.count("data:image/png;base64,") == 4
    assert "http" not in page
    for text in (page, words):
        assert f"{rising['violent']['mean']:.2f} ±" in text
        assert f"Recommended default: {figures['recommended']}" in text
        assert str(alone.parent) not in text


def test_a_killed_run_goes_on_and_a_finished_study_repeats_nothing(
    here: Path, alone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def figures_alone(config: object, findings: Findings, runs: object, out: Path) -> None:
        write_figures(out / "figures.json", findings.as_dict())

    def killed_in_step_3(clock: study_run.Clock, progress: study_run.Progress) -> bool:
        steps_heard.append(progress.step)
        if steps_heard == [1, 2, 3]:
            raise RuntimeError("killed")
        return tick(clock, progress)

    tick, steps_heard, made = study_run.Clock.is_due, list[int](), make_here(monkeypatch)
    monkeypatch.setattr(study, "write_report", figures_alone)  # drawing takes longer than the runs
    shutil.copytree(alone, here / "killed")
    for run in ("uniform/seed-1", "rising/seed-1"):
        shutil.rmtree(here / "killed" / "runs" / run)
    monkeypatch.setattr(study_run.Clock, "is_due", killed_in_step_3)
    with pytest.raises(RuntimeError, match="killed"):
        study_curricula(small(), here / "killed", workers=1, resume=True)
    study_curricula(small(), here / "killed", workers=1, resume=True)
    study_curricula(small(), here / "killed", workers=1, resume=True)
    assert made == ["uniform/seed-1", "rising/seed-1"]
    assert steps_heard == [1, 2, 3, 3, 4, 1, 2, 3, 4]  # it went on from the checkpoint after step 2
    kinds = ("result.json", "weights.pt", "log.jsonl")
    assert files_of(here / "killed", *kinds) == files_of(alone, *kinds)


def test_runs_of_a_seed_share_their_first_weights_and_their_plan_of_rain(here: Path) -> None:
    config = small()
    runs = [
        config.training(name, seed, here / "evaluation")
        for name, seed in (("uniform", 1), ("rising", 1), ("rising", 0))
    ]
    tables = [training_pairs(run, ALONE).source.table for run in runs]
    weights = [torch.cat([w.flatten() for w in TrainingState(run, ALONE.device).parameters]) for run in runs]
    for made in (tables, [values.numpy(force=True) for values in weights]):
        np.testing.assert_array_equal(made[0], made[1])
        assert not np.array_equal(made[1], made[2])


def test_shown_rates_rise_under_a_rising_curriculum_only(here: Path) -> None:
    medians = {}
    for name in ("uniform", "rising"):
        config = load_config(CurriculumStudy, None, [], **(SMALL | {"train": SMALL["train"] | {"steps": 600}}))
        training = config.training(name, 0, here / "evaluation")
        rows = shown_rates(training_pairs(training, ALONE))
        assert [row["step"] for row in rows] == list(range(20, 601, 20))
        medians[name] = [row["percentiles_mm_h"][1] for row in rows]
    # Half of all samples rain more than 10 mm/h; the first of light-to-heavy up to 2.5 mm/h, with a quarter of replay.
    assert np.median(medians["uniform"][:5]) > 5
    assert np.median(medians["rising"][:5]) < 3
    assert np.median(medians["rising"][-5:]) > 5


# Many at a time.


@pytest.fixture
def forked(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable], None]:
    """Have runs be made by a stand-in, in forked processes: what is tested is who starts them and hears of them."""
    monkeypatch.setattr(study_runs, "get_context", lambda name: multiprocessing.get_context("fork"))
    return lambda stand_in: monkeypatch.setattr(study_runs, "run_in_process", stand_in)


def write_result(run: Run, parent: object) -> None:
    run.folder.mkdir(parents=True)
    parent.send(("step", (STEPS, "")))  # type: ignore[attr-defined]
    threads = {name: os.environ.get(name) for name in study_runs.ONE_THREAD}
    (run.folder / "result.json").write_text(json.dumps({"pid": os.getpid(), "threads": threads}))
    parent.send(("done", ""))  # type: ignore[attr-defined]


@pytest.mark.parametrize("workers", [1, 3])
def test_every_run_has_a_process_of_its_own_with_one_thread(here: Path, forked: Callable, workers: int) -> None:
    forked(write_result)
    before = dict(os.environ)
    runs = study.runs_of(small(), here / "out", here / "evaluation")
    study_runs.make_runs(runs, workers)
    results = [run.result() for run in runs]
    assert len({result["pid"] for result in results} - {os.getpid()}) == len(runs)
    assert all(set(result["threads"].values()) == {"1"} for result in results)
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("death", "message"),
    [
        (
            lambda parent: os._exit(3),
            r"run rising/seed-0 must come to its end, but .* ended with exit code 3\. Finished",
        ),
        (
            lambda parent: os.kill(os.getpid(), signal.SIGKILL),
            r"run rising/seed-0 .* was killed by signal 9; is memory",
        ),
        (
            lambda parent: parent.send(("mistake", "x must be y.")),
            r"run rising/seed-0: x must be y\. Finished runs are",
        ),
    ],
    ids=["error", "killed", "mistake"],
)
def test_a_run_that_dies_is_named_and_the_others_are_kept(
    here: Path, forked: Callable, death: Callable, message: str
) -> None:
    def dies_once(run: Run, parent: object) -> None:
        if run.name == "rising/seed-0" and not (here / "died").exists():
            (here / "died").touch()
            death(parent)
        else:
            write_result(run, parent)

    forked(dies_once)
    runs = study.runs_of(small(), here / "out", here / "evaluation")
    with pytest.raises(InputError, match=message) as caught:
        study_runs.make_runs(runs, 1)
    assert "\n" not in str(caught.value)
    assert [run.name for run in runs if run.finished] == ["uniform/seed-0"]
    first = runs[0].result()
    study_runs.make_runs(runs, 2)
    assert all(run.finished for run in runs)
    assert runs[0].result() == first


def test_what_goes_wrong_ends_the_runs_in_work(here: Path, forked: Callable) -> None:
    def waits_or_dies(run: Run, parent: object) -> None:
        if run.name == "uniform/seed-0":
            (here / "pid").write_text(str(os.getpid()))
            time.sleep(60)
        while not (here / "pid").exists() or not (here / "pid").read_text():
            time.sleep(0.01)
        os._exit(1)

    forked(waits_or_dies)
    with pytest.raises(InputError, match="run rising/seed-0"):
        study_runs.make_runs(study.runs_of(small(), here / "out", here / "evaluation"), 2)
    with pytest.raises(ProcessLookupError):
        os.kill(int((here / "pid").read_text()), 0)


@pytest.mark.slow
def test_two_workers_killed_and_resumed_make_the_figures_of_one_that_was_left_alone(here: Path) -> None:
    (here / "study.yaml").write_text(yaml.safe_dump(SMALL))

    def command(out: str, *words: str) -> subprocess.Popen[bytes]:
        words = (sys.executable, "-m", "pipelines.main", "study", "curriculum", "study.yaml", "--out", out, *words)
        return subprocess.Popen(words, env=os.environ | {"PYTHONPATH": str(ROOT)})

    assert command("alone").wait() == 0
    killed = command("killed", "--workers", "2")
    while not list((here / "killed").rglob("step-*.pt")):
        assert killed.poll() is None
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert command("killed", "--workers", "2", "--resume").wait() == 0
    kinds = ("result.json", "weights.pt", "log.jsonl", "figures.json")
    assert files_of(here / "killed", *kinds) == files_of(here / "alone", *kinds)


# What is refused.


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            ["baseline=unifrom"],
            "baseline must be one of uniform, light-to-heavy, competence, heavy-to-light, got 'unifrom'",
        ),
        (["curricula={uniform: {name: uniform}}"], "number of curricula must be between 2 and 100, got 1"),
        (["curricula={uniform: {name: uniform}, a b: {name: uniform}}"], "curricula must be named by .*got 'a b'"),
        (["curricula.competence.name=best"], "curriculum.name must be one of .*got 'best'"),
        (["curricula.competence.reached=1"], "curricula.competence.reached must be a known key"),
        (["seeds=1"], "seeds must be between 2 and 1000, got 1"),
        (["train.seed=3"], "train.seed must be left out of a study, got 3. See seeds"),
        (["train.curriculum={name: competence}"], "train.curriculum must be left out of a study, got"),
        (["train.data.workers=2"], "train.data.workers must be left out of a study, got 2. See --workers"),
        (["train.data.validation_crop_px=64"], "train.data.validation_crop_px must be left out of a study, got 64"),
        (["train.data.validation_shards=x"], "train.data.validation_shards must be left out of a study, got 'x'"),
        (["train.steps=0"], "steps must be between 1"),
        (["evaluation.shards=x"], "evaluation must name exactly one of photographs and shards, got both"),
        (["evaluation.photographs=null"], "evaluation must name exactly one of photographs and shards, got neither"),
        (["evaluation.samples_per_class=0"], "evaluation.samples_per_class must be between 1"),
        (["learning_curve_every_steps=0"], "learning_curve_every_steps must be between 1"),
        (["epochs=3"], "epochs must be a known key"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_a_wrong_config_is_refused_in_one_line(settings: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_config(CurriculumStudy, CONFIG, settings)
    assert "\n" not in str(caught.value)


def test_the_config_of_the_repository_loads() -> None:
    config = load_config(CurriculumStudy, CONFIG)
    assert config.training("competence", 3, Path("evaluation")).seed == 3
    opening = CONFIG.read_text().splitlines()[1]
    assert "rainsynth study curriculum configs/study/curriculum.yaml" in opening


def test_a_photograph_in_both_folders_is_refused_whatever_its_name(
    here: Path, run: Callable[..., tuple[int, str, str]]
) -> None:
    shutil.copy(here / "photos" / "b.png", here / "heldout" / "z.png")
    wanted = SMALL | {"evaluation": {"photographs": "heldout"}}
    (here / "study.yaml").write_text(yaml.safe_dump(wanted))
    code, _, error = run("study", "curriculum", "study.yaml", "--out", "out")
    assert code == 2
    assert error.startswith(
        "rainsynth: evaluation must have photographs that are not trained on, got z.png, which is b.p"
    )
    assert error.count("\n") == 1
    assert not (here / "out").exists()


def test_shards_of_a_photograph_that_is_trained_on_are_refused(here: Path) -> None:
    trained = SMALL["train"] | {"data": {"shards": "evaluation", "patch_px": 16}}
    with pytest.raises(InputError, match=r"^evaluation must have photographs that are not trained on, got c\.png"):
        study_curricula(small(train=trained), here / "out", workers=1)


def test_a_folder_that_is_not_empty_and_a_changed_config_are_refused(here: Path) -> None:
    (here / "out").mkdir()
    study.begin(small(), here / "out")
    with pytest.raises(InputError, match=r"^--out must be a new or empty folder"):
        study_curricula(small(), here / "out", workers=1)
    longer = SMALL["train"] | {"steps": STEPS + 1}
    with pytest.raises(InputError, match=rf"^train\.steps must be {STEPS} to resume .*, got {STEPS + 1}\."):
        study_curricula(small(train=longer), here / "out", workers=1, resume=True)
    fewer = {"uniform": {"name": "uniform"}, "other": {"name": "competence"}}
    with pytest.raises(InputError, match=r"^curricula\.other\..* must be 'absent' to resume"):
        study_curricula(small(curricula=fewer), here / "out", workers=1, resume=True)
    with pytest.raises(InputError, match=r"^--resume must name a folder with a study, got .* without study\.json"):
        study_curricula(small(), here / "photos", workers=1, resume=True)
