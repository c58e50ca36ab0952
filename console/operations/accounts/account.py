"""An account: one user of the pool, and what is known by their id."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from console.operations.accounts import rows
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError

if TYPE_CHECKING:
    from mypy_boto3_cognito_idp.type_defs import UserTypeTypeDef

_UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_SUB = r"[0-9A-Za-z_-]{16,128}"


@dataclass(frozen=True)
class Account:
    """Whose data it is.

    Attributes
    ----------
    sub
        The user's id, under which everything is stored, and which is the avatar's name.
    handles
        What the database calls them; empty where it does not know them, or there is none.
    activities
        How many the database has of them.
    usernames
        What the pool calls them; empty if it has no such user.
    """

    sub: str
    handles: tuple[str, ...] = ()
    activities: int = 0
    usernames: tuple[str, ...] = ()

    def __str__(self) -> str:
        return " ".join([self.sub, *(f"@{handle}" for handle in self.handles)])

    @property
    def names(self) -> tuple[str, ...]:
        """How messages and the audit may name them."""
        return (self.sub, *(f"@{handle}" for handle in self.handles))


def find(target: Target, deployment: Deployment, name: str) -> Account:
    """Return the account of that name.

    Parameters
    ----------
    name
        The sub as Cognito makes it, or a handle, with @ or without. A handle that is written as
        a sub is one with @ only: nobody gets hold of another's account by a handle.

    Raises
    ------
    OperationError
        If nobody, or more than one, has that handle.
    """
    given = name.strip()
    if re.fullmatch(_UUID, given):
        return of_sub(target, deployment, given)
    handle = given.removeprefix("@")
    if not handle:
        raise OperationError("No account was named.", "Give a handle or a sub: NAME=@ada.")
    if not deployment.database_url_parameter:
        raise OperationError(
            f"{deployment.name} has no database, and so no handles.",
            "Give the user's sub, as the user pool has it: NAME=<sub>.",
        )
    found = {row.sub for row in rows.of_handle(target.database_url(), handle)}
    if len(found) > 1:
        raise OperationError(
            f"{len(found)} accounts have the handle @{handle}: {', '.join(sorted(found))}.",
            "Give the sub of the one that is meant: NAME=<sub>.",
        )
    if not found:
        raise OperationError(
            f"There is no user @{handle}.",
            "Check the handle, or give the user's sub, as the user pool has it: NAME=<sub>.",
        )
    return of_sub(target, deployment, found.pop())


def of_sub(target: Target, deployment: Deployment, sub: str) -> Account:
    """Return the account of a user's id; what is known of it may be nothing.

    Raises
    ------
    OperationError
        If that can't be a user's id.
    """
    if not re.fullmatch(_SUB, sub) or sub.startswith("_"):
        raise OperationError(
            f"{sub!r} is not a user's sub.", "Give it as the user pool has it: NAME=<sub>."
        )
    found = rows.of_sub(target.database_url(), sub) if deployment.database_url_parameter else []
    return Account(
        sub,
        tuple(row.handle for row in found),
        sum(row.activities for row in found),
        tuple(user["Username"] for user in users(deployment, sub)),
    )


def users(deployment: Deployment, sub: str) -> list[UserTypeTypeDef]:
    """Return the pool's users with that id: one, or none."""
    with aws_errors("look for the account in the user pool"):
        answer: Any = deployment.cognito.list_users(
            UserPoolId=deployment.user_pool_id, Filter=f'sub = "{sub}"'
        )
    return list(answer["Users"])
