"""`rainsynth derain --camera`: rain off a camera or stream as it comes, onto a film and a page, never far behind.

Frames that come while another is worked on are dropped but for the newest, so what is shown is as late as the network
is slow and no later, however long the camera runs.
"""

from __future__ import annotations

import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from jaxtyping import UInt8

from pipelines.camera_film import CameraFilm
from pipelines.derain_pictures import Restore, side_by_side
from pipelines.preview_page import PreviewPage
from pipelines.progress import SECONDS_BETWEEN_LINES, console
from rainsynth.checks import InputError, check_number

CONNECT_MS = 10_000  # to wait for a stream's answer, and for its next frame
LOOK_UP_S = 0.1  # between looks at whether to stop, while no frame comes
PATIENCE_S = 1.0  # for a camera to give its last frame at the end
RATE_FRAMES = 30  # over which frames per second and latency are shown
Picture = UInt8[np.ndarray, "h w 3"]


class FrameSource(Protocol):
    """What gives frames: OpenCV's VideoCapture, blue first."""

    def read(self) -> tuple[bool, Any]: ...
    def release(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraOutcome:
    """Frames derained and dropped; mean and greatest time from a frame's coming to its being shown; why it ended."""

    frames: int
    dropped: int
    mean_latency_s: float
    worst_latency_s: float
    ended: str


def open_camera(camera: str) -> FrameSource:
    """A camera by its number, such as 0, or a stream by its URL; InputError where it does not open."""
    if Path(camera).is_file():
        raise InputError(f"--camera must be a camera's number or a stream's URL, got a file. Give {camera} as INPUT.")
    if camera.isdecimal():
        source = cv2.VideoCapture(int(camera))
    else:
        limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, CONNECT_MS, cv2.CAP_PROP_READ_TIMEOUT_MSEC, CONNECT_MS]
        source = cv2.VideoCapture(camera, cv2.CAP_ANY, limits)
    if not source.isOpened():
        raise InputError(
            f"--camera must be one that opens, got {camera!r}, which does not. Is it plugged in, free and reachable?"
        )
    return source


class NewestFrame:
    """The newest frame of a source, read by a thread of its own; one that is not taken in time is dropped."""

    def __init__(self, source: FrameSource, clock: Callable[[], float]) -> None:
        self.dropped = 0
        self.why = ""  # it ended by itself
        self._ended = False
        self._source, self._clock = source, clock
        self._waiting: tuple[Any, float] | None = None
        self._stopped = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._read, daemon=True, name="camera")

    def __enter__(self) -> NewestFrame:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped = True
        self._thread.join(timeout=PATIENCE_S)  # one that hangs in its camera's driver ends with the process

    def take(self, stopped: Callable[[], bool]) -> tuple[Picture, float] | None:
        """The newest frame, RGB, and when it came [s]; waits for one. None at the end, or once `stopped` says so."""
        with self._changed:
            while self._waiting is None and not self._ended and not stopped():
                self._changed.wait(LOOK_UP_S)
            if self._waiting is None or stopped():
                return None
            (frame, came_s), self._waiting = self._waiting, None
        return np.ascontiguousarray(frame[..., ::-1]), came_s

    def frames(self, told: threading.Event, seconds: float | None) -> Iterator[tuple[Picture, float, float]]:
        """Newest frame after newest frame, when each came, and how long after the first [s].

        Until `told`, the camera's end, a change of its frames' size, or `seconds` after the first frame.
        """
        first_s, shape = None, None

        def stopped() -> bool:
            return told.is_set() or (seconds is not None and first_s is not None and self._clock() - first_s >= seconds)

        while (taken := self.take(stopped)) is not None:
            frame, came_s = taken
            if shape not in (None, frame.shape):
                self.why = f"the camera's frames changed from {shape} to {frame.shape}"
                return
            first_s, shape = came_s if first_s is None else first_s, frame.shape
            yield frame, came_s, came_s - first_s
        self.why = "" if stopped() else "the camera gave no more frames"

    def _read(self) -> None:
        try:
            while not self._stopped:
                found, frame = self._source.read()
                if not found:
                    break
                with self._changed:
                    self.dropped += self._waiting is not None
                    self._waiting = (frame, self._clock())
                    self._changed.notify()
        finally:
            self._source.release()
            with self._changed:
                self._ended = True
                self._changed.notify()


