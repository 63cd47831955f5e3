"""Our MSPFN against outputs of the authors' TensorFlow graphs with seeded weights (folder `mspfn_reference`)."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from mspfn.losses import CHARBONNIER_EPS, EDGE_WEIGHT, charbonnier_edge, laplacian
from mspfn.networks import MSPFN
from mspfn.networks.tensorflow_weights import mspfn_from_tensorflow
from rainsynth.checks import InputError

DATA = os.environ.get("RAINSYNTH_DATA")
pytestmark = [
    pytest.mark.data,
    pytest.mark.skipif(not DATA, reason="RAINSYNTH_DATA names no folder with mspfn_reference/"),
]

# Float32 in another order of summation: the deepest graph differs by 1.3e-6 of its largest value.
RELATIVE_TOLERANCE = 1e-5
GRAPHS = ("training_graph_m2", "released_graph_m3", "released_graph_m17")


def reference(graph: str) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """The graph's variables, drawn from its seed, and its stored pictures."""
    folder = Path(DATA or "") / "mspfn_reference"
    description = json.loads((folder / f"{graph}.json").read_text())
    variables = {
        variable["name"]: seeded_variable(variable["name"], variable["shape"], [description["seed"], index])
        for index, variable in enumerate(description["variables"])
    }
    return variables, dict(np.load(folder / f"{graph}.npz"))


def seeded_variable(name: str, shape: list[int], seed: list[int]) -> np.ndarray:
    """As the reference was made: PReLU slopes uniform, other vectors small, kernels scaled by their fan-in."""
    rng = np.random.default_rng(seed)
    if name.endswith("alpha"):
        values = rng.uniform(0.05, 0.3, shape)
    elif len(shape) == 1:
        values = 0.1 * rng.standard_normal(shape)
    else:
        values = rng.standard_normal(shape) * np.sqrt(1.2 / np.prod(shape[:-1]))
    return values.astype(np.float32)


def to_tensor(picture_bgr: np.ndarray) -> torch.Tensor:
    """(1, H, W, 3) BGR -> (1, 3, H, W) RGB."""
    return torch.from_numpy(picture_bgr[..., ::-1].copy()).permute(0, 3, 1, 2)


def assert_close(ours: torch.Tensor, theirs_bgr: np.ndarray) -> None:
    theirs = to_tensor(theirs_bgr)
    assert float((ours - theirs).abs().max() / theirs.abs().max()) <= RELATIVE_TOLERANCE


@pytest.fixture(scope="module", params=GRAPHS)
def graph(request):
    return reference(request.param)


@pytest.mark.parametrize("dead_weights", [True, False], ids=["all weights", "live weights"])
def test_network_gives_the_pictures_of_the_authors_graph(graph, dead_weights):
    variables, pictures = graph
    network = mspfn_from_tensorflow(variables, dead_weights=dead_weights)
    rainy = to_tensor(pictures["rainy"])
    with torch.no_grad():
        assert_close(network.rain(rainy), pictures["residual"])
        assert_close(2 * network((rainy + 1) / 2) - 1, pictures["derained"])


def test_all_weights_are_as_many_as_the_authors_variables_hold(graph):
    variables, _ = graph
    network = mspfn_from_tensorflow(variables, dead_weights=True)
    assert sum(p.numel() for p in network.parameters()) == sum(value.size for value in variables.values())


def test_losses_are_those_of_the_training_graph():
    # Its clean picture is all zero in [-1, 1], which is 0.5 in [0, 1]. Tolerance: float32 means in another order.
    _, pictures = reference("training_graph_m2")
    derained = to_tensor(pictures["derained"])
    edge = torch.sqrt(laplacian(derained) ** 2 + CHARBONNIER_EPS**2).mean()
    torch.testing.assert_close(edge.item(), float(pictures["edge_loss_against_zero"]), rtol=1e-5, atol=0)
    loss = charbonnier_edge((derained + 1) / 2, torch.full_like(derained, 0.5))
    torch.testing.assert_close(loss.item(), float(pictures["train_loss_against_zero"]), rtol=1e-5, atol=0)
    assert EDGE_WEIGHT == 0.05


def test_optimizer_variables_of_a_checkpoint_are_passed_over():
    variables, _ = reference("released_graph_m3")
    name = "generator/rnn1/weight"
    extra = {f"{name}/Adam": variables[name], f"{name}/Adam_1": variables[name], "beta1_power": np.array(0.9)}
    assert isinstance(mspfn_from_tensorflow(variables | extra), MSPFN)


def test_incomplete_checkpoint_is_refused_by_name():
    variables, _ = reference("released_graph_m3")
    del variables["generator/BCM2_1/up_2/alpha"]
    with pytest.raises(InputError, match=r"1 missing \(BCM2_1/up_2/alpha\)"):
        mspfn_from_tensorflow(variables)
    with pytest.raises(InputError, match="Is this a checkpoint of MSPFN"):
        mspfn_from_tensorflow({"generator/conv/weight": np.zeros((3, 3, 3, 3))})
