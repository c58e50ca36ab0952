"""Workers that a test moves one call of S3 at a time.

Each is a thread, of which only one ever runs: it stops before each call, and goes on
when the test says how the call ends. Every wait is bounded.
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ReadTimeoutError

from tests.unit.order.s3 import error

SECONDS = 60
THREAD = "worker of the order tests"

_running = threading.local()


class Ending(enum.Enum):
    """How a call of S3 ends."""

    OK = "ok"
    CONFLICT = "409: somebody else wrote at the same moment"
    UNAVAILABLE = "503, and nothing was done"
    ANSWER_LOST = "done, but the answer never came"
    RETRIED = "done, the answer lost, and done again by the client"
    CRASH = "the worker dies before the call"


class Crashed(BaseException):
    """The process is gone; no code catches that."""


class Worker:
    """One function instance at work.

    Parameters
    ----------
    ended
        To be called by the test, with what the work returned or raised.
    blocked
        Says whether the worker waits for a lock.
    ends_at
        The second after which it is stopped, if it is.

    Attributes
    ----------
    read
        The version id of the original that it read last.
    call
        The call before which it stands.
    removed
        The time of the removal that it has recorded.
    slower
        Who was at work when it began to wait for them.
    """

    def __init__(
        self,
        work: Callable[[], Any],
        ended: Callable[[Any], None],
        blocked: Callable[[], bool] | None = None,
        ends_at: int | None = None,
    ) -> None:
        self.ends_at = ends_at
        self.read: str | None = None
        self.call = ""
        self.removed: datetime | None = None
        self.slower: list[Worker] = []
        self._ended = ended
        self._result: Any = None
        self._blocked = blocked
        self._ending = Ending.OK
        self._turn = threading.Semaphore(0)
        self._quiet = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(work,), name=THREAD, daemon=True)
        self._thread.start()
        self.settle()

    def __repr__(self) -> str:
        return f"<worker before {self.call}>"

    @property
    def paused(self) -> bool:
        """Whether it can make a step: it is neither done nor waiting for a lock."""
        return self._quiet.is_set() and not self.done

    @property
    def done(self) -> bool:
        """Whether it has ended."""
        return self._quiet.is_set() and not self.call

    def step(self, ending: Ending = Ending.OK) -> None:
        """Let the call before which it stands end so, and wait until it stands still again."""
        assert self.paused
        self._ending = ending
        self._quiet.clear()
        self._turn.release()
        self.settle()

    def settle(self) -> None:
        """Wait until it stands before a call, waits for a lock, or has ended."""
        deadline = time.monotonic() + SECONDS
        while not self._quiet.wait(0.005 if self._blocked else SECONDS):
            if self._blocked and self._blocked():
                return
            assert time.monotonic() < deadline, f"{self} hangs"
        if self.done:
            self._thread.join(SECONDS)

    def close(self) -> None:
        """Say that it has ended."""
        self._ended(self._result)

    def pause(self, call: str) -> Ending:
        """Stand before a call of S3 until the next step; for the worker's own thread."""
        if self._ending is Ending.CRASH:
            raise Crashed
        self.call = call
        self._quiet.set()
        if not self._turn.acquire(timeout=SECONDS) or self._ending is Ending.CRASH:
            raise Crashed
        return self._ending

    def _run(self, work: Callable[[], Any]) -> None:
        _running.worker = self
        try:
            self._result = work()
        except (Exception, Crashed) as failure:
            self._result = failure
        self.call = ""
        self._quiet.set()


class Call:
    """A call given to the pool: made at once, or only when somebody waits for it."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._work: Callable[[], Any] | None = work
        self._result: Any = None
        self._failure: Exception | None = None

    def exception(self) -> Exception | None:
        if self._work:
            work, self._work = self._work, None
            try:
                self._result = work()
            except Exception as failure:
                self._failure = failure
        return self._failure

    def result(self) -> Any:
        if failure := self.exception():
            raise failure
        return self._result


class Pool:
    """A thread pool without threads, so that a worker can die between any two calls.

    Attributes
    ----------
    late
        Whether calls are made only when they are waited for: of two at the same time, the other
        one is first then.
    """

    late = False

    def __init__(self, _threads: int) -> None: ...

    def submit(self, work: Callable[..., Any], *arguments: Any, **named: Any) -> Call:
        call = Call(lambda: work(*arguments, **named))
        if not Pool.late:
            call.exception()
        return call


class Client:
    """The functions' S3 client; what no worker calls, goes through at once."""

    def __init__(self, s3: Any) -> None:
        self._s3 = s3

    def get_paginator(self, operation: str) -> SimpleNamespace:
        """Return a paginator whose pages come with one call."""
        return SimpleNamespace(paginate=lambda **arguments: self.call(operation, arguments))

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        return lambda **arguments: self.call(operation, arguments)

    def call(self, operation: str, arguments: dict[str, Any]) -> Any:
        """Call S3 when it is the worker's turn, and let the call end as the test wants."""
        worker = current()
        ending = worker.pause(f"{operation} {arguments.get('Key', '')}") if worker else Ending.OK
        if ending is Ending.CONFLICT and {"IfMatch", "IfNoneMatch"} & arguments.keys():
            raise error("ConditionalRequestConflict", 409, operation)
        if ending is Ending.UNAVAILABLE:
            raise error("SlowDown", 503, operation)
        answer = getattr(self._s3, operation)(**arguments)
        if worker and operation == "get_object":
            worker.read = answer.get("VersionId")
        if ending is Ending.ANSWER_LOST:
            raise ReadTimeoutError(endpoint_url="https://s3")
        if ending is Ending.RETRIED:
            return getattr(self._s3, operation)(**arguments)
        return answer


def current() -> Worker | None:
    """Return the worker whose thread this is."""
    return getattr(_running, "worker", None)


def pause(what: str) -> None:
    """Stand still once more, between two calls of S3."""
    worker = current()
    assert worker
    worker.pause(what)
