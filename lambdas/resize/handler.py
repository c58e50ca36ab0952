"""Resize uploads into avatars: the function behind the uploads bucket's queue."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

import avatar_variants
import env_settings
import json_log
import sqs_batch
from avatar_variants import FORMATS, POINTERS, Variant
from limits import Limits, Refusal
from picture_kinds import AVATAR, Kind
from resize.events import EventError, Upload, upload_of, uploads_in
from resize.header import MAX_BYTES
from resize.image import AvatarRejected, placeholder, render
from resize.leftovers import Leftovers
from resize.moderation import APPROVED, HELD, REFUSED, Moderation
from resize.rejection import OF_THE_PICTURE, UploadHeld
from resize.store import Original, Pointer, StaleUploadError, Store

CALL_ATTEMPTS = 3
READ_SECONDS = 3
SLOWEST_CALL_SECONDS = CALL_ATTEMPTS * READ_SECONDS + 3
"""A call of S3 that stalls each time, with botocore's waits of up to 1 and 2 s in between."""

WRITTEN = "avatar written"
"""What the log says of an upload that is shown now."""
OUTCOMES = {
    WRITTEN: "written",
    "upload superseded": "superseded",
    "upload already shown or superseded": "superseded",
    "upload rejected": "rejected",
    "upload refused": "rejected",
    "upload held": "held",
    "avatar removed": "removed",
}
"""What each line that ends an upload is counted as."""
NOT_MADE_AGAIN = "rejected, but shown already"
"""What it says of one that is shown and, processed again, is rejected: it stays as it was."""

log = json_log.logger("resize")


@dataclass(frozen=True)
class Settings:
    """The function's settings, checked."""

    assets_bucket: str
    variants: Mapping[Kind, tuple[Variant, ...]]
    max_upload_bytes: int
    cleanup_queue_url: str

    @classmethod
    def from_environment(cls) -> Settings:
        """Read the settings; an error names the variable at fault."""
        return cls(
            assets_bucket=env_settings.text("ASSETS_BUCKET_NAME"),
            variants=avatar_variants.by_kind(),
            max_upload_bytes=env_settings.integer("MAX_UPLOAD_BYTES", 25 * 2**20, 1, MAX_BYTES),
            cleanup_queue_url=env_settings.text("CLEANUP_QUEUE_URL", pattern=r"https?://\S+"),
        )


settings = Settings.from_environment()
if avatar_variants.is_old():
    log.warning(
        "AVATAR_SIZES and AVATAR_FORMATS go with the next version",
        extra={"fields": {"AVATAR_VARIANTS": ",".join(map(str, settings.variants[AVATAR]))}},
    )
config = Config(
    retries={"mode": "standard", "total_max_attempts": CALL_ATTEMPTS},
    connect_timeout=READ_SECONDS,
    read_timeout=READ_SECONDS,
    tcp_keepalive=True,
)
store = Store(boto3.client("s3", config=config), settings.assets_bucket, settings.max_upload_bytes)
# made with the first avatar that is replaced
leftovers = Leftovers(lambda: boto3.client("sqs", config=config), settings.cleanup_queue_url)


limits = Limits.from_environment(log, seconds=READ_SECONDS)
counting = ThreadPoolExecutor(1)


@cache
def _lambda(seconds: float) -> Any:
    """Return a Lambda client that waits so long at most: connected, asked, and not again."""
    return boto3.client(
        "lambda",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=1, read_timeout=seconds),
    )


moderation = Moderation.from_environment(log, READ_SECONDS, _lambda)
slowest_seconds = SLOWEST_CALL_SECONDS
if moderation and moderation.verdict_function:
    slowest_seconds += 1 + moderation.verdict_function.seconds


@json_log.with_request_id
def handler(event: dict[str, Any], context: json_log.LambdaContext) -> dict[str, Any] | None:
    """Process S3 events, direct or wrapped in SQS messages, and tasks of S3 Batch Operations.

    Returns
    -------
    dict
        For SQS, the messages to deliver again; the others are done. For S3 Batch Operations, what
        became of each task. Direct events have no such answer: a failure raises, and Lambda
        retries.

    Raises
    ------
    BatchFailedError
        If every message failed.
    """
    if "invocationSchemaVersion" in event:
        return _work_on_tasks(event)
    records = event.get("Records") or []
    if not records or records[0].get("eventSource") != "aws:sqs":
        for upload in uploads_in(event):
            _work_on(upload)
        return None
    return sqs_batch.work_through(records, _process_message, slowest_seconds, context, log)


