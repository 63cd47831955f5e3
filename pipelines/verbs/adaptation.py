"""`rainsynth adapt`: its options, and what it says when it is done."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.progress import console
from pipelines.verbs.options import Settings

verbs = typer.Typer()


@verbs.command()
def adapt(
    config: Annotated[Path, typer.Argument(help="YAML file under configs/adapt/.")],
    weights: Annotated[str, typer.Option(help="File or bundled name of the trained network to go on from.")],
    photographs: Annotated[Path, typer.Option(help="Folder of clean photographs, on which rain falls.")],
    held_out: Annotated[Path, typer.Option(help="Folder of other clean photographs, for the guard to look at.")],
    out: Annotated[Path, typer.Option(help="Folder of the run, new or empty.")],
    to: Annotated[Path | None, typer.Option(help="Folder of rainy photographs of the place; no clean ones.")] = None,
    fitted: Annotated[Path | None, typer.Option(help="Config of rain fitted to the place.")] = None,
    own_fraction: Annotated[
        float | None, typer.Option(help="Part of the pairs in its own rain, beside --fitted; half if not given.")
    ] = None,
    results_fraction: Annotated[
        float | None,
        typer.Option(help="Part of the pairs that are --to with what the weights make of them; no mean teacher then."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    settings: Settings = None,
) -> None:
    """A trained network learns on for another place, from its rainy photographs, from fitted rain, or both."""
    from pipelines.adapt import Adaptation
    from pipelines.adapt import adapt as run

    wanted = Adaptation(
        weights=weights,
        photographs=photographs,
        held_out=held_out,
        rainy=to,
        fitted=fitted,
        own_fraction=own_fraction,
        results_fraction=results_fraction,
    )
    result = run(wanted, config, out, settings=settings or (), resume=resume)
    if result.breach:
        console.print(
            f"the guard, after {result.steps} steps: {result.breach}; so {result.kept_fraction:.0%} of the way there "
            "from the last weights that had not is kept"
        )
    console.print(f"wrote {result.weights} after {result.steps} steps")
