"""Migrations and profiles on Postgres as people run it: pooled, managed, shared, misplaced."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from psycopg import conninfo, sql

from console.operations import migrations
from console.operations.errors import OperationError
from console.operations.migrations.scratch import PREFIX
from picture_kinds import AVATAR, BANNER
from profiles import profile
from profiles.database import Keeper
from profiles.errors import UnavailableError
from tests import pgbouncer
from tests.integration.database.migration_folder import Folder, tables
from tests.integration.system import alive, wait_until

PICTURES = profile.Pictures(
    "https://assets.example.com", {AVATAR: ("512.jpg", "128.webp"), BANNER: ("1500x500.jpg",)}
)
needs_pgbouncer = pytest.mark.skipif(not pgbouncer.executable(), reason=pgbouncer.REASON)


def execute(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def keeper(url: str) -> Keeper:
    """Return a function instance's connection, as after its first read of the parameter."""
    made = Keeper()
    made._url = url
    return made


def read(instance: Keeper) -> dict[str, Any]:
    return instance.run(lambda c: profile.read(c, "ada", PICTURES), 10)["profile"]  # type: ignore[no-any-return]


def read_once(url: str) -> dict[str, Any]:
    with closing(keeper(url)) as instance:
        return read(instance)


def write(instance: Keeper, name: str) -> dict[str, Any]:
    change = profile.change({"display_name": name})
    sub = read(instance)["cognito_user_uuid"]
    return instance.run(lambda c: profile.update(c, sub, change, PICTURES), 10)


def all_of_it_works(url: str) -> None:
    """Migrate, roll back, preview, rehearse, compare, log in, read and write."""
    migrations.migrate(url, "add_avatar_version")
    assert next(item.name for item in migrations.preview(url)) == "1790000300_index_users_handle"
    assert all(item.restores for item in migrations.rehearse(url, "index_users_handle"))
    migrations.migrate(url)
    migrations.rollback(url, steps=2)
    migrations.migrate(url)
    assert migrations.drift(url) == []
    migrations.seed(url)
    instance = keeper(migrations.profiles_url(url))
    try:
        assert write(instance, "Ada K.")["display_name"] == read(instance)["display_name"]
    finally:
        instance.close()


@pytest.fixture
def owner(empty_database: str) -> Iterator[str]:
    """The URL of an account without superuser's rights, which owns a database of managed kind."""
    name = f"owner_{empty_database[-8:]}"
    database = empty_database.rpartition("/")[2]
    execute(
        empty_database,
        f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'owner'",
        f"ALTER DATABASE {database} OWNER TO {name}",
        f"ALTER DATABASE {database} SET work_mem = '5MB'",
        f'ALTER DATABASE {database} SET search_path = "$user", public, extensions',
        "CREATE SCHEMA extensions",
        "CREATE EXTENSION pg_stat_statements SCHEMA extensions",
        "CREATE SCHEMA cron; CREATE TABLE cron.job (id int); REVOKE ALL ON SCHEMA cron FROM PUBLIC",
        "CREATE FUNCTION extensions.seen() RETURNS event_trigger LANGUAGE plpgsql"
        " AS 'BEGIN RAISE LOG ''seen''; END'",
        "CREATE EVENT TRIGGER seen ON ddl_command_end EXECUTE FUNCTION extensions.seen()",
        f"GRANT profiles TO {name} WITH ADMIN OPTION" if role_exists(empty_database) else "SELECT",
    )
    yield re.sub("//[^@]*@", f"//{name}:owner@", empty_database)
    execute(
        empty_database,
        "DROP EVENT TRIGGER IF EXISTS seen",
        f"ALTER DATABASE {database} OWNER TO postgres",
        f'DROP OWNED BY "profiles_{database}"' if role_exists(empty_database, database) else "",
        f"DROP OWNED BY {name} CASCADE",
        f'DROP ROLE IF EXISTS "profiles_{database}"',
        f"DROP ROLE {name}",
    )


