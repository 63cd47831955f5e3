"""Every method on every picture: read, derained and measured, ahead in threads, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from pipelines.audit_pairs import pixels_sha256, spread
from pipelines.evaluation.ahead import in_order
from pipelines.evaluation.figures import EQUAL_DB, Judge, Row
from pipelines.evaluation.methods import Method
from pipelines.evaluation.pairs import Pair, Picture, Pictures
from pipelines.progress import progress
from rainsynth.metrics import psnr_y
from rainsynth.pictures import read_photo

MOST_CLEAN = 20  # clean pictures that networks are tried on
Keep = Callable[[int, int, Picture], None]  # number of the picture, of the method, and what came out


def measure(
    pictures: Pictures[Any],
    methods: Sequence[Method],
    judge: Callable[[Any], Judge],
    *,
    threads: int,
    keep: Keep | None = None,
) -> dict[str, list[Row]]:
    """Figures of every method, picture by picture; the same on any number of threads.

    Pictures are read in threads, and results from files measured there too; networks derain one after the other. `keep`
    sees what networks make.
    """

    def prepared(index: int) -> tuple[Any, Judge, dict[str, Row]]:
        one = pictures.read(index)
        judged = judge(one)
        return one, judged, {way.name: judged(read_photo(way.files[index])) for way in methods if way.files}

    rows: dict[str, list[Row]] = {method.name: [] for method in methods}
    with progress("evaluate", len(pictures)) as advance:
        for index, (one, judged, found) in enumerate(in_order(prepared, len(pictures), threads)):
            for number, method in enumerate(methods):
                if method.restore is not None:
                    derained = method.restore(one.rainy_srgb8)
                    found[method.name] = judged(derained)
                    if keep is not None:
                        keep(index, number, derained)
                rows[method.name].append(found[method.name])
            advance()
    return rows


def clean_psnr_db(pairs: Pictures[Pair], methods: Sequence[Method], most: int = MOST_CLEAN) -> dict[str, list[float]]:
    """PSNR-Y [dB] of derain(clean) against clean for every network, on at most `most` clean pictures of its own size.

    Pairs are evenly spread, each clean picture counts once; 100 dB where it came back as it was.
    """
    networks = {method.name: method.restore for method in methods if method.restore is not None}
    found: dict[str, list[float]] = {name: [] for name in networks}
    chosen = spread(len(pairs), most) if networks else []
    with progress("derain clean pictures", len(chosen)) as advance:
        for clean, times in _once(pairs.read(index).clean_srgb8 for index in chosen):
            for name, restore in networks.items() if times == 1 else ():
                found[name].append(min(psnr_y(restore(clean), clean), EQUAL_DB))
            advance()
    return found


def _once(pictures: Iterator[Picture]) -> Iterator[tuple[Picture, int]]:
    """Every picture, and how often it was there so far."""
    seen: Counter[str] = Counter()
    for picture in pictures:
        digest = pixels_sha256(picture)
        seen[digest] += 1
        yield picture, seen[digest]