def _process_message(body: str, facts: dict[str, Any]) -> None:
    for upload in uploads_in(json.loads(body)):
        facts["key"] = upload.key
        _work_on(upload)


def _work_on(upload: Upload) -> str:
    return process_again(upload) if upload.again else process(upload)


def _work_on_tasks(event: dict[str, Any]) -> dict[str, Any]:
    """Work on what S3 Batch Operations asks for; S3 tries again what failed temporarily."""
    results = []
    for task in event["tasks"]:
        try:
            said = _work_on(upload_of(task))
            code = "PermanentFailure" if NOT_MADE_AGAIN in said else "Succeeded"
        except EventError as error:
            code, said = "PermanentFailure", str(error)
        except Exception as error:
            code, said = "TemporaryFailure", f"{type(error).__name__}: {error}"
            fields = {"task_id": task["taskId"], "job": event["job"]["id"], "reason": str(error)}
            log.exception("task failed", extra={"fields": fields})
        results.append({"taskId": task["taskId"], "resultCode": code, "resultString": said[:1024]})
    return {
        "invocationSchemaVersion": event["invocationSchemaVersion"],
        "invocationId": event["invocationId"],
        "treatMissingKeysAs": "PermanentFailure",
        "results": results,
    }


def _milliseconds_since(event_time: str | None) -> int | None:
    if event_time is None:
        return None
    elapsed = datetime.now(UTC) - datetime.fromisoformat(event_time)
    return round(elapsed.total_seconds() * 1000)


