"""S3 in memory, as far as the functions use it, with S3's rules of order and conditions.

`tests/integration/test_s3_rules.py` holds it to the embedded AWS.
"""

# ruff: noqa: N803 — the names of arguments are boto3's

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from avatar_crop import Crop, version_of

START = datetime(2026, 1, 31, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Stored:
    """One version of an object.

    Attributes
    ----------
    number
        Its place in the order in which S3 took all objects.
    sequencer
        What S3's event says of that order among the versions of this key.
    """

    key: str
    body: bytes
    number: int
    uploaded: datetime
    version_id: str | None
    sequencer: str
    metadata: dict[str, str]
    tags: dict[str, str] = field(default_factory=dict)
    is_marker: bool = False
    is_copy: bool = False

    @property
    def etag(self) -> str:
        """The ETag without quotes; a delete marker has none."""
        if self.is_marker:
            return ""
        return hashlib.md5(self.body, usedforsecurity=False).hexdigest()

    @property
    def version(self) -> str:
        """What its variants are called."""
        return self.etag and version_of(self.etag, Crop.from_metadata(self.metadata))


def error(code: str, status: int, operation: str) -> ClientError:
    """Return S3's answer to a call that fails."""
    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, operation)


class S3:
    """Buckets in memory; all but `assets` keep versions.

    Attributes
    ----------
    seconds
        The clock: `LastModified` knows whole seconds only.
    on_put
        Called with the bucket and the object after it was written.
    locked
        The versions under Object Lock's legal hold.
    """

    def __init__(self) -> None:
        self.seconds = 0
        self.buckets: dict[str, dict[str, list[Stored]]] = {
            "uploads": {},
            "assets": {},
            "holds": {},
        }
        self.locked: set[str] = set()
        self.on_put: Callable[[str, Stored], None] = lambda _bucket, _stored: None
        self._count = 0

    def newest(self, bucket: str, key: str) -> Stored | None:
        """Return the newest version, or None if there is none, or it is a delete marker."""
        versions = self.buckets[bucket].get(key)
        return versions[-1] if versions and not versions[-1].is_marker else None

    def put_object(self, *, Bucket: str, Key: str, Body: Any, **more: Any) -> dict[str, Any]:
        there = self.newest(Bucket, Key)
        if "IfMatch" in more and there is None:
            raise error("NoSuchKey", 404, "PutObject")
        if ("IfMatch" in more and there and more["IfMatch"] != f'"{there.etag}"') or (
            "IfNoneMatch" in more and there
        ):
            raise error("PreconditionFailed", 412, "PutObject")
        body = Body if isinstance(Body, bytes) else Body.read()
        stored = self._store(Bucket, Key, body, dict(more.get("Metadata", {})))
        return self._lock(stored, more.get("ObjectLockLegalHoldStatus"))

    def copy_object(self, *, Bucket: str, Key: str, CopySource: Any, **more: Any) -> dict[str, Any]:
        """Copy a version into the holds, or a picture onto itself with another crop."""
        if isinstance(CopySource, str):
            source, _, version_id = CopySource.partition("?versionId=")
            bucket, _, key = source.partition("/")
            found = self._version(bucket, key, version_id or None, "CopyObject")
            copy = self._store(Bucket, Key, found.body, found.metadata)
            return self._lock(copy, more["ObjectLockLegalHoldStatus"])
        there = self.newest(Bucket, Key)
        if there is None:
            raise error("NoSuchKey", 404, "CopyObject")
        if more.get("CopySourceIfMatch") not in {None, there.etag}:
            raise error("PreconditionFailed", 412, "CopyObject")
        stored = self._store(Bucket, Key, there.body, dict(more["Metadata"]), is_copy=True)
        return _described(stored) | {"CopyObjectResult": {"ETag": f'"{stored.etag}"'}}

    def _lock(self, stored: Stored, status: str | None) -> dict[str, Any]:
        if status == "ON":
            self.locked.add(str(stored.version_id))
        return _described(stored)

    def put_object_legal_hold(
        self, *, Bucket: str, Key: str, VersionId: str, LegalHold: dict[str, str]
    ) -> dict[str, Any]:
        self._version(Bucket, Key, VersionId, "PutObjectLegalHold")
        assert LegalHold == {"Status": "OFF"}
        self.locked.discard(VersionId)
        return {}

    def _store(
        self, bucket: str, key: str, body: bytes, metadata: dict[str, str], **more: bool
    ) -> Stored:
        self._count += 1
        versioned = bucket != "assets"
        stored = Stored(
            key=key,
            body=body,
            number=self._count,
            uploaded=START + timedelta(seconds=self.seconds),
            version_id=f"version-{self._count}" if versioned else None,
            sequencer=sequencer_of(key, self._count),
            metadata=metadata,
            **more,
        )
        kept = self.buckets[bucket].get(key, []) if versioned else []
        self.buckets[bucket][key] = [*kept, stored]
        self.on_put(bucket, stored)
        return stored

    def head_object(self, *, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:
        stored = (
            self._version(Bucket, Key, VersionId, "HeadObject")
            if VersionId
            else self.newest(Bucket, Key)
        )
        if stored is None:
            missing = error("404", 404, "HeadObject")
            if versions := self.buckets[Bucket].get(Key):
                headers = {
                    "x-amz-delete-marker": "true",
                    "x-amz-version-id": versions[-1].version_id,
                }
                missing.response["ResponseMetadata"]["HTTPHeaders"] = headers
            raise missing
        return _described(stored) | {
            "LastModified": stored.uploaded,
            "Metadata": dict(stored.metadata),
            "ContentLength": len(stored.body),
            "ResponseMetadata": {"HTTPHeaders": {"date": self.date()}},
        }

    def get_object(
        self,
        *,
        Bucket: str,
        Key: str,
        VersionId: str | None = None,
    ) -> dict[str, Any]:
        stored = self._version(Bucket, Key, VersionId, "GetObject")
        if stored.is_marker:
            refused = error("MethodNotAllowed", 405, "GetObject")
            headers = {"last-modified": format_datetime(stored.uploaded, usegmt=True)}
            refused.response["ResponseMetadata"]["HTTPHeaders"] = headers
            raise refused
        return _described(stored) | {
            "LastModified": stored.uploaded,
            "Metadata": dict(stored.metadata),
            "ContentLength": len(stored.body),
            "Body": io.BytesIO(stored.body),
        }

    def put_object_tagging(
        self,
        *,
        Bucket: str,
        Key: str,
        Tagging: Any,
        VersionId: str | None = None,
    ) -> dict[str, Any]:
        stored = self._version(Bucket, Key, VersionId, "PutObjectTagging")
        stored.tags.clear()
        stored.tags.update({tag["Key"]: tag["Value"] for tag in Tagging["TagSet"]})
        return {}

    def get_object_tagging(
        self, *, Bucket: str, Key: str, VersionId: str | None = None
    ) -> dict[str, Any]:
        tags = self._version(Bucket, Key, VersionId, "GetObjectTagging").tags
        return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def delete_object(
        self,
        *,
        Bucket: str,
        Key: str,
        VersionId: str | None = None,
    ) -> dict[str, Any]:
        versions = self.buckets[Bucket].get(Key, [])
        if Bucket == "uploads" and VersionId is None:
            return {"VersionId": self._store(Bucket, Key, b"", {}, is_marker=True).version_id}
        version_id = None if VersionId == "null" else VersionId
        if version_id in self.locked:
            raise error("AccessDenied", 403, "DeleteObject")
        for stored in [item for item in versions if item.version_id == version_id]:
            versions.remove(stored)
        return {}

    def delete_objects(self, *, Bucket: str, Delete: Any) -> dict[str, Any]:
        for item in Delete["Objects"]:
            self.delete_object(Bucket=Bucket, **item)
        return {}

    def get_paginator(self, operation: str) -> SimpleNamespace:
        return SimpleNamespace(paginate=getattr(self, operation))

    def list_objects_v2(
        self, *, Bucket: str, StartAfter: str = "", Prefix: str = "", Delimiter: str = ""
    ) -> list[dict[str, Any]]:
        if Delimiter:
            folders = {key.partition("/")[0] for key, kept in self.buckets[Bucket].items() if kept}
            return [{"CommonPrefixes": [{"Prefix": f"{name}/"} for name in sorted(folders)]}]
        keys = [key for key in sorted(self.buckets[Bucket]) if key.startswith(Prefix)]
        newest = [(key, self.newest(Bucket, key)) for key in keys]
        return [{"Contents": [_listed(item) for key, item in newest if item and key > StartAfter]}]

    def date(self) -> str:
        """Return the clock, as the header has it."""
        return format_datetime(START + timedelta(seconds=self.seconds), usegmt=True)

    def list_object_versions(self, *, Bucket: str, Prefix: str) -> list[dict[str, Any]]:
        """Return the versions of each key, newest first."""
        keys = [key for key in sorted(self.buckets[Bucket]) if key.startswith(Prefix)]
        page: dict[str, Any] = {"ResponseMetadata": {"HTTPHeaders": {"date": self.date()}}}
        for key in keys:
            for number, item in enumerate(reversed(self.buckets[Bucket][key])):
                kind = "DeleteMarkers" if item.is_marker else "Versions"
                which = {"VersionId": item.version_id or "null", "IsLatest": not number}
                page.setdefault(kind, []).append(_listed(item) | which)
        return [page]

    def _version(self, bucket: str, key: str, version_id: str | None, operation: str) -> Stored:
        if version_id is None:
            stored = self.newest(bucket, key)
            if stored is None:
                raise error("NoSuchKey", 404, operation)
            return stored
        for stored in self.buckets[bucket].get(key, []):
            if stored.version_id == version_id:
                return stored
        raise error("NoSuchVersion", 404, operation)


def _listed(stored: Stored) -> dict[str, Any]:
    return {
        "Key": stored.key,
        "ETag": f'"{stored.etag}"',
        "LastModified": stored.uploaded,
        "Size": len(stored.body),
    }


def _described(stored: Stored) -> dict[str, Any]:
    version = {"VersionId": stored.version_id} if stored.version_id else {}
    return {"ETag": f'"{stored.etag}"'} | version


def sequencer_of(key: str, number: int) -> str:
    """Return a sequencer in S3's order: of different lengths, and of this key only."""
    start = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()[:4].upper()
    return f"00{start}{number:04X}" + "A1B2C3"[: number * 5 % 7]
