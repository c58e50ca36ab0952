"""Delete the pictures that avatars no longer show: the function behind the cleanup queue."""

from __future__ import annotations

import json
from typing import Any

import boto3
from botocore.config import Config

import avatar_variants
import env_settings
import json_log
import sqs_batch
from cleanup.leftovers import Leftovers

_CALL_ATTEMPTS = 2
_READ_SECONDS = 3
_SLOWEST_NAME_SECONDS = 10
"""Four calls, of which one may stall once."""

log = json_log.logger("cleanup")
_config = Config(
    retries={"mode": "standard", "total_max_attempts": _CALL_ATTEMPTS},
    connect_timeout=_READ_SECONDS,
    read_timeout=_READ_SECONDS,
)
leftovers = Leftovers(
    boto3.client("s3", config=_config),
    boto3.client("sqs", config=_config),
    assets_bucket=env_settings.text("ASSETS_BUCKET_NAME"),
    uploads_bucket=env_settings.text("UPLOADS_BUCKET_NAME"),
    queue_url=env_settings.text("QUEUE_URL", pattern=r"https?://\S+"),
    variants=avatar_variants.names_by_kind(),
    resize_seconds=env_settings.integer("RESIZE_SECONDS", 30, 1, 900),
)


@json_log.with_request_id
def handler(event: dict[str, Any], context: json_log.LambdaContext) -> dict[str, Any]:
    """Process messages ``{"name": "<avatar's name>"}``.

    Returns
    -------
    dict
        The messages to deliver again; the others are done.

    Raises
    ------
    BatchFailedError
        If every message failed.
    """
    return sqs_batch.work_through(event["Records"], _clean, _SLOWEST_NAME_SECONDS, context, log)


def _clean(body: str, facts: dict[str, Any]) -> None:
    facts["name"] = json.loads(body)["name"]
    log.info("cleaned", extra={"fields": {"name": facts["name"]} | leftovers.delete(facts["name"])})
