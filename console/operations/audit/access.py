"""Who may look, and who may change something."""

from __future__ import annotations

import getpass
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass

from console.operations.errors import OperationError

OPERATORS = "operators"
VIEWERS = "viewers"


@dataclass(frozen=True)
class Actor:
    """Whoever acts, by the name that the audit shows."""

    name: str
    may_operate: bool


def os_user() -> str:
    """Return the name of this process's user."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"


def is_loopback(address: str | None) -> bool:
    """Say whether an address is this machine only."""
    try:
        return address == "localhost" or ipaddress.ip_address(address or "").is_loopback
    except ValueError:
        return False


def actor_of(name: str, groups: Collection[str]) -> Actor | None:
    """Return the signed-in user's rights from their Cognito groups; None if they have none."""
    if OPERATORS in groups:
        return Actor(name, may_operate=True)
    if VIEWERS in groups:
        return Actor(name, may_operate=False)
    return None


def require_operator(actor: Actor) -> None:
    """Raise OperationError unless the actor may change something."""
    if not actor.may_operate:
        raise OperationError(
            f"{actor.name} may look at everything and change nothing.",
            f"Ask an administrator of the user pool to be added to the group {OPERATORS}.",
        )
