"""Who did what, when, on what, with which outcome: append-only, in Postgres.

An action leaves two entries, one when it starts and one when it ends. The first one carries the
action's key, which the database keeps unique: a button that fires twice acts once. Where the
database is away, entries wait in a folder and follow later; an operator is not kept from repairing
things because the audit is broken too. An action whose process was killed is closed as interrupted,
with how far it had come.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import threading
import time
import unicodedata
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import psycopg
from psycopg.rows import class_row

from console.operations.audit import live, schema
from console.operations.audit.access import Actor, require_operator
from console.operations.audit.live import Running, Seen
from console.operations.audit.spool import Spool
from console.operations.errors import OperationError
from console.operations.progress import Report

Outcome = Literal["started", "done", "failed", "interrupted"]
T = TypeVar("T")
_LONGEST = 2000
_NO_ENTRY = (
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    psycopg.DataError,
    psycopg.IntegrityError,
)
_ANSWER_SECONDS = 5
_READS_ALL = "SET LOCAL statement_timeout = '5min'"
_URL_SECONDS = 60
_log = logging.getLogger(__name__)


class AlreadyDoneError(OperationError):
    """The same click arrived twice; it was acted on once."""


@dataclass(frozen=True)
class Entry:
    """One line of the audit.

    Attributes
    ----------
    process
        Which process acts; empty at an end.
    """

    at: datetime
    actor: str
    environment: str
    action: str
    target: str
    key: str
    outcome: Outcome
    detail: str
    process: str = ""


@dataclass(frozen=True)
class Action:
    """One action: both its entries in one.

    Attributes
    ----------
    ended
        None while it runs.
    outcome
        ``running``, ``done``, ``failed``, or ``interrupted``: its process ended before it.
    detail
        What it said at its end, or where it was begun while it runs.
    reason
        Why, in the operator's words.
    """

    started: datetime
    ended: datetime | None
    actor: str
    action: str
    target: str
    outcome: str
    detail: str
    key: str
    reason: str = ""

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
class FilterOptions:
    """Who acted so far, and how."""

    actors: tuple[str, ...]
    actions: tuple[str, ...]


# An end that arrives after all counts more than somebody's taking the action for interrupted
_ACTIONS = """
SELECT s.at AS started, e.at AS ended, s.actor, s.action, s.target,
       coalesce(e.outcome, 'running') AS outcome, coalesce(e.detail, s.detail) AS detail, s.key,
       coalesce(substring(s.detail FROM '; reason: (.*)$'), '') AS reason
FROM avatar_ops.audit_entries s
     LEFT JOIN LATERAL (
         SELECT at, outcome, detail FROM avatar_ops.audit_entries
         WHERE key = s.key AND outcome <> 'started'
         ORDER BY outcome = 'interrupted', id LIMIT 1
     ) e ON true
WHERE s.outcome = 'started' AND s.environment = %(environment)s
  AND (%(actors)s::text[] = '{}' OR s.actor = ANY (%(actors)s))
  AND (%(actions)s::text[] = '{}' OR s.action = ANY (%(actions)s))
  AND (%(outcomes)s::text[] = '{}' OR coalesce(e.outcome, 'running') = ANY (%(outcomes)s))
  AND strpos(lower(s.target), lower(%(target)s)) > 0
  AND (%(since)s::timestamptz IS NULL OR s.at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR s.at < %(until)s)
  AND (%(before)s::timestamptz IS NULL OR (s.at, s.key) < (%(before)s, %(before_key)s))
"""
_NEWEST_FIRST = " ORDER BY s.at DESC, s.key DESC LIMIT %(limit)s"
# Few of all actions: found from their end, or from what has none. As an array, which the planner
# always takes for short, whatever the tables' statistics are.
_FEW = """
  AND s.key = ANY (ARRAY(
      SELECT key FROM avatar_ops.audit_entries
      WHERE environment = %(environment)s AND outcome IN ('failed', 'interrupted')
        AND outcome = ANY (%(outcomes)s)
      UNION ALL SELECT key FROM avatar_ops.audit_running WHERE 'running' = ANY (%(outcomes)s)
  ))
