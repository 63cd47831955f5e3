"""The runs of a study of domains, and which starts from which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mspfn.checkpoint import load_weights
from mspfn.curriculum_config import CurriculumConfig
from mspfn.data_config import DataConfig
from mspfn.mean_teacher import UnpairedConfig
from mspfn.train_config import TrainConfig
from pipelines.adapt import Rain
from pipelines.domains.config import FROM_FITTED, FROM_RAINY, SOURCE, SUPERVISED, DomainStudy
from pipelines.domains.material import GUARD, Measured, clean_pictures, measured_of, rainy_folder, rendered_folder
from pipelines.domains.measure import clean_psnr_db, measure
from pipelines.study_run import RESULT_NAME, Job, Tell, trained, write_result
from rainsynth.preset_choice import PresetChoice

RUNS_NAME = "runs"
GUARD_SAMPLES_PER_CLASS, GUARD_CROP_PX = 8, 128  # choice: tells 0.2 dB, at a few percent of the time of a run


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainRun(Job):
    """One network of a study: a method with a source, a target and a seed, and the domains it is measured in.

    The target of a source network is its own domain. `starts_from` is the run whose weights it goes on from. Its
    result has `steps`, `breach`, `kept_fraction`, `domains` (figures of every picture) and `clean_psnr_y_db`.
    """

    method: str
    source: str
    target: str
    measured: tuple[Measured, ...]
    clean: Measured
    starts_from: Path | None = None

    @property
    def name(self) -> str:
        """What messages call it."""
        return "/".join(self.folder.parts[-3 if self.method == SOURCE else -4 :])

    @property
    def ready(self) -> bool:
        """Whether the weights that it starts from are there."""
        return self.starts_from is None or (self.starts_from / RESULT_NAME).is_file()

    def make(self, tell: Tell) -> None:
        """Train, or go on, and measure in every domain that is asked for."""
        result = trained(self, tell)
        network = load_weights(result.weights)
        found: dict[str, Any] = {
            "method": self.method,
            "source": self.source,
            "target": self.target,
            "seed": self.seed,
            "steps": result.steps,
            "skipped_steps": result.skipped_steps,
            "breach": result.breach,
            "kept_fraction": result.kept_fraction,
            "domains": {one.domain: measure(network, one) for one in self.measured},
            "clean_psnr_y_db": clean_psnr_db(network, clean_pictures(self.clean)),
        }
        write_result(self, found)


def runs_of(config: DomainStudy, out: Path, fitted: Mapping[str, Rain]) -> list[DomainRun]:
    """Every run; a seed's come together, so that a stopped study is balanced, and source networks before the others.

    `fitted` is rain by the name of the domain that it was fitted to. Source networks are measured in every target and
    in their own domain, the others in their target and their source.
    """
    measured = {name: measured_of(config, name, out) for name in config.used}
    clean = measured[config.sources[0]]
    runs = []
    for seed in range(config.seeds):
        runs += [
            DomainRun(
                method=SOURCE,
                source=source,
                target=source,
                seed=seed,
                folder=source_folder(out, source, seed),
                config=source_training(config, source, seed),
                measured=tuple(measured[name] for name in dict.fromkeys((source, *config.targets))),
                clean=clean,
            )
            for source in config.sources
        ]
        for source in config.sources:
            going_on = from_source(config, source_folder(out, source, seed), seed)
            runs += [
                DomainRun(
                    method=method,
                    source=source,
                    target=target,
                    seed=seed,
                    folder=out / RUNS_NAME / method / source / target / f"seed-{seed}",
                    config=target_training(config, going_on, method, (source, target), out, fitted.get(target, ())),
                    measured=(measured[target], measured[source]),
                    clean=clean,
                    starts_from=source_folder(out, source, seed),
                )
                for target in config.targets
                if target != source
                for method in config.methods_for(target)
            ]
    return runs


def source_folder(out: Path, source: str, seed: int) -> Path:
    """Folder of a source network."""
    return out / RUNS_NAME / SOURCE / source / f"seed-{seed}"


def source_training(config: DomainStudy, source: str, seed: int) -> TrainConfig:
    """The training of a source network: the study's, in the rain of its domain."""
    data = replace(config.train.data, presets=config.domains[source].rain)
    return replace(config.train, data=data, seed=seed)


def from_source(config: DomainStudy, folder: Path, seed: int) -> TrainConfig:
    """What all that goes on from a source network has in common."""
    adaptation = config.adaptation
    return replace(
        config.train,
        network=replace(config.train.network, start_weights=str(folder / "weights.pt")),
        curriculum=CurriculumConfig(),
        steps=adaptation.steps,
        optimizer=adaptation.optimizer,
        ema_decay=adaptation.ema_decay,
        validate_every_steps=adaptation.guard_every_steps,
        seed=seed,
    )


def target_training(
    config: DomainStudy, going_on: TrainConfig, method: str, place: tuple[str, str], out: Path, fitted: Rain
) -> TrainConfig:
    """How a network goes on from a source to a target by a method.

    "supervised" learns from the target's own pairs alone. The others go on with their source's rain, half of it
    replaced by fitted rain where that is the method, and a guard looks at it; adapted ones learn from rainy pictures
    beside, under more of the fitted rain, or of their source's.
    """
    source, target = place
    if method == SUPERVISED:
        return replace(going_on, data=supervised_data(config, target))
    own = config.domains[source].rain
    rain = mixed(own, fitted) if method in FROM_FITTED else own
    data = replace(
        going_on.data,
        presets=rain,
        validation_shards=str(rendered_folder(out, source) / GUARD),
        validation_samples_per_class=GUARD_SAMPLES_PER_CLASS,
        validation_crop_px=min(GUARD_CROP_PX, config.evaluation.crop_px),
    )
    unpaired = None
    if method in FROM_RAINY:
        unpaired = UnpairedConfig(
            photographs=str(rainy_folder(config, target, out)),
            presets=tuple(fitted) if method in FROM_FITTED else own,
            patch_px=data.patch_px,
            batch_size=config.adaptation.unpaired_batch_size,
            weight=config.adaptation.unpaired_weight,
            doubt_codes=config.adaptation.doubt_codes,
        )
    return replace(going_on, data=data, unpaired=unpaired, guard=config.adaptation.guard)


def supervised_data(config: DomainStudy, target: str) -> DataConfig:
    """Pairs of the target: its rain on the study's photographs, or the folder that its config names."""
    domain = config.domains[target]
    if domain.rendered:
        return replace(config.train.data, presets=domain.rain)
    return replace(config.train.data, photographs=None, pairs=domain.train_pairs)


def mixed(own: Rain, fitted: Rain) -> tuple[PresetChoice, ...]:
    """Two mixtures as one, each drawn from as often as the other."""
    totals = [sum(part.weight for part in rain) for rain in (own, fitted)]
    return tuple(
        replace(part, weight=part.weight / total)
        for rain, total in zip((own, fitted), totals, strict=True)
        for part in rain
    )
