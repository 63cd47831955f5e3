"""Verbs that show rain: one picture under much of it, and the whole path on bundled photographs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pipelines.progress import console
from pipelines.verbs.options import (
    DepthConvention,
    DepthFar,
    DepthModelColours,
    DepthModelFile,
    DepthModelKind,
    DepthNear,
    DepthScale,
    Seed,
    depth_model_options,
    show_table,
)
from rainsynth.checks import InputError

verbs = typer.Typer()


@verbs.command()
def preview(
    photo: Annotated[Path, typer.Argument(help="A photograph.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Contact sheet to write, a PNG.")],
    layers: Annotated[bool, typer.Option("--layers", help="Show the layers of one sample instead.")] = False,
    depth: Annotated[str, typer.Option(help="Depth map of the photograph, or one number of metres.")] = "",
    depth_convention: DepthConvention = None,
    depth_scale_m: DepthScale = None,
    depth_model: DepthModelFile = None,
    depth_model_kind: DepthModelKind = None,
    depth_model_normalization: DepthModelColours = None,
    depth_near_m: DepthNear = None,
    depth_far_m: DepthFar = None,
    seed: Seed = 0,
) -> None:
    """One photograph under several rates, exposures, winds and depths."""
    from pipelines.config import build_config
    from pipelines.generate_config import DepthModelConfig
    from pipelines.photographs import depth_model as load_model
    from pipelines.preview import background_of, write_previews

    chosen = depth_model_options(depth_model, depth_model_kind, depth_model_normalization, depth_near_m, depth_far_m)
    if depth and chosen:
        raise InputError(f"--depth must stand alone, got {depth!r} and a depth model. Give one of them.")
    if chosen and depth_model is None:
        raise InputError(f"--depth-model must be given for {', '.join(chosen)} of one. It names an ONNX file.")
    model = load_model(build_config(DepthModelConfig, chosen, "the options")) if chosen else None
    background = background_of(photo, depth, depth_convention or "auto", depth_scale_m, model)
    write_previews(background, output, seed, layers)
    console.print(f"wrote {output}")


@verbs.command()
def demo(
    out: Annotated[Path, typer.Option(help="Folder to write, new or empty.")] = Path("demo"),
    smoke: Annotated[bool, typer.Option("--smoke", help="A minute's worth: shows that everything runs.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes; one a processor unless given.")] = None,
    seed: Seed = 0,
) -> None:
    """The whole path on bundled photographs: rain, shards, training, evaluation, report."""
    from pipelines.demo import FULL, SMOKE
    from pipelines.demo import demo as run
    from pipelines.evaluate import figure_table

    report = run(out, SMOKE if smoke else FULL, workers=workers or os.cpu_count() or 1, seed=seed)
    show_table(figure_table(report), "held-out photographs, before -> after")
    console.print(f"wrote {out / 'index.html'} and {out / 'report.json'} in {sum(report['seconds'].values()):.0f} s")
