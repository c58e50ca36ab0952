"""Progress of long work, as events that the command line and the console both draw."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from console.operations.errors import OperationError

State = Literal["started", "advanced", "done", "failed"]


@dataclass(frozen=True)
class Event:
    """One step of a piece of work.

    Attributes
    ----------
    step
        What is being done, in the operator's words; the same text from start to end.
    state
        Where the step stands.
    detail
        What is worth saying beside it.
    seconds
        How long the step took, on ``done`` and ``failed``.
    done, total
        How many of how many items, where the step counts any.
    may_stop
        Whether the work may end here: whoever is told may raise StoppedError.
    """

    step: str
    state: State
    detail: str = ""
    seconds: float | None = None
    done: int | None = None
    total: int | None = None
    may_stop: bool = False


Report = Callable[[Event], None]


class StoppedError(OperationError):
    """An operator has stopped the work; what is done stays done."""

    def __init__(self, by: str) -> None:
        super().__init__(f"Stopped by {by}.", "Start it again for the rest.")
        self.by = by


def ignore(_event: Event) -> None:
    """Report to nobody."""


@contextlib.contextmanager
def timed(report: Report, step: str) -> Iterator[list[str]]:
    """Report the start of the step inside, and its end with the time it took.

    Yields
    ------
    list of str
        What is appended here is the detail of the end.
    """
    started = time.monotonic()
    detail: list[str] = []
    report(Event(step, "started"))
    try:
        yield detail
    except BaseException:
        report(Event(step, "failed", " ".join(detail), time.monotonic() - started))
        raise
    report(Event(step, "done", " ".join(detail), time.monotonic() - started))
