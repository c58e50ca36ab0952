"""How many pictures a user may send and remove, and whether the user is locked out.

One item of a table for each user. `resize` counts in it each upload of which S3 notifies it, by the
time that S3 gives, and by an id, so that a message that comes twice counts once; `presign` looks
before it gives an address. `remove` counts in an item of its own: who has sent too much, or is
locked out, may remove the picture nevertheless. Where the table can't be asked, all go on without
it, and log it: nobody's picture waits for a counter.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from dataclasses import dataclass
from typing import Any

import env_settings
from dynamodb import ConditionFailedError, Table, TableError

SHORT_SECONDS = 600
DAY_SECONDS = 86_400
_WINDOWS = {"s": SHORT_SECONDS, "d": DAY_SECONDS, "r": SHORT_SECONDS, "p": DAY_SECONDS}
"""How long a count lasts: of what passed, for both limits, of what was refused, and of reports."""
_KEPT_SECONDS = 3 * DAY_SECONDS
"""After the last upload, the item goes."""
_OLD_COUNTS = 20
"""So many counts of past times an item may hold before they are deleted."""
NOT_ASKED = "limits not asked"
"""What the alarm looks for in the log."""


@dataclass(frozen=True)
class Refusal:
    """Why a user may not send a picture now.

    Attributes
    ----------
    code
        ``locked``, ``erased``, ``too_many_uploads``, ``too_many_removals`` or
        ``too_many_reports``.
    retry_after
        Seconds until it may be tried again; None if an operator must unlock the user.
    is_flood
        Whether as many have been refused already in the same ten minutes as may be sent.
    """

    code: str
    retry_after: int | None = None
    is_flood: bool = False


@dataclass(frozen=True)
class Limits:
    """How many uploads a user may send in each ten minutes and in each day, UTC; and removals."""

    table: Table
    short: int
    long: int
    log: logging.Logger

    @classmethod
    def from_environment(cls, log: logging.Logger, seconds: float) -> Limits | None:
        """Read the settings; without a table there are no limits.

        Parameters
        ----------
        seconds
            How long each of two tries to ask the table may take.
        """
        if not os.environ.get("LIMITS_TABLE_NAME", "").strip():
            return None
        return cls(
            Table.from_environment(env_settings.text("LIMITS_TABLE_NAME"), seconds),
            env_settings.integer("UPLOADS_PER_10_MINUTES", 20, 1, 10_000),
            env_settings.integer("UPLOADS_PER_DAY", 100, 1, 10_000),
            log,
        )

    def look(self, user: str) -> Refusal | None:
        """Say why the user may not send a picture now; None if it may."""
        try:
            answer = self.table.call("GetItem", Key=_key(user))
        except TableError as error:
            self._not_asked(error)
            return None
        return self._refusal(answer.get("Item", {}), time.time())

    def count(self, user: str, upload: str, at: float) -> Refusal | None:
        """Count an upload, once whatever happens, and say why it may not be; None if it may.

        Parameters
        ----------
        upload
            What tells it from the user's others.
        at
            When S3 stored it, in seconds since 1970.
        """
        try:
            self._add(user, upload, at)
        except ConditionFailedError as failure:
            return self._refused(user, failure.item, at)
        except TableError as error:
            self._not_asked(error)
        return None

    def look_for_lock(self, user: str) -> Refusal | None:
        """Say whether the user is locked or erased, without counting: for operators' messages.

        An update that changes nothing, as `resize` may do no other call.
        """
        try:
            answer = self.table.call(
                "UpdateItem",
                Key=_key(user),
                UpdateExpression="REMOVE #n",
                ConditionExpression="attribute_exists(#l)",
                ExpressionAttributeNames={"#n": "none", "#l": "locked"},
                ReturnValues="ALL_OLD",
            )
        except ConditionFailedError:
            return None
        except TableError as error:
            self._not_asked(error)
            return None
        return _lock_of(answer["Attributes"])

    def count_report(self, user: str, per_day: int) -> Refusal | None:
        """Count a report of somebody's picture, and say why it may not be; None if it may."""
        now = int(time.time())
        try:
            self.table.call(
                "UpdateItem",
                Key=_key(user),
                UpdateExpression="ADD #p :one SET expires = :expires",
                ConditionExpression="attribute_not_exists(#l)"
                " AND (attribute_not_exists(#p) OR #p < :most)",
                ExpressionAttributeNames={"#p": _name("p", now), "#l": "locked"},
                ExpressionAttributeValues={
                    ":one": {"N": "1"},
                    ":most": {"N": str(per_day)},
                    ":expires": {"N": str(now + _KEPT_SECONDS)},
                },
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except ConditionFailedError as failure:
            if "locked" in failure.item:
                return Refusal("locked")
            return Refusal("too_many_reports", DAY_SECONDS - now % DAY_SECONDS)
        except TableError as error:
            self._not_asked(error)
        return None

    def count_removal(self, user: str, request: str) -> Refusal | None:
        """Count a removal, once for each request, and say why it may not be; None if it may."""
        at = time.time()
        try:
            self._add(f"removals/{user}", request, at)  # no user's name has a slash
        except ConditionFailedError as failure:
            return Refusal("too_many_removals", self._wait(failure.item, at))
        except TableError as error:
            self._not_asked(error)
        return None

    def _add(self, user: str, event: str, at: float) -> None:
        """Add to the counts of a time, unless they are full and don't have it already.

        Raises
        ------
        ConditionFailedError
            With the item, if they are full, or the user is locked.
        """
        identity = hashlib.sha256(event.encode()).hexdigest()[:12]
        answer = self.table.call(
            "UpdateItem",
            Key=_key(user),
            UpdateExpression="ADD #s :ids, #d :ids SET expires = :expires",
            ConditionExpression="attribute_not_exists(#l)"
            " AND (attribute_not_exists(#s) OR size(#s) < :short OR contains(#s, :id))"
            " AND (attribute_not_exists(#d) OR size(#d) < :long OR contains(#d, :id))",
            ExpressionAttributeNames={"#s": _name("s", at), "#d": _name("d", at), "#l": "locked"},
            ExpressionAttributeValues={
                ":ids": {"SS": [identity]},
                ":id": {"S": identity},
                ":short": {"N": str(self.short)},
                ":long": {"N": str(self.long)},
                ":expires": {"N": str(int(at) + _KEPT_SECONDS)},
            },
            ReturnValues="ALL_NEW",
            ReturnValuesOnConditionCheckFailure="ALL_OLD",
        )
        self._drop_old(user, answer["Attributes"], at)

    def _refusal(self, item: dict[str, Any], at: float) -> Refusal | None:
        if "locked" in item:
            return Refusal("locked")
        wait = self._wait(item, at)
        return Refusal("too_many_uploads", wait) if wait else None

    def _wait(self, item: dict[str, Any], at: float) -> int | None:
        """Return in how many seconds a full count ends; None if none is full."""
        for name, full in (("d", self.long), ("s", self.short)):
            if len(item.get(_name(name, at), {}).get("SS", [])) >= full:
                return _WINDOWS[name] - int(at) % _WINDOWS[name]
        return None

    def _refused(self, user: str, item: dict[str, Any], at: float) -> Refusal | None:
        """Return why, and count how often."""
        lock = _lock_of(item)
        if lock and lock.code == "erased":
            return lock  # nothing more is kept of them
        code = lock.code if lock else "too_many_uploads"
        try:
            self.table.call(
                "UpdateItem",
                Key=_key(user),
                UpdateExpression="ADD #r :one",
                ConditionExpression="attribute_not_exists(#r) OR #r < :short",
                ExpressionAttributeNames={"#r": _name("r", at)},
                ExpressionAttributeValues={":one": {"N": "1"}, ":short": {"N": str(self.short)}},
            )
        except ConditionFailedError:
            return Refusal(code, is_flood=True)
        except TableError as error:
            self._not_asked(error)
        return Refusal(code)

    def _drop_old(self, user: str, item: dict[str, Any], at: float) -> None:
        old = [name for name in item if _is_past(name, at)]
        if len(old) <= _OLD_COUNTS:
            return
        names = {f"#{number}": name for number, name in enumerate(old[:100])}
        self.table.call(
            "UpdateItem",
            Key=_key(user),
            UpdateExpression=f"REMOVE {', '.join(names)}",
            ExpressionAttributeNames=names,
        )

    def _not_asked(self, error: TableError) -> None:
        self.log.warning(NOT_ASKED, extra={"fields": {"reason": str(error)}})


def _lock_of(item: dict[str, Any]) -> Refusal | None:
    # an erased account is locked, too
    codes = (code for code in ("erased", "locked") if code in item)
    return next(map(Refusal, codes), None)


def _key(user: str) -> dict[str, Any]:
    return {"user": {"S": user}}


def _name(kind: str, at: float) -> str:
    """Return the attribute that holds a time's count."""
    return f"{kind}{int(at) // _WINDOWS[kind]}"


def _is_past(name: str, at: float) -> bool:
    count = re.fullmatch(f"({'|'.join(_WINDOWS)})([0-9]+)", name)
    return count is not None and int(count[2]) < int(at) // _WINDOWS[count[1]]
