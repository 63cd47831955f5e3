"""Video files through FFmpeg's libraries (PyAV): what one is, and its frames in their order, upright, as RGB codes."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import UInt8, UInt16

from rainsynth.checks import InputError

CUT_TOLERANCE_S = 0.5  # by which a whole file may end before its header says: players' headers are rounded
DEFAULT_RATE_HZ = Fraction(25)  # of a file that says nothing of its rate
UNSPECIFIED_MATRIX = 2  # AVCOL_SPC_UNSPECIFIED (ITU-T H.273)
SD_MATRIX = 5  # BT.601 with 625 lines, which swscale takes where a file names none
# Conversions by these flags of swscale change 8-bit luma by 0.003 codes on average there and back; its quick default
# changes it by 1.1.
EXACT_FLAGS = ("BICUBIC", "ACCURATE_RND", "FULL_CHR_H_INT", "FULL_CHR_H_INP", "BITEXACT")


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """What a film's numbers mean, as ITU-T H.273 numbers it: range (1 limited, 2 full), matrix, primaries, transfer."""

    range: int
    matrix: int
    primaries: int
    transfer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """What a video file is.

    codec            FFmpeg's name, such as h264
    pixel_format     FFmpeg's, such as yuv420p10le; `deep` where it has over 8 bits
    frame_rate_hz    mean; frames have times of their own, in units of `time_base_s`
    aspect           width over height of a pixel; None where the file does not say
    turns            quarter turns to the left that a player gives the frames, as `display_matrix` says
    packets          about how many frames there are: FFmpeg counts them exactly only while it decodes
    """

    path: Path
    codec: str
    width_px: int
    height_px: int
    pixel_format: str
    deep: bool
    frame_rate_hz: Fraction
    time_base_s: Fraction
    colour: Colour
    aspect: Fraction | None
    turns: int
    display_matrix: tuple[int, ...] | None
    packets: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A frame, upright, at its time and for how long, in units of a film's time base."""

    pixels: UInt8[np.ndarray, "h w 3"] | UInt16[np.ndarray, "h w 3"]
    time: int
    duration: int


def pyav() -> ModuleType:
    """PyAV; InputError where it is not installed."""
    os.environ.setdefault("SVT_LOG", "1")  # errors alone: the AV1 encoder would tell of each stretch of film
    try:
        return importlib.import_module("av")
    except ModuleNotFoundError as error:
        if error.name != "av":
            raise
        raise InputError("videos and cameras must have PyAV installed. Run pip install 'rainsynth[video]'.") from None


def exact_flags() -> Any:
    """Flags under which swscale converts between RGB and YUV as exactly as it can."""
    flags = importlib.import_module("av.video.reformatter").Interpolation
    chosen = flags(0)
    for name in EXACT_FLAGS:
        chosen |= flags[name]
    return chosen


@contextmanager
def opened_video(path: Path) -> Iterator[Any]:
    """A video file open for reading; InputError where FFmpeg cannot, or can no further."""
    av = pyav()
    if path.is_dir():
        raise InputError(f"{path} must be a video file, got a folder.")
    if not path.exists():
        raise InputError(f"{path} must be a picture, a folder of pictures or a video, got nothing there.")
    try:
        with av.open(str(path)) as container:
            yield container
    except av.FFmpegError as error:
        raise InputError(
            f"{path} must be a picture or a video that FFmpeg can read, got: {error.strerror}. Is it cut, or no video?"
        ) from None


def survey_video(path: Path) -> VideoFacts:
    """What a video file is, from all of its packets and its first frame.

    A file without frames, or one that ends before its header says, is an InputError.
    """
    packets = _check_whole(path)
    with opened_video(path) as container:
        stream = video_stream(container, path)
        frame = next(container.decode(stream), None)
        if frame is None:
            raise InputError(f"{path} must have frames that can be decoded, got none.")
        context, matrix = stream.codec_context, _display_matrix(frame)
        return VideoFacts(
            path=path,
            codec=context.codec.canonical_name,
            width_px=frame.width,
            height_px=frame.height,
            pixel_format=frame.format.name,
            deep=max(component.bits for component in frame.format.components) > 8,
            frame_rate_hz=stream.guessed_rate or stream.average_rate or DEFAULT_RATE_HZ,
            time_base_s=stream.time_base,
            colour=Colour(
                range=int(context.color_range) or int(frame.color_range),
                matrix=int(context.colorspace),
                primaries=int(context.color_primaries),
                transfer=int(context.color_trc),
            ),
            aspect=stream.sample_aspect_ratio or None,
            turns=round(frame.rotation / 90) % 4,
            display_matrix=matrix,
            packets=packets,
        )


