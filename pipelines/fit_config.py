"""A fit as ranges: which part of a mixture it is, the config of it, and in words what it found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pipelines.config import build_config
from pipelines.fit import Fit
from pipelines.fit_camera import camera_line
from pipelines.fit_families import BASE_PRESET, NOISE, PHYSICAL, SCREEN, STREAKS_OF, Number, whole_layers
from pipelines.generate_config import GenerateConfig
from rainsynth.lookalikes.line_rain import TAKEN
from rainsynth.preset_choice import PresetChoice

FINDING = Number(low=1e-9, high=1e9, scale="logarithmic")  # what follows in a picture has no limits of its own
EVEN_REACH = 3**0.5  # what is spread evenly reaches so many standard deviations from its mean
NORMAL_90 = 1.645  # standard deviations that a 90 % interval of a normal error reaches
UNTOUCHED_SHARE = 0.9  # a number whose mean is no better known than this keeps its range
DIGITS = 4
UNDECIDED = 0.1  # choice: a blend nearer than this to halfway between both is hardly told
MOST_COMBINATIONS = 2
COMBINATION_SHARE = 0.35  # a combination known to this of what was looked for is told
LEAST_WEIGHT = 0.35  # of a number in a combination that names it
SAMPLES = 1000
LAYERS_WEIGHT = 3  # choice: three quarters of the rain; docs/domain-adaptation.md has what shares of it brought

Range = list[float]


def part_of_fit(fit: Fit) -> dict[str, Any]:
    """The part of a mixture that rains as the photographs do, as it stands in a config.

    Rain on display codes is of a kind for each photograph, physical rain of one range of each number.
    """
    if fit.kinds is None:
        return {"preset": BASE_PRESET, "ranges": {name: range_of(fit, name) for name in fit.search.ranges}}
    made: dict[str, Any] = {"streaks": STREAKS_OF[NOISE]} if fit.search.family == NOISE else {}
    if fit.kinds.matched:
        made["side_margin_px"] = 0  # the edges are those of the picture, not of a window of it
    titles = [f"as {fit.setting.rainy[place].path.name}" for place in fit.kinds.places]
    kinds = [
        {"title": title, "share_fraction": 1 / len(titles), "ranges": line_numbers(fit.kinds.named(kind))}
        for kind, title in enumerate(titles)
    ]
    return {"lines": {"blend": fit.blend, **made, "kinds": kinds}}


def line_numbers(numbers: Mapping[str, float]) -> dict[str, float]:
    """Numbers of one kind of lines or noise, as they stand in a config."""
    found = {name: _rounded(value) for name, value in numbers.items() if name != SCREEN}
    return found | {"layer_count": whole_layers(found["layer_count"])}


def choice_of_fit(fit: Fit) -> PresetChoice:
    """The same, ready to be drawn."""
    return build_config(PresetChoice, part_of_fit(fit), "the fit")


def range_of(fit: Fit, name: str) -> Range:
    """Low and high of a number: spread evenly over it, it has the mean that was found, and the spread with its error.

    A number of which the pictures say nothing keeps the range it was looked for in; one that they tell only together
    with others stays around its likeliest value, which goes with those of the others, and has no error of its own.
    """
    number, place = fit.whole[name], fit.place(name)
    low, high = number.limits
    mean = float(fit.found.mean[place])
    if fit.reach(name) > UNTOUCHED_SHARE * fit.interval_sds * (high - low) / 12**0.5:
        return [_rounded(number.low), _rounded(number.high)]
    error = fit.reach(name) / NORMAL_90 if fit.told(name) else 0.0
    reach = EVEN_REACH * float(np.hypot(fit.found.sd[place], error))
    reach = max(min(reach, mean - low, high - mean), 0.0)  # a range cut on one side would have another mean
    return [_rounded(number.from_scale(end)) for end in (mean - reach, mean + reach)]


def config_text(fit: Fit, command: str, photographs: int, layers: Path | None = None) -> str:
    """The whole config as YAML, with what was found and what was not as its opening remarks.

    `layers` is a folder of streaks that were taken off the photographs: most of the rain is theirs.
    """
    taken = {"blend": fit.blend, "streaks": TAKEN, "layers": str(layers)}
    values = {
        "data": {"photographs": "photos"},
        "samples": SAMPLES,
        "seed": fit.setting.seed,
        "mixture": [part_of_fit(fit), *([{"lines": taken, "weight": LAYERS_WEIGHT}] if layers else [])],
    }
    build_config(GenerateConfig, values, "the fit")  # what is written can be read
    remarks = [
        f"The rain of {photographs} photographs, by `{command}`.",
        "rainsynth generate CLEAN_PHOTOS --config THIS_FILE --out DIR; in training, data.presets takes the mixture.",
        *told_lines(fit),
    ]
    if fit.kinds is not None and fit.kinds.matched:
        remarks.append(f"Kinds are not of these numbers, but matched to the streaks in {layers}.")
    body = yaml.safe_dump(values, sort_keys=False, default_flow_style=None, width=120)
    return "".join(f"# {line}\n" for line in remarks) + body


def told_lines(fit: Fit) -> list[str]:
    """What was found, a number a line with its 90 % interval, and what was not."""
    lines = [f"Family: {fit.search.family}, {blend_line(fit)}"]
    if fit.search.family == PHYSICAL:
        lines.append(camera_line(fit.setting.camera))
    for row in rows_of_fit(fit):
        lines.append(f"{row['number']}: {row['mean']} ({row['90 %']}), {row['spread']} {row['told']}".rstrip())
    return lines + combinations(fit)


def blend_line(fit: Fit) -> str:
    """How the rain is blended, and how sure that is."""
    if fit.search.family == PHYSICAL:
        return f"blended in {fit.blend}."
    sure = "" if abs(fit.screen - 0.5) > UNDECIDED else ", which the photographs hardly tell"
    return f"blended by {fit.blend}{sure} (0 is additive, 1 screen: {min(max(fit.screen, 0), 1):.2f})."


def rows_of_fit(fit: Fit) -> list[dict[str, str]]:
    """A table of all numbers: mean over the photographs, its 90 % interval, the spread from picture to picture."""
    rows = []
    for name in (*fit.names[len(fit.search.ranges) :], *fit.search.ranges):
        if name in fit.whole and not _open(fit, name):
            continue
        number = fit.whole.get(name, FINDING)
        mean, sd = float(fit.found.mean[fit.place(name)]), float(fit.found.sd[fit.place(name)])
        ends = (number.from_scale(mean + sign * fit.reach(name)) for sign in (-1, 1))
        rows.append(
            {
                "number": name,
                "mean": f"{number.from_scale(mean):.4g}",
                "90 %": " to ".join(f"{end:.4g}" for end in ends),
                "spread": f"x or / {np.exp(sd):.2f}" if number.scale == "logarithmic" else f"sd {sd:.3g}",
                "told": "" if fit.told(name) else "not told by itself",
            }
        )
    return rows


def combinations(fit: Fit) -> list[str]:
    """What the pictures tell of numbers that none of them tells alone, as products and quotients; best known first.

    Directions of least error among the numbers that are not told, each in units of where it was looked for.
    """
    places = [k for k, name in enumerate(fit.search.ranges) if not fit.told(name) and _open(fit, name)]
    if len(places) < 2:
        return []
    names = [fit.names[k] for k in places]
    scale = np.array([np.subtract(*fit.whole[name].limits[::-1]) for name in names]) / 12**0.5
    values, vectors = np.linalg.eigh(fit.found.error[np.ix_(places, places)] / np.multiply.outer(scale, scale))
    lines = []
    for value, vector in list(zip(values, vectors.T, strict=True))[:MOST_COMBINATIONS]:
        weights = vector / vector[np.argmax(np.abs(vector))]
        parts = [
            f"{weight:+.2f} {name}" for weight, name in zip(weights, names, strict=True) if abs(weight) > LEAST_WEIGHT
        ]
        if max(value, 0) ** 0.5 < COMBINATION_SHARE and len(parts) > 1:
            lines.append(f"Told together only, in standard deviations of where each was looked for: {' '.join(parts)}.")
    return lines


def _open(fit: Fit, name: str) -> bool:
    return name != SCREEN and fit.whole[name].low < fit.whole[name].high


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
