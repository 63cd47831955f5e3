"""Every network of the registry keeps the one contract that training, inference and weights files rely on."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mspfn.checkpoint import load_weights, save_weights
from mspfn.networks import NETWORKS, build_network

# Small sizes of one network of every kind.
SMALL = {
    "mspfn": {"fine_fusion_units": 1, "channels": 8, "zero_output": False},
    "prenet": {"stages": 2, "channels": 8},
    "prenet-r": {"stages": 2, "channels": 8},
    "prn": {"stages": 2, "channels": 8},
    "derainnet": {"channels": 32, "filter_radius_px": 3},
    "jorder": {"channels": 8, "blocks": 1},
}


def small(name):
    torch.manual_seed(0)
    return build_network(name, **SMALL[name])


def streaked_batch():
    """Two blocky pictures with bright upright streaks: rainy and clean, (2, 3, 16, 16)."""
    generator = torch.Generator().manual_seed(0)
    clean = 0.5 * torch.rand(2, 3, 4, 4, generator=generator).repeat_interleave(4, 2).repeat_interleave(4, 3)
    rainy = clean.clone()
    rainy[..., 2::5] += 0.4
    return rainy, clean


def test_small_sizes_cover_every_class():
    assert {NETWORKS[name][0] for name in SMALL} == {kind for kind, _ in NETWORKS.values()}


@pytest.mark.parametrize(("name", "stated_gmacs"), [("prenet", 66), ("mspfn-published-lean", 131)])
def test_work_for_256_x_256_pixels_is_what_the_field_states(name, stated_gmacs):
    # PReNet: 66 in the field's tables. MSPFN: 302 as published; 170.4 of these, by hand, are the
    # hidden-state inputs and forget gates of the three cells, which meet zeros only.
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        build_network(name)(torch.empty(1, 3, 256, 256))
    assert counter.get_total_flops() / 2e9 == pytest.approx(stated_gmacs, abs=0.5)


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(1, 1), (1, 9), (2, 3), (13, 7), (32, 20)], ids=str)
def test_any_picture_size_comes_back_in_its_size(name, size):
    rainy = torch.rand(1, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        derained = small(name)(rainy)
    assert derained.shape == rainy.shape
    assert torch.isfinite(derained).all()


@pytest.mark.parametrize("name", SMALL)
def test_pictures_of_a_batch_do_not_see_each_other(name):
    network, rainy = small(name).eval(), torch.rand(3, 3, 12, 12)
    with torch.no_grad():
        alone = torch.cat([network(picture[None]) for picture in rainy])
        torch.testing.assert_close(network(rainy), alone, rtol=0, atol=1e-5)  # float32 in another order of summation


@pytest.mark.parametrize("name", SMALL)
def test_one_batch_is_learned_within_30_steps(name):
    network, (rainy, clean) = small(name), streaked_batch()
    optimizer = torch.optim.Adam(network.parameters(), 1e-2 if name != "derainnet" else 3e-3)
    for _ in range(30):
        error = (network(rainy) - clean).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    assert error < 0.25 * (rainy - clean).square().mean()


@pytest.mark.parametrize("name", SMALL)
def test_gradient_reaches_every_tensor_of_weights(name):
    network, (rainy, clean) = small(name), streaked_batch()
    (network(rainy) - clean).square().mean().backward()
    unreached = [key for key, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    # A PReLU's slope is reached through negative values alone, which 8 channels need not have.
    assert [key for key in unreached if not key.endswith("activation.weight")] == []


@pytest.mark.parametrize("name", SMALL)
def test_bfloat16_and_channels_last_change_the_picture_by_rounding_only(name):
    network, (rainy, _) = small(name).eval(), streaked_batch()
    with torch.no_grad():
        exact = network(rainy)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(rainy.contiguous(memory_format=torch.channels_last))
    assert rounded.dtype == torch.float32
    # bfloat16 keeps 8 bits, 0.4 % at each of some ten layers in a row, of a part of the picture at most as large as it
    assert (rounded - exact).abs().max() < 0.03


@pytest.mark.parametrize("name", SMALL)
def test_weights_file_brings_back_the_network(name, tmp_path):
    network, (rainy, _) = small(name).eval(), streaked_batch()
    save_weights(tmp_path / "w.pt", network)
    loaded = load_weights(tmp_path / "w.pt")
    assert loaded.config == network.config
    with torch.no_grad():
        assert torch.equal(loaded(rainy), network(rainy))
