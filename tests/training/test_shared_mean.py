"""Means of channel attention that the tiles of a picture share: close to those of the whole picture."""

import numpy as np
import pytest
import torch
from torch import nn

from mspfn import inference
from mspfn.inference import derain
from mspfn.networks import build_network
from mspfn.networks.blocks import ChannelAttentionUnit
from mspfn.shared_mean import own_part, with_shared_means
from mspfn.tiles import Tiling

TILING = Tiling(tile_px=64, overlap_px=32)


class OneAttentionUnit(nn.Module):
    """Two convolutions around one attention unit: what its mean is taken of reaches 3 px, far less than the overlap."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), ChannelAttentionUnit(8), nn.Conv2d(8, 3, 3, padding=1)
        )
        for weight in self.layers[1].parameters():
            weight.data.mul_(4)  # so that the gate listens to its mean

    def forward(self, rainy: torch.Tensor) -> torch.Tensor:
        return self.layers(rainy) + 0.5


@pytest.fixture(autouse=True)
def float32(monkeypatch):
    monkeypatch.setattr(inference, "inference_precision", lambda device: torch.float32)


def bright_at_the_right(height_px: int, width_px: int) -> np.ndarray:
    """A picture whose tiles differ in their means, 16 bit."""
    noise = np.random.default_rng(0).integers(0, 20000, (height_px, width_px, 3))
    return (noise + np.linspace(0, 40000, width_px)[:, None]).astype(np.uint16)


def test_tiles_with_shared_means_give_the_whole_picture(monkeypatch):
    picture, network = bright_at_the_right(96, 128), OneAttentionUnit()  # six tiles
    whole = derain(picture, network).astype(int)
    shared = derain(picture, network, tile_px=64)
    # Insides cover the picture once, so gathered means are the picture's, to float32 rounding on 65535 codes.
    assert np.abs(shared - whole).max() <= 2
    monkeypatch.setattr(inference, "with_shared_means", lambda network, *rest: network)
    assert np.abs(derain(picture, network, tile_px=64) - whole).max() > 50


def test_several_pictures_keep_their_own_means(monkeypatch):
    monkeypatch.setattr(inference, "at_once", lambda picture_px, device: 2)
    pictures, network = np.stack([bright_at_the_right(80, 96), 65535 - bright_at_the_right(80, 96)]), OneAttentionUnit()
    both = inference.derain_batch(pictures, network, tile_px=64).astype(int)
    for picture, derained in zip(pictures, both, strict=True):
        assert np.abs(derained - derain(picture, network, tile_px=64)).max() <= 2


def test_own_parts_of_tiles_cover_a_side_once():
    spans = (slice(0, 64), slice(32, 96), slice(64, 101))
    owned = []
    for span in spans:
        start, stop = own_part(span, 101, 32)
        length = span.stop - span.start
        owned += list(range(span.start + round(start * length), span.start + round(stop * length)))
    assert owned == list(range(101))


def test_network_stays_itself_without_attention_and_for_a_single_tile():
    no_attention, attention = nn.Conv2d(3, 3, 1), build_network("mspfn", fine_fusion_units=1, channels=8)
    large, small = np.zeros((1, 96, 96, 3), np.uint8), np.zeros((1, 64, 64, 3), np.uint8)

    def make_restore(network):
        return lambda photos: network(torch.zeros(1, 3, *photos.shape[1:3]))

    assert with_shared_means(no_attention, large, TILING, make_restore) is no_attention
    assert with_shared_means(attention, small, TILING, make_restore) is attention
    assert with_shared_means(attention, large, TILING, make_restore) is not attention
