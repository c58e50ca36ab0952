"""``preflight``: what would stop an apply, before there is one."""

from __future__ import annotations

import dataclasses
import json
import sys

import typer

from console import terminal
from console.commands.context import AsJson, command, commands, resolved
from console.commands.doctor import show
from console.operations import progress
from console.operations.environments import preflight as operation
from console.operations.environments import target
from console.operations.errors import OperationError

app = commands()


@command(app)
def preflight(as_json: AsJson = False) -> None:
    """Say what would stop an apply minutes later; 1 if something would."""
    with terminal.Progress() as draw:
        found = operation.examine(
            target.chosen_env(), resolved, report=progress.ignore if as_json else draw
        )
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(finding) for finding in found], indent=2))
    else:
        show(found)
    sys.exit(operation.stops(found))


def before_plan(report: progress.Report, *, force: bool) -> None:
    """Print what an apply of the plan to come may fail on.

    Raises
    ------
    OperationError
        If it would, and nobody asked for the plan all the same.
    """
    problems = operation.problems(operation.examine(target.chosen_env(), resolved, report=report))
    if problems:
        show(problems)
    first = next((found for found in problems if found.state == "error"), None)
    if first and not force:
        raise OperationError(
            f"An apply would fail: {first.area}, {first.name}: {first.found.rstrip('.')}.",
            f"{first.remedy} To plan all the same: FORCE=1.",
        )
