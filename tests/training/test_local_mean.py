"""Channel attention by a mean over a window: what the window is, what it gives, what it leaves alone."""

import numpy as np
import pytest
import torch
from torch import nn

from mspfn import inference
from mspfn.inference import derain
from mspfn.local_mean import LocalMean, Window, with_local_mean
from mspfn.networks import build_network
from rainsynth.checks import InputError


def photo(height_px: int, width_px: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return build_network("mspfn", fine_fusion_units=1, channels=8, zero_output=False)


def slow_means(x: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The mean of the window whose centre is nearest to each place among windows that lie inside, one by one."""
    means = np.empty_like(x)
    height, width = x.shape[-2:]
    for row in range(height):
        for column in range(width):
            top = min(max(row - (rows - 1) // 2, 0), height - rows)
            left = min(max(column - (columns - 1) // 2, 0), width - columns)
            means[..., row, column] = x[..., top : top + rows, left : left + columns].mean(axis=(-2, -1))
    return means


@pytest.mark.parametrize("window_px", [8, 9, 10, 11, 15])
def test_means_are_those_of_the_windows_one_by_one(window_px):
    x = np.random.default_rng(0).normal(5, 1, (2, 3, 11, 17))
    window = Window(window_px)
    window.meet(nn.Identity(), (torch.empty(2, 3, 11, 17),))
    rows, columns = min(window_px, 11), min(window_px, 17)
    means = LocalMean(window)(torch.from_numpy(x).float())
    np.testing.assert_allclose(means.numpy(), slow_means(x, rows, columns), rtol=1e-6)  # float32 sums


@pytest.mark.parametrize("stride", [1, 2, 4, 8])
def test_window_counts_pixels_of_the_picture_whatever_the_resolution_of_the_map(stride):
    window = Window(64)
    window.meet(nn.Identity(), (torch.empty(1, 3, 320, 480),))
    assert window.size_at(320 // stride, 480 // stride) == (64 // stride, 64 // stride)


def test_picture_that_the_window_covers_comes_out_as_with_the_mean_over_all_of_it(network):
    picture = photo(45, 64)
    plain = derain(picture, network)
    np.testing.assert_array_equal(derain(picture, network, local_mean_px=64), plain)
    assert not np.array_equal(derain(picture, network, local_mean_px=40), plain)


def test_what_lies_far_away_reaches_a_pixel_through_the_mean_over_the_picture_only(network, monkeypatch):
    monkeypatch.setattr(inference, "inference_precision", lambda device: torch.float32)
    picture = np.random.default_rng(1).integers(0, 65536, (16, 400, 3), dtype=np.uint16)
    changed = picture.copy()
    changed[:, 320:] = 0
    left = np.s_[:, :160]
    assert not np.array_equal(derain(picture, network)[left], derain(changed, network)[left])
    local = {"local_mean_px": 16}
    np.testing.assert_array_equal(derain(picture, network, **local)[left], derain(changed, network, **local)[left])


def test_twin_shares_weights_and_the_network_stays_as_it_was(network):
    picture = photo(40, 96)
    before = derain(picture, network)
    twin = with_local_mean(network, 16)
    assert all(a is b for a, b in zip(twin.parameters(), network.parameters(), strict=True))
    assert twin.state_dict().keys() == network.state_dict().keys()
    np.testing.assert_array_equal(derain(picture, twin), derain(picture, network, local_mean_px=16))
    np.testing.assert_array_equal(derain(picture, network), before)
    assert not any(module._forward_pre_hooks for module in network.modules())
    assert not any(isinstance(module, LocalMean) for module in network.modules())


@pytest.mark.parametrize("size", [(1, 1), (1, 37), (53, 1), (13, 71)], ids=str)
def test_any_size_has_local_means(network, size):
    assert derain(photo(*size), network, local_mean_px=8).shape == (*size, 3)


def test_network_without_a_mean_over_the_picture_is_refused():
    with pytest.raises(InputError, match="local_mean_px must be left out for Identity, got 64"):
        derain(photo(8, 8), nn.Identity(), local_mean_px=64)


@pytest.mark.parametrize(("window_px", "message"), [(0, "between 8"), (7, "between 8"), (16.5, "whole number")])
def test_window_that_cannot_be_is_refused(network, window_px, message):
    with pytest.raises(InputError, match=f"local_mean_px must be .*{message}"):
        derain(photo(8, 8), network, local_mean_px=window_px)
