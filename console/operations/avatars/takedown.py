"""Take an avatar down so that it stays down.

First the avatar itself is replaced by a *removal mark*: the default picture, with the time of the
removal. Workers compare it with their upload as they do any avatar, so none that is older can be
shown from then on. Then all that is older is deleted, and the CDN's copies are dropped. A worker
that had read an original before may still write variants of it, at most until its time is up; that
is waited for, and deleting goes on until nothing is found. Each step may be repeated, and a later
upload is left alone.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from console.operations import progress
from console.operations.avatars import cdn
from console.operations.avatars.versions import original_pages, version_id
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError, StaleChangeError
from console.operations.pipeline import reconcile, reviews
from console.operations.releases import aliases
from console.operations.uploads import crops, outcomes
from console.operations.uploads.names import check_avatar_name, is_banner, name_of

if TYPE_CHECKING:
    from mypy_boto3_s3.type_defs import ListObjectVersionsOutputTypeDef

MARK_TAG = "avatar-removed=true"
"""The lifecycle rule of the assets bucket lets what is tagged so expire."""

# Deeper are those of other names: variants/people/ada/… is not of people
_MADE = {
    "variants/": re.compile(r"([^/]+)/[^/]+"),
    "rejections/": re.compile(r"([^/]+)\.json"),
}
_ATTEMPTS = 10
_CACHE = "public, max-age=60"


@dataclass(frozen=True)
class StoredObject:
    """One object, or one version of one, that belongs to an avatar.

    Attributes
    ----------
    version
        The upload's ETag that it is or was made of; empty for a delete marker and the avatar.
    stored
        When S3 stored it, to the second.
    """

    bucket: str
    key: str
    version_id: str | None
    size: int
    version: str
    stored: datetime

    def __str__(self) -> str:
        version = f" {self.version_id}" if self.version_id else ""
        return f"{self.bucket}/{self.key}{version} ({self.size:,} bytes)"


@dataclass(frozen=True)
class Listing:
    """What was stored of an avatar at a time.

    Attributes
    ----------
    at
        The time of the listing by S3's clock, in whole seconds; no original in it is younger.
    made
        Variants, records of rejections, and the avatar unless that is a removal mark.
    """

    at: datetime
    originals: tuple[StoredObject, ...]
    made: tuple[StoredObject, ...]

    @property
    def objects(self) -> tuple[StoredObject, ...]:
        """All of it."""
        return self.originals + self.made

    def until(self, at: datetime) -> list[StoredObject]:
        """Return what a removal at that time deletes: nothing of a later upload.

        What was made of the same bytes in another crop is left to `cleanup`.
        """
        later = {item.version for item in self.later_than(at)}
        return [
            *(item for item in self.originals if item.stored <= at),
            *(item for item in self.made if item.version and item.version not in later),
        ]

    def later_than(self, at: datetime) -> list[StoredObject]:
        """Return the originals that came after a removal at that time."""
        return [item for item in self.originals if item.stored > at]


@dataclass(frozen=True)
class TakeDown:
    """The removal of an avatar, as it was shown to whoever confirms it.

    Attributes
    ----------
    drops_caches
        Whether CloudFront drops it at once; else it does when its time is up.
    """

    target: Target
    deployment: Deployment
    name: str
    listing: Listing
    drops_caches: bool = True
    action = "clear"
    destructive = True

    @property
    def subject(self) -> str:
        """The avatar's name."""
        return self.name

    def lines(self) -> Iterator[str]:
        """Yield what will be touched."""
        for item in self.listing.objects:
            yield f"delete {item}"
        yield f"show the default picture at avatars/{self.name}.jpg"
        if reviews.is_on(self.deployment):
            yield f"take what is held or reported of {self.name} off the list"
        if self.drops_caches:
            yield f"invalidate {' '.join(cdn.paths_of(self.name))}"

    def check(self) -> None:
        """Raise StaleChangeError if an original has come that `lines` did not show."""
        self._listing_now()

    def _listing_now(self) -> Listing:
        now = list_stored(self.deployment, self.name)
        shown = {(item.key, item.version_id) for item in self.listing.originals}
        if new := [item for item in now.originals if (item.key, item.version_id) not in shown]:
            raise _newer(self.name, new[0].stored)
        return now

    def execute(self, report: progress.Report) -> str:
        """Take it down, and return what was done.

        Raises
        ------
        OperationError
            Naming what failed; all of it may be repeated.
        """
        at = self._listing_now().at
        with progress.timed(report, "Mark as removed"):
            _write_mark(self.deployment, self.name, at)
        count = _delete_until_empty(
            self.deployment, self.name, at, report, drops_caches=self.drops_caches
        )
        # who might still have put something on the list has ended
        reviews.drop(self.deployment, self.name, at)
        return f"{count} objects deleted"


