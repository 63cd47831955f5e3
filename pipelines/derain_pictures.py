"""`rainsynth derain` for pictures: rain off one, or off all of a folder, which keeps its tree and names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import UInt8, UInt16

from pipelines.picture_encoding import FORMATS, format_of
from pipelines.picture_files import PictureFile, check_holds, read_picture_file, write_picture_file
from pipelines.progress import Advance, progress
from rainsynth.checks import InputError, check_count
from rainsynth.pictures import PHOTO_SUFFIXES, list_photos

Pictures = UInt8[np.ndarray, "n h w 3"] | UInt16[np.ndarray, "n h w 3"]
Restore = Callable[[Pictures], Pictures]  # takes the rain off pictures of one size

COMPARED = "_compare"  # added to the name of an output for its side-by-side
GAP_PX = 4  # white, between the two pictures of a side-by-side; even, as films want their sides
MAX_BATCH = 1024
HELD_BATCHES = 4  # pictures of other sizes that wait for their like, in batches


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A picture to read, the picture to write, and where its side-by-side goes, if one is wanted."""

    source: Path
    target: Path
    compared: Path | None = None

    @property
    def done(self) -> bool:
        """Whether all that it writes is there."""
        return self.target.exists() and (self.compared is None or self.compared.exists())


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How many pictures were written, how many were there already, and a line for each that could not be read."""

    written: int = 0
    found: int = 0
    broken: tuple[str, ...] = ()


def derain_pictures(source: Path, output: Path, restore: Restore, *, batch: int = 1, compare: bool = False) -> Outcome:
    """Derain a picture to a picture, or a folder to a folder with the same tree and names.

    What is in the output already is left as it is, so a stopped run goes on; the input is never overwritten. A picture
    of a folder that cannot be read is named in the outcome and the others go on; one that was asked for by name, or a
    folder without any that can be read, is an InputError. `compare` writes side-by-sides too: `compared_path`.
    """
    check_count(batch, 1, MAX_BATCH, "--batch")
    jobs = _jobs(source, output, compare)
    missing, broken = [job for job in jobs if not job.done], list[str]()
    with progress("derain", len(jobs), len(jobs) - len(missing)) as advance:
        for group in _groups(_read(missing, broken if source.is_dir() else None, advance), batch):
            _derain_group(group, restore)
            advance(len(group))
    if broken and len(broken) == len(jobs):
        raise InputError(f"{source} must hold a picture that can be read, got none. The first: {broken[0]}")
    return Outcome(written=len(missing) - len(broken), found=len(jobs) - len(missing), broken=tuple(broken))


def is_picture(path: Path) -> bool:
    """Whether a file's name is that of a picture."""
    return path.suffix.lower() in PHOTO_SUFFIXES


def compared_path(output: Path) -> Path:
    """Where the side-by-side of an output goes: beside it, out.png -> out_compare.png, a folder out -> out_compare."""
    return output.with_name(f"{output.stem}{COMPARED}{output.suffix}")


def side_by_side(rainy: np.ndarray, derained: np.ndarray) -> np.ndarray:
    """Rainy and derained picture beside each other, (..., H, W, 3) each -> (..., H, 2 W + 4, 3), white between them."""
    gap = np.full((*rainy.shape[:-2], GAP_PX, 3), np.iinfo(rainy.dtype).max, rainy.dtype)
    return np.concatenate([rainy, gap, derained], axis=-2)


def check_output(source: Path, output: Path) -> None:
    """Raise InputError where an output is its input, by whatever name."""
    linked = output.exists() and source.exists() and output.samefile(source)
    if linked or output.resolve() == source.resolve():
        raise InputError(f"--output must not be the input, got {str(output)!r}, which is {str(source)!r}.")


def _jobs(source: Path, output: Path, compare: bool) -> list[Job]:
    if not source.is_dir():
        target = output / source.name if output.is_dir() else output
        format_of(target)  # refuses what cannot be written
        check_output(source, target)
        return [Job(source=source, target=target, compared=compared_path(target) if compare else None)]
    if output.is_file() or (not output.exists() and output.suffix.lower() in FORMATS):
        raise InputError(f"--output must be a folder where the input is one, got {str(output)!r}.")
    folders = [output, output.with_name(f"{output.name}{COMPARED}")] if compare else [output]
    if any(folder.resolve().is_relative_to(source.resolve()) for folder in folders):
        raise InputError(f"--output must lie outside the input folder, got {str(output)!r}.")
    jobs = []
    for photo in list_photos(source):
        target, *compared = (folder / photo.relative_to(source) for folder in folders)
        job = Job(source=photo, target=target, compared=compared[0] if compared else None)
        check_output(photo, job.target)
        jobs.append(job)
    return jobs


def _read(jobs: Sequence[Job], broken: list[str] | None, advance: Advance) -> Iterator[tuple[Job, PictureFile]]:
    """Jobs with their pictures; a line in `broken` for each that cannot be read, an InputError where that is None."""
    for job in jobs:
        try:
            picture = read_picture_file(job.source)
            check_holds(job.target, picture)
        except InputError as error:
            if broken is None:
                raise
            broken.append(str(error))
            advance()
        else:
            yield job, picture


def _groups(read: Iterator[tuple[Job, PictureFile]], size: int) -> Iterator[list[tuple[Job, PictureFile]]]:
    """Pictures of equal size and depth, at most `size` together; a few of other sizes wait meanwhile."""
    waiting: dict[tuple[object, ...], list[tuple[Job, PictureFile]]] = {}
    for job, picture in read:
        key = (picture.pixels.shape, picture.deep)
        waiting.setdefault(key, []).append((job, picture))
        if len(waiting[key]) == size:
            yield waiting.pop(key)
        elif sum(map(len, waiting.values())) >= HELD_BATCHES * size:
            yield waiting.pop(max(waiting, key=lambda kind: len(waiting[kind])))
    yield from waiting.values()


def _derain_group(group: Sequence[tuple[Job, PictureFile]], restore: Restore) -> None:
    derained = restore(np.stack([picture.pixels for _, picture in group]))
    for (job, picture), pixels in zip(group, derained, strict=True):
        if job.compared is not None:
            both = side_by_side(picture.pixels, pixels)
            write_picture_file(job.compared, PictureFile(pixels=both, icc=b"" if picture.grey else picture.icc))
        write_picture_file(job.target, replace(picture, pixels=pixels))
