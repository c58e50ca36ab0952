"""The originals of an avatar that are kept, and showing an earlier one again."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from console import units
from console.operations import progress
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import StaleChangeError
from console.operations.uploads import crops, send
from console.operations.uploads.names import check_avatar_name, name_of
from console.operations.uploads.outcomes import Rejection, register, rejection, version_of

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ListObjectVersionsOutputTypeDef


@dataclass(frozen=True)
class Version:
    """One version of an original.

    Attributes
    ----------
    version
        The ETag, and what stands for the crop.
    state
        ``shown`` is what the avatar shows now; ``rejected`` can't become one; ``kept`` is another
        that can be shown again.
    rejection
        Why it was rejected.
    """

    key: str
    version_id: str | None
    version: str
    uploaded: datetime
    size: int
    state: Literal["shown", "kept", "rejected"]
    rejection: Rejection | None


def versions(deployment: Deployment, name: str) -> list[Version]:
    """Return the originals of an avatar that are kept, the newest first.

    Raises
    ------
    OperationError
        If that is not the name of an avatar, or S3 can't be asked.
    """
    check_avatar_name(name)
    found_now = register(deployment, name)
    shown = found_now["Metadata"] if found_now else {}
    with aws_errors(f"list the versions of {name}"):
        found = [
            item
            for page in original_pages(deployment, name)
            for item in page.get("Versions", [])
            if name_of(item["Key"]) == name
        ]
    lines = []
    for item in sorted(found, key=lambda item: item["LastModified"], reverse=True):
        is_shown = "removed" not in shown and shown.get("version-id", "null") == item["VersionId"]
        version = (
            shown["version"] if is_shown else version_of(deployment, item["Key"], item["VersionId"])
        )
        refused = None if is_shown else rejection(deployment, name, version)
        state: Literal["shown", "kept", "rejected"] = "rejected" if refused else "kept"
        if is_shown:
            state = "shown"
        lines.append(
            Version(
                item["Key"],
                version_id(item["VersionId"]),
                version,
                item["LastModified"],
                item["Size"],
                state,
                refused,
            )
        )
    return lines


def original_pages(deployment: Deployment, name: str) -> Iterator[ListObjectVersionsOutputTypeDef]:
    """Yield S3's listings in which all versions of all originals of a name are, each once."""
    paginator = deployment.s3.get_paginator("list_object_versions")
    for page in paginator.paginate(Bucket=deployment.uploads_bucket, Prefix=name):
        versions, markers = page.get("Versions", []), page.get("DeleteMarkers", [])
        # the others that begin so are listed below, if they are the name's at all
        exact = page.copy()
        exact["Versions"] = [item for item in versions if item["Key"] == name]
        exact["DeleteMarkers"] = [item for item in markers if item["Key"] == name]
        yield exact
        if len(exact["Versions"]) + len(exact["DeleteMarkers"]) < len(versions) + len(markers):
            break  # the exact key comes before all that begin with it
    yield from paginator.paginate(Bucket=deployment.uploads_bucket, Prefix=f"{name}.")


@dataclass(frozen=True)
class Restore:
    """Make an earlier original the newest again, as if it had been sent now."""

    target: Target
    deployment: Deployment
    name: str
    version: Version
    action: ClassVar[str] = "restore"
    destructive: ClassVar[bool] = False

    @property
    def subject(self) -> str:
        """The avatar's name."""
        return self.name

    def lines(self) -> list[str]:
        """Return what will be touched."""
        version = self.version
        return [f"copy {version.key} {version.version_id or ''}".rstrip() + f" over {version.key}"]

    def check(self) -> None:
        """Raise StaleChangeError if that original is there no longer, or is shown already."""
        if self.version not in versions(self.deployment, self.name):
            raise StaleChangeError(
                f"The originals of {self.name} have changed since they were shown.",
                "Look at them again, then choose.",
            )

    def execute(self, report: progress.Report) -> str:
        """Copy it, and wait until it is served."""
        version, here = self.version, self.deployment
        with progress.timed(report, "Copy") as detail, aws_errors(f"restore {version.key}"):
            source: Any = {"Bucket": here.uploads_bucket, "Key": version.key}
            if version.version_id:
                source["VersionId"] = version.version_id
            copied = here.s3.copy_object(
                Bucket=here.uploads_bucket, Key=version.key, CopySource=source
            )
            detail.append(units.size(version.size))
        etag = copied["CopyObjectResult"]["ETag"].strip('"')
        version_now = etag + crops.suffix_of(version.version)
        return str(send.wait_until_served(here, self.name, version.key, version_now, report))


def version_id(said: str) -> str | None:
    """Return a version's id, or None for an object of a bucket that keeps no versions."""
    return None if said == "null" else said
