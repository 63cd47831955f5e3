"""`rainsynth derain` on pictures and folders: nothing lost, nothing overwritten, one line for a mistake."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from mspfn.checkpoint import load_weights, save_weights
from mspfn.inference import derain
from mspfn.networks import build_network
from pipelines import main
from pipelines.derain_pictures import GAP_PX, derain_pictures, side_by_side
from rainsynth.checks import InputError
from rainsynth.pictures import read_photo


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, output and error output of `rainsynth WORDS`."""
    before = sys.argv
    sys.argv = ["rainsynth", *map(str, words)]
    try:
        with pytest.raises(SystemExit) as exit_:
            main.main()
    finally:
        sys.argv = before
    told = capsys.readouterr()
    return int(exit_.value.code or 0), told.out, told.err


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    save_weights(path, build_network("mspfn-demo", channels=8, fine_fusion_units=1, zero_output=False))
    return path


@pytest.fixture
def folder(tmp_path: Path, photo_srgb8: np.ndarray) -> Path:
    photos = tmp_path / "photos"
    (photos / "deep").mkdir(parents=True)
    for index, name in enumerate(("a.png", "b.png", "deep/a.png", "deep/wide.jpg")):
        shown = photo_srgb8[: 40 if "wide" in name else 48]
        Image.fromarray(np.roll(shown, index, axis=1)).save(photos / name)
    return photos


def negative(pictures: np.ndarray) -> np.ndarray:
    """What stands for a network where only files matter."""
    return np.iinfo(pictures.dtype).max - pictures


def names_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_folder_keeps_its_tree_and_names_and_equal_sizes_go_together(folder, tmp_path):
    sizes = []

    def spy(pictures: np.ndarray) -> np.ndarray:
        sizes.append(pictures.shape[:3])
        return negative(pictures)

    outcome = derain_pictures(folder, tmp_path / "out", spy, batch=2)
    assert (outcome.written, outcome.found, outcome.broken) == (4, 0, ())
    assert names_in(tmp_path / "out") == names_in(folder)
    assert sorted(sizes) == [(1, 40, 64), (1, 48, 64), (2, 48, 64)]
    for name in ("a.png", "b.png", "deep/a.png"):
        np.testing.assert_array_equal(read_photo(tmp_path / "out" / name), 255 - read_photo(folder / name))


@pytest.mark.parametrize("bits", [8, 16])
def test_the_verb_derains_as_the_function_does(bits, folder, weights, tmp_path, capsys, photo_srgb8):
    rainy = photo_srgb8 if bits == 8 else photo_srgb8.astype(np.uint16) * 257 + 3
    (tmp_path / "a.png").write_bytes(cv2.imencode(".png", rainy[..., ::-1])[1].tobytes())
    words = ["derain", tmp_path / "a.png", "-o", tmp_path / "b.png", "--weights", weights, "--ensemble"]
    code, told, _ = run(capsys, *words, "--device", "cpu")
    assert code == 0 and "wrote 1 picture to" in told
    stored = np.frombuffer((tmp_path / "b.png").read_bytes(), np.uint8)
    derained = cv2.imdecode(stored, cv2.IMREAD_UNCHANGED)[..., ::-1]
    np.testing.assert_array_equal(derained, derain(rainy, load_weights(weights), ensemble=True))
    assert not np.array_equal(derained, derain(rainy, load_weights(weights)))


def test_transparency_and_grey_come_back(tmp_path, photo_srgb8):
    clear = np.dstack([photo_srgb8, photo_srgb8[..., 0] // 2])
    Image.fromarray(clear).save(tmp_path / "clear.png")
    Image.fromarray(photo_srgb8[..., 0]).save(tmp_path / "grey.png")
    for name in ("clear.png", "grey.png"):
        derain_pictures(tmp_path / name, tmp_path / f"out_{name}", negative)
    found = np.array(Image.open(tmp_path / "out_clear.png"))
    np.testing.assert_array_equal(found, np.dstack([255 - clear[..., :3], clear[..., 3]]))
    np.testing.assert_array_equal(np.array(Image.open(tmp_path / "out_grey.png")), 255 - photo_srgb8[..., 0])


def test_a_stopped_run_goes_on_and_what_is_there_is_left(folder, tmp_path):
    seen = []

    def stops_after_two(pictures: np.ndarray) -> np.ndarray:
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(pictures)
        return negative(pictures)

    with pytest.raises(KeyboardInterrupt):
        derain_pictures(folder, tmp_path / "out", stops_after_two)
    done = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in names_in(tmp_path / "out")}
    assert len(done) == 2
    outcome = derain_pictures(folder, tmp_path / "out", negative)
    assert (outcome.written, outcome.found) == (2, 2)
    assert all((tmp_path / "out" / name).stat().st_mtime_ns == time for name, time in done.items())
    assert names_in(tmp_path / "out") == names_in(folder)


def test_broken_pictures_are_named_after_the_others_are_done(folder, weights, tmp_path, capsys):
    (folder / "cut.jpg").write_bytes((folder / "deep/wide.jpg").read_bytes()[:600])
    words = ["derain", folder, "-o", tmp_path / "out", "--weights", weights]
    code, _, error = run(capsys, *words)
    assert code == 2 and error.count("\n") == 1
    assert "cut.jpg must be a readable picture" in error and "--skip-broken" in error
    assert len(names_in(tmp_path / "out")) == 4
    code, told, _ = run(capsys, *words, "--skip-broken")
    assert code == 0 and "cut.jpg must be a readable picture" in told and "4 were there already" in told


def test_a_folder_of_broken_pictures_alone_is_a_mistake(tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match="must hold a picture that can be read, got none"):
        derain_pictures(tmp_path / "photos", tmp_path / "out", negative)


def test_side_by_sides_stand_beside_the_output(folder, tmp_path):
    derain_pictures(folder, tmp_path / "out", negative, compare=True)
    assert names_in(tmp_path / "out_compare") == names_in(folder)
    derain_pictures(folder / "a.png", tmp_path / "one.png", negative, compare=True)
    both, rainy = read_photo(tmp_path / "one_compare.png"), read_photo(folder / "a.png")
    assert both.shape == (48, 2 * 64 + GAP_PX, 3)
    np.testing.assert_array_equal(both[:, :64], rainy)
    np.testing.assert_array_equal(both[:, -64:], read_photo(tmp_path / "one.png"))
    np.testing.assert_array_equal(both, side_by_side(rainy, 255 - rainy))


def test_an_input_is_never_overwritten_by_whatever_name(folder, tmp_path):
    before = {name: (folder / name).read_bytes() for name in names_in(folder)}
    (tmp_path / "link").symlink_to(folder)
    (tmp_path / "a.png").symlink_to(folder / "a.png")
    (tmp_path / "hard.png").hardlink_to(folder / "a.png")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "deep").symlink_to(folder / "deep")
    for source, output in (
        (folder, folder),
        (folder, folder / "out"),
        (folder, tmp_path / "link"),
        (folder, tmp_path / "link" / "out"),
        (folder, tmp_path / "out"),
        (folder / "a.png", folder / "a.png"),
        (folder / "a.png", tmp_path / "a.png"),
        (folder / "a.png", tmp_path / "hard.png"),
        (folder / "a.png", tmp_path / "link"),
    ):
        with pytest.raises(InputError, match="--output must"):
            derain_pictures(source, output, negative)
    assert {name: (folder / name).read_bytes() for name in names_in(folder)} == before


