"""A page on this machine alone that shows frames as they come: motion JPEG over HTTP, which any browser plays."""

from __future__ import annotations

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pipelines.progress import console
from rainsynth.checks import InputError, check_count

HOST = "127.0.0.1"  # nobody else sees the camera
JPEG_QUALITY = 85
BOUNDARY = "frame"
LOOK_UP_S = 0.5  # between looks at whether the page has closed
PAGE = b"""<!doctype html><title>rainsynth derain</title><style>body{margin:0;background:#000}img{max-width:100vw;\
max-height:100vh;display:block;margin:auto}</style><img src="frames" alt="derained camera">"""


class PreviewPage:
    """Serves the newest frame to all who watch; nothing is encoded while nobody does."""

    def __init__(self, port: int) -> None:
        check_count(port, 0, 65535, "--preview-port")
        self._changed = threading.Condition()
        self._jpeg, self._number, self._watchers, self._closed = b"", 0, 0, False
        try:
            self._server = ThreadingHTTPServer((HOST, port), self._handler())
        except OSError as error:
            raise InputError(f"--preview-port must be free, got {port}: {error.strerror}. 0 takes any.") from None
        self._server.daemon_threads = True

    @property
    def address(self) -> str:
        """Where a browser finds the page."""
        return f"http://{HOST}:{self._server.server_address[1]}/"

    def __enter__(self) -> PreviewPage:
        threading.Thread(target=self._server.serve_forever, daemon=True, name="preview").start()
        console.print(f"preview at {self.address}")
        return self

    def __exit__(self, *_: object) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()

    def show(self, pixels: UInt8[np.ndarray, "h w 3"], _time_s: float = 0.0) -> None:
        """Show a frame to whoever watches, at once."""
        if self._watchers == 0:
            return
        stream = io.BytesIO()
        Image.fromarray(pixels).save(stream, "JPEG", quality=JPEG_QUALITY)
        with self._changed:
            self._jpeg, self._number = stream.getvalue(), self._number + 1
            self._changed.notify_all()

    def _next(self, number: int) -> tuple[bytes, int] | None:
        """The first frame after `number`, or None once the page has closed."""
        with self._changed:
            while self._number <= number and not self._closed:
                self._changed.wait(LOOK_UP_S)
            return None if self._closed else (self._jpeg, self._number)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        page = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/":
                    self._head("text/html; charset=utf-8")
                    self.wfile.write(PAGE)
                elif self.path == "/frames":
                    self._head(f"multipart/x-mixed-replace; boundary={BOUNDARY}")
                    page._stream_to(self.wfile)
                else:
                    self.send_error(404)

            def _head(self, kind: str) -> None:
                self.send_response(200)
                self.send_header("Content-Type", kind)
                self.send_header("Cache-Control", "no-store")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        return Handler

    def _stream_to(self, file: io.BufferedIOBase) -> None:
        self._count_watcher(1)
        number = 0
        try:
            while (found := self._next(number)) is not None:
                jpeg, number = found
                head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                file.write(head.encode() + jpeg + b"\r\n")
        except OSError:
            pass  # the browser has gone
        finally:
            self._count_watcher(-1)

    def _count_watcher(self, change: int) -> None:
        with self._changed:
            self._watchers += change
