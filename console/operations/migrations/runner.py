"""Apply migrations and roll them back, one transaction each, and keep the history."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
from alembic.runtime.migration import MigrationContext, RevisionStep
from psycopg import errors, sql
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from console.operations.errors import OperationError, StaleChangeError
from console.operations.migrations import history, logins
from console.operations.migrations.files import (
    DIRECTORY,
    Direction,
    Files,
    Revision,
    Statement,
    is_concurrent,
)
from console.operations.migrations.session import (
    SCHEMA,
    Limits,
    Trace,
    actor,
    connect,
    exclusive,
    query,
    set_limits,
    set_local_limits,
)
from console.operations.migrations.statements import (
    code_only,
    run_statement,
    shorten,
    without_comments,
)
from console.operations.progress import Event, Report, ignore


@dataclass(frozen=True)
class Run:
    """What a run did: the names of the migrations, in the order it handled them."""

    direction: Direction
    names: tuple[str, ...]
    seconds: float

    def __str__(self) -> str:
        what = "applied" if self.direction == "up" else "rolled back"
        names = f": {', '.join(self.names)}" if self.names else ""
        return f"{len(self.names)} {what} in {self.seconds:.2f} s{names}"


class AdoptionNeededError(OperationError):
    """The database has the first migration's tables, and no history says where from."""

    def __init__(self, tables: list[str]) -> None:
        super().__init__(
            f"The database already has {', '.join(tables)}, but no migration history.",
            "Run `make adopt`: it compares them with the migrations and, when you"
            " agree, takes them as the baseline; nothing in them is changed.",
        )


def migrate(
    url: str,
    to: str | None = None,
    *,
    limits: Limits | None = None,
    report: Report = ignore,
    trace: Trace | None = None,
    directory: Path = DIRECTORY,
    who: str | None = None,
    expected: Sequence[str] | None = None,
) -> Run:
    """Apply what is pending, up to and with `to`.

    Parameters
    ----------
    url
        The database.
    to
        A revision's id, name or slug; the last one if None.
    who
        Whom the history names; ``user@host`` if None.
    expected
        The names that may be handled: with the lock held, another one ends the run before its
        first statement (StaleChangeError). None for any.

    Raises
    ------
    OperationError
        With the statement and its line, and the next step. The migration that failed left
        nothing behind; those before it stay.
    """
    files = Files(directory)
    target = files.find(to or "head") if files.line else None
    with _run(url, files, "migrate", limits, report, trace, who) as run:
        start, end = files.position(run.at), files.position(target)
        if end < start and to is not None:
            raise OperationError(
                f"The database is at {run.at and run.at.name}, which is past {to}.",
                f"To go back to it, run `make rollback TO={to}`.",
            )
        return run.go(files.line[start:end], "up", expected)


def rollback(
    url: str,
    *,
    to: str | None = None,
    steps: int | None = None,
    limits: Limits | None = None,
    report: Report = ignore,
    trace: Trace | None = None,
    directory: Path = DIRECTORY,
    who: str | None = None,
    expected: Sequence[str] | None = None,
) -> Run:
    """Roll back the migrations after `to` (``base``: all), or the last `steps`, newest first.

    Raises
    ------
    OperationError
        As `migrate`; also if that would pass an adopted baseline, whose tables were there before.
    """
    if (to is None) == (steps is None):
        raise OperationError(
            "A rollback needs to know how far.", "Give either TO=<migration> or STEPS=<number>."
        )
    files = Files(directory)
    with _run(url, files, "rollback", limits, report, trace, who) as run:
        plan = rollback_plan(files, run.at, run.entries, to, steps)
        return run.go(plan, "down", expected)


