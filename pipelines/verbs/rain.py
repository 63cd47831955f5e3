"""Verbs that make rain: one picture, a data set, a video, the whole path."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pipelines.config import load_config
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
    Settings,
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
def generate(
    photos: Annotated[Path | None, typer.Argument(help="Folder of clean photographs.")] = None,
    out: Annotated[Path, typer.Option(help="Folder to write, new or empty.")] = Path("data/rain"),
    preset: Annotated[str | None, typer.Option(help="Family of rain, such as heavy.")] = None,
    samples: Annotated[int | None, typer.Option(help="Number of pairs.")] = None,
    config: Annotated[Path | None, typer.Option(help="YAML file of the whole data set.")] = None,
    rain_rate: Annotated[
        tuple[float, float] | None, typer.Option(help="Low and high rate in mm/h instead of the preset's.")
    ] = None,
    size: Annotated[
        int | None, typer.Option(help="Square windows of this many pixels instead of whole pictures.")
    ] = None,
    layers: Annotated[str | None, typer.Option(help="Layers to store, by commas; 'none' for pairs alone.")] = None,
    depth: Annotated[Path | None, typer.Option(help="Folder of depth maps with their photographs' names.")] = None,
    depth_convention: DepthConvention = None,
    depth_scale_m: DepthScale = None,
    depth_model: DepthModelFile = None,
    depth_model_kind: DepthModelKind = None,
    depth_model_normalization: DepthModelColours = None,
    depth_near_m: DepthNear = None,
    depth_far_m: DepthFar = None,
    seed: Annotated[int | None, typer.Option(help="Everything random follows from it.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; one a processor unless given.")] = None,
    scheduler: Annotated[
        str, typer.Option(help="A running dask scheduler instead of a local one: its address, or its scheduler file.")
    ] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
    split: Annotated[
        str | None, typer.Option(help="Shares of the photographs, such as train=0.8,val=0.1,test=0.1.")
    ] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out pictures that cannot be read, and list them.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what the run would take, and write nothing.")] = False,
    video: Annotated[
        bool, typer.Option("--video", help="PHOTOS is a video or the folder of its frames; writes frames, MP4 and GIF.")
    ] = False,
    frame_rate_hz: Annotated[
        float | None, typer.Option(help="With --video: frames a second; the video's own, 25 of a folder.")
    ] = None,
    camera_velocity_m_s: Annotated[
        tuple[float, float, float] | None, typer.Option(help="With --video: m/s to the right, down and ahead.")
    ] = None,
    settings: Settings = None,
) -> None:
    """Photographs in, HDF5 shards of rainy pairs with all their layers out; or a video in, a rainy video out."""
    from pipelines.generate import generate as run
    from pipelines.generate_config import GenerateConfig, read_shares

    chosen = depth_model_options(depth_model, depth_model_kind, depth_model_normalization, depth_near_m, depth_far_m)
    data: dict[str, object] = {"photographs": photos and str(photos), "depth": depth and str(depth)}
    data |= {"depth_convention": depth_convention, "depth_scale_m": depth_scale_m}
    data |= {f"depth_model__{name}": value for name, value in chosen.items()}
    data = {name: value for name, value in data.items() if value is not None}
    motion: dict[str, object] = {"frame_rate_hz": frame_rate_hz, "camera_velocity_m_s": camera_velocity_m_s}
    if video:
        others: dict[str, object] = {"--samples": samples, "--config": config, "--layers": layers, "--workers": workers}
        others |= {"--size": size, "--scheduler": scheduler or None, "--set": settings or None}
        motion |= {"rain_rate_mm_h": rain_rate}
        _generate_video(data, preset, seed, motion, out, resume, [name for name in others if others[name] is not None])
        return
    if any(value is not None for value in motion.values()):
        raise InputError("--frame-rate-hz and --camera-velocity-m-s must go with --video.")
    if config is None and (photos is None or preset is None or samples is None):
        raise InputError("generate must have PHOTOS, --preset and --samples, or a --config that holds them.")
    given: dict[str, object] = {f"data__{name}": value for name, value in data.items()}
    if preset is not None:
        given["mixture"] = [{"preset": preset}]
    if rain_rate is not None:
        if preset is None:
            raise InputError("--rain-rate must go with --preset, whose rates it replaces.")
        given["mixture"] = [{"preset": preset, "rain_rate_mm_h": list(rain_rate)}]
    if layers is not None:
        given["layers"] = [] if layers == "none" else [name.strip() for name in layers.split(",")]
    options: dict[str, object] = {"samples": samples, "size_px": size, "seed": seed}
    given |= {name: value for name, value in options.items() if value is not None}
    if split is not None:
        given["split"] = read_shares(split)
    resolved = load_config(GenerateConfig, config, settings or (), **given)
    count = (os.cpu_count() or 1) if workers is None else workers
    if dry_run:
        from pipelines.estimate import estimate

        for line in estimate(resolved, workers=count, skip_broken=skip_broken).lines():
            console.print(line)
        return
    manifest = run(resolved, out, workers=count, scheduler=scheduler, resume=resume, skip_broken=skip_broken)
    size_gib = sum(shard["bytes"] for shard in manifest["shards"]) / 2**30
    console.print(
        f"wrote {manifest['samples']} pairs in {len(manifest['shards'])} shards, {size_gib:.2f} GiB, to {out}"
    )


def _generate_video(
    data: dict[str, object],
    preset: str | None,
    seed: int | None,
    motion: dict[str, object],
    out: Path,
    resume: bool,
    others: list[str],
) -> None:
    """`generate --video`; `others` are options that were given and do not go with it."""
    from pipelines.generate_config import PhotographsConfig
    from pipelines.video import VideoRain, generate_video

    if others:
        raise InputError(f"--video must stand without {', '.join(others)}, which shards of single pictures have.")
    if "photographs" not in data or preset is None:
        raise InputError("generate --video must have a video or a folder of frames, and --preset.")
    given = {name: value for name, value in motion.items() if value is not None}
    rain = VideoRain(preset=preset, seed=seed or 0, **given)  # type: ignore[arg-type]
    parameters = generate_video(load_config(PhotographsConfig, None, (), **data), out, rain, resume=resume)
    films = " and ".join(path.name for path in (out / "rain.mp4", out / "rain.gif") if path.exists())
    console.print(f"wrote {len(parameters['frames'])} pairs of frames, {films} to {out}")


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
