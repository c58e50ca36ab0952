"""``doctor``: examine an environment and say how to repair what is broken."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections import Counter

import typer
from rich.markup import escape
from rich.table import Table

from console import terminal
from console.commands.context import AsJson, command, commands, deployed, resolved
from console.operations import migrations, progress
from console.operations.environments import target
from console.operations.environments.doctor import Finding, examine, severity
from console.operations.environments.doctor.database import Migrations
from console.operations.environments.terraform import Workspace
from console.operations.errors import OperationError

app = commands()

# Told apart by shape as well as by colour
MARKS = {
    "ok": "[green]✓[/]",
    "warning": "[yellow]![/]",
    "error": "[red]✗[/]",
    "unknown": "[blue]?[/]",
}


@command(app)
def doctor(as_json: AsJson = False) -> None:
    """Check every setting and probe everything; exit code 1 on warnings, 2 on errors."""
    with terminal.Progress() as draw:
        report = progress.ignore if as_json else draw
        known = _migrations()
        findings = examine(
            target.chosen_env(),
            _workspace,
            report,
            migrations=known,
            drift=known and (lambda: migrations.drift(resolved().database_url())),
        )
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(found) for found in findings], indent=2))
    else:
        show(findings)
    sys.exit(severity(findings))


def _workspace() -> Workspace:
    return Workspace(resolved())


def _migrations() -> Migrations | None:
    try:
        if not deployed().database_url_parameter:
            return None
    except OperationError:  # doctor says itself what is wrong with the file
        return None
    return lambda: migrations.migrations(resolved().database_url())


def show(findings: list[Finding]) -> None:
    """Print the findings as a table, what was expected only where it isn't what was found."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "Area", "What", "Expected → found, and how to repair it"):
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
