"""Progress of long work: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

SECONDS_BETWEEN_LINES = 10.0

console = Console(highlight=False, soft_wrap=True)


class Advance(Protocol):
    """Says that `count` more items are done; `note` is shown beside the bar."""

    def __call__(self, count: int = 1, note: str = "") -> None: ...


@contextmanager
def progress(title: str, total: int, done: int = 0) -> Iterator[Advance]:
    """Progress over `total` items, of which `done` were done before."""
    if console.is_terminal:
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=console,
        ) as bar:
            task = bar.add_task(title, total=total, completed=done, note="")

            def advance_bar(count: int = 1, note: str = "") -> None:
                bar.update(task, advance=count, note=note)

            yield advance_bar
        return
    yield _plain_lines(title, total, done)


def _plain_lines(title: str, total: int, done: int) -> Advance:
    started = said = time.monotonic()
    before = done

    def advance(count: int = 1, note: str = "") -> None:
        nonlocal done, said
        done += count
        now = time.monotonic()
        if now - said < SECONDS_BETWEEN_LINES and done < total:
            return
        said = now
        rate = (done - before) / max(now - started, 1e-9)
        left_s = (total - done) / rate if rate > 0 else float("inf")
        console.print(f"{title}: {done}/{total}, {rate:.1f}/s, {left_s:.0f} s left {note}".rstrip())

    return advance
