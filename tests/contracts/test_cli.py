"""The command line: exit codes, one line for a mistake, and nothing lost."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from mspfn.checkpoint import load_weights, save_weights
from mspfn.inference import derain
from mspfn.networks import build_network
from rainsynth.metrics import psnr_y
from rainsynth.pictures import read_photo

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a.png", "deep/b.png"):
        Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    save_weights(tmp_path / "weights.pt", build_network("mspfn-demo", fine_fusion_units=1, channels=8))
    return tmp_path / "weights.pt"


MISTAKES = {
    "no such folder": (["generate", "absent", "--preset", "heavy", "--samples", "2", "--out", "out"], "absent"),
    "no pictures": (
        ["generate", "empty", "--preset", "heavy", "--samples", "2", "--out", "out"],
        "at least one picture",
    ),
    "cut JPEG": (
        ["generate", "cut", "--preset", "heavy", "--samples", "1", "--out", "out", "--workers", "1"],
        "cut.jpg",
    ),
    "negative rate": (
        ["generate", "photos", "--preset", "heavy", "--rain-rate", "-5", "3", "--samples", "2", "--out", "out"],
        "rain_rate_mm_h must be between 0.001 and 500, got -5",
    ),
    "unknown preset": (["generate", "photos", "--preset", "hevy", "--samples", "2", "--out", "out"], "got 'hevy'"),
    "no samples": (["generate", "photos", "--preset", "heavy", "--samples", "0", "--out", "out"], "samples must be"),
    "nothing said": (["generate"], "generate must have PHOTOS"),
    "unknown layer": (
        ["generate", "photos", "--preset", "heavy", "--samples", "2", "--layers", "fog", "--out", "out"],
        "got 'fog'",
    ),
    "unknown option": (["generate", "photos", "--presett", "heavy"], "--presett"),
    "unknown verb": (["generat"], "generat"),
    "unknown key": (["train", "bad.yaml", "--out", "out"], "optimiser must be a known key"),
    "no config": (["train", "absent.yaml", "--out", "out"], "absent.yaml"),
    "no shards": (["inspect", "empty"], "empty"),
    "shard cut in half": (["inspect", "halved"], "must be a whole rainsynth shard"),
    "training on a cut shard": (["train", "cut.yaml", "--out", "out"], "must be a whole rainsynth shard"),
    "preview of nothing": (["preview", "absent.jpg", "-o", "sheet.png"], "absent.jpg must be a picture file"),
    "weights that are none": (["derain", "photos", "-o", "out", "--weights", "bad.yaml"], "bad.yaml"),
    "pairs without target": (["evaluate", "--weights", "weights.pt", "--pairs", "photos"], "as input/NAME and target/"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(
    mistake: str, photos: Path, weights: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    Path("empty").mkdir()
    Path("cut").mkdir()
    Image.fromarray(np.random.default_rng(1).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save("cut/cut.jpg")
    Path("cut/cut.jpg").write_bytes(Path("cut/cut.jpg").read_bytes()[:1500])
    Path("halved").mkdir()
    Path("halved/shard-00000.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(4000))
    Path("bad.yaml").write_text("steps: 3\ndata: {shards: x}\noptimiser: {}\n")
    Path("cut.yaml").write_text("steps: 3\ndata: {shards: halved}\n")
    words, expected = MISTAKES[mistake]
    code, _, error = run(*words)
    assert code == 2
    assert expected in error
    assert error.startswith("rainsynth: ")
    assert error.count("\n") == 1
    assert not list(photos.parent.rglob("*.part"))


def test_pictures_are_derained_with_their_tree_and_names(photos: Path, weights: Path, tmp_path: Path, run: Run) -> None:
    before = {path: path.read_bytes() for path in photos.rglob("*.png")}
    assert run("derain", photos, "-o", tmp_path / "out", "--weights", weights)[0] == 0
    assert sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png")) == [
        "a.png",
        "deep/b.png",
    ]
    assert {path: path.read_bytes() for path in photos.rglob("*.png")} == before
    assert run("derain", photos / "a.png", "-o", tmp_path / "one.png", "--weights", weights)[0] == 0
    np.testing.assert_array_equal(read_photo(tmp_path / "one.png"), read_photo(tmp_path / "out" / "a.png"))
    code, _, error = run("derain", photos / "a.png", "-o", photos / "a.png", "--weights", weights)
    assert (code, "must not be the input" in error) == (2, True)


def test_evaluate_writes_the_figures_of_paired_folders(photos: Path, weights: Path, tmp_path: Path, run: Run) -> None:
    rng = np.random.default_rng(2)
    for part in ("input", "target"):
        (tmp_path / "pairs" / part).mkdir(parents=True)
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)).save(tmp_path / "pairs" / part / "1.png")
    code, _, _ = run(
        "evaluate", "--weights", weights, "--pairs", tmp_path / "pairs", "--json", tmp_path / "figures.json"
    )
    assert code == 0
    figures = json.loads((tmp_path / "figures.json").read_text())
    rainy, target = (read_photo(tmp_path / "pairs" / part / "1.png") for part in ("input", "target"))
    derained = derain(rainy, load_weights(weights))
    assert figures["pictures"] == 1
    assert figures["psnr_y_rainy"] == pytest.approx(psnr_y(rainy, target))
    assert figures["psnr_y_derained"] == pytest.approx(psnr_y(derained, target))
    Image.fromarray(target[:20]).save(tmp_path / "pairs" / "target" / "1.png")
    code, _, error = run("evaluate", "--weights", weights, "--pairs", tmp_path / "pairs")
    assert (code, "input/1.png must have the size of" in error) == (2, True)


def test_generate_train_and_evaluate_go_together(photos: Path, tmp_path: Path, run: Run) -> None:
    data, trained = tmp_path / "rain", tmp_path / "run"
    words = ["generate", photos, "--preset", "violent", "--samples", 4, "--out", data, "--workers", 1]
    assert run(*words)[0] == 0
    (tmp_path / "train.yaml").write_text(
        f"data: {{shards: {data}, target: veiled, patch_px: 16, batch_size: 2}}\nsteps: 2\nloss: psnr\n"
        "network: {name: mspfn-demo, overrides: {fine_fusion_units: 1, channels: 8}}\n"
    )
    assert run("train", tmp_path / "train.yaml", "--out", trained)[0] == 0
    assert (trained / "training_curve.png").stat().st_size > 1000
    code, told, _ = run(
        "evaluate", "--weights", trained / "weights.pt", "--pairs", data, "--target", "veiled",
        "--json", tmp_path / "figures.json",
    )  # fmt: skip
    assert code == 0
    assert "violent" in told
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert figures["per_class"]["violent"]["pictures"] == 4
    assert "psnr_y_streaks_derained" in figures
    assert run("verify", data)[0] == 0
    (data / "shard-00000.h5").write_bytes((data / "shard-00000.h5").read_bytes()[:-100])
    code, told, _ = run("verify", data)
    assert (code, "shard-00000.h5" in told) == (1, True)


def test_without_a_verb_the_verbs_are_listed(run: Run) -> None:
    code, told, _ = run()
    assert code == 0
    assert all(verb in told for verb in ("generate", "train", "derain", "evaluate", "demo"))


def test_the_installed_command_runs() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "rainsynth", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0
    assert "generate" in done.stdout


def test_rendering_a_data_set_needs_no_torch() -> None:
    code = "import sys, pipelines.cli, pipelines.generate, pipelines.verify, pipelines.inspect, pipelines.preview\n"
    code += "sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# What a shell starts in the background is deaf to Ctrl-C, tests and their children too: this one is to hear it.
LISTENING = (
    "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from pipelines.main import main; main()"
)


def test_ctrl_c_ends_a_verb_with_one_line_and_its_workers_with_it(photos: Path, tmp_path: Path) -> None:
    words = ["generate", str(photos), "--preset", "heavy", "--samples", "5000", "--workers", "1", "--out", "out"]
    words += ["--set", "samples_per_shard=2"]
    command = [sys.executable, "-c", LISTENING, *words]
    environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    deadline_s = time.monotonic() + 300
    while not list(tmp_path.glob("out/shard-*.h5")) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the verb and its workers
    said = process.communicate(timeout=120)[1]
    assert process.returncode == 130
    assert said.splitlines()[-1].startswith("rainsynth: stopped. What was finished is kept")
    assert "Traceback" not in said
    while living(process.pid):
        assert time.monotonic() < deadline_s
        time.sleep(0.1)


def living(group: int) -> list[psutil.Process]:
    """Processes of a group that still run."""
    found = []
    for process in psutil.process_iter(["status"]):
        try:
            if os.getpgid(process.pid) == group and process.info["status"] != psutil.STATUS_ZOMBIE:
                found.append(process)
        except ProcessLookupError:
            continue
    return found
