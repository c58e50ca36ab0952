"""What became of an upload: shown, superseded, rejected, or not processed yet."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from console.operations.environments.aws_errors import MISSING, aws_errors, suppressed
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.uploads import crops

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

ARRIVAL_SECONDS = 90
REJECTION_TAG = "avatar-rejection"
"""On an original that was rejected; its value is the code."""


@dataclass(frozen=True)
class Rejection:
    """Why an upload was refused for good."""

    code: str
    message: str


def wait_for_resize(deployment: Deployment, name: str, key: str, version: str) -> None:
    """Wait until the stable avatar shows that upload.

    Raises
    ------
    OperationError
        With the rejection's code and sentence, if a later upload of the key is shown instead, or
        if nothing comes within `ARRIVAL_SECONDS`.
    """
    deadline = time.monotonic() + ARRIVAL_SECONDS
    seen = None
    while (shown := shown_version(deployment, name)) != version:
        if shown != seen and shown == newest_version(deployment, key):
            raise OperationError(
                f"A later picture of {name} came first and is shown instead.",
                "Nothing is lost: the page Test avatars finds this one, and shows it again.",
            )
        seen = shown
        refused = rejection(deployment, name, version)
        if refused and refused.code == "held":
            raise OperationError(
                f"The picture of {name} is held until an operator has looked at it.",
                f"Decide on the page Review, or: make approve KEY={key}",
            )
        if refused:
            raise OperationError(
                f"The picture was rejected ({refused.code}): {refused.message}",
                "Send another picture; the avatar that was there is kept.",
            )
        if time.monotonic() > deadline:
            raise OperationError(
                f"No avatar arrived within {ARRIVAL_SECONDS} s; the upload itself is safe.",
                "The page Failures says why once it has failed for good; until then, "
                "`make logs FUNCTION=resize`.",
            )
        time.sleep(0.1)


def shown_version(deployment: Deployment, name: str) -> str | None:
    """Return the version that the stable avatar shows; None if there is none, or it was removed."""
    found = register(deployment, name)
    if found is None or "removed" in found["Metadata"]:
        return None
    return found["Metadata"].get("version", "")


def register_key(name: str) -> str:
    """Return the key of the stable avatar in the assets bucket."""
    return f"avatars/{name}.jpg"


def register(deployment: Deployment, name: str) -> HeadObjectOutputTypeDef | None:
    """Return what S3 says of the stable avatar; None if there is none.

    Its metadata name the upload that it shows, or under ``removed`` when it was taken down.
    """
    with aws_errors(f"look at the avatar {name}"):
        return _head(deployment, deployment.assets_bucket, register_key(name))


def uploaded_of(metadata: Mapping[str, str]) -> datetime:
    """Return when S3 stored what the stable avatar shows, or when it was taken down."""
    # without it, somebody put it there by hand
    return datetime.fromisoformat(metadata.get("uploaded", "0001-01-01T00:00:00+00:00"))


def newest_version(deployment: Deployment, key: str) -> str | None:
    """Return the version of the newest original under a key, or None if there is none."""
    with aws_errors(f"look at the original {key}"):
        found = _head(deployment, deployment.uploads_bucket, key)
    return crops.version_of(found["ETag"], found["Metadata"]) if found else None


def version_of(deployment: Deployment, key: str, version_id: str) -> str:
    """Return the version that one original of a key makes; empty if it has been deleted since."""
    with aws_errors(f"look at the original {key}"), suppressed(MISSING):
        found = deployment.s3.head_object(
            Bucket=deployment.uploads_bucket, Key=key, VersionId=version_id
        )
        return crops.version_of(found["ETag"], found["Metadata"])
    return ""


def _head(deployment: Deployment, bucket: str, key: str) -> HeadObjectOutputTypeDef | None:
    with suppressed(MISSING):
        return deployment.s3.head_object(Bucket=bucket, Key=key)
    return None


def rejection(deployment: Deployment, name: str, version: str) -> Rejection | None:
    """Return why that upload was rejected, or None if it wasn't."""
    with aws_errors(f"look for a rejection of {name}"), suppressed(MISSING):
        found = deployment.s3.get_object(
            Bucket=deployment.assets_bucket, Key=f"rejections/{name}/{version}.json"
        )
        record = json.loads(found["Body"].read())
        return Rejection(record["code"], record["message"])
    return None
