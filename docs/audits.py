"""Audits of Rain100H and Rain100L, and how far an audit can be trusted: the page docs/audits.md.

    python docs/audits.py DATA

DATA holds benchmarks/rain100h-dev and benchmarks/rain100l-dev, each with input/ and target/. Rewrites docs/audits.md:
both sets beside each other, blends recognised among rendered pairs, faults found that were planted. Two minutes.
"""

from __future__ import annotations

import io
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pipelines.audit import audit
from pipelines.audit_figures import FIGURES, blend_words
from pipelines.audit_report import AuditReport
from pipelines.bundled import HELD_OUT_PHOTOS, TRAINING_PHOTOS, unpack
from rainsynth import add_rain
from rainsynth.lookalikes import LOOKALIKES
from rainsynth.measure.alignment import find_alignment
from rainsynth.measure.blend import HYPOTHESES, find_blend
from rainsynth.measure.pair_audit import audit_pair
from rainsynth.pictures import list_photos, read_photo
from rainsynth.presets import PRESETS

PAGE = Path(__file__).with_name("audits.md")
SETS = {"Rain100H": "rain100h-dev", "Rain100L": "rain100l-dev"}
SIZE_PX = (320, 480)
PLANTED_PAIRS = 6

Picture = np.ndarray

TEXT = """# Audits: what two benchmark sets are made of

`rainsynth audit PAIRS` measures any paired set: how its rainy pictures were made, what the rain looks like, and what is
wrong with it. This page is its answer for 40 test pairs each of Rain100H and Rain100L (Yang et al. 2017, CVPR), and
says how far such an answer can be trusted. Every number is made by `python docs/audits.py DATA`.

    rainsynth audit rain100l-dev --json figures.json --html page.html

## What was found

{found}

So Rain100L and Rain100H differ in their streaks, not in how these are laid over the photograph: `min(255, B + S)` on
display codes, S grey and of whole codes, without veil, darkening or depth. Rain as light adds up is another thing
(docs/physics.md): drops cover what is behind them, a part of alpha, in linear light. A network trained on such pairs
has never seen rain that darkens a bright sky.

### Formulas

Each formula is fitted to every pair, and judged by what it misses by, its *residual*, over the equations that are left
to judge by; rounding to codes alone leaves 0.29. B is the clean picture, S or a the strength of a streak, free at every
pixel; E the light of the streaks, A that of the veil, one colour each; t is smooth. *In light* means that codes were
made linear first. Of formulas that miss no more than the best one (1.1 times as much; 1.2 times where all miss by more
than rounding) the simplest is named; one that holds a simpler one as a special case fits as well. What was not needed
was not tried: a simple formula was exact. Where noise or JPEG leaves more than a code to all, formulas are judged by
means over 8 px, in which both are lost.

{formulas}

### Figures

Median over the pairs, and 10 to 90 % of them.

{figures}

- Widths are full widths at half maximum of the autocorrelation across the streaks, lengths the base of the triangle it
  falls along them, so bright and large streaks count most. Other ways to measure give other widths.
- A direction is a ridge of the autocorrelation between 6 and 33 px with at least 0.3 of the highest one's energy;
  layers less than about 5 degrees apart are one ridge, so a picture may hold more directions than are counted.
- Angles are from vertical, positive where the lower end of a streak lies to the right.
- Coverage is of the pixels where S is known: those with a channel below 255.

### Faults and odd pictures

{faults}

A mean over 40 pictures of which three stand twice is one over 37 photographs.

## How far to trust it

### Blends of rendered pairs

{photos} bundled photographs ({height} x {width} px at most), each under every preset, where the truth is known:
look-alikes blend on display codes, physical presets as alpha in linear light behind which there is a veil of nearly the
drops' own light. *Right* means that the named blend is that of the generator, and so is the space. Alpha with a veil of
its own light is alpha at every pixel; it is called *alpha and veil* where it covers 3 % between streaks as well.

{recognised}

What a pair cannot tell:

- In grey pictures red, green and blue are one equation, which every streak fits: *additive or screen*, undecided.
- Before dark backgrounds additive, screen and alpha of white light are one, since they differ by B S / 255.
- t is smooth: 28 nodes down and 6 across. A veil with the edges of a depth map counts as alpha with a veil where depth
  jumps.
- Streaks whose light changes over the picture are fitted with one light.

After JPEG of quality 75 the same rainy pictures give this; where a veil is faint, alpha alone is as good.

{compressed}

### Planted faults

{planted_pairs} pairs of Rain100H, the set whose pictures are hidden most. *Found* counts pairs with any alignment fault
or compressed side named; *error* is the largest miss of the planted shift (px), scale or turn (degrees) among them.

{planted}

Not found: shifts under 0.35 px; sides compressed by JPEG whose blocks do not begin at the corner; clean sides
compressed at high quality in small pictures. Targets of one photograph are known again when cropped, turned, mirrored
or scaled (`rainsynth check-leak`), not when squeezed along one side.

An audit took {seconds:.2f} s a pair of 480 x 320 px on one core, without the comparison of targets.
"""


