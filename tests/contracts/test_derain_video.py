"""`rainsynth derain` on video files: frames, times, colours and sound as they were, and the same bytes after a stop."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

av = pytest.importorskip("av", reason="videos need the extra 'video'")

from pipelines.derain_pictures import GAP_PX  # noqa: E402
from pipelines.derain_video import STRETCH_FRAMES, derain_video  # noqa: E402
from pipelines.video_files import read_frames, survey_video  # noqa: E402
from rainsynth.checks import InputError  # noqa: E402

FRAMES = STRETCH_FRAMES + 8
TICKS = Fraction(1, 90_000)
BT709, BT2020_HDR, FULL_601 = (1, 1, 1, 1), (1, 9, 9, 16), (2, 5, 5, 6)  # range, matrix, primaries, transfer (H.273)


def unchanged(pictures: np.ndarray) -> np.ndarray:
    return pictures


def negative(pictures: np.ndarray) -> np.ndarray:
    return np.iinfo(pictures.dtype).max - pictures


def make_video(
    path: Path,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    size: tuple[int, int] = (64, 48),
    colour: tuple[int, int, int, int] = BT709,
    times: list[int] | None = None,
    sound: str | None = "aac",
    turn: float | None = None,
    unit: Fraction = TICKS,
    frames: int = FRAMES,
) -> Path:
    """A smooth pattern that moves, in good quality, with a tone beside it."""
    with av.open(str(path), "w") as out:
        film = out.add_stream(codec, rate=25)
        context = film.codec_context
        context.width, context.height, context.pix_fmt, context.time_base = *size, pixels, unit
        context.color_range, context.colorspace, context.color_primaries, context.color_trc = colour
        context.thread_count = 1
        context.options = {"crf": "4", "x265-params": "log-level=none"} if codec.startswith("lib") else {}
        if turn is not None:
            film.set_display_rotation(turn)
        tone = out.add_stream(sound, rate=48_000, layout="stereo") if sound else None
        out.metadata["title"] = "a street"
        for k in range(frames):
            frame = av.VideoFrame.from_ndarray(pattern(k, size), format="rgb24")
            frame = frame.reformat(format=pixels, dst_colorspace=colour[1], dst_color_range=colour[0])
            frame.pts, frame.time_base = (times[k] if times else round(k / (25 * unit))), unit
            out.mux(film.encode(frame))
            if tone is not None:
                out.mux(tone.encode(tone_of(k, tone.codec_context.format.name)))
        out.mux(film.encode(None))
        if tone is not None:
            out.mux(tone.encode(None))
    return path


def pattern(k: int, size: tuple[int, int]) -> np.ndarray:
    y, x = np.mgrid[: size[1], : size[0]]
    waves = [np.sin(x / 9 + k / 5), np.sin(y / 7 - k / 9), np.sin((x + y) / 11 + k / 7)]
    return np.stack([128 + 80 * wave for wave in waves], axis=-1).astype(np.uint8)


def tone_of(k: int, kind: str) -> object:
    wave = np.sin(0.05 * np.arange(1920 * k, 1920 * (k + 1)))
    planes = np.stack([wave, wave]).astype(np.float32) if kind == "fltp" else np.int16(9000 * np.repeat(wave, 2))[None]
    frame = av.AudioFrame.from_ndarray(planes, format=kind, layout="stereo")
    frame.sample_rate, frame.pts = 48_000, 1920 * k
    return frame


def facts_of(path: Path) -> dict[str, object]:
    """What players see of a film, read without our reader."""
    with av.open(str(path)) as film:
        stream = film.streams.video[0]
        frames = list(film.decode(stream))
        context = stream.codec_context
        return {
            "codec": context.codec.canonical_name,
            "pixels": context.pix_fmt,
            "size": (context.width, context.height),
            "frames": len(frames),
            "seconds": [frame.pts * stream.time_base for frame in frames],
            "rate": stream.average_rate,
            "turn": frames[0].rotation,
            "colour": (context.color_range, context.colorspace, context.color_primaries, context.color_trc),
            "title": film.metadata.get("title", film.metadata.get("TITLE")),
        }


def sound_of(path: Path) -> list[tuple[object, ...]]:
    with av.open(str(path)) as film:
        return [(bytes(packet), packet.pts) for packet in film.demux(audio=0) if packet.size]


def luma_of(path: Path) -> list[np.ndarray]:
    """The Y plane of each frame, as coded."""
    with av.open(str(path)) as film:
        planes = [frame.planes[0] for frame in film.decode(video=0)]
        kind = np.uint16 if "10" in film.streams.video[0].codec_context.pix_fmt else np.uint8
        return [np.frombuffer(p, kind).reshape(p.height, -1)[:, : p.width].astype(float) for p in planes]


KINDS = {
    "h264.mp4": {},
    "hdr.mp4": {"pixels": "yuv420p10le", "colour": BT2020_HDR},
    "full.mov": {"pixels": "yuvj420p", "colour": FULL_601},
    "variable.mp4": {"times": np.cumsum([3600 + 900 * (k % 4) for k in range(FRAMES)]).tolist()},
    "odd.mkv": {"codec": "ffv1", "pixels": "yuv422p", "size": (65, 49), "sound": "pcm_s16le"},
    "odd444.mp4": {"pixels": "yuv444p", "size": (65, 49)},
    "hevc.mkv": {"codec": "libx265"},
    "vp9.webm": {"codec": "libvpx-vp9", "size": (65, 49), "sound": "libopus"},
    "mpeg4.avi": {"codec": "mpeg4", "unit": Fraction(1, 25), "sound": "pcm_s16le"},
    "turned.mp4": {"turn": 90.0},
    "broadcast.ts": {},
}


@pytest.mark.parametrize("name", KINDS)
def test_a_film_comes_back_with_its_frames_times_colours_and_sound(name, tmp_path):
    source = make_video(tmp_path / name, **KINDS[name])
    outcome = derain_video(source, tmp_path / f"out_{name}", unchanged, batch=3)
    assert (outcome.frames, outcome.found, outcome.left_out) == (FRAMES, 0, ())
    before, after = facts_of(source), facts_of(tmp_path / f"out_{name}")
    if name == "variable.mp4":  # a header's mean rate follows from how its writer counts the last frame
        assert float(after.pop("rate")) == pytest.approx(float(before.pop("rate")), rel=0.03)
    assert after == before
    assert sound_of(tmp_path / f"out_{name}") == sound_of(source)
    # What another round of coding and the way to RGB and back cost, in codes of 8 bits.
    scale = 4 if name == "hdr.mp4" else 1
    for one, other in zip(luma_of(source), luma_of(tmp_path / f"out_{name}"), strict=True):
        assert np.abs(one - other).mean() < 1.2 * scale
    assert [path for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_what_the_network_gives_is_what_is_shown(tmp_path):
    derain_video(make_video(tmp_path / "a.mp4"), tmp_path / "b.mp4", negative)
    seen = []

    def spy(pictures: np.ndarray) -> np.ndarray:
        seen.append(pictures)
        return pictures

    derain_video(tmp_path / "b.mp4", tmp_path / "c.mp4", spy, batch=7)
    assert {len(pictures) for pictures in seen[:-1]} <= {7, STRETCH_FRAMES % 7} and seen[0].dtype == np.uint8
    shown = 255 - np.concatenate(seen).astype(int)
    expected = np.stack([pattern(k, (64, 48)) for k in range(FRAMES)])
    apart = np.abs(shown[:, None] - expected[None]).mean(axis=(2, 3, 4))
    np.testing.assert_array_equal(apart.argmin(axis=1), np.arange(FRAMES))
    assert np.diag(apart).max() < 5  # colours have half the resolution of such waves


@pytest.mark.parametrize("container", ["mp4", "avi"])  # which keeps how to turn a frame, and which does not
def test_the_network_sees_frames_upright_and_players_show_them_so(container, tmp_path):
    source = make_video(tmp_path / "a.mp4", turn=90.0, size=(64, 48))
    facts = survey_video(source)
    upright = next(read_frames(facts, facts.time_base_s)).pixels
    # OpenCV turns frames as a player does.
    shown = cv2.VideoCapture(str(source)).read()[1][..., ::-1].astype(int)
    assert upright.shape == shown.shape == (64, 48, 3)
    assert np.abs(upright - shown).mean() < 5  # it takes every film's matrix for BT.601's
    derain_video(source, tmp_path / f"b.{container}", unchanged)
    again = cv2.VideoCapture(str(tmp_path / f"b.{container}")).read()[1][..., ::-1]
    assert again.shape == shown.shape and np.abs(again - shown).mean() < 4


def test_10_bits_reach_the_network_as_16(tmp_path):
    kinds = []

    def spy(pictures: np.ndarray) -> np.ndarray:
        kinds.append(pictures.dtype)
        return pictures

    derain_video(make_video(tmp_path / "a.mp4", **KINDS["hdr.mp4"]), tmp_path / "b.mp4", spy)
    assert set(kinds) == {np.dtype(np.uint16)}


def test_a_codec_without_an_encoder_becomes_h264_and_an_odd_side_full_colours(tmp_path):
    source = make_video(tmp_path / "a.mov", codec="qtrle", pixels="rgb24", size=(65, 49), sound=None)
    derain_video(source, tmp_path / "b.mkv", unchanged)
    after = facts_of(tmp_path / "b.mkv")
    assert (after["codec"], after["pixels"], after["size"]) == ("h264", "yuv444p", (65, 49))
    with av.open(str(tmp_path / "b.mkv")) as film:
        for k, frame in enumerate(film.decode(video=0)):
            assert np.abs(frame.to_ndarray(format="rgb24").astype(int) - pattern(k, (65, 49))).mean() < 2


def test_a_side_by_side_film_stands_beside_the_output(tmp_path):
    source = make_video(tmp_path / "a.mp4")
    derain_video(source, tmp_path / "b.mp4", negative, compare=True)
    with av.open(str(tmp_path / "b_compare.mp4")) as film:
        frames = [frame.to_ndarray(format="rgb24").astype(int) for frame in film.decode(video=0)]
    assert len(frames) == FRAMES and frames[0].shape == (48, 2 * 64 + GAP_PX, 3)
    rainy, derained = frames[5][:, :62], frames[5][:, 64 + GAP_PX : -2]
    assert np.abs(255 - rainy - derained).mean() < 4
    assert sound_of(tmp_path / "b_compare.mp4") == sound_of(source)


@pytest.mark.parametrize("calls", [0, 5, STRETCH_FRAMES + 3])
def test_a_run_that_was_stopped_goes_on_to_the_same_bytes(calls, tmp_path):
    source = make_video(tmp_path / "a.mp4")
    derain_video(source, tmp_path / "whole.mp4", negative)
    count = 0

    def stops(pictures: np.ndarray) -> np.ndarray:
        nonlocal count
        if count == calls:
            raise KeyboardInterrupt
        count += 1
        return negative(pictures)

    with pytest.raises(KeyboardInterrupt):
        derain_video(source, tmp_path / "b.mp4", stops)
    assert not (tmp_path / "b.mp4").exists()
    with pytest.raises(InputError, match="got another encoding"):
        derain_video(source, tmp_path / "b.mp4", negative, crf=30)
    outcome = derain_video(source, tmp_path / "b.mp4", negative)
    assert (outcome.frames, outcome.found) == (FRAMES, calls // STRETCH_FRAMES * STRETCH_FRAMES)
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()
    assert not list(tmp_path.glob(".*"))
    before = (tmp_path / "b.mp4").stat().st_mtime_ns
    assert derain_video(source, tmp_path / "b.mp4", negative).frames == 0  # what is there is left
    assert (tmp_path / "b.mp4").stat().st_mtime_ns == before


SLOW_RUN = """
import sys, time
from pathlib import Path
from pipelines.derain_video import derain_video
def restore(pictures):
    time.sleep(float(sys.argv[3]))
    return 255 - pictures
