"""``doctor``: examine an environment and say how to mend what is broken."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter
from collections.abc import Callable
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from console import terminal
from console.operations import progress
from console.operations.environments.doctor import Finding, examine, severity
from console.operations.environments.doctor.database import Migrations
from console.operations.environments.terraform import Workspace

# Told apart by shape as well as by colour
MARKS = {
    "ok": "[green]✓[/]",
    "warning": "[yellow]![/]",
    "error": "[red]✗[/]",
    "unknown": "[blue]?[/]",
}


def register(
    command: Callable[[Callable[..., None]], Callable[..., None]],
    env: Callable[[], str],
    workspace: Callable[[], Workspace],
    migrations: Callable[[], Migrations | None] = lambda: None,
) -> None:
    """Add the command.

    Parameters
    ----------
    command
        The decorator that registers a command.
    env, workspace, migrations
        Return the environment's name, Terraform's workspace, and where the migrations come from.
    """

    @command
    def doctor(
        as_json: Annotated[
            bool, typer.Option("--json", envvar="JSON", help="Print JSON for scripts.")
        ] = False,
    ) -> None:
        """Check every setting and probe everything; exit code 1 on warnings, 2 on errors."""
        if as_json:
            findings = examine(env(), workspace, progress.ignore, migrations=migrations())
            typer.echo(json.dumps([dataclasses.asdict(found) for found in findings], indent=2))
        else:
            with terminal.Progress() as report:
                findings = examine(env(), workspace, report, migrations=migrations())
            show(findings)
        sys.exit(severity(findings))


def show(findings: list[Finding]) -> None:
    """Print the findings as a table, what was expected only where it isn't what was found."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "Area", "What", "Expected → found, and how to mend it"):
        table.add_column(heading, overflow="fold")
    area = ""
    for finding in findings:
        found = escape(finding.found)
        if finding.state != "ok":
            expected = f"{escape(finding.expected)} → " if finding.expected else ""
            found = f"{expected}[bold]{found}[/]\n[dim]{escape(finding.remedy)}[/]"
        table.add_row(
            MARKS[finding.state],
            finding.area if finding.area != area else "",
            escape(finding.name),
            found,
        )
        area = finding.area
    terminal.out.print(table)
    counts = Counter(finding.state for finding in findings)
    terminal.out.print(
        "  ".join(f"{mark} {counts[state]} {state}" for state, mark in MARKS.items())  # type: ignore[index]
    )
