"""Figures of one derained picture against its target: metrics, error by layer of the rain, and harm."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import cv2
import numpy as np
from jaxtyping import Float

from pipelines.evaluation.harm import FIGURES as HARM_FIGURES
from pipelines.evaluation.harm import Outside
from pipelines.evaluation.pairs import Mask, Pair, Picture
from rainsynth.checks import check_choice
from rainsynth.metrics import LUMA_WEIGHTS, METRICS, MS_SSIM_LEAST_PX, psnr_db

Row = dict[str, Any]
Judge = Callable[[Picture], Row]
ALWAYS = ("psnr_y", "ssim_y")  # what tables show, and versions of sets are told by
DEFAULT_METRICS = (*ALWAYS, "psnr_rgb", "ssim_rgb")
EQUAL_DB = 100.0  # PSNR that equal pictures count with in means and files, instead of infinity
STATES = RAINY, DERAINED = ("rainy", "derained")
LAYERS = ("streaks", "veil", "dry")


def chosen_metrics(names: Sequence[str] | None) -> tuple[str, ...]:
    """Names of metrics, PSNR-Y and SSIM-Y among them; the usual four where none are given."""
    if not names:
        return DEFAULT_METRICS
    for name in names:
        check_choice(name, tuple(METRICS), "metric")
    return tuple(dict.fromkeys((*ALWAYS, *names)))


def judge_pair(pair: Pair, metrics: Sequence[str] = DEFAULT_METRICS, *, masks: bool = True) -> Judge:
    """What gives every figure of a derained picture of this pair; figures of the rainy picture are computed once.

    {metric}_{state}               `metrics` of the rainy and the derained picture; PSNR in dB, 100 for equal pictures
    psnr_y_{layer}_{state}         PSNR-Y [dB] inside streaks, in the veil beside them, and in the dry rest
    error_share_{layer}_derained   part of the derained picture's squared error of Y that lies there, 0..1
    others                         harm outside the rain (`pipelines.evaluation.harm`)

    Layers are those of shards; with `masks` off only the metrics are computed. What cannot be told is None.
    """
    layers = layers_of(pair) if masks else {}
    before = _fidelity(pair.rainy_srgb8, pair, metrics, RAINY) | _by_layer(pair.rainy_srgb8, pair, layers, RAINY)
    outside = Outside.of(pair.rainy_srgb8, pair.target_srgb8) if masks else None

    def judge(derained: Picture) -> Row:
        row: Row = {"name": pair.name, "class": pair.rain_class, **before}
        row |= _fidelity(derained, pair, metrics, DERAINED) | _by_layer(derained, pair, layers, DERAINED)
        if masks:
            row |= outside.figures(derained) if outside else dict.fromkeys(HARM_FIGURES)
        return row

    return judge


def layers_of(pair: Pair) -> dict[str, Mask]:
    """Pixels by what rain there is: streaks, veil beside them, neither; {} where the layers are not known."""
    if pair.streak_mask is None:
        return {}
    if pair.veil_mask is None:
        return {"streaks": pair.streak_mask}
    return {
        "streaks": pair.streak_mask,
        "veil": pair.veil_mask,
        "dry": ~(pair.streak_mask | pair.veil_mask),
    }


def error_map(picture_srgb8: Picture, reference_srgb8: Picture) -> Float[np.ndarray, "h w"]:
    """Y(picture) - Y(reference) [codes of MATLAB's Y]."""
    difference = cv2.subtract(picture_srgb8, reference_srgb8, dtype=cv2.CV_64F)
    return cv2.transform(difference, LUMA_WEIGHTS[None])


def _fidelity(picture: Picture, pair: Pair, metrics: Sequence[str], state: str) -> Row:
    return {f"{name}_{state}": _metric(name, picture, pair.target_srgb8) for name in metrics}


def _metric(name: str, picture: Picture, target: Picture) -> float | None:
    if name.startswith("ms_ssim") and min(picture.shape[:2]) < MS_SSIM_LEAST_PX:
        return None
    return min(METRICS[name](picture, target), EQUAL_DB)


def _by_layer(picture: Picture, pair: Pair, layers: dict[str, Mask], state: str) -> Row:
    row: Row = {}
    if not layers:
        return row
    squared_error = error_map(picture, pair.target_srgb8) ** 2
    total = float(squared_error.sum())
    for layer, mask in layers.items():
        inside = squared_error[mask]
        row[f"psnr_y_{layer}_{state}"] = min(psnr_db(inside), EQUAL_DB) if inside.size else None
        if state == DERAINED and len(layers) == len(LAYERS):
            row[f"error_share_{layer}_{state}"] = float(inside.sum()) / total if total > 0 else None
    return row
