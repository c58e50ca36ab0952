"""Work that goes on when the operator changes the page."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from console.operations.errors import OperationError
from console.operations.progress import Event, Report

_KEPT = 50


@dataclass
class Job:
    """One piece of work, running or ended.

    Attributes
    ----------
    events
        What it reported, oldest first; the newest of each step is what counts.
    error
        What went wrong, once it has failed.
    over
        Set once it has ended.
    """

    key: str
    title: str
    kind: str
    started: float = field(default_factory=time.time)
    ended: float | None = None
    events: list[Event] = field(default_factory=list)
    state: Literal["running", "done", "failed"] = "running"
    result: Any = None
    error: OperationError | None = None
    over: threading.Event = field(default_factory=threading.Event)


class Jobs:
    """All jobs of this console."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def start(self, key: str, kind: str, title: str, work: Callable[[Report], Any]) -> Job:
        """Start the work in the background; a second call with the same key returns the first."""
        with self._lock:
            if key in self._jobs:
                return self._jobs[key]
            job = self._jobs[key] = Job(key, title, kind)
            for old in [job.key for job in self._jobs.values() if job.ended][:-_KEPT]:
                del self._jobs[old]
        threading.Thread(target=_run, args=(job, work), name=f"job {title}", daemon=True).start()
        return job

    def of(self, kind: str) -> list[Job]:
        """Return the jobs of a kind, newest first."""
        return sorted(
            (job for job in list(self._jobs.values()) if job.kind == kind),
            key=lambda job: -job.started,
        )

    def running(self) -> list[Job]:
        """Return the jobs that run."""
        return [job for job in list(self._jobs.values()) if job.state == "running"]


def _run(job: Job, work: Callable[[Report], Any]) -> None:
    try:
        job.result = work(job.events.append)
        job.state = "done"
    except OperationError as error:
        job.error, job.state = error, "failed"
    except Exception as error:  # a job has nobody above it to tell
        job.error = OperationError(
            f"{type(error).__name__}: {error}", "This is a defect in Avatar Ops; please report it."
        )
        job.state = "failed"
    finally:
        job.ended = time.time()
        job.over.set()
