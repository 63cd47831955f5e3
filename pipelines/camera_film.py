"""A film of frames that come when they come: written as it grows, each frame at its own time, whole at any end."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from pipelines.video_encoding import (
    DEFAULT_ENCODER,
    ENCODERS,
    STEADY_CONTAINERS,
    FilmFormat,
    container_takes,
    film_frame,
    new_container,
    opening_format,
)
from pipelines.video_files import Frame, pyav
from rainsynth.checks import InputError

CLOCK_HZ = 90_000  # unit of a frame's time, MPEG's
HEADER_RATE_HZ = Fraction(25)  # what the header says until the frames' times say better


class CameraFilm:
    """A film while it is made. It is published under its name when it is closed, if it has a frame."""

    def __init__(self, path: Path, crf: int | None) -> None:
        container = new_container(path)
        if container.format.name in STEADY_CONTAINERS:
            raise InputError(f"--output must hold the time of each frame, got {path.suffix}. .mp4 and .mkv do.")
        if path.exists():
            raise InputError(f"--output must be a new file, got {str(path)!r}, which is there already.")
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path, self._crf = path, crf
        self._part = path.with_name(f".{path.stem}.part{path.suffix}")
        self._made_for = ENCODERS.get(container.default_video_codec, container.default_video_codec)
        self._film: FilmFormat | None = None
        self._out: Any = None
        self._stream: Any = None
        self._last = -1

    def __enter__(self) -> CameraFilm:
        return self

    def __exit__(self, *_: object) -> None:
        if self._out is None:
            return
        self._out.mux(self._stream.encode(None))
        self._out.close()
        self._part.replace(self._path)

    def show(self, pixels: UInt8[np.ndarray, "h w 3"], time_s: float) -> None:
        """Write a frame that is shown `time_s` after the first."""
        film = self._film or self._begin(pixels.shape[0], pixels.shape[1])
        self._last = max(round(time_s * CLOCK_HZ), self._last + 1)
        coded = film_frame(film, Frame(pixels=pixels, time=self._last, duration=0))
        self._out.mux(self._stream.encode(coded))

    def _begin(self, height_px: int, width_px: int) -> FilmFormat:
        encoders = [name for name in (DEFAULT_ENCODER, self._made_for) if container_takes(self._path, name)]
        base = FilmFormat(
            encoder="",
            pixel_format="",
            width_px=width_px,
            height_px=height_px,
            frame_rate_hz=HEADER_RATE_HZ,
            time_base_s=Fraction(1, CLOCK_HZ),
            crf=self._crf,
            live=True,
            reorder=False,
        )
        self._film = opening_format(base, encoders, "yuv420p", self._path)
        self._out = pyav().open(str(self._part), "w")
        self._stream = self._out.add_stream(self._film.encoder, rate=HEADER_RATE_HZ)
        self._film.configure(self._stream.codec_context)
        return self._film
