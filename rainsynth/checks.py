"""Refusing bad input early, in one line that helps."""

from __future__ import annotations

from typing import Any

import numpy as np


class InputError(ValueError):
    """A user's mistake. The message is one line: what must hold, what was given, and the likely cause or next step."""


def check_in_range(value: Any, low: float, high: float, name: str, hint: str = "") -> None:
    """Raise InputError unless every element of `value` is a finite number in [low, high].

    `name` carries the unit, as in "rain_rate_mm_h"; `hint` names a likely cause or the next step.
    """
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(one_line(f"{name} must be a number, got {value!r}.", hint)) from None
    bad = ~((array >= low) & (array <= high))  # NaN fails both comparisons
    if bad.any():
        worst = float(array[bad].flat[0])
        raise InputError(one_line(f"{name} must be between {low:g} and {high:g}, got {worst:g}.", hint))


def check_choice(value: str, choices: list[str] | tuple[str, ...], name: str) -> None:
    """Raise InputError unless `value` is one of `choices`; the message lists them."""
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")


def one_line(message: str, hint: str = "") -> str:
    """`message` and `hint` as a single line."""
    return " ".join(f"{message} {hint}".split())
