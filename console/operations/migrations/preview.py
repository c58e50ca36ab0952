"""What a run would do: its exact SQL, squawk's findings, and the locks each statement takes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from console.operations.errors import OperationError
from console.operations.migrations import history, runner, scratch
from console.operations.migrations.files import DIRECTORY, Direction, Files, Revision, Statement
from console.operations.migrations.session import connect, query
from console.operations.progress import Event, Report, ignore

# Weakest first. What stands in the way of whom: Postgres's manual, "Explicit Locking".
BLOCKS = {
    "AccessShareLock": "nobody",
    "RowShareLock": "nobody",
    "RowExclusiveLock": "index builds",
    "ShareUpdateExclusiveLock": "other schema changes",
    "ShareLock": "writes",
    "ShareRowExclusiveLock": "writes",
    "ExclusiveLock": "writes",
    "AccessExclusiveLock": "reads and writes",
}
_STRENGTH = list(BLOCKS)

# The runner sets both timeouts itself.
_SET_BY_RUNNER = ("require-lock-timeout", "require-statement-timeout")


@dataclass(frozen=True)
class Lock:
    """A lock on a table that was there before.

    Attributes
    ----------
    table, mode, blocks
        The table, Postgres's name for the mode, and whom it keeps waiting.
    rewrites
        Whether the statement rewrites the whole table.
    size_bytes, rows
        The live table with its indexes, and the planner's estimate; None where unknown.
    """

    table: str
    mode: str
    blocks: str
    rewrites: bool
    size_bytes: int | None
    rows: int | None


@dataclass(frozen=True)
class Finding:
    """One of squawk's findings; `line` is in the revision file where it could be placed."""

    rule: str
    level: str
    message: str
    help: str
    line: int | None


@dataclass(frozen=True)
class StatementPreview:
    """One statement, its line in the file, and its locks."""

    sql: str
    line: int
    locks: tuple[Lock, ...]


@dataclass(frozen=True)
class Preview:
    """One migration that a run would handle, in the run's order."""

    name: str
    direction: Direction
    transactional: bool
    statements: tuple[StatementPreview, ...]
    findings: tuple[Finding, ...]


def preview(
    url: str,
    *,
    to: str | None = None,
    steps: int | None = None,
    direction: Direction = "up",
    report: Report = ignore,
    directory: Path = DIRECTORY,
) -> list[Preview]:
    """Return what `migrate` (``up``, to `to`) or `rollback` (``down``, to `to` or by `steps`) does.

    The locks are not guessed from the SQL: each statement is run on a copy of the schema, on a
    server of its own, and Postgres is asked what it holds. The live database is only read.

    Raises
    ------
    OperationError
        As the run itself would before its first statement, or if no scratch copy can be made.
    """
    files = Files(directory)
    with connect(url) as connection:
        at = history.current(connection)
        entries = history.entries(connection)
        history.verify(files, at, entries)
        if at is None:
            runner.check_adoption(connection, files)
        version = int(query(connection, "SHOW server_version_num")[0][0]) // 10000
        sizes = _sizes(connection)
    here = files.by_id[at] if at else None
    if direction == "down":
        plan = runner.rollback_plan(files, here, entries, to, steps)
    else:
        target = files.find(to or "head") if files.line else None
        plan = files.line[files.position(here) : files.position(target)]
    if not plan:
        return []
    for revision in plan:  # what is wrong in their text is said before any of them runs
        revision.statements(direction)
    previews = []
    with scratch.copy_of(url, report) as copy, _Observer(copy) as observer:
        for done, revision in enumerate(plan):
            label = f"Preview {revision.name}"
            report(Event(label, "started", done=done, total=len(plan)))
            statements = revision.statements(direction)
            locks = observer.run(revision, statements)
            shown = tuple(
                StatementPreview(
                    statement.sql,
                    statement.line,
                    tuple(
                        Lock(table, mode, BLOCKS[mode], rewrites, *sizes.get(table, (None, None)))
                        for table, mode, rewrites in held
                    ),
                )
                for statement, held in zip(statements, locks, strict=True)
            )
            findings = tuple(lint(statements, version, revision.transactional))
            previews.append(
                Preview(revision.name, direction, revision.transactional, shown, findings)
            )
            report(Event(label, "done", done=done + 1, total=len(plan)))
    return previews


