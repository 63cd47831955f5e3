"""Options that several verbs share, and how a verb shows a table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from pipelines.progress import console

Settings = Annotated[list[str] | None, typer.Option("--set", help="KEY=VALUE on top of the config, repeatable.")]
Seed = Annotated[int, typer.Option(help="Everything random follows from it.")]
DepthConvention = Annotated[
    str | None, typer.Option(help="What a depth file's numbers mean: npy (metres), kitti, nyu or scale.")
]
DepthScale = Annotated[float | None, typer.Option(help="Metres of a step of depth files, such as 0.001.")]
DepthModelFile = Annotated[Path | None, typer.Option(help="ONNX file that gives depth where no map does.")]
DepthModelKind = Annotated[str | None, typer.Option(help="Its output: metric (metres) or inverse (relative 1/depth).")]
DepthModelColours = Annotated[str | None, typer.Option(help="Colours it takes: imagenet, half, unit or codes.")]
DepthNear = Annotated[float | None, typer.Option(help="Metres of the nearest thing, for kind inverse.")]
DepthFar = Annotated[float | None, typer.Option(help="Metres of the farthest thing, for kind inverse.")]


def show_table(rows: list[dict[str, str]], title: str = "") -> None:
    """Print rows of equal columns as a table."""
    if not rows:
        return
    table = Table(title=title or None)
    for name in rows[0]:
        table.add_column(name, justify="left" if name == next(iter(rows[0])) else "right")
    for row in rows:
        table.add_row(*row.values())
    console.print(table)


def depth_model_options(
    file: Path | None, kind: str | None, normalization: str | None, near_m: float | None, far_m: float | None
) -> dict[str, object]:
    """What was said of the depth model, by the names of DepthModelConfig."""
    said = {"file": file and str(file), "kind": kind, "normalization": normalization, "near_m": near_m, "far_m": far_m}
    return {name: value for name, value in said.items() if value is not None}
