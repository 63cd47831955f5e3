"""`rainsynth export` and `rainsynth import`: shards as folders of PNGs, and folders of pairs as shards."""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from pipelines.make_shard import photograph_fingerprint, shard_record
from pipelines.pair_layouts import KNOWN, LAYOUTS, Layout, PairFiles, find_pairs, layout_of
from pipelines.photographs import sha256_of
from pipelines.plan import SHARD_PIXELS
from pipelines.progress import progress
from pipelines.run_records import FORMAT, FORMAT_VERSION, RunFolder, begin_run, check_new, room_on_disk
from rainsynth.checks import check_choice, check_count
from rainsynth.metrics import psnr_y
from rainsynth.shards.reader import ShardSet, check_shard, open_shards
from rainsynth.shards.schema import CODECS, SHARD_GLOB, code_version
from rainsynth.shards.writer import PlainPair, Provenance, write_shard

EXPORT_NAME, TABLE_NAME, META_NAME = "export.json", "parameters.csv", "meta_info.txt"
TARGETS = ("clean", "veiled")
PNG_LEVEL = 3  # of zlib: three times as fast as Pillow's 6, and photographs come out no larger
PAIRS_PER_SHARD = 32


def export(
    data_set: Path,
    to: Path,
    *,
    layout: str = "input-target",
    target: str = "clean",
    workers: int = 1,
    resume: bool = False,
) -> list[str]:
    """Write every pair of a data set as two PNGs, and its parameters as a table; returns remarks, one line each.

    A file appears when it is whole, so a stopped run goes on with `resume`, and two runs may share the work.
    """
    check_choice(layout, tuple(LAYOUTS), "layout")
    check_choice(target, TARGETS, "target")
    check_count(workers, 1, 256, "workers")
    shards, chosen = open_shards(data_set), LAYOUTS[layout]
    names = _names(shards, chosen)
    if target == "veiled":
        _ = shards.crop(0, 0, 0, 1).veiled_srgb8  # a layer that is missing shows before the first file
    head = {"layout": layout, "target": target, "pairs": len(shards), "table_sha256": _sha256(shards.table.tobytes())}
    if not resume:
        check_new(to, "--to")
    begin_run(to, EXPORT_NAME, head)
    _write_table(to / TABLE_NAME, shards, names)
    if layout == "basicsr":
        sizes = (shards.size_px(index) for index in range(len(shards)))
        lines = [f"{name}.png ({h},{w},3)" for name, (h, w) in zip(names, sizes, strict=True)]
        _write_whole(to / META_NAME, "".join(f"{line}\n" for line in lines).encode())

    def write(index: int) -> None:
        rainy, aim = (to / path for path in chosen.paths(names[index]))
        sample = shards[index]
        if not rainy.exists():
            _write_png(rainy, sample.rainy_srgb8)
        if not aim.exists():
            _write_png(aim, sample.clean_srgb8 if target == "clean" else sample.veiled_srgb8)

    with progress("export", len(shards)) as advance, ThreadPoolExecutor(workers) as pool:
        for _ in pool.map(write, range(len(shards))):
            advance()
    if chosen.most and len(shards) > chosen.most:
        return [f"{layout} reads the first {chosen.most} pairs of a folder; this one holds {len(shards)}"]
    return []


