"""Applying migrations and rolling them back, on a real Postgres."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from console.operations import migrations
from console.operations.errors import OperationError
from console.operations.migrations.scratch import schema
from console.operations.progress import Event
from tests.integration.database.migration_folder import Folder, outcomes, tables

ROWS = """
    INSERT INTO users (display_name, handle, email, cognito_user_id)
    SELECT 'User ' || n, 'u' || n, n || '@example.com', 'sub-' || n FROM generate_series(1, 50) n;
    INSERT INTO activities (user_uuid, message) SELECT uuid, 'hello' FROM users;
"""


def rows(url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(url) as connection:
        users = connection.execute(
            "SELECT uuid, display_name, handle, email, cognito_user_id, created_at FROM users"
            " ORDER BY uuid"
        ).fetchall()
        return users + connection.execute("SELECT * FROM activities ORDER BY uuid").fetchall()


def three(folder: Folder) -> Path:
    folder.add("first", "CREATE TABLE one (id int);", "DROP TABLE one;")
    folder.add("second", "CREATE TABLE two (id int);", "DROP TABLE two;")
    folder.add("third", "CREATE TABLE three (id int);", "DROP TABLE three;")
    return folder.directory


def test_a_fresh_database_gets_every_migration_in_order(empty_database: str) -> None:
    run = migrations.migrate(empty_database)
    assert list(run.names) == sorted(
        path.stem for path in (migrations.DIRECTORY / "versions").glob("*.py")
    )
    assert tables(empty_database) == {"users", "activities", "activity_changes"}
    with psycopg.connect(empty_database) as connection:
        columns = connection.execute(
            "SELECT attname FROM pg_attribute WHERE attrelid = 'users'::regclass AND attnum > 0"
            " ORDER BY attnum"
        ).fetchall()
    assert [name for (name,) in columns] == [
        "uuid",
        "display_name",
        "handle",
        "email",
        "cognito_user_id",
        "created_at",
        "bio",
        "avatar_version",
        "activities_count",
        "avatar_placeholder",
        "banner_version",
        "banner_placeholder",
    ]


def test_a_step_back_and_forth_keeps_every_row_and_the_schema(migrated_database: str) -> None:
    with psycopg.connect(migrated_database) as connection:
        connection.execute(ROWS)
    before, schema_before = rows(migrated_database), schema(migrated_database)
    for back in ({"steps": 1}, {"to": "existing_schema"}):
        migrations.rollback(migrated_database, **back)
        migrations.migrate(migrated_database)
        assert rows(migrated_database) == before
        assert schema(migrated_database) == schema_before


def test_every_committed_migration_has_a_way_back(empty_database: str) -> None:
    rehearsed = migrations.rehearse(empty_database)
    assert len(rehearsed) >= 3
    assert [(line.name, line.difference) for line in rehearsed if not line.restores] == []


def test_a_target_is_an_id_a_name_or_a_slug(empty_database: str, folder: Folder) -> None:
    directory = three(folder)
    for target, expected in (
        ("1", {"one"}),
        ("2_second", {"one", "two"}),
        ("third", {"one", "two", "three"}),
    ):
        migrations.migrate(empty_database, target, directory=directory)
        assert tables(empty_database) == expected
    migrations.rollback(empty_database, to="sec", directory=directory)
    assert tables(empty_database) == {"one", "two"}
    migrations.rollback(empty_database, to="base", directory=directory)
    assert tables(empty_database) == set()


def test_nothing_to_do_changes_nothing(empty_database: str, folder: Folder) -> None:
    directory = three(folder)
    migrations.migrate(empty_database, directory=directory)
    before = outcomes(empty_database)
    events: list[Event] = []
    assert migrations.migrate(empty_database, directory=directory, report=events.append).names == ()
    assert migrations.rollback(empty_database, to="head", directory=directory).names == ()
    assert outcomes(empty_database) == before
    assert [event.step for event in events] == ["Nothing to do"]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"steps": 3}, "3 migrations can't be rolled back: 2 are applied"),
        ({"steps": 0}, "0 migrations can't be rolled back"),
        ({"to": "third"}, "third is not applied"),
        ({"to": "nonsense"}, "There is no migration 'nonsense'"),
        ({}, "needs to know how far"),
        ({"to": "base", "steps": 1}, "needs to know how far"),
    ],
)
def test_an_impossible_rollback_says_why(
    empty_database: str, folder: Folder, call: dict[str, object], message: str
) -> None:
    directory = three(folder)
    migrations.migrate(empty_database, "second", directory=directory)
    with pytest.raises(OperationError, match=re.escape(message)):
        migrations.rollback(empty_database, directory=directory, **call)  # type: ignore[arg-type]
    assert tables(empty_database) == {"one", "two"}


def test_migrate_never_goes_back(empty_database: str, folder: Folder) -> None:
    directory = three(folder)
    migrations.migrate(empty_database, directory=directory)
    with pytest.raises(OperationError, match="make rollback TO=first"):
        migrations.migrate(empty_database, "first", directory=directory)
    assert tables(empty_database) == {"one", "two", "three"}


def test_statements_arrive_as_written(empty_database: str, folder: Folder) -> None:
    folder.add(
        "many",
        """
        -- a comment; with a semicolon
        CREATE TABLE "weiß;er ""Löwe"" ñ" ("größe %" text, data jsonb);
        INSERT INTO "weiß;er ""Löwe"" ñ" VALUES ('100 % :x; ''ü''', '{"a":1, "b": ":c"}');
        CREATE FUNCTION "füüf"() RETURNS int LANGUAGE plpgsql AS $body$
        BEGIN
            RETURN 5; -- not the end
        END;
        $body$;
        CREATE FUNCTION six() RETURNS int BEGIN ATOMIC SELECT 1; SELECT 6; END;
        """,
        """DROP FUNCTION six; DROP FUNCTION "füüf"; DROP TABLE "weiß;er ""Löwe"" ñ";""",
    )
    migrations.migrate(empty_database, directory=folder.directory)
    with psycopg.connect(empty_database) as connection:
        row = connection.execute('SELECT *, "füüf"(), six() FROM "weiß;er ""Löwe"" ñ"').fetchone()
    assert row == ("100 % :x; 'ü'", {"a": 1, "b": ":c"}, 5, 6)
    migrations.rollback(empty_database, steps=1, directory=folder.directory)
    assert tables(empty_database) == set()


def test_a_failure_leaves_nothing_and_names_statement_and_line(
    empty_database: str, folder: Folder
) -> None:
    folder.add("good", "CREATE TABLE good (id int);", "DROP TABLE good;")
    path = folder.add(
        "bad",
        "CREATE TABLE half (id int);\nINSERT INTO half VALUES (1);\n"
        "ALTER TABLE half\n  ADD COLUMN x int,\n  ADD COLUMN y nonsense;",
    )
    folder.add("never", "CREATE TABLE never (id int);")
    with pytest.raises(OperationError) as caught:
        migrations.migrate(empty_database, directory=folder.directory)
    line = path.read_text().splitlines().index("  ADD COLUMN y nonsense;") + 1
    assert f"2_bad.py, line {line}" in caught.value.message
    assert 'type "nonsense" does not exist' in caught.value.message
    assert "ALTER TABLE half ADD COLUMN x int" in caught.value.message
    assert "make migrate" in caught.value.remedy
    assert tables(empty_database) == {"good"}
    assert outcomes(empty_database) == [("1", "up", "succeeded"), ("2", "up", "failed")]

    path.write_text(path.read_text().replace("nonsense", "text"))
    migrations.migrate(empty_database, directory=folder.directory)
    assert tables(empty_database) == {"good", "half", "never"}


def test_a_constraint_that_fails_at_the_commit_leaves_nothing(
    empty_database: str, folder: Folder
) -> None:
    folder.add(
        "deferred",
        "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (a int REFERENCES a"
        " DEFERRABLE INITIALLY DEFERRED); INSERT INTO b VALUES (1);",
    )
    with pytest.raises(OperationError, match=r"1_deferred\.py: .* violates foreign key"):
        migrations.migrate(empty_database, directory=folder.directory)
    assert tables(empty_database) == set()
    assert outcomes(empty_database) == [("1", "up", "failed")]


def test_a_failing_rollback_leaves_nothing_and_can_be_run_again(
    empty_database: str, folder: Folder
) -> None:
    folder.add("t", "CREATE TABLE t (id int);", "DROP TABLE t;")
    migrations.migrate(empty_database, directory=folder.directory)
    with psycopg.connect(empty_database) as connection:
        connection.execute("CREATE VIEW v AS SELECT * FROM t")
    with pytest.raises(OperationError, match="other objects depend on it"):
        migrations.rollback(empty_database, steps=1, directory=folder.directory)
    assert tables(empty_database) == {"t"}
    with psycopg.connect(empty_database) as connection:
        connection.execute("DROP VIEW v")
    migrations.rollback(empty_database, steps=1, directory=folder.directory)
    assert outcomes(empty_database) == [
        ("1", "up", "succeeded"),
        ("1", "down", "failed"),
        ("1", "down", "succeeded"),
    ]


def test_a_failing_concurrent_index_is_named_and_dropped(
    empty_database: str, folder: Folder
) -> None:
    folder.add("t", "CREATE TABLE t (id int); INSERT INTO t VALUES (1), (1);", "DROP TABLE t;")
    folder.add(
        "unique",
        'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS "T-Index" ON t (id);',
        'DROP INDEX CONCURRENTLY IF EXISTS "T-Index";',
        transactional=False,
    )
    events: list[Event] = []
    with pytest.raises(OperationError, match=r"could not create unique index.*\(id\)=\(1\)"):
        migrations.migrate(empty_database, directory=folder.directory, report=events.append)
    assert any("invalid index T-Index" in e.step and e.state == "done" for e in events)
    with psycopg.connect(empty_database) as connection:
        assert connection.execute("SELECT to_regclass('\"T-Index\"')").fetchone() == (None,)
        connection.execute("TRUNCATE t")
    migrations.migrate(empty_database, directory=folder.directory)
    assert outcomes(empty_database)[1:] == [("2", "up", "failed"), ("2", "up", "succeeded")]


@pytest.mark.parametrize(
    ("up", "transactional", "message"),
    [
        ("", True, r"upgrade\(\) holds no SQL"),
        ("-- only a comment", True, "holds no SQL"),
        ("SELECT 1; COMMIT; SELECT 2;", True, "'COMMIT' would end the transaction"),
        ("CREATE INDEX CONCURRENTLY i ON t (id);", True, "transactional = False"),
        ("SELECT 1; SELECT 2;", False, "holds 2 statements"),
        ("CREATE INDEX CONCURRENTLY i ON t (id);", False, "Write `IF NOT EXISTS`"),
    ],
)
def test_a_file_that_can_not_be_run_as_it_says_is_refused_before_the_first_one_runs(
    empty_database: str, folder: Folder, up: str, transactional: bool, message: str
) -> None:
    folder.add("first", "CREATE TABLE one (id int);")
    folder.add("wrong", up, transactional=transactional)
    with pytest.raises(OperationError, match=message) as caught:
        migrations.migrate(empty_database, directory=folder.directory)
    assert "2_wrong" in caught.value.message
    assert tables(empty_database) == set()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "2_broken"),
        ("revision = '2'\ndown_revision = '1'\ndef upgrade(:\n", "2_broken.py, line 3"),
        ("revision = '2'\ndown_revision = '1'\n", r"2_broken.py has no upgrade\(\)"),
        ("revision = '2'\ndown_revision = 'gone'\n", "gone"),
        ("revision = '1'\ndown_revision = None\n", "1"),
        ("revision = '2'\ndown_revision = '1'\nimport nowhere_to_be_found\n", "nowhere_to_be"),
    ],
    ids=["empty", "syntax", "no functions", "unknown parent", "same revision", "failing import"],
)
def test_a_broken_file_is_named_and_nothing_runs(
    empty_database: str, folder: Folder, text: str, message: str
) -> None:
    folder.add("first", "CREATE TABLE one (id int);")
    (folder.directory / "versions" / "2_broken.py").write_text(text)
    with pytest.raises(OperationError, match=message):
        migrations.migrate(empty_database, directory=folder.directory)
    assert tables(empty_database) == set()


@pytest.mark.parametrize(
    "code", ['op.execute("SELECT 1")', 'op.run_sql(f"SELECT {1}")', "import os", "op.run_sql(SQL)"]
)
def test_a_file_whose_sql_is_not_written_out_is_refused_and_not_run(
    empty_database: str, folder: Folder, code: str
) -> None:
    path = folder.add("computed", "SELECT 1;")
    path.write_text(
        path.read_text().replace("def upgrade() -> None:\n", f"def upgrade():\n    {code}\n")
    )
    with pytest.raises(
        OperationError, match=r"1_computed, line 11: upgrade\(\) does something else"
    ):
        migrations.migrate(empty_database, directory=folder.directory)


def test_branches_are_refused_and_both_ends_named(empty_database: str, folder: Folder) -> None:
    folder.add("first", "CREATE TABLE one (id int);")
    folder.add("left", "CREATE TABLE two (id int);", after="1")
    folder.add("right", "CREATE TABLE three (id int);", after="1")
    with pytest.raises(OperationError, match=r"2_left\.py and 3_right\.py"):
        migrations.migrate(empty_database, directory=folder.directory)
    assert tables(empty_database) == set()


def test_a_migration_put_before_applied_ones_is_out_of_order(
    empty_database: str, folder: Folder
) -> None:
    folder.add("first", "CREATE TABLE one (id int);")
    third = folder.add("third", "CREATE TABLE three (id int);", revision="3", after="1")
    migrations.migrate(empty_database, directory=folder.directory)
    folder.add("second", "CREATE TABLE two (id int);", revision="2", after="1")
    third.write_text(third.read_text().replace("down_revision = '1'", "down_revision = '2'"))
    os.utime(third, (0, 0))  # or a bytecode of the same second and size is taken for it
    with pytest.raises(OperationError, match="2_second was never applied"):
        migrations.migrate(empty_database, directory=folder.directory)
    listed = migrations.migrations(empty_database, folder.directory)
    assert {line.name: line.state for line in listed}["2_second"] == "out of order"
    assert tables(empty_database) == {"one", "three"}


def test_a_changed_file_is_drift_and_the_difference_is_shown(
    empty_database: str, folder: Folder
) -> None:
    path = folder.add("first", "CREATE TABLE one (id int);", "DROP TABLE one;")
    migrations.migrate(empty_database, directory=folder.directory)
    folder.add("second", "CREATE TABLE two (id int);")
    original = path.read_text()
    path.write_text(original.replace("CREATE TABLE one (id int)", "CREATE TABLE one (id bigint)"))
    for run in (
        lambda: migrations.migrate(empty_database, directory=folder.directory),
        lambda: migrations.rollback(empty_database, steps=1, directory=folder.directory),
        lambda: migrations.rehearse(empty_database, directory=folder.directory),
    ):
        with pytest.raises(OperationError) as caught:
            run()
        assert "1_first.py was changed after it was applied" in caught.value.message
        assert "-CREATE TABLE one (id int);" in caught.value.message
        assert "+CREATE TABLE one (id bigint);" in caught.value.message
    assert "+CREATE TABLE one" in migrations.migrations(empty_database, folder.directory)[0].drift
    path.write_text(original.replace("\n", "\r\n"))  # another checkout's line ends are no drift
    migrations.migrate(empty_database, directory=folder.directory)
    assert tables(empty_database) == {"one", "two"}


def test_a_database_ahead_of_the_files_is_left_alone(empty_database: str, folder: Folder) -> None:
    folder.add("first", "CREATE TABLE one (id int);")
    path = folder.add("second", "CREATE TABLE two (id int);")
    migrations.migrate(empty_database, directory=folder.directory)
    path.unlink()
    message = "at migration 2_second, which no file here has"
    with pytest.raises(OperationError, match=message):
        migrations.migrate(empty_database, directory=folder.directory)
    with pytest.raises(OperationError, match=message):
        migrations.rollback(empty_database, to="base", directory=folder.directory)
    assert tables(empty_database) == {"one", "two"}
    last = migrations.migrations(empty_database, folder.directory)[-1]
    assert (last.name, last.state) == ("2_second", "no file")


def test_the_history_says_who_when_how_long_and_what(empty_database: str, folder: Folder) -> None:
    path = folder.add("first", "SELECT pg_sleep(0.05);")
    migrations.migrate(empty_database, directory=folder.directory, who="ada@engine")
    with psycopg.connect(empty_database) as connection:
        row = connection.execute(
            "SELECT name, direction, checksum, actor, now() - started_at < interval '1 minute',"
            " seconds BETWEEN 0.05 AND 5, outcome, source FROM migration_history"
        ).fetchone()
    assert row is not None
    assert row[:2] == ("1_first", "up")
    assert len(row[2]) == 64
    assert row[3:] == ("ada@engine", True, True, "succeeded", path.read_text())


def test_every_statement_is_traced_with_parameters_and_time(
    empty_database: str, folder: Folder
) -> None:
    folder.add("first", "CREATE TABLE one (id int); SELECT pg_sleep(0.05);")
    folder.add("second", "SELECT 1 / 0;")
    seen: list[migrations.Executed] = []
    with pytest.raises(OperationError, match="division by zero"):
        migrations.migrate(empty_database, directory=folder.directory, trace=seen.append)
    by_sql = {executed.sql: executed for executed in seen}
    assert by_sql["SELECT pg_sleep(0.05)"].seconds >= 0.05
    assert by_sql["SELECT 1 / 0"].failed
    written = [e for e in seen if "INSERT INTO public.migration_history" in e.sql]
    assert "1_first" in written[0].parameters


def test_an_account_without_rights_is_told_so(empty_database: str, folder: Folder) -> None:
    folder.add("first", "CREATE TABLE one (id int);", "DROP TABLE one;")
    folder.add("second", "ALTER TABLE one ADD COLUMN x int;", "ALTER TABLE one DROP COLUMN x;")
    migrations.migrate(empty_database, "first", directory=folder.directory)
    role = f"weak_{empty_database[-8:]}"
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'weak'")
        try:
            weak = re.sub("//[^@]*@", f"//{role}:weak@", empty_database)
            connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}")
            connection.execute(f"GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}")
            with pytest.raises(OperationError, match="must be owner of table one") as caught:
                migrations.migrate(weak, directory=folder.directory)
            assert "account owns the tables" in caught.value.remedy
            (rehearsed,) = migrations.rehearse(weak, directory=folder.directory)
            assert rehearsed.restores
            connection.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role}")
            with pytest.raises(OperationError, match="permission denied") as caught:
                migrations.migrate(weak, directory=folder.directory)
            assert "weak@" not in str(caught.value)
        finally:
            connection.execute(f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert tables(empty_database) == {"one"}


def test_an_unreachable_server_is_one_clear_error_without_the_password() -> None:
    with pytest.raises(OperationError, match="can't be reached") as caught:
        migrations.migrate("postgresql://postgres:geheim@127.0.0.1:1/x")
    assert "geheim" not in str(caught.value)


def test_new_files_follow_each_other_and_are_named_by_epoch_and_slug(
    empty_database: str, folder: Folder
) -> None:
    made = [migrations.create(name, folder.directory) for name in ("add_bio_column", "Add More")]
    assert [re.sub(r"^\d{10}_", "", path.name) for path in made] == [
        "add_bio_column.py",
        "add_more.py",
    ]
    with pytest.raises(OperationError, match="holds no SQL"):
        migrations.migrate(empty_database, directory=folder.directory)
    for number, path in enumerate(made):
        up, down = f"CREATE TABLE t{number} (id int);", f"DROP TABLE t{number};"
        text = path.read_text().replace('("""\n', f'("""\n{up}\n', 1)
        path.write_text(f'("""\n{down}\n'.join(text.rsplit('("""\n', 1)))
    migrations.migrate(empty_database, directory=folder.directory)
    migrations.rollback(empty_database, steps=1, directory=folder.directory)
    assert tables(empty_database) == {"t0"}


@pytest.mark.parametrize("name", ["", '"""', "../x", "a" * 61, "größe", "x;y", "_x"])
def test_a_name_that_would_not_make_a_good_file_is_refused(folder: Folder, name: str) -> None:
    with pytest.raises(OperationError, match="not a valid name for a migration"):
        migrations.create(name, folder.directory)
    assert list((folder.directory / "versions").iterdir()) == []


@pytest.mark.parametrize(
    ("before", "encoding", "newline"),
    [
        ("", "utf-8-sig", "\n"),
        ("", "utf-8-sig", "\r\n"),
        ("", "utf-8", "\r\n"),
        ("", "utf-8", "\r"),
        ("# -*- coding: latin-1 -*-\n", "latin-1", "\n"),
        ("# -*- coding: cp1252 -*-\n", "cp1252", "\r\n"),
    ],
)
def test_a_file_as_an_editor_saves_it_is_run_as_it_reads(
    empty_database: str, folder: Folder, before: str, encoding: str, newline: str
) -> None:
    path = folder.add(
        "one",
        "CREATE TABLE one (name text DEFAULT 'Zoë');\nCOMMENT ON TABLE one IS\n'a\nb';",
    )
    text = before + path.read_text()
    path.write_bytes(text.replace("\n", newline).encode(encoding))
    migrations.migrate(empty_database, directory=folder.directory)
    with psycopg.connect(empty_database) as connection:
        connection.execute("INSERT INTO one DEFAULT VALUES")
        assert connection.execute(
            "SELECT name, obj_description('one'::regclass) FROM one"
        ).fetchone() == ("Zoë", "a\nb")
    # Saved otherwise, it is the same migration.
    path.write_bytes(text.encode(encoding.removesuffix("-sig")))
    assert migrations.migrations(empty_database, folder.directory)[0].drift == ""


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        ("latin-1", r"1_one\.py, line 12: it is not utf-8; save it as UTF-8"),
        ("utf-16", r"1_one\.py.*save it as UTF-8"),
        ("utf-16-le", r"1_one\.py.*save it as UTF-8"),
        ("utf-32", r"1_one\.py.*save it as UTF-8"),
    ],
)
def test_a_file_in_an_encoding_that_it_does_not_name_gets_a_sentence_before_anything_runs(
    empty_database: str, folder: Folder, encoding: str, message: str
) -> None:
    path = folder.add("one", "CREATE TABLE one (name text DEFAULT 'Zoë');")
    path.write_bytes(path.read_text().encode(encoding))
    for work in (migrations.migrate, migrations.preview, migrations.migrations):
        with pytest.raises(OperationError, match=message):
            work(empty_database, directory=folder.directory)
    assert tables(empty_database) == set()


