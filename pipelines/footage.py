"""Frames that follow each other: a video file, or the pictures of a folder in the order of their names."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipelines.generate_config import PhotographsConfig
from pipelines.photographs import Photograph, depth_model, load_background, sha256_of, survey
from rainsynth.checks import InputError
from rainsynth.scene.background import Background

FRAME_RATE_HZ = 25.0  # of a folder of frames, unless said otherwise


@dataclass(frozen=True, slots=True, kw_only=True)
class Footage:
    """Frames to be rained on: the pictures of a folder in the order of their names, numbers by value, or a video file.

    `photographs` is empty for a video file, `sha256` is "" for a folder. `count` is what a video file says it holds.
    """

    data: PhotographsConfig
    width_px: int
    height_px: int
    frame_rate_hz: float
    count: int
    photographs: tuple[Photograph, ...] = ()
    sha256: str = ""


def survey_footage(data: PhotographsConfig) -> Footage:
    """What a folder of frames or a video file holds; frames of unequal size are an InputError that names one."""
    source = Path(data.photographs)
    if not source.is_file():
        photographs = sorted(survey(source, Path(data.depth) if data.depth else None), key=_by_number)
        first = photographs[0]
        for photo in photographs:
            if (photo.height_px, photo.width_px) != (first.height_px, first.width_px):
                raise InputError(
                    f"frames must have one size, got {photo.width_px}x{photo.height_px} for {photo.name} and"
                    f" {first.width_px}x{first.height_px} for {first.name}."
                )
        return Footage(
            data=data,
            width_px=first.width_px,
            height_px=first.height_px,
            frame_rate_hz=FRAME_RATE_HZ,
            count=len(photographs),
            photographs=tuple(photographs),
        )
    if data.depth:
        raise InputError("--depth must go with a folder of frames, whose names its maps have, got a video file.")
    video = cv2.VideoCapture(str(source))
    found, frame = video.read()
    frame_rate_hz, count = video.get(cv2.CAP_PROP_FPS), int(video.get(cv2.CAP_PROP_FRAME_COUNT))
    video.release()
    if not found:
        raise InputError(f"{source} must be a video that OpenCV can read, or a folder of frames, got neither.")
    return Footage(
        data=data,
        width_px=frame.shape[1],
        height_px=frame.shape[0],
        frame_rate_hz=frame_rate_hz if frame_rate_hz > 0 else FRAME_RATE_HZ,
        count=max(count, 1),
        sha256=sha256_of(source),
    )


def read_frames(footage: Footage, start: int) -> Generator[tuple[str, Background], None, None]:
    """Name and photograph of every frame from number `start` on."""
    data = footage.data
    model = depth_model(data.depth_model)
    if footage.photographs:
        folder, depth_folder = Path(data.photographs), Path(data.depth) if data.depth else None
        for photo in footage.photographs[start:]:
            options = {"convention": data.depth_convention, "scale_m": data.depth_scale_m, "model": model}
            yield photo.name, load_background(folder, photo.name, depth_folder, **options)  # type: ignore[arg-type]
        return
    video = cv2.VideoCapture(data.photographs)
    try:
        for _ in range(start):
            video.grab()
        while (read := video.read())[0]:
            image_srgb8 = np.ascontiguousarray(read[1][..., ::-1])
            yield Path(data.photographs).name, Background(image_srgb8, model(image_srgb8) if model else None)
    finally:
        video.release()


def _by_number(photo: Photograph) -> list[tuple[int, str]]:
    """Key of an order in which frame2 comes before frame10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", photo.name)]
