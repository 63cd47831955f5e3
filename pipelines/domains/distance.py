"""How far apart two sorts of rain are, from rainy pictures alone: no truth and no network is asked.

Every picture is described by a few statistics of its rain. Two domains are then two clouds of points, and their
distance is the energy distance of these (Szekely & Rizzo 2013, J. Stat. Plan. Inference 143(8),
doi:10.1016/j.jspi.2013.03.018): 0 for equal distributions and for no others, without a bandwidth to choose or a
covariance to invert, which tens of pictures do not give.

    D^2 = 2 E|X - Y| - E|X - X'| - E|Y - Y'|

with |.| over statistics in units of their standard deviation within a domain. What a scene looks like moves the
statistics too, so domains are best shown on the same photographs, as a study renders them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Float
from scipy.spatial.distance import cdist
from scipy.stats import rankdata

from pipelines.evaluation.pairs import Picture
from pipelines.evaluation.real_rain import (
    ASIDE_DEG,
    BRIGHTEST_CODES,
    FLATTENED_PX,
    STREAK_CODES,
    streak_direction_deg,
    streak_response,
    thin_light,
)
from rainsynth.checks import InputError, check_count
from rainsynth.measure.directions import direction_profile, direction_spread_deg
from rainsynth.measure.streak_shape import autocorrelation, length_px, width_px

STATISTICS = (
    "direction_deg",
    "direction_spread_deg",
    "length_px",
    "width_px",
    "response_90_codes",
    "response_99_codes",
    "response_999_codes",
    "coverage_fraction",
    "along_over_aside",
    "dark_channel_codes",
)
IN_LOGARITHM = STATISTICS[2:9]  # what has a scale, and no end above
SMALLEST = {"coverage_fraction": 1e-3, "along_over_aside": 1e-2}  # added before the logarithm; 1 px, or 1 code, else
DARK_PX = 9  # side of the window whose darkest value is the dark channel; a veil lifts it
FEWEST_PAIRS = 5  # of 4 pairs even a perfect order comes by chance in one of 12 cases

Rows = Float[np.ndarray, "pictures statistics"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Distance:
    """Energy distance of two domains, and by how much each statistic's mean differs, second minus first.

    Both in standard deviations within a domain.
    """

    value: float
    shifts: dict[str, float]

    @property
    def foremost(self) -> str:
        """The statistic that differs most."""
        return max(self.shifts, key=lambda name: abs(self.shifts[name]))


def rain_numbers(picture_srgb8: Picture) -> dict[str, float]:
    """Statistics of a picture's rain, by the names in STATISTICS.

    Direction of thin bright lines within 45 degrees of vertical and its spread; their length and width from the
    autocorrelation; percentiles of the contrast of ridges in that direction; the share of pixels that streaks cover;
    the energy of ridges in that direction over that at 30 degrees to either side; the dark channel's median.
    """
    thin = thin_light(picture_srgb8)
    direction_deg = streak_direction_deg(thin)
    capped = np.minimum(thin, BRIGHTEST_CODES)
    flat = capped - cv2.GaussianBlur(capped, (0, 0), FLATTENED_PX)
    response = streak_response(thin, direction_deg)
    aside = [streak_response(thin, direction_deg + turn_deg) for turn_deg in (-ASIDE_DEG, ASIDE_DEG)]
    values = [direction_deg, *_shape(flat, direction_deg), *np.percentile(response, (90, 99, 99.9))]
    values += [np.mean(response > STREAK_CODES), _energy([response]) / max(_energy(aside), 1e-9)]
    dark = cv2.erode(picture_srgb8.min(axis=-1), np.ones((DARK_PX, DARK_PX), np.uint8))
    return dict(zip(STATISTICS, map(float, [*values, np.median(dark)]), strict=True))


def as_rows(numbers: Iterable[Mapping[str, float]]) -> Rows:
    """A row for each picture; amounts and sizes as logarithms, in which rain differs by factors."""
    return np.array(
        [
            [np.log(one[name] + SMALLEST.get(name, 1)) if name in IN_LOGARITHM else one[name] for name in STATISTICS]
            for one in numbers
        ]
    )


def distances(rows: Mapping[str, Rows]) -> dict[tuple[str, str], Distance]:
    """Distance of every domain to every other, each with the rows of its pictures."""
    within_sd = np.sqrt(np.mean([values.var(axis=0, ddof=1) for values in rows.values()], axis=0))
    scaled = {name: values / np.where(within_sd > 0, within_sd, 1) for name, values in rows.items()}
    found = {}
    for first, x in scaled.items():
        for second, y in scaled.items():
            if first != second:
                shift = dict(zip(STATISTICS, (y.mean(axis=0) - x.mean(axis=0)).tolist(), strict=True))
                found[first, second] = Distance(value=max(energy_distance_squared(x, y), 0) ** 0.5, shifts=shift)
    return found


def energy_distance_squared(x: Rows, y: Rows) -> float:
    """D^2 of two samples, without bias: means over pairs of rows of different numbers. It may be below 0 by chance.

    Rows of one number may show the same scene, as in rendered domains. Pairs of them are left out between samples as
    within, so every mean runs over the same pairs of scenes, and what scenes do alike falls out of the difference.
    """
    for points in (x, y):
        check_count(len(points), 2, 10**9, "number of pictures", "A distance is one of distributions.")
    return 2 * _mean_apart(x, y) - _mean_apart(x, x) - _mean_apart(y, y)


def rank_correlation(distance: Float[np.ndarray, "n"], drop_db: Float[np.ndarray, "n"]) -> float | None:
    """Spearman's rank correlation: the correlation of ranks, 1 where farther always means a larger drop.

    None for fewer than FEWEST_PAIRS pairs, and where either does not vary.
    """
    if len(distance) != len(drop_db):
        raise InputError(f"distances must be as many as drops, got {len(distance)} and {len(drop_db)}.")
    if len(distance) < FEWEST_PAIRS or np.ptp(distance) == 0 or np.ptp(drop_db) == 0:
        return None
    return float(np.corrcoef(rankdata(distance), rankdata(drop_db))[0, 1])


def _mean_apart(x: Rows, y: Rows) -> float:
    """Mean distance of two rows of different numbers."""
    apart = cdist(x, y)
    np.fill_diagonal(apart, 0)
    return float(apart.sum() / (apart.size - min(apart.shape)))


def _shape(flat: Float[np.ndarray, "h w"], direction_deg: float) -> tuple[float, float, float]:
    """Spread of directions [degrees], length and width [px]; of a picture without thin light all 0."""
    if flat.max() == flat.min():
        return 0.0, 0.0, 0.0
    correlation = autocorrelation(flat)
    spread_deg = direction_spread_deg(direction_profile(correlation))
    return spread_deg, length_px(correlation, direction_deg), width_px(correlation, direction_deg)


def _energy(responses: list[Float[np.ndarray, "h w"]]) -> float:
    return float(np.mean([np.mean(np.square(one, dtype=np.float64)) for one in responses]))
