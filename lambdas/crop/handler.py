"""Crop the caller's picture again, without another upload (API Gateway, payload 2.0).

S3 copies the original over itself with the new crop in its metadata: a new version, of which S3
notifies the queue of uploads, and which `resize` orders, counts and processes as any upload.
"""

from __future__ import annotations

import math
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

import avatar_crop
import avatar_variants
import env_settings
import http_api
import json_log
import picture_kinds
from avatar_crop import Crop, etag_of, version_of
from limits import Limits
from picture_kinds import Kind

LOG = json_log.logger("crop")
LIMITS = Limits.from_environment(LOG, seconds=1)  # a user waits
_VARIANTS = avatar_variants.names_by_kind()
_BUCKET = env_settings.text("UPLOADS_BUCKET_NAME")
_s3 = boto3.client(
    "s3",
    config=Config(connect_timeout=2, read_timeout=8, retries={"total_max_attempts": 2}),
)

_EXAMPLE = '{"crop": [0.25, 0, 0.5]}'
_TOO_MANY = "Too many pictures were sent. Wait {0} minutes, then try again."
_LOCKED = "This account may not send pictures. Ask the operators of this service why."
_NONE = "There is no picture to crop. Send one."
_NOT_ALLOWED = "This picture is not allowed here. Choose another one."
_CHANGED = "Another picture has come meanwhile. Crop that one, or send this one again."
_UNAVAILABLE = "The picture could not be cropped just now. Try again."


class CropRequestError(Exception):
    """The request can't be served; the answer says why."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__()
        self.answer = answer


@json_log.with_request_id
def handler(event: dict[str, Any], _context: json_log.LambdaContext) -> dict[str, Any]:
    """Answer 202 with the version that is being made, or with what to do instead."""
    user = http_api.caller(event)
    if user is None:
        LOG.error("no_caller", extra={"fields": {"remedy": "put the authorizer on this route"}})
        return http_api.refusal(401, "unauthorized", "Sign in first.")
    key = user
    try:
        kind, crop, wanted = _read(event)
        key = kind.folder + user
        if LIMITS and (refusal := LIMITS.look(user)):
            if refusal.retry_after is None:
                raise _error(403, "locked", _LOCKED)
            sentence = _TOO_MANY.format(math.ceil(refusal.retry_after / 60))
            raise CropRequestError(
                http_api.later(429, "too_many_uploads", sentence, refusal.retry_after)
            )
        version, version_id = _copy(key, crop, wanted)
    except CropRequestError as refused:
        LOG.info("refused", extra={"fields": {"key": key, "status": refused.answer["statusCode"]}})
        return refused.answer
    fields = {"key": key, "version": version, "version_id": version_id}
    LOG.info("cropped", extra={"fields": fields})
    return http_api.answer(202, fields | {"variants": _VARIANTS[kind]})


def _read(event: dict[str, Any]) -> tuple[Kind, Crop, str | None]:
    """Return the kind, the crop, and for which version it was chosen, if the request says."""
    try:
        body = http_api.json_object(
            event.get("body") or "", event.get("isBase64Encoded") is True, _EXAMPLE
        )
        kind = picture_kinds.from_request(body.get("kind"))
        crop = Crop.from_request(body.get("crop"))
        version = body.get("version")
        if not isinstance(version, str | None):
            raise ValueError("version must be the text that the PUT's ETag or an answer gave.")
    except ValueError as error:
        raise _error(400, "invalid_request", str(error)) from error
    return kind, crop, version


def _copy(key: str, crop: Crop, wanted: str | None) -> tuple[str, str | None]:
    """Copy the newest original over itself, and return the copy's version and S3's id of it."""
    try:
        found = _s3.head_object(Bucket=_BUCKET, Key=key)
        # The picture counts: whoever crops again, or lost an answer, may name any of its crops.
        if wanted and etag_of(wanted) != version_of(found["ETag"], None):
            raise _error(409, "changed", _CHANGED)
        if _is_refused(key):
            raise _error(403, "not_allowed", _NOT_ALLOWED)
        copied = _s3.copy_object(
            Bucket=_BUCKET,
            Key=key,
            CopySource={"Bucket": _BUCKET, "Key": key},
            CopySourceIfMatch=found["ETag"],
            IfMatch=found["ETag"],  # nor may another come while S3 copies
            MetadataDirective="REPLACE",
            TaggingDirective="REPLACE",  # a rejection's tag is not the copy's
            ContentType=found["ContentType"],
            Metadata={avatar_crop.METADATA: str(crop)},
        )
    except ClientError as error:
        code = error.response["Error"]["Code"]
        if code in {"404", "NoSuchKey"}:  # never sent, or removed
            raise _error(404, "no_picture", _NONE) from error
        if code == "PreconditionFailed":
            raise _error(409, "changed", _CHANGED) from error
        LOG.exception("not cropped", extra={"fields": {"key": key}})
        raise _error(503, "unavailable", _UNAVAILABLE) from error
    except BotoCoreError as error:
        LOG.exception("not cropped", extra={"fields": {"key": key}})
        raise _error(503, "unavailable", _UNAVAILABLE) from error
    return version_of(copied["CopyObjectResult"]["ETag"], crop), copied.get("VersionId")


def _is_refused(key: str) -> bool:
    """Say whether operators have refused the picture; the copy would not have its tag."""
    tags = _s3.get_object_tagging(Bucket=_BUCKET, Key=key)["TagSet"]
    return {"Key": "avatar-rejection", "Value": "not_allowed"} in tags


def _error(status: int, code: str, message: str) -> CropRequestError:
    return CropRequestError(http_api.refusal(status, code, message))
