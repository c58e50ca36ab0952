"""Resize uploads into avatars: the function behind the uploads bucket's queue."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import boto3
from botocore.config import Config

import env_settings
import json_log
from resize.events import Upload, uploads_in
from resize.header import MAX_BYTES
from resize.image import FORMATS, AvatarRejected, render_variants
from resize.store import Store

POINTER_SIZE = 512
POINTER_FORMAT = "jpg"

log = json_log.logger("resize")

T = TypeVar("T")


def _with(item: T, items: tuple[T, ...]) -> tuple[T, ...]:
    return items if item in items else (*items, item)


@dataclass(frozen=True)
class Settings:
    """The function's settings, checked."""

    assets_bucket: str
    sizes: tuple[int, ...]
    formats: tuple[str, ...]
    max_upload_bytes: int

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the settings; an error names the variable at fault."""
        return cls(
            assets_bucket=env_settings.text("ASSETS_BUCKET_NAME"),
            # the stable avatar and the profile API's address are always there
            sizes=_with(POINTER_SIZE, env_settings.integers("AVATAR_SIZES", "512,128", 16, 2048)),
            formats=_with(
                POINTER_FORMAT, env_settings.choices("AVATAR_FORMATS", "jpg,webp", FORMATS)
            ),
            max_upload_bytes=env_settings.integer("MAX_UPLOAD_BYTES", 25 * 2**20, 1, MAX_BYTES),
        )


settings = Settings.from_environment()
store = Store(
    boto3.client(
        "s3",
        config=Config(
            retries={"mode": "standard", "total_max_attempts": 4},
            connect_timeout=3,
            read_timeout=10,
        ),
    ),
    settings.assets_bucket,
    settings.max_upload_bytes,
)


@json_log.with_request_id
def handler(event: dict[str, Any], _context: json_log.LambdaContext) -> dict[str, Any] | None:
    """Process S3 events, direct or wrapped in SQS messages.

    Returns
    -------
    dict
        For SQS, the messages to deliver again; the others are done. Direct events have no such
        answer: a failure raises, and Lambda retries.
    """
    records = event.get("Records") or []
    if not records or records[0].get("eventSource") != "aws:sqs":
        for upload in uploads_in(event):
            process(upload)
        return None
    failed = []
    for record in records:
        try:
            for upload in uploads_in(json.loads(record["body"])):
                process(upload)
        except Exception as error:
            log.exception(
                "message failed",
                extra={
                    "fields": {
                        "message_id": record["messageId"],
                        "receives": record["attributes"].get("ApproximateReceiveCount"),
                        "reason": str(error),
                    }
                },
            )
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _milliseconds_since(event_time: str | None) -> int | None:
    if event_time is None:
        return None
    elapsed = datetime.now(UTC) - datetime.fromisoformat(event_time)
    return round(elapsed.total_seconds() * 1000)


def process(upload: Upload) -> None:
    """Turn one upload into an avatar, or record why it can't be one."""
    started = time.monotonic()
    facts: dict[str, Any] = {"key": upload.key, "version_id": upload.version_id}

    def say(message: str, **more: Any) -> None:
        facts["ms"] = round((time.monotonic() - started) * 1000)
        log.info(message, extra={"fields": facts | more})

    if not upload.name:
        return say("folder ignored")
    facts["name"] = upload.name
    pointer = store.pointer(upload.name)
    if store.is_known_stale(upload, pointer):
        return say("upload already shown or superseded")
    original = store.read_original(upload)
    if original is None:
        return say("upload deleted before it was processed")
    facts |= {"version": original.version, "bytes": original.size}
    try:
        if upload.is_reserved:
            raise AvatarRejected("reserved_name")
        if original.size > settings.max_upload_bytes:
            raise AvatarRejected("too_many_bytes")
        rendering = time.monotonic()
        variants = render_variants(original.data, settings.sizes, settings.formats)
        facts["render_ms"] = round((time.monotonic() - rendering) * 1000)
    except AvatarRejected as rejection:
        store.write_rejection(upload, original, rejection.code, rejection.message)
        # the user is told the code; operators also see what the decoder said
        return say("upload rejected", code=rejection.code, cause=repr(rejection.__cause__))
    store.write_variants(upload.name, original.version, variants, FORMATS)
    picture = variants[POINTER_SIZE, POINTER_FORMAT]
    shown = store.write_pointer(upload, original, picture, pointer)
    return say(
        "avatar written" if shown else "upload superseded",
        uploaded=original.uploaded.isoformat(),
        since_upload_ms=_milliseconds_since(upload.event_time),
        variants=len(variants),
    )
