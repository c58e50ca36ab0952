from __future__ import annotations

import importlib
import io
import json
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

import json_log
from authorizer.jwks import JwksCache
from tests.unit.authorizer.pool import CLIENT_ID, POOL_ID, Pool

Authorize = Callable[[str | None], dict[str, Any]]


@pytest.fixture(scope="session")
def pool() -> Pool:
    return Pool()


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """All that the function logs, as CloudWatch would get it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(json_log.JsonFormatter())
    monkeypatch.setattr(logging.getLogger("authorizer"), "handlers", [handler])
    return stream


@pytest.fixture
def logged(log: io.StringIO) -> Callable[[], list[dict[str, Any]]]:
    return lambda: [json.loads(line) for line in log.getvalue().splitlines()]


@pytest.fixture(scope="session")
def function() -> Any:
    """The function's module, started with the pool's settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USER_POOL_ID", POOL_ID)
        patch.setenv("CLIENT_ID", CLIENT_ID)
        return importlib.import_module("authorizer.handler")


@pytest.fixture
def authorize(function: Any, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Authorize:
    """Ask the handler about an Authorization header, with the pool's keys at hand."""
    monkeypatch.setattr(function, "KEYS", JwksCache(pool.jwks))

    def ask(authorization: str | None) -> dict[str, Any]:
        headers = {"host": "api.example.com"}
        if authorization is not None:
            headers["authorization"] = authorization
        event = {"version": "2.0", "type": "REQUEST", "headers": headers}
        answer: dict[str, Any] = function.handler(event, SimpleNamespace(aws_request_id="r-1"))
        return answer

    return ask
