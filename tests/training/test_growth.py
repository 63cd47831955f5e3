"""A larger MSPFN begins as the same function as the one it goes on from, and all that is new in it learns."""

import pytest
import torch

from mspfn.networks import MSPFN, MSPFNConfig, build_network
from mspfn.networks.growth import grown


def network_of(units: int, channels: int = 8, **config: object) -> MSPFN:
    """A small MSPFN with random weights in its last convolution, too."""
    return MSPFN(MSPFNConfig(fine_fusion_units=units, channels=channels, zero_output=False, **config))


@pytest.mark.parametrize("unshuffle", [1, 2])
@pytest.mark.parametrize("units", [2, 5])
def test_a_deeper_network_is_the_same_function_to_the_last_bit(units: int, unshuffle: int) -> None:
    torch.manual_seed(0)
    network, wanted = network_of(1, unshuffle=unshuffle), network_of(units, unshuffle=unshuffle)
    picture = torch.rand(2, 3, 22, 37)
    with torch.no_grad():
        before = network(picture)
        assert not torch.equal(wanted(picture), before)
        deeper = grown(network, wanted)
        assert deeper is not None and deeper.config == wanted.config
        assert torch.equal(deeper(picture), before)


@pytest.mark.parametrize("units", [1, 3], ids=["wider", "wider and deeper"])
@pytest.mark.parametrize(
    ("channels", "config", "wanted_config"),
    [
        (16, {}, {}),
        (24, {}, {}),
        (16, {"unshuffle": 2, "lstm_channels": (8, 8, 8)}, {"unshuffle": 2, "lstm_channels": (16, 16, 16)}),
        (
            16,
            {"attention_units": (2, 1, 1), "pyramid": "gaussian"},
            {"attention_units": (2, 1, 1), "pyramid": "gaussian"},
        ),
        (16, {"dead_weights": True}, {"dead_weights": True}),
        (16, {"recurrent_steps": 2}, {"recurrent_steps": 2}),
        (16, {}, {"lstm_channels": (64, 32, 16)}),
    ],
)
def test_a_wider_network_is_the_same_function_but_for_rounding(
    units: int, channels: int, config: dict, wanted_config: dict
) -> None:
    torch.manual_seed(0)
    network, wanted = network_of(1, **config).double(), network_of(units, channels, **wanted_config).double()
    picture = torch.rand(2, 3, 22, 37, dtype=torch.float64)
    with torch.no_grad():
        before = network(picture)
        assert (wanted(picture) - before).abs().max() > 1e-3
        wider = grown(network, wanted)
        assert wider is not None and wider.config == wanted.config
        torch.testing.assert_close(wider(picture), before, rtol=0, atol=1e-12)


def test_every_further_unit_learns_from_the_first_step_on() -> None:
    torch.manual_seed(0)
    deeper = grown(network_of(1), network_of(3))
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


@pytest.mark.parametrize(("units", "channels"), [(1, 8), (3, 8), (1, 16)], ids=["alone", "and deeper", "and wider"])
def test_a_refinement_corrects_nothing_at_first_and_learns_from_the_first_step_on(units: int, channels: int) -> None:
    torch.manual_seed(0)
    network = network_of(1, unshuffle=2).double()
    wanted = network_of(units, channels, unshuffle=2, refine_units=2).double()
    picture = torch.rand(2, 3, 22, 37, dtype=torch.float64)
    finer = grown(network, wanted)
    assert finer is not None and finer.config == wanted.config
    with torch.no_grad():
        torch.testing.assert_close(finer(picture), network(picture), rtol=0, atol=1e-12)
    optimizer = torch.optim.Adam(finer.parameters(), lr=0.01)
    weights = dict(finer.refinement.named_parameters())
    for moved in ({"correction.weight"}, set(weights)):
        optimizer.zero_grad()
        finer(picture).square().mean().backward()
        assert {name for name in moved if not weights[name].grad.any()} == set()
        optimizer.step()


@pytest.mark.parametrize("units", [1, 3], ids=["alone", "and deeper"])
def test_further_units_of_a_refinement_change_nothing_at_first_and_learn_from_the_first_step_on(units: int) -> None:
    torch.manual_seed(0)
    network = network_of(1, unshuffle=2, refine_units=1)
    torch.nn.init.normal_(network.refinement.correction.weight, std=0.1)
    finer = grown(network, network_of(units, unshuffle=2, refine_units=3))
    assert finer is not None
    picture = torch.rand(2, 3, 22, 37)
    with torch.no_grad():
        assert torch.equal(finer(picture), network(picture))
    further = dict(finer.refinement.units[1:].named_parameters())
    optimizer = torch.optim.Adam(finer.parameters(), lr=0.01)
    for moved in ({"0.1.weight", "1.1.weight"}, set(further)):
        optimizer.zero_grad()
        finer(picture).square().mean().backward()
        assert {name for name in moved if not further[name].grad.any()} == set()
        optimizer.step()


def test_a_refinement_is_not_made_wider_and_loses_no_unit() -> None:
    assert grown(network_of(1, refine_units=1), network_of(1, 16, refine_units=1)) is None
    assert grown(network_of(1, refine_units=2), network_of(2, refine_units=1)) is None
    assert grown(network_of(1, refine_units=2), network_of(2)) is None
    deeper = grown(network_of(1, refine_units=1), network_of(2, refine_units=1))
    assert deeper is not None and deeper.config.refine_units == 1


def test_copies_of_a_channel_become_different_channels() -> None:
    torch.manual_seed(0)
    wider = grown(network_of(1), network_of(1, 16))
    assert wider is not None
    features = wider.coarse_fusion.features["full_size"]
    picture = torch.rand(1, 3, 32, 32)

    def apart() -> torch.Tensor:
        even, odd = features(picture)[:, 0::2], features(picture)[:, 1::2]
        return (even - odd).abs().amax(dim=(0, 2, 3))

    assert not apart().any()
    optimizer = torch.optim.SGD(wider.parameters(), lr=0.01)
    for _ in range(2):
        optimizer.zero_grad()
        wider(picture).square().mean().backward()
        optimizer.step()
    assert (apart() > 0).all()


@pytest.mark.parametrize(
    "wanted",
    [
        network_of(2),
        network_of(1),
        network_of(1, 16),
        network_of(3, unshuffle=2),
        network_of(2, 4),
        network_of(2, 12),
        network_of(2, 16, lstm_channels=(8, 8, 8)),
        build_network("prn"),
    ],
    ids=[
        "as large",
        "less deep",
        "wider, less deep",
        "other squares",
        "narrower",
        "no multiple",
        "other LSTM",
        "no MSPFN",
    ],
)
def test_another_network_is_none_that_it_can_be_made_into(wanted: torch.nn.Module) -> None:
    assert grown(network_of(2), wanted) is None