def take_down(target: Target, deployment: Deployment, name: str) -> TakeDown:
    """Return the removal of an avatar, to be shown and then executed.

    A name of which nothing is stored is no error: caches may still hold it.
    """
    return TakeDown(target, deployment, name, list_stored(deployment, name))


def objects_of(deployment: Deployment, name: str) -> list[StoredObject]:
    """List everything stored of an avatar: originals in all versions, avatar, variants."""
    return list(list_stored(deployment, name).objects)


def list_stored(deployment: Deployment, name: str) -> Listing:
    """Return everything stored of an avatar."""
    check_avatar_name(name)
    with aws_errors(f"list what is stored of {name}"):
        # What is made of an upload is listed before the originals: so no variant is found whose
        # original is not.
        made = [
            replace(item, version=crops.etag_of(match[1]))
            for folder, rest in _MADE.items()
            for page in _pages(deployment, deployment.assets_bucket, f"{folder}{name}/")
            for item in _items(page, deployment.assets_bucket)
            if (match := rest.fullmatch(item.key, len(folder) + len(name) + 1))
        ]
        register = outcomes.register(deployment, name)
        if register and "removed" not in register["Metadata"]:
            made.append(
                StoredObject(
                    deployment.assets_bucket,
                    outcomes.register_key(name),
                    None,
                    register["ContentLength"],
                    "",
                    register["LastModified"],
                )
            )
        originals: list[StoredObject] = []
        dates = []
        for page in original_pages(deployment, name):
            dates.append(parsedate_to_datetime(page["ResponseMetadata"]["HTTPHeaders"]["date"]))
            items = _items(page, deployment.uploads_bucket)
            originals += [item for item in items if name_of(item.key) == name]
    originals = list({(item.key, item.version_id): item for item in originals}.values())
    return Listing(
        max([dates[0], *(item.stored for item in originals)]), tuple(originals), tuple(made)
    )


def delete(
    deployment: Deployment, objects: Iterable[StoredObject], report: progress.Report
) -> None:
    """Delete objects for good, originals first so that nothing makes the avatar again."""
    chosen = list(objects)
    with aws_errors("delete the avatar"):
        for bucket in (deployment.uploads_bucket, deployment.assets_bucket):
            inside = [item for item in chosen if item.bucket == bucket]
            for start in range(0, len(inside), 1000):
                part = inside[start : start + 1000]
                done, total = start + len(part), len(inside)
                report(progress.Event("Delete", "advanced", bucket, done=done, total=total))
                answer = deployment.s3.delete_objects(
                    Bucket=bucket,
                    Delete={"Quiet": True, "Objects": [_identified(item) for item in part]},
                )
                if answer.get("Errors"):
                    first = answer["Errors"][0]
                    raise OperationError(
                        f"{len(answer['Errors'])} objects could not be deleted, the first "
                        f"{first.get('Key')}: {first.get('Message')}.",
                        "Resolve what it names, then run the same command again.",
                    )


def _identified(item: StoredObject) -> Any:
    version = {"VersionId": item.version_id} if item.version_id else {}
    return {"Key": item.key} | version


def _write_mark(deployment: Deployment, name: str, at: datetime) -> None:
    """Replace the avatar by the default picture and the time of its removal.

    Raises
    ------
    StaleChangeError
        If a later upload is shown.
    """
    # As an ETag covers the bytes only, each mark has bytes of its own: a worker that holds the
    # ETag of an earlier one must not overwrite this. Decoders ignore what follows the picture.
    body = _default_picture(deployment, name) + uuid.uuid4().hex.encode()
    metadata = {"removed": at.isoformat(), "uploaded": at.isoformat()}
    for _ in range(_ATTEMPTS):
        register = outcomes.register(deployment, name)
        if register and (uploaded := outcomes.uploaded_of(register["Metadata"])) > at:
            if "removed" in register["Metadata"]:
                return  # somebody else has removed what came since, too
            raise _newer(name, uploaded)
        condition: Any = {"IfMatch": register["ETag"]} if register else {"IfNoneMatch": "*"}
        with aws_errors(f"mark {name} as removed"):
            try:
                deployment.s3.put_object(
                    Bucket=deployment.assets_bucket,
                    Key=outcomes.register_key(name),
                    Body=body,
                    ContentType="image/jpeg",
                    CacheControl=_CACHE,
                    Metadata=metadata,
                    Tagging=MARK_TAG,
                    **condition,
                )
            except ClientError as error:
                # S3's answers when somebody wrote at the same moment
                if error.response["Error"]["Code"] not in {
                    "PreconditionFailed",
                    "ConditionalRequestConflict",
                    "NoSuchKey",
                }:
                    raise
            else:
                return
    raise OperationError(
        f"The avatar {name} changed {_ATTEMPTS} times meanwhile.", "Run the same command again."
    )


