"""Changes: shown before they run, checked to be still true, carried out once and recorded."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from console.operations.audit.access import Actor, require_operator
from console.operations.environments.target import Target
from console.operations.errors import StaleChangeError
from console.operations.progress import Report

if TYPE_CHECKING:
    from console.operations.audit.audit import Audit  # loads psycopg


class Change(Protocol):
    """Something that an operator is about to do.

    Attributes
    ----------
    action
        The verb under which the audit records it, such as ``migrate``.
    subject
        What it is done to, as the audit records it.
    destructive
        Whether it takes away what can't be brought back by running something again.
    """

    @property
    def target(self) -> Target: ...

    @property
    def action(self) -> str: ...

    @property
    def subject(self) -> str: ...

    @property
    def destructive(self) -> bool: ...

    def lines(self) -> Iterable[str]:
        """Return exactly what will be touched, one thing a line."""
        ...

    def check(self) -> None:
        """Raise StaleChangeError if what `lines` showed is no longer what would happen."""
        ...

    def execute(self, report: Report) -> str:
        """Do it, and return its outcome in one sentence; nothing else here changes anything."""
        ...


@dataclass(frozen=True)
class Operation:
    """A change that is one call, and touches what it says whatever happens meanwhile.

    Attributes
    ----------
    touches
        What it touches, one thing a line.
    summary
        Returns what the audit keeps of a result.
    results
        What the call returned, once it has.
    """

    target: Target
    action: str
    subject: str
    touches: tuple[str, ...]
    work: Callable[[Report], Any] = field(compare=False)
    destructive: bool = False
    summary: Callable[[Any], str] = field(default=str, compare=False)
    results: list[Any] = field(default_factory=list, compare=False)

    def lines(self) -> Iterable[str]:
        """Return what it touches."""
        return self.touches

    def check(self) -> None:
        """Pass: what it touches does not depend on a listing."""

    def execute(self, report: Report) -> str:
        """Do it."""
        result = self.work(report)
        self.results.append(result)
        return self.summary(result)


__all__ = [
    "Change",
    "Confirm",
    "Operation",
    "StaleChangeError",
    "carry_out",
    "confirmed_as",
    "fingerprint",
]

Confirm = Callable[[Change], None]
"""Shows a change and raises OperationError unless the operator wants it."""


def carry_out(
    change: Change,
    confirm: Confirm,
    audit: Audit,
    actor: Actor,
    report: Report,
    *,
    key: str | None = None,
    reason: str = "",
    origin: str = "",
) -> str:
    """Show a change, have it confirmed, and carry it out if it is still what was shown.

    Parameters
    ----------
    key
        The same for every arrival of one click; a new one if it is None.
    reason
        Why, in the operator's words; goes into the record.
    origin
        Where it came from, such as the user of the operating system; goes into the record.

    Returns
    -------
    str
        The outcome in one sentence.

    Raises
    ------
    StaleChangeError
        If it is no longer what was shown; nothing was changed then.
    OperationError
        If the actor may not, does not confirm, or the change fails.
    """
    require_operator(actor)
    confirm(change)
    key = key or uuid.uuid4().hex

    def work() -> str:
        change.check()
        return change.execute(audit.follow(key, report))

    detail = "; ".join(
        [str(change.target)]
        + ([f"by {origin}"] if origin else [])
        + ([f"reason: {reason}"] if reason else [])
    )
    return audit.perform(actor, change.action, change.subject, key, work, detail=detail)


def fingerprint(change: Change) -> str:
    """Return what tells this change from any other: target, action, and all that it touches."""
    said = "\n".join([str(change.target), change.action, change.subject, *change.lines()])
    return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()


def confirmed_as(shown: str) -> Confirm:
    """Return the confirmation of whoever has confirmed already what has this fingerprint."""

    def confirm(change: Change) -> None:
        if fingerprint(change) != shown:
            raise StaleChangeError(
                f"What {change.action} would do has changed since it was shown.",
                "Look at what it would do now, then confirm that.",
            )

    return confirm
