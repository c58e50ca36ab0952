"""What was done to a database: ``migration_history`` beside Alembic's ``alembic_version``."""

from __future__ import annotations

import difflib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import Connection

from console.operations.errors import OperationError
from console.operations.migrations.files import ID_LENGTH, Files, Revision
from console.operations.migrations.session import query

TABLES = ("public.alembic_version", "public.migration_history")
VERSION, HISTORY = TABLES


Outcome = Literal["started", "succeeded", "failed", "interrupted"]

# The file's text is kept beside its checksum, so that a drift can be shown, not only noticed.
_CREATE = (
    f"""
    CREATE TABLE IF NOT EXISTS {VERSION} (
        version_num varchar({ID_LENGTH}) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY
    )
    """,
    f"""
    CREATE TABLE IF NOT EXISTS {HISTORY} (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        revision text NOT NULL,
        name text NOT NULL,
        direction text NOT NULL CHECK (direction IN ('up', 'down', 'baseline')),
        checksum text NOT NULL,
        source text NOT NULL,
        actor text NOT NULL,
        started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
        seconds double precision,
        outcome text NOT NULL CHECK (outcome IN ('started', 'succeeded', 'failed', 'interrupted')),
        error text
    )
    """,
    # what an adopted database had of its own, one difference to a line of JSON
    "ALTER TABLE public.migration_history ADD COLUMN IF NOT EXISTS accepted jsonb",
)


@dataclass(frozen=True)
class Entry:
    """One row: what was done with a revision's file, by whom, and how it ended."""

    id: int
    revision: str
    name: str
    direction: str
    checksum: str
    source: str
    actor: str
    started_at: datetime
    seconds: float | None
    outcome: Outcome
    error: str | None


def exists(connection: Connection) -> bool:
    """Whether this database has a history."""
    return bool(query(connection, "SELECT to_regclass(%s) IS NOT NULL", HISTORY)[0][0])


def ensure(connection: Connection) -> None:
    """Make both tables where they are missing."""
    with connection.begin():
        if not exists(connection) or not _has_version_table(connection) or not _is_new(connection):
            for statement in _CREATE:
                query(connection, statement)


def accepted(connection: Connection) -> set[str]:
    """Return the differences from the migrations that were there when the database was adopted."""
    rows = query(
        connection,
        """
        SELECT jsonb_array_elements_text(to_jsonb(h) -> 'accepted')
        FROM public.migration_history h
        WHERE jsonb_typeof(to_jsonb(h) -> 'accepted') = 'array'
        """,
    )
    return {row[0] for row in rows}


def accept(connection: Connection, entry: int, differences: Sequence[str]) -> None:
    """Note with an adoption's `entry` what differs, in the caller's transaction."""
    query(
        connection,
        "UPDATE public.migration_history SET accepted = %s WHERE id = %s",
        json.dumps(list(differences)),
        entry,
    )


def current(connection: Connection) -> str | None:
    """Return the revision the database is at.

    Raises
    ------
    OperationError
        If it is at several at once.
    """
    if not _has_version_table(connection):
        return None
    rows = [row[0] for row in query(connection, "SELECT version_num FROM public.alembic_version")]
    if len(rows) > 1:
        raise OperationError(
            f"The database is on several branches at once: {', '.join(sorted(rows))}.",
            "Leave in alembic_version only the newest revision that is whole.",
        )
    return rows[0] if rows else None


def entries(connection: Connection) -> list[Entry]:
    """Return the whole history, oldest first."""
    if not exists(connection):
        return []
    columns = ", ".join(Entry.__dataclass_fields__)
    sql = f"SELECT {columns} FROM {HISTORY} ORDER BY id"  # noqa: S608  our own names  # nosec B608
    return [Entry(*row) for row in query(connection, sql)]


def standing(entries: Sequence[Entry]) -> dict[str, Entry]:
    """Return, for each revision that is in force, the entry that put it there."""
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.outcome == "succeeded":
            if entry.direction == "down":
                found.pop(entry.revision, None)
            else:
                found[entry.revision] = entry
    return found


def record(
    connection: Connection,
    revision: Revision,
    direction: str,
    actor: str,
    outcome: Outcome,
    seconds: float | None = None,
    error: str | None = None,
) -> int:
    """Add an entry in the caller's transaction and return its number."""
    row = query(
        connection,
        """
        INSERT INTO public.migration_history
            (revision, name, direction, checksum, source, actor, started_at, seconds, outcome,
             error)
        VALUES (%s, %s, %s, %s, %s, %s,
                clock_timestamp() - make_interval(secs => coalesce(%s, 0)), %s, %s, %s)
        RETURNING id
        """,
        revision.id,
        revision.name,
        direction,
        revision.checksum,
        revision.source,
        actor,
        seconds,
        seconds,
        outcome,
        error,
    )
    return int(row[0][0])


def close(
    connection: Connection, entry: int, outcome: Outcome, seconds: float | None, error: str | None
) -> None:
    """Write how the started `entry` ended, in the caller's transaction."""
    query(
        connection,
        "UPDATE public.migration_history SET outcome = %s, seconds = %s, error = %s WHERE id = %s",
        outcome,
        seconds,
        error,
        entry,
    )


def difference(entry: Entry, revision: Revision) -> str:
    """Return what changed in a file since it was applied, as a unified diff without context."""
    lines = difflib.unified_diff(
        entry.source.splitlines(),
        revision.source.splitlines(),
        f"{revision.path.name} as applied {entry.started_at:%Y-%m-%d %H:%M}",
        f"{revision.path.name} now",
        lineterm="",
        n=0,
    )
    return "\n".join(lines)


def verify(files: Files, at: str | None, entries: Sequence[Entry]) -> None:
    """Check that the files still tell how this database became what it is.

    Raises
    ------
    OperationError
        If the database is at a revision that no file has, has no history of a revision before it
        (out of order), or a file changed after it was applied (drift).
    """
    if at is None:
        return
    if at not in files.by_id:
        names = [entry.name for entry in entries if entry.revision == at]
        raise OperationError(
            f"The database is at migration {names[-1] if names else at}, which no file here has.",
            "Update this checkout to one that holds it, then run again.",
        )
    found = standing(entries)
    if not found:
        raise OperationError(
            f"The database is at migration {at} but has no history of how it got there.",
            "Run `make adopt`: it takes the present state as the baseline.",
        )
    applied = files.line[: files.position(files.by_id[at])]
    for revision in applied:
        if revision.id not in found:
            raise OperationError(
                f"{revision.name} was never applied, but comes before {at}, where the database is.",
                f"Put it last: set its `down_revision` to {files.line[-1].id!r}, and the"
                " `down_revision` of the file that follows it back to what it was.",
            )
    for revision in applied:
        entry = found[revision.id]
        if entry.checksum != revision.checksum:
            raise OperationError(
                f"{revision.path.name} was changed after it was applied"
                f" ({entry.started_at:%Y-%m-%d %H:%M} by {entry.actor}):\n"
                f"{difference(entry, revision)}\n",
                "Put the file back as it was; what is to change goes into a new migration.",
            )


def _has_version_table(connection: Connection) -> bool:
    return bool(query(connection, "SELECT to_regclass(%s) IS NOT NULL", VERSION)[0][0])


def _is_new(connection: Connection) -> bool:
    return bool(
        query(
            connection,
            "SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass(%s)"
            " AND attname = 'accepted' AND NOT attisdropped",
            HISTORY,
        )[0][0]
    )
