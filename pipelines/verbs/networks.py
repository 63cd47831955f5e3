"""Verbs that train networks and use them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.config import load_config
from pipelines.progress import console
from pipelines.verbs.options import Settings
from rainsynth.checks import InputError

DEFAULT_WEIGHTS = "mspfn-small"  # comes with the package

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
    source: Annotated[
        Path | None, typer.Argument(metavar="INPUT", help="A picture, a folder of pictures, or a video file.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Picture, folder or video to write; kept if there already.")
    ] = None,
    weights: Annotated[
        str, typer.Option(help="File of weights, such as RUN/weights.pt, or a bundled name.")
    ] = DEFAULT_WEIGHTS,
    tile_px: Annotated[int | None, typer.Option(help="Work in tiles of this side; else above 1.5 MP only.")] = None,
    overlap_px: Annotated[int, typer.Option(help="What neighbouring tiles share.")] = 32,
    mirrored: Annotated[
        bool, typer.Option("--mirrored", help="Mean with the mirrored picture's: a little better in twice the time.")
    ] = False,
    ensemble: Annotated[
        bool, typer.Option("--ensemble", help="Mean over eight flips and turns, of networks trained with turns.")
    ] = False,
    shifted: Annotated[
        bool,
        typer.Option("--shifted", help="Mean over shifts by a pixel, in four times the time; goes with the others."),
    ] = False,
    local_mean_px: Annotated[int | None, typer.Option(help="Window of the channel attention's means.")] = None,
    batch: Annotated[int | None, typer.Option(help="Frames or equal pictures at once; 1, on a GPU 8.")] = None,
    compare: Annotated[bool, typer.Option("--compare", help="Write side-by-sides to OUTPUT_compare too.")] = False,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="List pictures of a folder that cannot be read, as no mistake.")
    ] = False,
    crf: Annotated[int | None, typer.Option(help="Quality of a film, smaller is better; 16 for H.264.")] = None,
    camera: Annotated[str | None, typer.Option(help="A camera's number or a stream's URL instead of INPUT.")] = None,
    seconds: Annotated[float | None, typer.Option(help="With --camera: end then; else with Ctrl-C.")] = None,
    preview_port: Annotated[
        int | None, typer.Option(help="With --camera: show it at http://127.0.0.1:PORT/; 0 takes any.")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu or cuda.")] = "auto",
) -> None:
    """Take the rain off a picture, a folder of pictures, a video or a camera."""
    from pipelines.derain import check_camera_options, derain_input, derain_stream, load_derainer

    of_cameras = {"--seconds": seconds, "--preview-port": preview_port}
    check_camera_options(source, camera, [name for name, value in of_cameras.items() if value is not None])
    if camera is None and output is None:
        raise InputError("derain must have --output, the picture, folder or video to write.")
    derainer = load_derainer(
        weights,
        device=device,
        tile_px=tile_px,
        overlap_px=overlap_px,
        mirrored=mirrored,
        ensemble=ensemble,
        shifted=shifted,
        local_mean_px=local_mean_px,
    )
    if camera is not None:
        told = derain_stream(
            camera, output, derainer, seconds=seconds, crf=crf, compare=compare, preview_port=preview_port
        )
    else:
        told = derain_input(source, output, derainer, batch=batch, compare=compare, skip_broken=skip_broken, crf=crf)  # type: ignore[arg-type]
    console.print(told, markup=False)
