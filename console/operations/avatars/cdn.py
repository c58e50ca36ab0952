"""CloudFront: drop paths from its caches, and say what that matches, was and costs."""

from __future__ import annotations

import re
import time
import uuid
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, ClassVar
from urllib.parse import quote, unquote

from botocore.exceptions import ClientError

from console.operations import progress
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError

if TYPE_CHECKING:
    from mypy_boto3_cloudfront.type_defs import InvalidationBatchTypeDef, InvalidationTypeDef

_WAIT_SECONDS = 900
MAX_PATHS = 3000
MAX_WILDCARDS = 15

# CloudFront's price: the first thousand paths of a calendar month (UTC) are free, for all
# distributions of the account together; a wildcard counts as one path
FREE_PATHS = 1000
USD_PER_PATH = 0.005

ALL_AVATARS = ("/avatars/*", "/variants/*", "/rejections/*")

_SEVERAL = 3
_OLDER_SHOWN = 20
_ASKED_AT_ONCE = 200
_WORKERS = 8
# An invalidation's paths never change: each is asked for once
_known_paths: dict[tuple[str, str], tuple[str, ...]] = {}


@dataclass(frozen=True)
class Invalidation:
    """One invalidation; `paths` is None where they have not been read yet."""

    id: str
    status: str
    created: datetime
    paths: tuple[str, ...] | None


def newest(deployment: Deployment, count: int) -> list[Invalidation]:
    """Return the newest invalidations, newest first, with a single question."""
    with aws_errors("list the invalidations"):
        listed = deployment.cloudfront.list_invalidations(
            DistributionId=deployment.distribution_id, MaxItems=str(count)
        )["InvalidationList"]
    found = [
        Invalidation(item["Id"], item["Status"], item["CreateTime"], None)
        for item in listed.get("Items") or []
    ]
    return sorted(found, key=lambda item: item.created, reverse=True)[:count]


@dataclass(frozen=True)
class History:
    """What was invalidated.

    Attributes
    ----------
    invalidations
        This month's, and some earlier ones, newest first.
    paths_this_month
        How many paths those of this month name.
    uncounted
        How many of this month's have paths not read yet; the next look goes on with them.
    """

    invalidations: tuple[Invalidation, ...]
    paths_this_month: int
    uncounted: int


@dataclass(frozen=True)
class Match:
    """What a path matches in the assets bucket.

    Attributes
    ----------
    keys
        The objects, at most a thousand.
    more
        Whether there are more than these.
    """

    path: str
    keys: tuple[str, ...]
    more: bool


@dataclass(frozen=True)
class Advice:
    """A wildcard that does the work of several paths, or of paths it covers already."""

    wildcard: str
    instead_of: tuple[str, ...]
    already_there: bool


def paths_of(name: str) -> list[str]:
    """Return the paths below which everything of an avatar is cached."""
    quoted = quote(name)
    return [f"/avatars/{quoted}.jpg", f"/variants/{quoted}/*", f"/rejections/{quoted}/*"]


def checked_paths(paths: str) -> list[str]:
    """Return the space-separated paths, each checked as CloudFront would.

    Raises
    ------
    OperationError
        Naming the first path that is wrong.
    """
    found = list(dict.fromkeys(paths.split()))
    if not found:
        raise OperationError("No path was given.", 'Name at least one: PATHS="/avatars/ada.jpg".')
    if len(found) > MAX_PATHS:
        raise OperationError(
            f"{len(found)} paths are too many for one invalidation (at most {MAX_PATHS}).",
            'Use a wildcard instead: PATHS="/avatars/*".',
        )
    wildcards = sum(path.endswith("*") for path in found)
    if wildcards > MAX_WILDCARDS:
        raise OperationError(
            f"{wildcards} wildcards are too many: CloudFront works on {MAX_WILDCARDS} at a time.",
            'Use one higher up: PATHS="/avatars/*".',
        )
    for path in found:
        if not path.startswith("/"):
            raise OperationError(f"The path {path!r} has no leading slash.", f"Use /{path}.")
        if "*" in path[:-1]:
            raise OperationError(
                f"The path {path!r} has a * before its end.",
                "CloudFront takes * as a wildcard only as the last character.",
            )
        if not re.fullmatch(r"/[A-Za-z0-9_\-./$~\"'@:+&%!()=,;*?]*", path):
            raise OperationError(
                f"The path {path!r} has a character that CloudFront refuses.",
                "Percent-encode it, as in /avatars/caf%C3%A9.jpg.",
            )
    return found


def advise(paths: Sequence[str]) -> list[Advice]:
    """Return how fewer paths would do: what a wildcard covers already, then what one could."""
    found: list[Advice] = []
    left = list(paths)
    for wildcard in [path for path in paths if path.endswith("*")]:
        covered = [path for path in left if path != wildcard and path.startswith(wildcard[:-1])]
        if covered and wildcard in left:
            found.append(Advice(wildcard, tuple(covered), already_there=True))
            left = [path for path in left if path not in covered]
    folders: dict[str, list[str]] = defaultdict(list)
    for path in left:
        # the folder of /variants/ada/* is /variants/, as ada is what it names
        folders[path.rstrip("*").rstrip("/").rpartition("/")[0]].append(path)
    found += [
        Advice(f"{folder}/*", tuple(inside), already_there=False)
        for folder, inside in folders.items()
        if folder and len(inside) >= _SEVERAL
    ]
    return found


def follow(advice: Advice, paths: Sequence[str]) -> list[str]:
    """Return the paths as the advice has them."""
    kept = [path for path in paths if path not in advice.instead_of]
    return kept if advice.wildcard in kept else [*kept, advice.wildcard]


