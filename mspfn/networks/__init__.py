"""Deraining networks by name."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from torch import nn

from mspfn.networks.mspfn import MSPFN, SIZES, MSPFNConfig
from rainsynth.checks import InputError, check_choice

__all__ = ["MSPFN", "NETWORKS", "SIZES", "MSPFNConfig", "build_network"]

# name -> the class and the config it starts from; every class takes its config as its one argument and keeps it.
NETWORKS: dict[str, tuple[type[nn.Module], Any]] = {
    "mspfn": (MSPFN, MSPFNConfig()),
    **{f"mspfn-{size}": (MSPFN, config) for size, config in SIZES.items()},
}


def build_network(name: str, **config: Any) -> nn.Module:
    """An untrained network; `config` changes fields of the one that `name` stands for.

    build_network("mspfn-tiny"), build_network("mspfn", channels=32, fine_fusion_units=4)
    """
    check_choice(name, tuple(NETWORKS), "network name")
    network, defaults = NETWORKS[name]
    known = [field.name for field in fields(defaults)]
    unknown = [key for key in config if key not in known]
    if unknown:
        raise InputError(f"config of {name} must use only {', '.join(known)}, got {', '.join(unknown)}.")
    return network(replace(defaults, **config))
