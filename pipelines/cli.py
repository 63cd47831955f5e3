"""The command `rainsynth`: its verbs put together. Each reads its options, calls one function, says what came out."""

from __future__ import annotations

import typer

from mspfn.openmp import spin_briefly
from pipelines.progress import console
from pipelines.verbs import adaptation, data_sets, evaluation, fit, generation, networks, rain, rate, study, weights

app = typer.Typer(
    name="rainsynth",
    help="Calibrated rain for clean photographs, and deraining networks trained on it.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.callback(invoke_without_command=True)
def verbs(context: typer.Context) -> None:
    """Calibrated rain for clean photographs, and deraining networks trained on it."""
    spin_briefly()
    if context.invoked_subcommand is None:
        console.print(context.get_help())


for group in (rain, generation, fit, data_sets, networks, evaluation, adaptation, study, rate, weights):
    app.add_typer(group.verbs)
