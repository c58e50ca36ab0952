"""The database: reachable, its URL where the functions look for it, its schema up to date."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Protocol

import psycopg

from console.operations.environments.doctor.examination import Check
from console.operations.environments.doctor.examined import Examined
from console.operations.environments.doctor.finding import Finding, State, compare

AREA = "Database"
PARAMETER, SCHEMA, LOGIN = "the URL's parameter", "the schema", "the function's login"
DRIFT = "changes by hand"


class Migration(Protocol):
    """A migration, and whether it was applied."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def state(self) -> str:
        """``applied`` or ``baseline`` where nothing is wrong."""

    @property
    def drift(self) -> str:
        """How its file differs from what was applied; empty where it doesn't."""


Migrations = Callable[[], Sequence[Migration]]


class Difference(Protocol):
    """One object that is not what the migrations make."""

    @property
    def what(self) -> str:
        """``missing``, ``only here`` or ``changed``."""

    @property
    def name(self) -> str:
        """Such as ``table public.users``."""


Drift = Callable[[], Sequence[Difference]]


def checks(
    subject: Examined, migrations: Migrations | None, drift: Drift | None = None
) -> Iterator[Check]:
    """Yield the checks; none where no database is configured."""
    parameter = subject.state.outputs.get("database_url_parameter") if subject.state else None
    if parameter:
        yield Check(AREA, PARAMETER, partial(_parameter, subject, parameter))
    if migrations:
        yield Check(AREA, SCHEMA, partial(_schema, migrations))
    if migrations and drift:
        yield Check(AREA, DRIFT, partial(_drift, drift), needs=(SCHEMA,))
    if parameter and migrations:  # from here the database answers, or why is said already
        yield Check(AREA, LOGIN, partial(_login, subject, parameter), needs=(PARAMETER, SCHEMA))


def _parameter(subject: Examined, name: str) -> Iterator[Finding]:
    # Not decrypted: its value stays where it is
    try:
        found: str = subject.here.parameters.get_parameter(Name=name)["Parameter"]["Type"]
    except subject.here.parameters.exceptions.ParameterNotFound:
        found = "none"
    yield compare(
        AREA,
        f"parameter {name}",
        "SecureString",
        found,
        "Write the database's URL into it, as a SecureString: it holds a password.",
    )


def _login(subject: Examined, name: str) -> Iterator[Finding]:
    found = subject.here.parameters.get_parameter(Name=name, WithDecryption=True)
    said = "accepted"
    state: State = "ok"
    remedy = "`make rotate-login` (locally `make up`) gives the function a new password."
    try:
        psycopg.connect(found["Parameter"]["Value"], connect_timeout=5).close()
    except psycopg.OperationalError as error:
        # libpq quotes no password in these, but does in what it says of a malformed URL
        said = str(error).strip().splitlines()[-1].strip()
        if "FATAL" in said or "ERROR" in said:  # the server's own words
            state = "error"
        else:
            # The function has its own way there, from its subnets and with its own certificates.
            state, remedy = "unknown", "Look from a machine in the database's network."
    except psycopg.Error:
        said, state = "the parameter holds no URL", "error"
    yield Finding(AREA, LOGIN, state, "accepted", said, "" if state == "ok" else remedy)


def _schema(migrations: Migrations) -> Iterator[Finding]:
    found = migrations()
    yield Finding(AREA, "connection", "ok", "it answers", "it answers")
    by_state: dict[str, list[str]] = {}
    for migration in found:
        state = "changed since" if migration.drift else migration.state
        by_state.setdefault(state, []).append(migration.name)
    applied = by_state.pop("applied", []) + by_state.pop("baseline", [])
    newest = found[-1].name if found else "none"
    if not by_state:
        yield Finding(AREA, "schema", "ok", newest, (applied or ["none"])[-1])
        return
    only_pending = set(by_state) == {"pending"}
    yield Finding(
        AREA,
        "schema",
        "warning" if only_pending else "error",
        newest,
        "; ".join(f"{state}: {', '.join(names)}" for state, names in by_state.items()),
        "Run `make migrate`." if only_pending else "`make migrations` shows what happened.",
    )


def _drift(drift: Drift) -> Iterator[Finding]:
    found = "; ".join(f"{difference.what}: {difference.name}" for difference in drift())
    yield Finding(
        AREA,
        DRIFT,
        "warning" if found else "ok",
        "none",
        found or "none",
        "`make drift` shows the SQL that would repair it." if found else "",
    )
