"""A study of domains from its config to its report: pictures, fits, runs, figures."""

from __future__ import annotations

from pathlib import Path

from pipelines.adapt import Rain, fitted_rain
from pipelines.domains.config import FROM_FITTED, DomainStudy
from pipelines.domains.distance import Distance, as_rows, distances, rain_numbers
from pipelines.domains.findings import Findings, Place, find
from pipelines.domains.material import check_material, make_material, measured_of, rainy_folder
from pipelines.domains.plan import runs_of
from pipelines.domains.report import write_report
from pipelines.run_records import RunFolder
from pipelines.study import begin
from pipelines.study_page import write_text
from pipelines.study_runs import make_runs
from rainsynth.checks import InputError
from rainsynth.pictures import list_photos

FITTED_NAME = "fitted"  # folder of rain that a study fits itself
FIT_SEED = 0


def study_domains(config: DomainStudy, out: Path, *, workers: int, resume: bool = False) -> Findings:
    """Make a study and its report into the folder `out`.

    `resume` goes on with a study of the same config that was stopped; without it a folder that is not empty is refused.
    """
    folder = RunFolder(out, resume)
    check_fits(config)
    check_material(config)
    with folder.locked():
        begin(config, folder.path)
        make_material(config, folder.path, workers)
        runs = runs_of(config, folder.path, fits_of(config, folder.path, workers))
        make_runs(runs, workers)
        findings = find(config, runs, distances_of(config, folder.path))
        write_report(config, findings, runs, folder.path)
    return findings


def distances_of(config: DomainStudy, out: Path) -> dict[Place, Distance]:
    """Distances of all domains in use, of the rainy pictures that are measured on."""
    pictures = {name: measured_of(config, name, out) for name in config.used}
    return distances(
        {name: as_rows(rain_numbers(one.rainy_srgb8) for one in found) for name, found in pictures.items()}
    )


def targets_to_fit(config: DomainStudy) -> list[str]:
    """Targets whose rain is to be fitted by the study."""
    return [name for name in config.targets_for(*FROM_FITTED) if config.domains[name].fitted is None]


def check_fits(config: DomainStudy) -> None:
    """Raise InputError where fitted rain is asked for and can neither be read nor made."""
    for domain in config.domains.values():
        if domain.fitted is not None:
            fitted_rain(Path(domain.fitted))
    if targets := targets_to_fit(config):
        try:
            import pipelines.fit_config  # noqa: F401
        except ImportError:
            raise InputError(
                f"domains.{targets[0]}.fitted must name a config of rain fitted to it, got none: this installation"
                " cannot fit rain itself."
            ) from None


def fits_of(config: DomainStudy, out: Path, workers: int) -> dict[str, Rain]:
    """Rain fitted to every target, by name: as the config names it, else fitted now to the target's rainy pictures."""
    for name in targets_to_fit(config):
        path = out / FITTED_NAME / f"{name}.yaml"
        if not path.is_file():
            fit_to(rainy_folder(config, name, out), Path(str(config.train.data.photographs)), path, workers)
    given = {name: config.domains[name].fitted for name in config.targets_for(*FROM_FITTED)}
    return {name: fitted_rain(Path(file or out / FITTED_NAME / f"{name}.yaml")) for name, file in given.items()}


def fit_to(rainy: Path, photographs: Path, path: Path, workers: int) -> None:
    """Fit rain to a folder of rainy pictures, as `rainsynth fit` does, and write its config to `path`."""
    from pipelines.fit import FitOptions, fit
    from pipelines.fit_config import config_text

    found = fit(rainy, tuple(list_photos(photographs)), FitOptions(seed=FIT_SEED, workers=workers))
    path.parent.mkdir(exist_ok=True)
    write_text(path, config_text(found, "rainsynth study domain", len(list_photos(rainy))))
