"""Verbs that bring weights in from other programs, and hand them to others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.progress import console

verbs = typer.Typer()

Output = Annotated[Path, typer.Option("-o", "--output", help="File of weights to write, such as NETWORK.pt.")]
Half = Annotated[bool, typer.Option("--half", help="Store in float16: half the size.")]


@verbs.command("import-mspfn")
def import_mspfn(
    checkpoint: Annotated[
        Path, typer.Argument(help="TensorFlow checkpoint of MSPFN's authors: its prefix, one of its files, its folder.")
    ],
    output: Output,
    dead_weights: Annotated[
        bool, typer.Option("--dead-weights", help="Keep the ConvLSTM weights that never reach the output.")
    ] = False,
    half: Half = False,
) -> None:
    """MSPFN's published weights as a file of ours; needs the extra `tensorflow`."""
    from pipelines.import_mspfn import import_mspfn as run

    console.print(f"wrote {output}: {run(checkpoint, output, dead_weights=dead_weights, half=half)}")


@verbs.command("import-prenet")
def import_prenet(
    weights: Annotated[Path, typer.Argument(help="State dict of PReNet's authors, such as net_latest.pth.")],
    output: Output,
    stages: Annotated[int, typer.Option(help="How often the network is applied; 6 in all published results.")] = 6,
    half: Half = False,
) -> None:
    """The published weights of PReNet, PRN or PReNet_r as a file of ours."""
    from pipelines.import_mspfn import import_prenet as run

    console.print(f"wrote {output}: {run(weights, output, stages=stages, half=half)}")


@verbs.command("export-onnx")
def export_onnx(
    weights: Annotated[str, typer.Argument(help="File of weights, such as RUN/weights.pt, or a bundled name.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="ONNX file to write, such as NETWORK.onnx.")],
) -> None:
    """A network as an ONNX file for pictures of any size; checked against PyTorch; needs the extra `export`."""
    from mspfn.checkpoint import load_weights
    from mspfn.onnx_export import export_onnx as run

    network = load_weights(weights)
    with console.status("tracing the network, a minute or so for the larger ones"):
        difference = run(network, output)
    console.print(f"wrote {output}: within {difference:.1e} of PyTorch on pictures of several sizes")
