"""The one connection a run works on: its lock, its limits, and every statement it sends."""

from __future__ import annotations

import getpass
import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from console.operations.errors import OperationError
from console.operations.progress import Event, Report

# Any fixed 64-bit number; advisory locks are per database.
LOCK_KEY = 0x61766174_61726F70
POLL_SECONDS = 0.2


@dataclass(frozen=True)
class Limits:
    """How long a run may wait, work, and stand in others' way.

    Attributes
    ----------
    lock_timeout
        Seconds a statement may wait for a table's lock; whoever queues behind it waits as long.
    statement_timeout
        Seconds one statement may take.
    concurrent_timeout
        The same for a statement with ``CONCURRENTLY``, which blocks nobody and may be slow.
    attempts
        How often a migration is tried when it doesn't get its locks.
    wait
        Seconds to wait for another run to end.
    """

    lock_timeout: float = 1.0
    statement_timeout: float = 60.0
    concurrent_timeout: float = 3600.0
    attempts: int = 5
    wait: float = 60.0

    def pause(self, attempt: int) -> float:
        """Return the seconds to wait before the attempt after `attempt` (from 1), with jitter."""
        ceiling = min(8.0, self.lock_timeout * 2**attempt)
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311  no secret hangs on it


@dataclass(frozen=True)
class Executed:
    """One statement that was sent, as ``VERBOSE=1`` shows it; `seconds` on the client's clock."""

    sql: str
    parameters: Any
    seconds: float
    failed: bool


Trace = Callable[[Executed], None]


def actor() -> str:
    """Return who is at the keyboard, as ``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


@contextmanager
def connect(
    url: str, who: str = "", purpose: str = "read", trace: Trace | None = None
) -> Iterator[Connection]:
    """Connect to `url`.

    Raises
    ------
    OperationError
        If the server can't be reached or refuses; never with the URL's password in it.
    """
    # Postgres cuts the name at 63 bytes; this is what another run reads of who holds the lock.
    name = f"avatar-ops {purpose} {who}"[:63].strip()

    def creator() -> psycopg.Connection[Any]:
        return psycopg.connect(
            url, application_name=name, connect_timeout=10, prepare_threshold=None
        )

    engine = create_engine("postgresql+psycopg://", creator=creator, poolclass=NullPool)
    if trace is not None:
        _trace(engine, trace)
    try:
        connection = engine.connect()
    except psycopg.Error as error:
        raise _unreachable(error) from None
    except DBAPIError as error:
        raise _unreachable(error.orig) from None
    with connection:
        yield connection


@contextmanager
def exclusive(
    connection: Connection, who: str, limits: Limits, report: Report
) -> Iterator[Connection]:
    """Hold the database's migration lock, on the connection that does the work.

    So the lock lives exactly as long as the work: a run that is killed holds it until Postgres
    has given up its statement, and no second run can start beside it. It is polled: a session
    that waits inside Postgres holds a snapshot, and ``CREATE INDEX CONCURRENTLY`` in the run
    ahead would wait for that snapshot for ever.

    Raises
    ------
    OperationError
        If another run still holds it after ``limits.wait`` seconds; the message says who.
    """
    step = "Wait for the migration lock"
    started = time.monotonic()
    holder = ""
    while True:
        with connection.begin():
            if query(connection, "SELECT pg_try_advisory_lock(%s)", LOCK_KEY)[0][0]:
                break
            now = _holder(connection)
        if now != holder:
            holder = now
            report(Event(step, "started", f"held by {holder}"))
        if time.monotonic() - started > limits.wait:
            raise OperationError(
                f"Another run holds the migration lock: {holder}.",
                f"It was waited for {limits.wait:g} s; try again when that run has ended.",
            )
        time.sleep(POLL_SECONDS)
    if holder:
        report(Event(step, "done", "the other run has ended", time.monotonic() - started))
    set_limits(connection, limits.lock_timeout, limits.statement_timeout)
    with connection.begin():
        # Postgres looks whether a killed run's client is still there, also inside a statement.
        query(connection, "SELECT set_config('client_connection_check_interval', '1s', false)")
    yield connection  # closing the connection releases the lock, however the run ends


def set_limits(connection: Connection, lock: float, statement: float) -> None:
    """Set the session's ``lock_timeout`` and ``statement_timeout``, in seconds; 0 is none."""
    with connection.begin():
        _set_timeouts(connection, lock, statement, "session")


def set_local_limits(connection: Connection, limits: Limits) -> None:
    """Set both for the transaction under way, whatever an earlier migration's SET left behind."""
    _set_timeouts(connection, limits.lock_timeout, limits.statement_timeout, "transaction")


def _set_timeouts(connection: Connection, lock: float, statement: float, scope: str) -> None:
    query(
        connection,
        "SELECT set_config('lock_timeout', %s, %s), set_config('statement_timeout', %s, %s)",
        f"{round(lock * 1000)}ms",
        scope == "transaction",
        f"{round(statement * 1000)}ms",
        scope == "transaction",
    )


def query(connection: Connection, sql: str, *parameters: Any) -> list[Any]:
    """Run `sql` with psycopg's placeholders; return its rows, or nothing where it has none."""
    result = connection.exec_driver_sql(sql, parameters)
    return list(result) if result.returns_rows else []


def _holder(connection: Connection) -> str:
    rows = query(
        connection,
        """
        SELECT a.pid, a.application_name, a.usename,
               extract(epoch FROM clock_timestamp() - a.backend_start)::int
        FROM pg_locks l JOIN pg_stat_activity a USING (pid)
        WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
          AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
          AND (l.classid::bigint << 32) | l.objid::bigint = %s
        """,
        LOCK_KEY,
    )
    if not rows:
        return "a run that is just ending"
    pid, name, user, seconds = rows[0]
    since = f", for {seconds} s" if seconds is not None else ""
    return f"{name or user} (pid {pid}{since})"


def _trace(engine: Any, trace: Trace) -> None:
    @event.listens_for(engine, "before_cursor_execute")
    def before(_c: Any, cursor: Any, _s: Any, _p: Any, context: Any, _many: Any) -> None:
        context.started_at = time.perf_counter()

    @event.listens_for(engine, "after_cursor_execute")
    def after(_c: Any, cursor: Any, sql: str, parameters: Any, context: Any, _many: Any) -> None:
        trace(Executed(sql, parameters, time.perf_counter() - context.started_at, False))

    @event.listens_for(engine, "handle_error")
    def failed(failure: Any) -> None:
        context = failure.execution_context
        if context is not None and hasattr(context, "started_at"):
            seconds = time.perf_counter() - context.started_at
            trace(Executed(failure.statement, failure.parameters, seconds, True))


def _unreachable(error: BaseException | None) -> OperationError:
    # what libpq indents is a hint, not the reason
    lines = [line for line in str(error).strip().splitlines() if not line.startswith("\t")]
    said = lines[-1] if lines else "no answer"
    return OperationError(
        f"The database can't be reached: {said}.", "Check DATABASE_URL and that the server runs."
    )
