"""Settings files and functions' environments, name by name against what they should say."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping

from console.operations.environments.doctor.finding import Finding

_SECRET = re.compile(r"SECRET|PASSWORD|TOKEN|ACCESS_KEY|DATABASE_URL$")
_CREDENTIALS_IN_URL = re.compile(r"//[^/@]*:[^/@]*@")
_SIMILARITY = 0.75


def compare(
    area: str,
    place: str,
    expected: Mapping[str, str | None],
    found: Mapping[str, str],
    remedy: str,
) -> Iterator[Finding]:
    """Yield a finding for each expected variable, and for each that nothing reads.

    Parameters
    ----------
    place
        Stands before each variable's name; may be empty.
    expected
        The values by name; None where any value but an empty one will do.
    """
    prefix = f"{place} " if place else ""
    unread = sorted(set(found) - set(expected))
    for name, wanted in expected.items():
        value = found.get(name)
        if value is None:
            near = difflib.get_close_matches(name, unread, 1, _SIMILARITY)
            if near:
                unread.remove(near[0])
                seen = f"missing; misspelt as {near[0]}?"
            else:
                seen = "missing"
        elif not value and wanted != "":
            seen = "empty"
        elif wanted is None or value == wanted:
            yield Finding(
                area, f"{prefix}{name}", "ok", shown(name, wanted or value), shown(name, value)
            )
            continue
        else:
            seen = shown(name, value)
            if seen == shown(name, wanted):
                seen = "another value"
        yield Finding(area, f"{prefix}{name}", "error", shown(name, wanted), seen, remedy)
    for name in unread:
        yield Finding(
            area, f"{prefix}{name}", "warning", "no such variable", "set, but nothing reads it",
            remedy,
        )  # fmt: skip


def shown(name: str, value: str | None) -> str:
    """Return a value as it may be shown: never a secret."""
    if value is None:
        return "a value"
    if _SECRET.search(name) or _CREDENTIALS_IN_URL.search(value):
        return "••••"
    return value
