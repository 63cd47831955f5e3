"""Depth by a user's ONNX model: what it is given, what becomes of its output, and what is refused.

The models are made here, of a few nodes; their outputs are known by hand.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import jaxtyping
import numpy as np
import pytest
from PIL import Image

from pipelines import main
from pipelines.generate import generate
from pipelines.generate_config import DepthModelConfig, GenerateConfig, PhotographsConfig
from pipelines.make_shard import make_shard
from pipelines.photographs import survey
from pipelines.plan import plan
from rainsynth.checks import InputError
from rainsynth.preset_choice import PresetChoice
from rainsynth.scene.background import Background
from rainsynth.scene.depth_model import OnnxDepth

onnx = pytest.importorskip("onnx", reason="the models of these tests are made with onnx")
pytest.importorskip("onnxruntime", reason="depth models run on onnxruntime")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

PICTURE_AXES = (1, 3, "height", "width")
MAP_AXES = (1, "map_height", "map_width")


def model_file(  # type: ignore[no-untyped-def]
    path: Path, nodes, constants=(), *, taken=PICTURE_AXES, given=MAP_AXES, kind=TensorProto.FLOAT, more_inputs=()
) -> Path:
    """An ONNX file from `picture` to `depth` through `nodes`."""
    graph = helper.make_graph(
        nodes,
        "depth",
        [helper.make_tensor_value_info("picture", kind, taken), *more_inputs],
        [helper.make_tensor_value_info("depth", kind, given)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants],
    )
    onnx.save(helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 13)]), path)
    return path


def node(kind: str, inputs: str, output: str, **options: object):  # type: ignore[no-untyped-def]
    return helper.make_node(kind, inputs.split(), [output], **options)


def mean_model(path: Path, gain: float = 1.0, shift: float = 0.0, **options: object) -> Path:
    """depth = gain * (mean of the three channels) + shift."""
    nodes = [
        node("ReduceMean", "picture", "mean", axes=[1], keepdims=0),
        node("Mul", "mean gain", "scaled"),
        node("Add", "scaled shift", "depth"),
    ]
    return model_file(path, nodes, [("gain", np.float32(gain)), ("shift", np.float32(shift))], **options)  # type: ignore[arg-type]


def size_model(path: Path) -> Path:
    """depth = 1000 height + width of the tensor that it is given, everywhere."""
    nodes = [
        node("Shape", "picture", "shape"),
        node("Gather", "shape two_three", "size"),
        node("Cast", "size", "sides", to=TensorProto.FLOAT),
        node("Mul", "sides places", "placed"),
        node("ReduceSum", "placed", "number", keepdims=0),
        node("ReduceMean", "picture", "mean", axes=[1], keepdims=0),
        node("Mul", "mean zero", "nothing"),
        node("Add", "nothing number", "depth"),
    ]
    constants = [
        ("two_three", np.array([2, 3])),
        ("places", np.array([1000, 1], dtype=np.float32)),
        ("zero", np.float32(0)),
    ]
    return model_file(path, nodes, constants)


def plain_photo(height: int = 20, width: int = 30, colour: tuple[int, int, int] = (51, 102, 204)) -> np.ndarray:
    return np.full((height, width, 3), colour, dtype=np.uint8)


# ------------------------------ what the model is given

COLOURS = np.array([51, 102, 204]) / 255
IMAGENET_MEAN, IMAGENET_DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


@pytest.mark.parametrize(
    ("normalization", "expected"),
    [
        ("imagenet", (COLOURS - IMAGENET_MEAN) / IMAGENET_DEVIATION),  # torchvision's constants
        ("half", (COLOURS - 0.5) / 0.5),
        ("unit", COLOURS),
        ("codes", COLOURS * 255),
    ],
)
def test_colours_are_normalised_as_the_model_was_taught(tmp_path, normalization, expected):
    model = OnnxDepth(mean_model(tmp_path / "m.onnx", 2.0, 20.0), normalization=normalization)
    np.testing.assert_allclose(model(plain_photo()), 2 * expected.mean() + 20, rtol=1e-5)


def test_channels_are_red_green_blue(tmp_path):
    path = model_file(
        tmp_path / "red.onnx", [node("Gather", "picture first", "depth", axis=1)], [("first", np.array(0))]
    )
    np.testing.assert_allclose(OnnxDepth(path, normalization="codes")(plain_photo()), 51, rtol=1e-5)


@pytest.mark.parametrize(
    ("photo_size", "options", "expected"),
    [
        ((480, 640), {}, (518, 686)),  # Depth Anything: 518 is 37 times 14, 518 * 4 / 3 = 690.7 is nearest to 49 times
        ((375, 1242), {"short_side_px": 384, "multiple_px": 32}, (384, 1280)),  # 1271.8 is nearest to 40 times 32
        ((1242, 375), {"short_side_px": 384, "multiple_px": 32}, (1280, 384)),
        ((10, 10), {"short_side_px": 16, "multiple_px": 512}, (512, 512)),  # never nothing
    ],
)
def test_an_open_size_keeps_the_aspect_in_multiples(tmp_path, photo_size, options, expected):
    depth_m = OnnxDepth(size_model(tmp_path / "m.onnx"), **options)(plain_photo(*photo_size))
    assert depth_m.shape == photo_size
    np.testing.assert_allclose(depth_m, min(1000 * expected[0] + expected[1], 60_000))


def test_a_size_that_the_file_names_is_taken(tmp_path):
    # onnxruntime refuses any other.
    path = mean_model(tmp_path / "m.onnx", shift=9.0, taken=(1, 3, 28, 42), given=(1, 28, 42))
    assert OnnxDepth(path)(plain_photo(50, 60)).shape == (50, 60)


@pytest.mark.parametrize("axes", [(1, 1, 14, 28), (1, 14, 28), (14, 28), (1, 1, 1, 14, 28)])
def test_leading_axes_of_one_are_dropped(tmp_path, axes):
    nodes = [node("ReduceMean", "picture", "mean", axes=[1], keepdims=0), node("Reshape", "mean shape", "depth")]
    path = model_file(tmp_path / "m.onnx", nodes, [("shape", np.array(axes))], taken=(1, 3, 14, 28), given=axes)
    np.testing.assert_allclose(OnnxDepth(path, normalization="codes")(plain_photo()), 119, rtol=1e-5)


# ------------------------------ what becomes of its output


def test_metric_output_is_metres_times_the_scale_and_limited(tmp_path):
    path = mean_model(tmp_path / "m.onnx")
    ramp = np.repeat(np.arange(0, 240, 8, dtype=np.uint8)[None, :, None], 20, axis=0).repeat(3, axis=2)
    depth_m = OnnxDepth(path, normalization="codes", scale_m=0.25, short_side_px=20, multiple_px=1)(ramp)
    np.testing.assert_allclose(depth_m[:, 1:], ramp[:, 1:, 0] * 0.25, rtol=1e-5)
    np.testing.assert_allclose(depth_m[:, 0], 0.01)  # Background's nearest
    assert depth_m.dtype == np.float32


def test_relative_inverse_depth_becomes_metres_between_near_and_far(tmp_path):
    # Whatever gain and shift the model has: 1/z is 1/far at its least, 1/near at its greatest, linear between.
    ramp = np.repeat(np.arange(0, 240, 8, dtype=np.uint8)[None, :, None], 20, axis=0).repeat(3, axis=2)
    expected = 1 / np.linspace(1 / 80, 1 / 4, 30)
    for gain, shift in ((1.0, 0.0), (-0.01, 3.0), (250.0, -1e4)):
        path = mean_model(tmp_path / "m.onnx", gain, shift)
        model = OnnxDepth(path, kind="inverse", near_m=4, far_m=80, short_side_px=20, multiple_px=1)
        depth_m = model(ramp)
        np.testing.assert_allclose(depth_m, np.tile(expected if gain > 0 else expected[::-1], (20, 1)), rtol=1e-3)


def test_a_model_is_a_backgrounds_depth_and_gives_the_same_numbers_again(tmp_path):
    photo = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    path = mean_model(tmp_path / "m.onnx", shift=9.0)
    background = Background(photo, OnnxDepth(path))
    np.testing.assert_array_equal(background.depth_m, OnnxDepth(path)(photo))
    assert background.depth_m.min() < background.depth_m.max()


# ------------------------------ what is refused


def constant_model(path: Path, value: float) -> Path:
    return mean_model(path, 0.0, value)


def two_inputs(path: Path) -> Path:
    other = helper.make_tensor_value_info("focal", TensorProto.FLOAT, (1,))
    return model_file(path, [node("ReduceMean", "picture", "depth", axes=[1], keepdims=0)], more_inputs=[other])


def map_of_axes(path: Path, axes: tuple[int, ...]) -> Path:
    nodes = [node("ReduceMean", "picture", "mean", axes=[1], keepdims=0), node("Reshape", "mean shape", "depth")]
    return model_file(path, nodes, [("shape", np.array(axes))], taken=(1, 3, 14, 28), given=axes)


def half_model(path: Path) -> Path:
    return model_file(path, [node("ReduceMean", "picture", "depth", axes=[1], keepdims=0)], kind=TensorProto.FLOAT16)


def picky_model(path: Path) -> Path:
    """A model whose file leaves the size open, and which yet takes one alone."""
    return model_file(path, [node("Add", "picture other", "depth")], [("other", np.zeros((1, 3, 15, 17), np.float32))])


def text(path: Path) -> Path:
    path.write_text("not a model")
    return path


@pytest.fixture
def as_users_run_it():  # type: ignore[no-untyped-def]
    """Without the run-time types of the tests, which would refuse a wrong type before the package can."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


