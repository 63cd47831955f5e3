"""The verb that measures networks and other people's results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.progress import console
from pipelines.verbs.options import show_table
from rainsynth.checks import InputError

verbs = typer.Typer()


@verbs.command()
def evaluate(
    weights: Annotated[
        list[str] | None, typer.Option(help="File of weights, such as RUN/weights.pt, or NAME=FILE; repeatable.")
    ] = None,
    results: Annotated[
        list[str] | None, typer.Option(metavar="NAME=DIR", help="Folder of derained pictures; repeatable.")
    ] = None,
    pairs: Annotated[
        Path | None, typer.Option(help="Folder of shards, or of pairs such as input/ and target/.")
    ] = None,
    set_name: Annotated[str | None, typer.Option(help="The pairs are this set, such as rain100l or test1200.")] = None,
    photographs: Annotated[Path | None, typer.Option(help="Instead of pairs: photographs of real rain.")] = None,
    downstream: Annotated[
        bool, typer.Option("--downstream", help="Instead of pairs: stereo, feature matches, reading.")
    ] = False,
    mirrored: Annotated[
        bool, typer.Option("--mirrored", help="Every network as `derain --mirrored` as well, as a method of its own.")
    ] = False,
    shifted: Annotated[
        bool, typer.Option("--shifted", help="Likewise as `derain --shifted`; with --mirrored as both at once.")
    ] = False,
    target: Annotated[str, typer.Option(help="For shards: clean (all rain gone) or veiled (streaks gone).")] = "clean",
    metric: Annotated[
        list[str] | None, typer.Option(help="Beside psnr_y and ssim_y, such as ms_ssim_y; repeatable.")
    ] = None,
    mask: Annotated[bool, typer.Option("--mask/--no-mask", help="Figures by where rain is, or without.")] = True,
    threads: Annotated[int | None, typer.Option(help="That read ahead; one a processor unless given.")] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure there.")] = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write a line a method and picture there.")] = None,
    report: Annotated[Path | None, typer.Option(help="Folder for a page with all pictures, new or empty.")] = None,
) -> None:
    """Methods side by side over pairs: PSNR and SSIM, and what a method does where no rain is."""
    from pipelines import evaluate as run
    from pipelines.evaluation.figures import chosen_metrics

    asked = {"--pairs": pairs, "--photographs": photographs, "--downstream": downstream or None}
    given = [name for name, value in asked.items() if value is not None]
    if len(given) != 1:
        raise InputError(f"evaluate must have one of {', '.join(asked)}, got {' and '.join(given) or 'none'}.")
    views = [name for name, wanted in zip(run.VIEWS, (mirrored, shifted), strict=True) if wanted]
    if downstream:
        if results or csv_file or report:
            raise InputError("--downstream is for --weights and --json alone: the pictures are its own.")
        _downstream(weights or [], views, json_file)
        return
    metrics = chosen_metrics(metric)
    pictures = run.find_pairs(pairs, target, set_name) if pairs else run.find_photographs(photographs)  # type: ignore[arg-type]
    for line in pictures.remarks:
        console.print(f"warning: {line}", markup=False)
    methods = [*run.networks(weights or [], views), *run.results(results or [], pictures)]
    title = f"Evaluation on {(pairs or photographs).absolute().name}"  # type: ignore[union-attr]
    outcome = run.compare(pictures, methods, metrics=metrics, masks=mask, threads=threads, report=report, title=title)
    for line in outcome.remarks[len(pictures.remarks) :]:
        console.print(f"warning: {line}", markup=False)
    for section in outcome.sections():
        show_table(section.rows, section.title)
    if json_file is not None:
        run.write_figures(json_file, outcome.as_json())
        console.print(f"wrote {json_file}")
    if csv_file is not None:
        run.write_rows(csv_file, outcome.rows)
        console.print(f"wrote {csv_file}")
    if report is not None:
        console.print(f"wrote {report / 'report.html'}")


def _downstream(weights: list[str], views: list[str], json_file: Path | None) -> None:
    from pipelines import evaluate as run
    from pipelines.evaluation.downstream import downstream, downstream_table

    figures = downstream(run.networks(weights, views))
    show_table(downstream_table(figures), "stereo, feature matches and reading")
    if figures["reading_skipped"]:
        console.print("reading was skipped: it needs the program tesseract, and pip install 'rainsynth[ocr]'")
    if json_file is not None:
        run.write_figures(json_file, figures)
        console.print(f"wrote {json_file}")
