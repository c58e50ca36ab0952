"""``logs``: what the functions wrote."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer
from rich.markup import escape

from console import terminal
from console.commands.context import AsJson, command, commands, deployed
from console.operations.environments import logs as operations

app = commands()
out = terminal.out


@command(app)
def logs(
    function: Annotated[str, typer.Option(envvar="FUNCTION", help="Only this one.")] = "",
    since: Annotated[str, typer.Option(envvar="SINCE", help="30s, 15m, 2h, 1d.")] = "15m",
    follow: Annotated[bool, typer.Option("--follow", envvar="FOLLOW")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the functions' logs."""
    deployment = deployed()
    names = [function] if function else sorted(deployment.function_names)
    start = time.time() - operations.seconds(since or "15m")
    read = operations.follow if follow else operations.read
    for line in read(deployment, names, start):
        if as_json:
            print(json.dumps(line.fields or {"time": line.time, "message": line.text}))
        else:
            _print(line)


def _print(line: operations.Line) -> None:
    when = time.strftime("%H:%M:%S", time.localtime(line.time))
    if not line.fields:
        out.print(f"[dim]{when} {line.function:<10} {escape(line.text)}[/]")
        return
    fields = {
        name: value
        for name, value in line.fields.items()
        if name not in {"time", "level", "message", "function", "request_id", "stack"}
    }
    colour = {"ERROR": "red", "WARNING": "yellow"}.get(str(line.fields.get("level")), "default")
    rest = " ".join(f"{name}={value}" for name, value in fields.items())
    out.print(
        f"[dim]{when}[/] {line.function:<10} [{colour}]{line.fields.get('message')}[/] "
        f"[dim]{escape(rest)}[/]"
    )
