"""What the functions behind API Gateway's HTTP API share (payload 2.0)."""

from __future__ import annotations

import base64
import json
import re
from typing import Any, NoReturn

MAX_BODY_LENGTH = 1_024
"""Characters; a request for an address has about 40."""


def caller(event: dict[str, Any]) -> str | None:
    """Return the caller's ``sub``, which only the authorizer writes; None without one."""
    authorizer = event["requestContext"].get("authorizer") or {}
    sub = (authorizer.get("lambda") or {}).get("sub")
    # Letters that could make it a folder, or another avatar's name, are in no Cognito sub.
    if not isinstance(sub, str) or not re.fullmatch(r"[0-9A-Za-z_-]{1,128}", sub):
        return None
    return sub


def json_object(body: str, is_base64: bool, example: str) -> dict[str, Any]:
    """Return a request's body.

    Raises
    ------
    ValueError
        If it is too long, or not a JSON object such as `example`; the message says so.
    """
    if len(body) > MAX_BODY_LENGTH:
        raise ValueError(f"The body may have at most {MAX_BODY_LENGTH} characters.")
    try:
        if is_base64:
            body = base64.b64decode(body, validate=True).decode()
        members = json.loads(
            body, object_pairs_hook=_unique_members, parse_constant=_refuse_constant
        )
    except (ValueError, RecursionError):
        members = None
    if not isinstance(members, dict):
        raise ValueError(f"The body must be a JSON object such as {example}.")
    return members


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member is named twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    """Return an answer in JSON that nobody keeps."""
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", "cache-control": "no-store"},
        "body": json.dumps(body),
    }


def later(status: int, code: str, message: str, seconds: int) -> dict[str, Any]:
    """Return a refusal that says in how many seconds it may be tried again."""
    refused = refusal(status, code, message, retry_after=seconds)
    refused["headers"]["retry-after"] = str(seconds)
    return refused


def refusal(status: int, code: str, message: str, **more: Any) -> dict[str, Any]:
    """Return an answer that says in `message` what to do, and in `code` why."""
    return answer(status, {"error": {"code": code, "message": message} | more})
