"""Keep what the law says must be kept of an account, whatever becomes of the account meanwhile.

A copy of all that is stored goes into a bucket of its own, where S3 itself refuses to delete it
from the moment that it is written (Object Lock's legal hold). An item in the table of limits says
so; an erasure and a hold can't both begin, as each is written on the condition that the other is
not there.
"""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar, Literal
from urllib.parse import quote

from botocore.exceptions import ClientError

from console.operations import progress
from console.operations.accounts import records
from console.operations.accounts.account import Account
from console.operations.accounts.records import Record
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.uploads import locks

_CANCELLED = "TransactionCanceledException"


@dataclass(frozen=True)
class PlaceHold:
    """Copy what is stored of an account to where nobody deletes it, and refuse its erasure."""

    target: Target
    deployment: Deployment
    account: Account
    reason: str
    action: ClassVar[str] = "place a legal hold"
    destructive: ClassVar[bool] = False

    @property
    def subject(self) -> str:
        """The user's id."""
        return self.account.sub

    def lines(self) -> Iterator[str]:
        """Yield what will be touched."""
        yield f"refuse to erase {self.account}"
        yield f"+ a copy of all that is stored of it in {self.deployment.legal_holds_bucket}"
        yield f"reason: {self.reason}"

    def check(self) -> None:
        """Pass: what has come since is copied too."""

    def execute(self, report: progress.Report) -> str:
        """Refuse erasure, then copy what is not copied yet; may be repeated.

        Raises
        ------
        OperationError
            If the account is being erased, or a copy fails: erasure is refused then already.
        """
        here, sub = self.deployment, self.account.sub
        with progress.timed(report, "Refuse erasure"):
            _write_item(here, sub)
        at = datetime.now(UTC)
        entries: list[dict[str, Any]] = []
        kept = {item["Key"] for item in _versions(here, sub)}
        with progress.timed(report, "Copy") as detail:
            for record in records.of_account(self.target, here, self.account, for_user=False):
                path, fresh = _path(sub, record, at), False
                if record.stored is None or path not in kept:
                    with aws_errors(f"copy {record.path}"):
                        fresh = _copy(here, record, path)
                if fresh or path in kept:
                    entries.append({"file": path, "stored": record.modified, **record.facts})
                report(progress.Event("Copy", "advanced", record.path, done=len(entries)))
            manifest = {"account": sub, "held": at, "reason": self.reason, "files": entries}
            with aws_errors("write the manifest"):
                _put(here, f"{sub}/{at:%Y%m%dT%H%M%S%fZ}/manifest.json", _json(manifest))
            detail.append(f"{len(entries)} files")
        with progress.timed(report, "Lock the copies"), aws_errors("lock the copies"):
            for item in _versions(here, sub):
                if item["Key"] in kept and not item["marker"]:  # a release may have died here
                    _set_lock(here, item, "ON")
        if held_since(here, sub) is None:
            raise OperationError(
                f"The hold of {sub} was released meanwhile: copies may be missing, or left.",
                "Place it again, or run make release-legal-hold again to delete what is left.",
            )
        return f"{len(entries)} files kept; reason: {self.reason}"


@dataclass(frozen=True)
class ReleaseHold:
    """Delete the copies of a held account, and allow its erasure again."""

    target: Target
    deployment: Deployment
    sub: str
    since: datetime | None
    action: ClassVar[str] = "release a legal hold"
    destructive: ClassVar[bool] = True

    @property
    def subject(self) -> str:
        """The user's id."""
        return self.sub

    def lines(self) -> Iterator[str]:
        """Yield what will be deleted."""
        bucket = self.deployment.legal_holds_bucket
        for item in _versions(self.deployment, self.sub):
            yield f"delete {bucket}/{item['Key']} ({item.get('Size', 0):,} bytes)"
        held = f", held since {self.since:%Y-%m-%d %H:%M} UTC" if self.since else ""
        yield f"allow the erasure of {self.sub}{held}"

    def check(self) -> None:
        """Pass: whatever is kept of the account goes."""

    def execute(self, report: progress.Report) -> str:
        """Delete the copies, then allow erasure: run again, it goes on with the rest."""
        here, count = self.deployment, 0
        with progress.timed(report, "Delete the copies"), aws_errors("delete the copies"):
            while some := list(itertools.islice(_versions(here, self.sub), 1000)):
                for item in some:
                    if not item["marker"]:
                        _set_lock(here, item, "OFF")
                    here.s3.delete_object(
                        Bucket=here.legal_holds_bucket,
                        Key=item["Key"],
                        VersionId=item["VersionId"],
                    )
                    count += not item["marker"]
        with progress.timed(report, "Allow erasure"), aws_errors("release the hold"):
            here.dynamodb.delete_item(TableName=here.limits_table, Key=key(self.sub))
        return f"{count} copies deleted"


def place(target: Target, deployment: Deployment, account: Account, reason: str) -> PlaceHold:
    """Return the change that holds an account.

    Raises
    ------
    OperationError
        If no reason is given, or the environment has no place for the copies.
    """
    if not reason.strip():
        raise OperationError(
            "A legal hold needs a reason.", "Name the order or the case: REASON='case 4711'."
        )
    _require_place(deployment)
    return PlaceHold(target, deployment, account, reason.strip())


