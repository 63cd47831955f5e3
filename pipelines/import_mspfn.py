"""`rainsynth import-mspfn`, `import-prenet`: weights that the authors published as files of ours."""

from __future__ import annotations

from pathlib import Path

from torch import nn

from mspfn.checkpoint import describe, save_weights
from mspfn.networks.prenet_weights import prenet_from_authors
from mspfn.networks.tensorflow_weights import mspfn_from_tensorflow
from mspfn.tensorflow_checkpoint import checkpoint_prefix, read_tensorflow_checkpoint
from rainsynth.checks import InputError


def import_mspfn(checkpoint: Path, output: Path, *, dead_weights: bool = False, half: bool = False) -> str:
    """Write the MSPFN of a TensorFlow checkpoint as a weights file; returns what it is, for people.

    dead_weights    keep the ConvLSTM weights that never reach the output
    half            store in float16
    """
    check_output(output)
    variables = read_tensorflow_checkpoint(checkpoint)
    network = mspfn_from_tensorflow(variables, dead_weights=dead_weights)
    return write(network, output, checkpoint_prefix(checkpoint).name, half)


def import_prenet(weights: Path, output: Path, *, stages: int, half: bool = False) -> str:
    """Write the PReNet (or PRN, PReNet_r) of its authors' file as a weights file; returns what it is, for people.

    stages  how often the network is applied, which their file does not say
    half    store in float16
    """
    check_output(output)
    return write(prenet_from_authors(weights, stages=stages), output, weights.name, half)


def check_output(output: Path) -> None:
    """Raise InputError unless a file can be written under this name."""
    if output.is_dir():
        raise InputError(f"--output must be a file, got the folder {str(output)!r}. Name it NETWORK.pt.")


def write(network: nn.Module, output: Path, source: str, half: bool) -> str:
    """Save a network with a note of where its weights came from."""
    output.parent.mkdir(parents=True, exist_ok=True)
    save_weights(output, network, half=half, about={"imported_from": source})
    count = sum(parameter.numel() for parameter in network.parameters())
    return f"{describe(network)['name']} with {count:,} weights"
