"""Weights of other programs come in by name: what is read, what is refused. TensorFlow is played by a stand-in."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from mspfn.checkpoint import about_weights, load_weights
from mspfn.networks import MSPFN, MSPFNConfig, build_network
from mspfn.networks.prenet_weights import sources_of
from mspfn.networks.tensorflow_weights import all_entries, mspfn_from_tensorflow
from mspfn.tensorflow_checkpoint import checkpoint_prefix, read_tensorflow_checkpoint
from pipelines import main
from rainsynth.checks import InputError

CONFIG = MSPFNConfig(fine_fusion_units=1, channels=4, dead_weights=True)
Variables = dict[str, np.ndarray]


class FakeReader:
    """What tf.train.load_checkpoint gives."""

    def __init__(self, variables: Variables) -> None:
        self.variables = variables

    def get_variable_to_shape_map(self) -> dict[str, list[int]]:
        return {name: list(value.shape) for name, value in self.variables.items()}

    def get_tensor(self, name: str) -> np.ndarray:
        if "Adam" in name:
            raise AssertionError(f"{name} is the optimiser's: it takes memory and is not needed")
        return self.variables[name]


@pytest.fixture
def variables() -> Variables:
    """Random variables of a small network by the authors' names, with those that their training leaves beside them."""
    rng = np.random.default_rng(0)
    state = MSPFN(CONFIG).state_dict()
    found: Variables = {}
    for key, name, _ in all_entries(CONFIG):
        shape = state[key].shape
        if len(shape) == 4:  # (h, w, ., .): output before input in stride-1 layers, which are transposed convolutions
            stride_1 = name.endswith("/weight") and "down" not in name and "up" not in name
            shape = [shape[place] for place in ((2, 3, 0, 1) if stride_1 else (2, 3, 1, 0))]
        found[f"generator/{name}"] = 0.2 * rng.standard_normal(shape, dtype=np.float32)
    found["generator/rnn1/weight/Adam"] = found["generator/rnn1/weight"]
    return found | {"beta1_power": np.array(0.9), "MSPFN/global_step": np.array(7)}


