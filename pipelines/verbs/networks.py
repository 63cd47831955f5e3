"""Verbs that train networks, use them and measure them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.config import load_config
from pipelines.progress import console
from pipelines.verbs.options import (
    Settings,
    show_table,
)

verbs = typer.Typer()


@verbs.command()
def train(
    config: Annotated[Path, typer.Argument(help="YAML file under configs/train/.")],
    out: Annotated[Path, typer.Option(help="Folder of the run, new or empty.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    settings: Settings = None,
) -> None:
    """Train a network on shards or pairs, from light to heavy rain."""
    from mspfn.train_config import TrainConfig
    from pipelines.train import run_training

    result = run_training(load_config(TrainConfig, config, settings or ()), out, resume=resume)
    console.print(f"wrote {result.weights} after {result.steps} steps")


@verbs.command()
def derain(
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="A picture, or a folder of pictures.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Picture or folder to write.")],
    weights: Annotated[str, typer.Option(help="File of weights, such as RUN/weights.pt.")],
) -> None:
    """Take the rain off a picture, or off every picture of a folder."""
    from mspfn.checkpoint import load_weights
    from mspfn.inference import derain as take_rain_off
    from pipelines.derain import derain_path

    network = load_weights(weights)
    count = derain_path(source, output, lambda rainy: take_rain_off(rainy, network))
    console.print(f"wrote {count} picture{'s' if count != 1 else ''} to {output}")


@verbs.command()
def evaluate(
    weights: Annotated[str, typer.Option(help="File of weights, such as RUN/weights.pt.")],
    pairs: Annotated[Path, typer.Option(help="Folder of shards, or with input/ and target/.")],
    target: Annotated[str, typer.Option(help="For shards: clean (all rain gone) or veiled (streaks gone).")] = "clean",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure there.")] = None,
) -> None:
    """PSNR and SSIM on Y as MATLAB computes them, and on RGB, over pairs."""
    from mspfn.checkpoint import load_weights
    from mspfn.inference import derain as take_rain_off
    from pipelines.evaluate import evaluate as measure
    from pipelines.evaluate import figure_table, read_pairs, write_figures

    network = load_weights(weights)
    found, count = read_pairs(pairs, target)
    figures = measure(lambda rainy: take_rain_off(rainy, network), found, count)
    show_table(figure_table(figures))
    if json_file is not None:
        write_figures(json_file, figures)
        console.print(f"wrote {json_file}")
