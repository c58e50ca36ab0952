"""Remove the caller's avatar or banner (API Gateway, payload 2.0).

A delete marker is put on the original. S3 announces it on the queue of uploads, by which `resize`
orders the removal with them.
"""

from __future__ import annotations

import math
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import env_settings
import http_api
import json_log
import picture_kinds
from limits import Limits

LOG = json_log.logger("remove")
LIMITS = Limits.from_environment(LOG, seconds=1)  # a user waits
_BUCKET = env_settings.text("UPLOADS_BUCKET_NAME")
_TOO_MANY = "The picture was removed too many times. Wait {0} minutes, then try again."
_s3 = boto3.client(
    "s3",
    config=Config(connect_timeout=2, read_timeout=3, retries={"total_max_attempts": 2}),
)


@json_log.with_request_id
def handler(event: dict[str, Any], _context: json_log.LambdaContext) -> dict[str, Any]:
    """Answer 202: what is done now is in S3, the rest follows as with an upload."""
    user = http_api.caller(event)
    if user is None:
        LOG.error("no_caller", extra={"fields": {"remedy": "put the authorizer on this route"}})
        return http_api.refusal(401, "unauthorized", "Sign in first.")
    try:
        kind = picture_kinds.from_request((event.get("queryStringParameters") or {}).get("kind"))
    except ValueError as error:
        return http_api.refusal(400, "invalid_request", str(error))
    key = kind.folder + user
    if LIMITS and (refusal := LIMITS.count_removal(user, event["requestContext"]["requestId"])):
        LOG.info("refused", extra={"fields": {"key": key, "code": refusal.code}})
        seconds = refusal.retry_after or 1
        sentence = _TOO_MANY.format(math.ceil(seconds / 60))
        return http_api.later(429, "too_many_removals", sentence, seconds)
    try:
        marker = _s3.delete_object(Bucket=_BUCKET, Key=key)
    except (BotoCoreError, ClientError):
        LOG.exception("not removed", extra={"fields": {"key": key}})
        sentence = "The picture could not be removed just now. Try again."
        return http_api.refusal(503, "unavailable", sentence)
    LOG.info("removed", extra={"fields": {"key": key, "version_id": marker.get("VersionId")}})
    return http_api.answer(202, {"key": key})
