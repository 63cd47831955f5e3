"""A word to whoever waits while the renderer is compiled, once on each machine."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE_S = 2.0
logger = logging.getLogger("rainsynth")
_used = threading.Event()


@contextmanager
def first_use() -> Iterator[None]:
    """Log one line if the first picture of a process takes longer than two seconds: numba is compiling."""
    if _used.is_set():
        yield
        return
    message = "rainsynth is compiling its renderer; this happens once and takes about 15 s"
    timer = threading.Timer(PATIENCE_S, logger.warning, [message])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        _used.set()
