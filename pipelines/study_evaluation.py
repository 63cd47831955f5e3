"""The pictures that every network of a study is measured on, and the check that none of them was trained on."""

from __future__ import annotations

from pathlib import Path

from mspfn.data_config import EVERY_CLASS, DataConfig, SourceConfig
from pipelines.generate import generate
from pipelines.generate_config import GenerateConfig, PhotographsConfig
from pipelines.photographs import sha256_of
from pipelines.study_config import EvaluationConfig
from rainsynth.checks import InputError
from rainsynth.pictures import list_photos
from rainsynth.shards import open_shards

FOLDER_NAME = "evaluation"  # of the shards that a study renders
SPARE_SAMPLES = 3  # of each class: `generate` mixes classes alike to within a few, and each is to have enough


def evaluation_shards(config: EvaluationConfig, out: Path) -> Path:
    """The shards of an evaluation; those of its photographs are rendered into the study's folder once."""
    if config.shards is not None:
        open_shards(config.shards)
        return Path(config.shards)
    rain = GenerateConfig(
        data=PhotographsConfig(photographs=str(config.photographs)),
        samples=(config.samples_per_class + SPARE_SAMPLES) * len(EVERY_CLASS),
        mixture=EVERY_CLASS,
        seed=config.seed,
        size_px=config.crop_px,
    )
    generate(rain, out / FOLDER_NAME, workers=1, resume=True)
    return out / FOLDER_NAME


def check_apart(data: DataConfig, config: EvaluationConfig) -> None:
    """Raise InputError where a photograph of the evaluation is one that is trained on, by the bytes of the file."""
    held_out = SourceConfig(photographs=config.photographs, shards=config.shards)
    trained = {digest: name for source in data.mixture for name, digest in photograph_digests(source).items()}
    for name, digest in photograph_digests(held_out).items():
        if digest in trained:
            raise InputError(
                f"evaluation must have photographs that are not trained on, got {name}, which is {trained[digest]} in"
                " training. Take it out of one of the two."
            )


def photograph_digests(source: SourceConfig) -> dict[str, str]:
    """SHA-256 of every clean photograph of a source, by name; of shards as they keep it."""
    if source.shards is not None:
        rows = open_shards(source.shards).backgrounds
        return {row["name"].decode(): row["sha256"].decode() for row in rows}
    folder = Path(source.pairs) / "target" if source.pairs is not None else Path(str(source.photographs))
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in list_photos(folder)}
