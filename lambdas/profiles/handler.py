"""Serve profiles to the API, and record the new avatars that the topic announces."""

from __future__ import annotations

import base64
import functools
import json
import time
from collections.abc import Callable
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

import avatar_variants
import env_settings
from json_log import LambdaContext, logger, with_request_id
from profiles import avatar, database, profile
from profiles.errors import ApiError

log = logger("profiles")


@with_request_id
def handler(event: dict[str, Any], context: LambdaContext) -> dict[str, Any] | None:
    """Answer an HTTP API request (payload 2.0), or handle an SNS message.

    Raises
    ------
    ApiError
        For an SNS message only, when the database is away: Lambda then tries it again.
    """
    if "Records" in event:
        for item in event["Records"]:
            for name in avatar.names(item["Sns"]["Message"]):
                try:
                    recorded = functools.partial(_record, name)
                    version = database.keeper.run(recorded, _seconds_left(context))
                except Exception:
                    lost = {"name": name, "remedy": "if it stays so, `make reconcile`"}
                    log.error("avatar not recorded", extra={"fields": lost})
                    raise
                log.info("avatar", extra={"fields": {"name": name, "version": version}})
        return None
    started = time.perf_counter()
    try:
        work = _work(event)
        asked = time.perf_counter()
        body = database.keeper.run(work, _seconds_left(context))
    except ApiError as error:
        log.info("refused", extra={"fields": {"status": error.status, "code": error.code}})
        return _answer(error.status, {"error": {"code": error.code, "message": error.message}})
    answered = time.perf_counter()
    answer = _answer(200, body)
    fields = {
        "route": event["routeKey"],
        "database_ms": round((answered - asked) * 1000, 2),
        "total_ms": round((time.perf_counter() - started) * 1000, 2),
    }
    log.info("served", extra={"fields": fields})
    return answer


def _work(event: dict[str, Any]) -> Callable[[database.Connection], dict[str, Any]]:
    """Return what the request asks of the database."""
    pictures = profile.Pictures(
        env_settings.text("ASSETS_URL", pattern=r"https?://\S+[^/\s]"),
        avatar_variants.names_by_kind(),
    )
    match event["routeKey"]:
        case "GET /api/activities/{handle}":
            handle = _handle(event)
            cursor = (event.get("queryStringParameters") or {}).get("cursor")
            after = profile.After.decode(cursor) if cursor is not None else None
            return lambda c: profile.read(c, handle, pictures, after)
        case "POST /api/profile/update":
            sub = event["requestContext"]["authorizer"]["lambda"]["sub"]
            change = profile.change(_json(event))
            return lambda c: profile.update(c, sub, change, pictures)
    raise ApiError(404, "not_found", "There is no such address.")


def _handle(event: dict[str, Any]) -> str:
    """Return the handle. API Gateway has decoded it, except for what encodes a percent sign."""
    return str(event["pathParameters"]["handle"]).replace("%25", "%")


def _seconds_left(context: LambdaContext) -> float:
    return context.get_remaining_time_in_millis() / 1000


def _json(event: dict[str, Any]) -> dict[str, Any]:
    text = event.get("body") or ""
    try:
        body = json.loads(base64.b64decode(text) if event.get("isBase64Encoded") else text)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise ApiError(400, "invalid_request", "The body must be a JSON object.")
    return body


def _answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"Content-Type": "application/json", "Cache-Control": "no-store"},
        "body": json.dumps(body, ensure_ascii=False),
    }


def _record(name: str, connection: database.Connection) -> str | None:
    return avatar.record(connection, name, _currently_shown)


def _currently_shown(name: str) -> avatar.Shown:
    bucket = env_settings.text("ASSETS_BUCKET_NAME")
    try:
        answer = _s3().head_object(Bucket=bucket, Key=f"avatars/{name}.jpg")
    except ClientError as error:
        # Without the right to list the bucket, S3 would answer 403 here: that is a fault.
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return avatar.Shown()
        raise
    return avatar.Shown.from_metadata(answer["Metadata"])


@functools.cache
def _s3() -> Any:
    # A row is locked meanwhile: rather fail and be tried again than wait long.
    config = Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2})
    return boto3.client("s3", config=config)