def lint(statements: list[Statement], version: int, transactional: bool) -> Iterator[Finding]:
    """Yield what squawk has to say of `statements`, for a server of major `version`."""
    program = shutil.which("squawk", path=sysconfig.get_path("scripts")) or shutil.which("squawk")
    if program is None:
        raise OperationError(
            "squawk is not installed.", "Install requirements/product.txt (package squawk-cli)."
        )
    lines: list[int] = []
    text = []
    for statement in statements:
        rows = f"{statement.sql};".splitlines()
        text.extend(rows)
        lines.extend(range(statement.line, statement.line + len(rows)))
    result = subprocess.run(
        [
            program,
            "--reporter=json",
            f"--pg-version={version}.0",
            *(f"--exclude={rule}" for rule in _SET_BY_RUNNER),
            *(["--assume-in-transaction"] if transactional else []),
            "--stdin-filepath=migration.sql",
        ],
        input="\n".join(text),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        findings = json.loads(result.stdout or "[]")
    except ValueError:
        raise OperationError(
            f"squawk failed: {(result.stderr or result.stdout).strip()[:200]}",
            "Check that the installed squawk-cli is the one of requirements/product.txt.",
        ) from None
    for finding in findings:
        row = finding["line"]
        yield Finding(
            finding["rule_name"],
            finding["level"].lower(),
            finding["message"],
            finding["help"] or "",
            lines[row] if row < len(lines) else None,
        )


_Held = list[tuple[str, str, bool]]


class _Observer:
    """Runs statements on a scratch database and sees the locks they take."""

    def __init__(self, url: str) -> None:
        self.worker = psycopg.connect(url, autocommit=True, prepare_threshold=None)
        self.watcher = psycopg.connect(url, autocommit=True)

    def __enter__(self) -> _Observer:
        return self

    def __exit__(self, *_: object) -> None:
        self.worker.close()
        self.watcher.close()

    def run(self, revision: Revision, statements: list[Statement]) -> list[_Held]:
        """Run `statements` for good; return each one's new locks as (table, mode, rewrites)."""
        existing = self._tables()
        if not revision.transactional:
            return [self._outside(statement, existing) for statement in statements]
        found = []
        with self.worker.transaction():
            held: set[tuple[int, str]] = set()
            files = {oid: storage for oid, (_, storage) in existing.items()}
            for statement in statements:
                self._execute(revision, statement)
                now, after = self._locks(granted=True), self._files()
                rewritten = {oid for oid in existing if after.get(oid, files[oid]) != files[oid]}
                taken = (now - held) | {(oid, "AccessExclusiveLock") for oid in rewritten}
                locks = [
                    (existing[oid][0], mode, oid in rewritten)
                    for oid, mode in taken
                    if oid in existing
                ]
                found.append(_strongest(locks))
                held |= now
                files |= after
        return found

    def _outside(self, statement: Statement, existing: dict[int, tuple[str, int]]) -> _Held:
        """See what a statement without a transaction asks for, by standing in its way.

        It lets its locks go by itself, so nothing would be left to see afterwards.
        """
        seen: set[tuple[int, str]] = set()
        with self._blocked(existing):
            failure: list[psycopg.Error] = []

            def execute() -> None:
                try:
                    self.worker.execute(statement.sql.encode())
                except psycopg.Error as error:
                    failure.append(error)

            thread = threading.Thread(target=execute)
            thread.start()
            while thread.is_alive() and not seen:
                seen = {lock for lock in self._locks(granted=False) if lock[0] in existing}
                time.sleep(0.01)
        thread.join()
        if failure:
            raise OperationError(f"It fails on a copy of the schema: {failure[0]}", "Correct it.")
        return _strongest([(existing[oid][0], mode, False) for oid, mode in seen])

    @contextmanager
    def _blocked(self, existing: dict[int, tuple[str, int]]) -> Iterator[None]:
        with self.watcher.transaction(force_rollback=True):
            for table, _ in existing.values():
                # regclass has quoted the name
                self.watcher.execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE".encode())
            yield

    def _execute(self, revision: Revision, statement: Statement) -> None:
        try:
            self.worker.execute(statement.sql.encode())
        except psycopg.Error as error:
            said = str(error).strip().splitlines()[0]
            raise OperationError(
                f"{revision.path.name}, line {statement.line}: fails on a copy of the schema:"
                f" {said}.",
                "Correct it before it is run.",
            ) from None

    def _locks(self, *, granted: bool) -> set[tuple[int, str]]:
        rows = self.watcher.execute(
            "SELECT relation::int, mode FROM pg_locks"
            " WHERE pid = %s AND locktype = 'relation' AND granted = %s",
            (self.worker.info.backend_pid, granted),
        )
        return {(row[0], row[1]) for row in rows}

    def _tables(self) -> dict[int, tuple[str, int]]:
        """Return name and storage of each table, by its oid."""
        rows = self.watcher.execute(
            """
            SELECT c.oid::int, c.oid::regclass::text, pg_relation_filenode(c.oid)::int
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname <> 'information_schema'
              AND n.nspname NOT LIKE 'pg\\_%%' AND c.relname <> ALL (%s)
            """,
            (list(history.TABLES),),
        )
        return {oid: (name, storage) for oid, name, storage in rows}

    def _files(self) -> dict[int, int]:
        rows = self.worker.execute(
            "SELECT oid::int, pg_relation_filenode(oid)::int FROM pg_class"
            " WHERE relkind IN ('r', 'm')"
        )
        return dict(rows.fetchall())


def _strongest(locks: _Held) -> _Held:
    """Keep each table's strongest lock, strongest first."""
    best: dict[str, tuple[str, str, bool]] = {}
    for lock in sorted(locks, key=lambda lock: _STRENGTH.index(lock[1])):
        best[lock[0]] = lock
    return sorted(best.values(), key=lambda lock: (-_STRENGTH.index(lock[1]), lock[0]))


def _sizes(connection: Any) -> dict[str, tuple[int, int | None]]:
    rows = query(
        connection,
        """
        SELECT c.oid::regclass::text, pg_total_relation_size(c.oid),
               CASE WHEN c.reltuples < 0 THEN NULL ELSE c.reltuples::bigint END
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE c.relkind IN ('r', 'p', 'm') AND n.nspname NOT LIKE 'pg\\_%%'
        """,
    )
    return {name: (size, count) for name, size, count in rows}
