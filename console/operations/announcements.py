"""A line from one operator to all: on every page of every console, until its time is over.

It stands in the audit, as the newest action of its kind: there is nothing else to keep, and who
said what when is known for good.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from console.operations.audit.audit import Audit, Filter, clean
from console.operations.changes import Operation
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.progress import Report

ANNOUNCE, WITHDRAW = "announce", "withdraw"
LONGEST = 200
_UNTIL = re.compile(r"until (\S+)")


@dataclass(frozen=True)
class Announcement:
    """What is said, by whom, when, and until when it is shown."""

    text: str
    by: str
    at: datetime
    until: datetime


def current(audit: Audit) -> Announcement | None:
    """Return what is shown to all operators now.

    Raises
    ------
    OperationError
        If the database is away.
    """
    wanted = Filter(actions=(ANNOUNCE, WITHDRAW), outcomes=("done",))
    for newest in audit.actions(wanted, limit=1):
        until = _UNTIL.search(newest.detail)
        if newest.action == ANNOUNCE and until:
            found = Announcement(
                newest.target, newest.actor, newest.started, datetime.fromisoformat(until[1])
            )
            return found if found.until > datetime.now(UTC) else None
    return None


def announce(target: Target, text: str, hours: int) -> Operation:
    """Return the change that shows a line to all operators; it takes the place of the one before.

    Raises
    ------
    OperationError
        If there is nothing to show, or too much.
    """
    text = clean(text).replace("\n", " ").strip()
    if not text:
        raise OperationError("There is nothing to show.", "Write a line first.")
    if len(text) > LONGEST:
        raise OperationError(
            f"The line has {len(text)} characters.", f"Write at most {LONGEST}: all pages show it."
        )

    def work(_report: Report) -> str:
        until = datetime.now(UTC) + timedelta(hours=hours)
        return f"until {until.isoformat(timespec='seconds')}"

    touches = (f"+ every page of every console shows for {hours} h: {text}",)
    return Operation(target, ANNOUNCE, text, touches, work)


def withdraw(target: Target, shown: Announcement) -> Operation:
    """Return the change that ends it."""
    touches = (f"- no page shows any more: {shown.text}",)
    return Operation(target, WITHDRAW, shown.text, touches, lambda _: "withdrawn")
