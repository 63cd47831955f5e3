"""Deraining of photographs: any size, 8 and 16 bit, batches, eight ways, precision, repeatability."""

import numpy as np
import pytest
import torch
from torch import nn

import mspfn
from mspfn import inference
from mspfn.inference import derain, derain_batch, inference_precision
from mspfn.networks import build_network
from rainsynth.checks import InputError


def photo(height_px: int, width_px: int, dtype: type = np.uint8) -> np.ndarray:
    codes = np.iinfo(dtype).max + 1
    return np.random.default_rng(1).integers(0, codes, (height_px, width_px, 3), dtype=dtype)


def photos(count: int, height_px: int, width_px: int) -> np.ndarray:
    return np.random.default_rng(2).integers(0, 256, (count, height_px, width_px, 3), dtype=np.uint8)


@pytest.fixture
def network() -> nn.Module:
    torch.manual_seed(0)
    return build_network("mspfn", fine_fusion_units=1, channels=8, zero_output=False)


@pytest.fixture
def float32(monkeypatch):
    monkeypatch.setattr(inference, "inference_precision", lambda device: torch.float32)


class Sidewards(nn.Module):
    """Each pixel becomes the one on its left: a network that tells directions apart."""

    def forward(self, rainy: torch.Tensor) -> torch.Tensor:
        return rainy.roll(1, dims=-1)


SIZES = [(1, 1), (1, 9), (23, 1), (2, 2), (7, 5), (33, 50), (61, 37)]


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_untrained_network_returns_the_bytes_it_was_given(size):
    picture = photo(*size)
    np.testing.assert_array_equal(derain(picture, build_network("mspfn-demo")), picture)


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_any_size_comes_out_as_the_network_makes_it(network, size):
    picture = photo(*size)
    rainy = torch.tensor(picture / 255, dtype=torch.float32).permute(2, 0, 1)[None]
    with torch.no_grad():
        expected = 255 * network(rainy)[0].permute(1, 2, 0).numpy().clip(0, 1)
    derained = derain(picture, network)
    assert derained.dtype == np.uint8
    # Half a code of rounding; kernels for channels that lie last sum in another order.
    assert np.abs(derained - expected).max() <= 0.5 + 1e-3
    assert not np.array_equal(derained, picture)


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


def test_view_that_is_mirrored_in_memory_gives_the_bytes_of_its_copy(network):
    view = photo(24, 40)[::-1, ::2, ::-1]
    np.testing.assert_array_equal(derain(view, network), derain(view.copy(), network))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_values_outside_the_range_are_clipped_and_the_rest_rounded(dtype):
    largest = np.iinfo(dtype).max

    class Shift(nn.Module):
        def forward(self, rainy):
            return rainy + 0.6 / largest

    picture = np.array([[[0, 100, largest]]], dtype=dtype)
    assert derain(picture, Shift()).tolist() == [[[1, 101, largest]]]


def test_every_code_of_16_bit_survives_a_network_that_changes_nothing():
    codes = np.arange(65536, dtype=np.uint16).reshape(256, 256, 1).repeat(3, axis=2)
    derained = derain(codes, build_network("mspfn", fine_fusion_units=1, channels=8))
    assert derained.dtype == np.uint16
    np.testing.assert_array_equal(derained, codes)


def test_16_bit_of_an_8_bit_picture_gives_the_same_to_16_bit(network):
    picture = photo(32, 48)
    eight, sixteen = derain(picture, network), derain(picture.astype(np.uint16) * 257, network)  # 65535 = 257 x 255
    assert np.abs(sixteen / 257 - eight).max() <= 0.5 + 1e-3
    assert len(np.unique(sixteen)) > 256


