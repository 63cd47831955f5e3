"""How well one formula of a blend explains a pair: its numbers fitted to the pixels, and what it misses by.

The formulas are those of `blend_formulas`. Their numbers follow by damped Gauss-Newton steps (Levenberg-Marquardt);
pixels that fit badly count less, as if misses had Cauchy's distribution. Three channels less the one x of a streak
leave two equations a pixel to judge by; where red, green and blue are equal they say nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Bool, Float, Int32, UInt8

from rainsynth.color import LINEAR_OF_CODE, linear_to_srgb
from rainsynth.measure.blend_formulas import ADDED, VEIL, fitted_values, normal_equations, pixel_misses, solve_positive

SRGB8 = UInt8[np.ndarray, "h w 3"]

WHITE_CODE = 255
HIGHEST_CODE = 250  # choice: a rainy channel above it may be clipped, and blurred by JPEG since
MOST_PIXELS = 9_000  # of a picture are fitted to, on a regular lattice
NODES = (28, 6)  # of t, down and across: depth changes faster down a picture than across it
STEPS = 16
ENOUGH_GAIN = 1e-3  # a step that lowers the misfit by less than this share is the last
FIRST_DAMPING, MOST_DAMPING = 1e-3, 1e6
LEAST_SCALE_CODES = 2.0  # a pixel counts half where it misses by this, or by 1.5 times the median miss
SCALE_MEDIANS = 1.5
UNLIKE_CODES = 20.0  # nodes of t beside each other that differ by 1 cost as much as a pixel that misses by these codes
CAP_CODES = 25.0  # a worse miss counts as this: text, borders, lamps
WITHIN_CODES, MOST_BEYOND_FRACTION = 0.55, 0.001  # half a code, and a little for numbers that were fitted
LEAST_CONTRAST_CODES = 40.0  # between B and E, below which a is not known
T_LIMITS = (0.005, 1.05)
LIGHT_LIMITS = {False: (0.0, 255.0), True: (0.0, 20.0)}  # of E: codes, or linear light where 1 is white
AIRLIGHT_LIMITS = {False: (0.0, 300.0), True: (0.0, 4.0)}
COLOUR_LIMITS = (0.2, 5.0)  # of red and blue of added rain whose green is 1


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """Pixels of a pair in codes or in linear light, and where they lie between the nodes of t.

    `codes_a_unit` is how many codes one unit of the rainy value is worth, 0 where the channel is saturated.
    """

    rainy_codes: Float[np.ndarray, "n 3"]
    rainy: Float[np.ndarray, "n 3"]
    clean: Float[np.ndarray, "n 3"]
    codes_a_unit: Float[np.ndarray, "n 3"]
    node: Int32[np.ndarray, "n 4"]
    share: Float[np.ndarray, "n 4"]
    linear: bool

    def arrays(self) -> tuple[np.ndarray, ...]:
        """What the formulas take."""
        return self.rainy, self.clean, self.codes_a_unit, self.node, self.share


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A formula with its numbers: t at the nodes, A and E in codes or in linear light."""

    kind: int
    transmission: Float[np.ndarray, "rows columns"]
    airlight: Float[np.ndarray, "3"]
    light: Float[np.ndarray, "3"]
    linear: bool

    def numbers(self) -> Float[np.ndarray, "n"]:
        """All in one array."""
        return np.concatenate([self.transmission.ravel(), self.airlight, self.light])


