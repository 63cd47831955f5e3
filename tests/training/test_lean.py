"""The published network without its dead weights: the same function."""

import torch
from torch import nn

from mspfn.lean import without_dead_weights
from mspfn.networks import build_network


def trained_like(**config) -> nn.Module:
    """A network all of whose weights are away from zero, biases and dead ones too."""
    torch.manual_seed(0)
    network = build_network("mspfn-published", fine_fusion_units=1, zero_output=False, **config)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network.eval()


def test_network_without_dead_weights_gives_the_same_picture():
    network = trained_like(channels=8)
    rainy = torch.rand(2, 3, 12, 20)
    with torch.no_grad():
        expected, lean = network(rainy), without_dead_weights(network)(rainy)
    assert (expected - rainy).abs().max() > 0.01
    torch.testing.assert_close(lean, expected, rtol=0, atol=1e-6)  # the order of float32 sums may change


def test_published_width_loses_3226048_weights():
    # The count of the authors' checkpoint: hidden-state inputs and forget gates of cells 64, 128 and 256 wide.
    network = trained_like()
    lean = without_dead_weights(network)
    assert weights_of(network) - weights_of(lean) == 3_226_048
    assert not lean.config.dead_weights
    assert lean.training == network.training


def test_network_without_any_is_returned_as_it_is():
    network = build_network("mspfn-demo")
    assert without_dead_weights(network) is network


def weights_of(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())
