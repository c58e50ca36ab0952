"""Activities are counted right and without waiting, whoever adds them while it begins."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from console.operations import migrations
from picture_kinds import AVATAR, BANNER
from profiles import profile

USERS, WORKERS = 1200, 4  # three batches
ADD = "INSERT INTO activities (user_uuid, message) SELECT uuid, 'x' FROM users"
PICTURES = profile.Pictures(
    "https://assets.example.com", {AVATAR: ("512.jpg",), BANNER: ("1500x500.jpg",)}
)


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def add_users(url: str, count: int) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO users (display_name, handle, email, cognito_user_id)"
            " SELECT 'u', 'u' || n, 'u@example.com', 'sub-' || n FROM generate_series(1, %s) n",
            (count,),
        )
        connection.execute(
            "INSERT INTO activities (user_uuid, message)"
            " SELECT uuid, 'before' FROM users, generate_series(1, 3)"
        )


def wrong_counts(url: str) -> list[tuple[str, int, int]]:
    """Return handle, what is kept and what is true, where they differ."""
    with psycopg.connect(url) as connection:
        return connection.execute("""
            SELECT * FROM (
                SELECT u.handle, u.activities_count + (
                    SELECT coalesce(sum(change), 0)::bigint FROM activity_changes c
                    WHERE c.user_uuid = u.uuid
                ) AS kept, (
                    SELECT count(*) FROM activities a WHERE a.user_uuid = u.uuid
                ) AS present FROM users u
            ) counts WHERE kept IS DISTINCT FROM present
        """).fetchall()


def busy(url: str, until: Callable[[], bool]) -> tuple[int, list[str]]:
    """Add and delete activities of several users in each transaction, in any order."""
    errors: list[str] = []
    done = 0
    with psycopg.connect(url) as connection:
        users = [row[0] for row in connection.execute("SELECT uuid FROM users").fetchall()]
        connection.commit()
        few = users[:6]
        while not until():
            try:
                with connection.transaction():
                    for user in (*random.sample(few, 4), random.choice(users)):
                        connection.execute(
                            "INSERT INTO activities (user_uuid, message) VALUES (%s, 'x')", (user,)
                        )
                    connection.execute(
                        "DELETE FROM activities WHERE uuid IN (SELECT uuid FROM activities"
                        " WHERE user_uuid = %s LIMIT 1 FOR UPDATE SKIP LOCKED)",
                        (random.choice(few),),
                    )
                done += 1
            except psycopg.Error as error:
                errors.append(type(error).__name__)
    return done, errors


def test_counting_begins_while_activities_come_and_go_and_each_count_is_right(
    empty_database: str,
) -> None:
    migrations.migrate(empty_database, "grant_profiles")
    add_users(empty_database, USERS)
    ended = threading.Event()
    with (
        psycopg.connect(empty_database, autocommit=True) as watcher,
        ThreadPoolExecutor(WORKERS) as pool,
    ):

        def added() -> int:
            row = watcher.execute("SELECT count(*) FROM activities").fetchone()
            assert row is not None
            return int(row[0])

        workers = [pool.submit(busy, empty_database, ended.is_set) for _ in range(WORKERS)]
        try:
            before = added()
            while added() == before and not any(worker.done() for worker in workers):
                pass  # until they are at it
            before = added()
            migrations.migrate(empty_database)
            after = added()
            while added() < after + 200 and not any(worker.done() for worker in workers):
                pass
        finally:
            ended.set()
        results = [worker.result() for worker in workers]
        assert after > before
        assert [error for _, errors in results for error in errors] == []
        assert all(done for done, _ in results)
        assert wrong_counts(empty_database) == []
        most = watcher.execute(
            "SELECT max(n) FROM (SELECT count(*) AS n FROM activity_changes GROUP BY user_uuid) s"
        ).fetchone()
    # One for each time that unfinished transactions counted for a user, at the very most
    assert most is not None
    assert 1 <= most[0] <= 3 * WORKERS


def test_two_transactions_that_add_for_the_same_users_in_opposite_orders_both_succeed(
    migrated_database: str,
) -> None:
    add_users(migrated_database, 2)
    add = (
        "INSERT INTO activities (user_uuid, message) SELECT uuid, 'x' FROM users WHERE handle = %s"
    )
    with (
        psycopg.connect(migrated_database, options="-c lock_timeout=100ms") as one,
        psycopg.connect(migrated_database, options="-c lock_timeout=100ms") as two,
    ):
        one.execute(add, ("u1",))
        two.execute(add, ("u2",))
        one.execute(add, ("u2",))
        two.execute(add, ("u1",))
        # Nor does a change of the profile wait, or an activity for one.
        one.execute("UPDATE users SET display_name = 'one' WHERE handle = 'u1'")
        two.execute(add, ("u1",))
    assert wrong_counts(migrated_database) == []


def test_a_transaction_that_is_rolled_back_counts_nothing(migrated_database: str) -> None:
    add_users(migrated_database, 2)
    with psycopg.connect(migrated_database) as connection:
        connection.execute(
            "INSERT INTO activities (user_uuid, message) SELECT uuid, 'x' FROM users"
        )
        connection.execute("DELETE FROM activities WHERE message = 'before'")
        connection.rollback()
        assert (
            profile.read(connection_of(connection), "u1", PICTURES)["profile"]["cruds_count"] == 3
        )
    assert wrong_counts(migrated_database) == []


def connection_of(connection: psycopg.Connection[tuple[object, ...]]) -> profile.Connection:
    connection.row_factory = psycopg.rows.dict_row  # type: ignore[assignment]
    return connection  # type: ignore[return-value]


@pytest.mark.parametrize("rows", [1, 5000])
def test_a_load_of_many_rows_is_one_change_for_each_user(migrated_database: str, rows: int) -> None:
    add_users(migrated_database, 1)
    execute(migrated_database, f"{ADD}, generate_series(1, {rows})")
    with psycopg.connect(migrated_database) as connection:
        assert connection.execute("SELECT change FROM activity_changes").fetchall() == [(3 + rows,)]