derain_video(Path(sys.argv[1]), Path(sys.argv[2]), restore)
"""


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_to_the_same_bytes(tmp_path):
    source = make_video(tmp_path / "a.mp4", frames=5 * STRETCH_FRAMES + 3)
    derain_video(source, tmp_path / "whole.mp4", negative)
    part, kills = tmp_path / ".b.mp4.part", 0
    for stretch in (1, 3):
        words = [sys.executable, "-c", SLOW_RUN, str(source), str(tmp_path / "b.mp4"), "0.02"]
        run = subprocess.Popen(words, cwd=Path(__file__).resolve().parents[2], stdout=subprocess.DEVNULL)
        while run.poll() is None and not (part / f"film-{stretch:05d}.npz").exists():
            time.sleep(0.01)
        run.send_signal(signal.SIGKILL)
        kills += run.wait() == -signal.SIGKILL
    assert kills == 2 and not (tmp_path / "b.mp4").exists()
    outcome = derain_video(source, tmp_path / "b.mp4", negative)
    assert outcome.found >= 4 * STRETCH_FRAMES
    assert (tmp_path / "b.mp4").read_bytes() == (tmp_path / "whole.mp4").read_bytes()


def test_what_is_no_whole_video_is_refused_in_one_line(tmp_path):
    whole = make_video(tmp_path / "a.mp4").read_bytes()
    (tmp_path / "no_index.mp4").write_bytes(whole[:-3000])  # an MP4's index is its end
    (tmp_path / "cut.mkv").write_bytes(make_video(tmp_path / "a.mkv", frames=75).read_bytes()[:9000])
    (tmp_path / "notes.txt").write_text("rain")
    (tmp_path / "folder.mp4").mkdir()
    with av.open(str(tmp_path / "sound.mka"), "w") as out:
        tone = out.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        out.mux(tone.encode(tone_of(0, "s16")))
    with av.open(str(tmp_path / "none.mkv"), "w") as out:
        film = out.add_stream("libx264", rate=25)
        film.width, film.height = 64, 48
        tone = out.add_stream("pcm_s16le", rate=48_000, layout="stereo")
        out.mux(tone.encode(tone_of(0, "s16")))
    for name, expected in {
        "no_index.mp4": "Is it cut",
        "cut.mkv": "must be a whole video",
        "notes.txt": "a video that FFmpeg can read",
        "folder.mp4": "must be a video file, got a folder",
        "sound.mka": "must have a video stream",
        "none.mkv": "must have frames",
        "absent.mp4": "got nothing there",
    }.items():
        with pytest.raises(InputError, match=expected) as caught:
            derain_video(tmp_path / name, tmp_path / "out.mp4", unchanged)
        assert "\n" not in str(caught.value) and name in str(caught.value)
    assert not list(tmp_path.glob("out*")) and not list(tmp_path.glob(".*"))


def test_an_output_that_cannot_be_is_refused_before_any_work(tmp_path):
    source = make_video(tmp_path / "a.mp4")
    (tmp_path / "link.mp4").symlink_to(source)

    def never(_: np.ndarray) -> np.ndarray:
        raise AssertionError

    for output, options, expected in (
        ("a.mp4", {}, "--output must not be the input"),
        ("link.mp4", {}, "--output must not be the input"),
        ("b.xyz", {}, "b.xyz must end like a video"),
        ("b.webm", {}, "holds the input's"),  # WebM takes no AAC
        ("b.mp4", {"crf": 70}, "--crf must be between 0 and 51"),
        ("b.mp4", {"batch": 0}, "--batch must be between 1"),
    ):
        with pytest.raises(InputError, match=expected):
            derain_video(source, tmp_path / output, never, **options)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.mp4", "link.mp4"]


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"rainsynth\[video\]"):
        derain_video(tmp_path / "a.mp4", tmp_path / "b.mp4", unchanged)