def _counted(message: str, upload: Upload, said: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the line that ends an upload is counted by: its outcome and its times."""
    outcome = OUTCOMES.get(message)
    if outcome is None or upload.again:
        return {}
    fields: dict[str, Any] = {"outcome": outcome}
    times, by = ["ms"], ["function", "outcome"]
    waited = _milliseconds_since(upload.event_time)
    if waited is not None:
        fields["since_upload_ms"] = waited
        times.append("since_upload_ms")
    codes = [(["ms"], [*by, "code"])] if "code" in said else []
    return fields | json_log.metrics((times, by), *codes)


def _count(upload: Upload) -> Refusal | None:
    """Count a user's upload; what operators send, or queue again, is only held to locks."""
    if limits is None or upload.removes:
        return None
    user = upload.key.removeprefix(upload.kind.folder)
    if not re.fullmatch(r"[0-9A-Za-z_-]{1,128}", user):
        return None
    if upload.event_time is None:
        return limits.look_for_lock(user)
    at = datetime.fromisoformat(upload.event_time).timestamp()
    return limits.count(user, f"{upload.version_id} {upload.sequencer}", at)


def _decided(upload: Upload, original: Original, pointer: Pointer | None) -> str:
    """Return what was decided of an upload, or "" if nothing was.

    Raises
    ------
    AvatarRejected
        If it was refused, or waits.
    """
    if pointer and pointer.version_id and pointer.version_id == original.version_id:
        return "shown"
    if moderation is None:
        return ""
    state = moderation.state(upload, original)
    return _hold(upload, original) if state == HELD else _allowed(state)


def _judged(upload: Upload, original: Original, picture: bytes) -> str:
    """Let an upload pass of which nothing was decided, or hold it; return and raise likewise."""
    if moderation is None:
        return ""
    hold, score = moderation.judge(upload, original, picture)
    return _hold(upload, original, score) if hold else ""


def _hold(upload: Upload, original: Original, score: float | None = None) -> str:
    """Tell the user, then operators: what they decide is told after that, never before."""
    held = UploadHeld()
    store.write_record(upload, original, held.code, held.message)
    return _allowed(moderation.hold(upload, original, score)) if moderation else ""


def _allowed(state: str) -> str:
    if state == REFUSED:
        raise AvatarRejected("not_allowed")
    if state == HELD:
        raise UploadHeld
    return state


def process_again(upload: Upload) -> str:
    """Process what is shown, and what was rejected for the picture's sake; all else stays as it is.

    Where the upload itself is not what is shown, what is shown of its key is processed, too.
    """
    said = process(upload)
    if said == WRITTEN:
        return said
    pointer = store.pointer(upload.name) if upload.name else None
    if not (pointer and pointer.version and pointer.version_id and pointer.is_of(upload.key)):
        return said
    if pointer.version_id == upload.version_id:
        return said
    return f"{said}; what is shown: {process(replace(upload, version_id=pointer.version_id))}"


def process(upload: Upload) -> str:
    """Turn one upload into an avatar or banner, record why it can't be one, or remove it.

    What is no longer shown is left to `cleanup`, which is told so after each of its pictures has
    been replaced, and again where that might not have been done: a message that comes again.

    Returns
    -------
    str
        What became of it, as the log says.
    """
    started = time.monotonic()
    facts: dict[str, Any] = {"key": upload.key, "version_id": upload.version_id}

    def say(message: str, **more: Any) -> str:
        facts["ms"] = round((time.monotonic() - started) * 1000)
        log.info(message, extra={"fields": facts | more | _counted(message, upload, more)})
        return message

    if not upload.name:
        return say("folder ignored")
    facts["name"] = upload.name
    if upload.removes and (upload.is_reserved or upload.is_too_long()):
        return say("no avatar to remove")
    counted: Future[Refusal | None] = counting.submit(_count, upload)
    try:
        pointer, original = store.read(upload)
    except StaleUploadError:
        refusal = counted.result()
        if refusal and refusal.code == "erased":  # and removed since
            store.let_expire(upload)
        leftovers.announce(upload.name)
        return say("upload already shown or superseded")
    finally:
        counted.exception()  # no call outlives its message
    if original is None:
        return say("upload deleted before it was processed")
    if upload.removes:
        said = "avatar removed"
        try:
            store.write_removal(upload, original, pointer)
        except StaleUploadError:
            said = "removal superseded"
        leftovers.announce(upload.name)
        return say(said)
    facts |= {"version": original.version, "bytes": original.size}
    # the avatar's own picture first: the others are made while it is being written
    wanted, stable = settings.variants[upload.kind], POINTERS[upload.kind]
    variants = sorted({stable, *wanted}, key=lambda each: each != stable)
    picture = b""
    refusal = counted.result()
    if refusal and refusal.code == "erased":
        store.let_expire(upload)
        return say("upload of an erased account")
    made_again = bool(upload.again and pointer and pointer.shows(original))
    if upload.again and not made_again:
        code = store.rejection(upload, original)
        if code not in OF_THE_PICTURE:
            return say("left as it is", code=code)
    try:
        if upload.is_reserved:
            raise AvatarRejected("reserved_name")
        if upload.is_too_long(original.version):
            raise AvatarRejected("name_too_long")
        if original.size > settings.max_upload_bytes:
            raise AvatarRejected("too_many_bytes")
        if refusal and upload.event_time:
            raise AvatarRejected(refusal.code)
        state = _decided(upload, original, pointer)
        # what is shown already, or approved, stays so whoever is locked
        if refusal and state not in {"shown", APPROVED}:
            raise AvatarRejected(refusal.code)
        rendering = time.monotonic()
        with store.variants(upload.name, original.version) as write:
            for variant, rendered in render(original.data, variants, original.crop):
                if variant == stable:
                    picture = rendered
                    state = state or _judged(upload, original, picture)
                if variant in wanted:
                    write(str(variant), FORMATS[variant.format], rendered)
            blurred = placeholder(picture)
            facts["render_ms"] = round((time.monotonic() - rendering) * 1000)
    except UploadHeld:
        return say("upload held")
    except AvatarRejected as rejection:
        if made_again:
            return say(NOT_MADE_AGAIN, code=rejection.code, cause=repr(rejection.__cause__))
        if refusal and refusal.is_flood:  # told often enough
            store.mark(upload, original, rejection.code)
            return say("upload refused", code=rejection.code)
        store.write_rejection(upload, original, rejection.code, rejection.message)
        # the user is told the code; operators also see what the decoder said
        return say("upload rejected", code=rejection.code, cause=repr(rejection.__cause__))
    said, replaces = WRITTEN, True
    try:
        before = store.write_pointer(upload, original, picture, blurred, pointer)
        replaces = before is not None and not (upload.again and before.shows(original))
    except StaleUploadError:
        said = "upload superseded"
    facts |= {
        "uploaded": original.uploaded.isoformat(),
        "variants": len(wanted),
    }
    if replaces or state == APPROVED:  # its record says that it is held
        leftovers.announce(upload.name)
    return say(said)
