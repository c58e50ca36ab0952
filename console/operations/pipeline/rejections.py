"""Rejected uploads: files that can't become an avatar, each with a record in the assets bucket.

Their originals are kept, so they can be tried again once the cause is fixed. S3 lists records by
name alone, so how many there are of which code, and which are the newest, comes from the resize
function's log, as far as that goes back.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar

from console.operations import progress
from console.operations.changes import StaleChangeError
from console.operations.environments import insights
from console.operations.environments.aws_errors import MISSING, aws_errors, suppressed
from console.operations.environments.deployment import Deployment
from console.operations.environments.insights import Group, Query
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.pipeline import reconcile
from console.operations.pipeline.causes import Selection
from console.operations.pipeline.dead_letters import RATE
from console.operations.pipeline.pace import Pace
from console.operations.progress import StoppedError
from console.operations.uploads import outcomes

SHOWN = 20
SETTLE_SECONDS = 60
_WORKERS = 8
_NAMED = 5
_PORTION_SECONDS = 10
_OF_ONE_NAME = 50
_SAME_MOMENT = 10
"""Lines of the millisecond in which a page ends come again on the next, and are left out there."""


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
    gone
        How many the log names whose records are gone: tried again or discarded since.
    """

    uploads: tuple[RejectedUpload, ...]
    older: tuple[float, str] | None
    gone: int


def groups(deployment: Deployment, selection: Selection) -> list[Group]:
    """Count the rejections by code, most frequent first."""
    return insights.groups(
        deployment,
        _query(selection),
        " | fields code as value",
        "version_id",
        lambda line: str(line.get("code")),
    )


def page(
    deployment: Deployment,
    selection: Selection,
    before: tuple[float, str] | None = None,
    limit: int = SHOWN,
) -> RejectedPage:
    """Return a page of rejected uploads, newest first.

    The log names them by time, which S3 can't. Of a user who is named in full S3 lists all that it
    keeps, for 90 days, also what is older than the log.

    Parameters
    ----------
    before
        The previous page's `older`; None for the newest.
    """
    if before:
        selection = replace(selection, until=before[0])
    newest: dict[str, float] = {}
    for at, record in _logged(deployment, selection, limit + _SAME_MOMENT):
        if before is None or (at, record) < before:
            newest.setdefault(record, at)
    logged = sorted(((at, record) for record, at in newest.items()), reverse=True)
    shown = logged[:limit]
    older = shown[-1] if len(logged) > limit else None
    if selection.text and before is None:
        named = _of_name(deployment, selection.text)
        shown = sorted([*shown, *(p for p in named if p[1] not in newest)], reverse=True)
    found = _read_records(deployment, [record for _, record in shown])
    return RejectedPage(
        # what is held is on the page Review
        tuple(
            upload
            for upload in found
            if upload.code != "held" and selection.cause in {"", upload.code}
        ),
        older,
        gone=len(shown) - len(found),
    )


@dataclass(frozen=True)
class _Selected:
    """A change of some rejected uploads: of these, or of a selection.

    Attributes
    ----------
    selection
        Which of those that the log names; None for `uploads`.
    number
        About how many those are.
    rate
        At most so many a second.
    """

    target: Target
    deployment: Deployment
    uploads: tuple[RejectedUpload, ...] = ()
    selection: Selection | None = None
    number: int = 0
    rate: int = RATE

    @property
    def subject(self) -> str:
        """What the audit calls it."""
        if self.selection:
            return f"rejected uploads: {self.selection}"
        names = [upload.key for upload in self.uploads]
        return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")

    def lines(self) -> Iterable[str]:
        """Yield each record, and whose it is, or which records there are."""
        if self.selection:
            since = time.strftime("%d %b %Y %H:%M", time.localtime(self.selection.since))
            yield f"{self.selection}: {_count(self.number, 'upload')} by the log since {since}"
            yield f"at most {self.rate} a second, newest first, each once"
        for upload in self.uploads:
            yield f"{upload.record}  {upload.key}  {upload.code}"

    def check(self) -> None:
        """Raise StaleChangeError if a record is gone, or was written again since it was shown.

        Of a selection, those are left out.
        """
        Pace(self.rate)
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

    @property
    def _total(self) -> int:
        return self.number if self.selection else len(self.uploads)

    def _portions(self, size: int) -> Iterator[list[RejectedUpload]]:
        """Yield the uploads in portions, each upload once, without those that changed since."""
        if not self.selection:
            yield list(self.uploads)
            return
        seen: set[str] = set()
        portion: list[str] = []
        for _, record in _logged(self.deployment, self.selection):
            if record in seen:
                continue
            seen.add(record)
            portion.append(record)
            if len(portion) == size:
                yield self._unchanged(portion)
                portion = []
        if portion:
            yield self._unchanged(portion)

    def _unchanged(self, records: list[str]) -> list[RejectedUpload]:
        until = self.selection.until if self.selection else 0
        return [u for u in _read_records(self.deployment, records) if u.recorded <= until]


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
        accepted = Tally()
        again, gone = Tally(), Tally()
        pace = Pace(self.rate)
        stopped = ""
        try:
            for portion in self._portions(size=_PORTION_SECONDS * self.rate):
                done = accepted.number + again.number + gone.number
                report(_advanced("Try again", done, self._total))
                self._try(portion, pace, report, accepted, again, gone)
        except StoppedError as error:
            stopped = f"Stopped by {error.by}: "
        parts = [f"{_count(accepted.number, 'upload')} accepted"]
        if again.number:
            parts.append(f"rejected again: {again}")
        if gone.number:
            parts.append(f"original deleted: {gone}")
        return stopped + "; ".join(parts) + "."

    def _try(
        self,
        portion: list[RejectedUpload],
        pace: Pace,
        report: progress.Report,
        accepted: Tally,
        again: Tally,
        gone: Tally,
    ) -> None:
        here = self.deployment
        with ThreadPoolExecutor(_WORKERS) as pool:
            exist = list(pool.map(lambda upload: _original_exists(here, upload), portion))
            waiting = [upload for upload, there in zip(portion, exist, strict=True) if there]
            for upload, there in zip(portion, exist, strict=True):
                if not there:
                    gone.add(upload.key)
            for start in range(0, len(waiting), 10):
                batch = waiting[start : start + 10]
                pace.wait(len(batch))
                with aws_errors("queue the uploads"):
                    reconcile.queue(here, [(upload.key, upload.version_id) for upload in batch])
                report(progress.Event("Queue", "advanced", done=start, total=len(waiting)))
            total, deadline = len(waiting), time.monotonic() + SETTLE_SECONDS
            while waiting:
                outcome = list(pool.map(lambda upload: _outcome(here, upload), waiting))
                for upload, code in zip(waiting, outcome, strict=True):
                    if code == "":
                        accepted.add(upload.key)
                    elif code:
                        again.add(f"{upload.key} ({code})")
                waiting = [u for u, code in zip(waiting, outcome, strict=True) if code is None]
                report(progress.Event("Resize", "advanced", done=total - len(waiting), total=total))
                if waiting and time.monotonic() > deadline:
                    raise OperationError(
                        f"{_count(len(waiting), 'upload')} not processed within {SETTLE_SECONDS} "
                        f"s: {', '.join(upload.key for upload in waiting[:5])}.",
                        "They are queued: look at the dead-letter queue and at the queue's age.",
                    )
                if waiting:
                    time.sleep(0.2)