INVERSE = {"kind": "inverse", "near_m": 2.0, "far_m": 50.0}
REFUSED = {
    # what: (the file, options, what the message must hold)
    "no file": (lambda path: path, {}, "must be an ONNX file, got nothing"),
    "a folder": (lambda path: path.parent, {}, "must be an ONNX file"),
    "no model": (text, {}, "m.onnx must be an ONNX model"),
    "an empty file": (lambda path: text(path) and (path.write_bytes(b""), path)[1], {}, "m.onnx must be an ONNX model"),
    "two inputs": (two_inputs, {}, r"one float32 input \(1, 3, H, W\), got picture .*, focal"),
    "half precision": (half_model, {}, r"float32 input .* got picture tensor\(float16\)"),
    "four channels": (lambda path: mean_model(path, taken=(1, 4, 14, 14)), {}, "one float32 input"),
    "channels last": (lambda path: mean_model(path, taken=(1, 14, 14, 3), given=(1, 14, 3)), {}, "one float32 input"),
    "a batch of two": (lambda path: mean_model(path, taken=(2, 3, 14, 14), given=(2, 14, 14)), {}, "one float32 input"),
    "a size of its own": (picky_model, {}, "m.onnx must run on .*multiple_px"),
    "two maps": (lambda path: map_of_axes(path, (2, 14, 14)), {}, r"shape \(1, 1, H, W\) or less, got \(2, 14, 14\)"),
    "one axis": (lambda path: map_of_axes(path, (392,)), {}, r"got \(392,\)"),
    "NaN": (lambda path: constant_model(path, float("nan")), {}, "finite numbers"),
    "infinite": (lambda path: constant_model(path, float("inf")), {}, "finite numbers"),
    "negative": (lambda path: constant_model(path, -3.0), {}, "over 0 m for kind metric, got -3 .*inverse"),
    "zero": (lambda path: constant_model(path, 0.0), {}, "over 0 m for kind metric"),
    "no relief": (lambda path: constant_model(path, 3.0), INVERSE, "varies over the picture, got 3"),
    "unknown kind": (mean_model, {"kind": "relative"}, "kind must be one of metric, inverse, got 'relative'"),
    "unknown colours": (mean_model, {"normalization": "zero"}, "normalization must be one of imagenet"),
    "inverse alone": (mean_model, {"kind": "inverse"}, "near_m and far_m must be given"),
    "near and far swapped": (mean_model, INVERSE | {"near_m": 60.0}, "far_m must be over near_m 60, got 50"),
    "near of zero": (mean_model, INVERSE | {"near_m": 0.0}, "near_m must be between"),
    "far of infinity": (mean_model, INVERSE | {"far_m": float("inf")}, "far_m must be between"),
    "metric with near": (mean_model, {"near_m": 2.0}, "kind inverse, got kind metric"),
    "inverse with scale": (mean_model, INVERSE | {"scale_m": 2.0}, "kind metric, got kind inverse"),
    "scale of zero": (mean_model, {"scale_m": 0.0}, "scale_m must be between"),
    "no threads": (mean_model, {"threads": 0}, "threads must be between"),
    "half a multiple": (mean_model, {"multiple_px": 1.5}, "multiple_px must be a whole number"),
    "tiny side": (mean_model, {"short_side_px": 1}, "short_side_px must be between"),
}


