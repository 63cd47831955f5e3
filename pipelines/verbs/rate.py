"""The verb that asks people: which method's picture is better, and what scores follow."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from pipelines.progress import console
from pipelines.verbs.options import Seed, show_table
from rainsynth.checks import InputError

verbs = typer.Typer()

LOCAL_HOST, PORT = "127.0.0.1", 8450


@verbs.command()
def rate(
    folders: Annotated[
        list[Path] | None, typer.Argument(metavar="DIR_A DIR_B ...", help="One folder of equal names a method.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="SQLite file for answers; goes on with what it holds.")] = None,
    reference: Annotated[
        Path | None, typer.Option(help="Folder of what methods began with, such as rainy pictures; key r shows it.")
    ] = None,
    comparisons: Annotated[
        int | None, typer.Option(help="Of each rater, balanced over methods and pictures; all unless given.")
    ] = None,
    attention_checks: Annotated[
        float | None, typer.Option(help="Pictures against worse copies of themselves, as a part of comparisons; 0.05.")
    ] = None,
    repeats: Annotated[
        float | None, typer.Option(help="Comparisons asked again later with sides swapped, as a part of them; 0.05.")
    ] = None,
    question: Annotated[str | None, typer.Option(help="What raters are asked: which is better, unless given.")] = None,
    seed: Seed = 0,
    host: Annotated[str, typer.Option(help="Address to serve at; another than this lets others in.")] = LOCAL_HOST,
    port: Annotated[int, typer.Option(help="Port to serve at; 0 takes any that is free.")] = PORT,
    scores: Annotated[Path | None, typer.Option(help="Show the scores of such a file instead of serving.")] = None,
    csv: Annotated[Path | None, typer.Option(help="With --scores: write every answer there.")] = None,
    leave_out: Annotated[list[str] | None, typer.Option(help="With --scores: a rater who does not count.")] = None,
) -> None:
    """People compare methods' pictures two at a time, blind, in a browser; --scores ranks the methods."""
    if scores is not None:
        if folders or out is not None:
            raise InputError("--scores must stand without folders and --out: it reads what was answered.")
        _show_scores(scores, csv, tuple(leave_out or ()))
        return
    if csv is not None or leave_out:
        raise InputError("--csv and --leave-out must go with --scores.")
    if not folders or out is None:
        raise InputError("rate must have folders and --out, or --scores alone.")
    said: dict[str, Any] = {"comparisons": comparisons, "attention_fraction": attention_checks, "seed": seed}
    said |= {"repeat_fraction": repeats, "question": question}
    _serve(folders, out, reference, host, port, {name: value for name, value in said.items() if value is not None})


def _serve(
    folders: list[Path], out: Path, reference: Path | None, host: str, port: int, options: dict[str, Any]
) -> None:
    from pipelines.rate.room import open_room
    from pipelines.rate.server import RatingServer, is_loopback

    room = open_room(folders, out, reference, **options)
    with RatingServer(room, host, port) as server:
        if not is_loopback(host):
            console.print(
                f"warning: whoever reaches port {server.port} of this machine sees the pictures and can answer under"
                " any name; nothing is encrypted. Without --host only this machine can."
            )
        console.print(f"rate at {server.address} - Ctrl-C ends it; answers are in {out}", markup=False)
        server.wait()
    console.print(f"{len(room.store.answers())} answers in {out}; the same command goes on", markup=False)
    room.store.close()


def _show_scores(path: Path, csv: Path | None, leave_out: tuple[str, ...]) -> None:
    from pipelines.rate.report import rating_report, write_answers

    report = rating_report(path, leave_out)
    for line in report.lines():
        console.print(line, markup=False)
    for rows in (report.method_table(), report.pair_table(), report.rater_table()):
        show_table([{name: escape(cell) for name, cell in row.items()} for row in rows])
    if csv is not None:
        write_answers(csv, report.answers)
        console.print(f"wrote {csv}", markup=False)
