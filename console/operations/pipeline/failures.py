"""Uploads that did not become avatars: rejected for good, or failed too often.

A rejected upload has a record in the assets bucket; one that failed is a dead letter. Both keep
their original, so both can be tried again once the cause is mended.
"""

from __future__ import annotations

import heapq
import io
import json
import time
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError
from PIL import Image, ImageOps

from console.operations import progress
from console.operations.environments import logs
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.pipeline import dead_letters, reconcile
from console.operations.pipeline.dead_letters import DeadLetter
from console.operations.uploads import outcomes

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectTypeDef

LETTERS_SHOWN = 10
REJECTIONS_SHOWN = 20
SETTLE_SECONDS = 60
PREVIEW_EDGE = 320
_WALKED_ANSWERS = 20  # of at most 1,000 records each
_LOG_ANSWERS = 10
_LINES_SHOWN = 50
_LETTER_HOLD_SECONDS = 10
_PREVIEW_BYTES = 12 * 2**20
_PREVIEW_PIXELS = 40_000_000
_PREVIEW_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF")
_WORKERS = 8


@dataclass(frozen=True)
class RejectedUpload:
    """The record of an upload that can't become an avatar.

    Attributes
    ----------
    record
        The record's key in the assets bucket.
    key, version_id
        The original in the uploads bucket; None where it has no versions.
    code, message
        Why, for programs and in a sentence.
    size
        Bytes of the original.
    uploaded, recorded
        Seconds since 1970.
    """

    record: str
    key: str
    version_id: str | None
    code: str
    message: str
    size: int
    uploaded: float
    recorded: float

    @property
    def name(self) -> str:
        """The avatar's name."""
        return self.record.removeprefix("rejections/").rpartition("/")[0]

    @property
    def version(self) -> str:
        """The upload's ETag."""
        return self.record.rpartition("/")[2].removesuffix(".json")


@dataclass(frozen=True)
class RejectedPage:
    """Some rejected uploads, newest first.

    Attributes
    ----------
    older
        Where the next page begins, or None if this is the last one.
    walked
        How many records were looked at to find the newest.
    resume_after
        The last key looked at, if there were more records than one page looks at.
    """

    uploads: tuple[RejectedUpload, ...]
    older: tuple[float, str] | None
    walked: int
    resume_after: str | None


@dataclass(frozen=True)
class Letters:
    """Some of the dead letters, oldest first, and how many there are."""

    shown: tuple[DeadLetter, ...]
    total: int


@dataclass(frozen=True)
class Cause:
    """Why a message failed the last time, as the resize function's log says it."""

    error: str
    sentence: str
    stack: str
    at: float


@dataclass(frozen=True)
class Handled:
    """How many chosen letters were handled; `missing` were gone or held by another reader."""

    done: int
    missing: int
    verb: str

    def __str__(self) -> str:
        rest = f", {self.missing} no longer there" if self.missing else ""
        return f"{_count(self.done, 'letter')} {self.verb}{rest}."


@dataclass(frozen=True)
class Retried:
    """What became of rejected uploads that were tried again.

    Attributes
    ----------
    accepted
        They became avatars, or would have but for a later upload.
    rejected
        Their keys, each with the code of the new rejection.
    gone
        Keys whose original was deleted meanwhile.
    """

    accepted: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]
    gone: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{_count(len(self.accepted), 'upload')} accepted"]
        if self.rejected:
            parts.append("rejected again: " + ", ".join(f"{k} ({c})" for k, c in self.rejected))
        if self.gone:
            parts.append("original deleted: " + ", ".join(self.gone))
        return "; ".join(parts) + "."


def rejected(
    deployment: Deployment,
    before: tuple[float, str] | None = None,
    after_key: str = "",
    limit: int = REJECTIONS_SHOWN,
) -> RejectedPage:
    """Return a page of rejected uploads, newest first.

    S3 lists by name, so each page walks the records (which expire after 90 days) and keeps the
    newest ones only; the walk is bounded, and goes on behind `resume_after`.

    Parameters
    ----------
    before
        The previous page's `older`; None for the newest.
    after_key
        An earlier page's `resume_after`.
    """
    walked, last_key, cut = 0, "", False

    def walk() -> Iterator[tuple[float, str]]:
        nonlocal walked, last_key, cut
        pages = deployment.s3.get_paginator("list_objects_v2").paginate(
            Bucket=deployment.assets_bucket, Prefix="rejections/", StartAfter=after_key
        )
        for page in islice(pages, _WALKED_ANSWERS):
            for item in page.get("Contents", []):
                walked, last_key = walked + 1, item["Key"]
                place = _place(item)
                if before is None or place < before:
                    yield place
            cut = page["IsTruncated"]

    with aws_errors("list the rejected uploads"):
        found = heapq.nlargest(limit + 1, walk())
        with ThreadPoolExecutor(_WORKERS) as pool:
            records = list(pool.map(lambda place: _read_record(deployment, *place), found[:limit]))
    return RejectedPage(
        uploads=tuple(record for record in records if record),
        older=found[limit - 1] if len(found) > limit else None,
        walked=walked,
        resume_after=last_key if cut else None,
    )


