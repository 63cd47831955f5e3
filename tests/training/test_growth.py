"""A deeper MSPFN begins as the same function as the one it goes on from, and every further unit learns."""

import pytest
import torch

from mspfn.networks import MSPFN, MSPFNConfig, build_network
from mspfn.networks.growth import deepened


def network_of(units: int, **config: object) -> MSPFN:
    """A small MSPFN with random weights in its last convolution, too."""
    return MSPFN(MSPFNConfig(fine_fusion_units=units, channels=8, zero_output=False, **config))


@pytest.mark.parametrize("unshuffle", [1, 2])
@pytest.mark.parametrize("units", [2, 5])
def test_a_deeper_network_is_the_same_function_to_the_last_bit(units: int, unshuffle: int) -> None:
    torch.manual_seed(0)
    network, wanted = network_of(1, unshuffle=unshuffle), network_of(units, unshuffle=unshuffle)
    picture = torch.rand(2, 3, 22, 37)
    with torch.no_grad():
        before = network(picture)
        assert not torch.equal(wanted(picture), before)
        deeper = deepened(network, wanted)
        assert deeper is not None and deeper.config == wanted.config
        assert torch.equal(deeper(picture), before)


def test_every_further_unit_learns_from_the_first_step_on() -> None:
    torch.manual_seed(0)
    deeper = deepened(network_of(1), network_of(3))
    assert deeper is not None
    further = {
        name: weight
        for name, weight in deeper.named_parameters()
        if name.startswith(("fine_fusion.1.blocks", "fine_fusion.2.blocks"))
    }
    starting = {name for name in further if name.endswith("up.conv.weight")}
    assert len(starting) == 6  # of two units at three resolutions
    optimizer = torch.optim.Adam(deeper.parameters(), lr=0.01)
    for moved in (starting, set(further)):  # the first step moves what starts at zero, the second all that lies before
        optimizer.zero_grad()
        deeper(torch.rand(1, 3, 32, 32)).square().mean().backward()
        assert {name for name in moved if not further[name].grad.any()} == set()
        optimizer.step()


@pytest.mark.parametrize(
    "wanted",
    [
        network_of(2),
        network_of(1),
        network_of(3, unshuffle=2),
        MSPFN(MSPFNConfig(fine_fusion_units=3, channels=16)),
        build_network("prn"),
    ],
    ids=["as deep", "less deep", "other squares", "other width", "no MSPFN"],
)
def test_another_network_is_none_that_it_can_be_made_into(wanted: torch.nn.Module) -> None:
    assert deepened(network_of(2), wanted) is None
