"""The function's login: kept, replaced when refused, rotated on purpose."""

from __future__ import annotations

import socketserver
import struct
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import boto3
import psycopg
import pytest
from moto import mock_aws
from psycopg import conninfo

from console.operations import migrations
from console.operations.environments import databases
from console.operations.errors import OperationError
from tests import pgbouncer
from tests.postgres_fixture import free_port

NAME = "/avatar-ops/database-url"
PRIVATE = "host=db.internal.vpc port=5432 sslmode=verify-full sslrootcert=/var/task/b.pem"


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A deployment, as far as its parameters go."""
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with mock_aws():
        parameters = boto3.client("ssm", region_name="eu-central-1")
        yield SimpleNamespace(parameters=parameters, database_url_parameter=NAME)


def stored(here: Any) -> dict[str, Any]:
    value = here.parameters.get_parameter(Name=NAME, WithDecryption=True)["Parameter"]["Value"]
    return dict(conninfo.conninfo_to_dict(value))


def store(here: Any, value: str) -> None:
    here.parameters.put_parameter(Name=NAME, Value=value, Type="SecureString", Overwrite=True)


def private(url: str) -> str:
    """Return the function's URL in a network that is not reached from here."""
    return conninfo.make_conninfo(url, **dict(pair.split("=") for pair in PRIVATE.split()))


def logs_in(url: str, login: dict[str, Any]) -> bool:
    return databases.try_login(url, login["user"], login["password"]) is None


def test_a_first_login_is_made_with_the_operators_host_and_tls(
    here: Any, migrated_database: str
) -> None:
    url = f"{migrated_database}?sslmode=prefer&options=-cwork_mem%3D5MB"
    assert databases.ensure_login(here, url)
    made = stored(here)
    operator = conninfo.conninfo_to_dict(url)
    assert made["user"] == f"profiles_{operator['dbname']}"
    assert [made[k] for k in ("host", "port", "dbname", "sslmode")] == [
        operator[k] for k in ("host", "port", "dbname", "sslmode")
    ]
    assert "options" not in made
    assert logs_in(migrated_database, made)
    assert not databases.ensure_login(here, url)
    assert stored(here) == made


def test_through_a_tunnel_a_first_login_names_the_databases_own_address(
    here: Any, migrated_database: str
) -> None:
    parts = conninfo.conninfo_to_dict(migrated_database)
    tunnelled = conninfo.make_conninfo(migrated_database, host="db.vpc", hostaddr="127.0.0.1")
    databases.ensure_login(here, tunnelled, ("db.vpc", 5432))
    made = stored(here)
    assert (made["host"], made["port"], made.get("hostaddr")) == ("db.vpc", "5432", None)
    assert logs_in(migrated_database, made)
    assert parts["dbname"] == made["dbname"]


def test_a_database_that_only_the_function_reaches_keeps_its_login_whoever_migrates(
    here: Any, migrated_database: str
) -> None:
    for login in (migrations.profiles_url(migrated_database), old_login(migrated_database)):
        store(here, private(login))
        before = stored(here)
        assert databases.login_plan(here, migrated_database).change == "keep"
        assert not databases.ensure_login(here, migrated_database)
        assert stored(here) == before


def old_login(url: str) -> str:
    """Make the login that all databases of a server shared once."""
    with psycopg.connect(url) as connection:
        connection.execute("ALTER ROLE profiles LOGIN PASSWORD 'old'")
    return conninfo.make_conninfo(url, user="profiles", password="old")


def test_a_refused_password_is_replaced_and_all_else_stays(
    here: Any, migrated_database: str
) -> None:
    login = migrations.profiles_url(migrated_database)
    store(here, private(conninfo.make_conninfo(login, password="wrong")))
    before = stored(here)
    plan = databases.login_plan(here, migrated_database)
    assert (plan.change, "wrong" in repr(plan)) == ("replace", False)
    assert databases.ensure_login(here, migrated_database)
    after = stored(here)
    assert logs_in(migrated_database, after)
    assert {**after, "password": ""} == {**before, "password": ""}


