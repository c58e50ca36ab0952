"""Which versions of the functions are called: releases, release, promote, back."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from console import terminal
from console.commands.context import AsJson, Yes, carry_out, command, commands, deployed, resolved
from console.operations.environments import logs
from console.operations.releases import aliases, figures
from console.operations.releases.aliases import Alias, Move
from console.operations.releases.figures import Figures
from console.units import duration

Function = Annotated[str, typer.Option("--function", envvar="FUNCTION", help="Such as resize.")]

app = commands()
out = terminal.out


@command(app)
def releases(
    function: Function = "",
    since: Annotated[str, typer.Option("--since", envvar="SINCE", help="15m, 2h, 1d.")] = "1h",
    as_json: AsJson = False,
) -> None:
    """Show which version of each function is called, and how each does."""
    here = deployed()
    names = [function] if function else sorted(here.function_names)
    found = [aliases.read(here, name) for name in names]
    done = figures.by_version(here, found, logs.seconds(since))
    if as_json:
        print(json.dumps([_as_json(alias, done) for alias in found], indent=2))
        return
    for alias in found:
        waits = f"; version {alias.newest} waits" if alias.next and not alias.trial else ""
        out.print(f"[bold]{alias.function}[/]: {alias.calls}{waits}")
        for version in alias.compared:
            out.print(f"  version {version:<4} {_said(done[alias.function, version])}")


@command(app)
def release(
    function: Function = "",
    percent: Annotated[
        int, typer.Option("--percent", envvar="PERCENT", help="Share of the calls, 1 to 99.")
    ] = 10,
    yes: Yes = False,
) -> None:
    """Have a function's newest version called for some of the calls."""
    here = deployed()
    _move(aliases.release(resolved(), here, aliases.read(here, function), percent), yes=yes)


@command(app)
def promote(function: Function = "", yes: Yes = False) -> None:
    """Have the version on trial, or else the newest, called by everybody."""
    here = deployed()
    _move(aliases.promote(resolved(), here, aliases.read(here, function)), yes=yes)


@command(app)
def back(function: Function = "", yes: Yes = False) -> None:
    """End a release, or have the version before called again."""
    here = deployed()
    _move(aliases.back(resolved(), here, aliases.read(here, function)), yes=yes)


def _move(change: Move, *, yes: bool) -> None:
    with terminal.Progress() as report:
        out.print(carry_out(change, report, yes=yes))


def _said(done: Figures) -> str:
    if not done.calls:
        return "not called"
    durations = [duration(each / 1000) for each in (done.p50, done.p99) if each is not None]
    return f"{done.calls:,} calls, {done.errors:,} errors, {' and '.join(durations)} (p50, p99)"


def _as_json(
    alias: Alias, done: dict[tuple[str, str], Figures]
) -> dict[str, str | int | dict[str, object]]:
    return {
        "function": alias.function,
        "live": alias.live,
        "trial": alias.trial,
        "percent": alias.percent,
        "newest": alias.newest,
        "before": alias.before,
        "versions": {each: asdict(done[alias.function, each]) for each in alias.compared},
    }
