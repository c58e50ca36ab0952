"""S3 Inventory's files, as AWS documents them and no emulator delivers them."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

SCHEMA = "Bucket, Key, LastModifiedDate"


def listed(s3: S3Client, bucket: str) -> list[tuple[str, datetime]]:
    """Return what is in a bucket now."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    return [(one["Key"], one["LastModified"]) for page in pages for one in page.get("Contents", [])]


def deliver(
    s3: S3Client,
    bucket: str,
    taken: datetime,
    objects: Iterable[tuple[str, datetime]] | None = None,
    **changed: Any,
) -> str:
    """Put an inventory of a bucket into it, in two files without order.

    Parameters
    ----------
    changed
        What the manifest says in place of the truth.

    Returns
    -------
    str
        The prefix of its manifest.
    """
    objects = list(listed(s3, bucket) if objects is None else objects)
    folder = f"inventory/{bucket}/daily"
    files = []
    for part in (0, 1):
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        for key, at in reversed(objects[part::2]):
            time = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")
            writer.writerow([bucket, quote_plus(key, safe="/"), time])
        body = gzip.compress(text.getvalue().encode())
        key = f"{folder}/data/{taken:%d}-{part}.csv.gz"
        s3.put_object(Bucket=bucket, Key=key, Body=body)
        files.append({"key": key, "size": len(body), "MD5checksum": md5(body)})
    manifest = {
        "sourceBucket": bucket,
        "destinationBucket": f"arn:aws:s3:::{bucket}",
        "version": "2016-11-30",
        "creationTimestamp": f"{taken.timestamp() * 1000:.0f}",
        "fileFormat": "CSV",
        "fileSchema": SCHEMA,
        "files": files,
    }
    prefix = f"{folder}/{taken:%Y-%m-%dT%H-%MZ}/"
    put_manifest(s3, bucket, prefix, json.dumps(manifest | changed).encode())
    return prefix


def put_manifest(s3: S3Client, bucket: str, prefix: str, body: bytes) -> None:
    """Put a manifest, and its checksum."""
    s3.put_object(Bucket=bucket, Key=f"{prefix}manifest.json", Body=body)
    s3.put_object(Bucket=bucket, Key=f"{prefix}manifest.checksum", Body=md5(body).encode())


def md5(body: bytes) -> str:
    """Return the MD5 in hexadecimal digits."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()
