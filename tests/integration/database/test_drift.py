"""What was changed by hand on a live schema is found, and nothing else."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import psycopg
import pytest

from console.operations import migrations
from console.operations.errors import OperationError
from tests.integration.database.migration_folder import Folder
from tests.integration.database.test_adoption import EXISTING

# By hand, and what of it is named.
CHANGES = {
    "ALTER TABLE users ADD COLUMN nickname text": "changed: table public.users\n  + nickname text",
    "ALTER TABLE users DROP COLUMN bio CASCADE": "- bio text",
    "ALTER TABLE users ALTER COLUMN handle TYPE varchar(64)": "+ handle character varying(64) NOT",
    "ALTER TABLE users ALTER COLUMN email DROP NOT NULL": "+ email text\n",
    "ALTER TABLE activities ALTER COLUMN likes_count SET DEFAULT 7": "+ likes_count integer DEF",
    "ALTER TABLE activities ALTER COLUMN created_at DROP DEFAULT": "+ created_at timestamp with",
    "ALTER TABLE activities DROP CONSTRAINT activities_user_uuid_fkey": "missing: fk constraint",
    "ALTER TABLE users ADD CONSTRAINT short CHECK (length(handle) < 99)": "+ CONSTRAINT short",
    "DROP INDEX users_handle_index": "missing: index public.users_handle_index",
    "CREATE INDEX by_mail ON users (email)": "only here: index public.by_mail",
    "CREATE TABLE notes (id int)": "only here: table public.notes",
    "CREATE VIEW everyone AS SELECT handle FROM users": "only here: view public.everyone",
    "DROP TRIGGER count_added_activities ON activities": "missing: trigger public.activities",
    "ALTER TABLE activities DISABLE TRIGGER count_no_activities": "changed: trigger",
    "CREATE OR REPLACE FUNCTION count_activities() RETURNS trigger LANGUAGE plpgsql"
    " AS 'BEGIN RETURN NULL; END'": "changed: function public",
    "GRANT SELECT (email) ON users TO profiles": "only here: acl public.COLUMN users.email",
    "REVOKE SELECT ON activities FROM profiles": "missing: acl public.TABLE activities",
    "ALTER TABLE users ENABLE ROW LEVEL SECURITY": "only here: row security public.users",
    "CREATE TYPE mood AS ENUM ('glad')": "only here: type public.mood",
    "CREATE SEQUENCE numbers": "only here: sequence public.numbers",
    "COMMENT ON TABLE users IS 'people'": "only here: comment public.TABLE users",
    "ALTER TABLE users SET (fillfactor = 70)": "fillfactor",
    "ALTER TABLE activities SET UNLOGGED": "+ CREATE UNLOGGED TABLE public.activities (",
    "ALTER TABLE users ALTER COLUMN bio SET STORAGE EXTERNAL": "STORAGE EXTERNAL",
    "CREATE POLICY own ON users USING (true)": "only here: policy public.users own",
    "CREATE RULE quiet AS ON DELETE TO users DO INSTEAD NOTHING": "only here: rule public.users qu",
    "CREATE STATISTICS s ON handle, email FROM users": "only here: statistics public.s",
    "UPDATE pg_index SET indisvalid = false"
    " WHERE indexrelid = 'users_handle_index'::regclass": "missing: index public.users_handle_ind",
}


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def test_an_untouched_schema_has_no_drift_whatever_it_holds_and_whoever_logs_in(
    migrated_database: str,
) -> None:
    migrations.profiles_url(migrated_database)
    migrations.seed(migrated_database)
    execute(
        migrated_database,
        "CREATE SCHEMA other; CREATE TABLE other.things (id int)",
        "CREATE EXTENSION pg_stat_statements",
        "VACUUM ANALYZE",
        "REINDEX TABLE users",
    )
    assert migrations.drift(migrated_database) == []


def test_each_change_by_hand_is_found_and_its_repair_repairs_it(
    migrated_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each on a copy of its own; what the migrations make is made once."""
    # the package has a function of this name
    drift: Any = importlib.import_module("console.operations.migrations.drift")
    made = drift._read(migrated_database)
    server, _, name = migrated_database.rpartition("/")
    monkeypatch.setattr(
        drift,
        "_made_elsewhere",
        lambda url, live, at, directory, report: list(drift._compare(live, made)),
    )
    copy = f"{name}_copy"
    for change, expected in CHANGES.items():
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {copy} TEMPLATE {name}".encode())
        try:
            url = f"{server}/{copy}"
            execute(url, change)
            found = migrations.drift(url)
            shown = "\n".join(f"{item}\n" for item in found)
            assert expected in shown, (change, shown)
            execute(url, "\n".join(item.repair for item in found))
            assert migrations.drift(url) == [], (change, [item.repair for item in found])
        finally:
            with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
                connection.execute(f"DROP DATABASE {copy} WITH (FORCE)".encode())


def test_drift_is_compared_with_what_was_applied_and_keeps_a_run_from_starting(
    empty_database: str,
) -> None:
    migrations.migrate(empty_database, "add_avatar_version")
    migrations.require_none(empty_database)
    execute(empty_database, "ALTER TABLE users ADD COLUMN nickname text")
    with pytest.raises(migrations.DriftError, match=r"\+ nickname text") as caught:
        migrations.require_none(empty_database)
    assert "ALLOW_DRIFT=1" in caught.value.remedy
    migrations.migrate(empty_database)
    migrations.require_none(empty_database)  # nothing is pending


@pytest.mark.long
def test_what_an_adopted_database_had_of_its_own_is_no_drift(empty_database: str) -> None:
    execute(empty_database, EXISTING, "CREATE INDEX own ON users (email)")
    migrations.adopt(empty_database)
    assert migrations.drift(empty_database) == []
    migrations.migrate(empty_database)
    assert migrations.drift(empty_database) == []
    execute(empty_database, "DROP INDEX users_handle_index")
    assert [str(item) for item in migrations.drift(empty_database)] == [
        "missing: index public.users_handle_index"
    ]


def test_a_changed_file_is_said_before_any_comparison(empty_database: str, folder: Folder) -> None:
    path: Path = folder.add("one", "CREATE TABLE one (id int);")
    migrations.migrate(empty_database, directory=folder.directory)
    path.write_text(path.read_text().replace("id int", "id bigint"))
    with pytest.raises(OperationError, match="changed after it was applied"):
        migrations.drift(empty_database, directory=folder.directory)
