"""A folder that a verb makes: new, and there whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rainsynth.checks import InputError


def check_new(folder: Path, option: str) -> None:
    """Raise InputError, that names the option, unless a folder is absent or empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(f"{option} must be a new or empty folder, got {str(folder)!r}.")


@contextmanager
def new_folder(folder: Path, option: str) -> Iterator[Path]:
    """The folder to write to, which stands at `folder` once all is done. InputError unless that is new or empty."""
    check_new(folder, option)
    part = folder.absolute().with_name(f".{folder.absolute().name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        yield part
        if folder.exists():
            folder.rmdir()
        part.replace(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)