def try_again(
    deployment: Deployment, uploads: Sequence[RejectedUpload], report: progress.Report
) -> Retried:
    """Queue rejected uploads once more, and wait for what becomes of them.

    The record and the mark of an upload that is accepted now are deleted.

    Raises
    ------
    OperationError
        If some are not processed within `SETTLE_SECONDS`.
    """
    with progress.timed(report, "Look for the originals"):
        gone = [item for item in uploads if not _original_exists(deployment, item)]
        waiting = [item for item in uploads if item not in gone]
    with progress.timed(report, "Queue") as detail, aws_errors("queue the uploads"):
        reconcile.queue(deployment, [(item.key, item.version_id) for item in waiting])
        detail.append(_count(len(waiting), "upload"))
    accepted: list[str] = []
    again: list[tuple[str, str]] = []
    with progress.timed(report, "Resize"):
        total, deadline = len(waiting), time.monotonic() + SETTLE_SECONDS
        while waiting:
            for item in list(waiting):
                if _has_variants(deployment, item):
                    _forget_rejection(deployment, item)
                    accepted.append(item.key)
                elif code := _rejected_again(deployment, item):
                    again.append((item.key, code))
                else:
                    continue
                waiting.remove(item)
                settled = total - len(waiting)
                report(progress.Event("Resize", "advanced", item.key, done=settled, total=total))
            if waiting and time.monotonic() > deadline:
                raise OperationError(
                    f"{_count(len(waiting), 'upload')} not processed within {SETTLE_SECONDS} s: "
                    f"{', '.join(item.key for item in waiting[:5])}.",
                    "They are queued: look at the dead letters and at the queue's age.",
                )
            time.sleep(0.2)
    return Retried(tuple(accepted), tuple(again), tuple(item.key for item in gone))


def discard_records(
    deployment: Deployment, uploads: Sequence[RejectedUpload], report: progress.Report
) -> str:
    """Delete the records of rejected uploads, and their marks; the originals stay."""
    for done, item in enumerate(uploads, 1):
        _forget_rejection(deployment, item)
        report(
            progress.Event("Discard records", "advanced", item.key, done=done, total=len(uploads))
        )
    return f"{_count(len(uploads), 'record')} discarded."


def letters(deployment: Deployment, limit: int = LETTERS_SHOWN) -> Letters:
    """Return some dead letters, letting others see them again at once."""
    total = dead_letters.counts(deployment)["dead"]
    found: list[DeadLetter] = []
    try:
        if total:
            wanted = min(limit, total)
            for letter in dead_letters.receive(deployment, wanted, _LETTER_HOLD_SECONDS):
                found.append(letter)  # noqa: PERF402 - what came before a failure is released
    finally:
        dead_letters.release(deployment, found)
    return Letters(tuple(sorted(found, key=lambda letter: letter.sent_at)), total)


def causes(deployment: Deployment, found: Collection[DeadLetter]) -> dict[str, Cause]:
    """Return the last failure of each letter by its message id, as far as the log tells."""
    if not found:
        return {}
    since = min(letter.sent_at for letter in found)
    lines = logs.read(deployment, ["resize"], since, "message failed", _LOG_ANSWERS)
    return {
        line.fields["message_id"]: Cause(
            error=str(line.fields.get("error", "unknown")),
            sentence=_last_line(str(line.fields.get("stack", ""))),
            stack=str(line.fields.get("stack", "")),
            at=line.time,
        )
        for line in lines
        if "message_id" in line.fields
    }


def log_lines(deployment: Deployment, containing: Collection[str], since: float) -> list[logs.Line]:
    """Return the resize function's newest lines with any of these texts, oldest first."""
    lines = {
        (line.time, line.text): line
        for text in containing
        for line in logs.read(deployment, ["resize"], since, text, _LOG_ANSWERS)
    }
    return [lines[place] for place in sorted(lines)][-_LINES_SHOWN:]


def redrive(
    deployment: Deployment, message_ids: Collection[str], report: progress.Report
) -> Handled:
    """Put the chosen letters back on the queue."""
    done = 0
    for letter in _chosen(deployment, message_ids):
        dead_letters.redrive(deployment, letter)
        done += 1
        report(_advanced("Redrive", letter, done, len(message_ids)))
    return Handled(done, len(message_ids) - done, "put back on the queue")


def redrive_all(deployment: Deployment, report: progress.Report) -> Handled:
    """Put every dead letter back on the queue."""
    return Handled(dead_letters.redrive_all(deployment, report), 0, "put back on the queue")


def discard(
    deployment: Deployment, message_ids: Collection[str], report: progress.Report
) -> Handled:
    """Delete the chosen letters; their originals stay in the uploads bucket."""
    done = 0
    for letter in _chosen(deployment, message_ids):
        dead_letters.discard(deployment, letter)
        done += 1
        report(_advanced("Discard", letter, done, len(message_ids)))
    return Handled(done, len(message_ids) - done, "discarded")