def cost(used: int, paths: int) -> float:
    """Return what so many paths cost, in USD, after `used` ones this month."""
    return (max(0, used + paths - FREE_PATHS) - max(0, used - FREE_PATHS)) * USD_PER_PATH


def match(deployment: Deployment, path: str) -> Match:
    """Return the objects that a checked path matches."""
    prefix = unquote(path.partition("?")[0].removeprefix("/").removesuffix("*"))
    with aws_errors(f"look what {path} matches"):
        page = deployment.s3.list_objects_v2(
            Bucket=deployment.assets_bucket,
            Prefix=prefix,
            MaxKeys=1000 if path.endswith("*") else 1,
        )
    keys = [item["Key"] for item in page.get("Contents", [])]
    if path.endswith("*"):
        return Match(path, tuple(keys), page["IsTruncated"])
    return Match(path, tuple(key for key in keys if key == prefix), more=False)


def history(deployment: Deployment, now: datetime | None = None) -> History:
    """Return this month's invalidations and some before them, with the paths they name.

    CloudFront lists them newest first and without paths. Those are read one by one, at most 200
    in one call of this: a first look back on a busy month takes a few calls.
    """
    now = now or datetime.now(UTC)
    month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    summaries = []
    pages = deployment.cloudfront.get_paginator("list_invalidations").paginate(
        DistributionId=deployment.distribution_id
    )
    with aws_errors("list the invalidations"):
        for page in pages:
            items = page["InvalidationList"].get("Items", [])
            summaries += items
            if any(item["CreateTime"] < month for item in items):
                break
        # the emulator lists the oldest first
        summaries.sort(key=lambda item: item["CreateTime"], reverse=True)
        recent = sum(item["CreateTime"] >= month for item in summaries)
        del summaries[recent + _OLDER_SHOWN :]
        _read_paths(deployment, [item["Id"] for item in summaries])
    found = tuple(
        Invalidation(
            item["Id"],
            item["Status"],
            item["CreateTime"],
            _known_paths.get((deployment.distribution_id, item["Id"])),
        )
        for item in summaries
    )
    of_month = [item.paths for item in found[:recent]]
    return History(found, sum(len(paths or ()) for paths in of_month), of_month.count(None))


def _read_paths(deployment: Deployment, ids: Sequence[str]) -> None:
    distribution = deployment.distribution_id
    unknown = [item for item in ids if (distribution, item) not in _known_paths]

    def read(item: str) -> None:
        answer = deployment.cloudfront.get_invalidation(DistributionId=distribution, Id=item)
        batch = answer["Invalidation"]["InvalidationBatch"]
        _known_paths[distribution, item] = tuple(batch["Paths"].get("Items", ()))

    with ThreadPoolExecutor(_WORKERS) as pool:
        list(pool.map(read, unknown[:_ASKED_AT_ONCE]))


def invalidate(
    deployment: Deployment,
    paths: list[str],
    report: progress.Report,
    reference: str | None = None,
) -> str:
    """Create an invalidation and wait until it is complete; return its id.

    Parameters
    ----------
    reference
        CloudFront acts once on the same reference with the same paths; a new one if None.
    """
    with (
        progress.timed(report, "Invalidate") as detail,
        aws_errors(f"invalidate {' '.join(paths[:3])}"),
    ):
        deadline = time.monotonic() + _WAIT_SECONDS
        batch: InvalidationBatchTypeDef = {
            "Paths": {"Quantity": len(paths), "Items": paths},
            "CallerReference": reference or str(uuid.uuid4()),
        }
        created = _create(deployment, batch, deadline)
        while created["Status"] != "Completed":
            if time.monotonic() > deadline:
                raise OperationError(
                    f"Invalidation {created['Id']} is still {created['Status']} after "
                    f"{_WAIT_SECONDS // 60} minutes.",
                    "It goes on by itself; CloudFront's console shows when it is done.",
                )
            time.sleep(2)
            created = deployment.cloudfront.get_invalidation(
                DistributionId=deployment.distribution_id, Id=created["Id"]
            )["Invalidation"]
        detail.append(f"{created['Id']}, {len(paths)} paths")
        return created["Id"]


@dataclass(frozen=True)
class Invalidate:
    """Drop paths from CloudFront's caches.

    Attributes
    ----------
    destructive
        Whether so much is dropped that users may notice while it is fetched again.
    reference
        CloudFront acts on it once.
    """

    target: Target
    deployment: Deployment
    paths: tuple[str, ...]
    destructive: bool = False
    reference: str = field(default_factory=lambda: uuid.uuid4().hex, compare=False)
    action: ClassVar[str] = "invalidate"

    @property
    def subject(self) -> str:
        """The paths."""
        return " ".join(self.paths)

    def lines(self) -> list[str]:
        """Return what will be touched."""
        return [f"~ {path}" for path in self.paths]

    def check(self) -> None:
        """Pass: the paths are dropped whatever they match by then."""

    def execute(self, report: progress.Report) -> str:
        """Drop them; return the invalidation's id."""
        return invalidate(self.deployment, list(self.paths), report, self.reference)


def _create(
    deployment: Deployment, batch: InvalidationBatchTypeDef, deadline: float
) -> InvalidationTypeDef:
    """Create an invalidation, after those that are in progress if these are as many as may be."""
    while True:
        try:
            return deployment.cloudfront.create_invalidation(
                DistributionId=deployment.distribution_id, InvalidationBatch=batch
            )["Invalidation"]
        except ClientError as error:
            full = error.response["Error"]["Code"] == "TooManyInvalidationsInProgress"
            if not full or time.monotonic() > deadline:
                raise
        time.sleep(5)