def test_a_server_that_is_not_reached_or_a_foreign_role_changes_nothing(
    here: Any, migrated_database: str
) -> None:
    login = migrations.profiles_url(migrated_database)
    store(here, login)
    away = conninfo.make_conninfo(migrated_database, port=free_port())
    assert databases.login_plan(here, away).change == "keep"
    store(here, conninfo.make_conninfo(login, user="reporting", password="x"))
    assert databases.login_plan(here, migrated_database).change == "keep"
    assert not databases.ensure_login(here, migrated_database)


class GermanServer(socketserver.StreamRequestHandler):
    """A server whose messages are German, and which knows the password "right"."""

    def handle(self) -> None:
        def message() -> bytes:
            (length,) = struct.unpack("!I", self.rfile.read(4))
            return self.rfile.read(length - 4)

        def send(kind: bytes, body: bytes) -> None:
            self.wfile.write(kind + struct.pack("!I", len(body) + 4) + body)

        def fail(code: str, said: str) -> None:
            send(b"E", f"SFATAL\0VFATAL\0C{code}\0M{said}\0\0".encode())

        startup = message()
        if b"profiles_busy" in startup:
            fail("53300", "tut mir leid, schon zu viele Verbindungen")
            return
        send(b"R", struct.pack("!I", 3))
        self.rfile.read(1)
        if message() == b"right\0":
            fail("3D000", "Datenbank »db« existiert nicht")
        else:
            fail("28P01", "Passwort-Authentifizierung für Benutzer »profiles« fehlgeschlagen")


def test_a_refused_password_is_known_whatever_language_the_server_speaks() -> None:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), GermanServer) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port = server.server_address[1]
        url = f"postgresql://owner@127.0.0.1:{port}/db?sslmode=disable&gssencmode=disable"
        found = {
            (user, password): databases.try_login(url, user, password)
            for user, password in (
                ("profiles", "wrong"),
                ("profiles", "right"),
                ("profiles_busy", "wrong"),
            )
        }
        server.shutdown()
    assert {key: failure and failure.refused for key, failure in found.items()} == {
        ("profiles", "wrong"): True,
        ("profiles", "right"): False,  # accepted, and refused for another reason
        ("profiles_busy", "wrong"): False,  # never asked for it
    }


@pytest.mark.skipif(not pgbouncer.executable(), reason=pgbouncer.REASON)
def test_a_password_that_a_pooler_refuses_is_known(migrated_database: str) -> None:
    login = migrations.profiles_url(migrated_database)
    user, password = (str(conninfo.conninfo_to_dict(login)[key]) for key in ("user", "password"))
    with pgbouncer.pooled([login]) as (through,):
        assert databases.try_login(through, user, password) is None
        failure = databases.try_login(through, user, "wrong")
        assert failure is not None
        assert failure.refused, failure.said


def test_a_rotation_on_purpose_changes_the_password_alone(
    here: Any, migrated_database: str
) -> None:
    store(here, private(migrations.profiles_url(migrated_database)))
    before = stored(here)
    role = databases.rotate_login(here, migrated_database)
    after = stored(here)
    assert (after["user"], after["host"]) == (role, "db.internal.vpc")
    assert logs_in(migrated_database, after)
    assert not logs_in(migrated_database, before)


def test_a_rotation_that_can_not_be_stored_leaves_the_old_password(
    here: Any, migrated_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(here, migrations.profiles_url(migrated_database))
    before = stored(here)

    def refuse(*_: object) -> None:
        raise OperationError("May not write.", "Ask.")

    monkeypatch.setattr(databases, "_store", refuse)
    with pytest.raises(OperationError, match="May not write"):
        databases.rotate_login(here, migrated_database)
    assert stored(here) == before
    assert logs_in(migrated_database, before)


def test_a_parameter_with_a_key_of_its_own_keeps_it(here: Any, migrated_database: str) -> None:
    key = boto3.client("kms", region_name="eu-central-1").create_key()["KeyMetadata"]["Arn"]
    here.parameters.put_parameter(Name=NAME, Value="none yet", Type="SecureString", KeyId=key)
    databases.ensure_login(here, migrated_database)
    (found,) = here.parameters.describe_parameters()["Parameters"]
    assert found["KeyId"] == key
