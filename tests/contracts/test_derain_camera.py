"""`rainsynth derain --camera`: the newest frame or none, true times, a whole film however it ends."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

av = pytest.importorskip("av", reason="cameras need the extra 'video'")

from mspfn.checkpoint import save_weights  # noqa: E402
from mspfn.networks import build_network  # noqa: E402
from pipelines import main  # noqa: E402
from pipelines.derain_camera import NewestFrame, derain_camera, open_camera  # noqa: E402
from pipelines.derain_pictures import GAP_PX  # noqa: E402
from pipelines.preview_page import PreviewPage  # noqa: E402
from rainsynth.checks import InputError  # noqa: E402

SHAPE = (48, 64, 3)
STEP = 6  # codes from one frame's grey to the next, twice what coding and its colours change


class StagedCamera:
    """A camera whose frames come when the test says: frame k is grey k * STEP and comes at `times_s[k]`."""

    def __init__(self, times_s: list[float], shapes: dict[int, tuple[int, ...]] | None = None) -> None:
        self.now_s = 0.0
        self.released, self.waits = False, False
        self._times_s, self._shapes = times_s, shapes or {}
        self._allowed = threading.Semaphore(0)
        self._read = 0
        self._asked = threading.Condition()

    def clock(self) -> float:
        return self.now_s

    def let(self, count: int) -> None:
        """Let `count` more frames come, and wait until the reader has them all and asks for the next."""
        with self._asked:
            wanted = min(self._read + count, len(self._times_s))
            for _ in range(count):
                self._allowed.release()
            assert self._asked.wait_for(lambda: self._read > wanted or (self._read == wanted and self.waits), 10)

    def end(self) -> None:
        """Let one more read come, which nobody waits for."""
        self._allowed.release()

    def read(self) -> tuple[bool, np.ndarray | None]:
        with self._asked:
            self.waits = True
            self._asked.notify_all()
        self._allowed.acquire()
        with self._asked:
            self.waits = False
            k, self._read = self._read, self._read + 1
            if k >= len(self._times_s):
                return False, None
            self.now_s = self._times_s[k]
        frame = np.full(self._shapes.get(k, SHAPE), k * STEP, np.uint8)
        frame[..., 0] = 255 - k * STEP  # blue, which a camera of OpenCV gives first
        return True, frame

    def release(self) -> None:
        self.released = True


def restore_while(camera: StagedCamera, per_frame: int, seen: list[int]) -> Callable[[np.ndarray], np.ndarray]:
    """A network that is `per_frame` frames slow; notes which frame it was given."""

    def restore(pictures: np.ndarray) -> np.ndarray:
        assert pictures.shape[0] == 1 and pictures[0, 0, 0, 2] == 255 - pictures[0, 0, 0, 0]  # RGB
        seen.append(int(pictures[0, 0, 0, 0]) // STEP)
        camera.let(per_frame)
        return pictures

    return restore


def film_of(path: Path) -> tuple[list[float], list[int], tuple[int, int]]:
    """When each frame of a film is shown [s], which frame of the camera it is, and the film's size."""
    with av.open(str(path)) as film:
        frames = list(film.decode(video=0))
        pixels = [frame.to_ndarray(format="rgb24") for frame in frames]
    return (
        [frame.time for frame in frames],
        [round(float(p[:, :30, 1].mean()) / STEP) for p in pixels],
        (pixels[0].shape[1], pixels[0].shape[0]),
    )


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "weights.pt"
    save_weights(path, build_network("mspfn-demo", channels=8, fine_fusion_units=1))
    return path


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A staged camera that is given up waits for ever."""
    monkeypatch.setattr("pipelines.derain_camera.PATIENCE_S", 0.0)


@pytest.mark.parametrize("per_frame", [1, 5])
def test_frames_are_dropped_rather_than_queued_and_keep_their_times(per_frame, tmp_path):
    times_s = [10 + k / 30 + 0.004 * (k % 3) for k in range(31)]
    camera, seen = StagedCamera(times_s), list[int]()
    threading.Thread(target=camera.let, args=(1,)).start()
    outcome = derain_camera(camera, tmp_path / "a.mp4", restore_while(camera, per_frame, seen), clock=camera.clock)
    # While one is worked on, `per_frame` come: the newest of them is next, the others are dropped.
    assert seen == list(range(0, 31, per_frame))
    assert (outcome.frames, outcome.dropped) == (len(seen), 31 - len(seen))
    assert outcome.worst_latency_s <= max(np.diff(times_s)) * per_frame + 1e-9  # as late at the end as at the start
    assert outcome.ended == "the camera gave no more frames" and camera.released
    shown_s, shown, size = film_of(tmp_path / "a.mp4")
    assert (shown, size) == (seen, SHAPE[1::-1])
    np.testing.assert_allclose(shown_s, [times_s[k] - 10 for k in seen], atol=1 / 90_000)


def test_seconds_end_it_with_a_whole_film(tmp_path):
    camera, seen = StagedCamera([k / 10 for k in range(100)]), list[int]()
    threading.Thread(target=camera.let, args=(1,)).start()
    outcome = derain_camera(
        camera, tmp_path / "a.mkv", restore_while(camera, 1, seen), seconds=1.0, clock=camera.clock, compare=True
    )
    assert seen == list(range(10)) and outcome.ended == ""
    _, shown, size = film_of(tmp_path / "a.mkv")
    assert (shown, size) == (seen, (2 * 64 + GAP_PX, 48))


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_whole_film(kind, tmp_path):
    camera, seen = StagedCamera([k / 25 for k in range(100)]), list[int]()
    before = signal.getsignal(kind)
    plain = restore_while(camera, 1, seen)

    def restore(pictures: np.ndarray) -> np.ndarray:
        if len(seen) == 6:
            os.kill(os.getpid(), kind)
        return plain(pictures)

    threading.Thread(target=camera.let, args=(1,)).start()
    derain_camera(camera, tmp_path / "a.mp4", restore, clock=camera.clock)
    assert film_of(tmp_path / "a.mp4")[1] == seen == list(range(7))
    assert signal.getsignal(kind) == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.mp4"]


def test_a_network_that_fails_leaves_what_was_recorded(tmp_path):
    camera, seen = StagedCamera([k / 25 for k in range(20)]), list[int]()
    plain = restore_while(camera, 1, seen)

    def restore(pictures: np.ndarray) -> np.ndarray:
        if len(seen) == 4:
            raise InputError("network output must be finite")
        return plain(pictures)

    threading.Thread(target=camera.let, args=(1,)).start()
    with pytest.raises(InputError, match="finite"):
        derain_camera(camera, tmp_path / "a.mp4", restore, clock=camera.clock)
    assert film_of(tmp_path / "a.mp4")[1] == [0, 1, 2, 3]


def test_frames_of_another_size_end_the_film(tmp_path):
    camera, seen = StagedCamera([k / 25 for k in range(20)], shapes={5: (24, 32, 3)}), list[int]()
    threading.Thread(target=camera.let, args=(1,)).start()
    outcome = derain_camera(camera, tmp_path / "a.mp4", restore_while(camera, 1, seen), clock=camera.clock)
    assert "changed from (48, 64, 3) to (24, 32, 3)" in outcome.ended
    assert film_of(tmp_path / "a.mp4")[1] == [0, 1, 2, 3, 4]


def test_an_odd_size_is_kept(tmp_path):
    camera = StagedCamera([0.0, 0.1], shapes={0: (33, 65, 3), 1: (33, 65, 3)})
    threading.Thread(target=camera.let, args=(1,)).start()
    derain_camera(camera, tmp_path / "a.mp4", restore_while(camera, 2, []), clock=camera.clock)
    assert film_of(tmp_path / "a.mp4")[2] == (65, 33)


def test_a_reader_that_nobody_takes_from_holds_one_frame():
    camera = StagedCamera([k / 25 for k in range(50)])
    with NewestFrame(camera, camera.clock) as newest:
        camera.let(40)
        assert newest.dropped == 39
        frame, came_s = newest.take(lambda: False)
        assert (frame[0, 0, 0] // STEP, came_s) == (39, 39 / 25)
        assert newest.take(lambda: True) is None


def test_the_preview_page_shows_the_newest_frame(tmp_path):
    with PreviewPage(0) as page:
        assert page.address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(page.address, timeout=10) as answer:
            assert b'src="frames"' in answer.read()
        with urllib.request.urlopen(f"{page.address}frames", timeout=10) as answer:
            assert answer.headers.get_content_type() == "multipart/x-mixed-replace"
            for grey in (40, 200):
                while page._watchers == 0:
                    pass
                page.show(np.full(SHAPE, grey, np.uint8))
                assert answer.readline() == b"--frame\r\n"
                lines = [answer.readline() for _ in range(3)]
                jpeg = answer.read(int(lines[1].split(b":")[1]))
                answer.readline()
                with Image.open(io.BytesIO(jpeg)) as shown:
                    assert np.abs(np.array(shown).astype(int) - grey).max() <= 2
        with pytest.raises(InputError, match="--preview-port must be free"):
            PreviewPage(int(page.address.rstrip("/").rpartition(":")[2]))


def test_a_stream_over_http_is_derained_to_a_film(tmp_path, weights, capsys, monkeypatch):
    done = threading.Event()
    with PreviewPage(0) as stream:  # whose page is a stream as network cameras give it

        def feed() -> None:
            k = 0
            while not done.wait(0.02):
                k += 1
                stream.show(np.full(SHAPE, k % 250, np.uint8))

        threading.Thread(target=feed, daemon=True).start()
        words = ["--camera", f"{stream.address}frames", "-o", str(tmp_path / "a.mp4"), "--seconds", "0.6"]
        monkeypatch.setattr(sys, "argv", ["rainsynth", "derain", "--weights", str(weights), *words])
        with pytest.raises(SystemExit) as exit_:
            main.main()
        done.set()
    told = capsys.readouterr()
    assert exit_.value.code == 0, told.err
    count = int(told.out.partition(" frames, ")[0].split()[-1])
    shown_s, _, size = film_of(tmp_path / "a.mp4")
    assert len(shown_s) == count and 0 <= shown_s[-1] <= 0.6 and size == (64, 48)
    assert " dropped, latency " in told.out


def test_a_mistake_is_told_in_one_line(tmp_path, weights, capfd, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(b"")
    for words, expected in (
        (["--camera", "99", "-o", "b.mp4"], "--camera must be one that opens, got '99'"),
        (["--camera", "a.mp4", "-o", "b.mp4"], "Give a.mp4 as INPUT"),
    ):
        monkeypatch.setattr(sys, "argv", ["rainsynth", "derain", "--weights", str(weights), *words])
        monkeypatch.chdir(tmp_path)
        with pytest.raises(SystemExit) as exit_:
            main.main()
        error = capfd.readouterr().err
        assert exit_.value.code == 2 and expected in error and error.count("\n") == 1, error
    for output, options, expected in (
        (None, {}, "must have somewhere to show it"),
        (tmp_path / "a.mp4", {}, "--output must be a new file"),
        (tmp_path / "b.avi", {}, "must hold the time of each frame"),
        (tmp_path / "b.txt", {}, "must end like a video"),
        (tmp_path / "b.mp4", {"seconds": 0}, "--seconds must be between"),
        (tmp_path / "b.mp4", {}, "must give frames, got none"),
    ):
        camera = StagedCamera([])
        camera.end()
        with pytest.raises(InputError, match=expected):
            derain_camera(camera, output, lambda pictures: pictures, **options)
    assert not (tmp_path / "b.mp4").exists()
    with pytest.raises(InputError, match="got a file"):
        open_camera(str(tmp_path / "a.mp4"))


UNANSWERED = """
import sys
from pathlib import Path
from pipelines.derain import Derainer, derain_stream
from rainsynth.checks import InputError
try:
    derain_stream(sys.argv[1], Path(sys.argv[2]), Derainer(restore=lambda x: x, batch=1, made_with={}))
except InputError as error:
    print(error)
"""


@pytest.mark.parametrize("camera", ["rtsp://127.0.0.1:9/none", "99"])
def test_a_camera_that_does_not_answer_is_told_in_one_line(camera, tmp_path):
    # In a process of its own: OpenCV and FFmpeg read how much they may say once.
    words = [sys.executable, "-c", UNANSWERED, camera, str(tmp_path / "a.mp4")]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=root)
    assert done.stdout.startswith("--camera must be one that opens") and done.stdout.count("\n") == 1
    assert done.stderr == ""
