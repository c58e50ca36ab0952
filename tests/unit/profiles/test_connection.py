"""The function's connection: kept, reopened, and never told about."""

from __future__ import annotations

import json

import psycopg
import pytest

import json_log
from console.operations import migrations
from profiles import database
from tests.postgres_fixture import free_port
from tests.unit.profiles.calls import PARAMETER, Call, request, store

READ = "/api/activities/ada"


def backend() -> int:
    assert database.keeper.connection is not None
    return database.keeper.connection.info.backend_pid


def terminate(url: str, pid: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))


def test_invocations_share_a_connection_and_one_that_broke_is_reopened(
    call: Call, url: str
) -> None:
    call("GET", READ)
    first = backend()
    call("GET", READ)
    assert backend() == first
    terminate(url, first)
    assert call("GET", READ)[0] == 200
    assert backend() != first
    terminate(url, backend())
    body = {"display_name": "Still here"}
    assert call("POST", "/api/profile/update", body=body)[1]["display_name"] == "Still here"


def test_a_changed_password_is_read_again(call: Call, url: str) -> None:
    call("GET", READ)
    new = migrations.profiles_url(url)
    terminate(url, backend())
    assert call("GET", READ)[0] == 503  # changed in Postgres, not yet in the parameter
    store(new)
    database.keeper._reread_at = float("-inf")
    assert call("GET", READ)[0] == 200


def test_the_parameter_is_read_once_and_a_dead_database_does_not_wear_it_out(
    call: Call, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    original = database._read_url

    def counted() -> str:
        reads.append(PARAMETER)
        return original()

    monkeypatch.setattr(database, "_read_url", counted)
    for _ in range(3):
        call("GET", READ)
    assert len(reads) == 1
    database.keeper.close()
    reads.clear()
    store(f"postgresql://profiles:x@127.0.0.1:{free_port()}/x")
    for _ in range(3):
        assert call("GET", READ)[0] == 503
    assert len(reads) == 2  # the first read, and one more in case it had changed


@pytest.mark.parametrize(
    "value",
    [
        "postgresql://profiles:geheim@127.0.0.1:1/x",
        "postgresql://profiles:geheim@127.0.0.1:none/x",
        "geheim",
        "postgresql://profiles:geheim@[::1/x",
    ],
)
def test_a_database_that_is_gone_is_unavailable_and_nothing_leaks(
    aws: None, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    store(value)
    database.log.addHandler(caplog.handler)
    try:
        status, body = request("GET", READ)
    finally:
        database.log.removeHandler(caplog.handler)
    assert status == 503
    assert body["error"]["code"] == "unavailable"
    lines = [json_log.JsonFormatter().format(record) for record in caplog.records]
    assert len(lines) == 2
    assert "geheim" not in json.dumps(body) + "".join(lines)
    assert "127.0.0.1" not in json.dumps(body)


def test_a_missing_parameter_is_unavailable(aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL_PARAMETER", "/nowhere")
    status, body = request("GET", READ)
    assert (status, body["error"]["code"]) == (503, "unavailable")


def test_a_query_that_waits_too_long_is_given_up_and_the_connection_kept(
    call: Call, url: str
) -> None:
    call("GET", READ)
    assert database.keeper.connection is not None
    database.keeper.connection.execute("SET lock_timeout = '50ms'")
    before = backend()
    with psycopg.connect(url) as holder:
        holder.execute("LOCK TABLE users")
        status, body = call("GET", READ)
    assert (status, body["error"]["code"]) == (503, "unavailable")
    assert "lock" not in body["error"]["message"]
    assert call("GET", READ)[0] == 200
    assert backend() == before


def test_every_connection_has_its_timeouts(call: Call) -> None:
    call("GET", READ)
    assert database.keeper.connection is not None
    for setting in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        row = database.keeper.connection.execute(f"SHOW {setting}".encode()).fetchone()
        assert row is not None
        assert row[setting] not in ("0", "")
