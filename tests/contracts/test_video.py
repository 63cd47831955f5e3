"""Rain on videos: frames out as they came in, whole or not at all, and the same after a stop."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pipelines.video import bundled_gif, write_gif, write_mp4
from rainsynth import render_sequence
from rainsynth.pictures import read_photo
from rainsynth.presets import draw_rain

FRAMES = 5
SIZE = (64, 48)


@pytest.fixture
def frames(tmp_path: Path, photo_srgb8: np.ndarray) -> Path:
    """A camera that pans; unpadded numbers, so that their order is not that of the alphabet."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for k in range(FRAMES):
        Image.fromarray(np.roll(photo_srgb8, 3 * k, axis=1)).save(folder / f"frame{2 * k + 4}.png")
    return folder


@pytest.fixture
def film(tmp_path: Path, photo_srgb8: np.ndarray) -> Path:
    path = tmp_path / "film.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, SIZE)
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no MPEG-4")
    for k in range(FRAMES):
        writer.write(np.ascontiguousarray(np.roll(photo_srgb8, 3 * k, axis=1)[..., ::-1]))
    writer.release()
    return path


def frames_of(path: Path) -> list[np.ndarray]:
    video, pictures = cv2.VideoCapture(str(path)), []
    while (read := video.read())[0]:
        pictures.append(read[1][..., ::-1])
    return pictures


def pictures_of(folder: Path) -> list[np.ndarray]:
    return [read_photo(path) for path in sorted(folder.glob("*.png"))]


def test_frames_of_a_folder_are_rained_on_in_the_order_of_their_numbers(frames, tmp_path, run):
    out = tmp_path / "rain"
    words = ["generate", frames, "--video", "--preset", "heavy", "--seed", 4, "--out", out]
    code, told, _ = run(*words, "--camera-velocity-m-s", 0, 0, 8)
    assert code == 0 and f"{FRAMES} pairs of frames, rain.mp4 and rain.gif" in told
    clean = [read_photo(frames / f"frame{2 * k + 4}.png") for k in range(FRAMES)]
    np.testing.assert_array_equal(pictures_of(out / "target"), clean)
    event, camera = draw_rain("heavy", *SIZE, 4, 0)
    samples = list(render_sequence(clean, event, camera, frame_rate_hz=25.0, seed=4, camera_motion=(0, 0, 8)))
    np.testing.assert_array_equal(pictures_of(out / "input"), [sample.rainy_srgb8 for sample in samples])
    parameters = json.loads((out / "parameters.json").read_text())
    assert parameters["weather"]["rain_rate_mm_h"] == event.rain_rate_mm_h
    assert parameters["camera"]["exposure_s"] == camera.exposure_s
    assert [record["source"] for record in parameters["frames"]] == [f"frame{2 * k + 4}.png" for k in range(FRAMES)]
    assert [record["drop_count"] for record in parameters["frames"]] == [s.parameters["drop_count"] for s in samples]
    assert len(frames_of(out / "rain.mp4")) == FRAMES
    with Image.open(out / "rain.gif") as gif:
        assert (gif.n_frames, gif.size, gif.info["duration"]) == (FRAMES, SIZE, 40)


def test_a_video_file_keeps_its_frame_rate(film, tmp_path, run):
    out = tmp_path / "rain"
    code, _, _ = run("generate", film, "--video", "--preset", "light", "--rain-rate", 1, 2, "--out", out)
    assert code == 0
    np.testing.assert_array_equal(pictures_of(out / "target"), frames_of(film))
    parameters = json.loads((out / "parameters.json").read_text())
    assert parameters["rain"]["frame_rate_hz"] == 30.0
    assert 1 <= parameters["weather"]["rain_rate_mm_h"] <= 2
    assert parameters["frames"][3]["time_s"] == pytest.approx(0.1)
    assert cv2.VideoCapture(str(out / "rain.mp4")).get(cv2.CAP_PROP_FPS) == 30.0


@pytest.mark.parametrize("source", ["frames", "film"])
@pytest.mark.parametrize("writes", [2, 5, 7])
def test_a_run_that_was_stopped_goes_on_to_the_same_files(source, writes, request, tmp_path, run, monkeypatch):
    words = ["generate", request.getfixturevalue(source), "--video", "--preset", "windy", "--out"]
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    assert run(*words, whole)[0] == 0
    with monkeypatch.context() as patched:
        patched.setattr("pipelines.video.write_picture", stops_after(writes))
        assert run(*words, stopped)[0] != 0
    assert not (stopped / "parameters.json").exists()
    with (stopped / ".frames.jsonl").open("a") as journal:
        journal.write('{"file": "000')  # as a stop in the middle of a line leaves it
    assert run(*words, stopped, "--resume")[0] == 0
    for part in ("input/*.png", "target/*.png", "*.json", "*.gif", ".frames*"):
        one, two = ({path.name: path.read_bytes() for path in folder.glob(part)} for folder in (whole, stopped))
        assert one == two
    assert len(frames_of(stopped / "rain.mp4")) == FRAMES
    assert run(*words, stopped, "--resume")[0] == 0  # nothing is left to do
    assert run(*words, stopped, "--resume", "--seed", 9)[0] == 2


def stops_after(writes: int):
    """A write_picture that is interrupted instead of its next call."""
    from rainsynth.pictures import write_picture

    written = []

    def write(path: Path, picture: np.ndarray) -> None:
        if len(written) == writes:
            raise KeyboardInterrupt
        written.append(path)
        write_picture(path, picture)

    return write


