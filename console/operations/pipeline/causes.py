"""Why messages failed, by the resize function's log.

The log has one line for each try that ended with an error. A message is dead after its last try;
a function that was killed (by its timeout, or for its memory) leaves no line, so the log knows of
fewer messages than the queue has. A message that was redriven since is still counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from console.operations.environments import insights
from console.operations.environments.deployment import Deployment
from console.operations.environments.insights import Group, Query
from console.operations.errors import OperationError

_AWS_ERROR = re.compile(r"An error occurred \(([^)]+)\)")
_VALUE = (
    r' | parse @message /"reason": "An error occurred \((?<aws_code>[^)]+)\)/'
    " | fields coalesce(aws_code, error) as value"
)
_NAME = re.compile(r"[\w.:-]+")


@dataclass(frozen=True)
class Selection:
    """Failures of one time, of one cause or any, whose key contains a text or any.

    Attributes
    ----------
    since, until
        Seconds since 1970.
    cause
        AWS's error code, or the error's class; empty for any.
    text
        Part of a key; a user's id is one. Empty for any.
    everything
        Whatever the log says, all that were there at `until`.
    """

    since: float
    until: float
    cause: str = ""
    text: str = ""
    everything: bool = False

    def __post_init__(self) -> None:
        if self.cause and not _NAME.fullmatch(self.cause):
            raise OperationError(
                f"{self.cause!r} is no cause.", "Use one that is listed: CAUSE=NoSuchBucket."
            )

    def __str__(self) -> str:
        parts = [self.cause] if self.cause else []
        parts += [f"key contains {self.text!r}"] if self.text else []
        return ", ".join(parts) or "any cause"


@dataclass(frozen=True)
class Failure:
    """The last try of a message that is dead since, as the log tells it.

    Attributes
    ----------
    key
        The upload; empty if the log does not say (before version 0.2, or no S3 event).
    sentence
        The last line of the stack.
    """

    message_id: str
    key: str
    cause: str
    sentence: str
    stack: str
    at: float


def groups(deployment: Deployment, selection: Selection, receives: int) -> list[Group]:
    """Count the messages that were given up, by cause, most frequent first.

    Parameters
    ----------
    receives
        After how many tries a message is dead.
    """
    return insights.groups(deployment, _query(selection, receives), _VALUE, "message_id", _cause_of)


def failures(
    deployment: Deployment, selection: Selection, receives: int, limit: int | None = None
) -> Iterator[Failure]:
    """Yield the last tries, newest first."""
    for line in insights.lines(deployment, _query(selection, receives), limit):
        if selection.cause in {"", _cause_of(line)}:
            yield _failure(line)


def of_messages(
    deployment: Deployment, ids: list[str], since: float, until: float
) -> dict[str, Failure]:
    """Return the newest failure of each of these few messages, as far as the log tells."""
    if not ids:
        return {}
    pattern = f'"message_id": "({"|".join(map(re.escape, ids))})"'
    query = Query("resize", (insights.field("message", "message failed"), pattern), since, until)
    newest_first = [_failure(line) for line in insights.lines(deployment, query, 20 * len(ids))]
    return {failure.message_id: failure for failure in reversed(newest_first)}


def _query(selection: Selection, receives: int) -> Query:
    patterns = [insights.field("message", "message failed")]
    if receives > 1:  # more receives than that are of a time when more were allowed
        last = "|".join(map(str, range(receives, receives + 10)))
        patterns.append(f'"receives": "({last})"')
    if selection.cause:
        name = re.escape(selection.cause)
        patterns.append(f'An error occurred \\({name}\\)|"error": "{name}"')
    if selection.text:
        patterns.append(insights.containing("key", selection.text))
    return Query("resize", tuple(patterns), selection.since, selection.until)


def _failure(line: dict[str, Any]) -> Failure:
    stack = str(line.get("stack", ""))
    return Failure(
        message_id=str(line.get("message_id")),
        key=str(line.get("key") or ""),
        cause=_cause_of(line),
        sentence=_last_line(stack),
        stack=stack,
        at=line["at"],
    )


def _cause_of(line: dict[str, Any]) -> str:
    found = _AWS_ERROR.match(str(line.get("reason", "")))
    return found[1] if found else str(line.get("error", "unknown"))


def _last_line(stack: str) -> str:
    lines = stack.strip().splitlines()
    return lines[-1].strip() if lines else "the log says no more"
