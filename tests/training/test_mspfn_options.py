"""What MSPFN can be besides the published network: recurrent, other widths, another pyramid, behind an unshuffle."""

import dataclasses

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mspfn.networks import MSPFN, MSPFNConfig, blocks, build_network
from mspfn.networks.blocks import GATE_GROUP_CHANNELS, LSTMCell, PReLU
from mspfn.networks.pyramid import box_pyramid, gaussian_pyramid, pad_by_reflection
from rainsynth.checks import InputError

TINY = MSPFNConfig(fine_fusion_units=1, channels=8, zero_output=False)


def cell_of(hidden: int, steps: int, *, dead_weights: bool = False) -> LSTMCell:
    """A cell of 4 input channels with random kernels and biases."""
    torch.manual_seed(0)
    cell = LSTMCell(4, hidden, dead_weights=dead_weights, recurrent_steps=steps)
    torch.nn.init.normal_(cell.weight, std=0.2)
    torch.nn.init.normal_(cell.bias)
    return cell


def written_out(cell: LSTMCell, x: torch.Tensor, hidden: int, steps: int) -> torch.Tensor:
    """The authors' cell (BasicConvLSTMCell, forget bias 1), called again and again with its own state."""
    h = c = torch.zeros(x.shape[0], hidden, *x.shape[2:])
    for _ in range(steps):
        i, j, f, o = F.conv2d(torch.cat((x, h), dim=1), cell.weight, cell.bias, padding=1).chunk(4, dim=1)
        c = c * torch.sigmoid(f + 1.0) + torch.sigmoid(i) * torch.tanh(j)
        h = torch.tanh(c) * torch.sigmoid(o)
    return h


@pytest.mark.parametrize("steps", [2, 4])
@pytest.mark.parametrize("hidden", [8, GATE_GROUP_CHANNELS + 6], ids=["one group", "two groups"])
def test_recurrent_cell_is_the_authors_cell_called_with_its_own_state(steps, hidden):
    cell, x = cell_of(hidden, steps), torch.randn(2, 4, 7, 5)
    with torch.no_grad():
        expected = written_out(cell, x, hidden, steps)
        torch.testing.assert_close(cell(x), expected, rtol=0, atol=2e-6)  # float32 sums in another order, four steps
        assert (expected - written_out(cell, x, hidden, steps - 1)).abs().max() > 0.01, "a step more must be seen"


def test_weights_that_are_dead_at_one_step_are_alive_at_two():
    dead, alive = cell_of(8, 1, dead_weights=True), cell_of(8, 2)
    alive.load_state_dict(dead.state_dict())  # the same weights fit both
    x = torch.randn(1, 4, 6, 6)
    dead(x).sum().backward()
    alive(x).sum().backward()
    for name in ("weight", "bias"):
        by_gate_dead, by_gate_alive = (getattr(cell, name).grad.unflatten(0, (4, -1)) for cell in (dead, alive))
        assert not by_gate_dead[2].any()  # the forget gate
        assert by_gate_alive[2].any()
    assert not dead.weight.grad[:, 4:].any()  # what reads the hidden state
    assert (alive.weight.grad[:, 4:] != 0).all()


def test_published_weights_can_go_on_as_a_recurrent_network():
    published = MSPFN(dataclasses.replace(TINY, dead_weights=True))
    recurrent = MSPFN(dataclasses.replace(TINY, recurrent_steps=2))
    recurrent.load_state_dict(published.state_dict())
    rainy = torch.rand(1, 3, 16, 16)
    with torch.no_grad():
        assert (recurrent(rainy) - published(rainy)).abs().max() > 1e-4


@pytest.mark.parametrize("size", [(4, 4), (8, 4), (20, 28)], ids=str)
def test_gaussian_pyramid_is_opencvs(size):
    picture = np.random.default_rng(0).random((*size, 3), dtype=np.float32)
    half = cv2.pyrDown(picture)
    levels = gaussian_pyramid(torch.from_numpy(picture).permute(2, 0, 1)[None])
    for ours, theirs in zip(levels, (picture, half, cv2.pyrDown(half)), strict=True):
        np.testing.assert_allclose(ours[0].permute(1, 2, 0).numpy(), theirs, rtol=0, atol=1e-6)  # float32 sums


def test_gaussian_network_sees_what_lies_outside_a_box():
    # A pixel that no 4x4 square around the first one holds reaches its value in the quarter-size picture.
    picture = torch.zeros(1, 3, 16, 16)
    picture[..., 5] = 1
    assert not box_pyramid(picture)[2][..., 0].any()
    assert (gaussian_pyramid(picture)[2][..., 0] > 0).all()
    torch.manual_seed(0)
    box = MSPFN(TINY)
    gaussian = MSPFN(dataclasses.replace(TINY, pyramid="gaussian"))
    gaussian.load_state_dict(box.state_dict())  # no weights in the pyramid
    with torch.no_grad():
        assert (box(picture) - gaussian(picture)).abs().max() > 1e-4