def video_stream(container: Any, path: Path) -> Any:
    """The stream of a file that players show; InputError where there is none."""
    stream = container.streams.best("video")
    if stream is None:
        raise InputError(f"{path} must have a video stream, got {len(container.streams)} of other kinds.")
    return stream


def _check_whole(path: Path) -> int:
    """Number of video packets; InputError unless the packets reach the end that the file's header tells of."""
    count, end_s = 0, 0.0
    with opened_video(path) as container:
        wanted = video_stream(container, path).index
        start_s = (container.start_time or 0) / 1e6
        for packet in container.demux():
            if packet.size == 0:
                continue  # the mark of a stream's end
            if packet.is_corrupt:
                raise InputError(f"{path} must be a whole video, got damage after {end_s:.1f} s. Is the file cut?")
            count += packet.stream.index == wanted
            time = packet.dts if packet.pts is None else packet.pts
            if time is None:
                continue
            end_s = max(end_s, float((time + (packet.duration or 0)) * packet.time_base) - start_s)
        said_s = (container.duration or 0) / 1e6
    if count == 0:
        raise InputError(f"{path} must have frames, got a video without any.")
    if end_s < said_s - CUT_TOLERANCE_S:
        raise InputError(f"{path} must be a whole video, got {end_s:.1f} s of {said_s:.1f} s. Is the file cut?")
    return count


def _display_matrix(frame: Any) -> tuple[int, ...] | None:
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return tuple(np.frombuffer(bytes(data), "<i4", count=9).tolist())
    return None


def read_frames(facts: VideoFacts, time_base_s: Fraction, start: int = 0) -> Iterator[Frame]:
    """Frames from number `start` on, (H, W, 3) RGB, uint8 or uint16 (for over 8 bits), upright, timed in `time_base_s`.

    Each is later than the one before: a file that says otherwise, or nothing, is set right. A frame whose size is not
    the first's, or that cannot be decoded, is an InputError.
    """
    flags, step = exact_flags(), max(1, round(1 / (facts.frame_rate_hz * time_base_s)))
    unit, due, earliest = facts.time_base_s / time_base_s, 0, -(1 << 62)
    with opened_video(facts.path) as container:
        stream = video_stream(container, facts.path)
        stream.thread_type = "AUTO"
        for number, frame in enumerate(container.decode(stream)):
            duration = round((frame.duration or 0) * unit) or step
            time = max(due if frame.pts is None else round(frame.pts * unit), earliest)
            due, earliest = time + duration, time + 1
            if number < start:
                continue
            if (frame.width, frame.height) != (facts.width_px, facts.height_px):
                raise InputError(
                    f"{facts.path} must have frames of one size, got {frame.width}x{frame.height} at frame {number} "
                    f"after {facts.width_px}x{facts.height_px}. Cut it there."
                )
            yield Frame(pixels=_upright_pixels(frame, facts, flags), time=time, duration=duration)


def _upright_pixels(frame: Any, facts: VideoFacts, flags: Any) -> np.ndarray:
    rgb = frame.reformat(
        format="rgb48le" if facts.deep else "rgb24",
        src_colorspace=matrix_of(facts.colour),
        dst_color_range=2,
        interpolation=flags,
        threads=1,
    )
    return np.ascontiguousarray(np.rot90(rgb.to_ndarray(), facts.turns))


def matrix_of(colour: Colour) -> int:
    """swscale's number of a film's matrix; where none is named, the one that it takes."""
    return SD_MATRIX if colour.matrix in (UNSPECIFIED_MATRIX, 0, 6) else colour.matrix
