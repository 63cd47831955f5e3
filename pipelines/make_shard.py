"""The work of one task: a shard's samples rendered, measured, written, and recorded."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from jaxtyping import UInt8

from pipelines.config import plain_values
from pipelines.difficulty import difficulty
from pipelines.generate_config import GenerateConfig
from pipelines.photographs import Photograph, depth_model, load_background, sha256_of
from pipelines.plan import ShardTask, rain_of
from rainsynth.checks import InputError
from rainsynth.fingerprint import fingerprint_of
from rainsynth.metrics import psnr_y
from rainsynth.named_rain import render_preset
from rainsynth.sample import RainSample
from rainsynth.scene.background import Background
from rainsynth.scene.depth_model import DepthModel
from rainsynth.seeding import MIXTURE_STREAM, sample_rng
from rainsynth.shards.reader import check_shard
from rainsynth.shards.schema import code_sha256
from rainsynth.shards.writer import Provenance, write_shard

KEPT_FINGERPRINTS = 1024  # of a process, 8 KiB each; a photograph's samples meet, so a few would do

Record = dict[str, Any]
_fingerprints: dict[str, UInt8[np.ndarray, "8192"]] = {}


def make_sample(
    config: GenerateConfig, index: int, photograph: Photograph, background: Background | None = None
) -> RainSample:
    """Sample `index` of the data set; `background` is its photograph's, where it is already at hand."""
    if background is None:
        background = background_of(config, photograph, depth_model(config.data.depth_model))
    rng = sample_rng(config.seed, index, MIXTURE_STREAM)
    part, rain_rate_mm_h = rain_of(config, index, rng)
    options: dict[str, Any] = {} if rain_rate_mm_h is None else {"rain_rate_mm_h": rain_rate_mm_h}
    window = None
    if config.size_px is not None:
        top = int(rng.integers(photograph.height_px - config.size_px + 1))
        left = int(rng.integers(photograph.width_px - config.size_px + 1))
        window = (top, left, config.size_px, config.size_px)
    options |= {"name": part.label, "window": window}
    sample = render_preset(background, part.family, seed=config.seed, index=index, **options)
    values = sample.parameters
    values["psnr_y_db"] = psnr_y(sample.rainy_srgb8, sample.clean_srgb8)
    values["difficulty"] = difficulty(values["psnr_y_db"], values["coverage_fraction"], values["mean_transmission"])
    return sample


def make_shard(config: GenerateConfig, task: ShardTask, out: str, source_sha256: str = "") -> Record:
    """Make and publish one shard, on one thread; returns its record.

    Raises InputError where a photograph is not what it was when the run was planned, and on a worker whose rainsynth
    is not that of `source_sha256`: it would write other bytes.
    """
    cv2.setNumThreads(1)
    if source_sha256 not in ("", code_sha256()):
        raise InputError("workers must have the same rainsynth as the run, got another one. Install it there too.")
    model = depth_model(config.data.depth_model)

    @lru_cache(maxsize=1)  # a photograph's samples meet
    def background(photo: Photograph) -> Background:
        _check_unchanged(config, photo)
        return background_of(config, photo, model)

    samples, fingerprints = [], []
    for index, photo in zip(task.indices, task.photographs, strict=True):
        samples.append(make_sample(config, index, photo, background(photo)))
        if config.fingerprints:
            fingerprints.append(photograph_fingerprint(photo.sha256, background(photo).image_srgb8))
    origins = [Provenance(photo.name, photo.sha256) for photo in task.photographs]
    path = Path(out) / task.file
    write_shard(
        path,
        samples,
        origins,
        recorded(config),
        layers=config.layers,
        profile=config.profile,
        fingerprints=fingerprints or None,
    )
    return shard_record(Path(out), task.file, len(task.indices))


def record_of(task: ShardTask, out: str) -> Record:
    """Record of a shard that was published before; InputError where it is damaged."""
    check_shard(Path(out) / task.file)
    return shard_record(Path(out), task.file, len(task.indices))


def shard_record(folder: Path, file: str, samples: int) -> Record:
    """What the manifest says of a shard."""
    path = folder / file
    return {"file": file, "samples": samples, "bytes": path.stat().st_size, "sha256": sha256_of(path)}


def photograph_fingerprint(sha256: str, photo_srgb8: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "8192"]:
    """Fingerprint of a whole photograph, computed once in this process for each SHA-256 of a file.

    Of the whole one, where samples show windows of it too: two windows of one photograph that share no pixel are a
    leak, and a window holds few features (what is found by either stands in rainsynth/shards/README.md).
    """
    found = _fingerprints.pop(sha256, None)
    if found is None:
        found = fingerprint_of(photo_srgb8)
    _fingerprints[sha256] = found  # the last is the one used last
    while len(_fingerprints) > KEPT_FINGERPRINTS:
        _fingerprints.pop(next(iter(_fingerprints)), None)
    return found


def forget_fingerprints() -> None:
    """Let go of the fingerprints that this process computed."""
    _fingerprints.clear()


def background_of(config: GenerateConfig, photograph: Photograph, model: DepthModel | None) -> Background:
    """A photograph of the data set with its depth."""
    return load_background(
        Path(config.data.photographs),
        photograph.name,
        depth_folder_of(config),
        convention=config.data.depth_convention,
        scale_m=config.data.depth_scale_m,
        model=model,
    )


def depth_folder_of(config: GenerateConfig) -> Path | None:
    """Folder of the data set's depth maps, if there is one."""
    return Path(config.data.depth) if config.data.depth else None


def recorded(config: GenerateConfig) -> dict[str, Any]:
    """The config as it is recorded in files: without this machine's folders, which do not make the samples.

    A part of the mixture has `ranges` and `lines` only where they are given: a config without them is recorded as it
    was before there were any.
    """
    values = plain_values(config)
    for part in values["mixture"]:
        for name in ("ranges", "lines"):
            if part[name] is None:
                del part[name]
    for name in ("photographs", "depth"):
        values["data"][name] = Path(values["data"][name]).name
    if config.data.depth_model is not None:
        values["data"]["depth_model"]["file"] = Path(config.data.depth_model.file).name
    return values


def _check_unchanged(config: GenerateConfig, photo: Photograph) -> None:
    path = Path(config.data.photographs) / photo.name
    if path.is_file() and sha256_of(path) != photo.sha256:
        raise InputError(f"{path} must not change during a run, got other bytes than when it was planned.")