@pytest.mark.parametrize("length", [32, 33])
def test_a_revision_id_that_is_too_long_is_found_before_the_first_one_runs(
    empty_database: str, folder: Folder, length: int
) -> None:
    folder.add("one", "CREATE TABLE one (id int);")
    folder.add("two", "CREATE TABLE two (id int);", revision="2" * length)
    if length <= 32:
        migrations.migrate(empty_database, directory=folder.directory)
        assert tables(empty_database) == {"one", "two"}
        return
    with pytest.raises(OperationError, match="has 33 characters, and alembic_version holds 32"):
        migrations.migrate(empty_database, directory=folder.directory)
    assert tables(empty_database) == set()


def test_listing_in_many_threads_leaves_the_filters_of_warnings_alone(
    empty_database: str,
) -> None:
    """In a process of its own: pytest keeps and puts back the filters itself."""
    code = (
        "import sys, warnings\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "from console.operations import migrations\n"
        "migrations.migrations(sys.argv[1])\n"
        "before = list(warnings.filters)\n"
        "with ThreadPoolExecutor(6) as pool:\n"
        "    list(pool.map(lambda _: migrations.migrations(sys.argv[1]), range(24)))\n"
        "assert warnings.filters == before, (before, warnings.filters)\n"
        "warnings.warn('a later one')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, empty_database],
        capture_output=True,
        text=True,
        check=False,
        env={k: v for k, v in os.environ.items() if k != "PYTHONWARNINGS"},
    )
    assert done.returncode == 0, done.stderr
    assert "UserWarning: a later one" in done.stderr


def test_an_invalid_index_of_somebody_else_is_left_alone(
    empty_database: str, folder: Folder
) -> None:
    """A name that the migration only mentions, or that it uses in another schema."""
    with psycopg.connect(empty_database, autocommit=True) as connection:
        connection.execute(
            "CREATE SCHEMA other; CREATE TABLE other.people (email text);"
            " CREATE INDEX email ON other.people (email);"
            " CREATE INDEX by_mail ON other.people (email);"
            " CREATE TABLE people (email text); CREATE INDEX email ON people (email);"
            " UPDATE pg_index SET indisvalid = false WHERE indexrelid IN"
            " ('other.email'::regclass, 'other.by_mail'::regclass, 'email'::regclass)"
        )
    folder.add(
        "by_mail",
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS by_mail ON people (email);",
        "DROP INDEX CONCURRENTLY IF EXISTS by_mail;",
        transactional=False,
    )
    migrations.migrate(empty_database, directory=folder.directory)
    migrations.rollback(empty_database, steps=1, directory=folder.directory)
    with psycopg.connect(empty_database) as connection:
        left = connection.execute(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid ORDER BY 1"
        ).fetchall()
    assert left == [("email",), ("other.by_mail",), ("other.email",)]
