"""All that is stored of an account, one record after the other, for a copy of it.

Nothing here is of anybody else: keys are compared whole, rows are asked for by the user's id, and
of the audit only what was done and when is given, neither by whom nor in which words. What others
said of the account's pictures is only in a copy that its user does not get.
"""

from __future__ import annotations

import json
import mimetypes
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from console.operations.accounts import rows
from console.operations.accounts.account import Account, users
from console.operations.audit.audit import Audit
from console.operations.avatars.takedown import StoredObject, list_stored
from console.operations.environments.aws_errors import MISSING, aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.pipeline import reviews
from console.operations.uploads import crops, locks, names, outcomes

_CHUNK = 1 << 20
STABLE = "public/avatar.jpg"
"""What is public at the stable address, in the copy; a banner's is in a folder of its own."""


@dataclass(frozen=True)
class Record:
    """One file of a copy.

    Attributes
    ----------
    path
        Where it is in the copy: letters, digits, ``.``, ``-``, ``_`` and slashes only.
    modified
        When it was stored; of what is asked for now, now.
    read
        Yields its bytes, or nothing if it is no longer there.
    stored
        The object that it is; None for what is asked for.
    facts
        What else is known of it, for the manifest.
    """

    path: str
    modified: datetime
    read: Callable[[], Iterator[bytes]]
    stored: StoredObject | None
    facts: dict[str, Any]


def of_account(
    target: Target, deployment: Deployment, account: Account, *, for_user: bool
) -> Iterator[Record]:
    """Yield what is stored of the account, and what was done to it.

    First what a take-down, or its time, deletes for good and no listing finds again: the reviews.

    Parameters
    ----------
    for_user
        Leave out what others wrote when they reported the account's pictures, and who did.
    """
    if reviews.is_on(deployment):
        yield _asked(
            "reviews.json",
            lambda: [
                _reviewed(each, for_user=for_user)
                for name in names.of_user(account.sub)
                for each in reviews.of_avatar(deployment, name)
            ],
        )
    for name in names.of_user(account.sub):
        yield from _pictures(deployment, name)
    yield _asked("sign-in.json", lambda: [_user(user) for user in users(deployment, account.sub)])
    if deployment.limits_table:
        yield _asked(
            "limits.json",
            lambda: [find(deployment, account.sub) for find in (locks.item, locks.removals)],
        )
    if deployment.database_url_parameter:
        url = target.database_url
        yield _asked("profile.json", lambda: list(rows.profiles(url(), account.sub)))
        yield Record(
            "activities.jsonl",
            datetime.now(UTC),
            lambda: (_json(row) + b"\n" for row in rows.activities(url(), account.sub)),
            None,
            {},
        )
        audit = Audit(target.env, url, target.state / "audit")
        yield _asked("audit.json", lambda: audit.about(account.names))


def _pictures(deployment: Deployment, name: str) -> Iterator[Record]:
    """Yield what is stored of one avatar or banner."""
    place = "banner/" if names.is_banner(name) else ""
    listing = list_stored(deployment, name)
    for item in listing.originals:
        if item.version:
            yield _original(deployment, item, place)
    removals = [
        {"at": item.stored, "version_id": item.version_id}
        for item in listing.originals
        if not item.version
    ]
    if removals:
        yield _asked(f"{place}originals/removals.json", lambda: removals)
    public = [item.key for item in listing.made if item.key != outcomes.register_key(name)]
    register = outcomes.register(deployment, name)
    if register:
        shown = StoredObject(
            deployment.assets_bucket,
            outcomes.register_key(name),
            None,
            register["ContentLength"],
            register["ETag"].strip('"'),
            register["LastModified"],
        )
        facts = {"public_at": f"{deployment.assets_url}/{shown.key}", **register["Metadata"]}
        yield _of_object(deployment, shown, f"{place}{STABLE}", facts)
    for item in listing.made:
        if item.key in public:
            folder, _, rest = item.key.partition(f"/{name}/")
            kind = {"variants": "public", "rejections": "rejections"}[folder]
            facts = {"public_at": f"{deployment.assets_url}/{item.key}"}
            yield _of_object(deployment, item, f"{place}{kind}/{_safe(rest)}", facts)


def _original(deployment: Deployment, item: StoredObject, place: str) -> Record:
    with aws_errors("look at an original"):
        version: Any = {"VersionId": item.version_id} if item.version_id else {}
        try:
            found: Any = deployment.s3.head_object(Bucket=item.bucket, Key=item.key, **version)
        except ClientError as error:
            if error.response["Error"]["Code"] not in MISSING:
                raise
            found = {}
        tags: dict[str, str] = {}
        if found.get("TagCount", 1) and found:
            answer = deployment.s3.get_object_tagging(Bucket=item.bucket, Key=item.key, **version)
            tags = {tag["Key"]: tag["Value"] for tag in answer["TagSet"]}
    ending = mimetypes.guess_extension(found.get("ContentType", "")) or ".bin"
    at = item.stored.astimezone(UTC)
    path = f"{place}originals/{at:%Y%m%dT%H%M%SZ}-{_safe(item.version_id or item.version)}{ending}"
    facts = {
        "key": item.key,
        "version_id": item.version_id,
        "content_type": found.get("ContentType"),
    }
    if crop := found.get("Metadata", {}).get(crops.METADATA):
        facts["crop"] = crop
    return _of_object(deployment, item, path, facts | ({"tags": tags} if tags else {}))


def _of_object(
    deployment: Deployment, item: StoredObject, path: str, facts: dict[str, Any]
) -> Record:
    def read() -> Iterator[bytes]:
        version: Any = {"VersionId": item.version_id} if item.version_id else {}
        with aws_errors(f"read {item.key}"):
            try:
                found = deployment.s3.get_object(Bucket=item.bucket, Key=item.key, **version)
            except ClientError as error:
                if error.response["Error"]["Code"] not in MISSING:
                    raise
                return  # it went while the others were read
            with closing(found["Body"]) as body:
                yield from body.iter_chunks(_CHUNK)

    return Record(path, item.stored, read, item, {"etag": item.version, **facts})


def _asked(path: str, ask: Callable[[], Any]) -> Record:
    return Record(path, datetime.now(UTC), lambda: iter([_json(ask(), indent=2) + b"\n"]), None, {})


def _user(user: Any) -> dict[str, Any]:
    return {
        "username": user["Username"],
        "status": user.get("UserStatus"),
        "created": user.get("UserCreateDate"),
        "attributes": {item["Name"]: item.get("Value") for item in user.get("Attributes", [])},
    }


def _reviewed(review: reviews.Review, *, for_user: bool) -> dict[str, Any]:
    """Return what was held or reported; for its user, without the words of who reported it."""
    return {
        "key": review.key,
        "version_id": review.version_id,
        "state": review.state,
        "uploaded": review.uploaded,
        "since": datetime.fromtimestamp(review.since, UTC),
        "score": review.score,
        "reports": [
            {"reason": each.reason, "at": datetime.fromtimestamp(each.at, UTC)}
            | ({} if for_user else {"text": each.text, "reporter": each.reporter})
            for each in review.reports
        ],
    }


def _safe(name: str) -> str:
    """Return a name that leads nowhere else and that every file system takes."""
    return re.sub(r"[^0-9A-Za-z_.-]|^\.+|\.\.+", "_", name.replace("/", "-"))


def _json(value: Any, indent: int | None = None) -> bytes:
    text = json.dumps(value, indent=indent, default=_text, ensure_ascii=False, sort_keys=True)
    return text.encode("utf-8", "backslashreplace")


def _text(value: object) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)