def found_lines(reports: dict[str, AuditReport]) -> str:
    """What an audit says first, set by set."""
    return "\n".join(f"- **{name}**: {'; '.join(report.lines())}." for name, report in reports.items())


def markdown(rows: list[dict[str, str]]) -> str:
    """Rows of equal columns as a table."""
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(row.values()) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def formulas(reports: dict[str, AuditReport]) -> str:
    """Table of what each formula of blending leaves unexplained [codes]."""
    residuals = {name: report.formula_residuals() for name, report in reports.items()}
    rows = []
    for formula in HYPOTHESES:
        told = {
            name: f"{found[formula]:.2f}" if formula in found else "not needed" for name, found in residuals.items()
        }
        rows.append({"formula": formula} | {f"{name}, codes": cell for name, cell in told.items()})
    return markdown(rows)


def figures(reports: dict[str, AuditReport]) -> str:
    """Table of medians, with their 10th and 90th percentiles over the pairs."""
    rows = []
    for figure, (title, form, _) in FIGURES.items():
        cells = {}
        for name, report in reports.items():
            values = report.column(figure)
            values = values[np.isfinite(values)]
            low, median, high = np.percentile(values, (10, 50, 90))
            cells[name] = f"{median:{form}} ({low:{form}} to {high:{form}})"
        rows.append({"figure": title} | cells)
    counts = {
        name: ", ".join(f"{n} in {pairs}" for n, pairs in sorted(Counter(report.column("direction_count")).items()))
        for name, report in reports.items()
    }
    counts = {name: told.replace(".0 in", " in") for name, told in counts.items()}
    means = {name: f"{np.mean(report.column('psnr_y_db')):.3f}" for name, report in reports.items()}
    return markdown([{"figure": "mean PSNR-Y (dB)"} | means, *rows, {"figure": "pairs by directions"} | counts])


def faults(reports: dict[str, AuditReport]) -> str:
    """Faults of the sets and pairs unlike the rest, a line each."""
    lines = []
    for name, report in reports.items():
        lines += [f"- {name}: {line}." for line in report.faults] or [f"- {name}: no fault."]
        lines += [f"- {name}, odd: {line}." for line in report.odd()]
    return "\n".join(lines)


def photographs() -> list[Picture]:
    """The bundled photographs, the same size each."""
    with tempfile.TemporaryDirectory() as folder:
        unpack(TRAINING_PHOTOS + HELD_OUT_PHOTOS, Path(folder))
        found = [read_photo(path) for path in list_photos(Path(folder))]
    return [np.ascontiguousarray(photo[: SIZE_PX[0], : SIZE_PX[1]]) for photo in found]


def recognised(photos: list[Picture], presets: Sequence[str], change: Callable[[Picture], Picture]) -> str:
    """How many photographs are recognised under each preset once `change` was made, and what was found."""
    truth = {"rain100l": "additive", "rain100h": "additive", "outdoor-rain": "additive and veil"}
    rows = []
    for preset in presets:
        space = "display codes" if preset in LOOKALIKES else "linear light"
        right = {truth.get(preset, "alpha and veil")} | ({"alpha"} if preset in PRESETS else set())
        samples = (add_rain(photo, preset=preset, seed=0, index=index) for index, photo in enumerate(photos))
        blends = [find_blend(change(sample.rainy_srgb8), sample.clean_srgb8) for sample in samples]
        named = Counter(blend_words(one) for one in blends)
        rows.append(
            {
                "preset": f"`{preset}`",
                "right": _count([one.decided and one.blend in right and one.space == space for one in blends]),
                "found": "; ".join(f"{words}: {count}" for words, count in named.most_common()),
                "median residual, codes": f"{np.median([one.residual_codes for one in blends]):.2f}",
            }
        )
    return markdown(rows)


def moved(
    right_px: float = 0, down_px: float = 0, scale: float = 1, turn_deg: float = 0
) -> Callable[[Picture], Picture]:
    """A change: scale and turn about the middle, then a shift; bilinear."""

    def change(picture: Picture) -> Picture:
        height, width = picture.shape[:2]
        matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -turn_deg, scale)
        matrix[:, 2] += right_px, down_px
        return cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)

    return change


