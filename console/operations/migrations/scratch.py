"""Scratch databases beside the live one, schemas as text, and rehearsals."""

from __future__ import annotations

import difflib
import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import conninfo, sql

from console.operations.errors import OperationError
from console.operations.migrations import history, postgres_server, runner
from console.operations.migrations.files import DIRECTORY, Files
from console.operations.migrations.postgres_binaries import installation
from console.operations.migrations.session import Limits, connect, query, refuse_pooled
from console.operations.progress import Event, Report, ignore

PREFIX = "migration_rehearsal_"

# What is thrown away in a moment needs no safety.
_SPEED = """
fsync = off
synchronous_commit = off
full_page_writes = off
autovacuum = off
"""

# Event triggers belong to superusers, wherever a managed server has them.
_ROLES = """
    SELECT rolname, rolsuper OR r.oid IN (SELECT evtowner FROM pg_event_trigger), rolcreaterole,
           rolcreatedb
    FROM pg_roles r WHERE rolname NOT LIKE 'pg\\_%%' ORDER BY rolname
"""
_MEMBERS = """
    SELECT DISTINCT g.rolname, m.rolname
    FROM pg_auth_members a JOIN pg_roles g ON g.oid = a.roleid JOIN pg_roles m ON m.oid = a.member
    WHERE m.rolname NOT LIKE 'pg\\_%%'
"""
_SETTINGS = """
    SELECT r.rolname, split_part(setting, '=', 1), substr(setting, strpos(setting, '=') + 1)
    FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole,
         unnest(s.setconfig) setting
    WHERE s.setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))
      AND (s.setrole = 0 OR r.rolname = current_user)
      AND NOT (s.setrole = 0 AND s.setdatabase = 0)
    ORDER BY s.setdatabase
"""
_LISTS = ("search_path", "temp_tablespaces", "datestyle", "DateStyle")
_HIDDEN_TABLES = """
    SELECT format('%%I.%%I', n.nspname, c.relname)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname NOT LIKE 'pg\\_%%'
      AND n.nspname <> 'information_schema'
      AND NOT (has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT'))
      AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass
                      AND d.objid = c.oid AND d.deptype = 'e')
"""

_ENVIRONMENT = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",  # pragma: allowlist secret
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "sslcrl": "PGSSLCRL",
    "sslnegotiation": "PGSSLNEGOTIATION",
    "channel_binding": "PGCHANNELBINDING",
    "options": "PGOPTIONS",
    "connect_timeout": "PGCONNECT_TIMEOUT",
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
    """Apply, roll back and apply again what is pending, on a scratch copy of the live schema.

    The live database is only read. The copy is on a server of its own, which holds no rows and
    is removed at the end.

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
    for revision in pending:  # what is wrong in their text is said before any of them runs
        revision.statements("up")
        revision.statements("down")
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

    Raises
    ------
    OperationError
        If the schema can't be read, or rebuilt without what an extension would be needed for.
    """
    label = "Copy the live schema"
    started = time.monotonic()
    report(Event(label, "started"))
    with server(url) as scratch:
        with connect(url) as connection:
            refuse_pooled(connection)
            has_history = history.exists(connection)
            hidden = [row[0] for row in query(connection, _HIDDEN_TABLES)]
            wanted = {row[0] for row in query(connection, "SELECT extname FROM pg_extension")}
        with psycopg.connect(scratch) as connection:
            rows = connection.execute("SELECT name FROM pg_available_extensions").fetchall()
        missing = sorted(wanted - {row[0] for row in rows})
        # What may need more rights than a rehearsal does, or is not part of a schema.
        omit = ["--no-comments", "--no-publications", "--no-subscriptions", "--no-tablespaces"]
        omit += ["--no-security-labels"]
        omit += [f"--exclude-extension={name}" for name in missing]
        omit += [f"--exclude-table={table}" for table in hidden]
        text = _dump(url, "--schema-only", *omit)
        if has_history:
            text += _dump(url, "--data-only", *(f"--table={table}" for table in history.TABLES))
        skipped = [f"extension {name}" for name in missing]
        skipped += [f"table {table}, which this account may not read" for table in hidden]
        skipped += _restore(scratch, text, tolerant=bool(skipped))
        detail = f"without {'; '.join(skipped)}" if skipped else ""
        report(Event(label, "done", detail, seconds=time.monotonic() - started))
        try:
            yield scratch
        except OperationError as error:
            if not skipped:
                raise
            raise OperationError(
                f"{error.message} The copy of the schema is {detail}.",
                f"{error.remedy} If it needs what the copy lacks, this can only be tried on a"
                " server that has it.",
            ) from error


