"""The one connection that a function instance keeps from one invocation to the next."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

import boto3
import psycopg
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from psycopg.rows import DictRow, dict_row

import env_settings
from json_log import logger
from profiles.errors import UnavailableError

Connection = psycopg.Connection[DictRow]
T = TypeVar("T")

log = logger("profiles")

CONNECT_SECONDS = 5
REREAD_SECONDS = 5.0

# Well below API Gateway's 30 s. Sent after connecting: a proxy refuses them as start options.
_SETTINGS = {
    "statement_timeout": "5s",
    "lock_timeout": "3s",
    "idle_in_transaction_session_timeout": "30s",
    "timezone": "UTC",
}
_SETUP = "SELECT " + ", ".join(f"set_config('{k}', '{v}', false)" for k, v in _SETTINGS.items())

_connection: Connection | None = None
_url: str | None = None
_reread_at = float("-inf")


def run(work: Callable[[Connection], T]) -> T:
    """Call `work` with the connection, in autocommit mode.

    If the kept connection turns out to be broken, `work` is called once more with a new one; so
    it must be harmless to repeat.

    Raises
    ------
    UnavailableError
        If the database can't be reached, or `work` fails on it.
    """
    global _connection
    kept = _connection is not None and not _connection.closed
    while True:
        if _connection is None or _connection.closed:
            _connection = _connect()
        try:
            return work(_connection)
        except psycopg.Error as error:
            broken = _connection.broken
            if broken or _connection.info.transaction_status != 0:  # IDLE
                _connection.close()
            if not (broken and kept):
                log.error(
                    "database error",
                    extra={"fields": {"error": type(error).__name__, "sqlstate": error.sqlstate}},
                )
                raise UnavailableError from error
            kept = False


def close() -> None:
    """Forget the connection and the URL."""
    global _connection, _url, _reread_at
    if _connection is not None:
        _connection.close()
    _connection, _url, _reread_at = None, None, float("-inf")


def _connect() -> Connection:
    """Connect with the cached URL, or, if that fails, with what the parameter holds by now.

    A failed login tells no code, so every failure counts as a password that was changed; the
    parameter is read again at most once in `REREAD_SECONDS`, so that a database that is down
    doesn't wear out SSM's quota.
    """
    global _url, _reread_at
    if _url is None:
        _url = _read_url()
    try:
        return _open(_url)
    except psycopg.Error as error:
        if time.monotonic() - _reread_at < REREAD_SECONDS:
            raise _unreachable(error) from None
        _reread_at = time.monotonic()
        fresh = _read_url()
        if fresh == _url:
            raise _unreachable(error) from None
        _url = fresh
    try:
        return _open(_url)
    except psycopg.Error as error:
        raise _unreachable(error) from None


def _open(url: str) -> Connection:
    connection = psycopg.connect(
        url,
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
        tcp_user_timeout=10_000,  # ms; a connection that died while frozen would hang for minutes
        application_name="profiles",
        row_factory=dict_row,
    )
    connection.execute(_SETUP)
    return connection


def _unreachable(error: psycopg.Error) -> UnavailableError:
    # libpq quotes a malformed URL in its message, password and all.
    text = str(error).strip() if isinstance(error, psycopg.OperationalError) else "malformed URL"
    log.error("no connection to the database", extra={"fields": {"reason": text}})
    return UnavailableError()


def _read_url() -> str:
    name = env_settings.text("DATABASE_URL_PARAMETER")
    config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 3})
    try:
        client: Any = boto3.client("ssm", config=config)
        answer = client.get_parameter(Name=name, WithDecryption=True)
    except (BotoCoreError, ClientError) as error:
        log.error("parameter not readable", extra={"fields": {"name": name, "reason": str(error)}})
        raise UnavailableError from error
    return str(answer["Parameter"]["Value"]).strip()
