"""Whether the live schema is what the applied migrations make, and the SQL that would repair it."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from psycopg import conninfo

from console.operations.errors import OperationError
from console.operations.migrations import history, listing, runner, scratch
from console.operations.migrations.files import DIRECTORY, Files
from console.operations.migrations.logins import login_name
from console.operations.migrations.session import (
    SCHEMA,
    Limits,
    actor,
    connect,
    exclusive,
)
from console.operations.progress import Event, Report, ignore

Key = tuple[str, str, str]  # type, schema, name, as pg_dump heads what it writes

_HEAD = re.compile(r"-- Name: (?P<name>.+); Type: (?P<type>[A-Z ]+); Schema: (?P<schema>[^;]+);.*")
_NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_DOTTED = rf"{_NAME}(?:\.{_NAME})*"
_TABLE = rf"ALTER TABLE (?:ONLY )?({_DOTTED})"
# What makes an object, and what takes it away.
_DROPS = (
    (rf"{_TABLE}\s+ADD CONSTRAINT ({_NAME})", "ALTER TABLE {} DROP CONSTRAINT {};"),
    (
        rf"{_TABLE} ALTER COLUMN ({_NAME}) SET DEFAULT",
        "ALTER TABLE {} ALTER COLUMN {} DROP DEFAULT;",
    ),
    (rf"{_TABLE} ENABLE ROW LEVEL SECURITY", "ALTER TABLE {} DISABLE ROW LEVEL SECURITY;"),
    (rf"CREATE (RULE) ({_NAME}) AS\s+ON \w+ TO ({_DOTTED})", "DROP {} {} ON {};"),
    (rf"CREATE (TRIGGER|POLICY) ({_NAME}).*?\sON ({_DOTTED})", "DROP {} {} ON {};"),
    (
        rf"CREATE (?:UNIQUE )?INDEX ({_NAME}) ON (?:ONLY )?((?:{_NAME}\.)?){_NAME}",
        "DROP INDEX {1}{0};",
    ),
    (rf"CREATE (?:UNLOGGED )?(TABLE|SEQUENCE) ({_DOTTED})", "DROP {} {};"),
    (r"CREATE (FUNCTION|PROCEDURE|AGGREGATE) (\S+?\(.*?\))\s", "DROP {} {};"),
    (
        rf"CREATE (MATERIALIZED VIEW|VIEW|TYPE|DOMAIN|SCHEMA|STATISTICS|FOREIGN TABLE"
        rf"|EVENT TRIGGER|COLLATION|SERVER|EXTENSION)(?: IF NOT EXISTS)? ({_DOTTED})",
        "DROP {} {};",
    ),
    (r"COMMENT ON (.+?) IS ", "COMMENT ON {} IS NULL;"),
)
# Rewritten in place, rather than dropped with what depends on it.
_REPLACED = ("FUNCTION", "PROCEDURE", "VIEW")


@dataclass(frozen=True)
class Difference:
    """One object that is not what the migrations make.

    Attributes
    ----------
    what
        ``missing``, ``only here`` or ``changed``.
    name
        Such as ``table public.users``.
    live, expected
        Its definitions, as ``pg_dump`` writes them; empty where there is none.
    repair
        The SQL that makes it what the migrations say. It is not run: rows may be in the way.
    """

    what: str
    name: str
    live: str
    expected: str
    repair: str

    @property
    def lines(self) -> tuple[str, ...]:
        """What is here and should not be (``+``), and the other way round (``-``)."""
        if self.what != "changed":
            return ()
        here, wanted = Counter(_lines(self.live)), Counter(_lines(self.expected))
        return (*(f"- {line}" for line in wanted - here), *(f"+ {line}" for line in here - wanted))

    def identities(self) -> set[str]:
        """Return the names under which an adoption accepts this difference."""
        return {f"{self.what} {self.name} {line}".rstrip() for line in self.lines or [""]}

    def __str__(self) -> str:
        return "\n".join([f"{self.what}: {self.name}", *(f"  {line}" for line in self.lines)])


def drift(
    url: str,
    *,
    report: Report = ignore,
    limits: Limits | None = None,
    directory: Path = DIRECTORY,
) -> list[Difference]:
    """Compare the live schema with what the applied migrations make on an empty database.

    Compared are the schema ``public``, and whatever else the migrations make. What an adopted
    database had of its own counts as accepted. Holds the migration lock while it reads the live
    schema, and changes nothing.

    Raises
    ------
    OperationError
        If the history and the files disagree, or the migrations can't be applied elsewhere.
    """
    files = Files(directory)
    with (
        connect(url, actor(), "drift") as connection,
        exclusive(connection, actor(), limits or Limits(), report),
    ):
        at = history.current(connection)
        entries = history.entries(connection)
        history.verify(files, at, entries)
        if at is None:
            return []
        accepted = history.accepted(connection)
        live = _read(url)
    return [
        item
        for item in _made_elsewhere(url, live, at, directory, report)
        if item.identities() - accepted
    ]


def differences(url: str, at: str, directory: Path = DIRECTORY) -> list[Difference]:
    """Return how the schema differs from what the migrations up to `at` make, accepted or not."""
    return _made_elsewhere(url, _read(url), at, directory, ignore)


def require_none(
    url: str, *, report: Report = ignore, limits: Limits | None = None, directory: Path = DIRECTORY
) -> None:
    """Check that the live schema is what its migrations make, before it is changed further.

    Raises
    ------
    DriftError
        If it isn't.
    """
    if not any(line.state == "pending" for line in listing.migrations(url, directory)):
        return
    if found := drift(url, report=report, limits=limits, directory=directory):
        raise DriftError(found)


def _made_elsewhere(
    url: str, live: dict[Key, str], at: str, directory: Path, report: Report
) -> list[Difference]:
    label, started = "Apply the same migrations elsewhere", time.monotonic()
    report(Event(label, "started"))
    with scratch.empty(url) as copy:
        runner.migrate(copy, at, directory=directory, who="drift")
        expected = _read(copy)
    report(Event(label, "done", seconds=time.monotonic() - started))
    return list(_compare(live, expected))


class DriftError(OperationError):
    """The live schema is not what its migrations make."""

    def __init__(self, found: list[Difference]) -> None:
        lines = "\n".join(str(item) for item in found)
        super().__init__(
            f"The live schema is not what its migrations make:\n{lines}\n",
            "`make drift` shows the SQL that would repair it; or write the change into a"
            " migration. To migrate all the same: ALLOW_DRIFT=1.",
        )


def _read(url: str) -> dict[Key, str]:
    database = str(conninfo.conninfo_to_dict(url).get("dbname") or "")
    return _objects(scratch.dump(url), login_name(database))


def _lines(definition: str) -> list[str]:
    """Return the lines of a definition; it makes no difference which column is the last."""
    return [line.strip().rstrip(",") for line in definition.splitlines()]


def _objects(dump: str, login: str) -> dict[Key, str]:
    """Return each object's definition in a dump, without what belongs to one database only."""
    found: dict[Key, str] = {}
    key: Key | None = None
    own = re.compile(rf'.* (?:TO|FROM) "?{re.escape(login)}"?;')
    # What changes without anybody's doing, or is the migrations' own.
    ignored = {name.partition(".")[2] for name in history.TABLES}
    for line in dump.splitlines():
        if match := _HEAD.fullmatch(line):
            key = (match["type"], match["schema"], match["name"])
            if ignored & set(re.split(r"[ .(]", match["name"].replace("_id_seq", ""))):
                key = None
            continue
        skipped = line.startswith(("--", "\\", "SET ", "SELECT pg_catalog.set_config"))
        if key is None or not line.strip() or skipped or own.fullmatch(line):
            continue
        found[key] = f"{found[key]}\n{line}" if key in found else line
    return found