@pytest.fixture
def checkpoint(tmp_path: Path, variables: Variables, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Prefix of a checkpoint that the stand-in for TensorFlow reads."""
    (tmp_path / "model").mkdir()
    prefix = tmp_path / "model" / "epoch50"
    for suffix in (".index", ".data-00000-of-00001", ".meta"):
        prefix.with_name(prefix.name + suffix).write_bytes(b"")

    def load_checkpoint(asked: str) -> FakeReader:
        if asked != str(prefix):
            raise RuntimeError("not an sstable\n(bad magic number)")
        return FakeReader(variables)

    monkeypatch.setitem(
        sys.modules, "tensorflow", SimpleNamespace(train=SimpleNamespace(load_checkpoint=load_checkpoint))
    )
    return prefix


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> tuple[int, str]:
    """Exit code and all that `rainsynth WORDS` printed, in one line."""
    monkeypatch.setattr(sys, "argv", ["rainsynth", *map(str, words)])
    with pytest.raises(SystemExit) as exit_:
        main.main()
    told = capsys.readouterr()
    return int(exit_.value.code or 0), " ".join((told.out + told.err).split())


@pytest.mark.parametrize("dead_weights", [False, True])
def test_verb_writes_the_network_of_the_variables(checkpoint, variables, tmp_path, capsys, monkeypatch, dead_weights):
    output = tmp_path / "new" / "mspfn.pt"
    options = ["--dead-weights"] if dead_weights else []
    code, told = run(capsys, monkeypatch, "import-mspfn", checkpoint, "-o", output, *options)
    network, expected = load_weights(output), mspfn_from_tensorflow(variables, dead_weights=dead_weights)
    count = sum(parameter.numel() for parameter in expected.parameters())
    assert code == 0
    assert f"mspfn with {count:,} weights" in told
    assert network.config == expected.config
    assert network.config.dead_weights == dead_weights
    for name, tensor in expected.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)
    assert about_weights(output)["about"] == {"imported_from": "epoch50"}


def test_half_precision_is_a_rounding(checkpoint, variables, tmp_path, capsys, monkeypatch):
    assert run(capsys, monkeypatch, "import-mspfn", checkpoint, "-o", tmp_path / "half.pt", "--half")[0] == 0
    network, expected = load_weights(tmp_path / "half.pt"), mspfn_from_tensorflow(variables)
    for name, tensor in expected.state_dict().items():
        torch.testing.assert_close(network.state_dict()[name], tensor, rtol=2**-11, atol=2**-24)  # of float16


def test_checkpoint_is_found_by_prefix_file_and_folder(checkpoint):
    folder = checkpoint.parent
    suffixes = ("", ".index", ".meta", ".data-00000-of-00001")
    for path in (folder, *(checkpoint.with_name(checkpoint.name + suffix) for suffix in suffixes)):
        assert checkpoint_prefix(path) == checkpoint
    (folder / "epoch49.index").write_bytes(b"")
    with pytest.raises(InputError, match=r"one TensorFlow checkpoint, got epoch49, epoch50 in .*NAME\.index"):
        checkpoint_prefix(folder)
    (folder / "checkpoint").write_text(
        'model_checkpoint_path: "D:\\\\MSPFN\\\\epoch50"\nall_model_checkpoint_paths: "x"\n'
    )
    assert checkpoint_prefix(folder) == checkpoint  # its newest, although the path is another machine's


def faults(tmp_path: Path) -> dict[str, tuple[Path, str]]:
    (tmp_path / "empty").mkdir()
    (tmp_path / "photo.png").write_bytes(b"no checkpoint")
    return {
        "nothing there": (tmp_path / "absent", "no absent.index beside it"),
        "folder without one": (tmp_path / "empty", "one TensorFlow checkpoint, got none in"),
        "another file": (tmp_path / "photo.png", "must be a whole TensorFlow checkpoint, got: not an sstable"),
    }


@pytest.mark.parametrize("fault", ["nothing there", "folder without one", "another file"])
def test_what_is_no_checkpoint_is_refused_in_one_line(fault, checkpoint, tmp_path, capsys, monkeypatch):
    path, message = faults(tmp_path)[fault]
    code, told = run(capsys, monkeypatch, "import-mspfn", path, "-o", tmp_path / "out.pt")
    assert code == 2
    assert message in told
    assert not (tmp_path / "out.pt").exists()


def test_checkpoint_of_another_network_is_refused(checkpoint, variables, tmp_path, capsys, monkeypatch):
    variables.clear()
    variables["resnet/conv1/kernel"] = np.zeros((7, 7, 3, 64), np.float32)
    code, told = run(capsys, monkeypatch, "import-mspfn", checkpoint, "-o", tmp_path / "out.pt")
    assert code == 2
    assert "got 1 variables without it. Is this a checkpoint of MSPFN?" in told


def test_folder_as_output_is_refused(checkpoint, tmp_path, capsys, monkeypatch):
    code, told = run(capsys, monkeypatch, "import-mspfn", checkpoint, "-o", tmp_path)
    assert code == 2
    assert "--output must be a file, got the folder" in told


def test_without_tensorflow_the_extra_is_named(checkpoint, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    code, told = run(capsys, monkeypatch, "import-mspfn", checkpoint, "-o", tmp_path / "out.pt")
    assert code == 2
    assert "pip install 'rainsynth[tensorflow]'" in told


def test_damaged_tensor_is_refused(checkpoint, monkeypatch):
    def cut(self: FakeReader, name: str) -> Any:
        raise IndexError("Read less bytes than requested")  # TensorFlow's words for a cut data file

    monkeypatch.setattr(FakeReader, "get_tensor", cut)
    with pytest.raises(InputError, match=r"got: Read less bytes than requested\. Is it cut"):
        read_tensorflow_checkpoint(checkpoint)


@pytest.mark.slow
def test_checkpoint_that_tensorflow_wrote_is_read(tmp_path, variables):
    tensorflow = pytest.importorskip("tensorflow")
    graph = tensorflow.Graph()
    with graph.as_default(), tensorflow.compat.v1.Session(graph=graph) as session:
        for name, value in variables.items():
            tensorflow.compat.v1.get_variable(name, initializer=value.astype(np.float32), use_resource=False)
        session.run(tensorflow.compat.v1.global_variables_initializer())
        tensorflow.compat.v1.train.Saver().save(session, str(tmp_path / "epoch50"), write_meta_graph=False)
    read = read_tensorflow_checkpoint(tmp_path)
    assert set(read) == {name for name in variables if name.startswith("generator/") and "Adam" not in name}
    for name, value in read.items():
        assert np.array_equal(value, variables[name])


def test_authors_prenet_becomes_weights_of_ours(tmp_path, capsys, monkeypatch):
    network = build_network("prenet", channels=4, stages=2).eval()
    state = network.state_dict()
    theirs = {}
    for key, parts in sources_of(network.config).items():  # their four gates are four convolutions
        theirs |= {part: tensor.clone() for part, tensor in zip(parts, state[key].chunk(len(parts)), strict=True)}
    torch.save(theirs, tmp_path / "net_latest.pth")
    output = tmp_path / "prenet.pt"
    code, told = run(capsys, monkeypatch, "import-prenet", tmp_path / "net_latest.pth", "-o", output, "--stages", 2)
    assert code == 0
    assert "prenet with" in told
    rainy = torch.rand(1, 3, 9, 8)
    with torch.no_grad():
        assert torch.equal(load_weights(output)(rainy), network(rainy))


def test_absent_prenet_is_refused_in_one_line(tmp_path, capsys, monkeypatch):
    code, told = run(capsys, monkeypatch, "import-prenet", tmp_path / "absent.pth", "-o", tmp_path / "out.pt")
    assert code == 2
    assert "absent.pth must be a file of weights, got" in told
