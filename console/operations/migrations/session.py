"""The one connection a run works on: its lock, its limits, and every statement it sends."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from console.operations.audit.access import os_user
from console.operations.errors import OperationError
from console.operations.progress import Event, Report

# Any fixed 64-bit number; advisory locks are per database.
LOCK_KEY = 0x61766174_61726F70
POLL_SECONDS = 0.2

#: Where the tables and the migrations' own history are, whoever runs them.
SCHEMA = "public"

_LOCK = """
    pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (l.classid::bigint << 32) | l.objid::bigint = %s
"""

# More than the idle connections of a pool, one of which would be the first one's.
_PROBES = 8


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
        return random.uniform(ceiling / 2, ceiling)  # noqa: S311  no secret depends on it


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
    return f"{os_user()}@{socket.gethostname()}"


@contextmanager
def connect(
    url: str, who: str = "", purpose: str = "read", trace: Trace | None = None
) -> Iterator[Connection]:
    """Connect to `url`.

    Raises
    ------
    OperationError
        If the server can't be reached or refuses, never with the URL's password in it; or if
        tables without a schema in their name would not be those of `SCHEMA`.
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
    connection.info["url"] = url
    with connection:
        with connection.begin():
            _check_search_path(connection)
        yield connection


def _check_search_path(connection: Connection) -> None:
    schema, path, source, user, database = query(
        connection,
        "SELECT current_schema(), setting, source, current_user, current_database()"
        " FROM pg_settings WHERE name = 'search_path'",
    )[0]
    if schema == SCHEMA:
        return
    if schema is None:
        raise OperationError(
            f"The database {database} has no schema {SCHEMA}, or {user} may not use it.",
            f"As its owner: CREATE SCHEMA IF NOT EXISTS {SCHEMA};"
            f' GRANT USAGE, CREATE ON SCHEMA {SCHEMA} TO "{user}";',
        )
    set_by, remedy = {
        "client": (
            "by the database URL or PGOPTIONS",
            "Take `options=…search_path…` out of the URL, or unset PGOPTIONS.",
        ),
        "user": (f"for the role {user}", f'ALTER ROLE "{user}" RESET search_path;'),
        "database": (
            f"for the database {database}",
            f'ALTER DATABASE "{database}" RESET search_path;',
        ),
        "database user": (
            f"for the role {user} in this database",
            f'ALTER ROLE "{user}" IN DATABASE "{database}" RESET search_path;',
        ),
    }.get(source, ("by default", f"Use a role that has no schema of its name ({schema})."))
    raise OperationError(
        f"Tables would be looked for and made in the schema {schema}: search_path is"
        f" {path!r}, set {set_by}. The migrations and their history belong to {SCHEMA}.",
        f"{remedy} Or set {SCHEMA} first: search_path = {SCHEMA}, {schema}.",
    )


def refuse_pooled(connection: Connection) -> None:
    """Refuse a connection whose transactions a pooler hands to different sessions.

    There, a lock stays behind on a session that others use, and so does what `pg_dump` sets. A
    pooler is seen by the session's number, which it makes up. In transaction mode, further
    connections then get the idle session of the first one; in session mode they never do.

    Raises
    ------
    OperationError
        Saying what to use instead.
    """
    driver = connection.connection.driver_connection
    assert isinstance(driver, psycopg.Connection)  # noqa: S101  `connect` makes it
    with connection.begin():
        first = query(connection, "SELECT pg_backend_pid()")[0][0]
    if first == driver.info.backend_pid:
        return
    with ExitStack() as probes:
        for _ in range(_PROBES):
            try:
                probe = probes.enter_context(
                    psycopg.connect(
                        connection.info["url"], connect_timeout=2, prepare_threshold=None
                    )
                )
                # the transaction stays open, so that the next one gets another session
                cursor = probe.execute("SELECT pg_backend_pid()")
            except psycopg.Error:
                break  # all are taken, also that of the first: it is kept for it
            if cursor.fetchone() == (first,):
                raise _pooled()
        with connection.begin():
            if query(connection, "SELECT pg_backend_pid()")[0][0] != first:
                raise _pooled()


def _pooled() -> OperationError:
    return OperationError(
        "This is a connection through a pooler in transaction mode (PgBouncer, Supavisor, RDS"
        " Proxy …): the migration lock would stay on a session that others use, and exclude"
        " nobody.",
        "Use the address of Postgres itself (often port 5432 instead of 6543, or a host without"
        " `-pooler`), or the pooler's session mode.",
    )


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
        If another run still holds it after ``limits.wait`` seconds, the message says who; or if
        a pooler would not keep it for this connection.
    """
    refuse_pooled(connection)
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
    _check_held(connection)
    if holder:
        report(Event(step, "done", "the other run has ended", time.monotonic() - started))
    set_limits(connection, limits.lock_timeout, limits.statement_timeout)
    with connection.begin():
        # Postgres looks whether a killed run's client is still there, also inside a statement.
        query(connection, "SELECT set_config('client_connection_check_interval', '1s', false)")
    yield connection  # closing the connection releases the lock, however the run ends


def _check_held(connection: Connection) -> None:
    """Refuse to go on if the lock is not this transaction's, whatever `refuse_pooled` has seen."""
    with connection.begin():
        mine, held = query(
            connection,
            f"SELECT pg_backend_pid(), array(SELECT l.pid FROM {_LOCK})",  # noqa: S608  # nosec B608
            LOCK_KEY,
        )[0]
    if mine in held:
        return
    for _ in range(50):  # some transaction will reach the session that has it
        with connection.begin():
            query(
                connection,
                "SELECT CASE WHEN pg_backend_pid() = ANY (%s) THEN pg_advisory_unlock(%s) END",
                held,
                LOCK_KEY,
            )
    raise _pooled()


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
        f"""
        SELECT a.pid, a.application_name, a.usename,
               extract(epoch FROM clock_timestamp() - a.backend_start)::int
        FROM {_LOCK.replace("pg_locks l", "pg_locks l JOIN pg_stat_activity a USING (pid)")}
        """,  # noqa: S608  our own constant  # nosec B608
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
