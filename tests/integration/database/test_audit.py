"""The audit: one line for each action, filtered, kept, and never lost."""

from __future__ import annotations

import csv
import io
import json
import logging
import multiprocessing
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.operations import progress
from console.operations.audit import audit, export, live, schema
from console.operations.audit.access import Actor
from console.operations.audit.audit import AlreadyDoneError, Audit, Filter, FilterOptions
from console.operations.errors import OperationError
from console.operations.progress import Event, StoppedError
from tests.integration.system import wait_until

ADA = Actor("ada", may_operate=True)
GRACE = Actor("grace", may_operate=True)
VIEWER = Actor("vera", may_operate=False)


@pytest.fixture
def record(empty_database: str, tmp_path: Path) -> Audit:
    return Audit("test", lambda: empty_database, tmp_path / "audit")


def perform(record: Audit, actor: Actor, action: str, target: str) -> None:
    record.perform(actor, action, target, audit.new_key(), lambda: f"{target} done")


def test_an_action_is_one_line_with_its_outcome_and_how_long_it_took(record: Audit) -> None:
    perform(record, ADA, "clear", "data")
    (found,) = record.actions()
    assert (found.actor, found.action, found.target) == ("ada", "clear", "data")
    assert (found.outcome, found.detail) == ("done", "data done")
    assert found.seconds is not None
    assert found.seconds >= 0


def test_a_failure_says_why_and_what_runs_is_shown_as_running(record: Audit) -> None:
    def fail() -> None:
        raise OperationError("The bucket is gone.", "Make it.")

    with pytest.raises(OperationError):
        record.perform(ADA, "clear", "data", "1", fail)
    seen: list[str] = []
    record.perform(
        ADA, "migrate", "head", "2", lambda: seen.extend(a.outcome for a in record.actions())
    )
    assert seen == ["running", "failed"]
    assert "bucket is gone" in record.actions()[1].detail


def test_one_key_acts_once_and_a_viewer_never(record: Audit) -> None:
    done: list[int] = []
    start = threading.Barrier(2)

    def click() -> None:
        start.wait()
        try:
            record.perform(ADA, "clear", "data", "one click", lambda: done.append(1))
        except AlreadyDoneError:
            done.append(0)

    clicks = [threading.Thread(target=click) for _ in range(2)]
    for thread in clicks:
        thread.start()
    for thread in clicks:
        thread.join()
    assert sorted(done) == [0, 1]
    with pytest.raises(OperationError, match="change nothing"):
        perform(record, VIEWER, "clear", "data")
    assert len(record.actions()) == 1


def test_filters_narrow_by_all_that_is_shown(record: Audit) -> None:
    perform(record, ADA, "clear", "Data")
    perform(record, GRACE, "clear", "other")
    perform(record, GRACE, "migrate", "head")

    def targets(wanted: Filter) -> list[str]:
        return [action.target for action in record.actions(wanted)]

    assert targets(Filter()) == ["head", "other", "Data"]
    assert targets(Filter(actors=("grace",), actions=("clear",))) == ["other"]
    assert targets(Filter(target="dAt")) == ["Data"]
    assert targets(Filter(target="%")) == []
    assert targets(Filter(outcomes=("failed", "running"))) == []
    now = datetime.now(UTC)
    assert len(targets(Filter(since=now - timedelta(hours=1), until=now))) == 3
    assert targets(Filter(since=now)) == targets(Filter(until=now - timedelta(hours=1))) == []
    assert record.filter_options() == audit.FilterOptions(("ada", "grace"), ("clear", "migrate"))
    assert len(record.actions(limit=2)) == 2


