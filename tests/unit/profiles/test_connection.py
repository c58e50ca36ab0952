"""The function's connection: kept, reopened, and never told about."""

from __future__ import annotations

import json
import re
from pathlib import Path

import psycopg
import pytest

import json_log
from console.operations import migrations
from profiles import database
from tests.postgres_fixture import free_port
from tests.unit.profiles.calls import ADA, PARAMETER, Call, request, store
from tests.unit.profiles.test_avatar import deliver, put, s3_event

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


# What makes RDS Proxy keep a session to one connection ("pinning"), with Postgres:
# https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/rds-proxy-pinning.html
PINS = {
    "a parameter that is set": r"^\s*SET\b|\bset_config\b",
    "a prepared statement": r"^\s*(?:PREPARE|EXECUTE|DEALLOCATE|DISCARD)\b",
    "a cursor": r"^\s*DECLARE\b",
    "something temporary": r"\bTEMP(?:ORARY)?\b",
    "a notification": r"^\s*LISTEN\b",
    "a library": r"^\s*LOAD\b",
    "a sequence": r"\b(?:nextval|setval|currval|lastval)\b",
    "a session's lock": r"\bpg_(?:try_)?advisory_lock",
}
LARGEST_STATEMENT = 16 * 1024


def pins(trace: str) -> list[str]:
    """Return what of libpq's trace would pin a session, in words."""
    found = []
    # Who sends a message, its size, its kind, and its fields, with the statement's own line breaks
    for message in re.split(r"^(?=[FB]\t\d+\t)", trace, flags=re.MULTILINE):
        sender, size, kind, *rest = message.split("\t", 3) if message else ("B", "0", "")
        if sender != "F":
            continue
        name, statement = "", ""
        if kind == "Parse":
            ((name, statement),) = re.findall(r'^ ?"([^"]*)" "(.*)" \d+', rest[0], re.DOTALL)
        elif kind == "Query":
            (statement,) = re.findall(r'^ ?"(.*)"\s*$', rest[0], re.DOTALL)
        if name:
            found.append(f"a named statement: {statement}")
        if int(size) > LARGEST_STATEMENT:
            found.append(f"a statement of {size} bytes")
        found += [
            f"{what}: {statement}"
            for what, pattern in PINS.items()
            if re.search(pattern, statement, re.IGNORECASE)
        ]
    return found


def test_nothing_that_is_sent_pins_a_session_of_a_proxy(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = tmp_path / "sent"
    original = database._open
    with record.open("w") as file:

        def traced(url: str) -> database.Connection:
            connection = original(url)
            connection.pgconn.trace(file.fileno())
            connection.pgconn.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS)
            return connection

        monkeypatch.setattr(database, "_open", traced)
        for number in range(7):  # more often than psycopg's own threshold for preparing
            assert call("GET", READ)[0] == 200
            body = {"display_name": "Ada", "bio": "x" * 500}
            assert call("POST", "/api/profile/update", body=body)[0] == 200
            put(ADA, f"{number}" * 32)
            deliver(s3_event(f"avatars/{ADA}.jpg"))
        assert database.keeper.connection is not None
        connection = database.keeper.connection
        connection.pgconn.untrace()
    sent = record.read_text()
    assert sent.count("UPDATE ") >= 14
    assert pins(sent) == []

    with record.open("w") as file:
        connection.pgconn.trace(file.fileno())
        connection.pgconn.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS)
        connection.execute("SET statement_timeout = '5s'")
        connection.execute("SELECT pg_advisory_lock(%s)", (1,))
        connection.execute("SELECT length(%s)", ("x" * LARGEST_STATEMENT,))
        connection.prepare_threshold = 0
        connection.execute("SELECT %s::int", (1,))
        connection.pgconn.untrace()
    set_up, locked, large, named = pins(record.read_text())
    assert set_up.startswith("a parameter that is set")
    assert locked.startswith("a session's lock")
    assert large.startswith("a statement of ")
    assert named.startswith("a named statement")
