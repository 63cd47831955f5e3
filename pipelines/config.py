"""Configs: frozen dataclasses, one YAML file of the same shape, `--set a.b=value` on top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import TypeAdapter, ValidationError

from rainsynth.checks import InputError

Config = TypeVar("Config")


def load_config(kind: type[Config], path: Path | None, settings: Sequence[str] = (), **given: Any) -> Config:
    """A config of dataclass `kind` from a YAML file, with `settings` ("a.b=value") and `given` on top.

    Unknown keys, wrong types and values out of range are reported together in one InputError; so is a setting of what
    is given besides.
    """
    values = set_values(path, settings)
    for name, value in given.items():
        keys = name.split("__")
        if ".".join(keys) in map(key_of, settings):
            raise InputError(f"--set must not name what an option says, got {'.'.join(keys)}. Leave one of them out.")
        _assign(values, keys, value)
    return build_config(kind, values, str(path) if path else "the options")


def set_values(path: Path | None, settings: Sequence[str] = ()) -> dict[str, Any]:
    """The plain values of a YAML file, if there is one, with `settings` ("a.b=value") on top."""
    values = read_yaml(path) if path else {}
    for setting in settings:
        _apply(values, setting)
    return values


def key_of(setting: str) -> str:
    """What a setting "a.b=value" is of."""
    return setting.partition("=")[0]


def build_config(kind: type[Config], values: dict[str, Any], source: str) -> Config:
    """A config from plain values; `source` says in messages where they came from."""
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        faults = "; ".join(_fault(item) for item in error.errors(include_url=False))
        raise InputError(f"{source}: {faults}") from None


def plain_values(config: Any) -> dict[str, Any]:
    """The resolved config as plain lists, dicts and numbers, ready for JSON."""
    return TypeAdapter(dict[str, Any]).dump_python(asdict(config), mode="json")


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping; InputError where it is missing, not YAML, or something else."""
    try:
        values = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"config must be a YAML file, got nothing at {str(path)!r}. Is the path right?") from None
    except (yaml.YAMLError, UnicodeDecodeError, IsADirectoryError) as error:
        raise InputError(f"config {path} must be YAML, got: {' '.join(str(error).split())}.") from None
    if not isinstance(values, dict):
        raise InputError(f"config {path} must hold keys and values, got {type(values).__name__}.")
    return values


def _apply(values: dict[str, Any], setting: str) -> None:
    key, equals, text = setting.partition("=")
    if not equals or not key:
        raise InputError(f"--set must be KEY=VALUE, got {setting!r}. For example --set data.photographs=photos.")
    _assign(values, key.split("."), yaml.safe_load(text))


def _assign(values: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        values = values.setdefault(key, {})
        if not isinstance(values, dict):
            raise InputError(f"--set must name a value, got {'.'.join(keys)}: {key} is not a group of values.")
    values[keys[-1]] = value


def _fault(item: Any) -> str:
    place = ".".join(str(part) for part in item["loc"])
    if item["type"] == "unexpected_keyword_argument" or item["type"] == "extra_forbidden":
        return f"{place} must be a known key, got an unknown one"
    if item["type"].startswith("missing"):
        return f"{place} must be given"
    message = item["msg"].removeprefix("Value error, ")
    return message if item["type"] == "value_error" else f"{place}: {message}, got {item['input']!r}"