@pytest.mark.usefixtures("as_users_run_it")
@pytest.mark.parametrize("mistake", REFUSED)
def test_a_model_that_will_not_do_is_refused_in_one_line(mistake, tmp_path, capfd):
    make, options, expected = REFUSED[mistake]
    path = make(tmp_path / "m.onnx")
    with pytest.raises(InputError, match=expected) as caught:
        OnnxDepth(path, **options)(plain_photo())
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 500
    assert capfd.readouterr().err == ""  # onnxruntime says nothing beside it


@pytest.mark.usefixtures("as_users_run_it")
def test_a_grey_picture_is_refused(tmp_path):
    with pytest.raises(InputError, match="image_srgb8"):
        OnnxDepth(mean_model(tmp_path / "m.onnx"))(plain_photo()[..., 0])


def test_without_onnxruntime_one_line_says_how_to_get_it(tmp_path, monkeypatch):
    path = mean_model(tmp_path / "m.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(InputError, match=r"must have onnxruntime installed.*rainsynth\[depth\]"):
        OnnxDepth(path)


def test_onnxruntime_is_loaded_by_a_model_alone():
    code = "import sys, rainsynth.scene.depth_model, pipelines.photographs; sys.exit('onnxruntime' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# ------------------------------ data sets and previews


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three photographs; one of them has a map."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        picture = np.random.default_rng(number).integers(0, 256, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.png")
    np.save(folder / "1.npy", np.full((24, 32), 7.0, dtype=np.float32))
    return folder