def _compare(live: dict[Key, str], expected: dict[Key, str]) -> Iterator[Difference]:
    # Other schemas, extensions and event triggers are others' unless the migrations make them.
    ours = {schema for _, schema, _ in expected} - {"-"} | {SCHEMA}
    for key in [*expected, *(key for key in live if key not in expected)]:
        kind, schema, title = key
        here, wanted = live.get(key, ""), expected.get(key, "")
        same = sorted(_lines(here)) == sorted(_lines(wanted)) if kind == "TABLE" else here == wanted
        if same or (not wanted and (schema not in ours or kind == "EXTENSION")):
            continue
        name = f"{kind.lower()} {'' if schema == '-' else f'{schema}.'}{title}"
        if not here:
            # pg_dump shows no index that is there but invalid
            gone = (
                _drop(kind, wanted).replace("INDEX", "INDEX IF EXISTS") if kind == "INDEX" else ""
            )
            yield Difference("missing", name, "", wanted, f"{gone}\n{wanted}".strip())
        elif not wanted:
            yield Difference("only here", name, here, "", _drop(kind, here))
        else:
            yield Difference("changed", name, here, wanted, _repair(kind, here, wanted))


def _repair(kind: str, live: str, expected: str) -> str:
    if kind == "TABLE" and "PARTITION" not in expected:
        return _repair_table(live, expected)
    if kind in _REPLACED:
        return re.sub(r"\ACREATE (?!OR REPLACE)", "CREATE OR REPLACE ", expected)
    if kind in ("ACL", "DEFAULT ACL"):
        there = set(expected.splitlines())
        undone = [_revoked(line) for line in live.splitlines() if line not in there]
        return "\n".join([*undone, expected])
    if kind in ("COMMENT", "DEFAULT"):
        return expected
    return f"{_drop(kind, live)}\n{expected}"


def _drop(kind: str, definition: str) -> str:
    """Return the SQL that takes an object away, from the SQL that makes it."""
    if kind in ("ACL", "DEFAULT ACL"):
        return "\n".join(_revoked(line) for line in definition.splitlines())
    for pattern, form in _DROPS:
        if match := re.search(pattern, definition, re.DOTALL):
            return form.format(*match.groups())
    return f"-- by hand, the opposite of: {definition}"


