"""The one connection that a function instance keeps from one invocation to the next.

Nothing in it needs a session of its own, so it works through a pooler in transaction mode:
nothing is prepared and nothing is set. Timeouts belong to the role (`make rotate-login`).
"""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import boto3
import psycopg
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from psycopg import conninfo, errors
from psycopg.rows import DictRow, dict_row

import env_settings
from json_log import logger
from profiles.errors import UnavailableError

Connection = psycopg.Connection[DictRow]
T = TypeVar("T")

log = logger("profiles")

CONNECT_SECONDS = 2  # libpq allows no less
SILENCE_SECONDS = 3  # a server that acknowledges nothing for so long is gone
REREAD_SECONDS = 5.0
RESERVE_SECONDS = 0.5  # of the invocation's time, kept for the answer
RETRY_SECONDS = CONNECT_SECONDS + 1  # with less left, nothing is tried again

#: Put beside this file, it goes into the zip; see docs/migrations.md, "TLS".
CA_BUNDLE = Path(__file__).with_name("global-bundle.pem")

# They say nothing against the connection.
_HARMLESS = (errors.LockNotAvailable, errors.QueryCanceled, errors.DeadlockDetected)
# A new connection may do better: a plan or prepared statement of another time, a server that is
# going down or has become a replica, a pooler's own errors (class 08).
_RETRIED = ("0A000", "25006", "26000", "42P05", "08", "57P")


class Keeper:
    """Opens the connection, keeps it, and replaces it when it is of no more use."""

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self._url: str | None = None
        self._reread_at = float("-inf")

    def run(self, work: Callable[[Connection], T], seconds: float) -> T:
        """Call `work` with the connection, in autocommit mode.

        If the kept connection turns out to be of no more use, `work` is called once more with a
        new one; so it must be harmless to repeat.

        Parameters
        ----------
        seconds
            What is left of the invocation; the call ends before.

        Raises
        ------
        UnavailableError
            If the database can't be reached in time, or `work` fails on it.
        """
        deadline = time.monotonic() + seconds - RESERVE_SECONDS
        kept = self.connection is not None and not self.connection.closed
        if kept:
            try:
                return self._call(work, deadline)
            except psycopg.Error as error:
                if deadline - time.monotonic() < RETRY_SECONDS or not self._worth_retrying(error):
                    raise _failed(error) from error
        try:
            if self.connection is None or self.connection.closed:
                self.connection = self._connect(deadline)
            return self._call(work, deadline)
        except psycopg.Error as error:
            raise _failed(error) from error

    def close(self) -> None:
        """Close the connection; the next call reads the URL again."""
        if self.connection is not None:
            self.connection.close()
        self.__init__()  # type: ignore[misc]

    def _call(self, work: Callable[[Connection], T], deadline: float) -> T:
        connection = self.connection
        assert connection is not None  # noqa: S101  both callers have looked
        try:
            with _cut_off_at(deadline, connection):
                return work(connection)
        except psycopg.Error as error:
            idle = connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
            if not (isinstance(error, _HARMLESS) and idle):
                connection.close()
            raise

    def _worth_retrying(self, error: psycopg.Error) -> bool:
        assert self.connection is not None  # noqa: S101  an error came from it
        if error.sqlstate is None:
            return self.connection.closed
        return error.sqlstate.startswith(_RETRIED)

    def _connect(self, deadline: float) -> Connection:
        """Connect with the known URL, or, if that fails, with what the parameter holds by now.

        A failed login has no code, so every failure counts as a password that was changed; the
        parameter is read again at most once in `REREAD_SECONDS`, so that a database that is down
        doesn't wear out SSM's quota.
        """
        if self._url is None:
            self._url = _read_url()
        try:
            return _open(self._url)
        except psycopg.Error as error:
            now = time.monotonic()
            if now - self._reread_at < REREAD_SECONDS or deadline - now < RETRY_SECONDS:
                raise _unreachable(error) from None
            self._reread_at = now
            fresh = _read_url()
            if fresh == self._url:
                raise _unreachable(error) from None
            self._url = fresh
        try:
            return _open(self._url)
        except psycopg.Error as error:
            raise _unreachable(error) from None


keeper = Keeper()


@contextmanager
def _cut_off_at(deadline: float, connection: Connection) -> Iterator[None]:
    """Break the connection at `deadline`: a server that is frozen would never be given up."""

    def cut_off() -> None:
        with (
            suppress(OSError, psycopg.Error),
            socket.socket(fileno=os.dup(connection.fileno())) as s,
        ):
            s.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(max(0.0, deadline - time.monotonic()), cut_off)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _open(url: str) -> Connection:
    known = conninfo.conninfo_to_dict(url)
    certificates = {}
    if str(known.get("sslmode")) in ("verify-ca", "verify-full"):
        # A path of the operator's machine means the bundle in the zip.
        given = str(known.get("sslrootcert") or "")
        if given != "system" and not (given and Path(given).is_file()):
            certificates["sslrootcert"] = str(CA_BUNDLE)
    return psycopg.connect(
        url,
        **certificates,  # type: ignore[arg-type]
        autocommit=True,
        prepare_threshold=None,
        connect_timeout=CONNECT_SECONDS,
        tcp_user_timeout=SILENCE_SECONDS * 1000,
        keepalives_idle=SILENCE_SECONDS,
        keepalives_interval=1,
        keepalives_count=2,
        application_name="profiles",
        row_factory=dict_row,
    )


def _failed(error: psycopg.Error) -> UnavailableError:
    fields = {"error": type(error).__name__, "sqlstate": error.sqlstate}
    log.error("database error", extra={"fields": fields})
    return UnavailableError()


def _unreachable(error: psycopg.Error) -> UnavailableError:
    # libpq quotes a malformed URL in its message, password and all.
    text = str(error).strip() if isinstance(error, psycopg.OperationalError) else "malformed URL"
    log.error("no connection to the database", extra={"fields": {"reason": text}})
    return UnavailableError()


def _read_url() -> str:
    name = env_settings.text("DATABASE_URL_PARAMETER")
    config = Config(connect_timeout=1, read_timeout=2, retries={"total_max_attempts": 2})
    try:
        client: Any = boto3.client("ssm", config=config)
        answer = client.get_parameter(Name=name, WithDecryption=True)
    except (BotoCoreError, ClientError) as error:
        log.error("parameter not readable", extra={"fields": {"name": name, "reason": str(error)}})
        raise UnavailableError from error
    return str(answer["Parameter"]["Value"]).strip()
