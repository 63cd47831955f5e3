"""The PReNet authors' own weights as a PReNet of ours.

Their state dicts (github csdwren/PReNet, `net_latest.pth`) tell the network by its keys: `conv_i.0.weight` where there
is a ConvLSTM, `res_conv2.0.weight` where residual blocks differ. Same function, other names; their four gates are four
convolutions, ours one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from mspfn.networks.prenet import PReNet, PReNetConfig
from rainsynth.checks import InputError

PUBLISHED_STAGES = PReNetConfig().stages
GATES = ("conv_i", "conv_f", "conv_g", "conv_o")  # in the order of ConvLSTM.gates
PARALLEL_PREFIX = "module."  # before every key that torch.nn.DataParallel saved

State = Mapping[str, Tensor]


def prenet_from_authors(source: str | Path | State, *, stages: int = PUBLISHED_STAGES) -> PReNet:
    """PReNet, PRN, PReNet_r or PRN_r with the authors' weights, in evaluation mode and float32.

    source    their file, read without running any code that it holds, or its state dict
    stages    how often the network is applied: not in the file, 6 in all published results

    InputError for a file that cannot be read or holds another network. Of their studies, the GRU and the one without
    the rainy picture at the entrance are told apart and refused; the one without it at the exit has PReNet's very keys.
    """
    name = "state dict" if isinstance(source, Mapping) else str(source)
    state = source if isinstance(source, Mapping) else read_state(Path(source))
    theirs = {key.removeprefix(PARALLEL_PREFIX): value for key, value in state.items()}
    network = PReNet(config_of(theirs, stages, name))
    try:
        network.load_state_dict(converted_state(theirs, network.config, name))
    except RuntimeError as error:  # shapes that do not fit each other
        reason = " ".join(str(error).split())[:120]
        raise InputError(f"{name} must hold tensors of PReNet's shapes, got: {reason}. Are they another's?") from None
    return network.eval()


def config_of(theirs: State, stages: int, name: str) -> PReNetConfig:
    """The size of the network whose state dict, read from `name`, this is."""
    if "conv0.0.weight" not in theirs:
        raise InputError(
            f"{name} must hold the weights of a PReNet, got no conv0.0.weight. Are they another network's?"
        )
    return PReNetConfig(
        stages=stages,
        channels=theirs["conv0.0.weight"].shape[0],
        recurrent="conv_i.0.weight" in theirs,
        shared_block="res_conv2.0.weight" not in theirs,
    )


def read_state(path: Path) -> State:
    """A state dict from a file of torch.save; anything else is an InputError in one line."""
    if not path.is_file():
        raise InputError(f"{path} must be a file of weights, got no file there. Is the path right?")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle can raise anything
        raise InputError(
            f"{path} must hold a whole state dict and no code, got a file that cannot be read as one "
            f"({type(error).__name__}). Is it cut, or of another kind?"
        ) from None
    tensors = isinstance(state, Mapping) and all(isinstance(value, Tensor) for value in state.values())
    if not tensors or not all(isinstance(key, str) for key in state):
        raise InputError(f"{path} must hold a state dict of tensors, got other content. Save network.state_dict().")
    return state


def converted_state(theirs: State, config: PReNetConfig, name: str) -> dict[str, Tensor]:
    """Our state dict from theirs, read from `name`; every tensor must find its place."""
    sources = sources_of(config)
    expected = {key for keys in sources.values() for key in keys}
    missing, unknown = sorted(expected - theirs.keys()), sorted(theirs.keys() - expected)
    if missing or unknown:
        raise InputError(
            f"{name} must hold the {len(expected)} tensors of a PReNet, got {len(missing)} missing "
            f"({', '.join(missing[:3])}) and {len(unknown)} unknown ({', '.join(unknown[:3])}). Are they another's?"
        )
    return {key: torch.cat([theirs[part] for part in parts]).float() for key, parts in sources.items()}


def sources_of(config: PReNetConfig) -> dict[str, tuple[str, ...]]:
    """For every tensor of our state dict the tensors of theirs that it is made of, one after the other."""
    layers: dict[str, tuple[str, ...]] = {"features": ("conv0.0",), "output": ("conv.0",)}
    if config.recurrent:
        layers["lstm.gates"] = tuple(f"{gate}.0" for gate in GATES)
    for index in range(1 if config.shared_block else config.blocks):
        layers[f"blocks.{index}.first"] = (f"res_conv{index + 1}.0",)
        layers[f"blocks.{index}.second"] = (f"res_conv{index + 1}.2",)
    return {
        f"{ours}.{kind}": tuple(f"{part}.{kind}" for part in parts)
        for ours, parts in layers.items()
        for kind in ("weight", "bias")
    }
