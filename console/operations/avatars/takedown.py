"""Take an avatar down: everything stored of it, and what caches hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from console.operations import progress
from console.operations.avatars.versions import original_prefixes, version_id
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.uploads.names import check_avatar_name, name_of

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


@dataclass(frozen=True)
class StoredObject:
    """One object, or one version of one, that belongs to an avatar."""

    bucket: str
    key: str
    version_id: str | None
    size: int


def objects_of(deployment: Deployment, name: str) -> list[StoredObject]:
    """List everything stored of an avatar: originals in all versions, avatar, variants."""
    check_avatar_name(name)
    with aws_errors(f"list what is stored of {name}"):
        originals = [
            item
            for prefix in original_prefixes(deployment, name)
            for item in _versions(deployment.s3, deployment.uploads_bucket, prefix)
            if name_of(item.key) == name
        ]
        served = [
            item
            for prefix in (f"avatars/{name}.jpg", f"variants/{name}/", f"rejections/{name}/")
            for item in _versions(deployment.s3, deployment.assets_bucket, prefix)
            if prefix.endswith("/") or item.key == prefix
        ]
    return originals + served


def remove(deployment: Deployment, objects: list[StoredObject], report: progress.Report) -> None:
    """Delete objects for good, originals first so that nothing makes the avatar again."""
    with aws_errors("delete the avatar"):
        for bucket in (deployment.uploads_bucket, deployment.assets_bucket):
            chosen = [item for item in objects if item.bucket == bucket]
            for start in range(0, len(chosen), 1000):
                part = chosen[start : start + 1000]
                report(
                    progress.Event(
                        "Delete", "advanced", bucket, done=start + len(part), total=len(chosen)
                    )
                )
                answer = deployment.s3.delete_objects(
                    Bucket=bucket,
                    Delete={
                        "Quiet": True,
                        "Objects": [
                            {"Key": item.key, "VersionId": item.version_id}
                            if item.version_id
                            else {"Key": item.key}
                            for item in part
                        ],
                    },
                )
                if answer.get("Errors"):
                    first = answer["Errors"][0]
                    raise OperationError(
                        f"{len(answer['Errors'])} objects could not be deleted, the first "
                        f"{first.get('Key')}: {first.get('Message')}.",
                        "Mend what it names, then run the same command again.",
                    )


def _versions(s3: S3Client, bucket: str, prefix: str) -> Iterator[StoredObject]:
    """Yield every version below a prefix, delete markers too."""
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=prefix)
    for page in pages:
        for version in page.get("Versions", []):
            yield StoredObject(
                bucket, version["Key"], version_id(version["VersionId"]), version["Size"]
            )
        for marker in page.get("DeleteMarkers", []):
            yield StoredObject(bucket, marker["Key"], version_id(marker["VersionId"]), 0)