def role_exists(url: str, database: str = "") -> bool:
    with psycopg.connect(url) as connection:
        name = f"profiles_{database}" if database else "profiles"
        return bool(
            connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
        )


def cluster(url: str) -> list[Any]:
    """Return what belongs to the server rather than to a database."""
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT 'role', rolname::text, rolcanlogin::text FROM pg_roles"
            " UNION ALL SELECT 'database', datname::text, '' FROM pg_database"
            " UNION ALL SELECT 'setting', s.setconfig::text, '' FROM pg_db_role_setting s"
            " ORDER BY 1, 2"
        ).fetchall()


def test_a_plain_server(empty_database: str) -> None:
    all_of_it_works(empty_database)


def test_an_account_without_superuser_on_a_server_with_extensions_and_event_triggers(
    owner: str, empty_database: str
) -> None:
    all_of_it_works(owner)
    before = cluster(empty_database)
    migrations.rollback(owner, steps=2)
    migrations.preview(owner)
    migrations.rehearse(owner)
    migrations.drift(owner)
    assert cluster(empty_database) == before


@needs_pgbouncer
def test_a_pooler_in_transaction_mode_is_refused_before_anything_is_locked(
    empty_database: str,
) -> None:
    for size in (1, 5):
        with pgbouncer.pooled([empty_database], size=size) as (through,):
            for work in (
                migrations.migrate,
                migrations.rehearse,
                migrations.preview,
                migrations.drift,
                migrations.adopt,
                lambda url: migrations.rollback(url, steps=1),
            ):
                with pytest.raises(OperationError, match="pooler in transaction mode") as caught:
                    work(through)
                assert "5432" in caught.value.remedy
            assert migrations.migrations(through)[0].state == "pending"
            migrations.migrate(empty_database, limits=migrations.Limits(wait=0))
            migrations.rollback(empty_database, to="base", limits=migrations.Limits(wait=0))
    assert tables(empty_database) == set()


@needs_pgbouncer
def test_a_pooler_in_session_mode_works_and_its_lock_excludes(
    empty_database: str, folder: Folder
) -> None:
    folder.add("slow", "CREATE TABLE slow (id int); SELECT pg_sleep(2);")
    with pgbouncer.pooled([empty_database], mode="session", size=20) as (through,):
        run = threading.Thread(
            target=migrations.migrate, args=(through,), kwargs={"directory": folder.directory}
        )
        run.start()
        with psycopg.connect(empty_database, autocommit=True) as watcher:
            while not watcher.execute(
                "SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND"
                " state = 'active'"
            ).rowcount:
                time.sleep(0.02)
        with pytest.raises(OperationError, match="holds the migration lock"):
            migrations.migrate(
                empty_database, directory=folder.directory, limits=migrations.Limits(wait=0)
            )
        run.join()
        again = migrations.migrate(
            empty_database, directory=folder.directory, limits=migrations.Limits(wait=5)
        )
    assert again.names == ()


