"""`rainsynth derain`: what an input is, which network takes its rain off, and what came out, in words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from pipelines.derain_camera import derain_camera, open_camera
from pipelines.derain_pictures import Outcome, Restore, derain_pictures, is_picture
from pipelines.derain_video import derain_video, file_sha256
from pipelines.video_files import pyav
from rainsynth.checks import InputError, check_choice

DEVICES = ("auto", "cpu", "cuda")
GPU_BATCH = 8  # frames or pictures at once where --batch does not say; 1 on a processor
FFMPEG_QUIET = -8  # AV_LOG_QUIET
NAMED_BROKEN = 3  # broken pictures that a message names


@dataclass(frozen=True, slots=True, kw_only=True)
class Derainer:
    """A network at work.

    restore     takes the rain off pictures of one size
    batch       how many it is given at once, by default
    made_with   what its results depend on, in plain values
    """

    restore: Restore
    batch: int
    made_with: dict[str, object]


def load_derainer(
    weights: str,
    *,
    device: str = "auto",
    tile_px: int | None = None,
    overlap_px: int = 32,
    mirrored: bool = False,
    ensemble: bool = False,
    shifted: bool = False,
    local_mean_px: int | None = None,
) -> Derainer:
    """The network of a file of weights, on a device, with the options of `mspfn.inference.derain_batch`."""
    import torch

    from mspfn.checkpoint import load_weights, weights_path
    from mspfn.inference import derain_batch

    check_choice(device, DEVICES, "--device")
    if device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device must be one that PyTorch finds here, got cuda. --device cpu always works.")
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
    network = load_weights(weights).to(chosen)
    options = {
        "tile_px": tile_px,
        "overlap_px": overlap_px,
        "mirrored": mirrored,
        "ensemble": ensemble,
        "shifted": shifted,
        "local_mean_px": local_mean_px,
    }

    def restore(pictures: np.ndarray) -> np.ndarray:
        return derain_batch(pictures, network, **options)  # type: ignore[arg-type]

    restore(np.zeros((1, 8, 8, 3), np.uint8))  # refuses options that do not fit, before anything is read
    return Derainer(
        restore=restore,
        batch=1 if chosen == "cpu" else GPU_BATCH,
        made_with={"weights": file_sha256(weights_path(weights)), **options},
    )


def check_camera_options(source: Path | None, camera: str | None, given: Sequence[str]) -> None:
    """Raise InputError unless there is one input, and options that are for cameras alone go with one.

    `given` names those options that are given.
    """
    if (source is None) == (camera is None):
        raise InputError("derain must have one input: INPUT (a picture, folder or video) or --camera.")
    if camera is None and given:
        raise InputError(f"{' and '.join(given)} must go with --camera.")


def derain_input(
    source: Path,
    output: Path,
    derainer: Derainer,
    *,
    batch: int | None = None,
    compare: bool = False,
    skip_broken: bool = False,
    crf: int | None = None,
) -> str:
    """Derain a picture, a folder of pictures or a video file; returns what came out, in words."""
    count = derainer.batch if batch is None else batch
    if source.is_dir() or is_picture(source):
        if crf is not None:
            raise InputError("--crf must go with a video or a camera. JPEGs are written at quality 95.")
        outcome = derain_pictures(source, output, derainer.restore, batch=count, compare=compare)
        return picture_words(outcome, output, skip_broken)
    film = derain_video(
        source, output, derainer.restore, batch=count, compare=compare, crf=crf, made_with=derainer.made_with
    )
    if film.frames == 0:
        return f"{output} was there already and is left as it is"
    words = f"wrote {film.frames} frames to {output}"
    words += f", {film.found} of them derained before a stop" if film.found else ""
    return words + (f"; left out: {', '.join(film.left_out)}" if film.left_out else "")


def picture_words(outcome: Outcome, output: Path, skip_broken: bool) -> str:
    """What came of pictures; InputError where some could not be read, unless they may be skipped."""
    words = f"wrote {outcome.written} picture{'s' if outcome.written != 1 else ''} to {output}"
    if outcome.found:
        words += f"; {outcome.found} {'were' if outcome.found > 1 else 'was'} there already, left as before"
    if not outcome.broken:
        return words
    if skip_broken:
        return "\n".join([f"{words}; skipped {len(outcome.broken)}:", *outcome.broken])
    more = len(outcome.broken) - NAMED_BROKEN
    named = " ".join(outcome.broken[:NAMED_BROKEN]) + (f" And {more} more." if more > 0 else "")
    raise InputError(
        f"{named} --skip-broken lists such pictures and goes without; {words.replace('wrote', 'written:')}."
    )


def derain_stream(
    camera: str,
    output: Path | None,
    derainer: Derainer,
    *,
    seconds: float | None = None,
    crf: int | None = None,
    compare: bool = False,
    preview_port: int | None = None,
) -> str:
    """Derain a camera or stream; returns what came out, in words."""
    pyav()  # refuses here where it is missing
    # What does not open is told in one line of ours, not in OpenCV's and FFmpeg's.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", str(FFMPEG_QUIET))
    outcome = derain_camera(
        open_camera(camera),
        output,
        derainer.restore,
        seconds=seconds,
        crf=crf,
        compare=compare,
        preview_port=preview_port,
    )
    words = f"{outcome.frames} frames, {outcome.dropped} dropped, latency {1000 * outcome.mean_latency_s:.0f} ms"
    words += f" on average and {1000 * outcome.worst_latency_s:.0f} ms at most"
    words += f"; {outcome.ended}" if outcome.ended else ""
    return words + (f"\nwrote {output}" if output is not None else "")