def test_lstm_channels_are_those_of_full_half_and_quarter_resolution():
    cells = MSPFN(dataclasses.replace(TINY, lstm_channels=(12, 20, 6))).coarse_fusion.fuse
    assert [cells[level].lstm.bias.numel() // 3 for level in ("full_size", "half_size", "quarter_size")] == [12, 20, 6]
    assert TINY.hidden_channels == (32, 16, 8)  # 256, 128 and 64 in the authors' code, at 64 channels


class Echo(torch.nn.Module):
    """A coarse fusion that hands on the picture, and a reconstruction that hands it on as the rain."""

    def forward(self, picture, *_):
        return picture if isinstance(picture, tuple) else (picture, picture, picture)


class First(Echo):
    def forward(self, pyramid, *_):
        return pyramid[0]


@pytest.mark.parametrize("unshuffle", [2, 4])
def test_rain_behind_an_unshuffle_comes_back_to_its_pixels(unshuffle):
    network = MSPFN(dataclasses.replace(TINY, unshuffle=unshuffle))
    assert network.reconstruction.rain.out_channels == 3 * unshuffle**2
    network.coarse_fusion, network.fine_fusion, network.reconstruction = Echo(), torch.nn.ModuleList(), First()
    rainy = torch.rand(1, 3, 21, 34)
    # rain = the picture in [-1, 1], so what is left is rainy - (2 rainy - 1) / 2 = 1/2 if every pixel finds its place.
    torch.testing.assert_close(network(rainy), torch.full_like(rainy, 0.5), rtol=0, atol=1e-6)


@pytest.mark.parametrize("unshuffle", [1, 2])
def test_a_refinement_sees_single_pixels_and_corrects_nothing_untrained(unshuffle):
    torch.manual_seed(0)
    network = MSPFN(dataclasses.replace(TINY, unshuffle=unshuffle, refine_units=2, zero_output=True))
    assert network.refinement is not None
    rainy = torch.rand(1, 3, 17, 22)
    with torch.no_grad():
        assert torch.equal(network(rainy), rainy)
        torch.nn.init.normal_(network.refinement.correction.weight)
        moved = rainy.roll(1, dims=-1)
        # Picture alone, no rain and no features: a pixel's place in its square does not matter.
        picture, nothing = 2 * rainy - 1, torch.zeros_like(rainy)
        features = torch.zeros(1, TINY.channels // 2 // unshuffle**2, 17, 22)
        one = network.refinement(picture, nothing, features)
        other = network.refinement(2 * moved - 1, nothing, features)
        margin_px = 6  # each of six convolutions sees a pixel further, and zeros beyond the border
        inside = np.s_[..., margin_px:-margin_px, margin_px + 1 : -margin_px]
        assert one.abs().max() > 1e-3
        torch.testing.assert_close(other[inside], one.roll(1, dims=-1)[inside], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (33, 50)], ids=str)
@pytest.mark.parametrize("unshuffle", [2, 4])
def test_any_picture_size_passes_an_unshuffle(size, unshuffle):
    torch.manual_seed(0)
    rainy = torch.rand(1, 3, *size)
    network = MSPFN(dataclasses.replace(TINY, unshuffle=unshuffle))
    with torch.no_grad():
        derained = network(rainy)
    assert derained.shape == rainy.shape
    assert torch.isfinite(derained).all()
    assert not torch.equal(derained, rainy)
    assert network.picture_multiple_px == 4 * unshuffle


def test_padded_picture_keeps_its_layout_in_memory():
    # Lost, the whole network runs in the slow layout: 1.2 times the time for a picture of 321x481.
    rainy = torch.rand(1, 3, 21, 30)
    last = rainy.contiguous(memory_format=torch.channels_last)
    assert pad_by_reflection(last, 4).is_contiguous(memory_format=torch.channels_last)
    assert pad_by_reflection(rainy, 4).is_contiguous()
    assert torch.equal(pad_by_reflection(last, 4), pad_by_reflection(rainy, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_prelu_gives_the_same_numbers_in_training_and_in_use(dtype):
    torch.manual_seed(0)
    activation = PReLU(5)
    torch.nn.init.uniform_(activation.weight, -0.5, 1.5)
    x = torch.randn(2, 5, 4, 4).to(dtype)
    with torch.no_grad():
        in_use = activation(x)
    in_training = activation(x)
    assert in_training.requires_grad
    assert in_use.dtype == dtype
    assert torch.equal(in_use, in_training)


@pytest.mark.parametrize("steps", [1, 3])
def test_gates_by_groups_give_what_all_at_once_give(steps, monkeypatch):
    torch.manual_seed(0)
    network = MSPFN(dataclasses.replace(TINY, recurrent_steps=steps)).double()
    rainy = torch.rand(1, 3, 12, 12, dtype=torch.float64)
    whole = network(rainy)
    monkeypatch.setattr(blocks, "GATE_GROUP_CHANNELS", 5)
    torch.testing.assert_close(network(rainy), whole, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"recurrent_steps": 0}, "recurrent_steps must be between 1 and 100, got 0"),
        ({"recurrent_steps": 2, "dead_weights": True}, "dead_weights must be false with recurrent_steps 2"),
        ({"pyramid": "laplace"}, "pyramid must be one of box, gaussian, got 'laplace'"),
        ({"unshuffle": 3}, "unshuffle must be 1, 2 or 4, got 3"),
        ({"refine_units": -1}, "refine_units must be between 0 and 100, got -1"),
        (
            {"unshuffle": 2, "refine_units": 1, "channels": 12},
            "channels must be a multiple of 8 with refine_units and unshuffle 2, got 12",
        ),
        ({"lstm_channels": (8, 8)}, "lstm_channels must be three counts"),
        ({"lstm_channels": (8, 0, 8)}, "lstm_channels of half_size must be between 1 and 4096, got 0"),
    ],
)
def test_impossible_option_is_refused_in_one_line(config, message):
    with pytest.raises(InputError, match=message) as refusal:
        build_network("mspfn", **config)
    assert "\n" not in str(refusal.value)


def test_options_read_from_lists_equal_those_they_were_written_from():
    config = MSPFNConfig(lstm_channels=(8, 8, 4), pyramid="gaussian", unshuffle=2, recurrent_steps=2)
    assert MSPFNConfig(**{**dataclasses.asdict(config), "lstm_channels": [8, 8, 4]}) == config
