"""A trained MSPFN made deeper, wider, finer or all three: a larger network that begins as the same function.

Source: Chen et al., "Net2Net: Accelerating Learning via Knowledge Transfer", ICLR 2016, arXiv:1511.05641.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor, nn

from mspfn.networks.mspfn import MSPFN, FineFusionUnit, MSPFNConfig


def grown(network: nn.Module, wanted: nn.Module) -> nn.Module | None:
    """`wanted` with the weights of `network`: the same function (N, 3, H, W) -> same.

    None unless `wanted` is `network` with more fine-fusion units, some times its channels, a refinement of more units,
    or several of these, and otherwise the same. Not made wider it is the same to the last bit, else but for rounding.

    Further units come after the ones there are and keep the weights they have, but for the last convolution of each
    block, z += B(z), which starts at zero. The slopes of its PReLU are not zero, so that it learns from the first step.
    How channels become more: `widened`. A first refinement's correction is zero, and so is what further units of one
    add.
    """
    if not (isinstance(network, MSPFN) and isinstance(wanted, MSPFN)) or not larger(network.config, wanted.config):
        return None
    weights = wanted.state_dict()
    for path, module in network.named_modules():
        inputs = 0 if isinstance(module, nn.ConvTranspose2d) else 1
        for name, weight in module.named_parameters(prefix=path, recurse=False):
            weights[name] = widened(weight.detach(), weights[name], inputs)
    wanted.load_state_dict(weights)
    further = list(wanted.fine_fusion)[network.config.fine_fusion_units :]
    if network.refinement is not None and wanted.refinement is not None:  # the correction of a first one is zero
        further += list(wanted.refinement.units)[network.config.refine_units :]
    for unit in further:
        silence(unit)
    return wanted


def larger(config: MSPFNConfig, wanted: MSPFNConfig) -> bool:
    """Whether a config is another one with more fine-fusion units, some times its channels, or more refinement."""
    deeper, times = wanted.fine_fusion_units - config.fine_fusion_units, wanted.channels // config.channels
    finer = wanted.refine_units - config.refine_units
    if deeper < 0 or times < 1 or finer < 0 or (deeper == 0 and times == 1 and finer == 0):
        return False
    if config.refine_units and times > 1:  # its first layer reads the picture beside its channels
        return False
    full, half, quarter = (times * hidden for hidden in config.hidden_channels)
    expected = replace(
        config,
        fine_fusion_units=wanted.fine_fusion_units,
        channels=times * config.channels,
        refine_units=wanted.refine_units,
        lstm_channels=(full, half, quarter),
    )
    return expected == replace(wanted, lstm_channels=wanted.hidden_channels)


def widened(weight: Tensor, fresh: Tensor, inputs: int) -> Tensor:
    """A weight for several copies of every channel, in the shape of `fresh`, the larger network's own; `inputs`: a dim.

    Each copy of an input has its share of the weight, and beside it what `fresh` has there less the mean of that over
    the copies: it adds nothing while they are the same, and lets them become different.
    """
    copies = fresh.shape[inputs] // weight.shape[inputs] if weight.dim() > 1 else 1
    for dim in range(min(weight.dim(), 2)):  # kernels stay as large as they are
        weight = weight.repeat_interleave(fresh.shape[dim] // weight.shape[dim], dim)
    if copies == 1:
        return weight
    by_input = fresh.unflatten(inputs, (-1, copies))
    off = (by_input - by_input.mean(dim=inputs + 1, keepdim=True)).flatten(inputs, inputs + 1)
    return weight / copies + off


def silence(unit: nn.Module) -> None:
    """Let a unit, of fine fusion or of a refinement, hand on what it is given."""
    if isinstance(unit, FineFusionUnit):
        last = [block.get_parameter("up.conv.weight") for block in unit.blocks.values()]
    else:
        assert isinstance(unit, nn.Sequential)
        last = [unit[-1].get_parameter("weight")]
    for weight in last:
        nn.init.zeros_(weight)
