"""Depth from files: what is refused, and what a data set and a preview make of it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
from PIL import Image

from pipelines.config import build_config
from pipelines.generate import generate
from pipelines.generate_config import GenerateConfig, PhotographsConfig
from pipelines.make_shard import make_sample
from pipelines.photographs import depth_summary, find_depth, load_background, survey
from pipelines.preview import layer_sheet
from rainsynth.checks import InputError
from rainsynth.pictures import read_photo
from rainsynth.preset_choice import PresetChoice
from rainsynth.scene.background import Background
from rainsynth.scene.depth_file import read_depth_m, resized_depth_m
from rainsynth.scene.depth_fill import fill_unknown_depth_m

Run = Callable[..., tuple[int, str, str]]
METRES = np.full((24, 32), 5.0, dtype=np.float32)
STEPS = np.full((24, 32), 5000, dtype=np.uint16)  # 5 m in millimetres, 19.53125 m in steps of 1/256 m


def write_depth(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        Image.fromarray(values).save(path)
    return path


def changed(value: float, values: np.ndarray = METRES) -> np.ndarray:
    """A depth map with one odd pixel."""
    return np.where(np.arange(values.size).reshape(values.shape) == 7, value, values).astype(values.dtype)


def written(name: str, values: np.ndarray, **options: object):  # type: ignore[no-untyped-def]
    """What reads a file that holds `values`."""
    return lambda folder: read_depth_m(write_depth(folder / name, values), **options)


def of_bytes(name: str, data: bytes, **options: object):  # type: ignore[no-untyped-def]
    def act(folder: Path) -> None:
        (folder / name).write_bytes(data)
        read_depth_m(folder / name, **options)

    return act


def npz_of_two() -> bytes:
    stream = io.BytesIO()
    np.savez(stream, near=METRES, far=METRES)
    return stream.getvalue()


def pickled() -> bytes:
    stream = io.BytesIO()
    np.save(stream, np.array([{"depth": 3}], dtype=object), allow_pickle=True)
    return stream.getvalue()


def png_bytes(values: np.ndarray = STEPS) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(values).save(stream, "PNG")
    return stream.getvalue()


MISTAKES = {
    # what: (what is done in a folder, what the message must hold)
    "16-bit PNG alone": (written("d.png", STEPS), r"d\.png must .*kitti \(metres = value / 256\), nyu \(millim"),
    "16-bit TIFF alone": (written("d.tif", STEPS), r"d\.tif must .*convention.*scale_m"),
    "8-bit PNG": (written("d.png", STEPS.astype(np.uint8), convention="kitti"), "8-bit L picture.*16-bit"),
    "8-bit colour PNG": (written("d.png", np.zeros((9, 9, 3), np.uint8), scale_m=1.0), "8-bit RGB"),
    "whole numbers": (written("d.npy", STEPS), "floating-point array .* got .npy of uint16.*millimetres"),
    "whole numbers as npy": (written("d.npy", STEPS, convention="npy"), "floating-point array .* got .npy of uint16"),
    "array as kitti": (written("d.npy", METRES, convention="kitti"), "16-bit PNG for convention kitti"),
    "picture as npy": (written("d.png", STEPS, convention="npy"), "floating-point array"),
    "float picture as nyu": (written("d.tif", METRES, convention="nyu"), "16-bit PNG for convention nyu"),
    "unknown convention": (written("d.png", STEPS, convention="mm"), "one of auto, npy, kitti, nyu, scale, got 'mm'"),
    "scale without scale": (written("d.png", STEPS, convention="scale"), "scale_m must be given"),
    "scale of kitti": (written("d.png", STEPS, convention="kitti", scale_m=0.1), "scale_m must go with"),
    "scale of zero": (written("d.png", STEPS, scale_m=0.0), "scale_m must be between"),
    "scale of NaN": (written("d.png", STEPS, scale_m=float("nan")), "scale_m must be between"),
    "negative": (written("d.npy", changed(-1.0)), "depth_m between 0.01 and 60000, got -1"),
    "infinite": (written("d.npy", changed(np.inf)), "got inf. NaN or 0 is unknown"),
    "under a centimetre": (written("d.png", changed(2, STEPS), convention="nyu"), "got 0.002"),
    "millimetres as metres": (written("d.npy", METRES * 1e5), "got 500000. Is the scale right"),
    "all NaN": (written("d.npy", METRES * np.nan), "for some pixel"),
    "all zero": (written("d.png", STEPS * 0, convention="nyu"), "for some pixel"),
    "three axes": (written("d.npy", METRES[None]), r"shape \(H, W\).*\(1, 24, 32\)"),
    "no pixels": (written("d.npy", METRES[:0]), r"shape \(H, W\)"),
    "complex": (written("d.npy", METRES * 1j, scale_m=1.0), "complex64"),
    "objects": (of_bytes("d.npy", pickled()), r"d\.npy must be a readable"),
    "two arrays": (of_bytes("d.npz", npz_of_two()), "one array, got near, far"),
    "empty array file": (of_bytes("d.npy", b""), r"d\.npy must be a readable"),
    "no array": (of_bytes("d.npy", b"not an array"), r"d\.npy must be a readable"),
    "cut npz": (of_bytes("d.npz", npz_of_two()[:300]), r"d\.npz must be a readable"),
    "cut PNG": (of_bytes("d.png", png_bytes()[:60], convention="nyu"), r"d\.png must be a readable"),
    "no picture": (of_bytes("d.png", b"not a picture", convention="nyu"), r"d\.png must be a readable"),
    "no such array": (lambda folder: read_depth_m(folder / "absent.npy"), r"absent\.npy must .*nothing there"),
    "no such picture": (lambda folder: read_depth_m(folder / "absent.png", "nyu"), r"absent\.png must .*nothing there"),
    "a folder": (read_depth_m, "must be a depth map, one of .npy"),
    "JPEG": (of_bytes("d.jpg", b""), "must be a depth map, one of .npy"),
    "resized to nothing": (lambda _: resized_depth_m(METRES, 0, 4), "height_px"),
    "nothing known": (lambda _: fill_unknown_depth_m(METRES * np.nan), "known somewhere"),
    "zero is not unknown here": (lambda _: fill_unknown_depth_m(changed(0.0)), "got 0. Unknown depth is NaN"),
    "photograph of another size": (
        lambda _: fill_unknown_depth_m(METRES, np.zeros((32, 24, 3), np.uint8)),
        "photograph's shape",
    ),
    "photograph in floats": (lambda _: fill_unknown_depth_m(changed(np.nan), np.zeros((24, 32, 3))), "image_srgb8"),
}


@pytest.fixture
def as_users_run_it():  # type: ignore[no-untyped-def]
    """Without the run-time types of the tests, which would refuse a wrong type before the package can."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_about_depth_is_refused_in_one_line_that_names_it(mistake: str, tmp_path: Path) -> None:
    act, expected = MISTAKES[mistake]
    with pytest.raises(InputError, match=expected) as caught:
        act(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


# ------------------------------ configs

COMBINATIONS = {
    "convention without a folder": ({"depth_convention": "kitti"}, "must go with depth"),
    "scale without a folder": ({"depth_scale_m": 0.001}, "must go with depth"),
    "scale of nyu": ({"depth": "d", "depth_convention": "nyu", "depth_scale_m": 0.1}, "scale_m must go with"),
    "scale without number": ({"depth": "d", "depth_convention": "scale"}, "scale_m must be given"),
    "unknown convention": ({"depth": "d", "depth_convention": "cm"}, "one of auto, npy"),
    "model without file": ({"depth_model": {"kind": "metric"}}, "depth_model.file must be given"),
    "unknown key of a model": ({"depth_model": {"file": "m", "near": 1}}, "near must be a known key"),
    "unknown kind": ({"depth_model": {"file": "m", "kind": "relative"}}, "metric, inverse, got 'relative'"),
    "inverse without depths": ({"depth_model": {"file": "m", "kind": "inverse", "near_m": 1}}, "near_m and far_m must"),
    "near beyond far": (
        {"depth_model": {"file": "m", "kind": "inverse", "near_m": 9, "far_m": 2}},
        "far_m must be over near_m 9, got 2",
    ),
    "metric with depths": ({"depth_model": {"file": "m", "near_m": 1, "far_m": 9}}, "must go with a depth model of"),
    "inverse with scale": (
        {"depth_model": {"file": "m", "kind": "inverse", "near_m": 1, "far_m": 9, "scale_m": 2}},
        "scale_m must go with a depth model of kind metric",
    ),
    "unknown colours": ({"depth_model": {"file": "m", "normalization": "zero"}}, "imagenet, half, unit, codes"),
    "half a pixel": ({"depth_model": {"file": "m", "multiple_px": 0}}, "multiple_px"),
}


@pytest.mark.parametrize("combination", COMBINATIONS)
def test_options_of_depth_that_do_not_go_together_are_refused(combination: str) -> None:
    values, expected = COMBINATIONS[combination]
    with pytest.raises(InputError, match=expected) as caught:
        build_config(PhotographsConfig, {"photographs": "p"} | values, "test")
    assert "\n" not in str(caught.value)


# ------------------------------ folders


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photographs of 32 x 24 px."""
    rng = np.random.default_rng(0)
    for name in ("a.png", "b.jpg", "deep/c.d.png"):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).save(path)
    return tmp_path / "photos"


def test_a_photograph_finds_its_map_under_every_suffix(photos: Path, tmp_path: Path) -> None:
    depth = tmp_path / "depth"
    for name, suffix in (("a.png", ".tiff"), ("b.jpg", ".png"), ("deep/c.d.png", ".npy")):
        values = METRES if suffix == ".npy" else STEPS
        path = write_depth((depth / name).with_suffix(suffix), values)
        assert find_depth(photos, name, depth) == path
    background = load_background(photos, "b.jpg", depth, convention="nyu")
    np.testing.assert_array_equal(background.depth_m, METRES)
    background = load_background(photos, "a.png", depth, scale_m=0.002)
    np.testing.assert_array_equal(background.depth_m, 2 * METRES)


def test_what_is_unknown_is_filled_and_what_is_known_stays(photos: Path, tmp_path: Path) -> None:
    holed_m = np.random.default_rng(1).uniform(2, 40, METRES.shape).astype(np.float32)
    known = np.random.default_rng(2).random(METRES.shape) < 0.3
    write_depth(tmp_path / "depth" / "a.npy", np.where(known, holed_m, np.nan))
    background = load_background(photos, "a.png", tmp_path / "depth")
    np.testing.assert_array_equal(background.depth_m[known], holed_m[known])
    expected = fill_unknown_depth_m(np.where(known, holed_m, np.nan), read_photo(photos / "a.png"))
    np.testing.assert_array_equal(background.depth_m, expected)


def test_two_maps_of_one_photograph_and_a_map_of_another_size_are_refused(photos: Path, tmp_path: Path) -> None:
    depth = tmp_path / "depth"
    write_depth(depth / "a.npy", METRES[:12])
    with pytest.raises(InputError, match=r"a\.npy must have its photograph's size 32x24, got 32x12.*resized_depth_m"):
        load_background(photos, "a.png", depth)
    write_depth(depth / "a.png", STEPS)
    with pytest.raises(InputError, match=r"one map for a\.png, got a\.npy and a\.png"):
        survey(photos, depth)


def test_a_folder_of_depth_without_any_map_is_refused_unless_it_is_the_photographs_own(
    photos: Path, tmp_path: Path
) -> None:
    write_depth(tmp_path / "depth" / "other.npy", METRES)
    with pytest.raises(InputError, match=r"for some photograph, got none in .*: a\.npy, \.npz, \.png or \.tif"):
        survey(photos, tmp_path / "depth")
    with pytest.raises(InputError, match="must be a folder of depth maps"):
        survey(photos, tmp_path / "absent")
    assert all(photo.depth == "" for photo in survey(photos, photos))  # a.png is no map of itself


def test_one_line_says_where_depth_comes_from(photos: Path, tmp_path: Path) -> None:
    write_depth(tmp_path / "depth" / "a.npy", METRES)
    model = {"file": "models/small.onnx"}
    for given, expected in (
        ({}, ""),
        ({"depth": "d"}, "depth: 1 of 3 photographs have a depth map, 2 by the level-ground prior"),
        ({"depth": "d", "depth_model": model}, "depth: 1 of 3 photographs have a depth map, 2 by the model small.onnx"),
    ):
        config = build_config(PhotographsConfig, {"photographs": "p"} | given, "test")
        assert depth_summary(survey(photos, tmp_path / "depth"), config) == expected


# ------------------------------ data sets


def config_of(photos: Path, **data: object) -> GenerateConfig:
    return GenerateConfig(
        data=PhotographsConfig(photographs=str(photos), **data),
        samples=6,
        mixture=(PresetChoice(preset="heavy"),),
        seed=3,
    )  # type: ignore[arg-type]


def test_a_data_set_records_its_maps_and_goes_on_with_the_same_alone(photos: Path, tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    depth = tmp_path / "depth"
    write_depth(depth / "a.png", STEPS)
    config = config_of(photos, depth=str(depth), depth_convention="kitti")
    manifest = generate(config, tmp_path / "out", workers=1)
    assert "1 of 3 photographs have a depth map, 2 by the level-ground prior" in capsys.readouterr().out
    assert [photo["depth"] for photo in manifest["photographs"]] == ["a.png", "", ""]
    assert len(manifest["photographs"][0]["depth_sha256"]) == 64
    assert manifest["config"]["data"]["depth_convention"] == "kitti"
    assert str(tmp_path) not in json.dumps(manifest)
    photo = survey(photos, depth)[0]
    np.testing.assert_array_equal(make_sample(config, 0, photo).depth_m, np.full((24, 32), 5000 / 256))
    write_depth(depth / "a.png", 2 * STEPS)
    with pytest.raises(InputError, match="got another photographs"):
        generate(config, tmp_path / "out", workers=1, resume=True)


# ------------------------------ command line


GENERATE = ["generate", "photos", "--preset", "heavy", "--samples", 2, "--out", "out", "--workers", 1]
PREVIEW = ["preview", "photos/a.png", "-o", "sheet.png"]
WRONG_WORDS = {
    "no folder": ([*GENERATE, "--depth", "absent"], "absent"),
    "no convention": ([*GENERATE, "--depth", "depth"], "Say kitti"),
    "unknown convention": ([*GENERATE, "--depth", "depth", "--depth-convention", "mm"], "got 'mm'"),
    "convention without folder": ([*GENERATE, "--depth-convention", "nyu"], "must go with depth"),
    "scale of zero": ([*GENERATE, "--depth", "depth", "--depth-scale-m", 0], "scale_m must be between"),
    "kind without model": ([*GENERATE, "--depth-model-kind", "metric"], "depth_model.file must be given"),
    "model of nothing": ([*GENERATE, "--depth-model", "absent.onnx"], "absent.onnx"),
    "inverse without depths": (
        [*GENERATE, "--depth-model", "m.onnx", "--depth-model-kind", "inverse"],
        "near_m and far_m must be given",
    ),
    "preview of no map": ([*PREVIEW, "--depth", "absent.npy"], "absent.npy must be a depth map"),
    "preview of a number": ([*PREVIEW, "--depth", "-3"], "depth_m must be between"),
    "preview without convention": ([*PREVIEW, "--depth", "depth/a.png"], "Say kitti"),
    "preview of a convention": ([*PREVIEW, "--depth-convention", "kitti"], "--depth-convention"),
    "preview of both": ([*PREVIEW, "--depth", "3", "--depth-model", "not.onnx"], "--depth must stand alone"),
    "preview of no model": ([*PREVIEW, "--depth-model", "not.onnx"], "not.onnx must be an ONNX model"),
    "preview of a number with convention": ([*PREVIEW, "--depth", "3", "--depth-convention", "nyu"], "--depth-scale-m"),
    "preview of a kind": ([*PREVIEW, "--depth-near-m", "3"], "--depth-model must be given"),
}


@pytest.mark.parametrize("mistake", WRONG_WORDS)
def test_a_mistake_about_depth_is_one_line_and_exit_code_2(
    mistake: str, photos: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(photos.parent)
    for name in ("a.png", "b.png", "deep/c.d.png"):
        write_depth(Path("depth") / name, STEPS)
    Path("not.onnx").write_bytes(b"not a model")
    words, expected = WRONG_WORDS[mistake]
    code, _, error = run(*words)
    assert code == 2
    assert expected in error
    assert error.startswith("rainsynth: ")
    assert error.count("\n") == 1


def test_a_preview_takes_a_file_or_a_number(photos: Path, tmp_path: Path, run: Run) -> None:
    path = write_depth(tmp_path / "a.png", STEPS)
    photo = read_photo(photos / "a.png")
    for words, background in (
        (["--depth", path, "--depth-convention", "nyu"], Background(photo, METRES)),
        (["--depth", path, "--depth-scale-m", 0.002], Background(photo, 2 * METRES)),
        (["--depth", "6.5"], Background(photo, 6.5)),
        ([], Background(photo)),
    ):
        assert run("preview", photos / "a.png", "-o", tmp_path / "s.png", "--layers", *words)[0] == 0
        np.testing.assert_array_equal(read_photo(tmp_path / "s.png"), layer_sheet(background, 0))
