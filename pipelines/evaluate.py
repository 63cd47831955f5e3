"""`rainsynth evaluate`: how close derained pictures come to their targets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, UInt8

from pipelines.progress import progress
from rainsynth.checks import InputError, check_choice
from rainsynth.metrics import psnr_rgb, psnr_y, ssim_rgb, ssim_y
from rainsynth.pictures import list_photos, read_photo
from rainsynth.presets import RAIN_CLASSES, rain_class
from rainsynth.shards.reader import ShardSet, open_shards
from rainsynth.shards.schema import SHARD_GLOB

Picture = UInt8[np.ndarray, "h w 3"]
METRICS = {"psnr_y": psnr_y, "ssim_y": ssim_y, "psnr_rgb": psnr_rgb, "ssim_rgb": ssim_rgb}
EQUAL_DB = 100.0  # PSNR that equal pictures count with in means and files, instead of infinity
TARGETS = ("clean", "veiled")


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A rainy picture, its target and the clean photograph; shards know the class of rain and where streaks are."""

    name: str
    rainy_srgb8: Picture
    target_srgb8: Picture
    clean_srgb8: Picture
    rain_class: str = ""
    streak_mask: Bool[np.ndarray, "h w"] | None = None


def evaluate(
    restore: Callable[[Picture], Picture],
    pairs: Iterator[Pair],
    count: int,
    keep: Callable[[Pair, Picture], None] | None = None,
) -> dict[str, Any]:
    """Figures of `restore` over pairs: per picture, per class of rain and over all; `keep` sees every result.

    PSNR [dB] and SSIM on Y as MATLAB computes them and on RGB, of the rainy and of the derained picture. Where streaks
    are known, PSNR-Y within the streak mask too. Equal pictures count as 100 dB.
    """
    rows = []
    with progress("evaluate", count) as advance:
        for pair in pairs:
            derained = restore(pair.rainy_srgb8)
            rows.append(_figures(pair, derained))
            if keep is not None:
                keep(pair, derained)
            advance()
    classes = {name: [row for row in rows if row["class"] == name] for name in RAIN_CLASSES}
    per_class = {name: means(part) for name, part in classes.items() if part}
    return means(rows) | {"per_class": per_class, "per_picture": rows}


def read_pairs(path: Path, target: str) -> tuple[Iterator[Pair], int]:
    """Pairs of a folder of shards, or of a folder with `input/` and `target/` of equal names, and their number."""
    check_choice(target, TARGETS, "target")
    if path.is_file() or any(path.glob(SHARD_GLOB)):
        shards = open_shards(path)
        return _shard_pairs(shards, target), len(shards)
    if not (path / "input").is_dir() or not (path / "target").is_dir():
        raise InputError(f"--pairs must be a folder of shards, or hold input/ and target/, got {str(path)!r}.")
    names = [photo.relative_to(path / "input") for photo in list_photos(path / "input")]
    lonely = [name for name in names if not (path / "target" / name).exists()]
    if lonely:
        raise InputError(f"{path / 'target' / lonely[0]} must exist beside its input, got nothing there.")
    return _folder_pairs(path, names), len(names)


def means(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean of every figure over pictures, and their number; a figure that some lack is averaged over the others."""
    names = [name for name in rows[0] if name not in ("name", "class")]
    columns = {name: [row[name] for row in rows if row[name] is not None] for name in names}
    return {"pictures": len(rows)} | {name: float(np.mean(values)) for name, values in columns.items() if values}


def write_figures(path: Path, figures: dict[str, Any]) -> None:
    """Write figures as JSON, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(figures, indent=1) + "\n")
    part.replace(path)


def figure_table(summary: dict[str, Any]) -> list[dict[str, str]]:
    """The figures as rows of text: one per class of rain, then all."""
    groups = {**summary["per_class"], "all": summary}
    return [{"rain": name, "pictures": str(group["pictures"])} | _texts(group) for name, group in groups.items()]


def _texts(group: dict[str, Any]) -> dict[str, str]:
    texts = {}
    for name, title, form in (
        ("psnr_y", "PSNR-Y", ".2f"),
        ("psnr_y_streaks", "in streaks", ".2f"),
        ("ssim_y", "SSIM-Y", ".4f"),
        ("psnr_rgb", "PSNR-RGB", ".2f"),
    ):
        if f"{name}_rainy" in group:
            before, after = group[f"{name}_rainy"], group[f"{name}_derained"]
            texts[title] = f"{before:{form}} -> {after:{form}}"
    return texts


def _figures(pair: Pair, derained: Picture) -> dict[str, Any]:
    row: dict[str, Any] = {"name": pair.name, "class": pair.rain_class}
    for state, picture in (("rainy", pair.rainy_srgb8), ("derained", derained)):
        for name, metric in METRICS.items():
            row[f"{name}_{state}"] = min(metric(picture, pair.target_srgb8), EQUAL_DB)
        if pair.streak_mask is not None:
            some = bool(pair.streak_mask.any())
            inside = psnr_y(picture, pair.target_srgb8, pair.streak_mask) if some else None
            row[f"psnr_y_streaks_{state}"] = None if inside is None else min(inside, EQUAL_DB)
    return row


def _shard_pairs(shards: ShardSet, target: str) -> Iterator[Pair]:
    for index in range(len(shards)):
        sample = shards[index]
        yield Pair(
            name=f"sample {sample.parameters['index']}",
            rainy_srgb8=sample.rainy_srgb8,
            target_srgb8=sample.clean_srgb8 if target == "clean" else sample.veiled_srgb8,
            clean_srgb8=sample.clean_srgb8,
            rain_class=rain_class(sample.parameters["rain_rate_mm_h"]),
            streak_mask=sample.streak_mask if "streak_alpha16" in shards.layer_names(index) else None,
        )


def _folder_pairs(path: Path, names: list[Path]) -> Iterator[Pair]:
    for name in names:
        rainy, target = read_photo(path / "input" / name), read_photo(path / "target" / name)
        if rainy.shape != target.shape:
            raise InputError(
                f"{path / 'input' / name} must have its target's size {target.shape[:2]}, got {rainy.shape[:2]}."
            )
        yield Pair(name.as_posix(), rainy, target, target)