def release(target: Target, deployment: Deployment, account: Account) -> ReleaseHold:
    """Return the change that ends a hold, or deletes what one left that was placed meanwhile.

    Raises
    ------
    OperationError
        If the account is not held, and nothing is left of a hold.
    """
    _require_place(deployment)
    since = held_since(deployment, account.sub)
    if since is None and not any(True for _ in _versions(deployment, account.sub)):
        raise OperationError(f"{account} is not held.", "The page Audit shows who released it.")
    return ReleaseHold(target, deployment, account.sub, since)


def held_since(deployment: Deployment, sub: str) -> datetime | None:
    """Return since when an account is held; None if it isn't."""
    if not deployment.limits_table:
        return None
    with aws_errors("look whether the account is held"):
        found = deployment.dynamodb.get_item(
            TableName=deployment.limits_table, Key=key(sub), ConsistentRead=True
        )
    held = found.get("Item", {}).get("held")
    return datetime.fromtimestamp(int(held["N"]), UTC) if held else None


def refusal(account: object, since: datetime) -> OperationError:
    """Return the error for whoever wants to erase what is held."""
    return OperationError(
        f"{account} is held by law since {since:%Y-%m-%d}: it can't be erased.",
        "Once the hold is over: make release-legal-hold NAME=<sub>, then erase.",
    )


def key(sub: str) -> dict[str, Any]:
    """Return the key of the item that says so: no user's id has a slash."""
    return {"user": {"S": f"legal-hold/{sub}"}}


def _require_place(deployment: Deployment) -> None:
    if not deployment.legal_holds_bucket:
        raise OperationError(
            f"There is no bucket for legal holds in .env.{deployment.name}.",
            f"Apply this version, then run `make env ENV={deployment.name}`.",
        )


def _write_item(here: Deployment, sub: str) -> None:
    with aws_errors("look whether the account is held"):
        answer = here.dynamodb.get_item(
            TableName=here.limits_table, Key=key(sub), ConsistentRead=True
        )
    if "Item" in answer:
        return
    now = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    item = {**key(sub), "held": {"N": str(int(now.timestamp()))}}
    unerased = {
        "TableName": here.limits_table,
        "Key": locks.key(sub),
        "ConditionExpression": "attribute_not_exists(erased)",
    }
    with aws_errors("place the hold"):
        try:
            here.dynamodb.transact_write_items(
                TransactItems=[
                    {"ConditionCheck": unerased},
                    {"Put": {"TableName": here.limits_table, "Item": item}},
                ]
            )
        except ClientError as error:
            if not refused_by_condition(error):
                raise
            raise OperationError(
                f"The account {sub} is being erased, or was: there is nothing left to hold.",
                "What an erasure leaves is said in docs/erasure.md.",
            ) from error


def refused_by_condition(error: ClientError) -> bool:
    """Say whether a transaction was cancelled because one of its conditions does not hold."""
    if error.response["Error"]["Code"] != _CANCELLED:
        return False
    reasons: Any = error.response.get("CancellationReasons", [])
    return any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons)


def _path(sub: str, record: Record, at: datetime) -> str:
    """Return the copy's key: what never changes is there once, the rest with each hold."""
    unchanging = record.stored and not record.path.endswith(records.STABLE)
    return f"{sub}/{record.path}" if unchanging else f"{sub}/{at:%Y%m%dT%H%M%S%fZ}/{record.path}"


def _copy(here: Deployment, record: Record, path: str) -> bool:
    """Copy a record; return False if it is gone."""
    if not record.stored:
        with tempfile.TemporaryFile() as whole:
            whole.writelines(record.read())
            whole.seek(0)
            _put(here, path, whole)
        return True
    version = f"?versionId={record.stored.version_id}" if record.stored.version_id else ""
    try:
        here.s3.copy_object(
            Bucket=here.legal_holds_bucket,
            Key=path,
            CopySource=f"{record.stored.bucket}/{quote(record.stored.key)}{version}",
            ObjectLockLegalHoldStatus="ON",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] not in {"NoSuchKey", "NoSuchVersion", "404"}:
            raise
        return False
    return True


def _put(here: Deployment, path: str, body: Any) -> None:
    here.s3.put_object(
        Bucket=here.legal_holds_bucket, Key=path, Body=body, ObjectLockLegalHoldStatus="ON"
    )


def _set_lock(here: Deployment, item: dict[str, Any], status: Literal["ON", "OFF"]) -> None:
    here.s3.put_object_legal_hold(
        Bucket=here.legal_holds_bucket,
        Key=item["Key"],
        VersionId=item["VersionId"],
        LegalHold={"Status": status},
    )


def _versions(here: Deployment, sub: str) -> Iterator[dict[str, Any]]:
    with aws_errors("list what is held"):
        pages = here.s3.get_paginator("list_object_versions").paginate(
            Bucket=here.legal_holds_bucket, Prefix=f"{sub}/"
        )
        for page in pages:
            for kind in ("Versions", "DeleteMarkers"):
                items: Any = page.get(kind, [])
                for item in items:
                    yield {**item, "marker": kind == "DeleteMarkers"}


def _json(value: Any) -> bytes:
    def text(each: object) -> str:
        return each.isoformat() if isinstance(each, datetime) else str(each)

    return json.dumps(value, indent=2, default=text, ensure_ascii=False).encode()
