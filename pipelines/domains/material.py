"""The pictures of a study of domains: what networks are measured on, guarded by, and adapted to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from mspfn.pair_source import SRGB8
from mspfn.rendered_pairs import RenderedPairs
from pipelines.audit_pairs import pixels_sha256, spread
from pipelines.domains.config import FROM_FITTED, FROM_RAINY, Domain, DomainStudy
from pipelines.evaluation.pairs import Pair, Photograph, Pictures, find_pairs, find_photographs
from pipelines.generate import generate
from pipelines.generate_config import GenerateConfig, PhotographsConfig
from pipelines.progress import progress
from pipelines.study_config import EvaluationConfig
from pipelines.study_evaluation import check_apart
from pipelines.study_pictures import middle
from rainsynth.checks import InputError
from rainsynth.pictures import list_photos, read_photo, write_picture

MEASURED, GUARD = "measured", "guard"  # parts of a rendered domain; no photograph is in both
GUARD_SHARE = 0.25  # choice: of the held-out photographs
SPARE_SAMPLES = 4  # `generate` splits by photographs, and each part is to have enough
RAINY_SEED = 2**62  # beyond every seed of a run: rainy pictures have rain of their own
MOST_CLEAN = 20  # clean pictures on which networks are to do nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """Pictures of a domain that networks are measured on: where they are, and whether with truth."""

    domain: str
    folder: Path
    truth: bool
    samples: int
    crop_px: int
    target: str

    def pictures(self) -> Pictures[Pair] | Pictures[Photograph]:
        """All of them, evenly spread over the folder."""
        found = find_pairs(self.folder, self.target) if self.truth else find_photographs(self.folder)
        return found.some(self.samples)

    def __iter__(self) -> Iterator[Pair | Photograph]:
        """Their middles, one after the other."""
        return (windowed(one, self.crop_px) for one in self.pictures())


def measured_of(config: DomainStudy, name: str, out: Path) -> Measured:
    """What networks are measured on in a domain."""
    domain, evaluation = config.domains[name], config.evaluation
    return Measured(
        domain=name,
        folder=rendered_folder(out, name) / MEASURED
        if domain.rendered
        else Path(str(domain.pairs or domain.photographs)),
        truth=domain.truth,
        samples=evaluation.samples,
        crop_px=evaluation.crop_px,
        target=config.train.data.target if domain.rendered else "clean",
    )


def rendered_folder(out: Path, name: str) -> Path:
    """Shards of a rendered domain, in parts MEASURED and GUARD."""
    return out / "domains" / name


def rainy_folder(config: DomainStudy, name: str, out: Path) -> Path:
    """Rainy pictures of a domain to adapt to."""
    photographs = config.domains[name].photographs
    return Path(photographs) if photographs is not None else out / "rainy" / name


def windowed(one: Pair | Photograph, size_px: int) -> Pair | Photograph:
    """The middle of a picture, and of what belongs to it."""
    rainy = middle(one.rainy_srgb8, size_px)
    if isinstance(one, Photograph):
        return Photograph(one.name, rainy)
    return Pair(one.name, rainy, middle(one.target_srgb8, size_px), middle(one.clean_srgb8, size_px), one.rain_class)


def clean_pictures(measured: Measured) -> list[SRGB8]:
    """Some clean pictures of a domain with truth, each once."""
    found: dict[str, SRGB8] = {}
    for one in measured:
        if isinstance(one, Pair):
            found.setdefault(pixels_sha256(one.clean_srgb8), one.clean_srgb8)
    every = list(found.values())
    return [every[index] for index in spread(len(every), MOST_CLEAN)]


def make_material(config: DomainStudy, out: Path, workers: int) -> None:
    """Render what is not there yet: shards of rendered domains, rainy pictures of targets that are adapted to."""
    for name in config.used:
        if config.domains[name].rendered:
            generate(rain_to_measure(config, name), rendered_folder(out, name), workers=workers, resume=True)
    for target in config.targets_for(*FROM_FITTED, *FROM_RAINY):
        if config.domains[target].adaptable:
            write_rainy(config, target, out)


def rain_to_measure(config: DomainStudy, name: str) -> GenerateConfig:
    """The data set of a rendered domain: the same photographs, and the same seed, in every domain."""
    evaluation = config.evaluation
    return GenerateConfig(
        data=PhotographsConfig(photographs=evaluation.photographs),
        samples=ceil(evaluation.samples / (1 - GUARD_SHARE)) + SPARE_SAMPLES,
        mixture=config.domains[name].rain,
        seed=evaluation.seed,
        size_px=evaluation.crop_px,
        fingerprints=False,
        split={MEASURED: 1 - GUARD_SHARE, GUARD: GUARD_SHARE},
    )


def write_rainy(config: DomainStudy, name: str, out: Path) -> None:
    """Rainy sides of a target as pictures of their own, without truth; those of a folder of photographs are there.

    Of a rendered domain they are photographs that are trained on in its rain; of pairs the rainy sides of train_pairs.
    """
    folder = rainy_folder(config, name, out)
    if config.domains[name].photographs is not None or folder.is_dir():
        return
    count, part = config.adaptation.rainy_pictures, folder.with_name(f".{name}.part")
    with progress(f"rainy pictures of {name}", count) as advance:
        for number, rainy in zip(range(count), rainy_sides(config, config.domains[name]), strict=False):
            write_picture(part / f"{number:05d}.png", rainy)
            advance()
    part.replace(folder)


def rainy_sides(config: DomainStudy, domain: Domain) -> Iterator[SRGB8]:
    """Rainy pictures of a domain that networks may learn from."""
    count = config.adaptation.rainy_pictures
    if domain.rendered:
        rendered = RenderedPairs(str(config.train.data.photographs), domain.rain, seed=RAINY_SEED, samples=count)
        return (rendered[index].rainy_srgb8 for index in range(count))
    return (pair.rainy_srgb8 for pair in find_pairs(Path(str(domain.train_pairs))).some(count))


def check_material(config: DomainStudy) -> None:
    """Raise InputError where a picture that is measured on is one that is trained on.

    Photographs by the bytes of their files, clean sides of pairs by their pixels.
    """
    check_apart(config.train.data, EvaluationConfig(photographs=config.evaluation.photographs))
    with_pairs = {name: domain for name in config.targets if (domain := config.domains[name]).pairs is not None}
    if not with_pairs:
        return
    photographs = Path(str(config.train.data.photographs))
    trained = {pixels_sha256(read_photo(path)): path.name for path in list_photos(photographs)}
    for name, domain in with_pairs.items():
        own = dict(trained)
        if domain.train_pairs is not None:
            own |= {pixels_sha256(pair.clean_srgb8): pair.name for pair in find_pairs(Path(domain.train_pairs))}
        for pair in find_pairs(Path(str(domain.pairs))):
            if (found := own.get(pixels_sha256(pair.clean_srgb8))) is not None:
                raise InputError(
                    f"domains.{name}.pairs must be pictures that are not trained on, got {pair.name}, which is {found}"
                    " in training. Take it out of one of the two."
                )
