"""Commands that change something leave the same entries in the audit as the console's buttons."""

from __future__ import annotations

import getpass
import os
from collections.abc import Callable
from typing import TypeVar

from console import terminal
from console.operations.audit import audit
from console.operations.audit.access import Actor
from console.operations.environments import databases, deployment
from console.operations.environments.terraform import state_directory

T = TypeVar("T")


def audited(action: str, target: str, work: Callable[[], T]) -> T:
    """Do `work` and record who did what on what; entries wait in a file without a database.

    Raises
    ------
    OperationError
        If `work` does.
    """
    env = os.environ.get("ENV") or "local"

    def url() -> str:
        known = deployment.settings_file(env).exists()
        return databases.operator_url(deployment.load(env) if known else None)

    record = audit.Audit(env, url, state_directory() / f"audit-waiting-{env}.jsonl")
    try:
        return record.perform(
            Actor(_user(), may_operate=True), action, target, audit.new_key(), work
        )
    finally:
        if waiting := record.waiting():
            terminal.err.print(
                f"[dim]{waiting} audit entries wait on this machine for the database.[/]"
            )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return "unknown"