@contextmanager
def server(url: str) -> Iterator[str]:
    """Start a server with the roles and the settings of `url`'s; remove it at the end.

    The operators' role is there under its own name, so that what it makes has the privileges
    that it would have, but as a superuser: what managed servers allow differs too much. The
    live server is only asked. What a killed run left behind is removed first.

    Yields
    ------
    str
        The connection string of an empty database.
    """
    _remove_abandoned()
    with connect(url) as connection:
        user, database = query(connection, "SELECT current_user, current_database()")[0]
        roles = query(connection, _ROLES)
        members = query(connection, _MEMBERS)
        settings = query(connection, _SETTINGS)
    directory = Path(tempfile.mkdtemp(prefix=PREFIX))
    directory.chmod(0o755)
    with (directory / "lock.new").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # held as long as this process lives
        (directory / "lock.new").rename(directory / "lock")
        try:
            admin = _start(directory / "postgres")
            yield _furnish(admin, user, database, roles, members, settings)
        finally:
            _remove(directory)


@contextmanager
def empty(url: str) -> Iterator[str]:
    """Make an empty database like `url`'s; remove it at the end."""
    with server(url) as scratch:
        yield scratch


def dump(url: str) -> str:
    """Return the schema as ``pg_dump`` writes it, whoever owns it, with a heading to each object.

    Tables that the account may not read are left out.
    """
    with connect(url) as connection:
        hidden = [row[0] for row in query(connection, _HIDDEN_TABLES)]
    omit = ["--no-owner", "--no-tablespaces", "--no-publications", "--no-subscriptions"]
    return _dump(url, "--schema-only", *omit, *(f"--exclude-table={table}" for table in hidden))


def schema(url: str) -> str:
    """Return the whole schema as ``pg_dump`` writes it, without the migrations' own tables."""
    exclude = [f"--exclude-table={table}" for table in history.TABLES]
    sequence = "--exclude-table=public.migration_history_id_seq"
    lines = _dump(url, "--schema-only", *exclude, sequence).splitlines()
    return "\n".join(line for line in lines if line and not line.startswith(("--", "\\")))


def compare(before: str, after: str, before_name: str, after_name: str) -> str:
    """Return the difference of two schemas as a unified diff, empty where they are equal."""
    return "\n".join(
        difflib.unified_diff(
            before.splitlines(), after.splitlines(), before_name, after_name, lineterm="", n=1
        )
    )


def _start(directory: Path) -> str:
    for attempt in range(5):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        try:
            return postgres_server.start(directory, port, _SPEED)
        except OperationError as error:
            if "not free" not in error.message or attempt == 4:  # somebody else was faster
                raise
    raise AssertionError


