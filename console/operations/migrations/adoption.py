"""Take a database that was there before its migrations: find its place in the line, and say so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Connection

from console.operations.errors import OperationError
from console.operations.migrations import history, logins, runner, scratch
from console.operations.migrations.drift import differences as made_differently
from console.operations.migrations.files import DIRECTORY, Files, Revision
from console.operations.migrations.session import Limits, actor, connect, exclusive, query
from console.operations.progress import Event, Report, ignore


@dataclass(frozen=True)
class Adoption:
    """What adopting a database would mean.

    Attributes
    ----------
    revision
        The name of the migration whose schema the database has.
    baseline
        The names of all migrations that would count as applied.
    tables
        The tables that were recognised.
    differences
        How those tables differ from what the migrations make, one line each.
    """

    revision: str
    baseline: tuple[str, ...]
    tables: tuple[str, ...]
    differences: tuple[str, ...]

    def __str__(self) -> str:
        return f"adopted as {self.revision}"


def adoption(url: str, directory: Path = DIRECTORY) -> Adoption | None:
    """Return what `adopt` would do; None for a database that has a history, or is new.

    The database's tables are compared with what each migration makes on a scratch database. Its
    place is the last migration that adds columns of which none is missing here.

    Raises
    ------
    OperationError
        If a table or a column of the first migration is missing.
    """
    files = Files(directory)
    with connect(url) as connection:
        at = history.current(connection)
        if at and history.standing(history.entries(connection)):
            return None
        if at and at not in files.by_id:
            history.verify(files, at, [])
        place = files.by_id[at] if at else None  # plain Alembic says so
        tables = () if place else tuple(runner.present_tables(connection, files))
        live = _describe(connection, tables)
    if place:
        names = tuple(revision.name for revision in files.line[: files.position(place)])
        return Adoption(place.name, names, (), ())
    if not tables:
        return None
    found: Revision | None = None
    expected: dict[str, str] = {}
    before: set[str] = set()
    with scratch.empty(url) as copy:
        for revision in files.line:
            runner.migrate(copy, revision.id, directory=directory)
            with connect(copy) as connection:
                wanted = tuple(runner.present_tables(connection, files))
                described = _describe(connection, wanted)
            columns = {key for key in described if key.startswith("column")}
            if missing := sorted(columns - set(live)):
                if found is None:
                    raise OperationError(
                        f"The database has {', '.join(tables)}, but not {', '.join(missing)}.",
                        "Bring its tables to what the first migration makes, then adopt it.",
                    )
                break
            if found is None or columns != before:
                found, expected = revision, described
            before = columns
    if found is None:
        return None
    return Adoption(
        found.name,
        tuple(revision.name for revision in files.line[: files.position(found)]),
        tables,
        tuple(_differences(expected, live)),
    )


def adopt(
    url: str,
    *,
    report: Report = ignore,
    limits: Limits | None = None,
    directory: Path = DIRECTORY,
    who: str | None = None,
) -> Adoption:
    """Write the baseline that `adoption` finds into the history; nothing else is changed.

    Raises
    ------
    OperationError
        If there is nothing to adopt, or `adoption` raises.
    """
    who = who or actor()
    files = Files(directory)
    with (
        connect(url, who, "adopt") as connection,
        exclusive(connection, who, limits or Limits(), report),
    ):
        found = adoption(url, directory)
        if found is None:
            raise OperationError(
                "There is nothing to adopt: the database is new, or has its history already.",
                "Run `make migrate`.",
            )
        history.ensure(connection)
        revision = files.find(found.revision)
        assert revision is not None  # noqa: S101  only `base` is none
        # What it has of its own was agreed to, and is no drift.
        differences = made_differently(url, revision.id, directory)
        own = sorted(key for item in differences for key in item.identities())
        with connection.begin():
            for applied in files.line[: files.position(revision)]:
                entry = history.record(connection, applied, "baseline", who, "succeeded")
            history.accept(connection, entry, own)
            logins.mirror(connection)
            query(connection, "DELETE FROM public.alembic_version")
            query(
                connection,
                "INSERT INTO public.alembic_version (version_num) VALUES (%s)",
                revision.id,
            )
    report(Event(f"Adopt as {found.revision}", "done"))
    return found


def _describe(connection: Connection, tables: tuple[str, ...]) -> dict[str, str]:
    """Return each column, key and constraint of `tables` with its definition."""
    rows = query(
        connection,
        """
        SELECT format('column %%s.%%s', c.relname, a.attname),
               format_type(a.atttypid, a.atttypmod)
               || CASE WHEN a.attnotnull THEN ' not null' ELSE '' END
               || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
        FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
             LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
        WHERE c.oid = ANY (%s::text[]::regclass[]) AND a.attnum > 0 AND NOT a.attisdropped
        UNION ALL
        SELECT format('constraint %%s %%s', c.relname, pg_get_constraintdef(k.oid)), ''
        FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
        WHERE c.oid = ANY (%s::text[]::regclass[]) AND k.contype <> 'n'
        ORDER BY 1
        """,
        list(tables),
        list(tables),
    )
    return dict(rows)


def _differences(expected: dict[str, str], live: dict[str, str]) -> list[str]:
    lines = []
    for name in sorted(expected.keys() | live.keys()):
        if name not in live:
            lines.append(f"missing: {name} {expected[name]}".rstrip())
        elif name not in expected:
            lines.append(f"only here: {name} {live[name]}".rstrip())
        elif expected[name] != live[name]:
            lines.append(f"{name} is {live[name]!r}, the migrations make it {expected[name]!r}")
    return lines