def test_entries_wait_for_the_database_and_follow(empty_database: str, tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/none"
    record = Audit("test", lambda: url, tmp_path / "audit")
    perform(record, ADA, "clear", "data")
    assert record.waiting() == 2
    with pytest.raises(OperationError, match="can't be reached"):
        record.actions()
    url = empty_database
    record.deliver()
    (found,) = record.actions()
    assert (found.outcome, record.waiting()) == ("done", 0)


def test_two_processes_that_share_the_folder_lose_nothing(
    empty_database: str, tmp_path: Path
) -> None:
    away, file = "postgresql://nobody@127.0.0.1:1/none", tmp_path / "audit"
    writers = [Audit("test", lambda: away, file) for _ in range(2)]
    reader = Audit("test", lambda: empty_database, file)

    def write(who: int, record: Audit) -> None:
        for number in range(20):
            perform(record, ADA, "clear", f"{who}-{number}")

    threads = [threading.Thread(target=write, args=pair) for pair in enumerate(writers)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        reader.deliver()
    reader.deliver()
    found = reader.actions()
    assert len(found) == 40
    assert {action.outcome for action in found} == {"done"}


AWAY = "postgresql://nobody@127.0.0.1:1/none"


@pytest.mark.parametrize(
    ("target", "recorded"),
    [
        ("caf\udce9.jpg", r"caf\udce9.jpg"),
        ("a\0b", r"a\x00b"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("gpj.\u202eexe", r"gpj.\u202eexe"),
        ("Jörg 😀", "Jörg 😀"),
    ],
    ids=["Latin-1 file name", "NUL", "lines", "terminal code", "right to left", "plain"],
)
def test_text_of_any_kind_is_recorded_at_once_and_after_waiting(
    empty_database: str, tmp_path: Path, target: str, recorded: str
) -> None:
    perform(Audit("test", lambda: AWAY, tmp_path / "audit"), ADA, "upload", target)
    record = Audit("test", lambda: empty_database, tmp_path / "audit")
    perform(record, ADA, "upload", target)
    assert [action.target for action in record.actions()] == [recorded, recorded]
    assert record.waiting() == record.quarantined() == 0


def test_what_can_never_be_an_entry_is_set_aside_and_holds_nothing_up(
    empty_database: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    perform(Audit("test", lambda: AWAY, tmp_path / "audit"), ADA, "clear", "waits")
    whole = sorted((tmp_path / "audit/waiting").glob("*.json"))[0].read_text()
    broken = [
        whole[:40],
        "",
        "[]",
        whole.replace('"started"', '"begun"'),
        whole.replace('"at": "', '"at": "x'),
        whole.replace('"actor"', '"who"'),
    ]
    for number, text in enumerate(broken):
        (tmp_path / f"audit/waiting/{number}.json").write_text(text)
    record = Audit("test", lambda: empty_database, tmp_path / "audit")
    with caplog.at_level(logging.CRITICAL):
        perform(record, ADA, "clear", "now")
    assert [action.target for action in record.actions()] == ["now", "waits"]
    assert (record.waiting(), record.quarantined()) == (0, len(broken))


def test_entries_that_an_older_version_let_wait_follow(empty_database: str, tmp_path: Path) -> None:
    perform(Audit("test", lambda: AWAY, tmp_path / "audit"), ADA, "clear", "old")
    files = sorted((tmp_path / "audit/waiting").glob("*.json"))
    lines = "".join(f"{path.read_text()}\n" for path in files)
    for path in files:
        path.unlink()
    (tmp_path / "audit-waiting.jsonl").write_text(lines + lines[:30])
    record = Audit("test", lambda: empty_database, tmp_path / "audit")
    record.deliver()
    assert [action.outcome for action in record.actions()] == ["done"]
    assert (record.waiting(), record.quarantined()) == (0, 1)


def test_a_full_disk_and_no_database_keep_nobody_from_acting(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "audit").write_text("no folder can be made here")
    record = Audit("test", lambda: AWAY, tmp_path / "audit")
    perform(record, ADA, "clear", "data")
    assert "entry is lost" in caplog.text
    assert "data done" in caplog.text


def test_a_database_that_does_not_answer_holds_up_nobody_else(
    empty_database: str, tmp_path: Path
) -> None:
    asked, answers = threading.Event(), threading.Event()

    def url() -> str:
        if not asked.is_set():
            asked.set()
            answers.wait(30)
        return empty_database

    record = Audit("test", url, tmp_path / "audit")
    slow = threading.Thread(target=perform, args=(record, ADA, "clear", "slow"))
    slow.start()
    assert asked.wait(30)
    perform(record, GRACE, "clear", "quick")
    assert [action.target for action in record.actions()] == ["quick"]
    answers.set()
    slow.join()
    assert len(record.actions()) == 2


def act_for_ever(url: str, folder: Path, started: Any, environment: str = "test") -> None:
    record = Audit(environment, lambda: url, folder)

    def work() -> None:
        started.set()
        threading.Event().wait()

    record.perform(ADA, "migrate", "head", "killed", work)


def test_what_a_killed_process_left_running_is_closed_by_who_comes_next(
    empty_database: str, tmp_path: Path
) -> None:
    spawn = multiprocessing.get_context("spawn")
    started = spawn.Event()
    process = spawn.Process(target=act_for_ever, args=(empty_database, tmp_path / "audit", started))
    process.start()
    record = Audit("test", lambda: empty_database, tmp_path / "audit")
    try:
        assert started.wait(60)
        perform(record, GRACE, "clear", "data")
        assert [action.outcome for action in record.actions()] == ["done", "running"]
        assert record.unaccounted() == []
    finally:
        process.kill()
        process.join()
    record.deliver(GRACE)
    assert record.actions()[1].outcome == "interrupted"
    assert "closed by grace" in record.actions()[1].detail
    record.deliver(GRACE)
    assert len(record.actions()) == 2


def test_what_an_older_version_elsewhere_left_running_is_closed_by_an_operator_alone(
    empty_database: str, tmp_path: Path
) -> None:
    elsewhere = Audit("test", lambda: empty_database, tmp_path / "elsewhere/audit")
    record = Audit("test", lambda: empty_database, tmp_path / "audit")

    def work() -> str:
        with psycopg.connect(empty_database) as connection:
            connection.execute("UPDATE avatar_ops.audit_running SET seen = NULL")
        assert len(record.running(GRACE)) == 1
        (found,) = record.unaccounted()
        assert found.target == "head"
        with pytest.raises(OperationError, match="change nothing"):
            record.close([found.key], VIEWER)
        assert record.close([found.key], GRACE) == 1
        assert record.close([found.key], GRACE) == 0
        assert record.actions()[0].outcome == "interrupted"
        return "ended after all"

    elsewhere.perform(ADA, "migrate", "head", "1", work)
    (found,) = record.actions()
    assert (found.outcome, found.detail) == ("done", "ended after all")


def work_for_ever(url: str, folder: Path) -> None:
    """Act until it is stopped or killed, reporting."""
    record = Audit("test", lambda: url, folder)

    def work() -> None:
        report = record.follow("endless", progress.ignore)
        for number in range(10_000):
            report(
                Event("Redrive", "advanced", "ada.jpg", done=number, total=10_000, may_stop=True)
            )
            time.sleep(0.05)

    record.perform(ADA, "redrive", "10,000 failures", "endless", work)


@pytest.fixture
def elsewhere(empty_database: str, tmp_path: Path) -> Iterator[Any]:
    """A process of another machine, with an action that goes on until somebody ends it."""
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=work_for_ever, args=(empty_database, tmp_path / "elsewhere"))
    process.start()
    yield process
    process.kill()
    process.join()


def told(record: Audit) -> live.Seen | None:
    found = record.running()
    return found[0] if found and found[0].steps else None


def test_what_runs_elsewhere_is_seen_with_how_far_it_is_and_stopped(
    record: Audit, elsewhere: Any
) -> None:
    wait_until(lambda: told(record), "its first word")
    seen = told(record)
    assert seen
    assert (seen.actor, seen.action, seen.target) == ("ada", "redrive", "10,000 failures")
    assert (seen.steps[0].step, seen.steps[0].total) == ("Redrive", 10_000)
    assert record.unaccounted() == []
    with pytest.raises(OperationError, match="change nothing"):
        record.stop(seen.key, VIEWER)
    record.stop(seen.key, GRACE)
    assert record.running()[0].stopped_by == "grace"
    elsewhere.join(30)
    assert record.running() == []
    (action,) = record.actions()
    assert action.outcome == "failed"
    assert action.detail.startswith("Stopped by grace.")
    with pytest.raises(OperationError, match="has ended"):
        record.stop(seen.key, GRACE)


def test_what_was_killed_elsewhere_is_closed_with_how_far_it_had_come(
    record: Audit, elsewhere: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    wait_until(lambda: told(record), "its first word")
    elsewhere.kill()
    elsewhere.join()
    assert len(record.running(GRACE)) == 1  # it may only be slow
    monkeypatch.setattr(live, "SILENT_SECONDS", 0)
    assert len(record.running()) == 1  # whoever may only look closes nothing
    assert record.running(GRACE) == []
    (action,) = record.actions()
    assert action.outcome == "interrupted"
    assert re.search(r"it had come to: Redrive \d+ of 10,000 \(ada.jpg\)", action.detail)
    assert "closed by grace" in action.detail


def test_an_action_of_this_machine_is_not_closed_however_long_it_says_nothing(
    record: Audit, empty_database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "SILENT_SECONDS", 0)
    other = Audit("test", lambda: empty_database, tmp_path / "audit")
    record.perform(ADA, "clear", "data", "1", lambda: other.running(GRACE))
    assert [action.outcome for action in other.actions()] == ["done"]


def test_an_action_here_is_stopped_without_a_database(tmp_path: Path) -> None:
    record = Audit("test", lambda: AWAY, tmp_path / "audit")

    def work() -> None:
        report = record.follow("1", progress.ignore)
        report(Event("Redrive", "advanced", may_stop=True))
        record.stop("1", GRACE)
        report(Event("Redrive", "advanced"))  # where it may not end
        report(Event("Redrive", "advanced", may_stop=True))
        raise AssertionError("not stopped")

    with pytest.raises(StoppedError, match="Stopped by grace"):
        record.perform(ADA, "redrive", "all", "1", work)


def test_looking_makes_no_tables(record: Audit, empty_database: str) -> None:
    assert record.actions() == []
    assert record.running(GRACE) == []
    assert record.filter_options() == audit.FilterOptions((), ())
    assert record.unaccounted() == []
    with psycopg.connect(empty_database) as connection:
        found = connection.execute("SELECT to_regnamespace('avatar_ops')").fetchone()
    assert found == (None,)


@pytest.fixture
def operators_url(empty_database: str) -> Iterator[str]:
    """The database's URL for a role that owns it and may create roles, as operators have it."""
    name = f"operators_{secrets.token_hex(4)}"
    database = empty_database.rpartition("/")[2]
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'x'")
        connection.execute(f"DROP ROLE IF EXISTS {schema.OWNER}")
        connection.execute(f"ALTER DATABASE {database} OWNER TO {name}")
        yield psycopg.conninfo.make_conninfo(empty_database, user=name, password="x")
        connection.execute(f"ALTER DATABASE {database} OWNER TO CURRENT_USER")
        connection.execute(f"DROP SCHEMA IF EXISTS avatar_ops CASCADE; DROP OWNED BY {name}")
        connection.execute(f"DROP ROLE IF EXISTS {schema.OWNER}")
        connection.execute(f"DROP ROLE {name}")


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM avatar_ops.audit_entries",
        "TRUNCATE avatar_ops.audit_entries",
        "UPDATE avatar_ops.audit_entries SET actor = 'nobody'",
        "ALTER TABLE avatar_ops.audit_entries DISABLE TRIGGER append_only",
        "SET session_replication_role = 'replica'",
        "DROP TRIGGER append_only ON avatar_ops.audit_entries",
        "CREATE OR REPLACE FUNCTION avatar_ops.refuse_change() RETURNS trigger LANGUAGE plpgsql"
        " AS 'BEGIN RETURN NULL; END'",
        "ALTER TABLE avatar_ops.audit_entries RENAME TO other",
        "DROP TABLE avatar_ops.audit_entries",
        "DROP SCHEMA avatar_ops CASCADE",
        "DELETE FROM avatar_ops.audit_steps",
        "DELETE FROM avatar_ops.audit_running",
        "UPDATE avatar_ops.audit_running SET key = 'another'",
        "DROP TRIGGER note_running ON avatar_ops.audit_entries",
        "SET avatar_ops.pseudonymising = 'on';"
        " UPDATE avatar_ops.audit_entries SET actor = 'nobody'",
    ],
)
def test_who_writes_entries_can_neither_change_them_nor_the_rule(
    operators_url: str, tmp_path: Path, change: str
) -> None:
    record = Audit("test", lambda: operators_url, tmp_path / "audit")
    perform(record, ADA, "clear", "data")
    with (
        psycopg.connect(operators_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(change.encode())
    perform(record, ADA, "clear", "more")
    assert len(record.actions()) == 2


@pytest.mark.parametrize("may", ["CREATEROLE", "NOCREATEROLE"])
def test_who_may_not_change_entries_puts_a_pseudonym_in_an_erased_users_place(
    operators_url: str, empty_database: str, tmp_path: Path, may: str
) -> None:
    name = str(psycopg.conninfo.conninfo_to_dict(operators_url)["user"])
    with psycopg.connect(empty_database) as connection:
        connection.execute(f"ALTER ROLE {name} {may}".encode())
    record = Audit("test", lambda: operators_url, tmp_path / "audit")
    sub = "0f9619ff-8b86-4d01-b42d-00cf4fc964ff"
    perform(record, ADA, "clear", f"{sub}.jpg")
    perform(record, ADA, "lock", "@grace and @graceful")
    assert record.pseudonymise(sub, ["grace"]) == 4  # each is an entry as it starts and as it ends
    pseudonym = audit.pseudonym(sub)
    assert [action.target for action in record.actions()] == [
        f"{pseudonym} and @graceful",
        f"{pseudonym}.jpg",
    ]
    assert {action.actor for action in record.actions()} == {"ada"}
    with (
        psycopg.connect(operators_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("UPDATE avatar_ops.audit_entries SET target = 'nobody'")


def test_a_role_that_may_make_no_roles_still_records_and_changes_nothing(
    operators_url: str, empty_database: str, tmp_path: Path
) -> None:
    name = str(psycopg.conninfo.conninfo_to_dict(operators_url)["user"])
    with psycopg.connect(empty_database) as connection:
        connection.execute(f"ALTER ROLE {name} NOCREATEROLE".encode())
    record = Audit("test", lambda: operators_url, tmp_path / "audit")
    perform(record, ADA, "clear", "data")
    with (
        psycopg.connect(operators_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"),
    ):
        connection.execute("DELETE FROM avatar_ops.audit_entries")
    assert record.waiting() == 0


def test_tables_of_an_older_version_are_brought_along(operators_url: str, tmp_path: Path) -> None:
    with psycopg.connect(operators_url) as connection:
        connection.execute("CREATE SCHEMA avatar_ops")
        connection.execute(schema._STEPS[0].encode())
        connection.execute(
            "INSERT INTO avatar_ops.audit_entries"
            " (at, actor, environment, action, target, key, outcome, detail)"
            " VALUES (now(), 'ada', 'test', 'clear', 'old', 'k', 'started', '')"
        )
    record = Audit("test", lambda: operators_url, tmp_path / "audit")
    assert record.actions()[0].target == "old"
    perform(record, ADA, "clear", "new")
    assert [action.target for action in record.actions()] == ["new", "old"]
    assert [entry.target for entry in record.unaccounted()] == ["old"]


SCALE = """
INSERT INTO avatar_ops.audit_entries (at, actor, environment, action, target, key, outcome, detail)
SELECT now() - i * interval '8 s' + CASE outcome WHEN 'started' THEN interval '0'
           ELSE interval '3 s' END,
       'operator ' || i % 40, 'test', 'action ' || i % 20, 'data ' || i, 'key ' || i, outcome, ''
FROM generate_series(1, 20000) AS i, LATERAL unnest(ARRAY['started', CASE WHEN i % 100 = 0
    THEN 'failed' ELSE 'done' END]) AS outcome
WHERE outcome = 'started' OR i % 5000 > 0
"""


@pytest.mark.parametrize(
    ("look", "found"),
    [
        (lambda record: record.actions(limit=50), 50),
        (lambda record: record.actions(Filter(actors=("nobody",))), 0),
        (lambda record: record.actions(Filter(actions=("announce",), outcomes=("done",)), 1), 0),
        (lambda record: record.actions(Filter(outcomes=("running",))), 4),
        (lambda record: record.actions(Filter(outcomes=("interrupted",))), 0),
        (lambda record: record.actions(Filter(outcomes=("failed", "interrupted"))), 196),
        (lambda record: record.unaccounted(), 4),
        (lambda record: record.running(), 4),
        (lambda record: record.filter_options().actors, 40),
        (lambda record: record.filter_options().actions, 20),
    ],
    ids=[
        "newest",
        "nobody's",
        "announcement",
        "running",
        "interrupted",
        "failed",
        "unaccounted",
        "seen",
        "who",
        "what",
    ],
)
def test_what_is_looked_for_among_many_is_found_without_reading_them_all(
    record: Audit, empty_database: str, look: Callable[[Audit], Sequence[object]], found: int
) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        schema.ensure(connection)
        connection.execute(SCALE.encode())
        connection.execute("VACUUM ANALYZE avatar_ops.audit_entries")
        before = _read(connection)
        assert len(look(record)) == found
        read = _read(connection) - before
    assert read < 4000, f"{read} of 40,000 entries were read"


def _read(connection: psycopg.Connection) -> int:
    """Return how many entries were read so far, by all sessions that have ended."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:  # a session's figures come when it has gone
        others = connection.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND backend_type = 'client backend'"
        ).fetchone()
        if others == (0,):
            break
    connection.execute("SELECT pg_stat_force_next_flush()")
    found = connection.execute(
        "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_all_tables"
        " WHERE relid = 'avatar_ops.audit_entries'::regclass"
    ).fetchone()
    assert found
    return int(found[0])


@pytest.mark.parametrize("steps", range(1, len(schema._STEPS)))
def test_what_was_recorded_by_an_older_version_is_found_before_and_after_it_is_brought_along(
    record: Audit, empty_database: str, steps: int
) -> None:
    with psycopg.connect(empty_database) as connection:
        connection.execute(
            "CREATE SCHEMA avatar_ops; CREATE TABLE avatar_ops.audit_steps"
            " (step integer PRIMARY KEY, taken_at timestamptz NOT NULL DEFAULT now())"
        )
        for number, step in enumerate(schema._STEPS[:steps], 1):
            connection.execute(step.encode())
            connection.execute("INSERT INTO avatar_ops.audit_steps (step) VALUES (%s)", (number,))
        connection.execute(SCALE.encode())

    def looked() -> tuple[list[str], list[str], FilterOptions, list[str]]:
        running = record.actions(Filter(outcomes=("running",)))
        failed = record.actions(Filter(outcomes=("failed",)))
        return (
            [action.key for action in running],
            [action.key for action in failed],
            record.filter_options(),
            [entry.key for entry in record.unaccounted()] if steps > 1 else [],
        )

    before = looked()
    assert before[0] == ["key 5000", "key 10000", "key 15000", "key 20000"]
    with psycopg.connect(empty_database) as connection:
        schema.ensure(connection)
    assert looked()[:3] == before[:3]
    assert [entry.key for entry in record.unaccounted()][::-1] == before[0]


def test_an_end_that_came_before_its_start_leaves_nothing_running(
    record: Audit, empty_database: str
) -> None:
    with psycopg.connect(empty_database) as connection:
        schema.ensure(connection)
        for outcome in ("done", "started"):
            connection.execute(
                "INSERT INTO avatar_ops.audit_entries"
                " (at, actor, environment, action, target, key, outcome, detail)"
                " VALUES (now(), 'ada', 'test', 'clear', 'data', 'k', %s, '')",
                (outcome,),
            )
    assert [action.outcome for action in record.actions()] == ["done"]
    assert record.actions(Filter(outcomes=("running",))) == []
    assert record.unaccounted() == []


def test_too_much_to_be_looked_through_says_what_to_narrow(
    record: Audit, empty_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "_ANSWER_SECONDS", 1)
    perform(record, ADA, "clear", "data")
    with psycopg.connect(empty_database) as connection:
        connection.execute("ALTER TABLE avatar_ops.audit_entries RENAME TO entries")
        connection.execute(
            "CREATE VIEW avatar_ops.audit_entries AS SELECT e.* FROM avatar_ops.entries e,"
            " LATERAL pg_sleep(60)"
        )
    with pytest.raises(OperationError, match="too much") as raised:
        record.actions(Filter(target="data"))
    assert "shorter time" in raised.value.remedy


def test_two_first_actions_at_once_are_both_recorded(empty_database: str, tmp_path: Path) -> None:
    records = [Audit("test", lambda: empty_database, tmp_path / f"{n}/audit") for n in range(4)]
    threads = [
        threading.Thread(target=perform, args=(record, ADA, "clear", str(number)))
        for number, record in enumerate(records)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {action.target for action in records[0].actions()} == {"0", "1", "2", "3"}
    assert sum(record.waiting() for record in records) == 0


def test_downloads_hold_the_whole_line_and_start_no_formula(record: Audit) -> None:
    perform(record, ADA, "clear", '=HYPERLINK("http://x")')
    found = record.actions()
    (row,) = csv.DictReader(io.StringIO(export.as_csv(found)))
    assert row["target"] == '\'=HYPERLINK("http://x")'
    assert (row["actor"], row["outcome"]) == ("ada", "done")
    (line,) = export.as_json_lines(found).splitlines()
    assert json.loads(line)["target"] == '=HYPERLINK("http://x")'
    assert datetime.fromisoformat(json.loads(line)["ended"]) == found[0].ended
