"""The authors' TensorFlow 1 checkpoints as weights of our MSPFN.

Their variables are told by name: `generator/BCM4_0/down4_1/weight` and so on (`URAB` for `BCM` in the training graph).
What differs between the two sides, checked against outputs of their graphs (tests/training/test_mspfn_reference.py):
stride-1 layers were written as transposed convolutions, kernels (h, w, out, in) flipped in both spatial axes; true
convolutions are (h, w, in, out); pictures are BGR there, so the first and last kernels change channel order.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import torch
from torch import Tensor

from mspfn.networks.blocks import live_bias, live_kernel
from mspfn.networks.mspfn import LEVELS, MSPFN, MSPFNConfig
from rainsynth.checks import InputError

LEVEL_SUFFIX = {"full_size": "", "half_size": "2", "quarter_size": "4"}  # as in their BCM, BCM2, BCM4
OPTIMIZER_VARIABLE = re.compile(r"(^|/)(Adam(_\d+)?|ExponentialMovingAverage|Momentum|beta[12]_power|global_step)$")

Convert = Callable[[Tensor], Tensor]
Entry = tuple[str, str, Convert]  # our state-dict key, their variable without the outermost scope, how to convert it


def mspfn_from_tensorflow(variables: Mapping[str, np.ndarray], *, dead_weights: bool = False) -> MSPFN:
    """MSPFN of the size that `variables` (checkpoint name -> array) describe, with these weights.

    The output does not depend on `dead_weights`; without them the network has 3,226,048 weights fewer (64 channels).
    """
    by_name = {plain_name(name): value for name, value in variables.items() if not OPTIMIZER_VARIABLE.search(name)}
    config = config_of(by_name, dead_weights=dead_weights)
    network = MSPFN(config)
    state = converted_state(by_name, config)
    check_shapes(state, network)
    network.load_state_dict(state)
    return network


def check_shapes(state: Mapping[str, Tensor], network: MSPFN) -> None:
    """Raise InputError where a converted variable has not the shape of its place."""
    for key, place in network.state_dict().items():
        if state[key].shape != place.shape:
            raise InputError(
                f"TensorFlow variables must have the shapes of an MSPFN with {network.config.channels} channels, got "
                f"{tuple(state[key].shape)} instead of {tuple(place.shape)} for {key}. Is it a changed network's?"
            )


def plain_name(name: str) -> str:
    """A variable's name without its outermost scope, and in the words of the released graph (BCM, not URAB)."""
    return name.partition("/")[2].replace("URAB", "BCM")


def config_of(variables: Mapping[str, np.ndarray], *, dead_weights: bool) -> MSPFNConfig:
    """The size of the network that has these variables."""
    if variables.get("rnn1/weight", np.empty(0)).ndim != 4:
        raise InputError(
            f"TensorFlow variables must include generator/rnn1/weight, got {len(variables)} variables without it. "
            "Is this a checkpoint of MSPFN?"
        )
    units = {int(match[1]) for name in variables if (match := re.match(r"BCM4_(\d+)/", name))}
    full, half, quarter = (attention_units_of(variables, LEVEL_SUFFIX[level]) for level in LEVELS)
    try:
        return MSPFNConfig(
            fine_fusion_units=len(units),
            channels=variables["rnn1/weight"].shape[2],
            attention_units=(full, half, quarter),
            dead_weights=dead_weights,
        )
    except InputError as error:
        raise InputError(f"TensorFlow variables must be those of an MSPFN, got ones for which {error}") from None


def attention_units_of(variables: Mapping[str, np.ndarray], suffix: str) -> int:
    """Attention units of the first block at one level."""
    return len({name.split("/")[1] for name in variables if name.startswith(f"BCM{suffix}_0/group_1_RCAB")})


def converted_state(variables: Mapping[str, np.ndarray], config: MSPFNConfig) -> dict[str, Tensor]:
    """Our state dict from their variables (named by `plain_name`); every variable must find its place."""
    entries = list(all_entries(config))
    expected = {name for _, name, _ in entries}
    missing, unknown = sorted(expected - variables.keys()), sorted(variables.keys() - expected)
    if missing or unknown:
        raise InputError(
            f"TensorFlow variables must be those of an MSPFN with {config.fine_fusion_units} fine-fusion units, got "
            f"{len(missing)} missing ({', '.join(missing[:3])}) and {len(unknown)} unknown ({', '.join(unknown[:3])})."
        )
    return {
        key: convert(torch.as_tensor(variables[name], dtype=torch.float32)).contiguous()
        for key, name, convert in entries
    }


def all_entries(config: MSPFNConfig) -> Iterator[Entry]:
    """Every tensor of our state dict, with the variable it comes from."""
    yield from coarse_fusion_entries(config)
    for unit in range(config.fine_fusion_units):
        yield from fine_fusion_entries(unit, config.attention_units)
    for level in LEVELS:
        yield from activated(f"reconstruction.merge.{level}", f"rnn_recon{LEVEL_SUFFIX[level]}", stride_1_kernel)
    yield from activated("reconstruction.quarter_to_half", "up4_2", transposed_kernel)
    yield from activated("reconstruction.half_to_full", "up2_1", transposed_kernel)
    yield from activated("reconstruction.narrow", "rnn5", stride_1_kernel)
    yield "reconstruction.rain.weight", "rnn7/weight", to_bgr