"""
_RUNNING = """
SELECT at, actor, environment, action, target, key, outcome, detail, process
FROM avatar_ops.audit_entries s
WHERE outcome = 'started' AND environment = %s AND (%s::text IS NULL OR process = %s)
  AND NOT EXISTS (SELECT 1 FROM avatar_ops.audit_entries
                  WHERE key = s.key AND outcome <> 'started')
"""
_DISTINCT = """
WITH RECURSIVE found AS (
    (SELECT {0} AS value FROM avatar_ops.audit_entries
     WHERE outcome = 'started' AND environment = %(environment)s ORDER BY {0} LIMIT 1)
    UNION ALL
    SELECT (SELECT {0} FROM avatar_ops.audit_entries
            WHERE outcome = 'started' AND environment = %(environment)s AND {0} > found.value
            ORDER BY {0} LIMIT 1)
    FROM found WHERE found.value IS NOT NULL
)
SELECT value FROM found WHERE value IS NOT NULL
"""
"""One look into the index for each value, not one at each row."""
_EVERY = """
SELECT DISTINCT {0} FROM avatar_ops.audit_entries
WHERE outcome = 'started' AND environment = %(environment)s
"""


class Audit:
    """The audit of one environment.

    Parameters
    ----------
    environment
        The environment's name.
    url
        Returns the operators' database URL; raises OperationError where there is none.
    folder
        Where entries wait for the database, and processes leave word that they live.
    """

    def __init__(self, environment: str, url: Callable[[], str], folder: Path) -> None:
        self._environment = environment
        self._url = url
        self._spool = Spool(folder)
        self._spool.take_over(folder.with_name("audit-waiting.jsonl"))
        self._lock = threading.Lock()
        self._seen: set[str] = set()
        self._running: dict[str, Running] = {}
        self._process = ""
        self._beats = False
        self._recent: tuple[float, str] | None = None

    def perform(
        self,
        actor: Actor,
        action: str,
        target: str,
        key: str,
        work: Callable[[], T],
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
            What to record at its start, such as the reason.

        Raises
        ------
        AlreadyDoneError
            If the key has been acted on.
        OperationError
            If the actor may not, or `work` fails so.
        """
        require_operator(actor)
        with self._lock:
            if key in self._seen:
                raise _already_done(action, target)
            self._seen.add(key)
            self._running[key] = Running(clean(f"{action}: {target}").replace("\n", " "))
            self._enter()
            if not self._beats:
                self._beats = True
                threading.Thread(target=self._beat, name="audit", daemon=True).start()
        started = self._entry(actor, action, target, key, "started", detail)
        try:
            if not self._record(replace(started, process=self._process)):
                raise _already_done(action, target)
            try:
                result = work()
            except BaseException as error:
                reason = str(error) or type(error).__name__
                self._record(self._entry(actor, action, target, key, "failed", reason))
                raise
            said = "" if result is None else str(result)
            self._record(self._entry(actor, action, target, key, "done", said))
            return result
        finally:
            with self._lock:
                del self._running[key]
                self._spool.note(self._process, self._running)

    def follow(self, key: str, report: Report) -> Report:
        """Return a report for the work of an action: all consoles see what it is told.

        Once somebody has stopped the action, it raises StoppedError where the work may end.
        """
        return self._running[key].follow(report)

    def running(self, actor: Actor | None = None) -> list[Seen]:
        """Return what runs in every console and terminal, oldest first.

        Parameters
        ----------
        actor
            Who closes what has ended without a word; None closes nothing.

        Raises
        ------
        OperationError
            If the database is away.
        """
        self.deliver(actor)
        with self._looking() as connection:
            found = live.seen(connection, self._environment)
            ended = {seen.key for seen in found if actor and self._is_silent(seen)}
            if actor and ended:
                self._close(connection, actor, keys=ended)
            return [seen for seen in found if seen.key not in ended]

    def stop(self, key: str, actor: Actor) -> None:
        """Have an action end at the next point where it may, in whichever process it runs.

        Raises
        ------
        OperationError
            If the actor may not, it runs no more, or the database of another process is away.
        """
        require_operator(actor)
        with self._lock:
            if here := self._running.get(key):
                here.stopped_by = clean(actor.name)
                return
        with _connected(self._url()) as connection:
            if not live.ask_to_stop(connection, key, clean(actor.name)):
                raise OperationError("It has ended.", "The page Audit says how.")

    def deliver(self, actor: Actor | None = None) -> None:
        """Bring what waits into the database, and close the actions of processes that were killed.

        Never fails: what can't be delivered now waits on, and what never can is set aside.

        Parameters
        ----------
        actor
            Who closes them; None closes nothing.
        """
        if self._spool.waiting() or (actor and any(self._spool.dead())):
            with suppress(OperationError, OSError), _connected(self._url()) as connection:
                self._deliver(connection, actor)

    def actions(
        self, wanted: Filter = Filter(), limit: int = 1000, before: Action | None = None
    ) -> list[Action]:
        """Return the newest wanted actions, newest first.

        Parameters
        ----------
        before
            Only what began before this one: the last of the page before.

        Raises
        ------
        OperationError
            If the database is away.
        """
        asked = {
            "environment": self._environment,
            "actors": list(wanted.actors),
            "actions": list(wanted.actions),
            "outcomes": list(wanted.outcomes),
            "target": wanted.target,
            "since": wanted.since,
            "until": wanted.until,
            "limit": limit,
            "before": before and before.started,
            "before_key": before and before.key,
        }
        with self._looking() as connection, _none_without_tables():
            few = bool(wanted.outcomes) and "done" not in wanted.outcomes
            few = few and schema.is_indexed(connection)
            cursor = connection.cursor(row_factory=class_row(Action))
            query = f"{_ACTIONS}{_FEW if few else ''}{_NEWEST_FIRST}"
            return cursor.execute(query.encode(), asked).fetchall()
        return []

    def filter_options(self) -> FilterOptions:
        """Return what a filter can choose from.

        Raises
        ------
        OperationError
            If the database is away.
        """
        with self._looking() as connection, _none_without_tables():
            query = _DISTINCT if schema.is_indexed(connection) else _EVERY

            def values(column: str) -> tuple[str, ...]:
                rows = connection.execute(
                    query.format(column).encode(), {"environment": self._environment}
                )
                return tuple(sorted(value for (value,) in rows))

            return FilterOptions(values("actor"), values("action"))
        return FilterOptions((), ())

    def unaccounted(self) -> list[Entry]:
        """Return the starts of actions without an end of whose process nothing was ever seen.

        Raises
        ------
        OperationError
            If the database is away.
        """
        with self._looking() as connection, _none_without_tables():
            found = _running(connection, self._environment)
            seen = {s.key for s in live.seen(connection, self._environment) if s.silent is not None}
            return [
                entry
                for entry in found
                if entry.key not in seen and not self._spool.is_alive(entry.process)
            ]
        return []

    def close(self, keys: Sequence[str], actor: Actor) -> int:
        """Close actions as interrupted, those that are still without an end; return how many.

        Raises
        ------
        OperationError
            If the actor may not, or the database is away.
        """
        require_operator(actor)
        with _connected(self._url()) as connection:
            return self._close(connection, actor, keys=keys)

    def about(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return when what was done to whom these names mean, and how it ended, oldest first.

        Parameters
        ----------
        names
            A user's id, and their handles with @.

        Raises
        ------
        OperationError
            If the database is away.
        """
        pattern = "|".join(map(_naming, names))
        with _connected(self._url()) as connection, _none_without_tables():
            connection.execute(_READS_ALL)
            return [
                {"at": at, "action": action, "outcome": outcome}
                for at, action, outcome in connection.execute(
                    "SELECT at, action, outcome FROM avatar_ops.audit_entries"
                    " WHERE environment = %s AND (target ~ %s OR detail ~ %s) ORDER BY id",
                    (self._environment, pattern, pattern),
                )
            ]
        return []

    def pseudonymise(self, sub: str, handles: Sequence[str]) -> int:
        """Put `pseudonym` in the place of a user's id and handles; return in how many entries.

        Raises
        ------
        OperationError
            If the database is away.
        """
        with _connected(self._url()) as connection:
            schema.ensure(connection)
            self._deliver(connection, None)
            connection.execute(_READS_ALL)
            found = connection.execute(
                "SELECT avatar_ops.pseudonymise(%s, %s, %s)",
                (self._environment, sub, list(handles)),
            ).fetchone()
            return int((found or (0,))[0])

    def waiting(self) -> int:
        """Return how many entries wait for the database."""
        return len(self._spool.waiting())

    def quarantined(self) -> int:
        """Return how many files were set aside, as they hold no entry."""
        return len(self._spool.quarantined())

    def _enter(self) -> None:
        if not self._process:
            with suppress(OSError):  # on a full disk, an operator closes what is killed
                self._process = self._spool.enter(self, self._running)
        if self._process:
            self._spool.note(self._process, self._running)

    def _entry(
        self, actor: Actor, action: str, target: str, key: str, outcome: Outcome, detail: str
    ) -> Entry:
        return Entry(
            datetime.now(UTC),
            clean(actor.name),
            self._environment,
            clean(action),
            clean(target),
            key,
            outcome,
            clean(detail),
        )

    def _is_silent(self, seen: Seen) -> bool:
        late = (seen.silent or 0) >= live.SILENT_SECONDS
        return late and not self._spool.is_alive(seen.process)

    def _close(
        self,
        connection: psycopg.Connection,
        actor: Actor,
        process: str | None = None,
        keys: Collection[str] | None = None,
    ) -> int:
        """Record what runs, of a process or by these keys, as interrupted; return how many."""
        told = {seen.key: seen for seen in live.seen(connection, self._environment)}
        return sum(
            _insert(connection, _interrupted(entry, told.get(entry.key), actor))
            for entry in _running(connection, self._environment, process)
            if keys is None or entry.key in keys
        )

    def _beat(self) -> None:
        """Write how far what runs here is, until nothing does."""
        while True:
            time.sleep(live.BEAT_SECONDS)
            with self._lock:
                running = dict(self._running)
                if not running:
                    self._beats = False
                    return
            try:
                with self._looking() as connection:
                    live.beat(connection, running)
            except OperationError:
                continue  # once more in a moment
            except Exception:  # a thread has nobody above it to tell
                _log.exception("how far actions are can't be written")

    @contextmanager
    def _looking(self) -> Iterator[psycopg.Connection]:
        """Yield a connection by the URL of a minute ago, if it serves: to ask may ask AWS."""
        now = time.monotonic()
        if self._recent is None or now - self._recent[0] > _URL_SECONDS:
            self._recent = now, self._url()
        try:
            with _connected(self._recent[1]) as connection:
                yield connection
        except OperationError:
            self._recent = None
            raise

    def _record(self, entry: Entry) -> bool:
        """Record an entry, or let it wait; return False if it is there already."""
        try:
            with _connected(self._url()) as connection:
                schema.ensure(connection)
                fresh = _insert(connection, entry)
                if entry.outcome == "started" and (running := self._running.get(entry.key)):
                    live.beat(connection, {entry.key: running})
                self._deliver(connection, Actor(entry.actor, may_operate=True))
                return fresh
        except OperationError as error:
            try:
                self._spool.put(json.dumps(asdict(entry), default=datetime.isoformat))
            except OSError as full:
                _log.error("an audit entry is lost: %s; %s; %s", entry, error.message, full)
        return True

    def _deliver(self, connection: psycopg.Connection, actor: Actor | None) -> None:
        waiting, delivered = self._spool.waiting(), []
        if waiting:
            schema.ensure(connection)
        for path in waiting:
            try:
                kept = json.loads(path.read_text()).items()
                found: dict[str, Any] = {name: clean(text) for name, text in kept}
                found["at"] = datetime.fromisoformat(found["at"])
                with connection.transaction():
                    _insert(connection, Entry(**found))
            except FileNotFoundError:
                continue  # another process delivered it
            except _NO_ENTRY as error:
                _log.error("%s is not an audit entry: %s", path, error)
                self._spool.quarantine(path)
            else:
                delivered.append(path)
        dead = list(self._spool.dead()) if actor else []
        for process in dead:
            self._close(connection, actor or Actor("", may_operate=False), process)
        connection.commit()
        for path in delivered:
            path.unlink(missing_ok=True)
        for process in dead:
            self._spool.remove(process)


def clean(text: str) -> str:
    """Return text that every database and terminal takes, cut to what one entry may hold.

    What has no glyph (control characters, halves of surrogate pairs, marks that turn the
    direction of writing) is written as its escape.
    """
    return "".join(
        char
        if char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cf", "Cs"}
        else char.encode("unicode_escape").decode()
        for char in text[:_LONGEST]
    )[:_LONGEST]


def pseudonym(sub: str) -> str:
    """Return what the audit calls a user whose account was erased.

    An id is random, so nobody finds it by trying; who knows it can find what was done to it.
    """
    return f"erased-{hashlib.sha256(sub.encode()).hexdigest()[:16]}"


def _naming(name: str) -> str:
    """Return Postgres' pattern of a name as a whole word; the function of the schema has the same.

    An id may be followed by a file's ending; after a handle, that would be another handle.
    """
    after = r"[\w-]|\.\w" if name.startswith("@") else r"[\w-]"
    return rf"(?<![\w-]){re.escape(name)}(?!{after})"


def new_key() -> str:
    """Return a key for one action."""
    return uuid.uuid4().hex


@contextmanager
def _connected(url: str) -> Iterator[psycopg.Connection]:
    """Yield a connection whose statements end within seconds; commit at the end."""
    try:
        # a pooler may give each transaction another server connection: nothing outlives one
        with psycopg.connect(url, connect_timeout=3, prepare_threshold=None) as connection:
            connection.execute("SET LOCAL lock_timeout = '2s'")
            connection.execute(f"SET LOCAL statement_timeout = '{_ANSWER_SECONDS}s'".encode())
            yield connection
    except psycopg.errors.QueryCanceled as error:
        raise OperationError(
            f"The audit holds too much to be looked through in {_ANSWER_SECONDS} s.",
            "Choose a shorter time, or who acted.",
        ) from error
    except psycopg.Error as error:
        reason = str(error).strip().splitlines()[-1] if str(error).strip() else "no reason given"
        raise OperationError(
            f"The audit can't be reached: {reason}.", "Check the database: `make status`."
        ) from error


@contextmanager
def _none_without_tables() -> Iterator[None]:
    """Go on after the block where nothing was ever recorded; looking makes no tables."""
    with suppress(psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        yield


def _running(
    connection: psycopg.Connection, environment: str, process: str | None = None
) -> list[Entry]:
    few = " AND key = ANY (ARRAY(SELECT key FROM avatar_ops.audit_running))"
    query = f"{_RUNNING}{few if schema.is_indexed(connection) else ''} ORDER BY at"
    with connection.cursor(row_factory=class_row(Entry)) as cursor:
        return cursor.execute(query.encode(), (environment, process, process)).fetchall()


def _interrupted(entry: Entry, seen: Seen | None, actor: Actor) -> Entry:
    """Return the end of an action whose process has ended, with what is known of it."""
    said = ["its process ended before it could say how"]
    if seen and (way := live.said(seen.steps)):
        said.append(f"it had come to: {way}")
    if seen and seen.stopped_by:
        said.append(f"{seen.stopped_by} had stopped it")
    detail = clean("; ".join([*said, f"closed by {actor.name}"]))
    return replace(entry, at=datetime.now(UTC), outcome="interrupted", detail=detail, process="")


def _insert(connection: psycopg.Connection, entry: Entry) -> bool:
    """Insert an entry; return False if it is there already."""
    done = connection.execute(
        "INSERT INTO avatar_ops.audit_entries"
        " (at, actor, environment, action, target, key, outcome, detail, process)"
        " VALUES (%(at)s, %(actor)s, %(environment)s, %(action)s, %(target)s, %(key)s,"
        " %(outcome)s, %(detail)s, %(process)s) ON CONFLICT DO NOTHING",
        asdict(entry),
    )
    return done.rowcount == 1


def _already_done(action: str, target: str) -> AlreadyDoneError:
    return AlreadyDoneError(
        f"“{action}” on {target} was started already by this click.",
        "Look at the audit for its outcome, or reload the page to start again.",
    )
