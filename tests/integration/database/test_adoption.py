"""Databases that were there before their migrations."""

from __future__ import annotations

import psycopg
import pytest

from console.operations import migrations
from console.operations.errors import OperationError
from console.operations.migrations.scratch import PREFIX, schema
from tests.integration.database.migration_folder import COUNT, Folder, outcomes, tables

# As an application's own schema file would make them: near to ours, not the same.
EXISTING = """
    CREATE TABLE users (
        uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        display_name text NOT NULL,
        handle text NOT NULL,
        email text NOT NULL,
        cognito_user_id text NOT NULL,
        created_at timestamp NOT NULL DEFAULT current_timestamp,
        legacy_id int
    );
    CREATE TABLE activities (
        uuid uuid PRIMARY KEY DEFAULT gen_random_uuid(),
        user_uuid uuid NOT NULL,
        message text NOT NULL,
        replies_count integer DEFAULT 0,
        reposts_count integer DEFAULT 0,
        likes_count integer DEFAULT 0,
        reply_to_activity_uuid integer,
        expires_at timestamp,
        created_at timestamp NOT NULL DEFAULT current_timestamp
    );
    INSERT INTO users (display_name, handle, email, cognito_user_id)
    VALUES ('Ada', 'ada', 'ada@example.com', 'MOCK');
"""


def execute(url: str, text: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(text.encode())


def test_an_existing_schema_is_recognised_and_not_touched_before_it_is_adopted(
    empty_database: str,
) -> None:
    execute(empty_database, EXISTING)
    before = schema(empty_database)
    with pytest.raises(migrations.AdoptionNeededError, match="already has users, activities"):
        migrations.migrate(empty_database)
    found = migrations.adoption(empty_database)
    assert found is not None
    assert found.revision == "1790000000_existing_schema"
    assert found.baseline == (found.revision,)
    assert "only here: column users.legacy_id integer" in found.differences
    assert any(
        "column users.created_at is 'timestamp without" in line for line in found.differences
    )
    assert schema(empty_database) == before
    with psycopg.connect(empty_database) as connection:
        row = connection.execute("SELECT to_regclass('migration_history')").fetchone()
        left = connection.execute(
            "SELECT datname FROM pg_database WHERE starts_with(datname, %s)", (PREFIX,)
        ).fetchall()
    assert row == (None,)
    assert left == []


def test_an_adopted_database_gets_what_it_lacks_and_keeps_its_rows(empty_database: str) -> None:
    execute(empty_database, EXISTING)
    migrations.adopt(empty_database, who="ada@engine")
    assert outcomes(empty_database) == [("1790000000", "baseline", "succeeded")]
    migrations.migrate(empty_database)
    with psycopg.connect(empty_database) as connection:
        row = connection.execute("SELECT handle, bio, avatar_version FROM users").fetchone()
    assert row == ("ada", None, None)
    first = migrations.migrations(empty_database)[0]
    assert (first.state, first.by) == ("baseline", "ada@engine")


def test_a_schema_that_has_later_columns_already_is_adopted_there(empty_database: str) -> None:
    execute(empty_database, EXISTING)
    execute(empty_database, "ALTER TABLE users ADD COLUMN bio text")
    assert migrations.adopt(empty_database).revision == "1790000100_add_bio"
    assert migrations.migrate(empty_database).names[0] == "1790000200_add_avatar_version"


def test_a_rollback_never_passes_the_baseline(empty_database: str) -> None:
    execute(empty_database, EXISTING)
    migrations.adopt(empty_database)
    migrations.migrate(empty_database)
    with pytest.raises(OperationError, match="adopted, not applied") as caught:
        migrations.rollback(empty_database, to="base")
    assert "TO=1790000000_existing_schema" in caught.value.remedy
    with pytest.raises(OperationError, match="adopted, not applied"):
        migrations.rollback(empty_database, steps=COUNT)
    migrations.rollback(empty_database, to="existing_schema")
    assert tables(empty_database) == {"users", "activities"}
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT count(*) FROM users").fetchone() == (1,)


def test_a_schema_that_lacks_a_column_is_refused_and_the_column_named(empty_database: str) -> None:
    execute(empty_database, EXISTING)
    execute(empty_database, "ALTER TABLE users DROP COLUMN email")
    with pytest.raises(OperationError, match=r"not column users\.email"):
        migrations.adopt(empty_database)


def test_half_a_schema_is_neither_migrated_nor_adopted(empty_database: str) -> None:
    execute(empty_database, "CREATE TABLE users (uuid uuid PRIMARY KEY)")
    with pytest.raises(migrations.AdoptionNeededError):
        migrations.migrate(empty_database)
    with pytest.raises(OperationError, match=r"has users, but not column activities\.created_at"):
        migrations.adopt(empty_database)


def test_a_database_that_plain_alembic_migrated_is_adopted_where_it_is(
    empty_database: str, folder: Folder
) -> None:
    folder.add("one", "CREATE TABLE one (id int);")
    folder.add("two", "CREATE TABLE two (id int);")
    folder.add("three", "CREATE TABLE three (id int);")
    migrations.migrate(empty_database, "two", directory=folder.directory)
    execute(empty_database, "DROP TABLE migration_history")
    with pytest.raises(OperationError, match="no history of how it got there") as caught:
        migrations.migrate(empty_database, directory=folder.directory)
    assert "make adopt" in caught.value.remedy
    migrations.adopt(empty_database, directory=folder.directory)
    run = migrations.migrate(empty_database, directory=folder.directory)
    assert run.names == ("3_three",)


def test_there_is_nothing_to_adopt_in_a_new_or_a_migrated_database(
    empty_database: str, migrated_database: str
) -> None:
    for url in (empty_database, migrated_database):
        assert migrations.adoption(url) is None
        with pytest.raises(OperationError, match="nothing to adopt"):
            migrations.adopt(url)
