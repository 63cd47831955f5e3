"""Deraining of 8-bit photographs: any size, tiles, precision, repeatability."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

import mspfn
from mspfn import inference
from mspfn.inference import derain, inference_precision, ramp, tile_spans
from mspfn.networks import build_network
from rainsynth.checks import InputError


def photo(height_px: int, width_px: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return build_network("mspfn", fine_fusion_units=1, channels=8, zero_output=False)


class LocalFilter(nn.Module):
    """A 5x5 blur: what it gives at a pixel depends on the neighbourhood only, unlike channel attention."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = nn.Conv2d(3, 3, 5, padding=2, groups=3, bias=False)
        nn.init.constant_(self.blur.weight, 1 / 25)

    def forward(self, rainy: torch.Tensor) -> torch.Tensor:
        return self.blur(rainy)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 5), (33, 50)], ids=str)
def test_untrained_network_returns_the_bytes_it_was_given(size):
    picture = photo(*size)
    np.testing.assert_array_equal(derain(picture, build_network("mspfn-demo")), picture)


def test_untrained_network_returns_the_bytes_through_tiles_too():
    picture = photo(130, 200)
    identity = build_network("mspfn-demo")
    np.testing.assert_array_equal(derain(picture, identity, tile_px=64, overlap_px=16), picture)


def test_same_picture_gives_the_same_bytes_and_leaves_picture_and_network_as_they_were(network):
    picture = photo(40, 52)
    original = picture.copy()
    network.train()
    first, second = derain(picture, network), derain(picture, network)
    assert first.dtype == np.uint8
    assert first.shape == picture.shape
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(picture, original)
    assert network.training
    assert not np.array_equal(first, picture)


def test_values_outside_the_range_are_clipped_and_the_rest_rounded():
    class Shift(nn.Module):
        def forward(self, rainy):
            return rainy + 0.6 / 255

    picture = np.array([[[0, 100, 255]]], dtype=np.uint8)
    assert derain(picture, Shift()).tolist() == [[[1, 101, 255]]]


def test_tiles_give_the_whole_picture_of_a_local_network(monkeypatch):
    monkeypatch.setattr(inference, "inference_precision", lambda device: torch.float32)
    picture = photo(150, 213)
    whole = derain(picture, LocalFilter())
    tiled = derain(picture, LocalFilter(), tile_px=64, overlap_px=16)
    # The filter reaches 2 px and the outer 4 px of a tile do not count; a weighted mean may round the other way.
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    assert np.mean(tiled != whole) < 0.01


def test_picture_above_the_budget_is_worked_on_in_tiles(monkeypatch):
    seen_px = []

    class Spy(nn.Module):
        def forward(self, rainy):
            seen_px.append(tuple(rainy.shape[-2:]))
            return rainy

    monkeypatch.setattr(inference, "WHOLE_PICTURE_PX", 128 * 128)
    monkeypatch.setattr(inference, "DEFAULT_TILE_PX", 96)
    np.testing.assert_array_equal(derain(photo(128, 128), Spy()), photo(128, 128))
    assert seen_px == [(128, 128)]
    seen_px.clear()
    np.testing.assert_array_equal(derain(photo(128, 131), Spy()), photo(128, 131))
    assert len(seen_px) == 4
    assert max(max(size) for size in seen_px) <= 96


@pytest.mark.parametrize("size_px", [1, 63, 64, 65, 100, 517, 2160])
@pytest.mark.parametrize(("tile_px", "overlap_px"), [(64, 0), (64, 32), (512, 32)])
def test_tiles_cover_the_side_overlap_and_start_on_the_grid(size_px, tile_px, overlap_px):
    spans = tile_spans(size_px, tile_px, overlap_px)
    assert spans[0].start == 0
    assert spans[-1].stop == size_px
    assert all(0 < span.stop - span.start <= tile_px and span.start % 8 == 0 for span in spans)
    assert all(a.stop - b.start == overlap_px for a, b in pairwise(spans))
    weight = sum_of_ramps(spans, size_px, overlap_px)
    assert weight.min() > 0
    if all(a.stop <= c.start for a, c in zip(spans, spans[2:], strict=False)):  # no pixel in three tiles
        torch.testing.assert_close(weight, torch.ones(size_px))


def sum_of_ramps(spans: list[slice], size_px: int, overlap_px: int) -> torch.Tensor:
    total = torch.zeros(size_px)
    for span in spans:
        total[span] += ramp(span, size_px, overlap_px)
    return total


@pytest.mark.parametrize(
    ("picture", "tiles", "message"),
    [
        (np.zeros((8, 8), np.uint8), {}, "photo_srgb8 must be uint8 RGB of shape .*, got uint8 \\(8, 8\\)"),
        (np.zeros((8, 8, 4), np.uint8), {}, "got uint8 \\(8, 8, 4\\)"),
        (np.zeros((8, 8, 3), np.uint16), {}, "got uint16 \\(8, 8, 3\\)"),
        (np.zeros((0, 8, 3), np.uint8), {}, "got uint8 \\(0, 8, 3\\)"),
        (np.zeros((8, 8, 3), np.uint8), {"tile_px": 32}, "tile_px must be between 64"),
        (np.zeros((8, 8, 3), np.uint8), {"tile_px": 100}, "tile_px must be a multiple of 8, got 100"),
        (np.zeros((8, 8, 3), np.uint8), {"tile_px": 64, "overlap_px": 40}, "overlap_px must be between 0 and 32"),
    ],
)
def test_what_cannot_be_derained_is_refused_in_one_line(picture, tiles, message):
    with pytest.raises(InputError, match=message) as refusal:
        derain(picture, build_network("mspfn-demo"), **tiles)
    assert "\n" not in str(refusal.value)


def test_weights_that_give_no_number_are_refused(network):
    nn.init.constant_(network.reconstruction.rain.weight, float("nan"))
    with pytest.raises(InputError, match="Did its training diverge"):
        derain(photo(8, 8), network)


def test_precision_is_bfloat16_only_where_the_processor_multiplies_in_it(monkeypatch):
    monkeypatch.setattr(inference, "has_native_bfloat16", lambda: False)
    assert inference_precision(torch.device("cpu")) == torch.float32
    monkeypatch.setattr(inference, "has_native_bfloat16", lambda: True)
    assert inference_precision(torch.device("cpu")) == torch.bfloat16


def test_package_offers_its_names_without_importing_torch_first():
    assert mspfn.derain is derain
    assert mspfn.build_network is build_network
    assert {"build_network", "load_weights", "derain", "psnr_y", "ssim_y"} <= set(dir(mspfn))
    with pytest.raises(AttributeError, match="has no attribute 'derian'"):
        _ = mspfn.derian
