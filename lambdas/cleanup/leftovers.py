"""What an avatar has left behind: variants that are no longer shown, and records of rejections.

Nothing here is ordered by a condition, as S3 has none across keys; times keep apart what could
meet. A message comes at least two of `resize`'s timeouts, and one of this function's, after the
avatar was written that it is about. So

- a worker of `resize` that began before that has ended, and what it wrote is found;
- what was written within one timeout of `resize` before the avatar was looked at may be shown by
  now, and is left;
- whoever still deletes what the avatar shows now, because it was sent again after it had been
  replaced, has ended, and what is missing is made again.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Collection, Iterator, Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from botocore.exceptions import ClientError

import picture_kinds
from picture_kinds import Kind

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef
    from mypy_boto3_sqs.client import SQSClient

_AT_ONCE = 1000
"""What S3 deletes with one call."""
_MARGIN = timedelta(seconds=5)
"""For whole seconds, and a write that S3 ends after its worker was stopped."""


class Leftovers:
    """Delete what avatars have left behind.

    Parameters
    ----------
    queue_url
        The queue of uploads.
    variants
        What is made of each upload of a kind, such as ``512.jpg``.
    resize_seconds
        After which a worker of `resize` is stopped.
    """

    def __init__(
        self,
        s3: S3Client,
        sqs: SQSClient,
        *,
        assets_bucket: str,
        uploads_bucket: str,
        queue_url: str,
        variants: Mapping[Kind, Collection[str]],
        resize_seconds: int,
    ) -> None:
        self._s3 = s3
        self._sqs = sqs
        self._assets = assets_bucket
        self._uploads = uploads_bucket
        self._queue_url = queue_url
        self._variants = variants
        self._resize = timedelta(seconds=resize_seconds)

    def delete(self, name: str) -> dict[str, Any]:
        """Delete what the avatar `name` does not show; where it was removed, rejections too.

        Returns
        -------
        dict
            For the log: what is shown, how much was deleted, and whether variants of what is shown
            were missing and are made again. Empty where there is no avatar, or one put there by
            hand: nothing says then what is to go.
        """
        found = self._pointer(name)
        shown = found["Metadata"] if found else {}
        if not found or not shown.keys() & {"version", "removed"}:
            return {}
        looked = parsedate_to_datetime(found["ResponseMetadata"]["HTTPHeaders"]["date"])
        settled = looked - self._resize - _MARGIN
        version = shown.get("version", "")
        here: set[str] = set()
        old = []
        for key, last_modified in self._stored(f"variants/{name}/"):
            of, slash, variant = key.removeprefix(f"variants/{name}/").partition("/")
            if not slash or "/" in variant:
                continue  # variants/people/ada/… is of people/ada, not of people
            if of == version:
                here.add(variant)
            elif last_modified < settled:
                old += [key, f"rejections/{name}/{of}.json"]
        if version:
            old.append(f"rejections/{name}/{version}.json")  # it has become an avatar since
        else:
            old += [
                key
                for key, last_modified in self._stored(f"rejections/{name}/")
                if re.fullmatch(r"[^/]+\.json", key.removeprefix(f"rejections/{name}/"))
                and last_modified < settled
            ]
        self._delete(sorted(set(old)))
        missing = (
            bool(version)
            and not here.issuperset(self._variants[picture_kinds.of(name)])
            and "version-id" in shown
        )
        if missing:
            self._make_again(shown)
        return {"version": version, "deleted": len(set(old)), "made_again": missing}

    def _pointer(self, name: str) -> HeadObjectOutputTypeDef | None:
        try:
            return self._s3.head_object(Bucket=self._assets, Key=f"avatars/{name}.jpg")
        except ClientError as error:
            if error.response["Error"]["Code"] in {"404", "NoSuchKey"}:
                return None
            raise

    def _stored(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Yield keys, and when each was written."""
        pages = self._s3.get_paginator("list_objects_v2").paginate(
            Bucket=self._assets, Prefix=prefix
        )
        for page in pages:
            for item in page.get("Contents", []):
                yield item["Key"], item["LastModified"]

    def _delete(self, keys: list[str]) -> None:
        for start in range(0, len(keys), _AT_ONCE):
            objects: Any = [{"Key": key} for key in keys[start : start + _AT_ONCE]]
            answer = self._s3.delete_objects(
                Bucket=self._assets, Delete={"Quiet": True, "Objects": objects}
            )
            if answer.get("Errors"):
                first = answer["Errors"][0]
                raise RuntimeError(f"{first.get('Key')} not deleted: {first.get('Message')}")

    def _make_again(self, shown: dict[str, str]) -> None:
        """Queue what is shown, as `make reconcile` does."""
        scheme, colon, rest = shown["source-key"].partition(":")
        encoded = shown["source-key"]  # percent-encoded, as in S3's events
        if colon and scheme == "base64":
            encoded = quote_plus(base64.b64decode(rest).decode())
        stored = {"key": encoded, "versionId": shown["version-id"]}
        record = {
            "eventSource": "avatar-ops:cleanup",
            "eventName": "ObjectCreated:Cleanup",
            "s3": {"bucket": {"name": self._uploads}, "object": stored},
        }
        self._sqs.send_message(
            QueueUrl=self._queue_url, MessageBody=json.dumps({"Records": [record]})
        )
