"""Read a function's settings from its environment; an error names the variable at fault."""

from __future__ import annotations

import os
import re
from collections.abc import Collection


class SettingsError(Exception):
    """An environment variable is missing or wrong; the message says which one and why."""


def text(name: str, default: str | None = None, pattern: str | None = None) -> str:
    """Return the variable's value, stripped.

    Raises
    ------
    SettingsError
        If it is unset or empty and there is no default, or if it doesn't match `pattern` whole.
    """
    value = os.environ.get(name, "").strip() or default
    if value is None:
        raise SettingsError(f"{name} is not set")
    if pattern is not None and not re.fullmatch(pattern, value):
        raise SettingsError(f"{name} is {value!r}, which does not match {pattern}")
    return value


def texts(name: str, default: str | None = None, pattern: str = ".+") -> tuple[str, ...]:
    """Return the variable's comma-separated items, each of `pattern`, none twice; "" is none."""
    value = text(name, default)
    items = tuple(item.strip() for item in value.split(",")) if value else ()
    wrong = [item for item in items if not re.fullmatch(pattern, item)]
    if wrong:
        raise SettingsError(f"{name} has {wrong[0]!r}, which does not match {pattern}")
    if len(set(items)) != len(items):
        raise SettingsError(f"{name} names an item twice: {value}")
    return items


def integer(name: str, default: int, minimum: int, maximum: int) -> int:
    """Return the variable as a whole number within bounds, both included."""
    value = text(name, str(default))
    if not re.fullmatch(r"[0-9]{1,18}", value) or not minimum <= int(value) <= maximum:
        raise SettingsError(
            f"{name} is {value!r}; it must be a whole number from {minimum} to {maximum}"
        )
    return int(value)


def choices(name: str, default: str, allowed: Collection[str]) -> tuple[str, ...]:
    """Return the variable's comma-separated items, each one of `allowed`, none twice."""
    items = tuple(item.strip() for item in text(name, default).split(","))
    wrong = [item for item in items if item not in allowed]
    if wrong:
        raise SettingsError(f"{name} has {wrong[0]!r}; allowed are {', '.join(sorted(allowed))}")
    if len(set(items)) != len(items):
        raise SettingsError(f"{name} names an item twice: {','.join(items)}")
    return items


def integers(name: str, default: str, minimum: int, maximum: int) -> tuple[int, ...]:
    """Return the variable's comma-separated whole numbers within bounds, none twice."""
    items = text(name, default).split(",")
    values: list[int] = []
    for item in items:
        if not re.fullmatch(r"\s*[0-9]{1,9}\s*", item) or not minimum <= int(item) <= maximum:
            raise SettingsError(
                f"{name} has {item!r}; each item must be a whole number from {minimum} to {maximum}"
            )
        values.append(int(item))
    if len(set(values)) != len(values):
        raise SettingsError(f"{name} names an item twice: {','.join(items)}")
    return tuple(values)