@needs_pgbouncer
def test_profiles_through_a_pooler_read_on_while_a_column_changes_its_type(
    migrated_database: str, folder: Folder
) -> None:
    """A small one of ``python -m tests.bench.profiles_pooled``."""
    migrations.seed(migrated_database)
    function = migrations.profiles_url(migrated_database)
    failures: list[BaseException] = []
    reads: list[float] = []
    changed = threading.Event()

    def work(url: str) -> None:
        instance = keeper(url)
        try:
            count = 0
            while not changed.is_set() or count < 30:
                started = time.monotonic()
                read(instance)
                reads.append(time.monotonic() - started)
                count += 1
        except Exception as error:
            failures.append(error)
        finally:
            instance.close()

    with pgbouncer.pooled([function], size=3) as (through,):
        threads = [threading.Thread(target=work, args=(through,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for width in (200, 300):
            execute(
                migrated_database,
                f"ALTER TABLE users ALTER COLUMN display_name TYPE varchar({width})",
            )
        changed.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert len(reads) >= 240


def test_a_changed_type_is_no_failure_on_a_kept_connection(migrated_database: str) -> None:
    migrations.seed(migrated_database)
    instance = keeper(migrations.profiles_url(migrated_database))
    for width in (200, 300):
        for _ in range(7):
            read(instance)
        execute(
            migrated_database, f"ALTER TABLE users ALTER COLUMN display_name TYPE varchar({width})"
        )
        assert read(instance)["handle"] == "ada"
    instance.close()


def test_two_environments_on_one_server_have_logins_of_their_own(
    empty_database: str, migrated_database: str
) -> None:
    migrations.migrate(empty_database)
    staging, prod = (
        migrations.profiles_url(empty_database),
        migrations.profiles_url(migrated_database),
    )
    for url, database in ((staging, empty_database), (prod, migrated_database)):
        migrations.seed(database)
        assert read_once(url)["handle"] == "ada"
    elsewhere = conninfo.make_conninfo(prod, dbname=empty_database.rpartition("/")[2])
    with (
        psycopg.connect(elsewhere) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("SELECT handle FROM users")
    # What a migration grants comes to both, each in its own database.
    migrations.rollback(migrated_database, to="grant_profiles")
    with psycopg.connect(prod) as connection, pytest.raises(psycopg.errors.UndefinedColumn):
        connection.execute("SELECT activities_count FROM users")
    migrations.migrate(migrated_database)
    assert read_once(prod)["cruds_count"] == 3


def _by_url(url: str) -> str:
    execute(url, "CREATE SCHEMA app")
    return f"{url}?options=-csearch_path%3Dapp"


def _by_database(url: str) -> str:
    database = url.rpartition("/")[2]
    execute(url, "CREATE SCHEMA app", f"ALTER DATABASE {database} SET search_path = app, public")
    return url


def _by_role(url: str) -> str:
    role = f"app_{url[-8:]}"
    execute(
        url,
        f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'app'",
        "CREATE SCHEMA app",
        f"ALTER ROLE {role} SET search_path = app",
    )
    return re.sub("//[^@]*@", f"//{role}:app@", url)


def _by_name(url: str) -> str:
    role = f"own_{url[-8:]}"
    execute(
        url,
        f"CREATE ROLE {role} LOGIN SUPERUSER PASSWORD 'app'",
        f"CREATE SCHEMA {role}",
    )
    return re.sub("//[^@]*@", f"//{role}:app@", url)


def _nowhere(url: str) -> str:
    execute(url, "DROP SCHEMA public")
    return url


@pytest.mark.parametrize(
    ("misplace", "reason"),
    [
        (_by_url, r"set by the database URL"),
        (_by_database, r"set for the database"),
        (_by_role, r"set for the role"),
        (_by_name, r"set by default"),
        (_nowhere, r"no schema public"),
    ],
)
def test_another_search_path_is_refused_with_its_reason_and_nothing_is_made(
    empty_database: str, misplace: Callable[[str], str], reason: str
) -> None:
    url = misplace(empty_database)
    for work in (
        migrations.migrate,
        migrations.migrations,
        migrations.preview,
        migrations.rehearse,
        migrations.drift,
        migrations.adoption,
        lambda url: migrations.rollback(url, steps=1),
    ):
        with pytest.raises(OperationError, match=reason):
            work(url)
    with psycopg.connect(empty_database) as connection:
        made = connection.execute(
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace"
            " WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'"
        ).fetchone()
    assert made == (0,)


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT pg_catalog.set_config('search_path', '', false);",
        "SET ROLE app_owner;",
        "SET LOCAL search_path = app;",
        "ALTER ROLE profiles NOLOGIN;",
        "DROP ROLE reporting;",
        "ALTER SYSTEM SET work_mem = '1GB';",
        "COPY one FROM PROGRAM 'id';",
        "DO $$\nBEGIN\n    DROP ROLE reporting;\nEND $$;",
        "DO $$ BEGIN EXECUTE 'ALTER ROLE profiles NOLOGIN'; END $$;",
        "SELECT pg_advisory_unlock_all();",
    ],
)
def test_what_changes_session_or_server_is_named_with_its_line_before_anything_runs(
    empty_database: str, folder: Folder, statement: str
) -> None:
    folder.add("one", "CREATE TABLE one (id int);")
    path = folder.add("two", f"CREATE TABLE two (id int);\n{statement}")
    before = cluster(empty_database)
    for work in (migrations.migrate, migrations.preview, migrations.rehearse):
        with pytest.raises(OperationError, match=r"^2_two, line \d+: ") as caught:
            work(empty_database, directory=folder.directory)
        line = path.read_text().splitlines()[
            int(re.findall(r"line (\d+)", str(caught.value))[0]) - 1
        ]
        assert any(word in line for word in caught.value.message.split()[3:5]), caught.value
    assert tables(empty_database) == set()
    assert cluster(empty_database) == before


def test_a_session_that_hidden_code_changes_is_noticed_and_nothing_is_kept(
    empty_database: str, folder: Folder
) -> None:
    execute(empty_database, "CREATE SCHEMA app")
    folder.add(
        "hidden",
        "CREATE TABLE one (id int); CREATE FUNCTION go() RETURNS void LANGUAGE sql AS"
        " $$ SELECT set_config('search' || '_path', 'app', false) $$; SELECT go();",
    )
    with pytest.raises(OperationError, match="leaves the session with the schema app"):
        migrations.migrate(empty_database, directory=folder.directory)
    assert tables(empty_database) == set()
    assert migrations.runs(empty_database)[0].outcome == "failed"


def test_a_killed_preview_leaves_nothing_once_the_next_one_has_run(
    empty_database: str, folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    # of its own, as other tests make scratch servers meanwhile; open to the servers' account
    place = Path(tempfile.mkdtemp())
    place.chmod(0o755)
    monkeypatch.setattr(tempfile, "tempdir", str(place))

    def left() -> list[Path]:
        return list(place.glob(f"{PREFIX}*"))

    code = (
        "import sys, time; from console.operations.migrations import scratch\n"
        "with scratch.empty(sys.argv[1]): print('up', flush=True); time.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, empty_database],
        env=os.environ | {"TMPDIR": str(place)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    (abandoned,) = left()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    pid = int((abandoned / "postgres/data/postmaster.pid").read_text().splitlines()[0])
    server = psutil.Process(pid)
    assert alive(server)
    folder.add("one", "CREATE TABLE one (id int);", "DROP TABLE one;")
    migrations.rehearse(empty_database, directory=folder.directory)
    assert not abandoned.exists()
    wait_until(lambda: not alive(server), "the end of the abandoned server")


def test_a_server_that_falls_silent_is_given_up_in_time_and_found_again(
    migrated_database: str, postgres_server: str
) -> None:
    """The backend is frozen: it acknowledges what is sent, and answers nothing."""
    migrations.seed(migrated_database)
    instance = keeper(migrations.profiles_url(migrated_database))
    read(instance)
    assert instance.connection is not None
    pid = instance.connection.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(UnavailableError):
            instance.run(lambda c: profile.read(c, "ada", PICTURES), 4)
        assert time.monotonic() - started < 4
        assert read(instance)["handle"] == "ada"
        assert time.monotonic() - started < 5
    finally:
        os.kill(pid, signal.SIGCONT)
        instance.close()


def test_a_primary_that_became_a_replica_is_left_for_a_new_connection(
    migrated_database: str,
) -> None:
    migrations.seed(migrated_database)
    instance = keeper(migrations.profiles_url(migrated_database))
    read(instance)
    assert instance.connection is not None
    first = instance.connection.info.backend_pid
    instance.connection.execute("SET default_transaction_read_only = on")  # as a replica says
    assert write(instance, "Ada K.")["display_name"] == "Ada K."
    assert instance.connection.info.backend_pid != first
    instance.close()


def test_identifiers_need_no_quoting_by_hand() -> None:
    assert migrations.login_name("x" * 60) != migrations.login_name("x" * 61)
    assert len(migrations.login_name("ü" * 60).encode()) <= 63
    assert sql.Identifier(migrations.login_name("a b")).as_string() == '"profiles_a b"'
