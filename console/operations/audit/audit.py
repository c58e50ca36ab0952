"""Who did what, when, on what, with which outcome: append-only, in Postgres.

An action leaves two entries, one when it starts and one when it ends. The first one carries the
action's key, which the database keeps unique: a button that fires twice acts once. Where the
database is away, entries wait in a file and follow later; an operator is not kept from mending
things because the audit is broken too.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, TypeVar

import psycopg
from psycopg.rows import class_row

from console.operations.audit.access import Actor, require_operator
from console.operations.errors import OperationError

Outcome = Literal["started", "done", "failed"]
T = TypeVar("T")

# Outside the application's schema: a rollback of migrations must not take it along
_SCHEMA = """
CREATE SCHEMA IF NOT EXISTS avatar_ops;
CREATE TABLE IF NOT EXISTS avatar_ops.audit_entries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL,
    actor text NOT NULL,
    environment text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    key text NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('started', 'done', 'failed')),
    detail text NOT NULL,
    UNIQUE (key, outcome)
);
CREATE OR REPLACE FUNCTION avatar_ops.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit is append-only' USING ERRCODE = 'insufficient_privilege';
END
$$;
CREATE OR REPLACE TRIGGER append_only
    BEFORE UPDATE OR DELETE OR TRUNCATE ON avatar_ops.audit_entries
    EXECUTE FUNCTION avatar_ops.refuse_change();
"""


class AlreadyDoneError(OperationError):
    """The same click arrived twice; it was acted on once."""


@dataclass(frozen=True)
class Entry:
    """One line of the audit."""

    at: datetime
    actor: str
    environment: str
    action: str
    target: str
    key: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True)
class Action:
    """One action: both its entries in one.

    Attributes
    ----------
    started, ended
        `ended` is None while it runs, and for ever if its process was killed.
    outcome
        ``running``, ``done`` or ``failed``.
    detail
        What it said at its end.
    """

    started: datetime
    ended: datetime | None
    actor: str
    action: str
    target: str
    outcome: str
    detail: str
    key: str

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return (self.ended - self.started).total_seconds() if self.ended else None


@dataclass(frozen=True)
class Filter:
    """Which actions are wanted; what is empty or None filters nothing.

    Attributes
    ----------
    target
        A part of the target, upper or lower case.
    since, until
        When the action started; `until` is left out.
    """

    actors: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    target: str = ""
    outcomes: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Choices:
    """Who acted so far, and how."""

    actors: tuple[str, ...]
    actions: tuple[str, ...]


_ACTIONS = """
SELECT * FROM (
    SELECT s.at AS started, e.at AS ended, s.actor, s.action, s.target,
           coalesce(e.outcome, 'running') AS outcome, coalesce(e.detail, '') AS detail, s.key
    FROM avatar_ops.audit_entries s
         LEFT JOIN avatar_ops.audit_entries e ON e.key = s.key AND e.outcome <> 'started'
    WHERE s.outcome = 'started' AND s.environment = %(environment)s
) AS actions
WHERE (%(actors)s::text[] = '{}' OR actor = ANY (%(actors)s))
  AND (%(actions)s::text[] = '{}' OR action = ANY (%(actions)s))
  AND (%(outcomes)s::text[] = '{}' OR outcome = ANY (%(outcomes)s))
  AND strpos(lower(target), lower(%(target)s)) > 0
  AND (%(since)s::timestamptz IS NULL OR started >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR started < %(until)s)
