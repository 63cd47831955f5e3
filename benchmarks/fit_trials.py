"""How far `rainsynth fit` is off, and how often its 90 % intervals hold the truth: trials on rain that is known.

    python benchmarks/fit_trials.py CLEAN HELD_OUT --out trials.jsonl [--trials 50] [--family noise] [--auto] [--whole]

CLEAN is a folder of clean photographs to simulate on, HELD_OUT one of others, of 10 at the least, of which each trial's
40 rainy pictures are made, with rain of a place: numbers and their spread from picture to picture are drawn by chance
for every trial. With --family physical, field of view, exposure and depth are given to the fit, as a camera's owner
would; else lines or clipped noise, added in one half of the trials and screened in the other. With --auto these are
fitted without saying of which family they are. By default the fit is `--quick`.
Trials go on from those in trials.jsonl. Errors are of the mean over the 40 pictures: in percent, but for directions in
degrees.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pipelines.fit import AUTO, PICTURES_OF_ROUNDS, QUICK_PICTURES_OF_ROUNDS, Fit, FitOptions, fit
from pipelines.fit_camera import given_camera
from pipelines.fit_families import BASE_PRESET, FAMILIES, FINDINGS_OF, LINES, NOISE, PHYSICAL, STREAKS_OF, findings
from rainsynth.lookalikes import LineKind, LineRain, LookAlike
from rainsynth.named_rain import render_preset
from rainsynth.pictures import list_photos, read_photo, write_picture
from rainsynth.presets import PRESETS, Preset, with_ranges
from rainsynth.scene.background import Background

PICTURES = 40
DEPTH_M = 30.0  # of physical trials: a wall
TOLD_ALONE = {  # beside the findings of the family
    LINES: ("direction_deg",),
    NOISE: ("direction_deg", "length_px", "grain_px", "level_codes"),
    PHYSICAL: ("rain_rate_mm_h", "sky_linear"),
}

Record = dict[str, Any]


def log_even(rng: np.random.Generator, low: float, high: float) -> float:
    """Evenly in the logarithm."""
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def around(middle: float, factor: float) -> dict[str, Any]:
    """A range to a factor on either side."""
    return {"low": middle / factor, "high": middle * factor, "scale": "logarithmic"}


def lines_of_a_place(rng: np.random.Generator) -> LineRain:
    """Lines as one place or set might have them, up to 5 degrees (one standard deviation) about their direction."""
    middle_deg, half_deg = rng.uniform(-25, 25), rng.uniform(0, 5 * 3**0.5)
    ranges = {
        "direction_deg": [middle_deg - half_deg, middle_deg + half_deg],
        "streak_scatter_deg": rng.uniform(0.3, 3),
        "layer_coverage_fraction": around(log_even(rng, 0.06, 0.45), 1.3),
        "layer_count": int(rng.integers(1, 3)),
        "length_px": around(log_even(rng, 15, 70), 1.3),
        "length_log_sd": 0.4,
        "width_px": around(log_even(rng, 1.1, 3), 1.2),
        "width_log_sd": 0.3,
        "level_codes": around(log_even(rng, 25, 80), 1.3),
        "level_log_sd": rng.uniform(0.3, 1),
        "edge_px": rng.uniform(0.6, 2),
        "taper_fraction": rng.uniform(0.05, 0.5),
    }
    return LineRain(blend="screen" if rng.random() < 0.5 else "additive", kinds=(LineKind(ranges=ranges),))


def noise_of_a_place(rng: np.random.Generator) -> LineRain:
    """Clipped noise as one place or set might have it, directions likewise."""
    middle_deg, half_deg = rng.uniform(-25, 25), rng.uniform(0, 5 * 3**0.5)
    ranges = {
        "direction_deg": [middle_deg - half_deg, middle_deg + half_deg],
        "layer_coverage_fraction": around(log_even(rng, 0.12, 0.55), 1.2),
        "layer_count": int(rng.integers(1, 4)),
        "layer_scatter_deg": rng.uniform(0.3, 4),
        "length_px": around(log_even(rng, 30, 150), 1.3),
        "grain_px": around(log_even(rng, 1.25, 2.5), 1.15),
        "grains_per_length": around(log_even(rng, 0.7, 12), 1.3),
        "ramp_fraction": around(log_even(rng, 0.2, 2), 1.3),
        "level_codes": around(log_even(rng, 30, 100), 1.2),
        "faint_coverage_fraction": rng.uniform(0, 0.5),
        "faint_level_codes": rng.uniform(7, 20),
        "layer_size_log_sd": rng.uniform(0, 0.5),
    }
    blend = "screen" if rng.random() < 0.5 else "additive"
    return LineRain(blend=blend, streaks=STREAKS_OF[NOISE], kinds=(LineKind(ranges=ranges),))


OF_A_PLACE = {LINES: lines_of_a_place, NOISE: noise_of_a_place}


def physical_of_a_place(rng: np.random.Generator) -> dict[str, Any]:
    """Physical rain of 25 to 100 mm/h as a camera of 1/250 s or shorter may meet it."""
    rate_mm_h, sky = log_even(rng, 28, 90), log_even(rng, 1.5, 4)
    exposure_s, view_deg = log_even(rng, 1 / 2000, 1 / 250), log_even(rng, 15, 50)
    return {
        "rain_rate_mm_h": (rate_mm_h / 1.1, rate_mm_h * 1.1),
        "wind_right_m_s": tuple(sorted(rng.uniform(-4, 4) + np.array([-0.5, 0.5]))),
        "exposure_s": (exposure_s, exposure_s),
        "field_of_view_deg": (view_deg, view_deg),
        "mist_per_km": tuple(np.full(2, rng.uniform(0, 4))),
        "sky_linear": (sky / 1.1, sky * 1.1),
    }


def rainy_pictures(
    folder: Path, photographs: list[Path], rain: Preset | LookAlike, seed: int, family: str
) -> dict[str, np.ndarray]:
    """Write the rainy pictures of a trial; what is true of each, by name."""
    order = np.random.default_rng(seed).permutation(np.arange(PICTURES) % len(photographs))
    truth: dict[str, list[float]] = defaultdict(list)
    for number, place in enumerate(order):
        photo = read_photo(photographs[place])
        photo = photo if number < len(photographs) else np.ascontiguousarray(photo[:, ::-1])
        background = Background(photo, DEPTH_M if family == PHYSICAL else None)
        sample = render_preset(background, rain, seed=seed, index=number, name="trial")
        write_picture(folder / f"{number:02d}.png", sample.rainy_srgb8)
        for name in TOLD_ALONE[family]:
            if name in sample.parameters:
                truth[name].append(float(sample.parameters[name]))
        for name, value in findings(family, sample).items():
            truth[name].append(float(np.exp(value)))
    return {name: np.array(values) for name, values in truth.items()}


def trial(
    number: int,
    clean: tuple[Path, ...],
    held_out: list[Path],
    family: str,
    pictures: tuple[int, ...],
    workers: int,
    auto: bool,
) -> Record:
    """One trial: what was found beside the truth."""
    rng = np.random.default_rng([number, len(family)])
    depth_of: Callable[..., object] | None = None
    with tempfile.TemporaryDirectory() as scratch:
        if family in OF_A_PLACE:
            lines = OF_A_PLACE[family](rng)
            rain, blend = lines.look_alike, lines.blend
            options = FitOptions(family=AUTO if auto else family, pictures=pictures, seed=number, workers=workers)
        else:
            ranges = physical_of_a_place(rng)
            rain, blend = with_ranges(PRESETS[BASE_PRESET], ranges), "linear light"
            camera = given_camera(ranges["field_of_view_deg"][0], ranges["exposure_s"][0])
            options = FitOptions(family=PHYSICAL, camera=camera, pictures=pictures, seed=number, workers=workers)
            depth_of = lambda _: DEPTH_M  # noqa: E731
        truth = rainy_pictures(Path(scratch), held_out, rain, 1000 + number, family)
        found = fit(Path(scratch), clean, options, depth_of)
    numbers = {name: compared(found, name, values) for name, values in truth.items() if name in found.names}
    return {
        "trial": number,
        "family": family,
        "family_found": found.search.family,
        "blend": blend,
        "blend_found": found.blend,
        "numbers": numbers,
    }


def compared(found: Fit, name: str, values: np.ndarray) -> dict[str, Any]:
    """A number's error, its interval's half width, and whether that holds the truth."""
    logarithmic = name in FINDINGS_OF[found.search.family] or found.whole[name].scale == "logarithmic"
    true = float(np.mean(np.log(values) if logarithmic else values))
    error, reach = float(found.found.mean[found.place(name)]) - true, found.reach(name)
    shown = 100 * float(np.expm1(error)) if logarithmic else error
    known = np.exp(true) if logarithmic else true
    return {"truth": known, "error": shown, "half_width": reach, "holds": abs(error) <= reach, "told": found.told(name)}


def show(records: list[Record]) -> None:
    """A line for each number, over all trials."""
    rows = defaultdict(list)
    for record in records:
        for name, one in record["numbers"].items():
            rows[name].append(one)
    for name, ones in rows.items():
        errors = np.array([one["error"] for one in ones])
        held, told = (100 * np.mean([one[key] for one in ones]) for key in ("holds", "told"))
        unit = "degrees" if name.endswith("_deg") else "%"
        print(
            f"{name:20} error, median {np.median(np.abs(errors)):.1f}, of nine in ten below "
            f"{np.percentile(np.abs(errors), 90):.1f} {unit}; mean {errors.mean():+.1f}; interval holds the truth in "
            f"{held:.0f} % of {len(ones)}; told in {told:.0f} %"
        )
    every = [one["holds"] for record in records for one in record["numbers"].values()]
    blends, families = (
        sum(record[name] == record[f"{name}_found"] for record in records) for name in ("blend", "family")
    )
    print(
        f"{np.mean(every):.0%} of all {len(every)} intervals hold the truth; "
        f"of {len(records)} the blend is right in {blends}, the family in {families}"
    )


def main() -> None:
    """Make the trials that are still missing, then show all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clean", type=Path)
    parser.add_argument("held_out", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--trials", type=int, default=50)
    parser.add_argument("--family", choices=FAMILIES, default=LINES)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--auto", action="store_true", help="do not tell the fit which family it is")
    parser.add_argument("--whole", action="store_true", help="the fit as it is by default, at five times the work")
    options = parser.parse_args()
    if options.auto and options.family == PHYSICAL:
        parser.error("--auto must go with lines or noise: a camera that is known means physical rain.")
    pictures = PICTURES_OF_ROUNDS if options.whole else QUICK_PICTURES_OF_ROUNDS
    clean, held_out = tuple(list_photos(options.clean)), list_photos(options.held_out)
    records = [json.loads(line) for line in options.out.read_text().splitlines()] if options.out.exists() else []
    for number in range(len(records), options.trials):
        records.append(trial(number, clean, held_out, options.family, pictures, options.workers, options.auto))
        with options.out.open("a") as lines:
            lines.write(json.dumps(records[-1], default=float) + "\n")
        print(json.dumps(records[-1], default=float), flush=True)
    show(records)


if __name__ == "__main__":
    main()