class Harmful:
    """Code that a pickle would run."""

    def __reduce__(self) -> tuple[object, ...]:
        return (Path("harmed").write_text, ("yes",))


MISTAKES = {
    "no input": (["-o", "b.png"], "must have one input"),
    "no output": (["a.png"], "must have --output"),
    "two inputs": (["a.png", "-o", "b.png", "--camera", "0"], "must have one input"),
    "a camera's option": (["a.png", "-o", "b.png", "--seconds", "3"], "--seconds must go with --camera"),
    "nothing there": (["absent.png", "-o", "b.png"], "absent.png must be a picture file, got nothing there"),
    "no folder there": (["absent", "-o", "b"], "absent must be a picture, a folder of pictures or a video"),
    "no video": (["notes.txt", "-o", "b.mp4"], "notes.txt must be a picture or a video that FFmpeg can read"),
    "a cut video": (["cut.mp4", "-o", "b.mp4"], "cut.mp4 must be a picture or a video that FFmpeg can read"),
    "no pixels": (["zero.png", "-o", "b.png"], "zero.png must be a readable picture"),
    "an empty file": (["empty.png", "-o", "b.png"], "empty.png must be a readable picture"),
    "an empty folder": (["empty", "-o", "b"], "must hold at least one picture"),
    "output is input": (["a.png", "-o", "./a.png"], "must not be the input"),
    "a file for a folder": (["photos", "-o", "a.png"], "--output must be a folder"),
    "a picture as a film": (["a.png", "-o", "b.mp4"], "b.mp4 must end in one of .png"),
    "a picture in no format": (["a.png", "-o", "b"], "b must end in one of .png"),
    "no weights": (["a.png", "-o", "b.png", "--weights", "absent.pt"], "absent.pt"),
    "a folder of weights": (["a.png", "-o", "b.png", "--weights", "photos"], "must be the path of a file"),
    "another network's weights": (["a.png", "-o", "b.png", "--weights", "other.pt"], "Are they another network's?"),
    "cut weights": (["a.png", "-o", "b.png", "--weights", "cut.pt"], "cut.pt must be a whole weights file"),
    "pickled weights": (["a.png", "-o", "b.png", "--weights", "pickled.pt"], "got pickled code, which is not run"),
    "a small tile": (["a.png", "-o", "b.png", "--tile-px", "20"], "tile_px must be between 64"),
    "no batch": (["photos", "-o", "b", "--batch", "0"], "--batch must be between 1"),
    "no such device": (["a.png", "-o", "b.png", "--device", "tpu"], "--device must be one of auto, cpu, cuda"),
    "a film's option": (["a.png", "-o", "b.png", "--crf", "20"], "--crf must go with a video"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_line_and_exit_code_2(mistake, folder, weights, capsys, monkeypatch):
    monkeypatch.chdir(folder.parent)
    (folder / "a.png").rename("a.png")
    Path("empty").mkdir()
    Path("empty.png").write_bytes(b"")
    Path("notes.txt").write_text("rain")
    Path("cut.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(400))
    whole = Path("a.png").read_bytes()
    Path("zero.png").write_bytes(whole[:16] + bytes(8) + whole[24:])  # a width and height of 0
    Path("cut.pt").write_bytes(weights.read_bytes()[:-2000])
    if "pickled" in mistake:
        torch.save(Harmful(), "pickled.pt")
    if "another" in mistake:
        content = torch.load(weights, weights_only=True)
        content["network"]["config"]["channels"] = 16
        torch.save(content, "other.pt")
    words, expected = MISTAKES[mistake]
    words = words if "--weights" in words else [*words, "--weights", weights]
    code, _, error = run(capsys, "derain", *words)
    assert code == 2, error
    assert expected in error
    assert error.startswith("rainsynth: ") and error.count("\n") == 1
    assert not list(Path.cwd().glob("b*")) and not list(Path.cwd().rglob("*.part*"))
    assert not Path("harmed").exists()
