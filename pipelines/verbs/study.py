"""Verbs that compare ways of training over several seeds."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipelines.config import load_config
from pipelines.progress import console
from pipelines.verbs.options import Settings, show_table

verbs, study = typer.Typer(), typer.Typer(help="Compare ways of training over several seeds.")
verbs.add_typer(study, name="study")

Config = Annotated[Path, typer.Argument(help="YAML file under configs/study/.")]
Out = Annotated[Path, typer.Option(help="Folder of the study, new or empty.")]
Workers = Annotated[int, typer.Option(help="Runs at a time, each on one thread.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with a study that was stopped.")]


@study.command()
def curriculum(
    config: Config, out: Out, workers: Workers = 1, resume: Resume = False, settings: Settings = None
) -> None:
    """Compare curricula at equal steps, and report which should be the default."""
    from pipelines.study import study_curricula
    from pipelines.study_config import CurriculumStudy
    from pipelines.study_page import HTML_NAME
    from pipelines.study_report import consequence, difference_rows

    loaded = load_config(CurriculumStudy, config, settings or ())
    findings = study_curricula(loaded, out, workers=workers, resume=resume)
    show_table(difference_rows(findings), f"PSNR-Y minus that of {findings.baseline}, dB")
    console.print(f"{consequence(findings)} wrote {out / HTML_NAME}")


@study.command()
def domain(config: Config, out: Out, workers: Workers = 1, resume: Resume = False, settings: Settings = None) -> None:
    """Compare ways of going from one sort of rain to another, and report what each loses and regains."""
    from pipelines.domains.config import DomainStudy
    from pipelines.domains.report import drop_line
    from pipelines.domains.study import study_domains
    from pipelines.domains.tables import gain_rows
    from pipelines.study_page import HTML_NAME

    loaded = load_config(DomainStudy, config, settings or ())
    findings = study_domains(loaded, out, workers=workers, resume=resume)
    show_table(gain_rows(findings), "PSNR-Y minus that of the source network, dB")
    console.print(f"{drop_line(findings)} wrote {out / HTML_NAME}")
