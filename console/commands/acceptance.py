"""``accept``: try the contract on a running environment, and clean up."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

from rich.markup import escape
from rich.table import Table

from console import terminal
from console.commands.context import AsJson, carry_out, command, commands, deployed, resolved
from console.operations import acceptance
from console.operations.acceptance import Result
from console.operations.environments.terraform import Workspace

app = commands()
_MARKS = {"ok": "[green]✓[/]", "failed": "[red]✗[/]", "not asked": "[blue]-[/]"}


@command(app)
def accept(as_json: AsJson = False) -> None:
    """Try each promise of docs/contract.md as a test user of its own; 1 if one is not kept."""
    target = resolved()
    change = acceptance.prepare(target, deployed(), lambda: Workspace(target))
    try:
        with terminal.Progress() as report:
            carry_out(change, report)
    finally:  # what was answered before an interruption is worth reading
        path = acceptance.save(change)
        if as_json:
            print(json.dumps(acceptance.as_json(change, datetime.now(UTC)), indent=2))
        else:
            show(change.results, emulated=bool(target.endpoint))
        terminal.err.print(f"[dim]kept in {path}[/]")
    sys.exit(bool(acceptance.failed(change.results)))


def show(results: Sequence[Result], *, emulated: bool) -> None:
    """Print a table of the results, and of what only AWS can answer."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("", "Area", "What", "Answered; where it failed: expected → answered"):
        table.add_column(heading, overflow="fold")
    area = ""
    for result in results:
        answered = escape(result.answered)
        if result.state == "failed":
            answered = f"{escape(result.expected)} → [bold]{answered}[/]"
        if result.state != "ok" and result.remedy:
            answered += f"\n[dim]{escape(result.remedy)}[/]"
        table.add_row(
            _MARKS[result.state],
            result.area if result.area != area else "",
            escape(result.name),
            answered,
        )
        area = result.area
    terminal.out.print(table)
    if not emulated:
        _show_differences([result for result in results if result.embedded])
    counts = Counter(result.state for result in results)
    terminal.out.print(
        "  ".join(f"{mark} {counts[state]} {state}" for state, mark in _MARKS.items())  # type: ignore[index]
    )


def _show_differences(results: Sequence[Result]) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("Where the embedded AWS differs", "It answers", "AWS answered"):
        table.add_column(heading, overflow="fold")
    for result in results:
        table.add_row(escape(result.name), escape(result.embedded), escape(result.answered))
    terminal.out.print()
    terminal.out.print(table)
    terminal.out.print()
