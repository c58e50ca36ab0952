"""Which uploads are held until an operator has looked at them.

One item of a table for each version that waits or has been decided, by the avatar's name and S3's
version id, so that what was approved holds for that very upload and for no other. What waits or was
refused, waits or is refused in any other crop too: there the bytes count. The console writes
decisions there, and then sends the upload's event again; what it approves is ordered as any upload,
by the sequencer that is kept here.
"""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import env_settings
from avatar_crop import etag_of
from dynamodb import ConditionFailedError, Table
from resize.events import Upload
from resize.store import Original

MODES = ("off", "reports", "suspicious", "all")
HELD, APPROVED, REFUSED = "held", "approved", "refused"
"""What resize makes of an item's state; ``reported`` is one of what is shown already."""
QUEUE = "review"
"""What stands in an item that waits: the key of the index, which has the oldest first."""
FAILED = "verdict function failed"
"""What the alarm looks for in the log."""
_DAY = 86_400


class VerdictError(Exception):
    """The verdict function gave no usable answer; the message says why."""


@dataclass(frozen=True)
class VerdictFunction:
    """The function that says which uploads are to be held.

    Parameters
    ----------
    client
        Makes the Lambda client when it is needed; its calls end after so many `seconds`.
    hold_on_failure
        Whether an upload of which it says nothing usable is held, or shown.
    """

    client: Callable[[float], Any]
    function_arn: str
    seconds: int
    hold_on_failure: bool
    log: logging.Logger

    def ask(self, upload: Upload, original: Original, picture: bytes) -> tuple[bool, float | None]:
        """Return whether to hold the upload, and the function's score.

        Parameters
        ----------
        picture
            The JPEG of 512 pixels that would be shown.
        """
        question = {
            "bucket": upload.bucket,
            "key": upload.key,
            "version_id": original.version_id,
            "version": original.version,
            "size": original.size,
            "uploaded": original.uploaded.isoformat(),
            "picture": base64.b64encode(picture).decode(),
        }
        try:
            answer = self.client(self.seconds).invoke(
                FunctionName=self.function_arn, Payload=json.dumps(question).encode()
            )
            said = json.loads(answer["Payload"].read())
            if "FunctionError" in answer:
                raise VerdictError(f"{answer['FunctionError']}: {str(said)[:500]}")
            return _classification(said)
        except Exception as error:  # whatever it is, the upload is not to wait for its repair
            reason = f"{type(error).__name__}: {error}"
            fields = {"key": upload.key, "version_id": original.version_id, "reason": reason}
            self.log.warning(FAILED, extra={"fields": fields})
            return self.hold_on_failure, None


def _classification(said: Any) -> tuple[bool, float | None]:
    hold = said.get("hold") if isinstance(said, dict) else None
    score = said.get("score") if isinstance(said, dict) else None
    if not isinstance(hold, bool) or isinstance(score, bool):
        raise VerdictError(f"the answer is not {{'hold': bool, 'score': float}}: {str(said)[:500]}")
    if score is not None and not isinstance(score, int | float):
        raise VerdictError(f"the score is no number: {str(score)[:100]}")
    return hold, score


