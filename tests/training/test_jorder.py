"""JORDER: its weights add up, its parts follow the paper's order, and its mask and streaks can be learned."""

import pytest
import torch
import torch.nn.functional as F

from mspfn.networks import JORDER, JORDERConfig, build_network
from mspfn.networks.jorder import ContextualizedDilatedBlock
from rainsynth.checks import InputError

SMALL = JORDERConfig(channels=8, blocks=2)


def conv(inputs: int, outputs: int) -> int:
    """Weights of a 3x3 convolution with a bias."""
    return 9 * inputs * outputs + outputs


@pytest.mark.parametrize("config", [JORDERConfig(), SMALL, JORDERConfig(recurrences=3, dilations=(1,))], ids=str)
def test_weights_are_those_that_the_figure_adds_up_to(config):
    c = config.channels
    features = conv(3, c) + 2 * config.blocks * len(config.dilations) * conv(c, c)
    heads = conv(c, c // 8) + conv(c // 8, 1) + conv(c + 1, 3) + conv(c + 7, 3)
    with torch.device("meta"):
        count = sum(weight.numel() for weight in JORDER(config).parameters())
    assert count == config.recurrences * (features + heads)


def test_published_size_has_2_235_998_weights():
    with torch.device("meta"):
        assert sum(weight.numel() for weight in build_network("jorder").parameters()) == 2_235_998


def test_one_path_has_the_kernels_of_the_released_graph():
    # 369,792 kernel weights, luma in and out (deploy_rain_removal_single.prototxt): 5 residual blocks of 64 channels.
    with torch.device("meta"):
        (recurrence,) = build_network("jorder", dilations=(1,), recurrences=1).recurrences
    kernels = sum(weight.numel() for weight in recurrence.features.blocks.parameters() if weight.ndim == 4)
    assert kernels == 369_792 - 9 * 64 - 9 * 64


@pytest.mark.parametrize(("dilation", "seen_px"), [(1, 5), (2, 9), (3, 13)])
def test_paths_of_a_block_see_5_9_and_13_pixels(dilation, seen_px):
    torch.manual_seed(0)
    block = ContextualizedDilatedBlock(8, (1, 2, 3))
    path = dict(zip((1, 2, 3), block.paths, strict=True))[dilation]
    x = torch.randn(1, 8, 21, 21, requires_grad=True)
    path(x)[0, :, 10, 10].sum().backward()
    rows = torch.nonzero(x.grad[0].abs().sum((0, 2)))[:, 0]
    assert int(rows.max() - rows.min()) + 1 == seen_px


def test_a_recurrence_follows_the_paper_from_features_to_background():
    torch.manual_seed(0)
    (recurrence,) = JORDER(JORDERConfig(recurrences=1, channels=8, blocks=2)).recurrences
    rainy = torch.rand(1, 3, 11, 9)

    def layer(module, x, dilation=1):
        return F.conv2d(x, module.weight, module.bias, padding=dilation, dilation=dilation)

    with torch.no_grad():
        features = layer(recurrence.features.entrance, rainy).relu()
        for block in recurrence.features.blocks:
            paths = [
                layer(path[2], layer(path[0], features, d).relu(), d)
                for d, path in zip((1, 2, 3), block.paths, strict=True)
            ]
            features = (features + paths[0] + paths[1] + paths[2]).relu()
        logits = layer(recurrence.mask[1], layer(recurrence.mask[0], features))
        mask = 1 / (1 + torch.exp(-logits))
        streaks = layer(recurrence.streaks, torch.cat((features, mask), 1))
        background = rainy + layer(
            recurrence.background, torch.cat((features, mask, streaks, rainy - mask * streaks), 1)
        )
        ours = recurrence(rainy, torch.zeros(1, 1, 11, 9))
    for value, expected in zip(ours, (background, logits, streaks), strict=True):
        torch.testing.assert_close(value, expected, rtol=0, atol=1e-5)  # float32 in another order of summation


def test_later_recurrences_work_on_the_picture_before_and_add_to_mask_and_streaks():
    torch.manual_seed(0)
    network = JORDER(SMALL)
    rainy = torch.rand(1, 3, 8, 8)
    with torch.no_grad():
        first, second = network.recurrences
        background, logits, streaks = first(rainy, torch.zeros(1, 1, 8, 8))
        derained, more_logits, more_streaks = second(background, logits)
        predictions = network.predictions(rainy)
    assert torch.equal(predictions.stages[0], background)
    assert torch.equal(predictions.derained, derained)
    assert torch.equal(predictions.mask_logits, more_logits)
    torch.testing.assert_close(predictions.streaks, streaks + more_streaks)


def test_mask_and_streaks_of_one_batch_are_learned():
    torch.manual_seed(0)
    clean = 0.5 * torch.rand(2, 3, 4, 4).repeat_interleave(4, 2).repeat_interleave(4, 3)
    mask = torch.zeros(2, 1, 16, 16)
    mask[..., 2::5] = 1  # upright streaks
    streaks = 0.4 * mask.expand(-1, 3, -1, -1)
    network = JORDER(JORDERConfig(channels=8, blocks=1))
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(50):
        found = network.predictions(clean + streaks)
        detection = F.binary_cross_entropy_with_logits(found.mask_logits, mask)
        loss = (found.derained - clean).square().mean() + (found.streaks - streaks).square().mean() + 0.1 * detection
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert ((found.mask_logits > 0) == (mask > 0)).float().mean() > 0.98  # 80 % would be no rain everywhere
    assert (found.streaks - streaks).square().mean() < 0.15 * streaks.square().mean()


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"channels": 12}, "JORDERConfig.channels must be a multiple of 8, got 12"),
        ({"dilations": ()}, "dilations must be at least one number"),
        ({"dilations": [1, 0]}, "dilations must be between 1 and 100, got 0"),
        ({"recurrences": 0}, "recurrences must be between 1 and 100, got 0"),
    ],
)
def test_impossible_sizes_are_refused(config, message):
    with pytest.raises(InputError, match=message):
        build_network("jorder", **config)


def test_config_read_from_yaml_has_lists_and_is_the_same():
    assert JORDERConfig(dilations=[1, 2, 3]) == JORDERConfig()
