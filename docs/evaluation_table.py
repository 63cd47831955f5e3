"""The tables of docs/evaluation.md: every network at hand, on all that there is to measure it on.

    python docs/evaluation_table.py --data DIR WEIGHTS [WEIGHTS ...] [--pictures N]

DIR holds benchmarks/rain100h-dev, benchmarks/rain100l-dev and real_rain; WEIGHTS are as `rainsynth evaluate --weights`
takes them, files or NAME=FILE. With --pictures only so many of each are taken, evenly spread: for a trial.
Networks of the page that are not named keep their rows, if the rainy pictures measure the same.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

from pipelines.bundled import HELD_OUT_PHOTOS, TRAINING_PHOTOS, unpack
from pipelines.evaluate import compare
from pipelines.evaluation.downstream import downstream, downstream_table
from pipelines.evaluation.figures import ALWAYS
from pipelines.evaluation.measure import clean_psnr_db
from pipelines.evaluation.methods import Method, check_names, networks
from pipelines.evaluation.pairs import Pair, Pictures, find_pairs, find_photographs, pair_of_sample
from pipelines.evaluation.summary import gain_table, harm_table, layer_table, method_table, real_table
from pipelines.picture_files import write_whole
from rainsynth import add_rain
from rainsynth.pictures import list_photos, read_photo
from rainsynth.presets import RAIN_CLASSES

PAGE = Path(__file__).with_name("evaluation.md")
SETS = ("rain100h", "rain100l")
TARGET = "veiled"  # for rendered rain: streaks are to be taken off, the veil kept
SEED = 1000  # of rendered rain: other drops than the demo trains on
DRAWS = 3  # rains of each class on each photograph
LAYERS = ("streak_alpha16", "transmission16")

KEYS = ("rain", "method", "layer", "photograph")  # columns that say what a row is of
BEFORE = ("rainy", "clean")  # rows that are of no network

Rows = list[dict[str, str]]


def bundled_pairs(folder: Path) -> Pictures[Pair]:
    """Rendered rain of every class on the bundled photographs that the demo does not train on."""
    unpack(HELD_OUT_PHOTOS, folder)
    photos = list_photos(folder)
    plan = [(photo, name, draw) for photo in photos for name in RAIN_CLASSES for draw in range(DRAWS)]
    names = [f"{photo.stem}, {name} {draw}" for photo, name, draw in plan]

    def read(index: int) -> Pair:
        photo, name, _ = plan[index]
        sample = add_rain(read_photo(photo), preset=name, seed=SEED, index=index)
        return pair_of_sample(names[index], sample, LAYERS, TARGET)

    sizes_px = {photo: read_photo(photo).shape[:2] for photo in photos}
    return Pictures(
        names=names,
        sizes_px=[sizes_px[photo] for photo, _, _ in plan],
        aliases=[(name,) for name in names],
        read=read,
    )


def clean_rows(folder: Path, methods: Sequence[Method], most: int) -> Rows:
    """PSNR-Y of every bundled photograph derained without any rain on it."""
    unpack((*HELD_OUT_PHOTOS, *TRAINING_PHOTOS), folder)
    photos = [(path.stem, read_photo(path)) for path in list_photos(folder)][:most]
    pairs = Pictures(
        names=[name for name, _ in photos],
        sizes_px=[photo.shape[:2] for _, photo in photos],
        aliases=[(name,) for name, _ in photos],
        read=lambda index: Pair(photos[index][0], photos[index][1], photos[index][1], photos[index][1]),
    )
    found = clean_psnr_db(pairs, methods)
    return [
        {"photograph": name} | {way: f"{values[index]:.2f}" for way, values in found.items()}
        for index, (name, _) in enumerate(photos)
    ]


def tables(data: Path, methods: Sequence[Method], most: int) -> dict[str, Rows]:
    """Every table by its mark on the page."""
    found: dict[str, Rows] = {}
    for name in SETS:
        pairs = find_pairs(data / "benchmarks" / f"{name}-dev", set_name=name).some(most)
        summaries = compare(pairs, methods, metrics=ALWAYS).summaries
        found |= {
            name: method_table(summaries),
            f"{name} gain": gain_table(summaries),
            f"{name} harm": harm_table(summaries),
        }
    with tempfile.TemporaryDirectory() as place:
        pairs = bundled_pairs(Path(place))
        summaries = compare(pairs.some(most), methods, metrics=ALWAYS).summaries
        found |= {"classes": method_table(summaries), "classes layers": layer_table(summaries)}
        found["classes harm"] = harm_table(summaries)
    real = find_photographs(data / "real_rain").some(most)
    found["real rain"] = real_table(compare(real, methods).summaries)
    with tempfile.TemporaryDirectory() as place:
        found["clean photographs"] = clean_rows(Path(place), methods, most)
    return found | {"downstream": downstream_table(downstream(methods))}


def replaced(page: str, name: str, rows: Rows) -> str:
    """The page with a table between its marks."""
    begin, end = f"<!-- begin: {name} -->\n", "<!-- end -->\n"
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(end)
    if not found or not ended:
        raise SystemExit(f"{PAGE.name} must hold the lines {begin.strip()!r} and {end.strip()!r}, got none.")
    old, _, _ = rest.partition(end)
    rows = merged(rows_of(old), rows)
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    table = "".join(f"| {' | '.join(line)} |\n" for line in lines)
    return f"{before}{begin}{table}{end}{after}"


def rows_of(table: str) -> Rows:
    """The rows of a table as this script writes them."""
    head, _, *lines = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()] or [[], []]
    return [dict(zip(head, line, strict=True)) for line in lines]


def merged(old: Rows, new: Rows) -> Rows:
    """New rows in the places of old ones of the same, others after the last of their rain; photographs gain columns."""
    rows = {key(row): row for row in old}
    if old and list(old[0]) != list(new[0]) and "photograph" not in new[0]:
        raise SystemExit(f"the page's columns must be {list(new[0])}, got {list(old[0])}. Take its rows out.")
    for row in new:
        known = rows.get(key(row), {})
        if known and known != row and any(name in key(row) for name in BEFORE):
            raise SystemExit(
                f"pictures of the page must be those measured now, got {known} and {row}. Name all networks."
            )
        rows[key(row)] = known | row
    rains = list(dict.fromkeys(row.get("rain") for row in rows.values()))
    return sorted(rows.values(), key=lambda row: rains.index(row.get("rain")))


def key(row: dict[str, str]) -> tuple[str, ...]:
    """What a row is of."""
    return tuple(row[name] for name in KEYS if name in row) or (next(iter(row.values())),)


def main() -> None:
    """Measure everything, then write all tables into the page at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="+", metavar="WEIGHTS")
    parser.add_argument("--data", type=Path, required=True, metavar="DIR")
    parser.add_argument("--pictures", type=int, default=10**9, metavar="N")
    parser.add_argument("--page", type=Path, default=PAGE, help="page to write; docs/evaluation.md unless given")
    options = parser.parse_args()
    methods = networks(options.weights)
    check_names(methods)
    page = options.page.read_text()
    for name, rows in tables(options.data, methods, options.pictures).items():
        page = replaced(page, name, rows)
    write_whole(options.page, page.encode())


if __name__ == "__main__":
    main()
