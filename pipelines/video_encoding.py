"""Films out of frames: which encoder writes them, and how RGB codes become packets in the input's colours."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.picture_files import write_whole
from pipelines.video_files import Colour, Frame, VideoFacts, exact_flags, matrix_of, pyav
from rainsynth.checks import InputError, check_count

# The encoder of a codec, where FFmpeg's wheels have one; a film of any other codec becomes H.264.
ENCODERS = {
    "h264": "libx264", "hevc": "libx265", "vp8": "libvpx", "vp9": "libvpx-vp9", "av1": "libsvtav1",
    "mpeg2video": "mpeg2video", "mpeg4": "mpeg4", "mjpeg": "mjpeg", "prores": "prores_ks", "ffv1": "ffv1",
}  # fmt: skip
DEFAULT_ENCODER = "libx264"
# Constant quality, smaller is better: a derained film that cannot be told from its frames beside them.
DEFAULT_CRF = {"libx264": 16, "libx265": 18, "libvpx": 8, "libvpx-vp9": 18, "libsvtav1": 20}
MAX_CRF = {"libx264": 51, "libx265": 51, "libvpx": 63, "libvpx-vp9": 63, "libsvtav1": 63}
QUANTIZER = {"mpeg2video": 2, "mpeg4": 2, "mjpeg": 2}  # 1 to 31 for encoders without constant quality
LAMBDA_OF_A_STEP = 118  # FFmpeg's FF_QP2LAMBDA
# x264 (r165) in AVX-512 reads memory that was never set while it propagates costs among blocks (mbtree), at widths that
# are no multiple of 128 px: without it, equal frames make equal bytes.
ENCODER_OPTIONS = {
    "libx264": {"preset": "medium", "x264-params": "mbtree=0"},
    "libx265": {"preset": "medium", "x265-params": "log-level=error"},
    "libvpx": {"deadline": "good", "cpu-used": "3", "auto-alt-ref": "0"},  # 0: every packet is a frame
    "libvpx-vp9": {"deadline": "good", "cpu-used": "4", "row-mt": "1"},
    "libsvtav1": {"preset": "8"},
}
LIVE_OPTIONS = {
    "libx264": {"preset": "veryfast", "tune": "zerolatency"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}
ENCODER_THREADS = 4  # a fixed number: an encoder's bytes follow it
LIMITED_RANGE, FULL_RANGE = 1, 2
GLOBAL_HEADER = 0x40  # AVFMT_GLOBALHEADER: a container with one header for the whole film
STEADY_CONTAINERS = ("avi",)  # whose frames have no times, only a rate
FILM_COLOUR = Colour(range=LIMITED_RANGE, matrix=1, primaries=1, transfer=1)  # BT.709, of films without an input


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmFormat:
    """How a film is encoded.

    frame_rate_hz   mean, for the header; `time_base_s` is the unit of the frames' times
    crf             constant quality, None for the encoder's own default
    live            encode at once and quickly, for a camera
    reorder         whether frames may be coded in another order than shown
    in_header       whether what decoders need to begin stands in the file's header, not before each key frame
    """

    encoder: str
    pixel_format: str
    width_px: int
    height_px: int
    frame_rate_hz: Fraction
    time_base_s: Fraction
    colour: Colour = FILM_COLOUR
    aspect: Fraction | None = None
    crf: int | None = None
    live: bool = False
    reorder: bool = True
    in_header: bool = True

    def configure(self, context: Any) -> None:
        """Set an encoder's context, before it is opened."""
        context.width, context.height, context.pix_fmt = self.width_px, self.height_px, self.pixel_format
        context.framerate, context.time_base = self.frame_rate_hz, self.time_base_s
        if self.aspect is not None:
            context.sample_aspect_ratio = self.aspect
        context.color_range, context.colorspace = self.colour.range, self.colour.matrix
        context.color_primaries, context.color_trc = self.colour.primaries, self.colour.transfer
        context.thread_count = ENCODER_THREADS
        options = dict(ENCODER_OPTIONS.get(self.encoder, {}))
        if self.encoder in DEFAULT_CRF:
            options["crf"] = str(DEFAULT_CRF[self.encoder] if self.crf is None else self.crf)
            context.bit_rate = 0
        if self.encoder in QUANTIZER:
            context.qscale, context.global_quality = True, QUANTIZER[self.encoder] * LAMBDA_OF_A_STEP
        if self.live:
            options |= LIVE_OPTIONS.get(self.encoder, {})
        if not self.reorder:
            context.max_b_frames = 0
        context.options = options


