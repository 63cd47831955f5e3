"""A trained MSPFN made deeper: further fine-fusion units that at first change nothing.

Source: the idea is that of Net2Net, Chen et al., "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR 2016,
arXiv:1511.05641: a larger network begins as the same function as the smaller one, and learns on from there.
"""

from __future__ import annotations

from dataclasses import replace

from torch import nn

from mspfn.networks.mspfn import MSPFN, FineFusionUnit


def deepened(network: nn.Module, wanted: nn.Module) -> nn.Module | None:
    """`wanted` with the weights of `network`: the same function (N, 3, H, W) -> same, to the last bit.

    None unless `wanted` is `network` with more fine-fusion units and otherwise the same. The further units come after
    the ones there are and keep the weights they have, but for the last convolution of each block, z += B(z), which
    starts at zero. The slopes of its PReLU are not zero, so that it learns from the first step.
    """
    if not (isinstance(network, MSPFN) and isinstance(wanted, MSPFN)):
        return None
    units, wanted_units = network.config.fine_fusion_units, wanted.config.fine_fusion_units
    if wanted_units <= units or replace(network.config, fine_fusion_units=wanted_units) != wanted.config:
        return None
    wanted.load_state_dict(wanted.state_dict() | network.state_dict())
    for unit in list(wanted.fine_fusion)[units:]:
        silence(unit)
    return wanted


def silence(unit: nn.Module) -> None:
    """Let a fine-fusion unit hand on what it is given."""
    assert isinstance(unit, FineFusionUnit)
    for block in unit.blocks.values():
        nn.init.zeros_(block.get_parameter("up.conv.weight"))