def jpeg(quality: int) -> Callable[[Picture], Picture]:
    """A change: through a JPEG file."""

    def change(picture: Picture) -> Picture:
        stream = io.BytesIO()
        Image.fromarray(picture).save(stream, "JPEG", quality=quality)
        return np.array(Image.open(stream))

    return change


def planted(pairs: list[tuple[Picture, Picture]]) -> str:
    """Table of faults that were put into aligned pairs: how many were found, and how far off."""
    rows = [{"planted": "nothing", "found": _count([not find_alignment(*pair).aligned for pair in pairs]), "error": ""}]
    for right, down in ((1, 0), (2, -3), (0.5, 0), (0, 0.5), (40, -25)):
        rows.append(
            _moved_row(f"shift by ({right}, {down}) px", pairs, moved(right, down), ("shift_px", (right, down)))
        )
    for scale in (0.98, 1.05, 1.25):
        rows.append(_moved_row(f"scale by {scale}", pairs, moved(scale=scale), ("scale", scale)))
    rows.append(_moved_row("turn by 1 degree", pairs, moved(turn_deg=1), ("turn_deg", 1)))
    for name, order in (("mirrored left to right", np.s_[:, ::-1]), ("mirrored upside down", np.s_[::-1])):
        found = [find_alignment(np.ascontiguousarray(rainy[order]), clean).fault() for rainy, clean in pairs]
        rows.append({"planted": name, "found": _count([fault.startswith(name) for fault in found]), "error": ""})
    wide = [pair for pair in pairs if pair[0].shape == pairs[0][0].shape]
    others = [find_alignment(one[0], other[1]) for one, other in pairwise(wide)]
    rows.append(
        {"planted": "another picture's target", "found": _count([not one.same_scene for one in others]), "error": ""}
    )
    for quality in (90, 75):
        change = jpeg(quality)
        sides = [audit_pair(change(rainy), clean).compressed_side == "rainy" for rainy, clean in pairs]
        rows.append({"planted": f"rainy side through JPEG {quality}", "found": _count(sides), "error": ""})
        sides = [audit_pair(rainy, change(clean)).compressed_side == "clean" for rainy, clean in pairs]
        rows.append({"planted": f"clean side through JPEG {quality}", "found": _count(sides), "error": ""})
    return markdown(rows)


def _moved_row(
    name: str,
    pairs: list[tuple[Picture, Picture]],
    change: Callable[[Picture], Picture],
    planted_number: tuple[str, object],
) -> dict[str, str]:
    found = [find_alignment(change(rainy), clean) for rainy, clean in pairs]
    figure, truth = planted_number
    errors = [float(np.linalg.norm(np.subtract(getattr(one, figure), truth))) for one in found]
    return {"planted": name, "found": _count([not one.aligned for one in found]), "error": f"{max(errors):.3f}"}


def _count(found: list[bool]) -> str:
    return f"{sum(found)} of {len(found)}"


def read_pairs(folder: Path) -> Iterator[tuple[Picture, Picture]]:
    for path in list_photos(folder / "input"):
        yield read_photo(path), read_photo(folder / "target" / path.name)


def seconds_a_pair(pairs: list[tuple[Picture, Picture]]) -> float:
    started = time.process_time()
    for pair in pairs:
        audit_pair(*pair)
    return (time.process_time() - started) / len(pairs)


def main() -> None:
    """Write the page."""
    benchmarks = Path(sys.argv[1]) / "benchmarks"
    cv2.setNumThreads(1)
    reports = {name: audit(benchmarks / folder) for name, folder in SETS.items()}
    photos = photographs()
    pairs = list(read_pairs(benchmarks / SETS["Rain100H"]))[: 2 * PLANTED_PAIRS : 2]
    parts = {
        "found": found_lines(reports),
        "formulas": formulas(reports),
        "figures": figures(reports),
        "faults": faults(reports),
        "recognised": recognised(photos, (*LOOKALIKES, *PRESETS), lambda rainy: rainy),
        "compressed": recognised(photos, (*LOOKALIKES, "heavy"), jpeg(75)),
        "planted": planted(pairs),
        "seconds": seconds_a_pair(pairs),
    }
    PAGE.write_text(
        TEXT.format(photos=len(photos), height=SIZE_PX[0], width=SIZE_PX[1], planted_pairs=len(pairs), **parts),
        encoding="utf-8",
    )


if __name__ == "__main__":
    main()
