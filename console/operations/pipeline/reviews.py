"""The list of pictures that operators are to look at: held before they are shown, or reported.

An item of the table for each version, which `resize` and `report` write (`lambdas/resize`,
`lambdas/report`). What waits is in the index `waiting`, the oldest first. A held picture that was
decided stays there until its event was sent again, so that a crash in between loses none.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from botocore.exceptions import ClientError

from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError, StaleChangeError
from console.operations.pipeline import reconcile

Decision = Literal["approved", "refused"]
SHOWN = 50
_COUNTED = 10_000
"""More are not counted."""
_WAITING: Mapping[str, Any] = {
    "IndexName": "waiting",
    "KeyConditionExpression": "#queue = :queue",
    "ExpressionAttributeNames": {"#queue": "queue"},
    "ExpressionAttributeValues": {":queue": {"S": "review"}},
}


@dataclass(frozen=True)
class Report:
    """What one user said of a picture, in seconds since 1970.

    Attributes
    ----------
    reporter
        A hash of who said it, for this picture alone.
    """

    reason: str
    text: str
    at: float
    reporter: str


@dataclass(frozen=True)
class Review:
    """One version of an original that waits, or was decided.

    Attributes
    ----------
    name
        The avatar's name.
    version_id
        S3's, of the original; None where it has none.
    state
        ``held``, ``reported``, ``approved`` or ``refused``.
    etag
        The original's, and what stands for its crop: what names its variants.
    sequencer
        That of S3's event, by which it is ordered.
    since
        When it was put on the list, in seconds since 1970.
    waits
        Whether it is still on the list.
    score
        What the verdict function said.
    """

    name: str
    version_id: str | None
    state: str
    key: str
    etag: str
    sequencer: str | None
    uploaded: datetime
    since: float
    waits: bool
    score: float | None
    reports: tuple[Report, ...]

    def __str__(self) -> str:
        return f"{self.key} {self.version_id or 'null'}"

    @property
    def is_reported(self) -> bool:
        """Whether it was shown when it was put on the list."""
        return self.state == "reported"


@dataclass(frozen=True)
class Page:
    """Some of what waits, the oldest first; `after` is where the next page begins, if any."""

    reviews: tuple[Review, ...]
    after: Any


@dataclass(frozen=True)
class Summary:
    """How many wait, at least, and since when the oldest does (seconds since 1970)."""

    count: int
    more: bool
    oldest: float | None


def is_on(deployment: Deployment) -> bool:
    """Say whether pictures can be held or reported in this environment."""
    return bool(deployment.reviews_table)


def page(deployment: Deployment, after: Any = None, limit: int = SHOWN) -> Page:
    """Return some of what waits, the oldest first, with what was reported of it.

    Parameters
    ----------
    after
        The previous page's `after`; None for the oldest.
    """
    table = _table(deployment)
    start = {"ExclusiveStartKey": after} if after else {}
    with aws_errors("list what is to be reviewed"):
        found = deployment.dynamodb.query(TableName=table, Limit=limit, **_WAITING, **start)
        keys = [{name: item[name] for name in ("name", "version")} for item in found["Items"]]
        items = {_place(item): item for item in _items(deployment, keys)}
    # in the index's order, without what was decided since it was written
    chosen = [items[_place(key)] for key in keys if _place(key) in items]
    return Page(
        tuple(review for review in map(_review, chosen) if review.waits),
        found.get("LastEvaluatedKey"),
    )


def summary(deployment: Deployment) -> Summary:
    """Count what waits, and say since when."""
    table, count, after = _table(deployment), 0, None
    oldest = None
    with aws_errors("count what is to be reviewed"):
        while count < _COUNTED:
            start: Any = {"ExclusiveStartKey": after} if after else {}
            if oldest is None:
                first = deployment.dynamodb.query(TableName=table, Limit=1, **_WAITING)
                if not first["Items"]:
                    return Summary(0, False, None)
                oldest = int(first["Items"][0]["since"]["N"]) / 1000
            found = deployment.dynamodb.query(
                TableName=table, Select="COUNT", Limit=_COUNTED - count, **_WAITING, **start
            )
            count += found["Count"]
            after = found.get("LastEvaluatedKey")
            if not after:
                break
    return Summary(count, bool(after), oldest)


def read(deployment: Deployment, name: str, version_id: str | None) -> Review | None:
    """Return what the table says now of a version; None if nothing."""
    with aws_errors(f"look at the review of {name}"):
        found = deployment.dynamodb.get_item(
            TableName=_table(deployment), Key=_key(name, version_id), ConsistentRead=True
        )
    return _review(found["Item"]) if "Item" in found else None


def of_avatar(deployment: Deployment, name: str) -> list[Review]:
    """Return every review of an avatar, waiting or decided, the oldest upload first."""
    with aws_errors(f"list the reviews of {name}"):
        found = [_review(item) for item in _of_avatar(deployment, name)]
    return sorted(found, key=lambda review: review.uploaded)


def drop(deployment: Deployment, name: str, until: datetime | None = None) -> int:
    """Delete the reviews of an avatar, if a time is given those of uploads until then.

    Returns
    -------
    int
        How many.
    """
    if not is_on(deployment):
        return 0
    count = 0
    with aws_errors(f"delete the reviews of {name}"):
        for item in _of_avatar(deployment, name):
            review = _review(item)
            if until is None or review.uploaded <= until:
                key = _key(name, review.version_id)
                deployment.dynamodb.delete_item(TableName=deployment.reviews_table, Key=key)
                count += 1
    return count


def decide(deployment: Deployment, review: Review, decision: Decision) -> None:
    """Record what becomes of a picture, and have a held one processed accordingly.

    It may be repeated by whoever decides the same, until it is complete.

    Raises
    ------
    StaleChangeError
        If somebody has decided something else.
    """
    if review.state not in {"held", "reported", decision}:  # perhaps it was sent already
        raise decided_meanwhile(review)
    with aws_errors(f"record that {review} is {decision}"):
        _update(
            deployment,
            review,
            "SET #state = :decision" + (" REMOVE #queue" if review.is_reported else ""),
            "(#state = :seen OR #state = :decision) AND attribute_exists(#queue)",
            decision,
        )
        if review.is_reported:  # it is shown already
            return
        event = reconcile.event(deployment, review.key, review.version_id, review.sequencer)
        deployment.sqs.send_message(QueueUrl=deployment.queue_url, MessageBody=json.dumps(event))
        # only now: what is not on the list is not looked for any more
        _update(deployment, review, "REMOVE #queue", "#state = :decision", decision)


def _update(
    deployment: Deployment, review: Review, update: str, condition: str, decision: Decision
) -> None:
    used = update + condition
    values = {":decision": decision, ":seen": review.state, ":etag": review.etag}
    names = {"#state": "state", "#queue": "queue", "#etag": "etag"}
    condition += " AND #etag = :etag"
    try:
        deployment.dynamodb.update_item(
            TableName=_table(deployment),
            Key=_key(review.name, review.version_id),
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeNames={
                name: value for name, value in names.items() if name in used or name == "#etag"
            },
            ExpressionAttributeValues={
                name: {"S": value}
                for name, value in values.items()
                if name in used or name == ":etag"
            },
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
            raise
        raise decided_meanwhile(review) from error


def decided_meanwhile(review: Review) -> StaleChangeError:
    """Return the error for a picture that does not wait any longer."""
    return StaleChangeError(
        f"{review} does not wait any longer: somebody has decided it, or it was taken down.",
        "Nothing was done. Go on with the next one.",
    )


def as_json(review: Review) -> dict[str, Any]:
    """Return a review for scripts."""
    return {
        "key": review.key,
        "version_id": review.version_id,
        "state": review.state,
        "uploaded": review.uploaded.isoformat(),
        "waits_seconds": round(max(0.0, time.time() - review.since)),
        "score": review.score,
        "reports": [{"reason": each.reason, "text": each.text} for each in review.reports],
    }


def _table(deployment: Deployment) -> str:
    if not is_on(deployment):
        raise OperationError(
            f"Nothing is held or reported in {deployment.name}: its setting `moderation` is off.",
            'Set moderation = "reports", "suspicious" or "all" (docs/configuration.md), then '
            f"run `make apply ENV={deployment.name}`.",
        )
    return deployment.reviews_table


def _items(deployment: Deployment, keys: list[Any]) -> Iterator[dict[str, Any]]:
    """Yield the items of these keys, as they are now."""
    table = deployment.reviews_table
    for start in range(0, len(keys), 100):
        wanted: Any = {table: {"Keys": keys[start : start + 100], "ConsistentRead": True}}
        for _ in range(10):  # of a large answer the rest is asked for again
            answer = deployment.dynamodb.batch_get_item(RequestItems=wanted)
            yield from answer["Responses"].get(table, [])
            wanted = answer.get("UnprocessedKeys")
            if not wanted:
                break


def _of_avatar(deployment: Deployment, name: str) -> Iterator[dict[str, Any]]:
    pages = deployment.dynamodb.get_paginator("query").paginate(
        TableName=_table(deployment),
        KeyConditionExpression="#name = :name",
        ExpressionAttributeNames={"#name": "name"},
        ExpressionAttributeValues={":name": {"S": name}},
        ConsistentRead=True,
    )
    for found in pages:
        yield from found["Items"]


def _place(item: Mapping[str, Any]) -> tuple[str, str]:
    return item["name"]["S"], item["version"]["S"]


def _key(name: str, version_id: str | None) -> dict[str, Any]:
    return {"name": {"S": name}, "version": {"S": version_id or "null"}}


def _review(item: Mapping[str, Any]) -> Review:
    version = item["version"]["S"]
    reports = [
        Report(
            value["M"]["reason"]["S"],
            value["M"]["text"]["S"],
            float(value["M"]["at"]["N"]),
            name.removeprefix("report "),
        )
        for name, value in item.items()
        if name.startswith("report ")
    ]
    return Review(
        name=item["name"]["S"],
        version_id=None if version == "null" else version,
        state=item["state"]["S"],
        key=item["key"]["S"],
        etag=item["etag"]["S"],
        sequencer=item["sequencer"]["S"] if "sequencer" in item else None,
        uploaded=datetime.fromisoformat(item["uploaded"]["S"]),
        since=int(item["since"]["N"]) / 1000,
        waits="queue" in item,
        score=float(item["score"]["N"]) if "score" in item else None,
        reports=tuple(sorted(reports, key=lambda each: each.at)),
    )