def preview(deployment: Deployment, key: str, version_id: str | None = None) -> bytes | None:
    """Return a small JPEG of an original, or None if there is none to be made.

    What is here was refused or made something fail: only the formats that avatars are made of
    are opened, up to 12 MiB and 40 million pixels.
    """
    version = {"VersionId": version_id} if version_id else {}
    with aws_errors(f"read the original {key}"):
        try:
            found = deployment.s3.get_object(
                Bucket=deployment.uploads_bucket,
                Key=key,
                **version,  # type: ignore[arg-type]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in {"404", "NoSuchKey", "NoSuchVersion"}:
                return None
            raise
        with found["Body"] as body:
            data = body.read() if found["ContentLength"] <= _PREVIEW_BYTES else b""
    try:
        return _thumbnail(data)
    except Exception:  # decoders meet broken files with errors of every kind
        return None


def _thumbnail(data: bytes) -> bytes | None:
    with Image.open(io.BytesIO(data), formats=_PREVIEW_FORMATS) as picture:
        if picture.width * picture.height > _PREVIEW_PIXELS:
            return None
        picture.thumbnail((PREVIEW_EDGE, PREVIEW_EDGE))
        upright = ImageOps.exif_transpose(picture).convert("RGBA")
    flat = Image.new("RGB", upright.size, "white")
    flat.paste(upright, mask=upright)
    stream = io.BytesIO()
    flat.save(stream, "JPEG", quality=80)
    return stream.getvalue()


def _place(item: ObjectTypeDef) -> tuple[float, str]:
    return item["LastModified"].timestamp(), item["Key"]


def _read_record(deployment: Deployment, recorded: float, record: str) -> RejectedUpload | None:
    """Return a record, or None if it was deleted meanwhile."""
    try:
        found = deployment.s3.get_object(Bucket=deployment.assets_bucket, Key=record)
    except ClientError as error:
        if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
            return None
        raise
    said = json.loads(found["Body"].read())
    return RejectedUpload(
        record=record,
        key=said["key"],
        version_id=said["version_id"],
        code=said["code"],
        message=said["message"],
        size=said["size"],
        uploaded=datetime.fromisoformat(said["uploaded"]).timestamp(),
        recorded=recorded,
    )


def _original_exists(deployment: Deployment, upload: RejectedUpload) -> bool:
    version = {"VersionId": upload.version_id} if upload.version_id else {}
    with aws_errors(f"look for the original {upload.key}"):
        try:
            deployment.s3.head_object(
                Bucket=deployment.uploads_bucket,
                Key=upload.key,
                **version,  # type: ignore[arg-type]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in {"404", "NoSuchKey", "NoSuchVersion"}:
                return False
            raise
    return True


def _has_variants(deployment: Deployment, upload: RejectedUpload) -> bool:
    with aws_errors(f"look for the avatar of {upload.key}"):
        listed = deployment.s3.list_objects_v2(
            Bucket=deployment.assets_bucket,
            Prefix=f"variants/{upload.name}/{upload.version}/",
            MaxKeys=1,
        )
    return listed["KeyCount"] > 0


def _rejected_again(deployment: Deployment, upload: RejectedUpload) -> str | None:
    """Return the code of a record written since, or None."""
    with aws_errors(f"look for a rejection of {upload.key}"):
        listed = deployment.s3.list_objects_v2(
            Bucket=deployment.assets_bucket, Prefix=upload.record, MaxKeys=1
        )
    for item in listed.get("Contents", []):
        if item["LastModified"].timestamp() > upload.recorded:
            refused = outcomes.rejection(deployment, upload.name, upload.version)
            return refused.code if refused else None
    return None


def _forget_rejection(deployment: Deployment, upload: RejectedUpload) -> None:
    version = {"VersionId": upload.version_id} if upload.version_id else {}
    with aws_errors(f"discard the rejection of {upload.key}"):
        try:
            deployment.s3.delete_object_tagging(
                Bucket=deployment.uploads_bucket,
                Key=upload.key,
                **version,
            )
        except ClientError as error:
            if error.response["Error"]["Code"] not in {"404", "NoSuchKey", "NoSuchVersion"}:
                raise
        deployment.s3.delete_object(Bucket=deployment.assets_bucket, Key=upload.record)


def _chosen(deployment: Deployment, message_ids: Collection[str]) -> Iterator[DeadLetter]:
    """Yield the chosen letters; the others are seen by everyone again at the end."""
    wanted, others = set(message_ids), []
    try:
        for letter in dead_letters.receive(deployment):
            if letter.message_id not in wanted:
                others.append(letter)
                continue
            wanted.remove(letter.message_id)
            yield letter
            if not wanted:
                break
    finally:
        dead_letters.release(deployment, others)


def _advanced(step: str, letter: DeadLetter, done: int, total: int) -> progress.Event:
    return progress.Event(step, "advanced", ", ".join(letter.keys), done=done, total=total)


def _last_line(stack: str) -> str:
    lines = stack.strip().splitlines()
    return lines[-1].strip() if lines else "the log says no more"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
