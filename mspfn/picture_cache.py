"""Decoded pictures, kept as far as memory goes: reading a file anew takes ten times as long as a window of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

CACHE_BYTES = 2**30  # of all pictures that a run keeps decoded

Picture = TypeVar("Picture")


class PictureCache(Generic[Picture]):
    """What `read` makes of a file, kept until all that is kept takes `limit_bytes`; what is more is read each time.

    `bytes_of` says how much memory one takes. Windows are drawn from everywhere, so keeping the last used instead
    would find no more of them. A copy sent to another process arrives empty.
    """

    def __init__(self, read: Callable[[Path], Picture], bytes_of: Callable[[Picture], int], limit_bytes: int) -> None:
        self._read, self._bytes_of, self.limit_bytes = read, bytes_of, limit_bytes
        self._kept: dict[Path, Picture] = {}
        self._kept_bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, path: Path) -> Picture:
        if path in self._kept:
            return self._kept[path]
        picture = self._read(path)
        if self._kept_bytes + self._bytes_of(picture) <= self.limit_bytes:
            self._kept[path] = picture
            self._kept_bytes += self._bytes_of(picture)
        return picture

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_kept": {}, "_kept_bytes": 0}
