"""Verbs that look into data sets, check them and pass them on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from pipelines.progress import console
from pipelines.verbs.options import (
    show_table,
)

Layout = Annotated[str, typer.Option(help="auto, or a layout such as input-target, prenet, ddn, clean-rainy.")]

verbs = typer.Typer()


@verbs.command()
def verify(data_set: Annotated[Path, typer.Argument(help="Folder that generate wrote.")]) -> None:
    """Check every checksum and claim of a data set, compose every sample again; exit 1 on a fault, one line each."""
    from pipelines.verify import verify as find_faults

    faults = find_faults(data_set)
    for fault in faults:
        print(fault)
    if faults:
        raise typer.Exit(1)
    console.print(f"{data_set} is whole")


@verbs.command()
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


@verbs.command()
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


@verbs.command(name="import")
def import_(
    folder: Annotated[
        Path, typer.Argument(help="Folder with input/ and target/, lq/ and gt/, or rain-N and norain-N.")
    ],
    to: Annotated[Path, typer.Option(help="Folder to write, new or empty.")],
    layout: Layout = "auto",
    profile: Annotated[str, typer.Option(help="How shards are stored: default, small, fast or portable.")] = "default",
    fingerprints: Annotated[
        bool, typer.Option(help="Store by what check-leak knows each target again, 8 KiB of it.")
    ] = True,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was stopped.")] = False,
) -> None:
    """Folders of rainy and clean pictures as shards, without layers."""
    from pipelines.exchange import import_pairs

    manifest = import_pairs(folder, to, layout=layout, profile=profile, fingerprints=fingerprints, resume=resume)
    console.print(f"wrote {manifest['samples']} pairs in {len(manifest['shards'])} shards to {to}")


@verbs.command("check-leak")
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


@verbs.command()
def audit(
    pairs_folder: Annotated[
        Path, typer.Argument(metavar="PAIRS", help="Folder of pairs in any layout, folder of shards, or one shard.")
    ],
    pairs: Annotated[int | None, typer.Option(help="Look at so many, evenly spread; all unless given.")] = None,
    layout: Layout = "auto",
    json_file: Annotated[Path | None, typer.Option("--json", help="Write every figure there.")] = None,
    page: Annotated[Path | None, typer.Option("-o", "--html", help="Write a page with histograms there.")] = None,
) -> None:
    """How a paired set was made: its blend, its streaks, and what is wrong with it, one line a fault."""
    from pipelines.audit import audit as run
    from pipelines.audit_page import write_audit_page
    from pipelines.evaluate import write_figures

    report = run(pairs_folder, layout=layout, pairs=pairs)
    for line in report.lines():
        console.print(line, markup=False)
    show_table(report.formula_table(), "formulas")
    show_table(report.table(), "figures")
    for line in report.odd():
        console.print(f"odd: {line}", markup=False)
    for line in report.faults:
        print(line)
    console.print(f"faults: {len(report.faults)}" if report.faults else "no fault")
    if json_file is not None:
        write_figures(json_file, report.as_dict())
        console.print(f"wrote {json_file}")
    if page is not None:
        write_audit_page(page, report)
        console.print(f"wrote {page}")
