"""The verbs of the command `rainsynth`. Each reads its options, calls one function, and says what came out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from pipelines.config import load_config
from pipelines.progress import console
from rainsynth.checks import InputError

app = typer.Typer(
    name="rainsynth",
    help="Calibrated rain for clean photographs, and deraining networks trained on it.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

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


def _depth_model_options(
    file: Path | None, kind: str | None, normalization: str | None, near_m: float | None, far_m: float | None
) -> dict[str, object]:
    """What was said of the depth model, by the names of DepthModelConfig."""
    said = {"file": file and str(file), "kind": kind, "normalization": normalization, "near_m": near_m, "far_m": far_m}
    return {name: value for name, value in said.items() if value is not None}


@app.callback(invoke_without_command=True)
def verbs(context: typer.Context) -> None:
    """Calibrated rain for clean photographs, and deraining networks trained on it."""
    if context.invoked_subcommand is None:
        console.print(context.get_help())


@app.command()
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

    chosen = _depth_model_options(depth_model, depth_model_kind, depth_model_normalization, depth_near_m, depth_far_m)
    if depth and chosen:
        raise InputError(f"--depth must stand alone, got {depth!r} and a depth model. Give one of them.")
    if chosen and depth_model is None:
        raise InputError(f"--depth-model must be given for {', '.join(chosen)} of one. It names an ONNX file.")
    model = load_model(build_config(DepthModelConfig, chosen, "the options")) if chosen else None
    background = background_of(photo, depth, depth_convention or "auto", depth_scale_m, model)
    write_previews(background, output, seed, layers)
    console.print(f"wrote {output}")


@app.command()
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

    chosen = _depth_model_options(depth_model, depth_model_kind, depth_model_normalization, depth_near_m, depth_far_m)
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


@app.command()
def verify(data_set: Annotated[Path, typer.Argument(help="Folder that generate wrote.")]) -> None:
    """Check every checksum and claim of a data set, compose every sample again; exit 1 on a fault, one line each."""
    from pipelines.verify import verify as find_faults

    faults = find_faults(data_set)
    for fault in faults:
        print(fault)
    if faults:
        raise typer.Exit(1)
    console.print(f"{data_set} is whole")


@app.command()
def inspect(
    data_set: Annotated[Path, typer.Argument(help="Folder of a data set, folder of shards, or one shard.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Contact sheet to write.")] = Path("contact_sheet.png"),
    rows: Annotated[int, typer.Option(help="Samples to show.")] = 8,
) -> None:
    """A contact sheet of a data set, histograms of it, a page with both, and a table of its classes of rain."""
    from pipelines.inspect import inspect as show
    from pipelines.inspect import written_beside

    show_table(show(data_set, output, rows))
    console.print(f"wrote {', '.join(str(path) for path in (output, *written_beside(output)))}")


@app.command()
def export(
    data_set: Annotated[Path, typer.Argument(help="Folder of shards, or one shard.")],
    to: Annotated[Path, typer.Option(help="Folder to write, new or empty.")],
    layout: Annotated[
        str, typer.Option(help="input-target (Restormer, MPRNet), basicsr (lq, gt) or prenet (rain-N, norain-N).")
    ] = "input-target",
    target: Annotated[str, typer.Option(help="clean (all rain gone) or veiled (streaks gone).")] = "clean",
    workers: Annotated[int | None, typer.Option(help="Threads; one a processor unless given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
) -> None:
    """Pairs of a data set as folders of PNGs, as other trainers read them."""
    from pipelines.exchange import export as run

    count = (os.cpu_count() or 1) if workers is None else workers
    for remark in run(data_set, to, layout=layout, target=target, workers=count, resume=resume):
        console.print(remark)
    console.print(f"wrote {to}")


@app.command(name="import")
def import_(
    folder: Annotated[
        Path, typer.Argument(help="Folder with input/ and target/, lq/ and gt/, or rain-N and norain-N.")
    ],
    to: Annotated[Path, typer.Option(help="Folder to write, new or empty.")],
    layout: Annotated[str, typer.Option(help="auto, input-target, basicsr or prenet.")] = "auto",
    profile: Annotated[str, typer.Option(help="How shards are stored: default, small, fast or portable.")] = "default",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
) -> None:
    """Folders of rainy and clean pictures as shards, without layers."""
    from pipelines.exchange import import_pairs

    manifest = import_pairs(folder, to, layout=layout, profile=profile, resume=resume)
    console.print(f"wrote {manifest['samples']} pairs in {len(manifest['shards'])} shards to {to}")


@app.command("check-leak")
def check_leak(
    train: Annotated[Path, typer.Argument(help="Folder of pictures, of input/ and target/, or of shards.")],
    test: Annotated[Path, typer.Argument(help="Another one.")],
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure there.")] = None,
    sheet: Annotated[Path | None, typer.Option("--sheet", help="Show leaks side by side there, a PNG.")] = None,
) -> None:
    """Backgrounds of one set that are in the other although changed; exit 1 if there are some, one line each."""
    from pipelines.check_leak import check_leak as find
    from pipelines.check_leak import leak_sheet
    from pipelines.evaluate import write_figures
    from rainsynth.pictures import write_picture

    report = find(train, test)
    for line in report.lines():
        print(line)
    if plain := report.featureless():
        console.print(f"too plain to be recognised: {len(plain)} backgrounds, the first is {plain[0]}")
    if json_file is not None:
        write_figures(json_file, report.as_dict())
        console.print(f"wrote {json_file}")
    if sheet is not None and report.leaks:
        write_picture(sheet, leak_sheet(report))
        console.print(f"wrote {sheet}")
    compared = f"{len(report.train)} backgrounds against {len(report.test)}"
    if report.leaks:
        console.print(f"{len(report.leaks)} leaks: {compared}")
        raise typer.Exit(1)
    console.print(f"no leak: {compared}")


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
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