def import_pairs(
    folder: Path,
    to: Path,
    *,
    layout: str = "auto",
    profile: str = "default",
    fingerprints: bool = True,
    resume: bool = False,
) -> dict[str, Any]:
    """Write pairs of pictures as shards without layers and return their manifest.

    What is known of them: name, size and PSNR, and with `fingerprints` by what check-leak knows a target again. Their
    rate of rain is NaN, so training on them takes the curriculum "uniform". Raises InputError for a picture without
    partner, a pair of two sizes, and pictures that are not 8-bit.
    """
    check_choice(layout, ("auto", *KNOWN), "layout")
    check_choice(profile, tuple(CODECS), "profile")
    layout = layout_of(folder) if layout == "auto" else layout
    pairs = find_pairs(folder, KNOWN[layout])
    config: dict[str, Any] = {"imported_from": folder.resolve().name, "layout": layout, "profile": profile}
    config |= {"fingerprints": fingerprints, "pairs": len(pairs)}
    names = _sha256("\n".join(pair.name for pair in pairs).encode())
    head = {"format": FORMAT, "format_version": FORMAT_VERSION, "config": config, "code_version": code_version()}
    head |= {"samples": len(pairs), "names_sha256": names}
    run = RunFolder(to, resume, "--to")
    parts = {SHARD_GLOB.replace("*", f"{number:05d}"): part for number, part in enumerate(_parts(pairs))}
    with run.locked(), progress("import", len(pairs)) as advance:
        run.begin(head)
        for file, part in parts.items():
            if not run.recorded(file):
                if run.published(file):
                    check_shard(run.path / file)
                else:
                    _import_shard(run.path / file, folder, {index: pairs[index] for index in part}, config)
                run.record(shard_record(run.path, file, len(part)))
            advance(len(part))
        return run.finish(parts)


def _import_shard(path: Path, folder: Path, pairs: dict[int, PairFiles], config: dict[str, Any]) -> None:
    """Write pairs of one size, by their places in the folder, as one shard."""
    samples = [_read(pair, index) for index, pair in pairs.items()]
    origins = [
        Provenance(pair.target.relative_to(folder).as_posix(), sha256_of(pair.target)) for pair in pairs.values()
    ]
    fingerprints = None
    if config["fingerprints"]:
        targets = zip(origins, samples, strict=True)
        fingerprints = [photograph_fingerprint(origin.sha256, sample.clean_srgb8) for origin, sample in targets]
    write_shard(path, samples, origins, config, layers=(), profile=config["profile"], fingerprints=fingerprints)


def _parts(pairs: list[PairFiles]) -> Iterator[list[int]]:
    """Pairs of one size each, in the order of the folder, by their place in it."""
    sizes: dict[tuple[int, int], list[int]] = {}
    for place, pair in enumerate(pairs):
        sizes.setdefault((pair.height_px, pair.width_px), []).append(place)
    for (height_px, width_px), places in sizes.items():
        count = max(1, min(PAIRS_PER_SHARD, SHARD_PIXELS // (height_px * width_px)))
        yield from (places[first : first + count] for first in range(0, len(places), count))


def _read(pair: PairFiles, index: int) -> PlainPair:
    rainy, clean = pair.read()
    figures = {"rain_rate_mm_h": float("nan"), "psnr_y_db": float(psnr_y(rainy, clean))}
    return PlainPair(clean, rainy, {"index": index, "name": pair.name} | figures)


def _names(shards: ShardSet, layout: Layout) -> list[str]:
    """Names of the pairs: those they were imported with, where they are their own; else their places."""
    places = range(len(shards))
    if layout.numbered:
        return [str(place + 1) for place in places]
    if "name" in (shards.table.dtype.names or ()):
        names = [name.decode() for name in shards.table["name"]]
        if len(set(names)) == len(names):
            return names
    return [f"{place:06d}" for place in places]


def _write_table(path: Path, shards: ShardSet, names: list[str]) -> None:
    """Parameters of every pair as CSV; the names of columns hold their units."""
    columns = [name for name in shards.table.dtype.names or () if name != "name"]
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["name", *columns])
    for name, row in zip(names, shards.table, strict=True):
        values = (row[column] for column in columns)
        writer.writerow([name, *(value.decode() if isinstance(value, bytes) else value.item() for value in values)])
    _write_whole(path, text.getvalue().encode())


def _write_png(path: Path, picture_srgb8: UInt8[np.ndarray, "h w 3"]) -> None:
    data = io.BytesIO()
    Image.fromarray(picture_srgb8).save(data, format="png", compress_level=PNG_LEVEL)
    _write_whole(path, data.getvalue())


def _write_whole(path: Path, data: bytes) -> None:
    """A file whole or not at all; its unfinished form is this process's own."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    with room_on_disk():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(data)
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