@dataclass(frozen=True)
class DiscardRecords(_Selected):
    """Delete the records of rejected uploads, and their tags; the originals stay."""

    action: ClassVar[str] = "discard records"
    destructive: ClassVar[bool] = True

    def execute(self, report: progress.Report) -> str:
        """Delete them."""
        done, pace = 0, Pace(self.rate)
        stopped = ""
        try:
            with ThreadPoolExecutor(_WORKERS) as pool:
                for portion in self._portions(size=self.rate):
                    report(_advanced("Discard records", done, self._total))
                    pace.wait(len(portion))
                    list(pool.map(lambda u: _delete_record(self.deployment, u), portion))
                    done += len(portion)
        except StoppedError as error:
            stopped = f"Stopped by {error.by}: "
        return f"{stopped}{_count(done, 'record')} discarded."


class Tally:
    """How many there were, and the names of the first."""

    def __init__(self) -> None:
        self.number = 0
        self._names: list[str] = []

    def add(self, name: str) -> None:
        """Count one."""
        self.number += 1
        if len(self._names) < _NAMED:
            self._names.append(name)

    def __str__(self) -> str:
        more = self.number - len(self._names)
        return ", ".join(self._names) + (f" and {more:,} more" if more else "")


def _advanced(step: str, done: int, total: int) -> progress.Event:
    return progress.Event(step, "advanced", done=done, total=total, may_stop=True)


def _query(selection: Selection) -> Query:
    patterns = [insights.field("message", "upload rejected")]
    if selection.cause:
        patterns.append(insights.field("code", selection.cause))
    if selection.text:
        patterns.append(insights.containing("key", selection.text))
    return Query("resize", tuple(patterns), selection.since, selection.until)


def _logged(
    deployment: Deployment, selection: Selection, limit: int | None = None
) -> Iterator[tuple[float, str]]:
    """Yield the time and record of what the log names, newest first."""
    for line in insights.lines(deployment, _query(selection), limit):
        yield line["at"], f"rejections/{line.get('name')}/{line.get('version')}.json"


def _of_name(deployment: Deployment, name: str) -> list[tuple[float, str]]:
    found = []
    with aws_errors("list the user's rejected uploads"):
        for prefix in (f"rejections/{name}/", f"rejections/banners/{name}/"):
            listed = deployment.s3.list_objects_v2(
                Bucket=deployment.assets_bucket, Prefix=prefix, MaxKeys=_OF_ONE_NAME
            )
            found += listed.get("Contents", [])
    return [(item["LastModified"].timestamp(), item["Key"]) for item in found]


def _read_records(deployment: Deployment, records: Sequence[str]) -> list[RejectedUpload]:
    with aws_errors("read the records"), ThreadPoolExecutor(_WORKERS) as pool:
        found = pool.map(lambda record: _read_record(deployment, record), records)
        return [upload for upload in found if upload]


def _read_record(deployment: Deployment, record: str) -> RejectedUpload | None:
    """Return a record, or None if it was deleted meanwhile."""
    with suppressed(MISSING):
        found = deployment.s3.get_object(Bucket=deployment.assets_bucket, Key=record)
        said = json.loads(found["Body"].read())
        names = ("key", "version_id", "code", "message", "size")
        return RejectedUpload(
            record=record,
            uploaded=datetime.fromisoformat(said["uploaded"]).timestamp(),
            recorded=found["LastModified"].timestamp(),
            **{name: said[name] for name in names},
        )
    return None


def _outcome(deployment: Deployment, upload: RejectedUpload) -> str | None:
    """Return what became of an upload: nothing is wrong, the new code, or None for not known yet.

    The record of one that is accepted now is deleted.
    """
    if _has_variants(deployment, upload):
        _delete_record(deployment, upload)
        return ""
    return _rejected_again(deployment, upload)


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
    # to the second, as AWS says everywhere: the embedded AWS lists milliseconds
    return next(
        (item["LastModified"].timestamp() // 1 for item in listed.get("Contents", [])), None
    )


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