@dataclass(slots=True)
class Meter:
    """Frames per second and latency, of the last frames and of all."""

    frames: int = 0
    total_latency_s: float = 0.0
    worst_latency_s: float = 0.0
    recent: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=RATE_FRAMES))

    def add(self, shown_s: float, latency_s: float) -> None:
        """Count a frame that was shown at `shown_s`, `latency_s` after it came."""
        self.frames += 1
        self.total_latency_s += latency_s
        self.worst_latency_s = max(self.worst_latency_s, latency_s)
        self.recent.append((shown_s, latency_s))

    def words(self, dropped: int) -> str:
        """What is shown while the camera runs."""
        span_s = self.recent[-1][0] - self.recent[0][0]
        rate_hz = (len(self.recent) - 1) / span_s if span_s > 0 else 0.0
        latency_ms = 1000 * sum(latency_s for _, latency_s in self.recent) / len(self.recent)
        return f"{rate_hz:.1f} fps, latency {latency_ms:.0f} ms, {self.frames} frames, {dropped} dropped"


def derain_camera(
    source: FrameSource,
    output: Path | None,
    restore: Restore,
    *,
    seconds: float | None = None,
    crf: int | None = None,
    compare: bool = False,
    preview_port: int | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> CameraOutcome:
    """Derain a camera until Ctrl-C, its end, or `seconds` after its first frame.

    output         film to write, each frame at the time at which it came; whole however the run ends. None: no film
    compare        the rainy frame stands on the left of the derained one
    preview_port   serve what is derained at http://127.0.0.1:PORT/ as it comes; 0 for any free port
    """
    if seconds is not None:
        check_number(seconds, 0.01, 1e7, "--seconds")
    if output is None and preview_port is None:
        raise InputError("--camera must have somewhere to show it: give --output, --preview-port, or both.")
    meter = Meter()
    with ExitStack() as opened:
        screens: list[CameraFilm | PreviewPage] = []
        if output is not None:
            screens.append(opened.enter_context(CameraFilm(output, crf)))
        if preview_port is not None:
            screens.append(opened.enter_context(PreviewPage(preview_port)))
        told, say = opened.enter_context(told_to_stop()), opened.enter_context(live_line())
        camera = opened.enter_context(NewestFrame(source, clock))
        for rainy, came_s, since_first_s in camera.frames(told, seconds):
            derained = restore(rainy[None])[0]
            for screen in screens:
                screen.show(side_by_side(rainy, derained) if compare else derained, since_first_s)
            meter.add(clock(), clock() - came_s)
            say(meter.words(camera.dropped))
    if meter.frames == 0:
        raise InputError("--camera must give frames, got none before it ended.")
    return CameraOutcome(
        frames=meter.frames,
        dropped=camera.dropped,
        mean_latency_s=meter.total_latency_s / meter.frames,
        worst_latency_s=meter.worst_latency_s,
        ended=camera.why,
    )


@contextmanager
def told_to_stop() -> Iterator[threading.Event]:
    """An event that Ctrl-C and SIGTERM set, once; a second one interrupts as ever."""
    told = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    kinds = (signal.SIGINT, signal.SIGTERM)
    before = {kind: signal.getsignal(kind) for kind in kinds}

    def tell(number: int, _: object) -> None:
        told.set()
        signal.signal(number, before[signal.Signals(number)])

    for kind in kinds:
        signal.signal(kind, tell)
    try:
        yield told
    finally:
        for kind in kinds:
            signal.signal(kind, before[kind])


@contextmanager
def live_line() -> Iterator[Callable[[str], None]]:
    """A line that is written over on a terminal; elsewhere a line now and then."""
    if console.is_terminal:
        with console.status("waiting for the camera") as status:
            yield status.update
        return
    said_s = time.monotonic()

    def say(words: str) -> None:
        nonlocal said_s
        if time.monotonic() - said_s >= SECONDS_BETWEEN_LINES:
            said_s = time.monotonic()
            console.print(f"derain: {words}")

    yield say
