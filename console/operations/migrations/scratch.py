"""Scratch databases beside the live one, schemas as text, and rehearsals."""

from __future__ import annotations

import difflib
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import conninfo, errors, sql

from console.operations.errors import OperationError
from console.operations.migrations import history, runner
from console.operations.migrations.files import DIRECTORY, Files
from console.operations.migrations.postgres_binaries import installation
from console.operations.migrations.session import Limits, connect
from console.operations.progress import Event, Report, ignore

PREFIX = "migration_rehearsal_"

_ENVIRONMENT = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",  # pragma: allowlist secret
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
}


@dataclass(frozen=True)
class Rehearsed:
    """One migration's rehearsal; `difference` is the schema its rollback failed to restore."""

    name: str
    difference: str
    seconds: float

    @property
    def restores(self) -> bool:
        """Whether the rollback left the schema as it was before."""
        return not self.difference


def rehearse(
    url: str,
    to: str | None = None,
    *,
    limits: Limits | None = None,
    report: Report = ignore,
    directory: Path = DIRECTORY,
) -> list[Rehearsed]:
    """Apply, take back and apply again what is pending, on a scratch copy of the live schema.

    The live database is only read. The copy is made on the same server, so that version,
    extensions and roles are the same, holds no rows, and is dropped at the end.

    Raises
    ------
    OperationError
        If a migration fails in either direction, or applying it twice gives two schemas.
    """
    files = Files(directory)
    target = files.find(to or "head") if files.line else None
    with connect(url) as connection:
        at = history.current(connection)
        history.verify(files, at, history.entries(connection))
        if at is None:
            runner.check_adoption(connection, files)
    start = files.position(files.by_id[at] if at else None)
    pending = files.line[start : files.position(target)]
    results: list[Rehearsed] = []
    if not pending:
        return results
    with copy_of(url, report) as scratch:
        run = {"limits": limits, "directory": directory, "who": "rehearsal"}
        before = schema(scratch)
        for done, revision in enumerate(pending):
            label = f"Rehearse {revision.name}"
            report(Event(label, "started", done=done, total=len(pending)))
            started = time.monotonic()
            runner.migrate(scratch, revision.id, **run)  # type: ignore[arg-type]
            first = schema(scratch)
            runner.rollback(scratch, steps=1, **run)  # type: ignore[arg-type]
            restored = schema(scratch)
            runner.migrate(scratch, revision.id, **run)  # type: ignore[arg-type]
            second = schema(scratch)
            if restored == before and first != second:
                raise OperationError(
                    f"{revision.name} gives another schema the second time:\n"
                    f"{compare(first, second, 'first time', 'second time')}\n",
                    "Make its SQL depend on nothing but the schema.",
                )
            seconds = time.monotonic() - started
            lost = compare(before, restored, "before", "after rollback")
            results.append(Rehearsed(revision.name, lost, seconds))
            report(
                Event(
                    label,
                    "failed" if lost else "done",
                    "its rollback does not restore the schema" if lost else "",
                    seconds,
                    done + 1,
                    len(pending),
                )
            )
            before = second
    return results


@contextmanager
def copy_of(url: str, report: Report = ignore) -> Iterator[str]:
    """Make a database with `url`'s schema and migration history but no rows; drop it at the end.

    Yields
    ------
    str
        Its connection string.
    """
    label = "Copy the live schema"
    started = time.monotonic()
    report(Event(label, "started"))
    # Owners, comments and the like may need more rights than a rehearsal does.
    omit = ["--no-owner", "--no-comments", "--no-publications", "--no-subscriptions"]
    dump = _dump(url, "--schema-only", *omit, "--no-security-labels")
    with connect(url) as connection:
        has_history = history.exists(connection)
    if has_history:
        dump += _dump(url, "--data-only", *(f"--table={table}" for table in history.TABLES))
    with empty(url) as scratch:
        _restore(scratch, dump)
        report(Event(label, "done", seconds=time.monotonic() - started))
        yield scratch


@contextmanager
def empty(url: str) -> Iterator[str]:
    """Make an empty database on `url`'s server; drop it at the end.

    Raises
    ------
    OperationError
        If the account may not make one.
    """
    name = f"{PREFIX}{secrets.token_hex(6)}"
    with _administer(url) as connection:
        try:
            connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
            )
        except errors.InsufficientPrivilege:
            raise OperationError(
                "This account may not make a scratch database.",
                "Let an administrator run `ALTER ROLE … CREATEDB`, or use such an account.",
            ) from None
    try:
        yield conninfo.make_conninfo(url, dbname=name)
    finally:
        with _administer(url) as connection:
            connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


def schema(url: str) -> str:
    """Return the whole schema as ``pg_dump`` writes it, without the migrations' own tables."""
    exclude = [f"--exclude-table={table}" for table in history.TABLES]
    sequence = "--exclude-table=migration_history_id_seq"
    lines = _dump(url, "--schema-only", *exclude, sequence).splitlines()
    return "\n".join(line for line in lines if line and not line.startswith(("--", "\\")))


def compare(before: str, after: str, before_name: str, after_name: str) -> str:
    """Return the difference of two schemas as a unified diff, empty where they are equal."""
    return "\n".join(
        difflib.unified_diff(
            before.splitlines(), after.splitlines(), before_name, after_name, lineterm="", n=1
        )
    )


@contextmanager
def _administer(url: str) -> Iterator[psycopg.Connection]:
    try:
        connection = psycopg.connect(url, autocommit=True, connect_timeout=10)
    except psycopg.OperationalError as error:
        raise OperationError(
            f"The database can't be reached: {str(error).strip().splitlines()[-1]}.",
            "Check DATABASE_URL and that the server runs.",
        ) from None
    with connection:
        yield connection


def _dump(url: str, *options: str) -> str:
    # A table that a migration has locked would keep pg_dump waiting for ever.
    return _run(["pg_dump", "--lock-wait-timeout=10s", *options], url, "", "read the schema")


def _restore(url: str, text: str) -> None:
    command = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--output=/dev/null"]
    _run(command, url, text, "rebuild the schema on a scratch database")


def _run(command: list[str], url: str, text: str, purpose: str) -> str:
    """Run one of Postgres's programs; the URL's password goes by environment, not by argument."""
    values = conninfo.conninfo_to_dict(url)
    environment = {
        variable: str(values[key]) for key, variable in _ENVIRONMENT.items() if values.get(key)
    }
    result = subprocess.run(
        [str(installation() / "bin" / command[0]), *command[1:]],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LC_ALL": "C", **environment},
    )
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if "rror:" in line or "FATAL" in line]
        raise OperationError(
            f"{command[0]} could not {purpose}: {(lines or [result.stderr.strip()])[0]}",
            "Check the account's rights, and that the server is Postgres 18 or older.",
        )
    return result.stdout