def _revoked(line: str) -> str:
    """Return the opposite of one line of GRANT or REVOKE."""
    if re.search(r"\bGRANT\b", line):
        line = re.sub(r"\bGRANT\b", "REVOKE", line, count=1).replace(" WITH GRANT OPTION", "")
        return re.sub(r" TO (\S+;)$", r" FROM \1", line)
    line = re.sub(r"\bREVOKE\b", "GRANT", line, count=1)
    return re.sub(r" FROM (\S+;)$", r" TO \1", line)


def _repair_table(live: str, expected: str) -> str:
    table = re.search(rf"TABLE ({_DOTTED}) \(", expected)
    if table is None or not re.search(rf"TABLE ({_DOTTED}) \(", live):
        return f"{_drop('TABLE', live)}\n{expected}"
    here, wanted = _parts(live), _parts(expected)
    changes = []
    for name in [n for n in here if n not in wanted]:
        word = "CONSTRAINT" if name.startswith("CONSTRAINT ") else "COLUMN"
        changes.append(f"DROP {word} {name.removeprefix('CONSTRAINT ')}")
    for name, definition in wanted.items():
        constraint = name.startswith("CONSTRAINT ")
        if name not in here:
            changes.append(f"ADD {'' if constraint else 'COLUMN '}{name} {definition}")
        elif here[name] != definition:
            if constraint:
                changes.append(f"DROP {name}, ADD {name} {definition}")
            else:
                changes += _repair_column(name, here[name], definition)
    statements = [f"ALTER TABLE {table[1]} {change};" for change in changes]
    # Settings of columns and of the table follow as statements of their own.
    (stored, before), (wanted_stored, after) = _ending(live), _ending(expected)
    if names := [option.partition("=")[0] for option in stored - wanted_stored]:
        statements.append(f"ALTER TABLE {table[1]} RESET ({', '.join(sorted(names))});")
    if options := wanted_stored - stored:
        statements.append(f"ALTER TABLE {table[1]} SET ({', '.join(sorted(options))});")
    statements += [line for line in after if line not in before]
    for line in before:
        if line in after:
            continue
        column = re.search(rf"ALTER COLUMN ({_NAME}) SET STORAGE", line)
        statements.append(
            f"ALTER TABLE {table[1]} ALTER COLUMN {column[1]} SET STORAGE DEFAULT;"
            if column
            else f"-- by hand, the opposite of: {line}"
        )
    kinds = [re.match(r"CREATE (\w+)", text) for text in (live, expected)]
    if kinds[0] and kinds[1] and kinds[0][1] != kinds[1][1]:
        way = "UNLOGGED" if kinds[1][1] == "UNLOGGED" else "LOGGED"
        statements.append(f"ALTER TABLE {table[1]} SET {way};")
    by_hand = "\n".join(f"-- {line}" for line in ("by hand, to:", *expected.splitlines()))
    return "\n".join(statements) or by_hand


def _ending(definition: str) -> tuple[set[str], list[str]]:
    """Return a table's storage options, and the statements that follow its CREATE."""
    match = re.search(r"\n\)(?:\nWITH \((?P<options>.*)\))?;\n?(?P<rest>.*)", definition, re.DOTALL)
    if match is None:
        return set(), []
    options = set(match["options"].split(", ")) if match["options"] else set()
    return options, match["rest"].splitlines()


def _parts(definition: str) -> dict[str, str]:
    """Return the columns and constraints of a CREATE TABLE by name."""
    body = definition.partition("(\n")[2].partition("\n)")[0]
    found = {}
    for line in re.split(r",\n(?=    \S)", body):
        if match := re.match(rf"\s*((?:CONSTRAINT )?{_NAME}) (.*)", line, re.DOTALL):
            found[match[1]] = match[2].strip()
    return found


def _repair_column(name: str, live: str, expected: str) -> Iterator[str]:
    pattern = re.compile(
        r"(?P<type>.+?)(?: DEFAULT (?P<default>.+?))?(?P<filled> NOT NULL)?", re.DOTALL
    )
    here, wanted = pattern.fullmatch(live), pattern.fullmatch(expected)
    if here is None or wanted is None or "GENERATED" in f"{live}{expected}":
        yield f"DROP COLUMN {name}, ADD COLUMN {name} {expected}"
        return
    if here["type"] != wanted["type"]:
        bare = re.sub(r" COLLATE .*", "", wanted["type"])
        yield f"ALTER COLUMN {name} TYPE {wanted['type']} USING {name}::{bare}"
    if here["default"] != wanted["default"]:
        value = wanted["default"]
        yield f"ALTER COLUMN {name} {f'SET DEFAULT {value}' if value else 'DROP DEFAULT'}"
    if here["filled"] != wanted["filled"]:
        yield f"ALTER COLUMN {name} {'SET' if wanted['filled'] else 'DROP'} NOT NULL"
