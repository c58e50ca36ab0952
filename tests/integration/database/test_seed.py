"""Demo rows, and the login of the profiles function's role."""

from __future__ import annotations

import psycopg
import pytest
from psycopg import errors

from console.operations import migrations
from console.operations.errors import OperationError


def users(url: str) -> list[tuple[str, str]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT handle, cognito_user_id FROM users ORDER BY handle"
        ).fetchall()


def test_seeding_twice_adds_nothing_and_keeps_what_users_changed(migrated_database: str) -> None:
    assert migrations.seed(migrated_database, {"ada": "sub-1"}) >= 3
    with psycopg.connect(migrated_database) as connection:
        connection.execute("UPDATE users SET display_name = 'Countess' WHERE handle = 'ada'")
        counted = connection.execute("SELECT count(*) FROM activities").fetchone()
    before = users(migrated_database)
    assert ("ada", "sub-1") in before
    assert migrations.seed(migrated_database) == 0
    assert users(migrated_database) == before
    with psycopg.connect(migrated_database) as connection:
        assert connection.execute("SELECT count(*) FROM activities").fetchone() == counted
        row = connection.execute("SELECT display_name FROM users WHERE handle = 'ada'").fetchone()
    assert row == ("Countess",)


def test_a_new_cognito_user_takes_over_the_row_of_its_handle(migrated_database: str) -> None:
    migrations.seed(migrated_database, {"ada": "old"})
    # elsewhere than on this machine, it is a real user's
    assert migrations.seed(migrated_database, {"ada": "new"}) == 0
    assert ("ada", "old") in users(migrated_database)
    assert migrations.seed(migrated_database, {"ada": "new", "zoe": "sub-z"}, relink=True) == 1
    assert ("ada", "new") in users(migrated_database)
    assert ("zoe", "sub-z") in users(migrated_database)


def test_seeding_before_migrating_says_what_to_do(empty_database: str) -> None:
    with pytest.raises(OperationError, match="make migrate"):
        migrations.seed(empty_database)


def test_the_profiles_role_may_do_its_work_and_nothing_else(migrated_database: str) -> None:
    migrations.seed(migrated_database)
    url = migrations.profiles_url(migrated_database)
    with psycopg.connect(url, autocommit=True) as role:
        role.execute("SELECT handle, bio FROM users JOIN activities ON user_uuid = users.uuid")
        role.execute("UPDATE users SET bio = 'x', display_name = 'y', avatar_version = 'z'")
        role.execute("UPDATE users SET avatar_placeholder = avatar_placeholder || 'x'")
        role.execute("UPDATE users SET banner_version = 'z', banner_placeholder = NULL")
        role.execute("SELECT banner_version, banner_placeholder FROM users")
        for forbidden in (
            "SELECT email FROM users",
            "UPDATE users SET handle = 'root'",
            "UPDATE users SET cognito_user_id = 'me'",
            "DELETE FROM users",
            "INSERT INTO activities (user_uuid, message) SELECT uuid, 'spam' FROM users",
            "SELECT * FROM migration_history",
            "CREATE TABLE t (id int)",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                role.execute(forbidden.encode())


def test_a_new_login_ends_the_old_password_and_a_rollback_keeps_the_role(
    migrated_database: str,
) -> None:
    old = migrations.profiles_url(migrated_database)
    migrations.rollback(migrated_database, to="add_bio")
    migrations.migrate(migrated_database)
    with psycopg.connect(old) as role:
        role.execute("SELECT avatar_version FROM users")
    new = migrations.profiles_url(migrated_database)
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(old)
    psycopg.connect(new).close()
