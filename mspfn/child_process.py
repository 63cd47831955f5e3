"""A process that works for another one: on one thread, deaf to Ctrl-C, and gone when that one is."""

from __future__ import annotations

import os
import signal
from multiprocessing import parent_process
from multiprocessing.connection import wait
from threading import Thread

import cv2


def become_worker() -> None:
    """Make this process a worker of the one that started it, which hears Ctrl-C and ends it.

    PyTorch's threads are left to whoever loads PyTorch.
    """
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """Wait for the parent's end, a killed one's too, and leave: a worker would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
