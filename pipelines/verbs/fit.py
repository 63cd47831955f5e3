"""`rainsynth fit`: the rain of a place, from its unpaired rainy photographs."""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from pipelines.progress import console
from pipelines.verbs.options import Seed, show_table
from rainsynth.checks import InputError

verbs = typer.Typer()


@verbs.command()
def fit(
    photos: Annotated[Path, typer.Argument(help="Folder of 10 to 1,000 rainy photographs; clean ones are not needed.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Config to write, a YAML file.")],
    report: Annotated[Path | None, typer.Option(help="Folder for report.html and its pictures.")] = None,
    backgrounds: Annotated[
        Path | None, typer.Option(help="Folder of clean photographs of such places; bundled ones unless given.")
    ] = None,
    family: Annotated[str, typer.Option(help="lines or noise (benchmark sets), physical, or auto to decide.")] = "auto",
    fov_deg: Annotated[
        float | None, typer.Option(help="Field of view, degrees across their width; EXIF's unless given.")
    ] = None,
    exposure_s: Annotated[float | None, typer.Option(help="Their exposure in s; EXIF's unless given.")] = None,
    depth: Annotated[str, typer.Option(help="Folder of their depth maps, or one number of metres.")] = "",
    network: Annotated[
        str | None, typer.Option(help="Weights adapted to them, that see their streaks; mspfn-any-rain unless given.")
    ] = None,
    layers: Annotated[
        Path | None, typer.Option(help="Folder to write their streaks to; most of the config's rain is theirs.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A rough fit in a quarter of the time, layers apart.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes; one a processor unless given.")] = None,
    seed: Seed = 0,
) -> None:
    """The rain of a place, from rainy photographs alone: a config whose mixture rains as they do."""
    from pipelines.fit import PICTURES_OF_ROUNDS, QUICK_PICTURES_OF_ROUNDS, FitOptions
    from pipelines.fit import fit as run
    from pipelines.fit_camera import given_camera
    from pipelines.fit_config import blend_line, combinations, config_text, rows_of_fit
    from pipelines.fit_depth import depth_of
    from pipelines.fit_families import PHYSICAL
    from pipelines.fit_layers import LAYERS_OPTION, take_layers
    from pipelines.fit_match import QUICK_EFFORT, WHOLE_EFFORT
    from pipelines.fit_report import PAGE_NAME, write_report
    from pipelines.fit_statistics import NETWORK
    from pipelines.new_folder import check_new
    from pipelines.picture_files import write_whole

    if output.suffix not in (".yaml", ".yml"):
        raise InputError(f"--output must be a YAML file, got {str(output)!r}. For example fitted.yaml.")
    options = FitOptions(
        family=family,
        network=network or NETWORK,
        camera=given_camera(fov_deg, exposure_s),
        seed=seed,
        workers=(os.cpu_count() or 1) if workers is None else workers,
        pictures=QUICK_PICTURES_OF_ROUNDS if quick else PICTURES_OF_ROUNDS,
    )
    if layers is not None:
        check_new(layers, LAYERS_OPTION)
        if family == PHYSICAL or options.camera.ends():
            raise InputError("--layers must go with lines or noise, got physical rain. It is not blended on codes.")
    with tempfile.TemporaryDirectory() as folder:
        fitted = run(photos, clean_photographs(backgrounds, Path(folder)), options, depth_of(depth))
        if layers is not None and fitted.search.family == PHYSICAL:
            console.print("no layers: physical rain is blended in linear light, and its streaks cannot be taken off.")
            layers = None
        if layers is not None:
            fitted = take_layers(fitted, layers, QUICK_EFFORT if quick else WHOLE_EFFORT, options.workers)
        command = shlex.join(["rainsynth", *sys.argv[1:]])
        write_whole(output, config_text(fitted, command, len(fitted.setting.rainy), layers).encode())
        if report is not None:
            write_report(report, fitted)
    show_table(rows_of_fit(fitted), f"{fitted.search.family}, {blend_line(fitted)}")
    for line in combinations(fitted):
        console.print(line)
    console.print(f"wrote {output}" + (f" and {report / PAGE_NAME}" if report is not None else ""))


def clean_photographs(folder: Path | None, scratch: Path) -> tuple[Path, ...]:
    """Files of clean photographs: of a folder, or those that come inside wheels."""
    from pipelines.bundled import HELD_OUT_PHOTOS, TRAINING_PHOTOS, unpack
    from rainsynth.pictures import list_photos

    if folder is None:
        unpack(TRAINING_PHOTOS + HELD_OUT_PHOTOS, scratch)
    return tuple(list_photos(scratch if folder is None else folder))
