"""Rejected uploads: files that can't become an avatar, each with a record in the assets bucket.

Their originals are kept, so they can be tried again once the cause is fixed.
"""

from __future__ import annotations

import heapq
import json
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar

from console.operations import progress
from console.operations.changes import StaleChangeError
from console.operations.environments.aws_errors import MISSING, aws_errors, suppressed
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.pipeline import reconcile
from console.operations.uploads import outcomes

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ObjectTypeDef

SHOWN = 20
SETTLE_SECONDS = 60
_WALKED_ANSWERS = 20  # of at most 1,000 records each
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
        """The upload's ETag, and what stands for its crop."""
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


def page(
    deployment: Deployment,
    before: tuple[float, str] | None = None,
    after_key: str = "",
    limit: int = SHOWN,
) -> RejectedPage:
    """Return a page of rejected uploads, newest first.

    S3 lists by name, so each page walks the records (which expire after 90 days) and keeps the
    newest ones only; the walk is bounded, and goes on after `resume_after`.

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
        # what is held is on the page Review
        uploads=tuple(record for record in records if record and record.code != "held"),
        older=found[limit - 1] if len(found) > limit else None,
        walked=walked,
        resume_after=last_key if cut else None,
    )


@dataclass(frozen=True)
class _Selected:
    """A change of some rejected uploads."""

    target: Target
    deployment: Deployment
    uploads: tuple[RejectedUpload, ...]

    @property
    def subject(self) -> str:
        """What the audit calls it."""
        names = [upload.key for upload in self.uploads]
        return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

    def lines(self) -> Iterable[str]:
        """Yield each record, and whose it is."""
        for upload in self.uploads:
            yield f"{upload.record}  {upload.key}  {upload.code}"

    def check(self) -> None:
        """Raise StaleChangeError if a record is gone, or was written again since it was shown."""
        changed = [
            upload.key
            for upload in self.uploads
            if _recorded(self.deployment, upload) != (upload.recorded)
        ]
        if changed:
            raise StaleChangeError(
                f"The records of {', '.join(changed[:5])} have changed since they were shown.",
                "Refresh the list, then choose again.",
            )


@dataclass(frozen=True)
class TryAgain(_Selected):
    """Queue rejected uploads once more, and wait for what becomes of them.

    The record and the tag of an upload that is accepted now are deleted.
    """

    action: ClassVar[str] = "try again"
    destructive: ClassVar[bool] = False

    def execute(self, report: progress.Report) -> str:
        """Queue them, wait, and say what became of them.

        Raises
        ------
        OperationError
            If some are not processed within `SETTLE_SECONDS`.
        """
        here = self.deployment
        with progress.timed(report, "Look for the originals"):
            gone = [upload for upload in self.uploads if not _original_exists(here, upload)]
            waiting = [upload for upload in self.uploads if upload not in gone]
        with progress.timed(report, "Queue") as detail, aws_errors("queue the uploads"):
            reconcile.queue(here, [(upload.key, upload.version_id) for upload in waiting])
            detail.append(_count(len(waiting), "upload"))
        accepted: list[str] = []
        again: list[str] = []
        with progress.timed(report, "Resize"):
            total, deadline = len(waiting), time.monotonic() + SETTLE_SECONDS
            while waiting:
                for upload in list(waiting):
                    if _has_variants(here, upload):
                        _delete_record(here, upload)
                        accepted.append(upload.key)
                    elif code := _rejected_again(here, upload):
                        again.append(f"{upload.key} ({code})")
                    else:
                        continue
                    waiting.remove(upload)
                    done = total - len(waiting)
                    report(progress.Event("Resize", "advanced", upload.key, done=done, total=total))
                if waiting and time.monotonic() > deadline:
                    raise OperationError(
                        f"{_count(len(waiting), 'upload')} not processed within {SETTLE_SECONDS} "
                        f"s: {', '.join(upload.key for upload in waiting[:5])}.",
                        "They are queued: look at the dead-letter queue and at the queue's age.",
                    )
                time.sleep(0.2)
        parts = [f"{_count(len(accepted), 'upload')} accepted"]
        if again:
            parts.append("rejected again: " + ", ".join(again))
        if gone:
            parts.append("original deleted: " + ", ".join(upload.key for upload in gone))
        return "; ".join(parts) + "."


@dataclass(frozen=True)
class DiscardRecords(_Selected):
    """Delete the records of rejected uploads, and their tags; the originals stay."""

    action: ClassVar[str] = "discard records"
    destructive: ClassVar[bool] = True

    def execute(self, report: progress.Report) -> str:
        """Delete them."""
        total = len(self.uploads)
        for done, upload in enumerate(self.uploads, 1):
            _delete_record(self.deployment, upload)
            report(
                progress.Event("Discard records", "advanced", upload.key, done=done, total=total)
            )
        return f"{_count(total, 'record')} discarded."


def _place(item: ObjectTypeDef) -> tuple[float, str]:
    return item["LastModified"].timestamp(), item["Key"]


def _read_record(deployment: Deployment, recorded: float, record: str) -> RejectedUpload | None:
    """Return a record, or None if it was deleted meanwhile."""
    with suppressed(MISSING):
        found = deployment.s3.get_object(Bucket=deployment.assets_bucket, Key=record)
        said = json.loads(found["Body"].read())
        names = ("key", "version_id", "code", "message", "size")
        return RejectedUpload(
            record=record,
            uploaded=datetime.fromisoformat(said["uploaded"]).timestamp(),
            recorded=recorded,
            **{name: said[name] for name in names},
        )
    return None


def _original_exists(deployment: Deployment, upload: RejectedUpload) -> bool:
    with aws_errors(f"look for the original {upload.key}"), suppressed(MISSING):
        deployment.s3.head_object(**_original(deployment, upload))
        return True
    return False


def _original(deployment: Deployment, upload: RejectedUpload) -> dict[str, Any]:
    version = {"VersionId": upload.version_id} if upload.version_id else {}
    return {"Bucket": deployment.uploads_bucket, "Key": upload.key, **version}


def _has_variants(deployment: Deployment, upload: RejectedUpload) -> bool:
    with aws_errors(f"look for the avatar of {upload.key}"):
        listed = deployment.s3.list_objects_v2(
            Bucket=deployment.assets_bucket,
            Prefix=f"variants/{upload.name}/{upload.version}/",
            MaxKeys=1,
        )
    return listed["KeyCount"] > 0


def _recorded(deployment: Deployment, upload: RejectedUpload) -> float | None:
    """Return when the upload's record was written; None if there is none."""
    with aws_errors(f"look for a rejection of {upload.key}"):
        listed = deployment.s3.list_objects_v2(
            Bucket=deployment.assets_bucket, Prefix=upload.record, MaxKeys=1
        )
    return next((item["LastModified"].timestamp() for item in listed.get("Contents", [])), None)


def _rejected_again(deployment: Deployment, upload: RejectedUpload) -> str | None:
    """Return the code of a record written since, or None."""
    if (_recorded(deployment, upload) or 0) <= upload.recorded:
        return None
    refused = outcomes.rejection(deployment, upload.name, upload.version)
    return refused.code if refused else None


def _delete_record(deployment: Deployment, upload: RejectedUpload) -> None:
    with aws_errors(f"discard the rejection of {upload.key}"):
        with suppressed(MISSING):
            deployment.s3.delete_object_tagging(**_original(deployment, upload))
        deployment.s3.delete_object(Bucket=deployment.assets_bucket, Key=upload.record)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