def rollback_plan(
    files: Files,
    at: Revision | None,
    entries: list[history.Entry],
    to: str | None,
    steps: int | None,
) -> list[Revision]:
    """Return what a rollback undoes, newest first; see `rollback` for the errors."""
    start = files.position(at)
    if steps is None:
        end = files.position(files.find(to or ""))
        if end > start:
            raise OperationError(
                f"{to} is not applied; the database is at {at.name if at else 'base'}.",
                f"To apply it, run `make migrate TO={to}`.",
            )
    else:
        end = start - steps
        if steps < 1 or end < 0:
            raise OperationError(
                f"{steps} migrations can't be rolled back: {start} are applied.",
                f"Give STEPS from 1 to {start}." if start else "There is nothing to roll back.",
            )
    found = history.standing(entries)
    plan = list(reversed(files.line[end:start]))
    for revision in plan:
        if found[revision.id].direction == "baseline":
            raise OperationError(
                f"{revision.name} was adopted, not applied: its tables and their rows were there"
                " before, and a rollback would delete them.",
                "The last target a rollback can have is this migration itself"
                f" (TO={_last_baseline(files, entries).name}).",
            )
    return plan


def check_adoption(connection: Connection, files: Files) -> None:
    """Check that a database without a history is empty of the first migration's tables.

    Raises
    ------
    AdoptionNeededError
        If it isn't.
    """
    if present := present_tables(connection, files):
        raise AdoptionNeededError(present)


def present_tables(connection: Connection, files: Files) -> list[str]:
    """Return which of the tables that the first migration creates are already there."""
    if not files.line:
        return []
    code = [code_only(statement.sql) for statement in files.line[0].statements("up")]
    pattern = r"CREATE TABLE (?:IF NOT EXISTS )?([\w.]+)"
    names = re.findall(pattern, " ".join(" ".join(code).split()), re.I)
    return [
        name
        for name in names
        if query(connection, "SELECT to_regclass(%s) IS NOT NULL", name)[0][0]
    ]


@dataclass
class _Task:
    """One migration of a run, and how far it got.

    `entry` is the history's row of one that runs outside a transaction.
    """

    revision: Revision
    direction: Direction
    statements: list[Statement]
    done: int
    total: int
    attempt: int = 0
    started: float = 0
    attempt_started: float = 0
    entry: int | None = None

    @property
    def label(self) -> str:
        return f"{'Apply' if self.direction == 'up' else 'Roll back'} {self.revision.name}"


