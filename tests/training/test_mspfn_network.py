"""MSPFN by itself: size, any picture, what its dead weights do, refusals."""

import dataclasses

import pytest
import torch

from mspfn.networks import MSPFN, NETWORKS, SIZES, MSPFNConfig, build_network
from mspfn.networks.blocks import Downscale, Upscale, live_bias, live_kernel
from mspfn.networks.mspfn import pad_by_reflection
from mspfn.networks.tensorflow_weights import all_entries, mspfn_from_tensorflow
from rainsynth.checks import InputError

TINY = MSPFNConfig(fine_fusion_units=2, channels=8)


def parameter_count(network: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def activated(inputs: int, outputs: int) -> int:
    """3x3 kernel without bias, and a PReLU slope per output."""
    return 9 * inputs * outputs + outputs


def counted_by_hand(config: MSPFNConfig) -> int:
    """Weights of every layer in the paper's figures, added up without looking at the modules."""
    c, picture = config.channels, 3 * config.unshuffle**2
    gates, hidden_inputs = (4, 1) if config.dead_weights or config.recurrent_steps > 1 else (3, 0)
    hidden = config.lstm_channels or (4 * c, 2 * c, c)
    cells = sum(gates * h * (9 * (c // 2 + hidden_inputs * h) + 1) for h in hidden)
    widen = sum(activated(h, c) for h in hidden)
    coarse = 3 * activated(picture, c) + 3 * activated(c, c // 2) + cells + widen + 3 * activated(c, c)
    attention = 2 * (9 * c * c + c) + c + 2 * (c * c // 4) + c // 4 + c // 4 + c
    fine = 6 * activated(c, c) + 3 * activated(2 * c, c) + sum(config.attention_units) * attention
    reconstruction = 4 * activated(2 * c, c) + activated(c, c) + activated(2 * c, c // 2) + 9 * (c // 2) * picture
    half = c // 2
    refinement = activated(6 + half // config.unshuffle**2, half) + 9 * half * 3
    refinement += config.refine_units * (activated(half, half) + 9 * half * half)
    return coarse + config.fine_fusion_units * fine + reconstruction + (refinement if config.refine_units else 0)


# The authors' graphs (Jiang et al. 2020): 4,414,112 + 671,136 M, plus 76,064 for every attention unit beyond one in a
# block; 3,226,048 weights fewer where the output does not see them.
PUBLISHED_COUNTS = {
    "published": 4_414_112 + 671_136 * 17,
    "published-lean": 12_597_376,
    "training-graph": 20_995_776,
    "training-graph-lean": 17_769_728,
}


def test_options_have_the_weights_that_their_figures_add_up_to():
    squares = {"unshuffle": 2, "refine_units": 3}
    for options in (
        {"recurrent_steps": 3},
        {"unshuffle": 4},
        {"lstm_channels": (12, 8, 4)},
        {"refine_units": 1},
        squares,
    ):
        config = dataclasses.replace(TINY, **options)
        assert parameter_count(MSPFN(config)) == counted_by_hand(config) != counted_by_hand(TINY)


@pytest.mark.parametrize("size", SIZES)
def test_named_size_has_the_weights_that_its_figures_add_up_to(size):
    with torch.device("meta"):
        count = parameter_count(build_network(f"mspfn-{size}"))
    assert count == counted_by_hand(SIZES[size])
    assert count == PUBLISHED_COUNTS.get(size, count)


def test_published_size_has_15_823_424_weights():
    assert PUBLISHED_COUNTS["published"] == 15_823_424


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 5), (33, 50), (36, 44)], ids=str)
def test_any_picture_size_comes_back_unchanged_from_an_untrained_network(size):
    rainy = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(0))
    assert torch.equal(build_network("mspfn-demo")(rainy), rainy)


@pytest.mark.parametrize("size", [(1, 1), (7, 5), (36, 44)], ids=str)
def test_any_picture_size_is_changed_by_a_network_with_weights(size):
    torch.manual_seed(0)
    rainy = torch.rand(1, 3, *size)
    derained = build_network("mspfn-demo", zero_output=False)(rainy)
    assert derained.shape == rainy.shape
    assert torch.isfinite(derained).all()
    assert not torch.equal(derained, rainy)


def test_padding_does_not_touch_a_multiple_of_4_and_mirrors_the_rest():
    row = torch.tensor([[[[1.0, 2.0, 3.0, 4.0, 5.0]]]])
    assert pad_by_reflection(row, 4)[0, 0, 0].tolist() == [1, 2, 3, 4, 5, 4, 3, 2]  # a mirror that shows 5 once
    assert pad_by_reflection(row, 4).shape == (1, 1, 4, 8)
    assert pad_by_reflection(row[..., :2], 4)[0, 0, 0].tolist() == [1, 2, 1, 2]
    square = torch.rand(1, 3, 8, 12)
    assert pad_by_reflection(square, 4) is square


def test_gradient_reaches_every_weight_of_a_network_without_dead_weights():
    torch.manual_seed(0)
    # Wide enough that in every activation some channel is negative: only these reach the slopes.
    network = MSPFN(MSPFNConfig(fine_fusion_units=2, channels=32, zero_output=False))
    network(torch.rand(4, 3, 16, 16)).square().mean().backward()
    untouched = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert untouched == []


def test_dead_weights_do_not_change_the_picture():
    torch.manual_seed(0)
    full = MSPFN(dataclasses.replace(TINY, zero_output=False, dead_weights=True))
    for cell in full.coarse_fusion.fuse.values():
        torch.nn.init.normal_(cell.lstm.bias)
    lean = MSPFN(dataclasses.replace(TINY, zero_output=False))
    state = full.state_dict()
    for name in [name for name in state if name.endswith("lstm.weight")]:
        state[name] = live_kernel(state[name], TINY.channels // 2)
        bias = name.replace("weight", "bias")
        state[bias] = live_bias(state[bias])
    lean.load_state_dict(state)
    rainy = torch.rand(1, 3, 20, 28)
    torch.testing.assert_close(lean(rainy), full(rainy), rtol=0, atol=1e-6)  # float32 summation order at most
    assert parameter_count(full) - parameter_count(lean) == sum(
        4 * h * (9 * (4 + h) + 1) - 3 * h * (9 * 4 + 1) for h in (8, 16, 32)
    )


def test_cell_is_a_convolutional_lstm_called_once_from_a_zero_state():
    torch.manual_seed(0)
    cell = MSPFN(dataclasses.replace(TINY, dead_weights=True)).coarse_fusion.fuse["quarter_size"].lstm
    torch.nn.init.normal_(cell.bias)
    x = torch.randn(1, 4, 6, 6)
    state = torch.zeros(1, 8, 6, 6)  # the full cell: forget gate (bias + 1) times a zero state, hidden inputs all zero
    gates = torch.nn.functional.conv2d(torch.cat((x, state), dim=1), cell.weight, cell.bias, padding=1)
    input_gate, new, forget, output = gates.chunk(4, dim=1)
    memory = state * torch.sigmoid(forget + 1) + torch.sigmoid(input_gate) * torch.tanh(new)
    torch.testing.assert_close(cell(x), torch.tanh(memory) * torch.sigmoid(output), rtol=0, atol=1e-6)


def test_import_of_tensorflow_weights_fills_every_weight_once_and_finds_the_size():
    config = MSPFNConfig(fine_fusion_units=2, channels=8, attention_units=(3, 2, 1), dead_weights=True)
    state = MSPFN(config).state_dict()
    entries = list(all_entries(config))
    assert sorted(key for key, _, _ in entries) == sorted(state)
    variables = {}
    for key, name, _ in entries:
        value = state[key]
        if value.ndim == 4:  # their kernels are (h, w, ., .), the last two swapped in stride-1 transposed convolutions
            stride_1 = name.endswith("/weight") and "down" not in name and "up" not in name
            value = value.permute((2, 3, 0, 1) if stride_1 else (2, 3, 1, 0))
        variables[f"generator/{name}"] = value.numpy()
    assert mspfn_from_tensorflow(variables, dead_weights=True).config == config
    name = "generator/BCM4_1/up_2/weight"
    with pytest.raises(InputError, match=r"shapes of an MSPFN with 8 channels, got \(16, 4, 3, 3\) instead of"):
        mspfn_from_tensorflow(variables | {name: variables[name][:, :, :4]})
    with pytest.raises(InputError, match="must include generator/rnn1/weight"):
        mspfn_from_tensorflow(variables | {"generator/rnn1/weight": variables["generator/rnn1/alpha"]})


def test_bfloat16_and_channels_last_change_the_picture_by_rounding_only():
    torch.manual_seed(0)
    network = MSPFN(dataclasses.replace(TINY, zero_output=False))
    rainy = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        exact = network(rainy)
        with torch.autocast("cpu", torch.bfloat16):
            rounded = network(rainy.contiguous(memory_format=torch.channels_last))
    assert rounded.dtype == torch.float32
    # bfloat16 keeps 8 bits, 0.4 % at each of some 30 layers in a row; four seeds gave 0.6 to 1.0 % of what is removed.
    assert (rounded - exact).abs().max() < 0.03 * (exact - rainy).abs().max()


def test_unknown_names_are_refused_with_the_choices():
    with pytest.raises(InputError, match="network name must be one of mspfn, mspfn-published"):
        build_network("mprnet-2")
    with pytest.raises(
        InputError, match=r"config of mspfn-tiny must use only fine_fusion_units, channels, .* got depth"
    ):
        build_network("mspfn-tiny", depth=3)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"channels": 30}, "channels must be a multiple of 4, got 30"),
        ({"fine_fusion_units": 0}, "fine_fusion_units must be between 1 and 100, got 0"),
        ({"fine_fusion_units": 2.5}, "fine_fusion_units must be a whole number, got 2.5"),
        ({"attention_units": (1, 3)}, "attention_units must be three counts"),
        ({"attention_units": (1, 3, 0)}, "attention_units of quarter_size must be between 1 and 20, got 0"),
    ],
)
def test_impossible_size_is_refused_in_one_line(config, message):
    with pytest.raises(InputError, match=message) as refusal:
        build_network("mspfn", **config)
    assert "\n" not in str(refusal.value)


def test_config_read_from_a_list_equals_the_one_it_was_written_from():
    config = SIZES["training-graph"]
    read = {**dataclasses.asdict(config), "attention_units": list(config.attention_units)}
    assert MSPFNConfig(**read) == config
    assert set(NETWORKS) >= {"mspfn", *(f"mspfn-{size}" for size in SIZES)}


@pytest.mark.parametrize("width", [1, 2, 3])
def test_narrow_features_are_scaled_as_a_plain_convolution_does_and_in_bfloat16_nearly(width):
    # In bfloat16 a processor's library may compute a single column wrongly: finite numbers are not enough.
    torch.manual_seed(0)
    down, up = Downscale(16), Upscale(16, 16)
    rows = torch.rand(1, 16, 13, width)
    expected_down = torch.nn.functional.conv2d(
        torch.nn.functional.pad(rows, (width % 2, 1, 1, 1)), down.conv.weight, stride=2
    )
    expected_up = torch.nn.functional.conv_transpose2d(rows, up.conv.weight, stride=2)[..., :26, : 2 * width]
    for scale, expected in ((down, expected_down), (up, expected_up)):
        plain = rows.clone().requires_grad_()
        scale.activation = torch.nn.Identity()  # a slope changes where a sign does
        scaled = scale(plain)
        torch.testing.assert_close(scaled, expected, rtol=1e-5, atol=1e-6)
        scaled.sum().backward()
        for _ in range(20):
            coarse = rows.clone().requires_grad_()
            with torch.autocast("cpu", torch.bfloat16):
                nearly = scale(coarse)
            nearly.float().sum().backward()
            torch.testing.assert_close(nearly.float(), scaled, rtol=0.05, atol=0.02)
            torch.testing.assert_close(coarse.grad, plain.grad, rtol=0.05, atol=0.05)
