"""What every command works on, who runs it, and how it carries a change out."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import wraps
from typing import Annotated, Any

import typer

from console import terminal
from console.operations import changes
from console.operations.audit.access import Actor, os_user
from console.operations.changes import Change
from console.operations.environments import deployment, target
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.progress import Report

Yes = Annotated[bool, typer.Option("--yes", envvar="YES", help="Don't ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", envvar="DRY_RUN", help="Change nothing.")]
AsJson = Annotated[bool, typer.Option("--json", envvar="JSON", help="Print JSON for scripts.")]


def commands() -> typer.Typer:
    """Return an app for a module's commands; `console.cli` says which module has which."""
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.callback()(lambda: None)  # with a single command too, its name is given
    return app


def command(app: typer.Typer, name: str = "") -> Callable[[Callable[..., None]], Any]:
    """Register a command whose failures end with a sentence and exit code 1."""

    def register(function: Callable[..., None]) -> Callable[..., None]:
        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> None:
            with terminal.exit_on_error():
                function(*args, **kwargs)

        return app.command(name or function.__name__.replace("_", "-"))(wrapper)

    return register


def resolved() -> Target:
    """Return the environment that was asked for."""
    return target.resolve(target.chosen_env())


def deployed() -> Deployment:
    """Return how to reach what is deployed in the environment that was asked for."""
    return deployment.load(target.chosen_env())


def carry_out(change: Change, report: Report, *, yes: bool = False, key: str | None = None) -> str:
    """Show a change, have it confirmed, carry it out and record it; return its outcome."""
    from console.operations.audit.audit import Audit  # loads psycopg

    on = change.target
    record = Audit(on.env, on.database_url, on.state / "audit")
    user = os_user()
    name = target.caller(on.region, on.access).arn if on.account else user
    try:
        return changes.carry_out(
            change,
            terminal.confirmation(yes=yes),
            record,
            Actor(name, may_operate=True),
            report,
            key=key,
            reason=os.environ.get("REASON", "").strip(),
            origin=f"{user}@{socket.gethostname()}",
        )
    finally:
        if waiting := record.waiting():
            terminal.err.print(
                f"[dim]{waiting} audit entries wait on this machine for the database.[/]"
            )
