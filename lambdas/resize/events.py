"""What the events that reach the resize function say: which uploads to process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

import picture_kinds
from picture_kinds import Kind

_MAX_KEY_BYTES = 1024
MAX_NAME_BYTES = 960
"""S3's keys have 1,024 bytes, ``variants/<name>/<ETag>/3000x1000.webp`` 63 more than the name."""
_OTHER_BYTES = 63 - 38
"""Of these, what isn't the ETag of an upload in 10,000 parts."""


class EventError(Exception):
    """The event is not one that S3 sends; it goes to the dead-letter queue, for an operator."""


_REMOVED = "ObjectRemoved:DeleteMarkerCreated"
_AGAIN = "ObjectCreated:Reprocess"


@dataclass(frozen=True)
class Upload:
    """One version of an object in the uploads bucket; a delete marker is one, too.

    Attributes
    ----------
    version_id
        S3's version id, or None where the event names none (the newest version is meant).
    sequencer
        S3's order of the events of one key, a hexadecimal string; None for messages that did
        not come from S3 itself.
    event_time
        When S3 took the upload, in ISO 8601 with milliseconds; None likewise.
    removes
        Whether it is a delete marker: the avatar is to be removed.
    is_copy
        Whether S3 copied it from another, as far as that is known.
    again
        Whether operators have what was processed already processed again.
    """

    bucket: str
    key: str
    version_id: str | None = None
    sequencer: str | None = None
    event_time: str | None = None
    removes: bool = False
    is_copy: bool = False
    again: bool = False

    @property
    def name(self) -> str:
        """The avatar's name: the key without its last extension (empty for a folder)."""
        folder, slash, filename = self.key.rpartition("/")
        stem, dot, _ = filename.rpartition(".")
        base = stem if dot and stem else filename
        return folder + slash + base if base else ""

    @property
    def kind(self) -> Kind:
        """Whether it is an avatar or a banner: its folder says so."""
        return picture_kinds.of(self.name)

    @property
    def is_reserved(self) -> bool:
        """Whether no upload may have this name: ``avatars/_default.jpg`` is everybody's."""
        return self.name.startswith("_")

    def is_too_long(self, version: str = "") -> bool:
        """Say whether S3 could have no room for the keys of the avatar's variants."""
        length = len(self.name.encode())
        return length > MAX_NAME_BYTES or length + len(version) + _OTHER_BYTES > _MAX_KEY_BYTES


def uploads_in(event: Any) -> list[Upload]:
    """Return the uploads that an S3 event notification announces.

    S3's own test event, and records of other kinds than ``ObjectCreated`` and
    ``ObjectRemoved:DeleteMarkerCreated``, announce none.

    Raises
    ------
    EventError
        If it is not an S3 event notification.

    References
    ----------
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html
    """
    if not isinstance(event, Mapping):
        raise EventError("the message is not a JSON object")
    if event.get("Event") == "s3:TestEvent":
        return []
    records = event.get("Records")
    if not isinstance(records, list):
        raise EventError("the message is not an S3 event: it has no list of Records")
    uploads = []
    for record in records:
        try:
            kind = record["eventName"].removeprefix("s3:")
            if not kind.startswith("ObjectCreated:") and kind != _REMOVED:
                continue
            entity = record["s3"]
            stored = entity["object"]
            uploads.append(
                Upload(
                    bucket=entity["bucket"]["name"],
                    key=unquote_plus(stored["key"]),
                    version_id=stored.get("versionId"),
                    sequencer=stored.get("sequencer"),
                    event_time=record.get("eventTime"),
                    removes=kind == _REMOVED,
                    is_copy=kind == "ObjectCreated:Copy",
                    again=kind == _AGAIN,
                )
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise EventError(f"a record of the S3 event has no usable {error}") from error
    return uploads


def upload_of(task: Any) -> Upload:
    """Return the upload that a task of S3 Batch Operations is about.

    Raises
    ------
    EventError
        If it is not one of their tasks, in version 1.0 or 2.0 of their schema.

    References
    ----------
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/batch-ops-invoke-lambda.html
    """
    try:
        bucket = task.get("s3Bucket") or task["s3BucketArn"].rpartition(":")[2]
        key = unquote_plus(task["s3Key"])
        return Upload(bucket, key, task.get("s3VersionId") or None, again=True)
    except (AttributeError, KeyError, TypeError) as error:
        raise EventError(f"the task has no usable {error}") from error


def is_later(sequencer: str, other: str) -> bool:
    """Say whether a sequencer comes after another of the same key.

    S3 documents the comparison: pad the shorter with zeros on the right, then compare as text.
    """
    width = max(len(sequencer), len(other))
    return sequencer.lower().ljust(width, "0") > other.lower().ljust(width, "0")