def _furnish(
    admin: str,
    user: str,
    database: str,
    roles: list[tuple[str, bool, bool, bool]],
    members: list[tuple[str, str]],
    settings: list[tuple[str | None, str, str]],
) -> str:
    """Give a new server the roles and settings of the live one; return the database's URL."""
    password = conninfo.conninfo_to_dict(admin)["password"]
    own = f"{PREFIX}{secrets.token_hex(4)}"
    with psycopg.connect(admin, autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} SUPERUSER LOGIN PASSWORD {}").format(
                sql.Identifier(own), sql.Literal(password)
            )
        )
    admin = conninfo.make_conninfo(admin, user=own, dbname="template1")
    with psycopg.connect(admin, autocommit=True) as connection:

        def execute(text: str, *names: sql.Composable) -> None:
            connection.execute(sql.SQL(text).format(*names))

        # Its name may be that of an ordinary role there.
        execute("ALTER ROLE {} RENAME TO {}", sql.Identifier("postgres"), sql.Identifier(f"{own}_"))
        for name, superuser, create_roles, create_databases in roles:
            rights = [
                "SUPERUSER" if superuser or name == user else "NOSUPERUSER",
                "CREATEROLE" if create_roles else "NOCREATEROLE",
                "CREATEDB" if create_databases else "NOCREATEDB",
            ]
            execute(f"CREATE ROLE {{}} {' '.join(rights)}", sql.Identifier(name))
        execute("ALTER ROLE {} LOGIN PASSWORD {}", sql.Identifier(user), sql.Literal(password))
        for group, member in members:
            with suppress(psycopg.Error):  # a predefined role of another version
                execute("GRANT {} TO {}", sql.Identifier(group), sql.Identifier(member))
        execute("DROP DATABASE IF EXISTS {}", sql.Identifier(database))
        execute(
            "CREATE DATABASE {} TEMPLATE template0 OWNER {}",
            sql.Identifier(database),
            sql.Identifier(user),
        )
        for role, name, value in settings:
            if name.endswith("_libraries"):
                continue
            # a list is written as it is read
            shown = sql.SQL(value) if name in _LISTS else sql.Literal(value)
            setting = sql.SQL(".").join(sql.Identifier(part) for part in name.split("."))
            with suppress(psycopg.Error):  # a parameter of an extension, or of another version
                if role is None:
                    execute(
                        "ALTER DATABASE {} SET {} = {}", sql.Identifier(database), setting, shown
                    )
                else:
                    execute("ALTER ROLE {} SET {} = {}", sql.Identifier(role), setting, shown)
    return conninfo.make_conninfo(admin, user=user, dbname=database)


def _remove_abandoned() -> None:
    """Remove the servers of runs that were killed: their locks are free."""
    for directory in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError):
            if directory.is_symlink() or directory.stat().st_uid != os.geteuid():
                continue
            with (directory / "lock").open() as lock:  # none: it is just being made
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(directory)


def _remove(directory: Path) -> None:
    with suppress(OperationError):
        postgres_server.stop(directory / "postgres")
    shutil.rmtree(directory, ignore_errors=True)


def _dump(url: str, *options: str) -> str:
    # A table that a migration has locked would keep pg_dump waiting for ever.
    return _run(["pg_dump", "--lock-wait-timeout=10s", *options], url, "", "read the schema")


def _restore(url: str, text: str, *, tolerant: bool) -> list[str]:
    """Run a dump; if `tolerant`, go on after errors and return them."""
    command = ["psql", "--no-psqlrc", "--quiet", "--output=/dev/null"]
    if not tolerant:
        command.append("--set=ON_ERROR_STOP=1")
    said = _execute(command, url, text)
    if said.returncode:
        raise _program_failed("psql", "rebuild the schema on a scratch database", said.stderr)
    return [
        line.partition("ERROR:")[2].strip() for line in said.stderr.splitlines() if "ERROR:" in line
    ]


def _run(command: list[str], url: str, text: str, purpose: str) -> str:
    said = _execute(command, url, text)
    if said.returncode:
        raise _program_failed(command[0], purpose, said.stderr)
    return said.stdout


def _execute(command: list[str], url: str, text: str) -> subprocess.CompletedProcess[str]:
    """Run one of Postgres's programs; the URL's password goes by environment, not by argument."""
    values = conninfo.conninfo_to_dict(url)
    environment = {
        variable: str(values[key]) for key, variable in _ENVIRONMENT.items() if values.get(key)
    }
    return subprocess.run(
        [str(installation() / "bin" / command[0]), *command[1:]],
        input=text,
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
        env={**os.environ, "LC_ALL": "C", "PGCLIENTENCODING": "UTF8", **environment},
    )


def _program_failed(program: str, purpose: str, said: str) -> OperationError:
    lines = [
        line for line in said.splitlines() if "rror:" in line or "FATAL" in line or "ERROR" in line
    ]
    return OperationError(
        f"{program} could not {purpose}: {(lines or [said.strip()])[0]}",
        "Check the account's rights, and that the server is Postgres 18 or older.",
    )