@pytest.mark.parametrize("options", [{}, {"tile_px": 64, "overlap_px": 16}, {"local_mean_px": 16}], ids=str)
def test_picture_of_a_batch_comes_out_as_by_itself_to_the_byte(network, options):
    pictures = photos(3, 36, 75)
    batch = derain_batch(pictures, network, **options)
    assert batch.shape == pictures.shape
    for picture, derained in zip(pictures, batch, strict=True):
        np.testing.assert_array_equal(derained, derain(picture, network, **options))


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize("tile_px", [None, 64])
def test_pictures_worked_on_at_once_come_out_as_by_themselves_to_rounding(network, tile_px, monkeypatch):
    monkeypatch.setattr(inference, "at_once", lambda picture_px, device: 3)
    pictures = photos(4, 36, 75)  # the last part has one picture
    batch = derain_batch(pictures, network, tile_px=tile_px)
    for picture, derained in zip(pictures, batch, strict=True):
        single = derain(picture, network, tile_px=tile_px)
        assert np.abs(single.astype(int) - derained).max() <= 1
        assert np.mean(single != derained) < 0.001


def test_gpu_works_on_as_many_pictures_as_fit_and_a_processor_on_one():
    assert inference.at_once(640 * 360, torch.device("cpu")) == 1
    assert inference.at_once(640 * 360, torch.device("cuda")) == 6
    assert inference.at_once(3840 * 2160, torch.device("cuda")) == 1


@pytest.mark.gpu
def test_gpu_gives_the_processors_picture_to_a_few_codes_and_its_batches_too(network):
    pictures = photos(4, 120, 200)
    expected = derain_batch(pictures, network).astype(int)
    on_gpu = network.cuda()
    batch = derain_batch(pictures, on_gpu)
    np.testing.assert_array_equal(batch, derain_batch(pictures, on_gpu))
    # Rain of a random network is as large as the picture, and bfloat16 holds 8 bits of it: a code or two.
    assert np.abs(batch - expected).max() <= 4
    singles = np.stack([derain(picture, on_gpu) for picture in pictures])
    assert np.abs(batch.astype(int) - singles).max() <= 2


@pytest.mark.usefixtures("float32")
def test_eight_ways_are_the_mean_by_hand(network):
    picture = photo(20, 31, np.uint16)
    network.eval()
    total = np.zeros(picture.shape)
    for mirrored in (False, True):
        for turns in range(4):
            seen = np.rot90(picture[:, ::-1] if mirrored else picture, turns)
            rainy = torch.tensor(seen / 65535, dtype=torch.float32).permute(2, 0, 1)[None]
            with torch.no_grad():
                made = network(rainy)[0].permute(1, 2, 0).numpy()
            back = np.rot90(made, -turns)
            total += back[:, ::-1] if mirrored else back
    expected = 65535 * (total / 8).clip(0, 1)
    # Half a code of rounding and a few float32 roundings on 65535 codes.
    assert np.abs(derain(picture, network, ensemble=True) - expected).max() <= 0.6
    assert not np.array_equal(derain(picture, network, ensemble=True), derain(picture, network))


@pytest.mark.parametrize("tile_px", [None, 64])
def test_mirrored_is_the_mean_with_the_mirror_image_turned_back(network, tile_px):
    picture = photo(72, 88, np.uint16)
    plain, other = (
        derain(seen, network, tile_px=tile_px) for seen in (picture, np.ascontiguousarray(picture[:, ::-1]))
    )
    expected = 0.5 * (plain.astype(float) + other[:, ::-1])
    # Each of the three is clipped and rounded; where none is clipped they differ by rounding alone.
    inside = (np.minimum(plain, other[:, ::-1]) > 0) & (np.maximum(plain, other[:, ::-1]) < 65535)
    assert inside.mean() > 0.5
    both = derain(picture, network, tile_px=tile_px, mirrored=True)
    assert np.abs(both - expected)[inside].max() <= 1
    np.testing.assert_array_equal(
        derain(picture[:, ::-1].copy(), network, mirrored=True), derain(picture, network, mirrored=True)[:, ::-1]
    )
    assert not np.array_equal(both, plain)