@dataclass(frozen=True, slots=True, kw_only=True)
class Packets:
    """Encoded frames, in the order of coding, of a stretch of film that can be decoded by itself.

    times      when each is shown, in units of the film's time base; `end` is when the last is no longer
    keys       whether decoding can begin with it
    contents   its bytes
    """

    times: list[int]
    keys: list[bool]
    contents: list[bytes]
    end: int

    def save(self, path: Path) -> None:
        """Write them whole or not at all."""
        stream = io.BytesIO()
        np.savez(
            stream,
            times=np.array(self.times, np.int64),
            keys=np.array(self.keys, bool),
            sizes=np.array([len(content) for content in self.contents], np.int64),
            content=np.frombuffer(b"".join(self.contents), np.uint8),
            end=np.int64(self.end),
        )
        write_whole(path, stream.getvalue())


def load_packets(path: Path) -> Packets:
    """What `Packets.save` wrote."""
    with np.load(path, allow_pickle=False) as stored:
        content, ends = stored["content"].tobytes(), np.cumsum(stored["sizes"])
        contents = [content[end - size : end] for end, size in zip(ends, stored["sizes"], strict=True)]
        times, keys, end = stored["times"].tolist(), stored["keys"].tolist(), int(stored["end"])
    return Packets(times=times, keys=keys, contents=contents, end=end)


class Encoder:
    """Frames of a stretch in, one after the other; its packets out."""

    def __init__(self, film: FilmFormat) -> None:
        self._film = film
        self._context = new_context(film)
        self._packets: list[Any] = []
        self._any, self._end = False, 0

    def add(self, frame: Frame) -> None:
        """Encode the next frame."""
        self._packets += self._context.encode(film_frame(self._film, frame))
        self._any, self._end = True, frame.time + frame.duration

    def finish(self) -> Packets:
        """The packets of all frames."""
        packets = [*self._packets, *self._context.encode(None)] if self._any else []
        return Packets(
            times=[packet.pts for packet in packets],
            keys=[packet.is_keyframe for packet in packets],
            contents=[bytes(packet) for packet in packets],
            end=self._end,
        )


def film_frame(film: FilmFormat, frame: Frame) -> Any:
    """A frame of RGB codes in a film's own pixel format and colours, as its encoder takes it."""
    deep = frame.pixels.dtype == np.uint16
    rgb = pyav().VideoFrame.from_ndarray(np.ascontiguousarray(frame.pixels), format="rgb48le" if deep else "rgb24")
    rgb.color_range = FULL_RANGE
    coded = rgb.reformat(
        format=film.pixel_format,
        dst_colorspace=matrix_of(film.colour),
        dst_color_range=film.colour.range or LIMITED_RANGE,
        interpolation=exact_flags(),
        threads=1,
    )
    coded.color_range, coded.colorspace = film.colour.range, film.colour.matrix
    coded.color_primaries, coded.color_trc = film.colour.primaries, film.colour.transfer
    coded.pts, coded.time_base = frame.time, film.time_base_s
    return coded


class _Nowhere(io.BytesIO):
    name: str


def new_context(film: FilmFormat) -> Any:
    """An open encoder."""
    av = pyav()
    context = av.CodecContext.create(film.encoder, "w")
    film.configure(context)
    if film.in_header:
        context.flags |= av.codec.context.Flags.global_header
    context.open()
    return context


