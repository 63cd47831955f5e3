"""DerainNet: its weights add up, its base is a guided filter's, and no border or size is special to it."""

import numpy as np
import pytest
import torch

from mspfn.networks import DerainNet, DerainNetConfig, build_network
from mspfn.networks.derainnet import guided_filter, mirrored
from rainsynth.checks import InputError

SMALL = DerainNetConfig(channels=8, filter_radius_px=2)


def test_published_size_has_the_weights_of_three_layers():
    with torch.device("meta"):
        network = build_network("derainnet")
    count = sum(weight.numel() for weight in network.parameters())
    assert count == (16 * 16 * 3 * 512 + 512) + (512 * 512 + 512) + (8 * 8 * 512 * 3 + 3)
    assert round(count / 1e6, 2) == 0.75  # as the field's tables have it


def guided_filter_by_windows(picture, radius, eps):
    """He et al. (2013), eqs. 5, 6 and 8, window by window, for one channel."""
    height, width = picture.shape
    slope, offset = np.empty_like(picture), np.empty_like(picture)

    def window(y, x):
        return np.s_[max(y - radius, 0) : y + radius + 1, max(x - radius, 0) : x + radius + 1]

    for y, x in np.ndindex(height, width):
        values = picture[window(y, x)]
        slope[y, x] = values.var() / (values.var() + eps)
        offset[y, x] = values.mean() - slope[y, x] * values.mean()
    return np.array(
        [
            [slope[window(y, x)].mean() * picture[y, x] + offset[window(y, x)].mean() for x in range(width)]
            for y in range(height)
        ]
    )


@pytest.mark.parametrize("eps", [0.01, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (3, 8), (9, 11)], ids=str)
def test_base_is_the_guided_filters_of_each_channel(size, eps):
    picture = np.random.default_rng(0).random((3, *size))
    base = guided_filter(torch.from_numpy(picture)[None], 3, eps)[0].numpy()
    expected = [guided_filter_by_windows(channel, 3, eps) for channel in picture]
    np.testing.assert_allclose(base, expected, rtol=0, atol=1e-12)


def test_mirror_repeats_the_border_and_goes_on_beyond_the_picture():
    row = torch.tensor([[[[1.0, 2.0, 3.0]]]])
    assert mirrored(row, 2)[0, 0, 0].tolist() == [2, 1, 1, 2, 3, 3, 2]
    assert mirrored(row, 5)[0, 0, 2].tolist() == [2, 3, 3, 2, 1, 1, 2, 3, 3, 2, 1, 1, 2]
    assert mirrored(torch.ones(1, 1, 1, 1), 11).shape == (1, 1, 23, 23)


def test_every_pixel_sees_23_x_23_pixels_around_it():
    torch.manual_seed(0)
    network = DerainNet(SMALL)
    detail = torch.randn(1, 3, 41, 41, requires_grad=True)
    derained_detail = network.third(network.second(network.first(mirrored(detail, 11)).tanh()).tanh())
    derained_detail[0, :, 20, 20].sum().backward()
    seen = detail.grad[0].abs().sum(0) > 0
    expected = torch.zeros(41, 41, dtype=torch.bool)
    expected[20 - 11 : 20 + 12, 20 - 11 : 20 + 12] = True
    assert torch.equal(seen, expected)


def test_a_mirrored_picture_derains_to_its_mirror_image_with_symmetric_kernels():
    # The kernels have even sizes: a padding that is off by one would show here.
    torch.manual_seed(0)
    network = DerainNet(SMALL).double()
    with torch.no_grad():
        for layer in (network.first, network.third):
            layer.weight.copy_((layer.weight + layer.weight.flip(2, 3)) / 2)
        rainy = torch.rand(1, 3, 10, 13, dtype=torch.float64)
        torch.testing.assert_close(network(rainy.flip(2, 3)), network(rainy).flip(2, 3))


def test_last_layer_at_zero_leaves_the_base():
    network = DerainNet(SMALL)
    torch.nn.init.zeros_(network.third.weight)
    rainy = torch.rand(1, 3, 12, 9)
    torch.testing.assert_close(network(rainy), guided_filter(rainy, 2, 1.0))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"channels": 0}, "DerainNetConfig.channels must be between 1 and 8192, got 0"),
        ({"filter_radius_px": 1.5}, "filter_radius_px must be a whole number, got 1.5"),
        ({"filter_eps": 0.0}, "filter_eps must be between 0.0001 and 10000, got 0"),
    ],
)
def test_impossible_sizes_are_refused(config, message):
    with pytest.raises(InputError, match=message):
        build_network("derainnet", **config)


def test_negative_residual_starts_as_the_identity_and_learns():
    network = DerainNet(DerainNetConfig(channels=8, negative_residual=True))
    rainy, clean = torch.rand(2, 1, 3, 37, 41)
    assert torch.equal(network(rainy), rainy)
    torch.nn.functional.mse_loss(network(rainy), clean).backward()
    assert network.third.weight.grad.abs().max() > 0
