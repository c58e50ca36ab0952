"""What an operator sees before anything is changed."""

from __future__ import annotations

import psycopg
import pytest

from console.operations import migrations
from console.operations.errors import OperationError
from console.operations.migrations.preview import Preview
from console.operations.migrations.scratch import PREFIX, schema
from console.operations.progress import Event
from tests.integration.database.migration_folder import Folder, tables


@pytest.fixture
def shop(empty_database: str, folder: Folder) -> str:
    """A database with two tables and some rows."""
    folder.add(
        "tables",
        'CREATE TABLE "Order" (id int PRIMARY KEY, price int);'
        " CREATE TABLE item (id int PRIMARY KEY, order_id int);"
        ' INSERT INTO "Order" SELECT n, n FROM generate_series(1, 5000) n;',
        'DROP TABLE item; DROP TABLE "Order";',
    )
    migrations.migrate(empty_database, directory=folder.directory)
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute("ANALYZE")
    return empty_database


def locks(preview: Preview) -> list[list[tuple[str, str, bool]]]:
    return [
        [(lock.table, lock.mode, lock.rewrites) for lock in statement.locks]
        for statement in preview.statements
    ]


def test_the_locks_of_each_statement_are_shown_with_tables_and_sizes(
    shop: str, folder: Folder
) -> None:
    path = folder.add(
        "change",
        """
        ALTER TABLE "Order" ADD COLUMN note text;
        ALTER TABLE "Order" ALTER COLUMN price TYPE bigint;
        ALTER TABLE item ADD CONSTRAINT item_order FOREIGN KEY (order_id) REFERENCES "Order";
        CREATE INDEX item_order_id ON item (order_id);
        CREATE TABLE fresh (id int);
        ALTER TABLE fresh ADD COLUMN x int;
        """,
    )
    before = schema(shop)
    (change,) = migrations.preview(shop, directory=folder.directory)
    assert change.name == "2_change"
    assert change.transactional
    assert locks(change) == [
        [('"Order"', "AccessExclusiveLock", False)],
        [('"Order"', "AccessExclusiveLock", True)],
        [('"Order"', "ShareRowExclusiveLock", False), ("item", "ShareRowExclusiveLock", False)],
        [("item", "ShareLock", False)],
        [],
        [],
    ]
    order = change.statements[0].locks[0]
    assert order.blocks == "reads and writes"
    assert order.rows == 5000
    assert order.size_bytes is not None
    assert order.size_bytes > 100_000
    lines = path.read_text().splitlines()
    assert [lines[s.line - 1].strip() for s in change.statements] == [
        s.sql + ";" for s in change.statements
    ]
    assert schema(shop) == before


def test_a_concurrent_statement_shows_what_it_waits_for(shop: str, folder: Folder) -> None:
    folder.add(
        "index",
        'CREATE INDEX CONCURRENTLY IF NOT EXISTS price ON "Order" (price);',
        "DROP INDEX CONCURRENTLY IF EXISTS price;",
        transactional=False,
    )
    (up,) = migrations.preview(shop, directory=folder.directory)
    expected = [[('"Order"', "ShareUpdateExclusiveLock", False)]]
    assert (up.transactional, locks(up)) == (False, expected)
    migrations.migrate(shop, directory=folder.directory)
    down = migrations.preview(shop, steps=2, direction="down", directory=folder.directory)
    assert [item.name for item in down] == ["2_index", "1_tables"]
    assert locks(down[0]) == expected
    assert down[0].statements[0].sql == "DROP INDEX CONCURRENTLY IF EXISTS price"


def test_squawk_speaks_with_the_files_own_lines(shop: str, folder: Folder) -> None:
    path = folder.add(
        "risky",
        '-- a comment\nALTER TABLE "Order" ADD COLUMN a text;\n\n\n'
        "ALTER TABLE item\n  ADD COLUMN b int NOT NULL;\nCREATE INDEX i ON item (id);",
    )
    (risky,) = migrations.preview(shop, directory=folder.directory)
    found = {finding.rule: finding.line for finding in risky.findings}
    lines = path.read_text().splitlines()
    assert found["adding-required-field"] == lines.index("  ADD COLUMN b int NOT NULL;") + 1
    assert (
        found["require-concurrent-index-creation"]
        == lines.index("CREATE INDEX i ON item (id);") + 1
    )
    assert "require-lock-timeout" not in found  # every run sets it


def test_a_statement_that_will_fail_fails_in_the_preview(shop: str, folder: Folder) -> None:
    folder.add("wrong", "ALTER TABLE item ADD COLUMN x int; ALTER TABLE missing ADD COLUMN y int;")
    with pytest.raises(OperationError, match=r"2_wrong\.py, line 12: .*\"missing\" does not exist"):
        migrations.preview(shop, directory=folder.directory)
    assert migrations.migrations(shop, folder.directory)[1].state == "pending"


def test_a_rollback_that_does_not_restore_the_schema_is_reported_beforehand(
    shop: str, folder: Folder
) -> None:
    folder.add("good", "ALTER TABLE item ADD COLUMN x int;", "ALTER TABLE item DROP COLUMN x;")
    folder.add(
        "forgets_the_default",
        "ALTER TABLE item ALTER COLUMN x SET DEFAULT 5, ALTER COLUMN x SET NOT NULL;",
        "ALTER TABLE item ALTER COLUMN x DROP NOT NULL;",
    )
    events: list[Event] = []
    before = schema(shop)
    good, bad = migrations.rehearse(shop, directory=folder.directory, report=events.append)
    assert good.restores
    assert not bad.restores
    assert "+    x integer DEFAULT 5" in bad.difference
    assert [(e.step, e.state) for e in events if e.step.startswith("Rehearse 3")][-1][1] == "failed"
    assert schema(shop) == before
    with psycopg.connect(shop) as connection:
        rows = connection.execute(
            "SELECT FROM pg_database WHERE starts_with(datname, %s)", (PREFIX,)
        )
        assert rows.fetchall() == []


def test_a_rollback_that_fails_is_found_by_the_rehearsal(shop: str, folder: Folder) -> None:
    folder.add("t", "CREATE TABLE t (id int);", "DROP TABLE typo;")
    with pytest.raises(OperationError, match='table "typo" does not exist'):
        migrations.rehearse(shop, directory=folder.directory)
    assert tables(shop) == {"Order", "item"}
