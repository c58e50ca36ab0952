"""Gives a signed-in user a URL to PUT their picture to (API Gateway, payload 2.0)."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from typing import Any

import avatar_crop
import http_api
import json_log
from limits import Limits
from presign import settings, upload_request
from presign.sigv4 import presign_put

SETTINGS = settings.from_environment()
EXPIRES_IN = 300
"""Seconds in which the upload must begin."""

LOG = json_log.logger("presign")
LIMITS = Limits.from_environment(LOG, seconds=1)  # a user waits

_TOO_MANY = "Too many pictures were sent. Wait {0} minutes, then send another."
_LOCKED = "This account may not send pictures. Ask the operators of this service why."


@json_log.with_request_id
def handler(event: dict[str, Any], _context: json_log.LambdaContext) -> dict[str, Any]:
    """Answer with the URL, or with an error that says what to send instead."""
    try:
        user = _caller(event)
        request = upload_request.read(
            event.get("body"), event.get("isBase64Encoded") is True, SETTINGS.max_upload_bytes
        )
    except upload_request.RequestError as error:
        LOG.info("refused", extra={"fields": {"code": error.error["code"]}})
        return http_api.answer(error.status, {"error": error.error})
    if LIMITS and (refusal := LIMITS.look(user)):
        LOG.info("refused", extra={"fields": {"key": user, "code": refusal.code}})
        if refusal.retry_after is None:
            return http_api.refusal(403, "locked", _LOCKED)
        sentence = _TOO_MANY.format(math.ceil(refusal.retry_after / 60))
        return http_api.later(429, "too_many_uploads", sentence, refusal.retry_after)
    key = request.kind.folder + user
    crop = {f"x-amz-meta-{avatar_crop.METADATA}": str(request.crop)} if request.crop else {}
    url = presign_put(
        SETTINGS.bucket_url,
        key,
        {"content-type": request.content_type, "content-length": str(request.size), **crop},
        region=SETTINGS.region,
        credentials=SETTINGS.credentials,
        expires_in=EXPIRES_IN,
        now=datetime.now(UTC),
    )
    fields = {"key": key, "content_type": request.content_type, "size": request.size}
    LOG.info("presigned", extra={"fields": fields})
    return http_api.answer(
        200,
        {
            "url": url,
            "method": "PUT",
            "headers": {"Content-Type": request.content_type, **crop},
            "key": key,
            "expires_in": EXPIRES_IN,
            "variants": SETTINGS.variants[request.kind],
            "version_suffix": request.crop.suffix if request.crop else "",
        },
    )


def _caller(event: dict[str, Any]) -> str:
    sub = http_api.caller(event)
    if sub is None:
        LOG.error("no_caller", extra={"fields": {"remedy": "put the authorizer on this route"}})
        raise upload_request.RequestError(401, "unauthorized", "Sign in first.")
    return sub