def _default_picture(deployment: Deployment, name: str) -> bytes:
    key = "banners/banner.jpg" if is_banner(name) else outcomes.register_key("_default")
    with aws_errors("read the default picture"):
        try:
            found = deployment.s3.get_object(Bucket=deployment.assets_bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] == "NoSuchKey":
                return b""  # a take-down does not wait for an apply
            raise
        return found["Body"].read()


def _delete_until_empty(
    deployment: Deployment,
    name: str,
    at: datetime,
    report: progress.Report,
    *,
    drops_caches: bool,
) -> int:
    """Delete and invalidate what is older than the removal until a listing finds nothing."""
    longest = _longest_run(deployment)
    deleted: set[str] = set()  # of the pass before
    count = 0
    waited = False
    cached = True
    failure: OperationError | None = None
    for _ in range(_ATTEMPTS):
        listing = list_stored(deployment, name)
        found = listing.until(at)
        # The same picture was sent again while its variants were deleted: make them again.
        _queue_again(deployment, [i for i in listing.later_than(at) if i.version in deleted])
        delete(deployment, found, report)
        ended = time.monotonic() + longest
        count += len(found)
        deleted = {item.version for item in found if item.bucket == deployment.assets_bucket}
        if drops_caches and (found or cached):
            cached = True
            try:
                cdn.invalidate(deployment, cdn.paths_of(name), report)
                cached, failure = False, None
            except OperationError as error:
                failure = error  # what is stored is deleted nevertheless
        originals = any(item.bucket == deployment.uploads_bucket for item in found)
        if originals or not waited:
            with progress.timed(report, "Wait for pictures in the making"):
                time.sleep(max(0.0, ended - time.monotonic()))
            waited = True
        elif not found:
            if failure:
                raise failure
            return count
    raise OperationError(
        f"Something keeps writing what belongs to {name}.",
        "See `make logs FUNCTION=resize`, then run the same command again.",
    )


def _longest_run(deployment: Deployment) -> int:
    """Return after how many seconds Lambda ends a worker at the latest."""
    with aws_errors("read how long the resize function may run"):
        return deployment.functions.get_function_configuration(
            FunctionName=deployment.function_names["resize"], Qualifier=aliases.ALIAS
        )["Timeout"]


def _queue_again(deployment: Deployment, originals: Sequence[StoredObject]) -> None:
    with aws_errors("queue a later upload again"):
        reconcile.queue(deployment, [(item.key, item.version_id) for item in originals])


def _newer(name: str, at: datetime) -> StaleChangeError:
    return StaleChangeError(
        f"A picture of {name} came at {at.astimezone(UTC):%H:%M:%S} UTC that was not listed.",
        "Nothing was done. List it again, and confirm if that one is to go too.",
    )


def _pages(
    deployment: Deployment, bucket: str, prefix: str
) -> Iterator[ListObjectVersionsOutputTypeDef]:
    yield from deployment.s3.get_paginator("list_object_versions").paginate(
        Bucket=bucket, Prefix=prefix
    )


def _items(page: ListObjectVersionsOutputTypeDef, bucket: str) -> Iterator[StoredObject]:
    for item in page.get("Versions", []):
        yield StoredObject(
            bucket,
            item["Key"],
            version_id(item["VersionId"]),
            item["Size"],
            item["ETag"].strip('"'),
            item["LastModified"],
        )
    for marker in page.get("DeleteMarkers", []):
        yield StoredObject(
            bucket,
            marker["Key"],
            version_id(marker["VersionId"]),
            0,
            "",
            marker["LastModified"],
        )