def test_a_data_set_by_a_model_has_the_same_bytes_on_one_worker_or_two(photos, tmp_path, capsys):
    path = mean_model(tmp_path / "m.onnx", shift=9.0)
    data = PhotographsConfig(
        photographs=str(photos), depth=str(photos), depth_model=DepthModelConfig(file=str(path), short_side_px=28)
    )
    config = GenerateConfig(data=data, samples=6, mixture=(PresetChoice(preset="heavy"),), seed=1, samples_per_shard=2)
    manifest = generate(config, tmp_path / "two", workers=2)
    assert "1 of 3 photographs have a depth map, 2 by the model m.onnx" in capsys.readouterr().out
    (tmp_path / "here").mkdir()
    for task in plan(config, survey(photos, photos)):  # in this process, one after the other
        make_shard(config, task, str(tmp_path / "here"))
    shards = [{path.name: path.read_bytes() for path in (tmp_path / name).glob("*.h5")} for name in ("here", "two")]
    assert len(shards[0]) == 3
    assert shards[0] == shards[1]
    assert len(manifest["depth_model_sha256"]) == 64
    assert manifest["config"]["data"]["depth_model"]["file"] == "m.onnx"
    mean_model(path, shift=10.0)
    with pytest.raises(InputError, match="got another depth_model_sha256"):
        generate(config, tmp_path / "two", workers=1, resume=True)


def test_a_preview_by_a_model_shows_its_depth(photos, tmp_path, capsys, monkeypatch):
    path = mean_model(tmp_path / "m.onnx", 1.0, taken=(1, 3, 24, 32), given=(1, 24, 32))
    sheet = tmp_path / "sheet.png"
    words = ["rainsynth", "preview", photos / "0.png", "-o", sheet, "--layers", "--depth-model", path]
    words += ["--depth-model-kind", "inverse", "--depth-near-m", 2, "--depth-far-m", 90]
    monkeypatch.setattr(sys, "argv", [str(word) for word in words])
    with pytest.raises(SystemExit) as exit_:
        main.main()
    assert exit_.value.code == 0
    assert sheet.stat().st_size > 1000
    assert "wrote" in capsys.readouterr().out
