"""Every migration with its state, from the files and the history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from console.operations.migrations import history
from console.operations.migrations.files import DIRECTORY, Files
from console.operations.migrations.history import Entry
from console.operations.migrations.session import connect

State = Literal["applied", "baseline", "pending", "interrupted", "out of order", "no file"]


@dataclass(frozen=True)
class Migration:
    """One line of ``make migrations``.

    Attributes
    ----------
    revision, name, state
        ``no file`` is applied here, but by another checkout; ``interrupted`` broke off outside a
        transaction, and the next run clears up after it.
    applied_at, by, seconds
        None where it is not applied.
    drift
        How the file differs from what was applied, as a diff; empty where it doesn't.
    """

    revision: str
    name: str
    state: State
    applied_at: datetime | None
    by: str | None
    seconds: float | None
    drift: str


def runs(url: str, limit: int = 100) -> list[Entry]:
    """Return the newest entries of the history, newest first: every try, also those that failed."""
    with connect(url) as connection:
        return history.entries(connection)[: -limit - 1 : -1]


def migrations(url: str, directory: Path = DIRECTORY) -> list[Migration]:
    """Return every migration of the files and of the database, in order. Changes nothing."""
    files = Files(directory)
    with connect(url) as connection:
        at = history.current(connection)
        entries = history.entries(connection)
    found = history.standing(entries)
    started = {entry.revision for entry in entries if entry.outcome == "started"}
    here = files.position(files.by_id.get(at or ""))
    lines = []
    for position, revision in enumerate(files.line):
        entry = found.pop(revision.id, None)
        state: State = "pending"
        if entry is not None:
            state = "baseline" if entry.direction == "baseline" else "applied"
        elif position < here:
            state = "out of order" if found or entries else "applied"
        elif revision.id in started:
            state = "interrupted"
        changed = entry is not None and entry.checksum != revision.checksum
        lines.append(
            Migration(
                revision.id,
                revision.name,
                state,
                entry.started_at if entry else None,
                entry.actor if entry else None,
                entry.seconds if entry else None,
                history.difference(entry, revision) if entry and changed else "",
            )
        )
    unknown = [
        Migration(e.revision, e.name, "no file", e.started_at, e.actor, e.seconds, "")
        for e in found.values()
    ]
    if at is not None and at not in files.by_id and at not in found:
        unknown.append(Migration(at, at, "no file", None, None, None, ""))
    return lines + unknown
