"""What the functions behind API Gateway's HTTP API share (payload 2.0)."""

from __future__ import annotations

import json
import re
from typing import Any


def caller(event: dict[str, Any]) -> str | None:
    """Return the caller's ``sub``, which only the authorizer writes; None without one."""
    authorizer = event["requestContext"].get("authorizer") or {}
    sub = (authorizer.get("lambda") or {}).get("sub")
    # Letters that could make it a folder, or another avatar's name, are in no Cognito sub.
    if not isinstance(sub, str) or not re.fullmatch(r"[0-9A-Za-z_-]{1,128}", sub):
        return None
    return sub


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