def coarse_fusion_entries(config: MSPFNConfig) -> Iterator[Entry]:
    """Pyramid features, ConvLSTM levels and the upscaling between them."""
    for level, suffix in LEVEL_SUFFIX.items():
        yield from activated(f"coarse_fusion.features.{level}", f"rnn{suffix or 1}", from_bgr)
        fuse, scope = f"coarse_fusion.fuse.{level}", "residual_memory"
        yield from activated(f"{fuse}.narrow", f"{scope}/rain{suffix}_res1", stride_1_kernel)
        yield from lstm_entries(f"{fuse}.lstm", f"{scope}/lstm_group{suffix}/convLSTM/LSTM_conv", config)
        yield from activated(f"{fuse}.widen", f"{scope}/rain{suffix}_res2", stride_1_kernel)
    for ours, theirs in (("quarter_to_half", "4_2"), ("quarter_to_full", "4_1"), ("half_to_full", "2_1")):
        yield from activated(f"coarse_fusion.{ours}", f"residual_memory/upRMM{theirs}", transposed_kernel)


def lstm_entries(key: str, scope: str, config: MSPFNConfig) -> Iterator[Entry]:
    """An LSTM cell, kernel (h, w, in + hidden, 4 hidden); sliced to what the output depends on unless all is kept."""
    if config.dead_weights:
        yield f"{key}.weight", f"{scope}/weights", kernel
        yield f"{key}.bias", f"{scope}/biases", unchanged
    else:
        yield f"{key}.weight", f"{scope}/weights", lambda weight: live_kernel(kernel(weight), config.channels // 2)
        yield f"{key}.bias", f"{scope}/biases", live_bias


def fine_fusion_entries(unit: int, attention_units: tuple[int, int, int]) -> Iterator[Entry]:
    """One fine-fusion unit; their scopes count from 0, the layers inside from 1."""
    for level, count in zip(LEVELS, attention_units, strict=True):
        suffix = LEVEL_SUFFIX[level]
        block, scope = f"fine_fusion.{unit}.blocks.{level}", f"BCM{suffix}_{unit}"
        yield from activated(f"{block}.down", f"{scope}/down{suffix}_{unit + 1}", kernel)
        for index in range(count):
            yield from attention_entries(f"{block}.attention.{index}", f"{scope}/group_{unit + 1}_RCAB{index + 1}")
        yield from activated(f"{block}.up", f"{scope}/up_{unit + 1}", transposed_kernel)
    scopes = {
        "quarter_to_half": f"BCM2_{unit}/upBCM4_2_{unit}",
        "quarter_to_full": f"BCM_{unit}/upBCM4to1_{unit}",
        "half_to_full": f"BCM_{unit}/upBCM2to1_{unit}",
    }
    for ours, theirs in scopes.items():
        yield from activated(f"fine_fusion.{unit}.{ours}", theirs, transposed_kernel)


def attention_entries(key: str, scope: str) -> Iterator[Entry]:
    """The four convolutions of a channel attention unit; the first and third have a PReLU."""
    convs = {"features.0": "conv2d", "features.2": "conv2d_1", "gate.0": "conv2d_2", "gate.2": "conv2d_3"}
    for layer, conv in convs.items():
        yield f"{key}.{layer}.weight", f"{scope}/{conv}/kernel", kernel
        yield f"{key}.{layer}.bias", f"{scope}/{conv}/bias", unchanged
    yield f"{key}.features.1.weight", f"{scope}/conv2d/alpha", unchanged
    yield f"{key}.gate.1.weight", f"{scope}/conv2d_2/alpha", unchanged


def activated(key: str, scope: str, convert: Convert) -> Iterator[Entry]:
    """A convolution without bias and its PReLU."""
    yield f"{key}.conv.weight", f"{scope}/weight", convert
    yield f"{key}.activation.weight", f"{scope}/alpha", unchanged


def unchanged(vector: Tensor) -> Tensor:
    """Biases and PReLU slopes are the same on both sides."""
    return vector


def kernel(weight: Tensor) -> Tensor:
    """(h, w, in, out) of a convolution -> (out, in, h, w)."""
    return weight.permute(3, 2, 0, 1)


def transposed_kernel(weight: Tensor) -> Tensor:
    """(h, w, out, in) of a transposed convolution -> (in, out, h, w)."""
    return weight.permute(3, 2, 0, 1)


def stride_1_kernel(weight: Tensor) -> Tensor:
    """(h, w, out, in) of a transposed convolution with stride 1 -> (out, in, h, w) of the convolution it amounts to."""
    return weight.permute(2, 3, 0, 1).flip(2, 3)


def from_bgr(weight: Tensor) -> Tensor:
    """A stride-1 kernel that reads BGR -> one that reads RGB."""
    return stride_1_kernel(weight).flip(1)


def to_bgr(weight: Tensor) -> Tensor:
    """A stride-1 kernel that makes BGR -> one that makes RGB."""
    return stride_1_kernel(weight).flip(0)
