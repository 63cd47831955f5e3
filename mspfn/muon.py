"""Muon: every kernel moves along the nearest orthogonal matrix to its mean gradient, as far in all directions.

Source: Jordan et al. (2024), "Muon: An optimizer for hidden layers in neural networks",
kellerjordan.github.io/posts/muon. A kernel (out, in, h, w) is the matrix (out, in h w); biases and PReLU slopes are
vectors, and move by AdamW. Rates are scaled so that a weight moves as far as by AdamW at the same rate (Liu et al.
2025, arXiv:2502.16982).

torch.optim.Muon takes matrices alone, one after the other. Networks here have some 200 small kernels of a few shapes:
those of a shape go together, and what is iterated are their products with themselves, which are smaller than they are.
A step of mspfn-fitted-rain100h takes 0.08 s so and 0.12 s by torch.optim.Muon, by AdamW 0.01 s (two cores, AMD EPYC;
`python benchmarks/muon_speed.py`), beside some 0.4 s for the gradients of four windows of 128 px.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

MOMENTUM = 0.95  # of the mean gradient; this and the next two are the source's
ITERATIONS = 5
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the odd polynomial whose iteration brings singular values near 1
RMS_OF_ADAMW = 0.2  # root mean square of AdamW's steps in rates, about (Liu et al. 2025)
SMALLEST_NORM = 1e-12


class Muon:
    """Muon for the kernels of a network, AdamW for its vectors, as one optimiser of torch."""

    def __init__(
        self, network: nn.Module, learning_rate: float, betas: tuple[float, float], weight_decay: float
    ) -> None:
        parameters = list(network.parameters())
        kernels = [parameter for parameter in parameters if parameter.ndim > 1]
        vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
        self._of_kernels = MuonOfKernels(kernels, learning_rate, weight_decay)
        self._of_vectors = torch.optim.AdamW(vectors, lr=learning_rate, betas=betas, weight_decay=0.0, fused=True)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both; a rate that is set in one is that of the next step."""
        return [*self._of_kernels.param_groups, *self._of_vectors.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all weights."""
        self._of_kernels.zero_grad(set_to_none)
        self._of_vectors.zero_grad(set_to_none)

    def step(self) -> None:
        """Move all weights that have a gradient."""
        self._of_kernels.step()
        self._of_vectors.step()

    def state_dict(self) -> dict[str, Any]:
        """The state_dicts of both, by "kernels" and "vectors"."""
        return {"kernels": self._of_kernels.state_dict(), "vectors": self._of_vectors.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state_dict of an optimiser of the same network."""
        self._of_kernels.load_state_dict(state["kernels"])
        self._of_vectors.load_state_dict(state["vectors"])


class MuonOfKernels(torch.optim.Optimizer):
    """Muon for weights of two dimensions and more: w <- (1 - r d) w - 0.2 r sqrt(max(rows, columns)) O.

    r is the rate, d the decay, O the nearest orthogonal matrix to g + m (M - g), M the running mean of gradients g, m
    its momentum.
    """

    def __init__(self, kernels: Iterable[nn.Parameter], learning_rate: float, weight_decay: float) -> None:
        super().__init__(kernels, {"lr": learning_rate, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Move all kernels that have a gradient; those of a shape together."""
        for group in self.param_groups:
            of_shape: dict[torch.Size, list[tuple[Tensor, Tensor]]] = {}
            for kernel in group["params"]:
                if kernel.grad is not None:
                    of_shape.setdefault(kernel.shape, []).append((kernel, self._ahead(kernel)))
            for shape, moved in of_shape.items():
                moves = nearest_orthogonal(torch.stack([ahead.flatten(1) for _, ahead in moved]))
                far = group["lr"] * RMS_OF_ADAMW * max(moves.shape[1:]) ** 0.5
                for (kernel, _), move in zip(moved, moves, strict=True):
                    kernel.mul_(1 - group["lr"] * group["weight_decay"]).sub_(move.view(shape), alpha=far)

    def _ahead(self, kernel: Tensor) -> Tensor:
        """The mean gradient of a kernel as it will be after a step with the same gradient (Nesterov)."""
        state = self.state[kernel]
        if "mean_gradient" not in state:
            state["mean_gradient"] = torch.zeros_like(kernel)
        mean: Tensor = state["mean_gradient"].lerp_(kernel.grad, 1 - MOMENTUM)
        return kernel.grad.lerp(mean, MOMENTUM)  # type: ignore[union-attr]


def nearest_orthogonal(matrices: Float[Tensor, "n rows columns"]) -> Float[Tensor, "n rows columns"]:
    """U V' of each matrix U S V', nearly: singular values come out between 0.7 and 1.2, very small ones below.

    Newton-Schulz: X <- (a + b X X' + c (X X')^2) X, five times, as a polynomial of X X' that X is multiplied with once.
    """
    if matrices.shape[1] > matrices.shape[2]:
        return nearest_orthogonal(matrices.mT).mT
    a, b, c = COEFFICIENTS
    scaled = matrices / matrices.norm(dim=(1, 2), keepdim=True).clamp(min=SMALLEST_NORM)
    product = scaled @ scaled.mT
    identity = torch.eye(product.shape[1], device=product.device, dtype=product.dtype)

    def polynomial(of: Tensor) -> Tensor:
        return a * identity + b * of + c * (of @ of)

    whole = once = polynomial(product)
    for _ in range(ITERATIONS - 1):
        product = once @ product @ once
        once = polynomial(product)
        whole = once @ whole
    return whole @ scaled
