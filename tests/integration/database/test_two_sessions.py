"""Migrations that meet another session: a second run, a held lock, a kill, a lost connection."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from console.operations import migrations
from console.operations.errors import OperationError
from console.operations.migrations import session
from console.operations.progress import Event
from tests.integration.database.migration_folder import Folder, outcomes, tables

HURRY = migrations.Limits(lock_timeout=0.2, attempts=2, wait=0.4)


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait for `condition`, and fail if it does not come."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


@contextmanager
def runner(url: str, directory: Path) -> Iterator[subprocess.Popen[str]]:
    """Run ``migrate`` in a process of its own."""
    program = (
        "import os, pathlib, sys\n"
        "from console.operations import migrations\n"
        "from console.operations.errors import OperationError\n"
        "try:\n"
        "    run = migrations.migrate(os.environ['URL'], directory=pathlib.Path(sys.argv[1]))\n"
        "    print(len(run.names))\n"
        "except OperationError as error:\n"
        "    print(error)\n"
        "    sys.exit(1)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, str(directory)],
        env={**os.environ, "URL": url},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def busy_with(url: str, text: str) -> Callable[[], bool]:
    """Return whether some session runs a statement with `text` in it."""

    def condition() -> bool:
        with psycopg.connect(url, autocommit=True) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                " AND state = 'active' AND pid <> pg_backend_pid() AND query LIKE %s",
                (f"%{text}%",),
            ).fetchone()
        return bool(row and row[0])

    return condition


def test_two_runs_at_once_apply_everything_once(empty_database: str, folder: Folder) -> None:
    for number in range(1, 4):
        folder.add(f"t{number}", f"CREATE TABLE t{number} (id int); SELECT pg_sleep(0.02);")
    start = threading.Barrier(2)

    def run(_: int) -> tuple[str, ...]:
        start.wait()
        return migrations.migrate(empty_database, directory=folder.directory).names

    with ThreadPoolExecutor(2) as pool:
        names = list(pool.map(run, range(2)))
    assert sorted(names, key=len) == [(), ("1_t1", "2_t2", "3_t3")]
    assert [row[2] for row in outcomes(empty_database)] == ["succeeded"] * 3


def test_threads_of_one_process_work_on_different_databases_at_once(
    empty_database: str, migrated_database: str, folder: Folder
) -> None:
    """As in the console, where each operator has a thread."""
    folder.add("slow", "CREATE TABLE t (id int); SELECT pg_sleep(0.5); CREATE TABLE u (id int);")
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(migrations.migrate, empty_database, directory=folder.directory)
        until(busy_with(empty_database, "pg_sleep"))
        migrations.rollback(migrated_database, to="base")
        migrations.preview(migrated_database, to="add_bio")
        migrations.migrate(migrated_database, to="add_bio")
        assert run.result().names == ("1_slow",)
    assert tables(empty_database) == {"t", "u"}


def test_a_second_run_says_who_holds_the_lock_and_gives_up(
    empty_database: str, folder: Folder
) -> None:
    folder.add("t", "CREATE TABLE t (id int);")
    limits = migrations.Limits()
    events: list[Event] = []
    with (
        session.connect(empty_database, "ada@engine", "migrate") as first,
        session.exclusive(first, "ada@engine", limits, lambda _: None),
        pytest.raises(OperationError, match=r"held by|holds the migration lock: .*ada@engine"),
    ):
        migrations.migrate(
            empty_database, directory=folder.directory, limits=HURRY, report=events.append
        )
    assert "avatar-ops migrate ada@engine (pid" in events[0].detail
    assert tables(empty_database) == set()
    migrations.migrate(empty_database, directory=folder.directory, limits=HURRY)
    assert tables(empty_database) == {"t"}


def test_a_migration_gives_up_on_a_locked_table_and_blocks_readers_no_longer_than_its_timeout(
    migrated_database: str, folder: Folder
) -> None:
    folder.add("first", "SELECT 1;")
    folder.add("second", "ALTER TABLE users ADD COLUMN x int;")
    with psycopg.connect(migrated_database, autocommit=True) as connection:
        connection.execute("DROP TABLE alembic_version, migration_history")
    migrations.migrate(migrated_database, "first", directory=folder.directory)
    events: list[Event] = []
    latencies: list[float] = []
    stop = threading.Event()

    def read() -> None:
        with psycopg.connect(migrated_database, autocommit=True) as reader:
            while not stop.is_set():
                started = time.monotonic()
                reader.execute("SELECT count(*) FROM users")
                latencies.append(time.monotonic() - started)

    limits = migrations.Limits(lock_timeout=0.5, attempts=3)
    with psycopg.connect(migrated_database, application_name="report") as holder:
        holder.execute("SELECT * FROM users")  # a reader's own lock, kept by an open transaction
        thread = threading.Thread(target=read)
        thread.start()
        try:
            with pytest.raises(OperationError) as caught:
                migrations.migrate(
                    migrated_database,
                    directory=folder.directory,
                    limits=limits,
                    report=events.append,
                )
        finally:
            stop.set()
            thread.join()
    assert "gave up after 3 attempts of 0.5 s" in caught.value.message
    assert "held by report (pid" in caught.value.message
    assert "idle in transaction" in caught.value.message
    assert [e.state for e in events] == ["started", "advanced", "advanced", "failed"]
    assert max(latencies) > 0.1  # it did stand in their way, or nothing was shown
    assert max(latencies) < 2 * limits.lock_timeout  # one, and a busy machine's noise; not three
    migrations.migrate(migrated_database, directory=folder.directory, limits=limits)


def test_a_migration_gets_its_lock_when_the_other_session_ends_in_time(
    empty_database: str, folder: Folder
) -> None:
    folder.add("t", "CREATE TABLE t (id int);")
    folder.add("more", "ALTER TABLE t ADD COLUMN x int;")
    migrations.migrate(empty_database, "t", directory=folder.directory)
    with psycopg.connect(empty_database) as holder:
        holder.execute("LOCK TABLE t")

        def report(event: Event) -> None:
            if event.state == "advanced":
                holder.rollback()

        run = migrations.migrate(
            empty_database, directory=folder.directory, limits=HURRY, report=report
        )
    assert run.names == ("2_more",)
    assert [row[2] for row in outcomes(empty_database)] == ["succeeded"] * 2


def test_a_statement_that_takes_too_long_is_stopped(empty_database: str, folder: Folder) -> None:
    folder.add("slow", "CREATE TABLE t (id int); SELECT pg_sleep(30);")
    limits = migrations.Limits(statement_timeout=0.2)
    with pytest.raises(OperationError, match="statement timeout") as caught:
        migrations.migrate(empty_database, directory=folder.directory, limits=limits)
    assert "STATEMENT_TIMEOUT" in caught.value.remedy
    assert tables(empty_database) == set()


def test_a_deadlock_is_tried_again(empty_database: str, folder: Folder) -> None:
    folder.add("tables", "CREATE TABLE a (id int); CREATE TABLE b (id int);")
    folder.add("both", "ALTER TABLE a ADD COLUMN x int; ALTER TABLE b ADD COLUMN x int;")
    migrations.migrate(empty_database, "tables", directory=folder.directory)
    with psycopg.connect(empty_database) as other:
        other.execute("SET deadlock_timeout = '10s'; LOCK TABLE b")
        pool = ThreadPoolExecutor(1)

        def report(event: Event) -> None:
            if event.state == "advanced":
                waiting.result()
                other.rollback()

        limits = migrations.Limits(lock_timeout=1.5, attempts=2)

        def cross() -> None:
            until(busy_with(empty_database, "ALTER TABLE b"))
            other.execute("LOCK TABLE a")

        waiting = pool.submit(cross)
        run = migrations.migrate(
            empty_database, directory=folder.directory, limits=limits, report=report
        )
        pool.shutdown()
    assert run.names == ("2_both",)


def test_a_killed_run_leaves_nothing_and_the_next_one_ends_well(
    empty_database: str, folder: Folder
) -> None:
    with psycopg.connect(empty_database) as connection:
        connection.execute("CREATE TABLE pace AS SELECT 60 AS seconds")
    folder.add("first", "CREATE TABLE one (id int);")
    folder.add("slow", "CREATE TABLE two (id int); SELECT pg_sleep(seconds) FROM pace;")
    with runner(empty_database, folder.directory) as process:
        until(busy_with(empty_database, "pg_sleep(seconds)"))
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with psycopg.connect(empty_database) as connection:
        connection.execute("UPDATE pace SET seconds = 0")
    events: list[Event] = []
    patience = migrations.Limits(wait=20)  # far less than the statement it died in would take
    run = migrations.migrate(
        empty_database, directory=folder.directory, limits=patience, report=events.append
    )
    assert run.names == ("2_slow",)
    assert events[0].step == "Wait for the migration lock"  # until Postgres saw that it was dead
    assert tables(empty_database) == {"pace", "one", "two"}


def test_a_run_killed_in_create_index_concurrently_leaves_an_invalid_index_and_the_next_repairs_it(
    empty_database: str, folder: Folder
) -> None:
    folder.add("t", "CREATE TABLE t (id int);")
    folder.add(
        "index",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS t_id ON t (id);",
        "DROP INDEX CONCURRENTLY IF EXISTS t_id;",
        transactional=False,
    )
    migrations.migrate(empty_database, "t", directory=folder.directory)
    with psycopg.connect(empty_database) as holder:
        holder.execute("INSERT INTO t VALUES (1)")  # the index waits for this transaction's end
        with runner(empty_database, folder.directory) as process:
            until(busy_with(empty_database, "CREATE INDEX CONCURRENTLY"))
            until(lambda: invalid_indexes(empty_database))
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
        until(lambda: not busy_with(empty_database, "CREATE INDEX CONCURRENTLY")())
        states = {
            line.name: line.state
            for line in migrations.migrations(empty_database, folder.directory)
        }
        assert states["2_index"] == "interrupted"
    assert invalid_indexes(empty_database) == ["t_id"]
    events: list[Event] = []
    migrations.migrate(empty_database, directory=folder.directory, report=events.append)
    assert any(e.step == "Drop the invalid index t_id, left by 2_index" for e in events)
    assert invalid_indexes(empty_database) == []
    assert outcomes(empty_database)[1:] == [("2", "up", "interrupted"), ("2", "up", "succeeded")]


def test_an_index_built_concurrently_may_wait_longer_than_the_lock_timeout(
    empty_database: str, folder: Folder
) -> None:
    folder.add("t", "CREATE TABLE t (id int);")
    folder.add(
        "index", "CREATE INDEX CONCURRENTLY IF NOT EXISTS t_id ON t (id);", transactional=False
    )
    migrations.migrate(empty_database, "t", directory=folder.directory)
    with ThreadPoolExecutor(1) as pool, psycopg.connect(empty_database) as holder:
        holder.execute("INSERT INTO t VALUES (1)")
        run = pool.submit(
            migrations.migrate, empty_database, directory=folder.directory, limits=HURRY
        )
        with psycopg.connect(empty_database, autocommit=True) as watcher:
            waiting = (
                "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX CONC%'"
                " AND wait_event_type = 'Lock' AND clock_timestamp() - query_start > interval '1 s'"
            )
            until(lambda: run.done() or watcher.execute(waiting).fetchone() != (0,))
        assert not run.done()
        holder.commit()
        assert run.result(20).names == ("2_index",)


def test_a_killed_run_that_had_finished_its_index_is_run_again_without_harm(
    empty_database: str, folder: Folder
) -> None:
    folder.add("t", "CREATE TABLE t (id int);")
    folder.add(
        "index", "CREATE INDEX CONCURRENTLY IF NOT EXISTS t_id ON t (id);", transactional=False
    )
    migrations.migrate(empty_database, "t", directory=folder.directory)
    with psycopg.connect(empty_database) as connection:  # as it stands when killed just then
        connection.execute("CREATE INDEX t_id ON t (id)")
        connection.execute(
            "INSERT INTO migration_history (revision, name, direction, checksum, source, actor,"
            " outcome) VALUES ('2', '2_index', 'up', '', '', 'ada', 'started')"
        )
    migrations.migrate(empty_database, directory=folder.directory)
    assert outcomes(empty_database)[1:] == [("2", "up", "interrupted"), ("2", "up", "succeeded")]


def test_an_index_that_another_session_left_invalid_is_not_touched(
    empty_database: str, folder: Folder
) -> None:
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE theirs (id int); INSERT INTO theirs VALUES (1), (1)")
        with pytest.raises(psycopg.errors.UniqueViolation):
            connection.execute("CREATE UNIQUE INDEX CONCURRENTLY theirs_id ON theirs (id)")
    folder.add("t", "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1);")
    folder.add(
        "u", "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS t_id ON t (id);", transactional=False
    )
    with pytest.raises(OperationError, match="could not create unique index"):
        migrations.migrate(empty_database, directory=folder.directory)
    assert invalid_indexes(empty_database) == ["theirs_id"]


def test_a_rollback_that_broke_off_in_an_index_is_finished_and_not_forgotten(
    empty_database: str, folder: Folder
) -> None:
    folder.add("t", "CREATE TABLE t (id int);")
    folder.add(
        "index",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS t_id ON t (id);",
        "DROP INDEX CONCURRENTLY IF EXISTS t_id;",
        transactional=False,
    )
    migrations.migrate(empty_database, directory=folder.directory)
    with psycopg.connect(empty_database) as connection:  # as it stands when killed half-way
        connection.execute("UPDATE pg_index SET indisvalid = false WHERE indrelid = 't'::regclass")
        connection.execute(
            "INSERT INTO migration_history (revision, name, direction, checksum, source, actor,"
            " outcome) VALUES ('2', '2_index', 'down', '', '', 'ada', 'started')"
        )
    for _ in range(2):
        with pytest.raises(OperationError, match="left the index t_id invalid") as caught:
            migrations.migrate(empty_database, directory=folder.directory)
    assert "make rollback STEPS=1" in caught.value.remedy
    migrations.rollback(empty_database, steps=1, directory=folder.directory)
    assert invalid_indexes(empty_database) == []
    assert outcomes(empty_database)[2:] == [
        ("2", "down", "interrupted"),
        ("2", "down", "succeeded"),
    ]


def test_an_invalid_index_of_the_same_name_is_not_taken_for_the_real_one(
    empty_database: str, folder: Folder
) -> None:
    folder.add("t", "CREATE TABLE t (id int);")
    migrations.migrate(empty_database, directory=folder.directory)
    with psycopg.connect(empty_database) as connection:
        connection.execute("CREATE INDEX t_id ON t (id)")
        connection.execute("UPDATE pg_index SET indisvalid = false WHERE indrelid = 't'::regclass")
    folder.add(
        "index", "CREATE INDEX CONCURRENTLY IF NOT EXISTS t_id ON t (id);", transactional=False
    )
    migrations.migrate(empty_database, directory=folder.directory)
    assert invalid_indexes(empty_database) == []


def test_a_lost_connection_is_said_and_nothing_is_kept(empty_database: str, folder: Folder) -> None:
    folder.add("t", "CREATE TABLE t (id int); SELECT pg_sleep(60);")

    def cut() -> None:
        until(busy_with(empty_database, "SELECT pg_sleep(60)"))
        with psycopg.connect(empty_database, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name LIKE 'avatar-ops migrate%'"
                " AND datname = current_database()"
            )

    thread = threading.Thread(target=cut)
    thread.start()
    with pytest.raises(OperationError, match="connection to the database was lost") as caught:
        migrations.migrate(empty_database, directory=folder.directory)
    thread.join()
    assert "line 12" in caught.value.message
    assert tables(empty_database) == set()


def invalid_indexes(url: str) -> list[str]:
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
        ).fetchall()
    return [name for (name,) in rows]
