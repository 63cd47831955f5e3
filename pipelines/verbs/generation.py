"""`rainsynth generate`: what its options mean as a config, and what it says when it is done."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.config import load_config
from pipelines.generate_config import GenerateConfig, PhotographsConfig, read_shares
from pipelines.progress import console
from pipelines.verbs.options import (
    DepthConvention,
    DepthFar,
    DepthModelColours,
    DepthModelFile,
    DepthModelKind,
    DepthNear,
    DepthScale,
    Settings,
    depth_model_options,
)
from rainsynth.checks import InputError

Options = dict[str, Any]  # what was said on the command line, by name; None: nothing

verbs = typer.Typer()


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
    model = depth_model_options(depth_model, depth_model_kind, depth_model_normalization, depth_near_m, depth_far_m)
    photographs = said(
        photographs=text(photos),
        depth=text(depth),
        depth_convention=depth_convention,
        depth_scale_m=depth_scale_m,
        **{f"depth_model__{name}": value for name, value in model.items()},
    )
    motion = said(frame_rate_hz=frame_rate_hz, camera_velocity_m_s=camera_velocity_m_s)
    if video:
        others = {"samples": samples, "config": config, "layers": layers, "workers": workers, "size": size}
        refuse_with_video(others | {"scheduler": scheduler or None, "set": settings or None})
        rain = said(preset=preset, seed=seed, rain_rate_mm_h=rain_rate) | motion
        return make_video(photographs, rain, out, resume)
    if motion:
        raise InputError("--frame-rate-hz and --camera-velocity-m-s must go with --video.")
    if config is None and (photos is None or preset is None or samples is None):
        raise InputError("generate must have PHOTOS, --preset and --samples, or a --config that holds them.")
    given = {f"data__{name}": value for name, value in photographs.items()}
    given |= said(mixture=mixture(preset, rain_rate), layers=layer_names(layers), split=split and read_shares(split))
    given |= said(samples=samples, size_px=size, seed=seed)
    resolved = load_config(GenerateConfig, config, settings or (), **given)
    processes = (os.cpu_count() or 1) if workers is None else workers
    if dry_run:
        return say_estimate(resolved, processes, skip_broken)
    make_shards(resolved, out, workers=processes, scheduler=scheduler, resume=resume, skip_broken=skip_broken)


def said(**options: Any) -> Options:
    """The options that were given."""
    return {name: value for name, value in options.items() if value is not None}


def text(path: Path | None) -> str | None:
    """A path as configs hold it."""
    return None if path is None else str(path)


def mixture(preset: str | None, rain_rate_mm_h: tuple[float, float] | None) -> list[Options] | None:
    """The mixture of one preset that --preset and --rain-rate stand for."""
    if rain_rate_mm_h is not None and preset is None:
        raise InputError("--rain-rate must go with --preset, whose rates it replaces.")
    if preset is None:
        return None
    return [{"preset": preset} | ({"rain_rate_mm_h": list(rain_rate_mm_h)} if rain_rate_mm_h else {})]


def layer_names(listed: str | None) -> list[str] | None:
    """The names in a list with commas; of "none" there are none."""
    if listed is None:
        return None
    return [] if listed == "none" else [name.strip() for name in listed.split(",")]


def refuse_with_video(options: Options) -> None:
    """Raise InputError if one of these was given: they are for shards of single pictures."""
    given = [f"--{name}" for name in said(**options)]
    if given:
        raise InputError(f"--video must stand without {', '.join(given)}, which shards of single pictures have.")


def make_video(photographs: Options, rain: Options, out: Path, resume: bool) -> None:
    """Frames in, rainy frames and films out."""
    from pipelines.video import VideoRain, generate_video

    if "photographs" not in photographs or "preset" not in rain:
        raise InputError("generate --video must have a video or a folder of frames, and --preset.")
    frames = load_config(PhotographsConfig, None, (), **photographs)
    parameters = generate_video(frames, out, VideoRain(**rain), resume=resume)
    films = " and ".join(path.name for path in (out / "rain.mp4", out / "rain.gif") if path.exists())
    console.print(f"wrote {len(parameters['frames'])} pairs of frames, {films} to {out}")


def say_estimate(config: GenerateConfig, workers: int, skip_broken: bool) -> None:
    """What a run would take."""
    from pipelines.estimate import estimate

    for line in estimate(config, workers=workers, skip_broken=skip_broken).lines():
        console.print(line)


def make_shards(config: GenerateConfig, out: Path, **how: Any) -> None:
    """Photographs in, shards out."""
    from pipelines.generate import generate

    manifest = generate(config, out, **how)
    size_gib = sum(shard["bytes"] for shard in manifest["shards"]) / 2**30
    console.print(
        f"wrote {manifest['samples']} pairs in {len(manifest['shards'])} shards, {size_gib:.2f} GiB, to {out}"
    )
