"""Learning rates and sizes of windows through a run, against their formulas."""

import numpy as np
import pytest
import torch
from torch import nn

from mspfn.data_config import DataConfig, PatchStage
from mspfn.optimizer import OptimizerConfig, adamw, learning_rate_at
from rainsynth.checks import InputError


def rates(steps, **config):
    return [learning_rate_at(step, steps, OptimizerConfig(**config)) for step in range(steps)]


def test_learning_rate_rises_linearly_and_falls_along_a_cosine():
    found = rates(15, learning_rate=1.0, learning_rate_end=0.2, warmup_steps=4)
    np.testing.assert_allclose(found[:5], [0.25, 0.5, 0.75, 1.0, 1.0])
    assert found[9] == pytest.approx(0.6)  # halfway from step 4 to step 14
    assert found[14] == pytest.approx(0.2)
    assert np.all(np.diff(found[4:]) < 0)


def test_exponential_schedule_is_that_of_the_authors_mspfn():
    # train_MSPFN.py: tf.train.exponential_decay(5e-4, step, 20000, decay_rate=0.8, staircase=False) + 1e-6
    config = OptimizerConfig(schedule="exponential", warmup_steps=0)
    for step in (0, 1, 20_000, 55_555):
        assert learning_rate_at(step, 100_000, config) == pytest.approx(5e-4 * 0.8 ** (step / 20_000) + 1e-6)


def test_exponential_schedule_begins_where_warm_up_ends():
    found = rates(30, schedule="exponential", learning_rate=1.0, warmup_steps=10, decay_factor=0.5, decay_steps=5)
    np.testing.assert_allclose(found[:10], np.arange(1, 11) / 10)
    np.testing.assert_allclose(found[10:], 0.5 ** (np.arange(20) / 5) + 1e-6)


def test_milestones_are_those_of_the_authors_prenet():
    # train_PReNet.py: Adam(lr=1e-3), MultiStepLR(milestones=[30, 50, 80], gamma=0.2), 100 epochs
    network = nn.Conv2d(1, 1, 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    theirs = torch.optim.lr_scheduler.MultiStepLR(optimizer, [30, 50, 80], gamma=0.2)
    ours = rates(
        100, schedule="milestones", milestones=(0.3, 0.5, 0.8), decay_factor=0.2, learning_rate=1e-3, warmup_steps=0
    )
    for rate in ours:
        assert rate == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()


def test_without_decay_of_weights_a_step_is_that_of_adam():
    torch.manual_seed(0)
    ours, theirs = nn.Conv2d(3, 4, 3), nn.Conv2d(3, 4, 3)
    theirs.load_state_dict(ours.state_dict())
    optimizers = adamw(ours, OptimizerConfig(weight_decay=0)), torch.optim.Adam(theirs.parameters(), lr=5e-4)
    for _ in range(5):
        picture = torch.rand(1, 3, 8, 8)
        for network, optimizer in zip((ours, theirs), optimizers, strict=True):
            optimizer.zero_grad()
            network(picture).square().sum().backward()
            optimizer.step()
    for own, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(own, other)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: OptimizerConfig(name="sgd"), "optimizer.name must be one of adamw, muon, got 'sgd'"),
        (lambda: OptimizerConfig(schedule="linear"), "optimizer.schedule must be one of cosine, exponential, mile"),
        (lambda: OptimizerConfig(schedule="milestones"), r"optimizer.milestones must go with schedule mile"),
        (lambda: OptimizerConfig(milestones=(0.5,)), r"optimizer.milestones must go .* \[0.5\] with schedule cos"),
        (lambda: OptimizerConfig(schedule="milestones", milestones=(30,)), "optimizer.milestones must be between"),
        (lambda: OptimizerConfig(decay_factor=2), "optimizer.decay_factor must be between"),
        (lambda: OptimizerConfig(decay_steps=0), "optimizer.decay_steps must be between 1"),
        (lambda: OptimizerConfig(learning_rate_end=1), "optimizer.learning_rate_end must be between 0 and 0.0005"),
        (lambda: OptimizerConfig(betas=(0.9, 1.0)), "optimizer.betas must be between 0 and 1"),
        (lambda: PatchStage(from_progress=2, patch_px=16, batch_size=1), "from_progress must be between 0 and 1"),
        (lambda: PatchStage(from_progress=0, patch_px=4, batch_size=1), "patch_px must be between 8"),
        (
            lambda: DataConfig(
                shards="a",
                patch_schedule=tuple(PatchStage(from_progress=at, patch_px=16, batch_size=1) for at in (0.5, 0.2)),
            ),
            r"data.patch_schedule must have growing from_progress, got \[0.5, 0.2\]",
        ),
    ],
)  # fmt: skip
def test_a_schedule_without_meaning_is_refused(make, message):
    with pytest.raises(InputError, match="^" + message):
        make()
