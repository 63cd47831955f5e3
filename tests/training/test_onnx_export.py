"""ONNX files give what PyTorch gives, at sizes they were not traced with, and need neither torch nor rainsynth."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from mspfn import build_network, derain
from mspfn.networks import NETWORKS
from mspfn.onnx_export import CHECKED_SIZES, LARGEST_DIFFERENCE, export_onnx, largest_difference
from rainsynth.checks import InputError

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "derain_onnx.py"

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("onnxscript")


def small_network() -> torch.nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return build_network("mspfn", channels=4, fine_fusion_units=1, zero_output=False).eval()


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("onnx") / "network.onnx"
    assert export_onnx(small_network(), path) <= LARGEST_DIFFERENCE
    return path


@pytest.mark.parametrize("size", [(1, 3, 44, 36), (3, 3, 9, 70), (2, 3, 2, 1), (1, 3, 33, 20), (1, 3, 128, 61)])
def test_file_gives_what_torch_gives_at_other_sizes(exported, size):
    assert size not in CHECKED_SIZES
    rainy = np.random.default_rng(1).random(size, dtype=np.float32)
    (derained,) = onnxruntime.InferenceSession(exported).run(None, {"rainy": rainy})
    with torch.inference_mode():
        expected = small_network()(torch.from_numpy(rainy)).numpy()
    assert np.abs(expected - rainy).max() > 0.01, "the network must do something"
    np.testing.assert_allclose(derained, expected, atol=1e-4)


def test_example_needs_only_onnxruntime_and_numpy(exported, tmp_path):
    rainy = np.random.default_rng(2).integers(0, 256, (30, 45, 3), dtype=np.uint8)
    np.save(tmp_path / "rainy.npy", rainy)
    command = [sys.executable, "-X", "importtime", str(EXAMPLE), str(exported), "rainy.npy", "derained.npy"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    imported = {line.rsplit("|", 1)[-1].strip().split(".")[0] for line in done.stderr.splitlines()}
    assert not imported & {"torch", "mspfn", "PIL", "cv2"}
    difference = np.load(tmp_path / "derained.npy").astype(int) - derain(rainy, small_network())
    assert np.abs(difference).max() <= 3, "bfloat16 on this side may differ by some codes"
    code_lines = [line for line in EXAMPLE.read_text().splitlines() if line.strip()]
    assert len(code_lines) <= 12


def test_difference_of_another_network_is_seen(exported):
    other = build_network("mspfn", channels=4, fine_fusion_units=1)  # returns its input
    assert largest_difference(other, exported.read_bytes()) > LARGEST_DIFFERENCE


def test_network_with_nan_is_not_published(tmp_path):
    network = small_network()
    with torch.no_grad():
        next(network.parameters()).fill_(float("nan"))
    with pytest.raises(InputError, match="NaN"):
        export_onnx(network, tmp_path / "bad.onnx")
    assert not list(tmp_path.iterdir())


def test_output_that_is_a_folder_is_refused_before_work(tmp_path):
    with pytest.raises(InputError, match="must be a file"):
        export_onnx(small_network(), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_every_network_can_be_exported(name, tmp_path):
    config = {"fine_fusion_units": 1} if name.startswith("mspfn") else {}
    export_onnx(build_network(name, **config).eval(), tmp_path / "network.onnx")
