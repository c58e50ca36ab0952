"""Work that goes on when the operator changes the page.

It ends with the console's process. What was cut off so is closed as interrupted in the audit, with
how far it had come, by any console that sees so.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from console.operations.errors import OperationError
from console.operations.progress import Event, Report

_KEPT = 50
_SAME_CLICK_SECONDS = 2


@dataclass(eq=False)
class Job:
    """One piece of work, running or ended.

    Attributes
    ----------
    name
        The same for every arrival of one click.
    key
        This job's own, for the audit.
    events
        What it reported, oldest first; the newest of each step is what counts.
    error
        What went wrong, once it has failed.
    over
        Set once it has ended.
    stopped_by
        Who wants it to end at the next point where it may.
    """

    name: str
    title: str
    kind: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    started: float = field(default_factory=time.time)
    ended: float | None = None
    events: list[Event] = field(default_factory=list)
    state: Literal["running", "done", "failed"] = "running"
    result: Any = None
    error: OperationError | None = None
    over: threading.Event = field(default_factory=threading.Event)
    stopped_by: str = ""

    @property
    def may_stop(self) -> bool:
        """Whether it can be stopped, and nobody has yet."""
        last = self.events[-1:]
        return self.state == "running" and not self.stopped_by and any(e.may_stop for e in last)

    def report(self, event: Event) -> None:
        """Keep what the work says."""
        last = self.events[-1] if self.events else None
        if last and (last.step, last.state, event.state) == (event.step, "advanced", "advanced"):
            self.events[-1] = event  # a long step reports once for each of its items
        else:
            self.events.append(event)


class Jobs:
    """All jobs of this console.

    Attributes
    ----------
    finished
        How many have ended since it began: what was looked up before the last may have changed.
    """

    def __init__(self) -> None:
        self.finished = 0
        self._jobs: list[Job] = []
        self._lock = threading.Lock()

    def start(self, name: str, kind: str, title: str, work: Callable[[str, Report], Any]) -> Job:
        """Start the work in the background, with the job's key.

        While a job of that name and kind runs, and within seconds of its end, it is the same
        click: that job is returned.
        """
        with self._lock:
            for job in self._jobs:
                if (job.name, job.kind) == (name, kind) and (
                    job.ended is None or time.time() - job.ended <= _SAME_CLICK_SECONDS
                ):
                    return job
            ended = [job for job in self._jobs if job.ended]
            for old in ended[:-_KEPT]:
                self._jobs.remove(old)
            job = Job(name, title, kind)
            self._jobs.append(job)
        threading.Thread(
            target=self._run, args=(job, work), name=f"job {title}", daemon=True
        ).start()
        return job

    def of(self, kind: str) -> list[Job]:
        """Return the jobs of a kind, newest first."""
        with self._lock:
            return [job for job in reversed(self._jobs) if job.kind == kind]

    def ended(self, kind: str) -> int:
        """Return how many of a kind have ended, of those that are kept."""
        return sum(job.ended is not None for job in self.of(kind))

    def running(self) -> list[Job]:
        """Return the jobs that run."""
        with self._lock:
            return [job for job in self._jobs if job.state == "running"]

    def _run(self, job: Job, work: Callable[[str, Report], Any]) -> None:
        state: Literal["done", "failed"] = "failed"
        try:
            job.result = work(job.key, job.report)
            state = "done"
        except OperationError as error:
            job.error = error
        except Exception as error:  # a job has nobody above it to tell
            job.error = OperationError(
                f"{type(error).__name__}: {error}",
                "This is a defect in Avatar Ops; please report it.",
            )
        finally:
            with self._lock:
                self.finished += 1  # before a page sees that it has ended, and looks things up
                job.ended, job.state = time.time(), state
            job.over.set()
