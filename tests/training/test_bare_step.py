"""The step of a network alone: it learns from the batch it is given."""

from __future__ import annotations

import torch

from mspfn.bare_step import BareSteps
from mspfn.networks import predict
from mspfn.train_config import DataConfig, NetworkChoice, OptimizerConfig, TrainConfig
from mspfn.training_loss import Batch


def test_bare_steps_bring_the_network_and_its_mean_nearer_to_the_target():
    torch.manual_seed(0)
    clean = torch.rand(2, 3, 16, 16)
    batch = Batch((clean + 0.3).clamp(0, 1), clean)
    config = TrainConfig(
        data=DataConfig(photographs="none", patch_px=16, batch_size=2),
        network=NetworkChoice(name="mspfn", overrides={"fine_fusion_units": 1, "channels": 8}),
        steps=20,
        optimizer=OptimizerConfig(learning_rate=0.003, warmup_steps=0),
        ema_decay=0.5,
    )
    bare = BareSteps(config)

    def error(network: torch.nn.Module) -> float:
        with torch.no_grad():
            return float((predict(network, batch.rainy).derained - batch.target).abs().mean())

    before = error(bare.state.network)
    for _ in range(10):
        assert bare.step_s(batch) >= 0
    assert error(bare.state.network) < 0.7 * before
    assert error(bare.state.average) < 0.8 * before
