"""boto3 clients, one for each service, region and account, kept for the process."""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import Any

from botocore.config import Config

_CONFIG = Config(
    connect_timeout=5,
    read_timeout=30,
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=32,
)
_making = threading.Lock()


@dataclass(frozen=True)
class Caller:
    """Whose credentials are used."""

    account: str
    arn: str


def client(service: str, region: str | None, access: tuple[tuple[str, str], ...] = ()) -> Any:
    """Return a boto3 client, kept: making one takes a tenth of a second."""
    with _making:  # a session makes clients for one thread at a time
        return _client(service, region, access)


def session(region: str | None, access: tuple[tuple[str, str], ...] = ()) -> Any:
    """Return the boto3 session that clients are made from."""
    with _making:
        return _session(region, access)


def forget_clients() -> None:
    """Make new clients from now on, with the credentials of then."""
    caller.cache_clear()
    _client.cache_clear()
    _session.cache_clear()


@functools.lru_cache(maxsize=8)
def caller(region: str | None, access: tuple[tuple[str, str], ...]) -> Caller:
    """Ask AWS whose credentials these are, kept like the clients."""
    identity = client("sts", region, access).get_caller_identity()
    return Caller(identity["Account"], identity["Arn"])


@functools.lru_cache(maxsize=64)
def _client(service: str, region: str | None, access: tuple[tuple[str, str], ...]) -> Any:
    return _session(region, access).client(
        service, endpoint_url=dict(access).get("AWS_ENDPOINT_URL"), config=_CONFIG
    )


@functools.lru_cache(maxsize=8)
def _session(region: str | None, access: tuple[tuple[str, str], ...]) -> Any:
    import boto3  # takes half a second, and not every command needs it

    settings = dict(access)
    return boto3.Session(
        region_name=region,
        aws_access_key_id=settings.get("AWS_ACCESS_KEY_ID"),
        aws_secret_access_key=settings.get("AWS_SECRET_ACCESS_KEY"),
    )