def film_format(facts: VideoFacts, output: Path, crf: int | None) -> FilmFormat:
    """The encoding of a film like its input: its codec where the container takes it, its pixels where the codec does.

    A codec that cannot be written becomes H.264 (or what the container is made for); pixels that the encoder refuses,
    such as an odd side with colours at half resolution, become colours at full resolution.
    """
    container = new_container(output)
    made_for = ENCODERS.get(container.default_video_codec, container.default_video_codec)
    candidates = [ENCODERS.get(facts.codec, DEFAULT_ENCODER), DEFAULT_ENCODER, made_for]
    taken = [name for name in dict.fromkeys(candidates) if container_takes(output, name)]
    steady = container.format.name in STEADY_CONTAINERS
    base = FilmFormat(
        encoder="",
        pixel_format="",
        width_px=facts.width_px,
        height_px=facts.height_px,
        frame_rate_hz=facts.frame_rate_hz,
        time_base_s=1 / facts.frame_rate_hz if steady else facts.time_base_s,
        colour=facts.colour,
        aspect=facts.aspect,
        crf=crf,
        reorder=not steady,
        in_header=bool(int(container.format.flags) & GLOBAL_HEADER),
    )
    return opening_format(base, taken, facts.pixel_format, output)


def opening_format(base: FilmFormat, encoders: list[str], pixel_format: str, output: Path) -> FilmFormat:
    """`base` with the first encoder and pixel format that open; InputError where none does."""
    av = pyav()
    for encoder in encoders:
        for candidate in _pixel_formats(encoder, pixel_format):
            film = replace(base, encoder=encoder, pixel_format=candidate)
            check_crf(film)
            try:
                new_context(film)
            except (av.FFmpegError, ValueError):
                continue
            return film
    raise InputError(
        f"{output} must be a film that one of {', '.join(encoders) or 'our encoders'} can write, got none for "
        f"{base.width_px}x{base.height_px} {pixel_format}. .mkv takes most."
    )


def check_crf(film: FilmFormat) -> None:
    """Raise InputError for a quality that the film's encoder does not know."""
    if film.crf is None:
        return
    if film.encoder not in MAX_CRF:
        raise InputError(f"--crf must go with one of {', '.join(MAX_CRF)}, got {film.encoder} for this video.")
    check_count(film.crf, 0, MAX_CRF[film.encoder], "--crf")


def _pixel_formats(encoder: str, wanted: str) -> list[str]:
    """Pixel formats to try: the input's, then the encoder's that lose the least of it."""
    av = pyav()
    known = [form.name for form in av.codec.Codec(encoder, "w").video_formats or ()]
    source = av.VideoFormat(wanted)
    deep = max(component.bits for component in source.components) > 8
    plain = ["yuv420p10le", "yuv422p10le", "yuv444p10le", "yuv420p16le"] if deep else []
    if not source.is_rgb:
        plain += ["yuvj420p", "yuvj444p"] if wanted.startswith("yuvj") else ["yuv420p"]
    return [name for name in dict.fromkeys([wanted, *plain, "yuv444p", "yuv420p", "yuvj420p"]) if name in known]


def new_container(output: Path) -> Any:
    """A container of the output's kind that writes nowhere; InputError for a suffix that names none."""
    av = pyav()
    nowhere = _Nowhere()
    nowhere.name = output.name  # from which FFmpeg guesses the kind
    try:
        return av.open(nowhere, "w")
    except (ValueError, av.FFmpegError):
        raise InputError(f"{output} must end like a video, such as .mp4, .mov, .mkv or .webm.") from None


def container_takes(output: Path, encoder: str) -> bool:
    """Whether a container holds what an encoder makes, and FFmpeg's build has that encoder."""
    av = pyav()
    try:
        new_container(output).add_stream(encoder, rate=25)
    except (ValueError, av.FFmpegError):
        return False
    return True
