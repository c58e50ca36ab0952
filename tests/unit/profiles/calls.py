"""Calls of the profiles function, in the shapes that AWS sends."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, unquote

import boto3
import psycopg
from psycopg import sql

from profiles import handler

ADA = "5e9f0a52-0000-4000-8000-0000000000ad"
GRACE = "5e9f0a52-0000-4000-8000-000000000099"
ASSETS = "https://assets.example.com"
BUCKET = "assets-example-com"
REGION = "eu-central-1"
BLURHASH = "LEHV6nWB2yk8pyo0adR*.7kCMdnj"
PARAMETER = "/avatar-ops/database-url"

Call = Callable[..., tuple[int, dict[str, Any]]]


class Context:
    """AWS's context object, as far as the function reads it."""

    aws_request_id = "request-1"
    seconds = 10.0

    def get_remaining_time_in_millis(self) -> int:
        """Return what is left, as at the start of an invocation."""
        return round(self.seconds * 1000)


@functools.cache
def client(service: str) -> Any:
    """Return a client, made once."""
    return boto3.client(service)  # type: ignore[call-overload]


def store(value: str) -> None:
    """Put `value` into the parameter that the function reads."""
    client("ssm").put_parameter(Name=PARAMETER, Value=value, Type="SecureString", Overwrite=True)


def request(
    method: str, path: str, *, body: object = None, sub: str = ADA, raw: str | None = None
) -> tuple[int, dict[str, Any]]:
    event: dict[str, Any] = {
        "version": "2.0",
        "rawPath": path,
        "headers": {"content-type": "application/json"},
        "requestContext": {"http": {"method": method, "path": path}, "requestId": "r"},
        "isBase64Encoded": False,
    }
    if method == "GET":
        event["routeKey"] = "GET /api/activities/{handle}"
        path, _, query = path.partition("?")
        decoded = unquote(path.rsplit("/", 1)[1].replace("%25", "%2525"))  # as API Gateway does
        event["pathParameters"] = {"handle": decoded}
        if query:
            event["queryStringParameters"] = dict(parse_qsl(query, keep_blank_values=True))
    else:
        event["routeKey"] = "POST /api/profile/update"
        event["requestContext"]["authorizer"] = {"lambda": {"sub": sub, "username": "someone"}}
        event["body"] = raw if raw is not None else json.dumps(body)
    answer = handler.handler(event, Context())
    assert answer is not None
    assert answer["headers"]["Content-Type"] == "application/json"
    return answer["statusCode"], json.loads(answer["body"])


def column(url: str, name: str, sub: str = ADA) -> Any:
    """Return one column of a user's row."""
    with psycopg.connect(url) as connection:
        row = connection.execute(
            sql.SQL("SELECT {} FROM users WHERE cognito_user_id = %s").format(sql.Identifier(name)),
            (sub,),
        ).fetchone()
    return row and row[0]
