"""Tiles: they cover the picture, blend without a seam, and give what the whole picture gives."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from mspfn import inference
from mspfn.inference import derain
from mspfn.networks import build_network
from mspfn.tiles import Tiling, restore_in_tiles, tile_spans, weighted_spans
from rainsynth.checks import InputError


class LocalFilter(nn.Module):
    """A 5x5 blur: what it gives at a pixel depends on the neighbourhood only, unlike channel attention."""

    def __init__(self) -> None:
        super().__init__()
        self.blur = nn.Conv2d(3, 3, 5, padding=2, groups=3, bias=False)
        nn.init.constant_(self.blur.weight, 1 / 25)

    def forward(self, rainy: torch.Tensor) -> torch.Tensor:
        return self.blur(rainy)


def photo(height_px: int, width_px: int) -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (height_px, width_px, 3), dtype=np.uint8)


@pytest.fixture
def float32(monkeypatch):
    monkeypatch.setattr(inference, "inference_precision", lambda device: torch.float32)


def test_untrained_network_returns_the_bytes_through_tiles_too():
    picture = photo(70, 101)
    identity = build_network("mspfn", fine_fusion_units=1, channels=8)
    np.testing.assert_array_equal(derain(picture, identity, tile_px=64, overlap_px=16), picture)


def test_eight_ways_go_through_tiles():
    picture = photo(130, 200)
    np.testing.assert_array_equal(derain(picture, nn.Identity(), tile_px=64, ensemble=True), picture)


@pytest.mark.usefixtures("float32")
def test_tiles_give_the_whole_picture_of_a_local_network():
    picture = photo(150, 213)
    whole = derain(picture, LocalFilter())
    tiled = derain(picture, LocalFilter(), tile_px=64, overlap_px=16)
    # The filter reaches 2 px and the outer 4 px of a tile do not count; a weighted mean may round the other way.
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    assert np.mean(tiled != whole) < 0.01


@pytest.mark.usefixtures("float32")
def test_tiles_without_overlap_show_where_they_meet():
    picture = photo(150, 213)
    whole = derain(picture, LocalFilter())
    tiled = derain(picture, LocalFilter(), tile_px=64, overlap_px=0)
    differs = np.any(tiled != whole, axis=2)
    rows, columns = (tile_spans(size_px, 64, 0) for size_px in differs.shape)
    near = np.zeros_like(differs)  # the two pixels on either side of a border, as far as the filter reaches
    for span in rows[1:]:
        near[span.start - 2 : span.start + 2] = True
    for span in columns[1:]:
        near[:, span.start - 2 : span.start + 2] = True
    assert differs[near].mean() > 0.9
    assert not differs[~near].any()


def test_seams_do_not_show_on_a_smooth_picture():
    torch.manual_seed(0)
    network = build_network("mspfn", fine_fusion_units=1, channels=8, zero_output=False)
    slope = np.linspace(20000, 40000, 192)
    picture = np.repeat((slope[:, None] + slope)[..., None] / 2, 3, axis=2).astype(np.uint16)

    def border_step(overlap_px: int) -> float:
        """Mean step across the columns where tiles begin, blend and end, relative to the other columns."""
        spans = tile_spans(192, 96, overlap_px)
        borders = {edge for a, b in pairwise(spans) for edge in (b.start, (b.start + a.stop) // 2, a.stop)}
        derained = derain(picture, network, tile_px=96, overlap_px=overlap_px, local_mean_px=48)
        steps = np.abs(np.diff(derained.astype(float), axis=1)).mean(axis=(0, 2))[16:-16]  # the picture's own edge
        chosen = np.isin(np.arange(17, 176), sorted(borders))
        return steps[chosen].mean() / steps[~chosen].mean()

    assert border_step(32) < 1.05
    assert border_step(0) > 1.2  # what a seam looks like


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
@pytest.mark.parametrize(("tile_px", "overlap_px"), [(64, 0), (64, 32), (72, 8), (512, 32)])
def test_tiles_cover_the_side_overlap_and_start_on_the_grid(size_px, tile_px, overlap_px):
    spans = tile_spans(size_px, tile_px, overlap_px)
    assert spans[0].start == 0
    assert spans[-1].stop == size_px
    assert all(0 < span.stop - span.start <= tile_px and span.start % 32 == 0 for span in spans)
    assert all(a.stop - b.start == overlap_px for a, b in pairwise(spans))


@pytest.mark.parametrize("size_px", [1, 65, 100, 517])
@pytest.mark.parametrize(("tile_px", "overlap_px"), [(64, 0), (64, 32), (256, 32)])
def test_weights_sum_to_one_and_are_zero_at_the_outer_quarter_of_the_overlap(size_px, tile_px, overlap_px):
    total = torch.zeros(size_px)
    for span, weight in weighted_spans(size_px, Tiling(tile_px=tile_px, overlap_px=overlap_px)):
        total[span] += weight
        if span.start > 0:
            assert not weight[: overlap_px // 4].any()
        if span.stop < size_px:
            assert not weight[len(weight) - overlap_px // 4 :].any()
    np.testing.assert_allclose(total.numpy(), 1, rtol=1e-6)  # float32


def test_each_tile_is_restored_by_itself():
    # A network that paints its tile in the tile's first value: where one tile counts alone, that value stands.
    picture = photo(64, 96)
    painted = restore_in_tiles(
        picture[None],
        lambda tile: torch.full((1, 3, *tile.shape[1:3]), float(tile[0, 0, 0, 0])),
        Tiling(tile_px=64, overlap_px=32),
    )
    left, right = tile_spans(96, 64, 32)
    assert (painted[..., : right.start + 8] == float(picture[0, 0, 0])).all()
    assert (painted[..., left.stop - 8 :] == float(picture[0, right.start, 0])).all()


@pytest.mark.parametrize(
    ("tiles", "message"),
    [
        ({"tile_px": 32}, "tile_px must be between 64"),
        ({"tile_px": 0}, "tile_px must be between 64"),
        ({"tile_px": 100}, "tile_px must be a multiple of 8, got 100"),
        ({"tile_px": 64.5}, "tile_px must be a whole number"),
        ({"tile_px": 64, "overlap_px": 40}, "overlap_px must be between 0 and 32"),
        ({"overlap_px": 12}, "overlap_px must be a multiple of 8, got 12"),
    ],
)
def test_tiles_that_cannot_be_are_refused_in_one_line(tiles, message):
    with pytest.raises(InputError, match=message) as refusal:
        derain(photo(8, 8), LocalFilter(), **tiles)
    assert "\n" not in str(refusal.value)