ORDER BY started DESC LIMIT %(limit)s
"""


class Audit:
    """The audit of one environment.

    Parameters
    ----------
    environment
        The environment's name.
    url
        Returns the operators' database URL; raises OperationError where there is none.
    waiting
        The file in which entries wait for the database.
    """

    def __init__(self, environment: str, url: Callable[[], str], waiting: Path) -> None:
        self._environment = environment
        self._url = url
        self._waiting = waiting
        self._lock = threading.Lock()
        self._seen: set[str] = set()

    def perform(
        self,
        actor: Actor,
        action: str,
        target: str,
        key: str,
        work: Callable[[], T],
        *,
        detail: str = "",
    ) -> T:
        """Do `work` once for this key, if the actor may, and record both ends of it.

        Parameters
        ----------
        target
            What it acts on, as the operator would name it.
        key
            The same for every arrival of one click; a new one for each action meant.
        detail
            What the entry of its start says besides.

        Raises
        ------
        AlreadyDoneError
            If the key has been acted on.
        OperationError
            If the actor may not, or `work` fails so.
        """
        require_operator(actor)
        self._record(actor, action, target, key, "started", detail)
        try:
            result = work()
        except BaseException as error:
            self._record(actor, action, target, key, "failed", str(error) or type(error).__name__)
            raise
        self._record(actor, action, target, key, "done", "" if result is None else str(result))
        return result

    def entries(self, limit: int = 1000) -> list[Entry]:
        """Return the newest entries, newest first, those that still wait among them.

        Raises
        ------
        OperationError
            If the database is away.
        """
        with _connected(self._url()) as connection:
            self._deliver(connection)
            with connection.cursor(row_factory=class_row(Entry)) as cursor:
                return cursor.execute(
                    "SELECT at, actor, environment, action, target, key, outcome, detail"
                    " FROM avatar_ops.audit_entries WHERE environment = %s"
                    " ORDER BY id DESC LIMIT %s",
                    (self._environment, limit),
                ).fetchall()

    def actions(self, wanted: Filter = Filter(), limit: int = 1000) -> list[Action]:
        """Return the newest wanted actions, newest first.

        Raises
        ------
        OperationError
            If the database is away.
        """
        with _connected(self._url()) as connection:
            self._deliver(connection)
            with connection.cursor(row_factory=class_row(Action)) as cursor:
                return cursor.execute(
                    _ACTIONS,
                    {
                        "environment": self._environment,
                        "actors": list(wanted.actors),
                        "actions": list(wanted.actions),
                        "outcomes": list(wanted.outcomes),
                        "target": wanted.target,
                        "since": wanted.since,
                        "until": wanted.until,
                        "limit": limit,
                    },
                ).fetchall()

    def choices(self) -> Choices:
        """Return what a filter can choose from.

        Raises
        ------
        OperationError
            If the database is away.
        """
        with _connected(self._url()) as connection:
            rows = connection.execute(
                "SELECT DISTINCT actor, action FROM avatar_ops.audit_entries"
                " WHERE environment = %s",
                (self._environment,),
            ).fetchall()
        return Choices(
            tuple(sorted({actor for actor, _ in rows})), tuple(sorted({act for _, act in rows}))
        )

    def waiting(self) -> int:
        """Return how many entries wait for the database."""
        return len(self._waiting.read_text().splitlines()) if self._waiting.exists() else 0

    def _record(
        self, actor: Actor, action: str, target: str, key: str, outcome: Outcome, detail: str
    ) -> None:
        now = datetime.now(UTC)
        entry = Entry(
            now, actor.name, self._environment, action, target, key, outcome, detail[:2000]
        )
        with self._lock:
            if outcome == "started" and key in self._seen:
                raise _already_done(action, target)
            self._seen.add(key)
            try:
                with _connected(self._url()) as connection:
                    self._deliver(connection)
                    if not _insert(connection, entry) and outcome == "started":
                        raise _already_done(action, target)
            except AlreadyDoneError:
                raise
            except OperationError:
                with self._file_held(), self._waiting.open("a") as waiting:
                    waiting.write(json.dumps(asdict(entry), default=datetime.isoformat) + "\n")

    def _deliver(self, connection: psycopg.Connection) -> None:
        """Bring what waits into the database; what is there already is left out."""
        if not self._waiting.exists():
            return
        with self._file_held():
            if not self._waiting.exists():
                return
            for line in self._waiting.read_text().splitlines():
                found = json.loads(line)
                found["at"] = datetime.fromisoformat(found["at"])
                _insert(connection, Entry(**found))
            connection.commit()
            self._waiting.unlink()

    @contextmanager
    def _file_held(self) -> Iterator[None]:
        """Keep the console and commands that run beside it from each other's entries."""
        self._waiting.parent.mkdir(parents=True, exist_ok=True)
        with self._waiting.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def as_csv(actions: Sequence[Action]) -> str:
    """Return the actions as CSV; what a spreadsheet would take for a formula gets a leading '."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow([field.name for field in fields(Action)])
    for action in actions:
        cells = [_text(value) for value in asdict(action).values()]
        writer.writerow([f"'{cell}" if cell[:1] in "=+-@\t\r" and cell else cell for cell in cells])
    return out.getvalue()


def as_json_lines(actions: Sequence[Action]) -> str:
    """Return the actions as JSON, one a line."""
    return "".join(
        json.dumps(asdict(action), default=_text, ensure_ascii=False) + "\n" for action in actions
    )


def _text(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    return "" if value is None else str(value)


def new_key() -> str:
    """Return a key for one action."""
    return uuid.uuid4().hex


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            connection.execute("SET lock_timeout = '2s'")
            found = connection.execute("SELECT to_regclass('avatar_ops.audit_entries')").fetchone()
            if found == (None,):
                connection.execute(_SCHEMA)
            yield connection
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else "no reason given"
        raise OperationError(
            f"The audit can't be reached: {reason}.", "Check the database: `make status`."
        ) from error


def _insert(connection: psycopg.Connection, entry: Entry) -> bool:
    """Insert an entry; return False if it is there already."""
    done = connection.execute(
        "INSERT INTO avatar_ops.audit_entries"
        " (at, actor, environment, action, target, key, outcome, detail)"
        " VALUES (%(at)s, %(actor)s, %(environment)s, %(action)s, %(target)s, %(key)s,"
        " %(outcome)s, %(detail)s) ON CONFLICT DO NOTHING",
        asdict(entry),
    )
    return done.rowcount == 1


def _already_done(action: str, target: str) -> AlreadyDoneError:
    return AlreadyDoneError(
        f"“{action}” on {target} was started already by this click.",
        "Look at the audit for its outcome, or reload the page to start anew.",
    )
