"""What the examination says: one finding for each thing that was looked at."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "error", "unknown"]

# Also the order in which they are shown
AREAS = (
    "Credentials",
    "Terraform",
    "Console settings",
    "Front-end settings",
    "Functions",
    "Permissions",
    "Buckets",
    "Queue",
    "Users",
    "API",
    "CDN",
    "DNS",
    "Database",
    "Not checked",
)


@dataclass(frozen=True)
class Finding:
    """One line of the examination.

    Attributes
    ----------
    area, name
        What was looked at; `area` is one of `AREAS`.
    state
        ``unknown``: it could not be looked at, and is not called broken.
    expected, found
        What should be there and what is, without any secret.
    remedy
        How to fix it, as one sentence; empty where nothing is wrong.
    """

    area: str
    name: str
    state: State
    expected: str
    found: str
    remedy: str = ""


def compare(
    area: str,
    name: str,
    expected: object,
    found: object,
    remedy: str,
    otherwise: State = "error",
) -> Finding:
    """Return a finding that is ok if both are equal, and `otherwise` if not."""
    if expected == found:
        return Finding(area, name, "ok", text(expected), text(found))
    return Finding(area, name, otherwise, text(expected), text(found), remedy)


def text(value: object) -> str:
    """Return a value as an operator reads it."""
    if value is None or value == "":
        return "none"
    if isinstance(value, list | tuple | set | frozenset):
        return ", ".join(str(item) for item in value) or "none"
    return str(value)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings by area; within an area as they were found."""
    return sorted(findings, key=lambda finding: AREAS.index(finding.area))


def severity(findings: Iterable[Finding]) -> int:
    """Return 0 if everything is ok, 2 if something is broken, 1 for anything between."""
    states = {finding.state for finding in findings}
    return 2 if "error" in states else int(bool(states - {"ok"}))
