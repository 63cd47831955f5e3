"""Deraining networks by name."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from torch import nn

from mspfn.networks.derainnet import DerainNet, DerainNetConfig
from mspfn.networks.jorder import JORDER, JORDERConfig
from mspfn.networks.mspfn import MSPFN, SIZES, MSPFNConfig
from mspfn.networks.predictions import Predictions, predict
from mspfn.networks.prenet import PReNet, PReNetConfig
from rainsynth.checks import InputError, check_choice

__all__ = [
    "JORDER",
    "MSPFN",
    "NETWORKS",
    "SIZES",
    "DerainNet",
    "DerainNetConfig",
    "JORDERConfig",
    "MSPFNConfig",
    "PReNet",
    "PReNetConfig",
    "Predictions",
    "build_network",
    "predict",
]

# name -> the class and the config it starts from; every class takes its config as its one argument and keeps it.
NETWORKS: dict[str, tuple[type[nn.Module], Any]] = {
    "mspfn": (MSPFN, MSPFNConfig()),
    **{f"mspfn-{size}": (MSPFN, config) for size, config in SIZES.items()},
    "prenet": (PReNet, PReNetConfig()),
    "prenet-r": (PReNet, PReNetConfig(shared_block=True)),
    "prn": (PReNet, PReNetConfig(recurrent=False)),
    "derainnet": (DerainNet, DerainNetConfig()),
    "jorder": (JORDER, JORDERConfig()),
}


def build_network(name: str, **config: Any) -> nn.Module:
    """An untrained network; `config` changes fields of the one that `name` stands for.

    Every network takes rainy pictures (N, 3, H, W) in sRGB [0, 1], of any height and width from 1 up, and returns
    derained ones of the same shape, not clipped; `predict` gives what some predict besides.

    build_network("mspfn-tiny"), build_network("mspfn", channels=32, fine_fusion_units=4), build_network("prenet")
    """
    check_choice(name, tuple(NETWORKS), "network name")
    network, defaults = NETWORKS[name]
    known = [field.name for field in fields(defaults)]
    unknown = [key for key in config if key not in known]
    if unknown:
        raise InputError(f"config of {name} must use only {', '.join(known)}, got {', '.join(unknown)}.")
    return network(replace(defaults, **config))
