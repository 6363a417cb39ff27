"""Checks and parsing shared by the configuration dataclasses."""

from __future__ import annotations

import dataclasses
import difflib
import sys
import typing
from typing import Any, Literal

from ifrp_tf.errors import ConfigError


def nearest(name: str, names: list[str]) -> str:
    """A hint naming the most similar of `names`, or all of them."""
    close = difflib.get_close_matches(name, names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(names)}."


def within(config: Any, **limits: tuple[float, float]) -> None:
    """Raises unless every field has its declared type and each named one lies within its limits."""
    check_types(config)
    for name, (low, high) in limits.items():
        value = getattr(config, name)
        if not low <= value <= high:
            raise ConfigError(f"Expected {name} between {low} and {high}. Received: {value!r}.")


def check_types(config: Any) -> None:
    """Raises unless each field of `config` has its declared type, each `Literal` one of its choices."""
    for name, hint in typing.get_type_hints(type(config)).items():
        value = getattr(config, name)
        if typing.get_origin(hint) is Literal:
            if value not in typing.get_args(hint):
                known = ", ".join(map(str, typing.get_args(hint)))
                raise ConfigError(f"Expected {name} to be one of {known}. Received: {value!r}.")
        elif not _fits(value, hint):
            raise ConfigError(f"Expected {name} to be of type {_kind(hint)}. Received: {value!r}.")


def _fits(value: Any, hint: Any) -> bool:
    if typing.get_origin(hint) is tuple:
        return isinstance(value, tuple) and all(_fits(part, float) for part in value)
    if isinstance(value, bool):  # Python counts them among the integers
        return hint is bool
    if hint is float:
        return isinstance(value, (int, float)) and abs(value) <= sys.float_info.max  # no NaN, no vast int
    return isinstance(value, hint)


def _kind(hint: Any) -> str:
    return "numbers" if typing.get_origin(hint) is tuple else hint.__name__


def build(kind: type, section: str, given: Any) -> Any:
    """The dataclass `kind` of `section` from plain values as JSON has them (lists for tuples)."""
    names = [field.name for field in dataclasses.fields(kind)]
    if not isinstance(given, dict):
        raise ConfigError(f"Expected section {section} to hold settings. Received: {given!r}.")
    for key in given:
        if key not in names:
            raise ConfigError(f"Unknown setting {section}.{key}.", hint=nearest(key, names))
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()})


def parse_assignment(assignment: str, kinds: dict[str, type]) -> tuple[str, str, Any]:
    """`(section, key, value)` of `section.key=value`, given the dataclass of each section."""
    path, equals, text = assignment.partition("=")
    section, dot, key = (part.strip() for part in path.partition("."))
    if not (equals and dot):
        raise ConfigError(f"Expected section.key=value. Received: {assignment!r}.")
    if section not in kinds:
        raise ConfigError(f"Unknown section {section!r}.", hint=nearest(section, list(kinds)))
    hints = typing.get_type_hints(kinds[section])
    if key not in hints:
        raise ConfigError(f"Unknown setting {section}.{key}.", hint=nearest(key, list(hints)))
    return section, key, parse(f"{section}.{key}", text.strip(), hints[key])


def parse(path: str, text: str, hint: Any) -> Any:
    """The value that `text` stands for, given the type `hint` of the setting `path`."""
    try:
        if hint is bool:
            return {"true": True, "false": False}[text.lower()]
        if hint in (int, float):
            return hint(text)
        if typing.get_origin(hint) is tuple:
            return tuple(float(part) for part in text.split(",") if part)
    except (KeyError, ValueError):
        raise ConfigError(f"Expected {path} to be of type {_kind(hint)}. Received: {text!r}.") from None
    return text
