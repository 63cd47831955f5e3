"""The web server of `rainsynth rate`: a page, its three questions to the server, and pictures; on tornado."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import socket
import sqlite3
import threading
from collections.abc import Callable
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from tornado.httpserver import HTTPServer
from tornado.log import access_log
from tornado.netutil import bind_sockets
from tornado.web import Application, HTTPError, RequestHandler

from pipelines.rate.room import ADDRESS_LETTERS, RatingRoom
from rainsynth.checks import InputError, check_count

MOST_BODY_BYTES = 4096  # an answer has about 100
MOST_HEADER_BYTES = 16384
BODY_TIMEOUT_S, IDLE_TIMEOUT_S = 10, 300
LOOK_UP_S = 1.0  # between looks at whether the server has ended
EVERYWHERE = ("0.0.0.0", "::")
PAGE_FILES = {
    "/": ("page.html", "text/html"), "/page.css": ("page.css", "text/css"), "/page.js": ("page.js", "text/javascript")
}  # fmt: skip
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}
HTTP_FORBIDDEN, HTTP_NOT_FOUND, HTTP_UNAVAILABLE, HTTP_ERROR = 403, 404, 503, 500


def own_host(header: str, host: str) -> bool:
    """Whether a request's Host header is ours, the server being bound to `host`.

    A page elsewhere whose name is made to point at this machine (DNS rebinding) sends that name. So numbers, which
    nobody can point elsewhere, and this machine's own names are ours, and every other name is foreign. Ports are free:
    a tunnel may have another.
    """
    name = (urlsplit(f"//{header}").hostname or "").lower()
    if name in {"localhost", host.lower()} or (not is_loopback(host) and name == socket.gethostname().lower()):
        return bool(name)
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that is bound to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guarded(RequestHandler):
    """What all answers have in common: headers, and that the request is from our own page."""

    def set_default_headers(self) -> None:
        self.clear_header("Server")
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def compute_etag(self) -> str | None:
        return None  # equal tags would tell which pictures are of one file

    def prepare(self) -> None:
        try:
            ours = own_host(self.request.host, self.settings["host"])
        except ValueError:  # such as a bracket that does not close
            ours = False
        if not ours:
            raise HTTPError(HTTP_FORBIDDEN, reason="Foreign Host")
        if self.request.method == "POST" and not self._from_our_page():
            raise HTTPError(HTTP_FORBIDDEN, reason="Foreign Origin")

    def _from_our_page(self) -> bool:
        """Whether a POST names our own address as its origin, which browsers let no other page do, and is JSON."""
        origin = self.request.headers.get("Origin", "")
        kind = self.request.headers.get("Content-Type", "").partition(";")[0].strip()
        return origin in {f"{scheme}://{self.request.host}" for scheme in ("http", "https")} and kind == (
            "application/json"
        )

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self.finish({"error": self._reason})


class NotFound(Guarded):
    """Every address that is none of ours."""

    def prepare(self) -> None:
        super().prepare()
        raise HTTPError(HTTP_NOT_FOUND)


class PageFile(Guarded):
    """The page, its style and its program."""

    def get(self) -> None:
        name, kind = PAGE_FILES[self.request.path]
        self.set_header("Content-Type", f"{kind}; charset=utf-8")
        self.finish(files("pipelines.rate").joinpath(name).read_bytes())


class Question(Guarded):
    """A POST of JSON to which the answer is a rater's new state: begin, answer, undo."""

    def initialize(self, ask: Callable[..., dict[str, Any]], names: dict[str, Any]) -> None:
        self.ask, self.names = ask, names

    def post(self) -> None:
        try:
            self.finish(self.ask(**self._arguments()))
        except InputError as error:
            self.set_status(400)
            self.finish({"error": str(error)})
        except sqlite3.Error as error:
            self.set_status(HTTP_UNAVAILABLE)  # the page tries again
            self.finish({"error": f"the answer could not be stored: {error}"})

    def _arguments(self) -> dict[str, Any]:
        try:
            given = json.loads(self.request.body)
        except (ValueError, RecursionError):
            raise InputError("the request must be JSON.") from None
        if not isinstance(given, dict) or set(given) != set(self.names):
            raise InputError(f"the request must have {', '.join(self.names)}.")
        for name, kind in self.names.items():
            if not isinstance(given[name], kind) or isinstance(given[name], bool):
                raise InputError(f"{name} must be of another type, got {type(given[name]).__name__}.")
        return given


class Picture(Guarded):
    """A picture that someone is shown now; read in a thread, so that nobody waits for another's."""

    async def get(self, address: str) -> None:
        picture = self.settings["room"].picture(address)
        if picture is None:
            raise HTTPError(HTTP_NOT_FOUND)
        try:
            content, kind = await asyncio.to_thread(picture)
        except (InputError, OSError):
            raise HTTPError(HTTP_NOT_FOUND) from None
        self.set_header("Content-Type", kind)
        self.set_header("Cache-Control", "private, max-age=3600")  # what was fetched ahead is shown at once
        self.finish(content)


def application(room: RatingRoom, host: str) -> Application:
    """The page and its server as a tornado application."""
    number, seconds = {"number": int}, {"seconds": (int, float)}
    questions: dict[str, tuple[Callable[..., dict[str, Any]], dict[str, Any]]] = {
        "/begin": (room.state, {"rater": str}),
        "/answer": (room.answer, {"rater": str} | number | {"answer": str} | seconds),
        "/undo": (room.undo, {"rater": str} | number),
    }
    return Application(
        [
            *((path.replace(".", r"\."), PageFile) for path in PAGE_FILES),
            *((path, Question, {"ask": ask, "names": names}) for path, (ask, names) in questions.items()),
            (rf"/picture/([0-9a-f]{{{ADDRESS_LETTERS}}})", Picture),
        ],
        default_handler_class=NotFound,
        log_function=_log_own_faults,
        host=host,
        room=room,
    )


def _log_own_faults(handler: RequestHandler) -> None:
    if handler.get_status() >= HTTP_ERROR:
        access_log.error("%d %s", handler.get_status(), handler.request.path)


class RatingServer:
    """Serves a room from a thread of its own, from `with` to its end."""

    def __init__(self, room: RatingRoom, host: str, port: int) -> None:
        check_count(port, 0, 65535, "--port")
        try:
            self._sockets = bind_sockets(port, address=host)
        except OSError as error:
            raise InputError(
                f"--host and --port must be free to serve at, got {host} and {port}: {error.strerror}. "
                "Port 0 takes any that is free."
            ) from None
        self._application = application(room, host)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="rate")
        shown = socket.gethostname() if host in EVERYWHERE else f"[{host}]" if ":" in host else host
        self.port = self._sockets[0].getsockname()[1]
        self.address = f"http://{shown}:{self.port}/"

    def __enter__(self) -> RatingServer:
        self._thread.start()
        self._ready.wait()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def wait(self) -> None:
        """Serve until Ctrl-C."""
        try:
            while self._thread.is_alive():
                self._thread.join(LOOK_UP_S)  # without a limit, Ctrl-C would not be heard everywhere
        except KeyboardInterrupt:
            return

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        finally:
            self._ready.set()  # nobody waits for a server that could not start

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = HTTPServer(
            self._application,
            max_body_size=MOST_BODY_BYTES,
            max_header_size=MOST_HEADER_BYTES,
            body_timeout=BODY_TIMEOUT_S,
            idle_connection_timeout=IDLE_TIMEOUT_S,
        )
        server.add_sockets(self._sockets)
        self._ready.set()
        await self._stop.wait()
        server.stop()
        await server.close_all_connections()