def observe(
    rainy_srgb8: SRGB8, clean_srgb8: SRGB8, *, linear: bool, step_px: int = 0, mean_px: int = 1
) -> Observations:
    """Pixels of a pair, as codes or in linear light: every `step_px`-th, or so that at most 9,000 are left.

    With `mean_px` they are means over squares of so many pixels. A mean keeps every formula that is linear in what lies
    within a square, and loses most of noise and of JPEG's errors.
    """
    height_px, width_px = (side // mean_px for side in rainy_srgb8.shape[:2])
    step_px = step_px or int(np.ceil(np.sqrt(height_px * width_px / MOST_PIXELS)))
    rows, columns = (np.arange(step_px // 2, side, step_px) for side in (height_px, width_px))
    value_of_code = LINEAR_OF_CODE.astype(np.float64) if linear else np.arange(256.0)
    known_of_code = (np.arange(256) <= HIGHEST_CODE).astype(np.float64)
    rainy, known, clean = (
        _means(picture, table, mean_px, np.ix_(rows, columns)).reshape(-1, 3)
        for picture, table in (
            (rainy_srgb8, value_of_code),
            (rainy_srgb8, known_of_code),
            (clean_srgb8, value_of_code),
        )
    )
    codes = WHITE_CODE * linear_to_srgb(rainy) if linear else rainy
    slope = np.interp(codes, np.arange(256), np.gradient(value_of_code))
    node, share = nodes_around(rows, columns, height_px, width_px)
    return Observations(codes, rainy, clean, (known == 1) / slope, node, share, linear)


def _means(
    picture_srgb8: SRGB8, value_of_code: Float[np.ndarray, "256"], side_px: int, lattice: tuple[np.ndarray, ...]
) -> Float[np.ndarray, "rows columns 3"]:
    """Means of a code's value over some of the squares that lie side by side from the corner on."""
    if side_px == 1:
        return value_of_code[picture_srgb8[lattice]]
    rows, columns = (side // side_px for side in picture_srgb8.shape[:2])
    values = value_of_code[picture_srgb8[: rows * side_px, : columns * side_px]]
    return values.reshape(rows, side_px, columns, side_px, 3).mean(axis=(1, 3))[lattice]


def nodes_around(
    rows: np.ndarray, columns: np.ndarray, height_px: int, width_px: int
) -> tuple[Int32[np.ndarray, "n 4"], Float[np.ndarray, "n 4"]]:
    """The four nodes around every pixel of a lattice, and the bilinear share of each."""
    (top, down), (left, across) = (
        _between(places, side_px, nodes)
        for places, side_px, nodes in ((rows, height_px, NODES[0]), (columns, width_px, NODES[1]))
    )
    corner = top[:, None] * NODES[1] + left
    node = np.stack([corner, corner + 1, corner + NODES[1], corner + NODES[1] + 1], axis=-1)
    upper, lower = (1 - down)[:, None], down[:, None]
    share = np.stack([upper * (1 - across), upper * across, lower * (1 - across), lower * across], axis=-1)
    return node.reshape(-1, 4).astype(np.int32), share.reshape(-1, 4)


def _between(places: np.ndarray, side_px: int, nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """The node before each place along a side, and how far it is to the next, 0 to 1."""
    place = places / max(side_px - 1, 1) * (nodes - 1)
    first = np.minimum(place.astype(np.int32), nodes - 2)
    return first, place - first


def fit(
    seen: Observations,
    kind: int,
    *,
    light: Float[np.ndarray, "3"],
    fit_light: bool = False,
    veil: tuple[float, Float[np.ndarray, "3"]] | None = None,
) -> Fit:
    """Fit one formula. `light` is E, or where to begin; `veil` is where t and A begin, without it t is 1."""
    count = NODES[0] * NODES[1]
    t, airlight = veil or (1.0, np.zeros(3))
    numbers = np.concatenate([np.full(count, t), airlight, light]).astype(np.float64)
    free = np.concatenate([np.full(count + 3, veil is not None), np.full(3, fit_light)])
    if kind == ADDED:
        free[count + 4] = False
    if free.any():
        numbers = _descend(seen, kind, numbers, free)
    return Fit(kind, numbers[:-6].reshape(NODES), numbers[-6:-3], numbers[-3:], seen.linear)


def first_veil(seen: Observations) -> tuple[float, Float[np.ndarray, "3"]]:
    """Where to begin with t and A: the line through all values of clean and rainy."""
    known = seen.codes_a_unit > 0
    clean, rainy = seen.clean[known], seen.rainy[known]
    slope = np.cov(clean, rainy)[0, 1] / max(clean.var(), 1e-9) if clean.size > 1 else 1.0
    t = float(np.clip(slope, 0.05, 0.95))
    rise = float(rainy.mean() - t * clean.mean()) if clean.size else 0.0
    return t, np.full(3, np.clip(rise / (1 - t), *AIRLIGHT_LIMITS[seen.linear]))


def strengths(seen: Observations, found: Fit) -> Float[np.ndarray, "n"]:
    """x of every pixel: S in codes or light, or 1 - a; 0 for a veil."""
    return fitted_values(*seen.arrays(), found.kind, found.numbers())[0]


def tells_alpha(seen: Observations, found: Fit) -> Bool[np.ndarray, "n"]:
    """Pixels whose clean value is far enough from the streaks' light for a to be known."""
    apart = np.abs(seen.clean - found.light) * seen.codes_a_unit
    return apart.max(axis=1) >= LEAST_CONTRAST_CODES


def fitted_codes(seen: Observations, found: Fit) -> Float[np.ndarray, "n 3"]:
    """What a formula gives, as display codes that are not rounded."""
    fitted = fitted_values(*seen.arrays(), found.kind, found.numbers())[1]
    return WHITE_CODE * linear_to_srgb(fitted) if seen.linear else np.clip(fitted, 0, WHITE_CODE)


def residual_codes(seen: Observations, found: Fit, counted: Bool[np.ndarray, "n"]) -> float:
    """What a formula misses by [codes]: root of the squared misses over the equations that are left to judge by.

    A pixel has an equation for each channel that is not saturated, less one where x was taken from it. A miss counts
    as 25 codes at most. Rounding to codes alone gives 0.29. NaN where no equation is left.
    """
    codes = fitted_codes(seen, found)
    known = seen.codes_a_unit[counted] > 0
    left = np.maximum(known.sum(axis=1) - (found.kind != VEIL), 0)
    square = np.minimum((seen.rainy_codes - codes)[counted] ** 2, CAP_CODES**2)
    total = square[known & (left > 0)[:, None]].sum()
    return float(np.sqrt(total / left.sum())) if left.any() else float("nan")


def within_rounding(seen: Observations, found: Fit, counted: Bool[np.ndarray, "n"]) -> bool:
    """Whether a formula misses hardly any value by more than rounding to whole codes can do."""
    misses = np.abs(seen.rainy_codes - fitted_codes(seen, found))[counted]
    known = seen.codes_a_unit[counted] > 0
    return bool(known.any() and np.mean(misses[known] > WITHIN_CODES) < MOST_BEYOND_FRACTION)


def _descend(
    seen: Observations, kind: int, numbers: Float[np.ndarray, "k"], free: Bool[np.ndarray, "k"]
) -> Float[np.ndarray, "k"]:
    """Damped Gauss-Newton steps until the misfit stops falling."""
    likeness, damping = _likeness(), FIRST_DAMPING
    scale, misfit = _scale_and_misfit(seen, kind, numbers)
    for _ in range(STEPS):
        normal, right = normal_equations(*seen.arrays(), kind, numbers, scale, bool(free[0]))
        normal, right = (normal + likeness)[np.ix_(free, free)], (right - likeness @ numbers)[free]
        while True:
            step = np.zeros(len(numbers))
            step[free] = solve_positive(normal + np.diag(damping * np.diag(normal) + 1e-9), right)
            tried = _bounded(numbers + step, kind, seen.linear)
            tried_scale, tried_misfit = _scale_and_misfit(seen, kind, tried, scale)
            if tried_misfit <= misfit:
                break
            damping *= 10
            if damping > MOST_DAMPING:
                return numbers
        settled = tried_misfit > misfit * (1 - ENOUGH_GAIN) and tried_scale > 0.9 * scale
        numbers, damping = tried, damping / 5
        if settled:
            break
        scale, misfit = _scale_and_misfit(seen, kind, numbers)
    return numbers


def _scale_and_misfit(
    seen: Observations, kind: int, numbers: Float[np.ndarray, "k"], scale_codes: float | None = None
) -> tuple[float, float]:
    """By how much a pixel misses that counts half [codes], and the sum of scale^2 log(1 + (miss / scale)^2).

    The sum is by `scale_codes` where given, and holds how unlike nodes of t are.
    """
    misses = pixel_misses(*seen.arrays(), kind, numbers)
    own = max(LEAST_SCALE_CODES, SCALE_MEDIANS * float(np.median(misses)))
    scale = scale_codes or own
    return own, float(scale**2 * np.log1p((misses / scale) ** 2).sum() + numbers @ _likeness() @ numbers)


@cache
def _likeness() -> Float[np.ndarray, "k k"]:
    """Curvature of the wish that nodes of t beside each other be alike; it decides only where the picture does not."""
    count = NODES[0] * NODES[1]
    curvature = np.zeros((count + 6, count + 6))
    index = np.arange(count).reshape(NODES)
    for one, other in ((index[1:], index[:-1]), (index[:, 1:], index[:, :-1])):
        for i, j in zip(one.ravel(), other.ravel(), strict=True):
            curvature[[i, j], [i, j]] += UNLIKE_CODES**2
            curvature[[i, j], [j, i]] -= UNLIKE_CODES**2
    return curvature


def _bounded(numbers: Float[np.ndarray, "k"], kind: int, linear: bool) -> Float[np.ndarray, "k"]:
    """Numbers within their limits."""
    light_limits = COLOUR_LIMITS if kind == ADDED else LIGHT_LIMITS[linear]
    parts = (numbers[:-6], T_LIMITS), (numbers[-6:-3], AIRLIGHT_LIMITS[linear]), (numbers[-3:], light_limits)
    return np.concatenate([np.clip(values, *limits) for values, limits in parts])
