"""What a step makes small: parts by weight, over all that a network predicts, and refusals where it does not."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mspfn.data_config import DataConfig, SourceConfig
from mspfn.losses import PICTURE_LOSSES
from mspfn.networks import Predictions, build_network, predict
from mspfn.train_config import NetworkChoice, TrainConfig
from mspfn.training_loss import Batch, LossConfig, loss_parts, total
from rainsynth.checks import InputError

torch.manual_seed(3)
DERAINED, FIRST, SECOND, TARGET, RAINY, VEILED, STREAKS = torch.rand(7, 2, 3, 16, 20, dtype=torch.float64)
LOGITS, MASK = torch.randn(2, 1, 16, 20, dtype=torch.float64), (torch.rand(2, 1, 16, 20) < 0.3).double()
PREDICTIONS = Predictions(DERAINED, (FIRST, SECOND), LOGITS, STREAKS)
BATCH = Batch(RAINY, TARGET, VEILED, MASK)


def parts_of(**config):
    return {name: float(part) for name, part in loss_parts(LossConfig(**config), PREDICTIONS, BATCH).items()}


def picture_loss(name, derained, target, weight=None):
    return float(PICTURE_LOSSES[name](derained, target, weight))


@pytest.mark.parametrize("name", PICTURE_LOSSES)
def test_without_weights_the_loss_is_the_pictures_alone(name):
    assert parts_of(name=name) == {"picture": picture_loss(name, DERAINED, TARGET)}


def test_stages_add_the_same_loss_of_every_earlier_picture():
    parts = parts_of(name="mse", stages_weight=0.25)
    expected = 0.25 * sum(picture_loss("mse", stage, TARGET) for stage in (FIRST, SECOND))
    assert parts == {"picture": picture_loss("mse", DERAINED, TARGET), "stages": pytest.approx(expected)}


def test_lower_levels_compare_means_over_squares_of_two_and_four_pixels():
    def means(picture, side):
        return picture.reshape(2, 3, 16 // side, side, 20 // side, side).mean(dim=(3, 5))

    expected = 0.5 * sum(float((means(DERAINED, side) - means(TARGET, side)).abs().mean()) for side in (2, 4))
    assert parts_of(name="l1", lower_levels_weight=0.5)["lower_levels"] == pytest.approx(expected)


def test_no_harm_counts_a_pixel_more_where_all_its_channels_are_right_already():
    untouched = torch.rand(2, 1, 16, 20) < 0.5
    half_right = torch.cat((TARGET[:, :2], RAINY[:, 2:]), dim=1)  # red and green right is not untouched
    batch = Batch(torch.where(untouched, TARGET, half_right), TARGET)
    error = (DERAINED - TARGET).abs()
    expected = (error.sum() + 3 * (error * untouched).sum()) / error.numel()
    parts = loss_parts(LossConfig(name="l1", no_harm_weight=3), PREDICTIONS, batch)
    assert float(parts["picture"]) == pytest.approx(float(expected))


def test_no_harm_reaches_lower_levels_and_stages():
    dry = Batch(TARGET, TARGET)
    weights = {"name": "l1", "lower_levels_weight": 1.0, "stages_weight": 1.0}
    plain = loss_parts(LossConfig(**weights), PREDICTIONS, dry)
    twice = loss_parts(LossConfig(**weights, no_harm_weight=1), PREDICTIONS, dry)
    assert {name: float(part) for name, part in twice.items()} == pytest.approx(
        {name: 2 * float(part) for name, part in plain.items()}
    )


def test_mask_is_measured_by_its_cross_entropy_and_streaks_by_their_square():
    parts = parts_of(name="mse", mask_weight=0.001, streak_weight=0.01)
    p = 1 / (1 + np.exp(-LOGITS.numpy()))
    entropy = -np.mean(np.where(MASK.numpy() == 1, np.log(p), np.log(1 - p)))
    assert parts["mask"] == pytest.approx(0.001 * entropy)
    assert parts["streaks"] == pytest.approx(0.01 * float(((STREAKS - (RAINY - VEILED)) ** 2).mean()))
    assert set(parts) == {"picture", "mask", "streaks"}


def test_total_is_the_sum_of_the_parts_and_of_one_part_itself():
    parts = {"a": torch.tensor(0.5), "b": torch.tensor(2.0), "c": torch.tensor(-1.0)}
    assert float(total(parts)) == 1.5
    assert total({"a": parts["a"]}) is parts["a"]


def test_a_mask_that_knows_and_streaks_that_are_right_cost_nothing():
    known = Predictions(TARGET, (), 50 * (2 * MASK - 1), RAINY - VEILED)
    parts = loss_parts(LossConfig(name="mse", mask_weight=1, streak_weight=1), known, BATCH)
    assert {name: float(part) for name, part in parts.items()} == pytest.approx(
        {"picture": 0, "mask": 0, "streaks": 0}, abs=1e-12
    )


@pytest.mark.parametrize("name", ["prenet", "jorder"])
def test_every_weight_of_a_network_is_pulled_at_by_its_paper_loss(name):
    weights = {"prenet": {"stages_weight": 0.5}, "jorder": {"mask_weight": 1.0, "streak_weight": 1.0}}[name]
    network = build_network(name, channels=8)
    rainy, target, veiled = torch.rand(3, 1, 3, 16, 16)
    predictions = predict(network, rainy)
    batch = Batch(rainy, target, veiled, (torch.rand(1, 1, 16, 16) < 0.5).float())
    total(loss_parts(LossConfig(name="ssim", **weights), predictions, batch)).backward()
    assert all(weight.grad is not None and weight.grad.abs().max() > 0 for weight in network.parameters())
    assert F.l1_loss(predictions.derained, predict(network, rainy).derained) == 0


def config_with(loss, network="mspfn-tiny", **data):
    options = {"shards": "rain"} | data
    return TrainConfig(data=DataConfig(**options), steps=1, network=NetworkChoice(name=network), loss=loss)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: LossConfig(name="l7"),
            "loss must be one of l1, mse, charbonnier, charbonnier-edge, psnr, ssim, ssim-l1, charbonnier-ssim, got",
        ),
        (lambda: LossConfig(no_harm_weight=-1), "loss.no_harm_weight must be between 0"),
        (lambda: config_with("l7"), "loss must be one of"),
        (lambda: config_with(LossConfig(stages_weight=1)), "loss.stages_weight must be 0 for a network that does not"),
        (lambda: config_with(LossConfig(mask_weight=1), "prenet"), "loss.mask_weight must be 0 for a network that"),
        (lambda: config_with(LossConfig(streak_weight=1), "prenet"), "loss.streak_weight must be 0 for a network"),
        (lambda: config_with("ssim", patch_px=10), "data.patch_px must be at least 11 for loss ssim as it is set"),
        (
            lambda: config_with(LossConfig(name="ssim", lower_levels_weight=1), patch_px=43),
            "data.patch_px must be at least 44 for loss ssim as it is set, got 43",
        ),
        (
            lambda: config_with(LossConfig(mask_weight=1), "jorder", shards=None, pairs="p"),
            "loss.mask_weight and loss.streak_weight must be 0 with data.pairs, got more",
        ),
        (
            lambda: config_with(LossConfig(streak_weight=1), "jorder", shards=None, sources=(SourceConfig(pairs="p"),)),
            "loss.mask_weight and loss.streak_weight must be 0 with data.pairs",
        ),
    ],
)
def test_a_loss_that_cannot_be_taken_is_refused_in_one_line(make, message):
    with pytest.raises(InputError, match="^" + message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_name_alone_is_the_same_config():
    assert config_with("psnr") == config_with(LossConfig(name="psnr"))
    assert config_with("psnr").recorded()["loss"]["name"] == "psnr"


def test_a_loss_is_read_from_files_and_settings_in_both_forms(tmp_path):
    pytest.importorskip("pydantic")
    from pipelines.config import load_config

    def loss(text, *settings):
        (tmp_path / "run.yaml").write_text("data: {shards: rain}\nsteps: 1\n" + text)
        return load_config(TrainConfig, tmp_path / "run.yaml", settings).loss

    assert loss("loss: psnr") == loss("", "loss=psnr") == LossConfig(name="psnr")
    assert loss("loss: {name: ssim, no_harm_weight: 2}") == LossConfig(name="ssim", no_harm_weight=2)
    assert loss("loss: {name: ssim}", "loss.no_harm_weight=2") == LossConfig(name="ssim", no_harm_weight=2)
    assert loss("loss: {name: ssim, no_harm_weight: 2}", "loss=l1") == LossConfig(name="l1")
    with pytest.raises(InputError, match=r"yaml: loss.nmae must be a known key, got an unknown one$"):
        loss("loss: {nmae: ssim}")
    for wrong in ("l7", "{name: l7}"):
        with pytest.raises(InputError, match=r"yaml: loss must be one of .*, got 'l7'\.$"):
            loss(f"loss: {wrong}")
