"""Muon: every kernel moves along the nearest orthogonal matrix to its mean gradient, as far in all directions.

Source: Jordan et al. (2024), "Muon: An optimizer for hidden layers in neural networks",
kellerjordan.github.io/posts/muon; torch.optim.Muon, which takes matrices alone. A kernel (out, in, h, w) is the matrix
(out, h w in); biases and PReLU slopes are vectors, and move by AdamW. Rates are scaled so that a weight moves as far as
by AdamW at the same rate (Liu et al. 2025, arXiv:2502.16982).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

MOMENTUM = 0.95  # of the mean gradient; of the source


class Muon:
    """Muon for the kernels of a network, AdamW for its vectors, as one optimiser of torch.

    The kernels' storage is shared: a network must not be moved to another device or memory format after this.
    """

    def __init__(
        self, network: nn.Module, learning_rate: float, betas: tuple[float, float], weight_decay: float
    ) -> None:
        parameters = list(network.parameters())
        self._kernels = [parameter for parameter in parameters if parameter.ndim > 1]
        self._matrices = [nn.Parameter(as_matrix(kernel.detach(), kernel)) for kernel in self._kernels]
        self._of_kernels = torch.optim.Muon(
            self._matrices,
            lr=learning_rate,
            weight_decay=weight_decay,
            momentum=MOMENTUM,
            adjust_lr_fn="match_rms_adamw",
        )
        vectors = [parameter for parameter in parameters if parameter.ndim <= 1]
        self._of_vectors = torch.optim.AdamW(vectors, lr=learning_rate, betas=betas, weight_decay=0.0, fused=True)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The groups of both; a rate that is set in one is that of the next step."""
        return [*self._of_kernels.param_groups, *self._of_vectors.param_groups]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients of all weights."""
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            matrix.grad = None
            if set_to_none:
                kernel.grad = None
            elif kernel.grad is not None:
                kernel.grad.zero_()
        self._of_vectors.zero_grad(set_to_none)

    def step(self) -> None:
        """Move all weights that have a gradient."""
        for kernel, matrix in zip(self._kernels, self._matrices, strict=True):
            matrix.grad = None if kernel.grad is None else as_matrix(kernel.grad, kernel)
        self._of_kernels.step()
        self._of_vectors.step()

    def state_dict(self) -> dict[str, Any]:
        """The state_dicts of both, by "kernels" and "vectors"."""
        return {"kernels": self._of_kernels.state_dict(), "vectors": self._of_vectors.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state_dict of an optimiser of the same network."""
        self._of_kernels.load_state_dict(state["kernels"])
        self._of_vectors.load_state_dict(state["vectors"])


def as_matrix(of_kernel: Tensor, kernel: Tensor) -> Tensor:
    """A kernel, or its gradient, as (out, the rest), in the order in which the kernel lies in memory.

    Of the kernel itself it is a view, so that what moves the one moves the other.
    """
    if kernel.ndim == 4 and not kernel.is_contiguous():
        return of_kernel.permute(0, 2, 3, 1).flatten(1)
    return of_kernel.flatten(1)