def test_no_frame_is_exposed_longer_than_it_lasts(frames, tmp_path, run):
    words = [
        "generate",
        frames,
        "--video",
        "--preset",
        "long-exposure",
        "--frame-rate-hz",
        100,
        "--out",
        tmp_path / "o",
    ]
    code, told, _ = run(*words)
    assert code == 0 and "exposure: 0.01 s, as long as a frame lasts" in told
    assert json.loads((tmp_path / "o" / "parameters.json").read_text())["camera"]["exposure_s"] == 0.01


def test_without_an_mp4_writer_there_is_a_gif_and_a_word(frames, tmp_path, run, monkeypatch):
    class Unable:
        fourcc = staticmethod(cv2.VideoWriter.fourcc)

        def __init__(self, *_: object) -> None: ...

        def isOpened(self) -> bool:
            return False

    monkeypatch.setattr(cv2, "VideoWriter", Unable)
    code, told, _ = run("generate", frames, "--video", "--preset", "heavy", "--out", tmp_path / "rain")
    assert code == 0 and "no rain.mp4: this OpenCV cannot write MPEG-4" in told
    assert sorted(path.name for path in (tmp_path / "rain").iterdir()) == [
        "input", "parameters.json", "plan.json", "rain.gif", "target",
    ]  # fmt: skip


MISTAKES = {
    "no frames": (["empty"], "must hold at least one picture"),
    "no such folder": (["absent"], "absent"),
    "no video": (["notes.txt"], "notes.txt must be a video that OpenCV can read, or a folder of frames"),
    "unequal sizes": (["unequal"], "frames must have one size, got 40x40 for b.png and 64x48 for a.png"),
    "a cut frame": (["cut"], "cut.jpg"),
    "no rate": (["frames", "--frame-rate-hz", "0"], "--frame-rate-hz must be between 0.1 and 1000, got 0"),
    "a number of samples": (["frames", "--samples", "3"], "--video must stand without --samples"),
    "a full folder": (["frames", "--out", "frames"], "must be a new or empty folder"),
    "a fast car": (["frames", "--camera-velocity-m-s", "0", "0", "400"], "Divide by 3.6"),
    "a rate upside down": (["frames", "--rain-rate", "50", "5"], "low then high"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(mistake, frames, photo_srgb8, run, monkeypatch):
    monkeypatch.chdir(frames.parent)
    for folder in ("empty", "unequal", "cut"):
        Path(folder).mkdir()
    Path("notes.txt").write_text("rain")
    Image.fromarray(photo_srgb8).save("unequal/a.png")
    Image.fromarray(photo_srgb8[:40, :40]).save("unequal/b.png")
    Image.fromarray(photo_srgb8).save("cut/cut.jpg")
    Path("cut/cut.jpg").write_bytes(Path("cut/cut.jpg").read_bytes()[:700])
    words, expected = MISTAKES[mistake]
    code, _, error = run("generate", "--video", "--preset", "heavy", "--out", "out", *words)
    assert code == 2
    assert expected in error
    assert error.startswith("rainsynth: ") and error.count("\n") == 1
    assert not list(Path.cwd().rglob("*.part*"))


def test_video_options_need_a_video_and_a_video_needs_a_preset(frames, film, tmp_path, run):
    out = tmp_path / "out"
    code, _, error = run("generate", frames, "--preset", "heavy", "--frame-rate-hz", 30, "--out", out)
    assert (code, "must go with --video" in error) == (2, True)
    code, _, error = run("generate", frames, "--video", "--out", out)
    assert (code, "and --preset" in error) == (2, True)
    code, _, error = run("generate", film, "--video", "--preset", "heavy", "--depth", frames, "--out", out)
    assert (code, "--depth must go with a folder of frames" in error) == (2, True)
    assert not out.exists()


def test_depth_of_frames_comes_from_their_maps(frames, tmp_path, run):
    for k in range(FRAMES):
        np.save(frames / f"frame{2 * k + 4}.npy", np.full(SIZE[::-1], 0.2 if k == 0 else 40.0))
    words = ["generate", frames, "--video", "--preset", "heavy", "--depth", frames, "--out", tmp_path / "rain"]
    assert run(*words)[0] == 0
    counts = [f["drop_count"] for f in json.loads((tmp_path / "rain" / "parameters.json").read_text())["frames"]]
    assert counts[0] == 0 and min(counts[1:]) > 0  # no drop before a wall that is nearer than any


def test_a_gif_holds_its_pictures_in_their_order_and_size(tmp_path):
    shades = [np.full((300, 400, 3), 20 * k, np.uint8) for k in range(6)]
    write_gif(tmp_path / "a.gif", shades, 10.0)
    with Image.open(tmp_path / "a.gif") as gif:
        assert (gif.n_frames, gif.size, gif.info["duration"]) == (6, (320, 240), 100)
        for k in range(6):
            gif.seek(k)
            assert np.abs(np.array(gif.convert("RGB"), dtype=int) - 20 * k).max() <= 2


def test_an_mp4_shows_its_pictures_but_for_an_odd_last_row_and_column(film, tmp_path):
    shades = [np.full((49, 65, 3), (40 * k, 100, 200), np.uint8) for k in range(4)]
    assert write_mp4(tmp_path / "a.mp4", shades, 25.0)
    shown = frames_of(tmp_path / "a.mp4")
    assert len(shown) == 4
    for before, after in zip(shades, shown, strict=True):
        assert np.abs(after.astype(int) - before[:48, :64]).max() <= 6  # what MPEG-4 and its colours cost


def test_the_bundled_gif_is_small(tmp_path):
    pytest.importorskip("skimage.data", reason="the bundled photograph comes with scikit-image")
    bundled_gif(tmp_path / "rocket.gif")
    assert (tmp_path / "rocket.gif").stat().st_size < 1.5e6
    with Image.open(tmp_path / "rocket.gif") as gif:
        assert gif.n_frames == 24
