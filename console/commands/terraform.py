"""Terraform's commands: bootstrap, plan, apply, destroy, unlock, outputs, env."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from console import terminal
from console.commands.context import AsJson, Yes, carry_out, command, commands, resolved
from console.operations.environments import deployment, infrastructure, settings_files
from console.operations.environments.terraform import Workspace
from console.operations.errors import OperationError

app = commands()
out = terminal.out


@command(app)
def bootstrap() -> None:
    """Make the bucket for Terraform's state."""
    with terminal.Progress() as report:
        out.print(carry_out(infrastructure.Bootstrap(Workspace(resolved())), report))


@command(app)
def plan(
    force: Annotated[
        bool, typer.Option("--force", envvar="FORCE", help="Although an apply would fail.")
    ] = False,
) -> None:
    """Show what `apply` would change, and first what would stop it."""
    from console.commands.preflight import before_plan  # loads what doctor needs

    with terminal.Progress() as report:
        before_plan(report, force=force)
    workspace = Workspace(resolved())
    with (
        terminal.Progress() as report,
        infrastructure.planned_apply(workspace, report) as change,
    ):
        if change is None:
            out.print("Nothing to change.")
        else:
            terminal.show(change, out)


@command(app)
def apply(
    yes: Yes = False,
    hold: Annotated[
        bool, typer.Option("--hold", envvar="HOLD", help="Call new versions of functions later.")
    ] = False,
) -> None:
    """Plan, ask, apply, and write the settings files."""
    workspace = Workspace(resolved())
    with (
        terminal.Progress() as report,
        infrastructure.planned_apply(workspace, report, hold=hold) as change,
    ):
        if change is None:
            out.print("Nothing to change.")
        else:
            out.print(carry_out(change, report, yes=yes))
    _write_settings(workspace)


@command(app)
def destroy(
    yes: Yes = False,
    force: Annotated[
        bool, typer.Option("--force", envvar="FORCE", help="Delete buckets with their objects.")
    ] = False,
) -> None:
    """Delete the infrastructure; refuses while a bucket holds objects, unless forced."""
    workspace = Workspace(resolved())
    force = force or workspace.target.env == "local"
    with (
        terminal.Progress() as report,
        infrastructure.planned_destroy(workspace, report, force=force) as change,
    ):
        if change is None:
            out.print("Nothing to delete.")
        else:
            out.print(carry_out(change, report, yes=yes))


@command(app)
def unlock(yes: Yes = False) -> None:
    """Remove the lock that a killed run of Terraform left on the state."""
    workspace = Workspace(resolved())
    lock = infrastructure.current_lock(workspace)
    if lock is None:
        out.print("The state is not locked.")
        return
    with terminal.Progress() as report:
        out.print(carry_out(infrastructure.Unlock(workspace, lock), report, yes=yes))


@command(app)
def outputs(as_json: AsJson = False) -> None:
    """Print Terraform's outputs."""
    found = _outputs(Workspace(resolved()))
    if as_json:
        print(json.dumps(found, indent=2, sort_keys=True))
        return
    for name, value in sorted(found.items()):
        out.print(f"{name:<24} {value if isinstance(value, str) else json.dumps(value)}")


@command(app)
def env() -> None:
    """Write .env.<ENV> and the front end's settings."""
    _write_settings(Workspace(resolved()))


def _outputs(workspace: Workspace) -> dict[str, object]:
    found = workspace.outputs()
    if not found:
        env = workspace.target.env
        raise OperationError(
            f"The environment {env} has no outputs: nothing was applied.",
            f"Run `make apply ENV={env}`.",
        )
    return found


def _write_settings(workspace: Workspace) -> None:
    env = workspace.target.env
    access = deployment.read_access(env)
    for path in settings_files.write(env, _outputs(workspace), access):
        out.print(f"wrote {path.name}")
