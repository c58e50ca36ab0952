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

SUB = "0f8fad5b-d9cb-469f-a165-70867728950e"
ENVIRONMENT = {
    "UPLOADS_BUCKET_NAME": "avatar-uploads",
    "AWS_REGION": "eu-west-1",
    "AWS_ACCESS_KEY_ID": "ASIAEXAMPLE",
    "AWS_SECRET_ACCESS_KEY": "not/a+real=secret",
    "AWS_SESSION_TOKEN": "not/a+real=session==",
}
OPTIONAL = ("MAX_UPLOAD_BYTES", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3")

Ask = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """What Lambda and the stack set, and nothing else."""
    _set_environment(monkeypatch)
    return monkeypatch


def _set_environment(patch: pytest.MonkeyPatch) -> None:
    for name in OPTIONAL:
        patch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        patch.setenv(name, value)


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    """All that the function logs, as CloudWatch would get it."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(json_log.JsonFormatter())
    monkeypatch.setattr(logging.getLogger("presign"), "handlers", [handler])
    return stream


@pytest.fixture(scope="session")
def function() -> Any:
    """The function's module, started with the settings above."""
    with pytest.MonkeyPatch.context() as patch:
        _set_environment(patch)
        return importlib.import_module("presign.handler")


@pytest.fixture
def ask(function: Any, log: io.StringIO) -> Ask:
    """Send a body as the signed-in user; returns the status and the answer."""

    def send(body: str | None, *, base64: bool = False, sub: Any = SUB) -> tuple[int, Any]:
        event = {
            "version": "2.0",
            "body": body,
            "isBase64Encoded": base64,
            "requestContext": {"authorizer": {"lambda": {"sub": sub, "username": "ada"}}},
        }
        answer = function.handler(event, SimpleNamespace(aws_request_id="r-1"))
        assert answer["headers"] == {
            "content-type": "application/json",
            "cache-control": "no-store",
        }
        return answer["statusCode"], json.loads(answer["body"])

    return send
