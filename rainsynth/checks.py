"""Refusing bad input early, in one line that helps."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")
PLAIN_NUMBERS = (int, float)  # checked without NumPy, which takes 5 us a number


class InputError(ValueError):
    """A user's mistake. The message is one line: what must hold, what was given, and the likely cause or next step."""


def check_in_range(value: Any, low: float, high: float, name: str, hint: str = "") -> None:
    """Raise InputError unless every element of `value` is a finite number in [low, high].

    `name` carries the unit, as in "rain_rate_mm_h"; `hint` names a likely cause or the next step.
    """
    if type(value) in PLAIN_NUMBERS and low <= value <= high:
        return
    array = np.asarray(value) if value is not None else np.asarray("None")
    if array.dtype.kind not in "biuf":
        raise InputError(one_line(f"{name} must be a number, got {value!r}.", hint))
    if array.size and low <= array.min() and array.max() <= high:  # NaN would be both
        return
    array = array.astype(np.float64)
    bad = ~((array >= low) & (array <= high))  # NaN fails both comparisons
    if bad.any():
        worst = float(array[bad].flat[0])
        raise InputError(one_line(f"{name} must be between {low:g} and {high:g}, got {worst:g}.", hint))


def check_number(value: Any, low: float, high: float, name: str, hint: str = "") -> None:
    """Raise InputError unless `value` is one finite number in [low, high]."""
    if type(value) not in PLAIN_NUMBERS and np.ndim(value) != 0:
        raise InputError(one_line(f"{name} must be one number, got {value!r}.", hint))
    check_in_range(value, low, high, name, hint)


def check_count(value: Any, low: int, high: int, name: str, hint: str = "") -> None:
    """Raise InputError unless `value` is a whole number in [low, high]."""
    check_number(value, low, high, name, hint)
    if not isinstance(value, int | np.integer) or isinstance(value, bool):
        raise InputError(one_line(f"{name} must be a whole number, got {value!r}.", hint))


def check_choice(value: str, choices: list[str] | tuple[str, ...], name: str) -> None:
    """Raise InputError unless `value` is one of `choices`; the message lists them."""
    if value not in choices:
        raise InputError(f"{name} must be one of {', '.join(choices)}, got {value!r}.")


def with_values(checked: T, **values: Any) -> T:
    """Copy of a frozen dataclass with slots, some values of which are others that must be as right as those it has.

    What `dataclasses.replace` makes is checked again, which takes ten times as long.
    """
    copy = object.__new__(type(checked))
    for field in checked.__slots__:  # type: ignore[attr-defined]
        object.__setattr__(copy, field, values[field] if field in values else getattr(checked, field))
    return copy


def one_line(message: str, hint: str = "") -> str:
    """`message` and `hint` as a single line."""
    return " ".join(f"{message} {hint}".split())


def check_photo(photo_srgb8: np.ndarray, name: str = "photo_srgb8") -> None:
    """Raise InputError unless the array is a picture (H, W, 3) of uint8."""
    shape, dtype = getattr(photo_srgb8, "shape", None), getattr(photo_srgb8, "dtype", None)
    if dtype != np.uint8 or shape is None or len(shape) != 3 or shape[2] != 3 or min(shape) < 1:
        hint = "Grey, alpha and 16-bit pictures: rainsynth.pictures.read_photo converts files."
        raise InputError(one_line(f"{name} must be uint8 RGB of shape (H, W, 3), got {dtype} {shape}.", hint))