@dataclass
class _Session:
    """A run that holds the lock and has read where the database is."""

    connection: Connection
    files: Files
    at: Revision | None
    entries: list[history.Entry]
    limits: Limits
    report: Report
    who: str
    user: str

    def go(
        self, revisions: list[Revision], direction: Direction, expected: Sequence[str] | None
    ) -> Run:
        """Handle `revisions` in order; the first that fails ends the run."""
        started = time.monotonic()
        names = tuple(revision.name for revision in revisions)
        if expected is not None and (more := [name for name in names if name not in expected]):
            raise StaleChangeError(
                f"Somebody else has migrated the database: {', '.join(more)} would be touched too.",
                "Run the same command again and look at what it would do now.",
            )
        if not revisions:
            self.report(Event("Nothing to do", "done", f"at {self.at.name if self.at else 'base'}"))
        tasks = deque[_Task]()
        for done, revision in enumerate(revisions):  # all are read before the first one runs
            statements = revision.statements(direction)
            tasks.append(_Task(revision, direction, statements, done, len(revisions)))
        while tasks:
            try:
                self._run(tasks)
            except (DBAPIError, psycopg.Error) as error:
                self._pause_or_fail(tasks[0], error)
            except OperationError as error:
                self._fail(tasks[0], error)
                raise
        return Run(direction, names, time.monotonic() - started)

    def _run(self, tasks: deque[_Task]) -> None:
        """Run `tasks` through Alembic; a task that fails is left at their head."""

        def steps(_at: object, context: MigrationContext) -> Iterator[RevisionStep]:
            while tasks:
                if self.connection.in_transaction():  # Alembic has looked where we are
                    self.connection.commit()
                self._begin(tasks[0])
                yield self._step(tasks[0], context)
                task = tasks.popleft()  # committed by now
                seconds = time.monotonic() - task.started
                self.report(Event(task.label, "done", "", seconds, task.done + 1, task.total))

        def applied(*_: Any, **_step: Any) -> None:
            task = tasks[0]
            seconds = time.monotonic() - task.attempt_started
            logins.mirror(self.connection)
            if task.entry is not None:
                history.close(self.connection, task.entry, "succeeded", seconds, None)
            else:
                history.record(
                    self.connection, task.revision, task.direction, self.who, "succeeded", seconds
                )

        # Not through Alembic's EnvironmentContext: there can be only one in a process, and the
        # console has a thread for each operator.
        context = MigrationContext.configure(
            connection=self.connection,
            opts={
                "fn": steps,
                "transaction_per_migration": True,
                "on_version_apply": [applied],
                "version_table_schema": SCHEMA,
            },
        )
        try:
            context.run_migrations()
        finally:
            if self.connection.in_transaction():
                with suppress(DBAPIError):
                    self.connection.rollback()

    def _begin(self, task: _Task) -> None:
        """Report the task's start and set the scene for one that runs outside a transaction."""
        task.attempt += 1
        task.attempt_started = time.monotonic()
        if task.attempt == 1:
            task.started = task.attempt_started
            self.report(Event(task.label, "started", done=task.done, total=task.total))
        if task.revision.transactional:
            return
        if task.entry is None:
            with self.connection.begin():
                task.entry = history.record(
                    self.connection, task.revision, task.direction, self.who, "started"
                )
        if task.direction == "up":  # IF NOT EXISTS would take a broken index for the real one
            drop_invalid_indexes(self.connection, task.revision, self.report)
        # CONCURRENTLY waits for every older transaction by design; nobody queues behind it. A
        # block that commits as it goes takes its time too.
        patient = is_concurrent(task.statements[0].sql)
        set_limits(
            self.connection,
            0 if patient else self.limits.lock_timeout,
            self.limits.concurrent_timeout,
        )

    def _step(self, task: _Task, context: MigrationContext) -> RevisionStep:
        """Return Alembic's step, with just those statements in it that a preview shows."""

        def execute(**_: Any) -> None:
            for statement in task.statements:
                run_statement(self.connection, statement.sql)

        def guarded(**_: Any) -> None:
            if task.revision.transactional:
                set_local_limits(self.connection, self.limits)
                execute()
            else:
                with context.autocommit_block():
                    execute()
            self._check_session(task)

        step = task.revision.step(self.files.script, task.direction)
        step.migration_fn = guarded
        return step

    def _pause_or_fail(self, task: _Task, error: DBAPIError | psycopg.Error) -> None:
        """Wait before the next attempt if there is one; else clean up and say what went wrong."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        busy = isinstance(cause, (errors.LockNotAvailable, errors.DeadlockDetected))
        if busy and task.attempt < self.limits.attempts:
            pause = self.limits.pause(task.attempt)
            detail = (
                f"attempt {task.attempt} of {self.limits.attempts} did not get its lock"
                f"{self._blockers(error)}; next in {pause:.1f} s"
            )
            self.report(Event(task.label, "advanced", detail, done=task.done, total=task.total))
            time.sleep(pause)
            return
        problem = self._explain(task, error)
        self._fail(task, problem)
        raise problem from error

    def _check_session(self, task: _Task) -> None:
        """Refuse a migration whose code, unseen in its text, has changed the session."""
        schema, user = query(self.connection, "SELECT current_schema(), current_user")[0]
        if (schema, user) != (SCHEMA, self.user):
            raise OperationError(
                f"{task.revision.path.name} leaves the session with the schema {schema} and the"
                f" role {user}, instead of {SCHEMA} and {self.user}.",
                "Write schemas into the names, and change neither search_path nor ROLE.",
            )

    def _fail(self, task: _Task, problem: OperationError) -> None:
        """Clean up, and write and report the failure, as far as the connection still allows."""
        self._record_failure(task, problem)
        seconds = time.monotonic() - task.started
        self.report(Event(task.label, "failed", problem.message, seconds, task.done, task.total))

    def _record_failure(self, task: _Task, problem: OperationError) -> None:
        revision, direction = task.revision, task.direction
        with suppress(DBAPIError):
            if not revision.transactional and direction == "up":
                drop_invalid_indexes(self.connection, revision, self.report)
            seconds = time.monotonic() - task.attempt_started
            said = problem.message
            with self.connection.begin():
                if task.entry is not None:
                    history.close(self.connection, task.entry, "failed", seconds, said)
                else:
                    history.record(
                        self.connection, revision, direction, self.who, "failed", seconds, said
                    )

    def _blockers(self, error: DBAPIError | psycopg.Error) -> str:
        """Return ``; held by …`` naming who holds locks on tables the statement names."""
        statement = error.statement if isinstance(error, DBAPIError) else ""
        with suppress(DBAPIError), self.connection.begin():
            rows = query(
                self.connection,
                """
                SELECT DISTINCT a.pid, coalesce(nullif(a.application_name, ''), a.usename::text),
                       a.state, extract(epoch FROM clock_timestamp() - a.xact_start)::int AS age,
                       c.relname
                FROM pg_locks l JOIN pg_stat_activity a USING (pid) JOIN pg_class c
                     ON c.oid = l.relation
                WHERE l.granted AND l.pid <> pg_backend_pid() AND c.relkind IN ('r', 'p')
                  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
                ORDER BY age DESC NULLS LAST
                """,
            )
            words = set(re.findall(r"[^\W\d][\w$]*", statement or ""))
            held = [
                f"{name} (pid {pid}{f', {state} for {age} s' if state else ''})"
                for pid, name, state, age, table in rows
                if table in words
            ]
            if held:
                return f"; held by {', '.join(dict.fromkeys(held[:3]))}"
        return ""

    def _explain(self, task: _Task, error: DBAPIError | psycopg.Error) -> OperationError:
        """Put a database's error in an operator's words."""
        revision = task.revision
        cause = error.orig if isinstance(error, DBAPIError) else error
        sent = (error.statement if isinstance(error, DBAPIError) else None) or ""
        statement = next((s for s in task.statements if s.sql == sent), None)
        diagnosis = cause.diag if isinstance(cause, psycopg.Error) else None
        position = int((diagnosis and diagnosis.statement_position) or 1) - 1
        line = statement and statement.line + statement.sql.count("\n", 0, position)
        where = f"{revision.path.name}{f', line {line}' if line else ''}"
        said = (diagnosis and diagnosis.message_primary) or str(cause).strip().splitlines()[0]
        detail = f" ({diagnosis.message_detail})" if diagnosis and diagnosis.message_detail else ""
        again = "make migrate" if task.direction == "up" else "make rollback"
        shown = f" In: {shorten(sent)}" if sent else ""
        match cause:
            case errors.LockNotAvailable() | errors.DeadlockDetected():
                return OperationError(
                    f"{where}: gave up after {task.attempt} attempts of"
                    f" {self.limits.lock_timeout:g} s to get its lock"
                    f"{self._blockers(error)}.{shown}",
                    f"Nothing was changed. When that session has ended, run `{again}` again.",
                )
            case errors.QueryCanceled():
                return OperationError(
                    f"{where}: the statement was stopped ({said}).{shown}",
                    "Nothing was changed. Give it more time (STATEMENT_TIMEOUT=seconds), or do"
                    " the work in smaller parts.",
                )
            case errors.InsufficientPrivilege():
                return OperationError(
                    f"{where}: {said}.{shown}",
                    "Nothing was changed. Use a DATABASE_URL whose account owns the tables.",
                )
        if self.connection.invalidated or _lost(cause):
            return OperationError(
                f"{where}: the connection to the database was lost ({said}).{shown}",
                f"Postgres rolls back what was not finished; run `{again}` again.",
            )
        return OperationError(
            f"{where}: {said}{detail}.{shown}",
            f"Nothing of this migration was kept. Correct the file and run `{again}` again.",
        )


@contextmanager
def _run(
    url: str,
    files: Files,
    purpose: str,
    limits: Limits | None,
    report: Report,
    trace: Trace | None,
    who: str | None,
) -> Iterator[_Session]:
    """Connect, take the lock, and only then read where the database is."""
    limits, who = limits or Limits(), who or actor()
    with connect(url, who, purpose, trace) as connection:
        try:
            with exclusive(connection, who, limits, report):
                yield _prepare(connection, files, purpose, limits, report, who)
        except DBAPIError as error:
            raise outside_migration(error) from error


def outside_migration(error: DBAPIError) -> OperationError:
    """Return what a database's error means when no migration's statement caused it."""
    said = str(error.orig).strip().splitlines()[0]
    match error.orig:
        case errors.InsufficientPrivilege():
            return OperationError(
                f"This account may not keep the migration history: {said}.",
                "Use a DATABASE_URL whose account may create tables, or owns these.",
            )
    if _lost(error.orig):
        return OperationError(
            f"The connection to the database was lost: {said}.", "Run the command again."
        )
    return OperationError(
        f"The database refused: {said}.", "See the server's log, then run the command again."
    )


def _prepare(
    connection: Connection,
    files: Files,
    purpose: str,
    limits: Limits,
    report: Report,
    who: str,
) -> _Session:
    with connection.begin():
        at = history.current(connection)
        entries = history.entries(connection)
        history.verify(files, at, entries)
        if at is None:
            check_adoption(connection, files)
    history.ensure(connection)
    for entry in entries:
        if entry.outcome == "started":  # we hold the lock, so whoever started it is gone
            left = files.by_id.get(entry.revision)
            if left is not None and entry.direction == "up":
                drop_invalid_indexes(connection, left, report)
            elif left is not None and purpose == "migrate":
                _check_half_dropped(connection, left)
            with connection.begin():
                history.close(connection, entry.id, "interrupted", None, None)
    with connection.begin():
        user = query(connection, "SELECT current_user")[0][0]
    here = files.by_id[at] if at else None
    return _Session(connection, files, here, entries, limits, report, who, user)


def drop_invalid_indexes(connection: Connection, revision: Revision, report: Report) -> None:
    """Drop what a broken-off ``CREATE INDEX CONCURRENTLY`` of `revision` left."""
    for schema, name in _invalid_indexes(connection, revision):
        label = f"Drop the invalid index {name}, left by {revision.name}"
        started = time.monotonic()
        report(Event(label, "started"))
        statement = sql.SQL("DROP INDEX CONCURRENTLY IF EXISTS {}").format(
            sql.Identifier(schema, name)
        )
        set_limits(connection, 0, 0)
        connection.execution_options(isolation_level="AUTOCOMMIT")
        try:
            query(connection, statement.as_string())
            connection.commit()
        finally:
            connection.execution_options(isolation_level="READ COMMITTED")
        report(Event(label, "done", seconds=time.monotonic() - started))


def _check_half_dropped(connection: Connection, revision: Revision) -> None:
    """Refuse to go on while an index that a rollback began to drop is there but unusable."""
    for _, name in _invalid_indexes(connection, revision):
        raise OperationError(
            f"A rollback of {revision.name} broke off and left the index {name} invalid.",
            f"Finish it with `make rollback STEPS=1`, or keep the index with"
            f' `REINDEX INDEX CONCURRENTLY "{name}"`.',
        )


def _invalid_indexes(connection: Connection, revision: Revision) -> list[tuple[str, str]]:
    """Return the invalid indexes that `revision` names and that nobody is building just now."""
    with connection.begin():
        targets = _targets(connection, revision)
        rows = query(
            connection,
            """
            SELECT n.nspname, c.relname, i.indrelid::bigint, c.oid::bigint
            FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                 JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE NOT i.indisvalid AND n.nspname NOT LIKE 'pg\\_%%' AND c.relkind = 'i'
              AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index p
                              WHERE p.index_relid = i.indexrelid)
            """,
        )
    return [
        (schema, name)
        for schema, name, table, index in rows
        if any(made.matches(name, table, index) for made in targets)
    ]


@dataclass(frozen=True)
class _Target:
    """The table or the index that a statement with ``CONCURRENTLY`` names; oids, or None."""

    name: str | None
    table: int | None
    index: int | None

    def matches(self, name: str, table: int, index: int) -> bool:
        if self.index == index:
            return True
        base = re.sub(r"_cc(?:new|old)\d*$", "", name)  # REINDEX gives names of its own
        return self.table == table and (self.name == base or (self.name is None and base != name))


_IDENTIFIER = r'(?:"(?:[^"]|"")+"|[^\W\d][\w$]*)'
_QUALIFIED = rf"{_IDENTIFIER}(?:\s*\.\s*{_IDENTIFIER})?"
_INDEX_STATEMENT = re.compile(
    rf"""
    CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?
        (?P<made>{_IDENTIFIER})\s+ON\s+(?:ONLY\s+)?(?P<on>{_QUALIFIED})
    | DROP\s+INDEX\s+CONCURRENTLY\s+(?:IF\s+EXISTS\s+)?(?P<dropped>{_QUALIFIED})
    | REINDEX\s+(?:\([^)]*\)\s*)?(?P<kind>INDEX|TABLE)\s+CONCURRENTLY\s+(?P<again>{_QUALIFIED})
    """,
    re.VERBOSE | re.IGNORECASE,
)


def _targets(connection: Connection, revision: Revision) -> list[_Target]:
    """Return what the statements of `revision`, in either direction, build or drop."""

    def oid(name: str | None) -> int | None:
        found: int | None = query(connection, "SELECT to_regclass(%s)::oid::bigint", name)[0][0]
        return found

    targets = []
    for direction in ("up", "down"):
        for statement in revision.statements(direction):
            match = _INDEX_STATEMENT.match(without_comments(statement.sql).strip())
            if match is None:
                continue
            if match["made"]:
                targets.append(_Target(_folded(match["made"]), oid(match["on"]), None))
            elif match["dropped"]:
                targets.append(_Target(None, None, oid(match["dropped"])))
            elif match["kind"].upper() == "TABLE":
                targets.append(_Target(None, oid(match["again"]), None))
            else:
                name = re.split(r"\.\s*(?=[^.]*$)", match["again"])[-1]
                table = query(
                    connection,
                    "SELECT indrelid::bigint FROM pg_index WHERE indexrelid = to_regclass(%s)",
                    match["again"],
                )
                targets.append(
                    _Target(_folded(name), table[0][0] if table else None, oid(match["again"]))
                )
    return targets


def _folded(identifier: str) -> str:
    """Return an identifier as Postgres keeps it: without quotes, folded, cut to 63 bytes."""
    name = identifier[1:-1].replace('""', '"') if identifier[0] == '"' else identifier.lower()
    return name.encode()[:63].decode(errors="ignore")


def _last_baseline(files: Files, entries: list[history.Entry]) -> Revision:
    found = history.standing(entries)
    return [r for r in files.line if r.id in found and found[r.id].direction == "baseline"][-1]


def _lost(cause: BaseException | None) -> bool:
    return isinstance(cause, (errors.AdminShutdown, errors.CrashShutdown)) or (
        isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None
    )
