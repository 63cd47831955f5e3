"""First and last convolutions in float32 under bfloat16: which they are, and what they are good for."""

import pytest
import torch
from torch import nn

from mspfn.networks import build_network
from mspfn.picture_precision import InFloat32, with_picture_layers_in_float32

TINY = {"fine_fusion_units": 1, "channels": 8, "zero_output": False}


def exchanged(network: nn.Module) -> list[str]:
    twin = with_picture_layers_in_float32(network)
    return sorted(name for name, module in twin.named_modules() if isinstance(module, InFloat32))


@pytest.mark.parametrize("unshuffle", [1, 2])
def test_layers_that_touch_the_picture_are_three_that_read_and_one_that_writes(unshuffle):
    assert exchanged(build_network("mspfn", **TINY, unshuffle=unshuffle)) == [
        "coarse_fusion.features.full_size.conv",
        "coarse_fusion.features.half_size.conv",
        "coarse_fusion.features.quarter_size.conv",
        "reconstruction.rain",
    ]


def test_a_refinement_writes_the_picture_too():
    layers = exchanged(build_network("mspfn", **TINY, unshuffle=2, refine_units=1))
    assert layers[-2:] == ["reconstruction.rain", "refinement.correction"]
    assert len(layers) == 5


def test_picture_comes_closer_to_that_of_float32():
    torch.manual_seed(0)
    network = build_network("mspfn", **TINY).eval()
    rainy = torch.rand(1, 3, 48, 64)
    with torch.inference_mode():
        exact = network(rainy)
        with torch.autocast("cpu", torch.bfloat16):
            plain, precise = network(rainy), with_picture_layers_in_float32(network)(rainy)
    assert precise.dtype == torch.float32
    assert (precise - exact).square().mean() < 0.7 * (plain - exact).square().mean()


def test_twin_shares_weights_and_changes_nothing_without_autocast():
    torch.manual_seed(0)
    network = build_network("mspfn", **TINY).eval()
    twin = with_picture_layers_in_float32(network)
    assert {id(weight) for weight in twin.parameters()} == {id(weight) for weight in network.parameters()}
    assert exchanged(network) and not any(isinstance(module, InFloat32) for module in network.modules())
    rainy = torch.rand(1, 3, 16, 20)
    with torch.inference_mode():
        assert torch.equal(twin(rainy), network(rainy))


def test_network_without_a_config_is_told_by_its_three_channels():
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 3, 3))
    assert exchanged(network) == ["0", "2"]
