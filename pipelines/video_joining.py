"""A film's packets into its file, beside the sound, subtitles, chapters and tags of the video that it was made from."""

from __future__ import annotations

import errno
import heapq
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

from pipelines.video_encoding import FilmFormat, Packets, new_container
from pipelines.video_files import opened_video, pyav, video_stream
from rainsynth.checks import InputError

KEPT_KINDS = ("audio", "subtitle")  # streams that are copied packet by packet
TURNING_CONTAINERS = ("mp4", "mov", "ipod", "matroska", "webm")  # keep how a player should turn the frames


def write_film(
    path: Path,
    film: FilmFormat,
    parts: Sequence[Packets],
    *,
    source: Path,
    display_matrix: tuple[int, ...] | None = None,
) -> None:
    """Write a film with the sound, subtitles, chapters and tags of `source`, all unchanged.

    parts           stretches of the film, one after the other
    display_matrix  how players should turn the frames
    """
    with opened_video(source) as container, _refusals(), pyav().open(str(path), "w") as out:
        stream, copied, _ = _begin(out, film, container, source, display_matrix)
        frames = film_packets(parts, film, stream)
        for packet in heapq.merge(frames, _copied_packets(container, copied), key=_starts_s):
            out.mux(packet)


def check_container(
    output: Path, film: FilmFormat, source: Path, display_matrix: tuple[int, ...] | None = None
) -> tuple[str, ...]:
    """Streams of `source` that a film of the output's kind leaves out, in words.

    InputError where it cannot take the sound, or cannot be written at all: known before the work is done.
    """
    with opened_video(source) as container, _refusals():
        out = new_container(output)
        *_, left = _begin(out, film, container, source, display_matrix)
        out.start_encoding()
        return left


def keeps_turns(output: Path) -> bool:
    """Whether a film of the output's kind can tell players how to turn its frames."""
    return str(new_container(output).format.name) in TURNING_CONTAINERS


@contextmanager
def _refusals() -> Iterator[None]:
    """What FFmpeg or PyAV refuses to write, as an InputError."""
    try:
        yield
    except InputError:
        raise
    except (pyav().FFmpegError, ValueError) as error:
        if getattr(error, "errno", None) == errno.ENOSPC:
            raise
        raise InputError(
            f"--output must be of a kind that holds the input's streams, got: {error}. .mkv holds most."
        ) from None


def _begin(
    out: Any, film: FilmFormat, container: Any, source: Path, display_matrix: tuple[int, ...] | None
) -> tuple[Any, dict[int, Any], tuple[str, ...]]:
    """The film's stream, those that are copied, by the input's numbers, and those that are left out, in words."""
    shown = video_stream(container, source)
    stream = out.add_stream(film.encoder, rate=film.frame_rate_hz)
    film.configure(stream.codec_context)
    if display_matrix is not None:
        stream.set_display_matrix(display_matrix)
    copied, left = _add_streams(container, out, shown)
    out.metadata.update(container.metadata)
    stream.metadata.update({key: value for key, value in shown.metadata.items() if key != "encoder"})
    out.set_chapters(container.chapters())
    return stream, copied, left


def film_packets(parts: Sequence[Packets], film: FilmFormat, stream: Any) -> Iterator[Any]:
    """Packets of the whole film with times of showing and of decoding, and durations.

    Frame i of the order of coding is decoded when frame i - d of the order of showing is shown, d the least number for
    which no frame is shown before it is decoded. The first d come before the first is shown, as far apart as shown.
    """
    av = pyav()
    times = [time for part in parts for time in part.times]
    shown = sorted(times)
    rank = {time: place for place, time in enumerate(shown)}
    delay = max((place - rank[time] for place, time in enumerate(times)), default=0)
    following = [*shown[1:], parts[-1].end]
    place = 0
    for part in parts:
        for time, key, content in zip(part.times, part.keys, part.contents, strict=True):
            packet = av.Packet(content)
            packet.stream, packet.time_base = stream, film.time_base_s
            packet.pts, packet.is_keyframe = time, key
            packet.dts = shown[place - delay] if place >= delay else shown[place] - shown[delay] + shown[0]
            packet.duration = following[rank[time]] - time
            place += 1
            yield packet


def _add_streams(container: Any, out: Any, shown: Any) -> tuple[dict[int, Any], tuple[str, ...]]:
    """Streams of the output for those of the input that can be copied, by the input's number; and the others."""
    copied, left = {}, []
    for stream in container.streams:
        if stream.index == shown.index:
            continue
        name = f"{stream.type} stream {stream.index}"
        if stream.type not in KEPT_KINDS:
            left.append(name)
            continue
        try:
            copied[stream.index] = out.add_stream_from_template(stream)
        except ValueError:
            if stream.type == "audio":
                raise InputError(
                    f"--output must be of a kind that holds the input's sound, got {out.format.name} for "
                    f"{stream.codec_context.name}. .mkv holds most."
                ) from None
            left.append(name)
        else:
            copied[stream.index].metadata.update(stream.metadata)
            copied[stream.index].disposition = stream.disposition
    return copied, tuple(left)


def _copied_packets(container: Any, copied: dict[int, Any]) -> Iterator[Any]:
    if not copied:
        return
    for packet in container.demux([container.streams[index] for index in copied]):
        if packet.size == 0:
            continue  # the mark of a stream's end
        packet.stream = copied[packet.stream.index]
        yield packet


def _starts_s(packet: Any) -> Fraction:
    return Fraction(packet.pts or 0 if packet.dts is None else packet.dts) * packet.time_base
