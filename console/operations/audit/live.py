"""What runs, as every console and terminal sees it: how far it is, and that somebody stops it.

The table of what runs has a row for each action; the process that acts writes there every few
seconds, which is also its sign of life.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import psycopg

from console.operations.audit import schema
from console.operations.progress import Event, Report, StoppedError

BEAT_SECONDS = 2
SILENT_SECONDS = 30
"""A process that has written nothing for so long has ended."""
_STEPS = 20


@dataclass
class Running:
    """An action that runs in this process.

    Attributes
    ----------
    steps
        The newest event of each step, in the order in which they began.
    stopped_by
        Who wants it to end at the next point where it may.
    """

    title: str
    steps: dict[str, Event] = field(default_factory=dict)
    stopped_by: str = ""

    def __str__(self) -> str:
        return self.title

    def follow(self, report: Report) -> Report:
        """Return a report that keeps what it is told, and stops the work if somebody wants it."""

        def kept(event: Event) -> None:
            self.steps[event.step] = event
            report(event)
            if event.may_stop and self.stopped_by:
                raise StoppedError(self.stopped_by)

        return kept


@dataclass(frozen=True)
class Seen:
    """An action that runs, in any process.

    Attributes
    ----------
    silent
        For how many seconds its process has written nothing; None if it never did.
    """

    at: datetime
    actor: str
    action: str
    target: str
    key: str
    process: str
    stopped_by: str = ""
    silent: float | None = None
    steps: tuple[Event, ...] = ()


def beat(connection: psycopg.Connection, running: Mapping[str, Running]) -> None:
    """Write how far this process's actions are, and learn which of them somebody stops."""
    for key, action in running.items():
        steps = [asdict(event) for event in list(action.steps.values())[-_STEPS:]]
        found = connection.execute(
            "UPDATE avatar_ops.audit_running SET seen = clock_timestamp(), steps = %s,"
            " stopped_by = CASE stopped_by WHEN '' THEN %s ELSE stopped_by END"
            " WHERE key = %s RETURNING stopped_by",
            (json.dumps(steps), action.stopped_by, key),
        ).fetchone()
        if found:
            action.stopped_by = found[0]


def ask_to_stop(connection: psycopg.Connection, key: str, who: str) -> bool:
    """Ask the process that acts to end where it may; return False if nothing runs by that key."""
    done = connection.execute(
        "UPDATE avatar_ops.audit_running SET stopped_by = %s WHERE key = %s", (who, key)
    )
    return done.rowcount == 1


def seen(connection: psycopg.Connection, environment: str) -> list[Seen]:
    """Return what runs, oldest first; nothing where it is not kept yet."""
    if not schema.is_live(connection):
        return []
    rows = connection.execute(
        "SELECT e.at, e.actor, e.action, e.target, e.key, e.process, r.stopped_by,"
        " extract(epoch FROM clock_timestamp() - r.seen)::float, r.steps"
        " FROM avatar_ops.audit_running r"
        # each by the index, whatever the planner takes the tables' sizes for
        " CROSS JOIN LATERAL (SELECT * FROM avatar_ops.audit_entries"
        "   WHERE key = r.key AND outcome = 'started' LIMIT 1) e"
        " WHERE e.environment = %s ORDER BY e.at, e.key",
        (environment,),
    )
    return [replace(Seen(*row[:-1]), steps=events(row[-1])) for row in rows]


def events(steps: Sequence[Mapping[str, Any]]) -> tuple[Event, ...]:
    """Return the events that a row holds; of a newer version's, what this one knows."""
    known = Event.__dataclass_fields__
    return tuple(Event(**{n: v for n, v in step.items() if n in known}) for step in steps)


def said(steps: Sequence[Event]) -> str:
    """Return in a few words how far an action is; empty if it has said nothing."""
    return ", ".join(
        f"{event.step}{'' if event.done is None else f' {event.done:,}'}"
        + (f" of {event.total:,}" if event.done is not None and event.total else "")
        + (f" ({event.detail})" if event.detail else "")
        + (", done" if event.state == "done" else "")
        for event in steps[-3:]
    )