@pytest.mark.usefixtures("float32")
@pytest.mark.parametrize("mirrored", [False, True])
def test_shifted_is_the_mean_over_moves_by_a_pixel_moved_back(network, mirrored):
    picture = photo(21, 30, np.uint16)
    network.eval()
    total, views = np.zeros(picture.shape), 8 if mirrored else 4
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        moved = picture[[0] * down + list(range(21))][:, [0] * right + list(range(30))]  # what leads is seen twice
        for turned in (moved, moved[:, ::-1]) if mirrored else (moved,):
            rainy = torch.tensor(turned / 65535, dtype=torch.float32).permute(2, 0, 1)[None]
            with torch.no_grad():
                made = network(rainy)[0].permute(1, 2, 0).numpy()
            total += (made if turned is moved else made[:, ::-1])[down:, right:]
    derained = derain(picture, network, mirrored=mirrored, shifted=True)
    # Half a code of rounding and a few float32 roundings on 65535 codes.
    assert np.abs(derained - 65535 * (total / views).clip(0, 1)).max() <= 0.6
    assert not np.array_equal(derained, derain(picture, network, mirrored=mirrored))


def test_eight_ways_see_every_direction_twice():
    # One bright pixel moves to its four neighbours, each reached from two of the eight views.
    picture = np.zeros((5, 7, 3), np.uint8)
    picture[2, 3] = 200
    derained = derain(picture, Sidewards(), ensemble=True)[..., 0]
    expected = np.zeros((5, 7), np.uint8)
    expected[[1, 3, 2, 2], [3, 3, 2, 4]] = 50
    np.testing.assert_array_equal(derained, expected)


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        (np.zeros((8, 8), np.uint8), "photo must be uint8 or uint16 RGB of shape \\(H, W, 3\\), got uint8 \\(8, 8\\)"),
        (np.zeros((8, 8, 4), np.uint8), "got uint8 \\(8, 8, 4\\). Take its alpha off"),
        (np.zeros((8, 8, 3), np.float32), "got float32 \\(8, 8, 3\\). Multiply sRGB in \\[0, 1\\] by 255"),
        (np.full((8, 8, 3), np.nan), "got float64 \\(8, 8, 3\\). Multiply sRGB"),
        (np.zeros((8, 8, 3), np.int64), "got int64 \\(8, 8, 3\\)"),
        (np.zeros((0, 8, 3), np.uint8), "got uint8 \\(0, 8, 3\\). It has no pixels"),
        (np.zeros((2, 8, 8, 3), np.uint8), "got uint8 \\(2, 8, 8, 3\\). .*derain_batch"),
        ("photo.png", "got str. A file is read by rainsynth.pictures.read_photo"),
    ],
)
def test_what_cannot_be_derained_is_refused_in_one_line(picture, message):
    with pytest.raises(InputError, match=message) as refusal:
        derain(picture, build_network("mspfn-demo"))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("shape", [(0, 8, 8, 3), (8, 8, 3), (1, 8, 8, 1)])
def test_batch_of_another_shape_is_refused(shape):
    with pytest.raises(InputError, match="photos must be uint8 or uint16 RGB of shape \\(N, H, W, 3\\), got uint8"):
        derain_batch(np.zeros(shape, np.uint8), build_network("mspfn-demo"))


@pytest.mark.parametrize("tile_px", [None, 64])
def test_weights_that_give_no_number_are_refused(network, tile_px):
    nn.init.constant_(network.reconstruction.rain.weight, float("nan"))
    with pytest.raises(InputError, match="Did its training diverge"):
        derain(photo(8, 80), network, tile_px=tile_px)


def test_precision_is_bfloat16_only_where_the_processor_multiplies_in_it(monkeypatch):
    monkeypatch.setattr(inference, "has_native_bfloat16", lambda: False)
    assert inference_precision(torch.device("cpu")) == torch.float32
    monkeypatch.setattr(inference, "has_native_bfloat16", lambda: True)
    assert inference_precision(torch.device("cpu")) == torch.bfloat16


def test_package_offers_its_names_without_importing_torch_first():
    assert mspfn.derain is derain
    assert mspfn.derain_batch is derain_batch
    assert mspfn.build_network is build_network
    assert {"build_network", "load_weights", "derain", "psnr_y", "ssim_y"} <= set(dir(mspfn))
    with pytest.raises(AttributeError, match="has no attribute 'derian'"):
        _ = mspfn.derian