@dataclass(frozen=True)
class Moderation:
    """What is held, and what was decided of it.

    Parameters
    ----------
    mode
        ``reports``, ``suspicious`` or ``all``.
    days
        For so long an item is kept.
    """

    table: Table
    mode: str
    days: int
    verdict_function: VerdictFunction | None = None

    @classmethod
    def from_environment(
        cls, log: logging.Logger, seconds: float, client: Callable[[float], Any]
    ) -> Moderation | None:
        """Read the settings; None where moderation is off.

        Parameters
        ----------
        seconds
            How long each of two tries to ask the table may take.
        client
            Makes a Lambda client whose calls end after so many seconds.
        """
        (mode,) = env_settings.choices("MODERATION", "off", MODES)
        if mode == "off":
            return None
        verdict_function = None
        if mode == "suspicious":
            (on_failure,) = env_settings.choices("VERDICT_ON_FAILURE", "hold", ("hold", "show"))
            verdict_function = VerdictFunction(
                client,
                env_settings.text("VERDICT_FUNCTION_ARN", pattern=r"arn:\S+"),
                env_settings.integer("VERDICT_TIMEOUT_SECONDS", 3, 1, 10),
                on_failure == "hold",
                log,
            )
        return cls(
            Table.from_environment(env_settings.text("REVIEWS_TABLE_NAME"), seconds),
            mode,
            env_settings.integer("REVIEW_DAYS", 90, 30, 3650),
            verdict_function,
        )

    def state(self, upload: Upload, original: Original) -> str:
        """Return what is known of an upload: its item's state, or ""; or that of its bytes.

        In the mode ``reports`` only messages of our own, and crops, are about one of which
        something can be known.

        Raises
        ------
        dynamodb.TableError
            If the table can't be asked; nothing is shown then that might not be shown.
        """
        if self.mode == "reports" and upload.event_time is not None and original.crop is None:
            return ""
        items = list(self._items(upload.name))
        own = next((item for item in items if item["version"]["S"] == _place(original)), {})
        return _state(own, upload, original) or _state_in_another_crop(items, upload, original)

    def _items(self, name: str) -> Iterator[dict[str, Any]]:
        """Yield what tells an avatar's versions from each other, and their states."""
        names = {
            f"#{each}": each for each in ("name", "version", "state", "key", "etag", "uploaded")
        }
        more: dict[str, Any] = {}
        while True:
            found = self.table.call(
                "Query",
                KeyConditionExpression="#name = :name",
                ProjectionExpression="#version, #state, #key, #etag, #uploaded",
                ExpressionAttributeNames=names,
                ExpressionAttributeValues={":name": {"S": name}},
                ConsistentRead=True,
                **more,
            )
            yield from found["Items"]
            if not found.get("LastEvaluatedKey"):
                return
            more = {"ExclusiveStartKey": found["LastEvaluatedKey"]}

    def judge(
        self, upload: Upload, original: Original, picture: bytes
    ) -> tuple[bool, float | None]:
        """Say whether to hold an upload of which nothing is known yet, and with which score."""
        if self.verdict_function:
            return self.verdict_function.ask(upload, original, picture)
        return self.mode == "all", None

    def hold(self, upload: Upload, original: Original, score: float | None = None) -> str:
        """Put an upload on the list of what waits, unless it was decided; return its state."""
        if self.mode == "reports":  # held before the mode was changed
            return HELD
        now = time.time()
        values: dict[str, Any] = {
            "state": {"S": HELD},
            "key": {"S": upload.key},
            "etag": {"S": original.version},
            "uploaded": {"S": original.uploaded.isoformat()},
            "expires": {"N": str(int(now) + self.days * _DAY)},
        }
        if upload.sequencer:  # a message of our own, which has none, must not take it away
            values["sequencer"] = {"S": upload.sequencer}
        if score is not None:
            values["score"] = {"N": f"{score:.6f}"}
        first = {"queue": {"S": QUEUE}, "since": {"N": str(round(now * 1000))}}
        sets = [f"#{name} = :{name}" for name in values]
        sets += [f"#{name} = if_not_exists(#{name}, :{name})" for name in first]
        every = values | first
        try:
            self.table.call(
                "UpdateItem",
                Key=_key(upload, original),
                UpdateExpression=f"SET {', '.join(sets)}",
                ConditionExpression="attribute_not_exists(#state) OR #state = :state",
                ExpressionAttributeNames={f"#{name}": name for name in every},
                ExpressionAttributeValues={f":{name}": value for name, value in every.items()},
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailedError as failure:
            return _state(failure.item, upload, original) or HELD  # rather than shown
        return HELD


def _key(upload: Upload, original: Original) -> dict[str, Any]:
    return {"name": {"S": upload.name}, "version": {"S": _place(original)}}


def _place(original: Original) -> str:
    return original.version_id or "null"


def _state(item: dict[str, Any], upload: Upload, original: Original) -> str:
    """Return the item's state, if it is of this very upload."""
    same = {"key": upload.key, "etag": original.version}
    if any(item.get(name, {}).get("S") != value for name, value in same.items()):
        return ""
    return str(item["state"]["S"])


def _state_in_another_crop(
    items: Iterable[dict[str, Any]], upload: Upload, original: Original
) -> str:
    """Return whether the last known upload of the same bytes waits, or was refused; else "".

    An upload of the same bytes with the same crop is judged like any other, unless it is a copy.
    """
    etag, stays = etag_of(original.version), {HELD, REFUSED}
    others = [
        item
        for item in items
        if etag_of(item.get("etag", {}).get("S", "")) == etag
        and (upload.is_copy or item["etag"]["S"] != original.version)
    ]
    # within one second, what was not approved counts
    states = [(item["uploaded"]["S"], item["state"]["S"] in stays, item) for item in others]
    _, counts, last = max(states, key=lambda each: each[:2], default=("", False, {}))
    return str(last["state"]["S"]) if counts else ""
