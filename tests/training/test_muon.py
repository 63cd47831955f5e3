"""Muon: kernels move along orthogonal matrices, vectors as by AdamW, and a run goes on as if it had not stopped."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from mspfn.muon import Muon, nearest_orthogonal
from mspfn.optimizer import OptimizerConfig, build_optimizer

RATE = 1e-3
CONFIG = OptimizerConfig(name="muon", learning_rate=RATE, weight_decay=0)


def network_of(seed: int = 0) -> nn.Module:
    """Two convolutions with a slope between them."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.PReLU(16), nn.Conv2d(16, 3, 1))


def step(network: nn.Module, optimizer: Muon, seed: int) -> float:
    """One step towards the identity on a picture of noise; the loss before it."""
    picture = torch.rand(2, 3, 12, 12, generator=torch.Generator().manual_seed(seed))
    optimizer.zero_grad()
    loss = (network(picture) - picture).square().mean()
    loss.backward()
    optimizer.step()
    return loss.item()


def muon_of(network: nn.Module, config: OptimizerConfig = CONFIG) -> Muon:
    """The optimiser that the config names."""
    optimizer = build_optimizer(network, config)
    assert isinstance(optimizer, Muon)
    return optimizer


def test_a_kernel_moves_by_a_nearly_orthogonal_matrix_that_descends_and_as_far_as_by_adamw() -> None:
    network = network_of()
    before = copy.deepcopy(network)
    step(network, muon_of(network), 0)
    for kernel, old in ((network[0].weight, before[0].weight), (network[2].weight, before[2].weight)):
        moved = (kernel - old).flatten(1)
        assert (moved * kernel.grad.flatten(1)).sum() < 0
        farthest = 0.2 * max(moved.shape) ** 0.5 * RATE  # of an orthogonal matrix: root mean square 0.2 x rate
        singular = torch.linalg.svdvals(moved) / farthest
        of_gradient = torch.linalg.svdvals(kernel.grad.flatten(1))
        assert 0.6 < singular.median() <= singular.max() < 1.3  # what five iterations leave of 1
        assert singular.median() / singular.max() > 2 * of_gradient.median() / of_gradient.max()


@pytest.mark.parametrize("shape", [(3, 8, 20), (2, 20, 8), (1, 6, 6)])
def test_the_nearest_orthogonal_matrix_is_that_of_the_singular_vectors(shape: tuple[int, int, int]) -> None:
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    left, values, right = torch.linalg.svd(matrices, full_matrices=False)
    found = nearest_orthogonal(matrices)
    kept = torch.einsum("nri,nrc,nic->ni", left, found, right)  # what became of each singular value
    large = values > 0.1 * values[:, :1]
    assert (kept[large] > 0.6).all()
    assert (kept < 1.3).all()
    assert torch.allclose(found, (left * kept[:, None]) @ right, atol=1e-4)


def test_a_kernel_without_gradient_stays() -> None:
    network = network_of()
    optimizer = muon_of(network)
    step(network, optimizer, 0)
    network[2].weight.grad = None
    before = network[2].weight.detach().clone()
    optimizer.step()
    assert torch.equal(network[2].weight, before)


def test_vectors_move_as_by_adamw() -> None:
    ours, theirs = network_of(), network_of()
    step(ours, muon_of(ours), 0)
    step(theirs, build_optimizer(theirs, OptimizerConfig(learning_rate=RATE, weight_decay=0)), 0)
    for place in (0, 2):
        torch.testing.assert_close(ours[place].bias, theirs[place].bias)
    torch.testing.assert_close(ours[1].weight, theirs[1].weight)


def test_the_memory_format_of_kernels_changes_nothing() -> None:
    plain, last = network_of(), network_of().to(memory_format=torch.channels_last)
    optimizers = muon_of(plain), muon_of(last)
    for number in range(3):
        for network, optimizer in zip((plain, last), optimizers, strict=True):
            step(network, optimizer, number)
    for one, other in zip(plain.parameters(), last.parameters(), strict=True):
        torch.testing.assert_close(one, other.contiguous(), rtol=0, atol=1e-6)


def test_a_run_goes_on_from_its_state_to_the_bit() -> None:
    network = network_of()
    optimizer = muon_of(network)
    for number in range(3):
        step(network, optimizer, number)
    again = copy.deepcopy(network)
    restored = muon_of(again)
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for number in range(3, 6):
        step(network, optimizer, number)
        step(again, restored, number)
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_the_rate_of_a_step_is_that_of_its_groups_and_decay_is_of_kernels_alone() -> None:
    network = network_of()
    optimizer = muon_of(network, OptimizerConfig(name="muon", learning_rate=RATE, weight_decay=0.5))
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = copy.deepcopy(network.state_dict())
    step(network, optimizer, 0)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert sorted(group["weight_decay"] for group in optimizer.param_groups) == [0.0, 0.5]


@pytest.mark.parametrize("set_to_none", [True, False])
def test_gradients_are_forgotten(set_to_none: bool) -> None:
    network = network_of()
    optimizer = muon_of(network)
    step(network, optimizer, 0)
    optimizer.zero_grad(set_to_none)
    gradients = [weight.grad for weight in network.parameters()]
    assert all(gradient is None if set_to_none else not gradient.any() for gradient in gradients)


def test_it_learns() -> None:
    network = network_of()
    optimizer = muon_of(network, OptimizerConfig(name="muon", learning_rate=0.01))
    losses = [step(network, optimizer, number) for number in range(60)]
    assert losses[-1] < 0.15 * losses[0]
