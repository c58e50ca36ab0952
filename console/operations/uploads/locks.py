"""Lock users out of sending pictures, and let them in again.

The lock is an attribute of the user's item in the table of limits (`lambdas/limits.py`). A locked
user gets no address to upload to, and what comes by an address from before is rejected. What is
shown stays, and may be removed by its user.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from botocore.exceptions import ClientError

from console.operations import progress
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.uploads.names import check_avatar_name, user_of

_KEPT_SECONDS = 3 * 86_400
"""After an unlocking, the item goes, as after a last upload."""


@dataclass(frozen=True)
class SetLock:
    """Lock a user out, or in again."""

    target: Target
    deployment: Deployment
    user: str
    locked: bool
    destructive: ClassVar[bool] = False

    @property
    def action(self) -> str:
        """The audit's verb."""
        return "lock" if self.locked else "unlock"

    @property
    def subject(self) -> str:
        """The user's id."""
        return self.user

    def lines(self) -> list[str]:
        """Return what will be touched."""
        which = "may send no pictures" if self.locked else "may send pictures again"
        return [f"{self.user} {which} ({self.deployment.limits_table})"]

    def check(self) -> None:
        """Pass: the user is locked afterwards, or not, whatever was before."""

    def execute(self, report: progress.Report) -> str:
        """Set or take away the lock."""
        now = int(time.time())
        expression = (
            "SET locked = :at REMOVE expires" if self.locked else "SET expires = :at REMOVE locked"
        )
        at = now if self.locked else now + _KEPT_SECONDS
        with progress.timed(report, self.action.capitalize()), aws_errors(f"{self.action} a user"):
            try:
                self.deployment.dynamodb.update_item(
                    TableName=self.deployment.limits_table,
                    Key=key(self.user),
                    UpdateExpression=expression,
                    ConditionExpression="attribute_not_exists(erased)",
                    ExpressionAttributeValues={":at": {"N": str(at)}},
                )
            except ClientError as error:
                if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
                    raise
                raise OperationError(
                    f"The account {self.user} is being erased, or was: it stays locked.",
                    "Nothing is to be done: its lock expires by itself.",
                ) from error
        return f"{self.user} is {'locked' if self.locked else 'not locked any longer'}"


def set_lock(target: Target, deployment: Deployment, user: str, *, locked: bool) -> SetLock:
    """Return the change that locks a user out, or in again.

    Raises
    ------
    OperationError
        If that can't be a user, or the environment has no table.
    """
    user = user_of(user)
    check_avatar_name(user)
    if not deployment.limits_table:
        raise OperationError(
            f"There is no table of limits in .env.{deployment.name}.",
            f"Apply this version, then run `make env ENV={deployment.name}`.",
        )
    return SetLock(target, deployment, user, locked)


def locked_since(deployment: Deployment, user: str) -> datetime | None:
    """Return since when a user is locked; None if it isn't."""
    if not deployment.limits_table:
        return None
    with aws_errors(f"look whether {user} is locked"):
        found: dict[str, Any] = deployment.dynamodb.get_item(
            TableName=deployment.limits_table, Key=key(user), ConsistentRead=True
        )
    locked = found.get("Item", {}).get("locked")
    return datetime.fromtimestamp(int(locked["N"]), UTC) if locked else None


def item(deployment: Deployment, user: str) -> dict[str, Any]:
    """Return all that the table has of a user, as plain values; empty if it has nothing."""
    with aws_errors(f"look up the counts of {user}"):
        found: dict[str, Any] = deployment.dynamodb.get_item(
            TableName=deployment.limits_table, Key=key(user), ConsistentRead=True
        )
    return {name: _plain(value) for name, value in found.get("Item", {}).items()}


def removals(deployment: Deployment, user: str) -> dict[str, Any]:
    """Return what the table has of the user's removals, which `remove` counts apart."""
    return item(deployment, f"removals/{user}")


def drop_removals(deployment: Deployment, user: str) -> None:
    """Delete the counts of a user's removals."""
    drop(deployment, f"removals/{user}")


def _plain(value: dict[str, Any]) -> Any:
    ((kind, plain),) = value.items()
    return int(plain) if kind == "N" else plain


def drop(deployment: Deployment, user: str) -> None:
    """Delete all that the table has of a user: counts of uploads, and the lock."""
    with aws_errors(f"delete the counts of {user}"):
        deployment.dynamodb.delete_item(TableName=deployment.limits_table, Key=key(user))


def key(user: str) -> dict[str, Any]:
    """Return the key of a user's item."""
    return {"user": {"S": user}}
