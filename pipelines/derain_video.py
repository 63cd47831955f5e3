"""`rainsynth derain` for video files: frames out, derained, and back in at their times, beside the sound as it was.

The film is made in stretches of equal length that are encoded by themselves and kept beside the output until all are
there, so a run that is stopped, however hard, goes on where it was and writes the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.derain_pictures import GAP_PX, MAX_BATCH, Restore, check_output, compared_path, side_by_side
from pipelines.picture_files import write_whole
from pipelines.progress import Advance, progress
from pipelines.video_encoding import Encoder, FilmFormat, film_format, load_packets
from pipelines.video_files import Frame, VideoFacts, read_frames, survey_video
from pipelines.video_joining import check_container, keeps_turns, write_film
from rainsynth.checks import InputError, check_count

STRETCH_FRAMES = 32  # all that a stop can cost, and the distance between frames that players can jump to
PLAN_NAME = "plan.json"
Derained = Callable[[Iterator[Frame]], Iterator[tuple[Frame, np.ndarray]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoOutcome:
    """How many frames were written, how many of them by an earlier run, and streams of the input that were left out."""

    frames: int
    found: int = 0
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """One of the films that a run writes: the derained frames, or with `compared` the rainy ones beside them.

    `turns` quarter turns to the left are what a player gives the frames, as `display_matrix` tells it.
    """

    name: str
    path: Path
    format: FilmFormat
    compared: bool = False
    turns: int = 0
    display_matrix: tuple[int, ...] | None = None

    def frame(self, rainy: Frame, derained: np.ndarray) -> Frame:
        """The film's frame, turned as its file holds it."""
        pixels = side_by_side(rainy.pixels, derained) if self.compared else derained
        return replace(rainy, pixels=np.rot90(pixels, -self.turns))


def derain_video(
    source: Path,
    output: Path,
    restore: Restore,
    *,
    batch: int = 1,
    compare: bool = False,
    crf: int | None = None,
    made_with: Mapping[str, Any] | None = None,
) -> VideoOutcome:
    """Derain a video file to one with the same frames, times, size, colours, sound and tags.

    crf         constant quality of the encoder, smaller is better; None: `video_encoding.DEFAULT_CRF`
    compare     write a side-by-side, rainy on the left, to `compared_path(output)` too
    made_with   what the result depends on beside these: a stopped run goes on only with the same

    An output that is there already is left as it is. The folder .OUTPUT.part keeps what a run has done so far.
    """
    check_count(batch, 1, MAX_BATCH, "--batch")
    target = output / source.name if output.is_dir() else output
    check_output(source, target)
    facts = survey_video(source)
    films = [film for film in _films(facts, target, compare, crf) if not film.path.exists()]
    if not films:
        return VideoOutcome(frames=0)
    left, *_ = [check_container(film.path, film.format, source, film.display_matrix) for film in films]
    part = target.with_name(f".{target.name}.part")
    _begin(part, _plan(facts, films, made_with or {}))
    found = _whole_stretches(part, films)
    with progress("derain", facts.packets, found * STRETCH_FRAMES) as advance:
        _make_stretches(facts, films, part, found, partial(_derain_frames, restore, batch, advance))
    frames, *_ = [_publish(film, part, source) for film in films]
    shutil.rmtree(part)
    return VideoOutcome(frames=frames, found=min(found * STRETCH_FRAMES, frames), left_out=left)


def _films(facts: VideoFacts, target: Path, compare: bool, crf: int | None) -> list[Film]:
    """The films to make. Where a container does not keep how players should turn the frames, they are held upright."""
    kept = facts.display_matrix is not None and keeps_turns(target)
    upright = facts if facts.turns % 2 == 0 else _on_its_side(facts)
    films = [
        Film(
            name="film",
            path=target,
            format=film_format(facts if kept else upright, target, crf),
            turns=facts.turns if kept else 0,
            display_matrix=facts.display_matrix if kept else None,
        )
    ]
    if compare:
        double = replace(upright, width_px=2 * upright.width_px + GAP_PX)
        path = compared_path(target)
        films.append(Film(name="compared", path=path, format=film_format(double, path, crf), compared=True))
    return films


def _on_its_side(facts: VideoFacts) -> VideoFacts:
    return replace(facts, width_px=facts.height_px, height_px=facts.width_px, aspect=facts.aspect and 1 / facts.aspect)


def _plan(facts: VideoFacts, films: Sequence[Film], made_with: Mapping[str, Any]) -> dict[str, Any]:
    """What a run's stretches depend on, in plain values: equal for runs that may go on with each other's."""
    return {
        "input": file_sha256(facts.path),
        "stretch_frames": STRETCH_FRAMES,
        "encoding": {film.name: str(film.format) for film in films},
        **made_with,
    }


def file_sha256(path: Path) -> str:
    """Checksum of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _begin(part: Path, plan: dict[str, Any]) -> None:
    """Make the folder of a run, or take up that of an equal one; InputError for that of another."""
    path = part / PLAN_NAME
    if not path.exists():
        write_whole(path, json.dumps(plan, indent=1).encode())
        return
    before = json.loads(path.read_text(encoding="utf-8"))
    differing = [key for key in {**plan, **before} if before.get(key) != plan.get(key)]
    if differing:
        raise InputError(
            f"{part} must be of the same run to go on with, got another {', '.join(differing)}. "
            "Remove it to start afresh, or give another --output."
        )


def _stretch_path(part: Path, film: Film, index: int) -> Path:
    return part / f"{film.name}-{index:05d}.npz"


def _whole_stretches(part: Path, films: Sequence[Film]) -> int:
    """How many stretches are there, from the first on, of every film."""
    return next(index for index in count() if not all(_stretch_path(part, film, index).exists() for film in films))


def _make_stretches(facts: VideoFacts, films: Sequence[Film], part: Path, first: int, derained: Derained) -> None:
    """Make the stretches of all films from number `first` on, each of them whole or not at all."""
    frames = read_frames(facts, films[0].format.time_base_s, first * STRETCH_FRAMES)
    for index in count(first):
        encoders = [Encoder(film.format) for film in films]
        for rainy, pixels in derained(islice(frames, STRETCH_FRAMES)):
            for film, encoder in zip(films, encoders, strict=True):
                encoder.add(film.frame(rainy, pixels))
        stretches = [encoder.finish() for encoder in encoders]
        if not stretches[0].times:
            return
        for film, stretch in zip(films, stretches, strict=True):
            stretch.save(_stretch_path(part, film, index))


def _derain_frames(
    restore: Restore, batch: int, advance: Advance, frames: Iterator[Frame]
) -> Iterator[tuple[Frame, np.ndarray]]:
    """Frames with their derained pixels, `batch` at once."""
    while group := list(islice(frames, batch)):
        yield from zip(group, restore(np.stack([frame.pixels for frame in group])), strict=True)
        advance(len(group))


def _publish(film: Film, part: Path, source: Path) -> int:
    """Put a film's stretches together, and under its name once it is whole; returns its frames."""
    stretches = [load_packets(_stretch_path(part, film, index)) for index in range(_whole_stretches(part, [film]))]
    whole = part / f"whole{film.path.suffix}"
    write_film(whole, film.format, stretches, source=source, display_matrix=film.display_matrix)
    whole.replace(film.path)
    return sum(len(stretch.times) for stretch in stretches)
