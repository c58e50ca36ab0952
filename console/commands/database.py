"""Database commands: migrations, previews, adoption and demo rows."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from console import terminal
from console.commands.context import AsJson, Yes, carry_out, command, commands, resolved
from console.operations import migrations as operations
from console.operations.changes import Operation
from console.operations.environments import databases, deployment
from console.operations.errors import OperationError
from console.operations.migrations.changes import Migrate, Rollback, Seed, adopting, planned
from console.operations.migrations.statements import shorten
from console.units import duration, size

app = commands()
out, err = terminal.out, terminal.err

To = Annotated[
    str | None, typer.Option("--to", envvar="TO", help="A migration: id, name, slug, head or base.")
]
Steps = Annotated[
    int | None, typer.Option("--steps", envvar="STEPS", min=1, help="How many to roll back.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", envvar="VERBOSE", help="Show every statement with its time.")
]
LockTimeout = Annotated[
    float,
    typer.Option(envvar="LOCK_TIMEOUT", min=0.001, help="Seconds to wait for a table's lock."),
]
StatementTimeout = Annotated[
    float,
    typer.Option(envvar="STATEMENT_TIMEOUT", min=0, help="Seconds a statement may take; 0: any."),
]
ConcurrentTimeout = Annotated[
    float,
    typer.Option(envvar="CONCURRENT_TIMEOUT", min=0, help="The same for CONCURRENTLY."),
]
Attempts = Annotated[
    int, typer.Option(envvar="ATTEMPTS", min=1, help="How often to try for the locks.")
]
AllowDrift = Annotated[
    bool, typer.Option("--allow-drift", envvar="ALLOW_DRIFT", help="Although the schema differs.")
]
Wait = Annotated[
    float, typer.Option(envvar="WAIT", min=0, help="Seconds to wait for another run to end.")
]
_DEFAULT = operations.Limits()


@command(app)
def migrate(
    to: To = None,
    lock_timeout: LockTimeout = _DEFAULT.lock_timeout,
    statement_timeout: StatementTimeout = _DEFAULT.statement_timeout,
    concurrent_timeout: ConcurrentTimeout = _DEFAULT.concurrent_timeout,
    attempts: Attempts = _DEFAULT.attempts,
    wait: Wait = _DEFAULT.wait,
    allow_drift: AllowDrift = False,
    verbose: Verbose = False,
) -> None:
    """Apply what is pending, all of it or up to --to; not where the schema was changed by hand."""
    limits = operations.Limits(lock_timeout, statement_timeout, concurrent_timeout, attempts, wait)
    target = resolved()
    url = target.database_url()
    with terminal.Progress() as report:
        try:
            names = planned(url, "up", to=to)
        except operations.AdoptionNeededError as error:
            if not sys.stdin.isatty():
                raise
            out.print(error.message)
            out.print(carry_out(adopting(target), report))
            names = planned(url, "up", to=to)
        change = Migrate(
            target,
            names,
            to,
            limits=limits,
            trace=_show_statement if verbose else None,
            allow_drift=allow_drift,
            afterwards=None if to else lambda: databases.login_after_migration(target),
        )
        out.print(carry_out(change, report))


@command(app)
def rollback(
    to: To = None,
    steps: Steps = None,
    yes: Yes = False,
    lock_timeout: LockTimeout = _DEFAULT.lock_timeout,
    statement_timeout: StatementTimeout = _DEFAULT.statement_timeout,
    concurrent_timeout: ConcurrentTimeout = _DEFAULT.concurrent_timeout,
    attempts: Attempts = _DEFAULT.attempts,
    wait: Wait = _DEFAULT.wait,
    verbose: Verbose = False,
) -> None:
    """Roll migrations back: those after --to, or the last --steps. Asks first."""
    if (to is None) == (steps is None):
        raise OperationError(
            "A rollback needs to know how far.", "Give either TO=<migration> or STEPS=<number>."
        )
    limits = operations.Limits(lock_timeout, statement_timeout, concurrent_timeout, attempts, wait)
    target = resolved()
    url = target.database_url()
    names = planned(url, "down", to=to, steps=steps)
    if sys.stdin.isatty() and not yes:
        try:
            _show_previews(operations.preview(url, to=to, steps=steps, direction="down"))
        except OperationError as error:  # such as no right to make a scratch database
            err.print(f"[yellow]No preview: {escape(str(error))}[/]")
    trace = _show_statement if verbose else None
    with terminal.Progress() as report:
        change = Rollback(target, names, to, steps, limits=limits, trace=trace)
        out.print(carry_out(change, report, yes=yes))


@command(app)
def drift() -> None:
    """Compare the live schema with what its migrations make; 1 if it was changed by hand."""
    with terminal.Progress() as report:
        found = operations.drift(resolved().database_url(), report=report)
    for difference in found:
        out.print(escape(str(difference)))
        out.print(f"[yellow]{escape(difference.repair)}[/]\n")
    out.print(f"{len(found)} differences.")
    if found:
        raise typer.Exit(1)


@command(app)
def rotate_login(yes: Yes = False) -> None:
    """Give the profiles function a new password, in Postgres and in its parameter."""
    target = resolved()
    deployed = deployment.load(target.env)
    if not deployed.database_url_parameter:
        raise OperationError(
            f"{target.env} has no database.",
            "Set `database` in the environment's tfvars, then run `make apply`.",
        )
    url, parameter = target.database_url(), deployed.database_url_parameter

    def rotate(_: object) -> str:
        role = databases.rotate_login(deployed, url, databases.address(target))
        return f"{role} has a new password."

    change = Operation(
        target,
        "rotate login",
        parameter,
        (f"~ the password of the profiles function, in Postgres and in {parameter}",),
        rotate,
    )
    with terminal.Progress() as report:
        out.print(carry_out(change, report, yes=yes))


@command(app)
def migration(
    name: Annotated[
        str, typer.Option("--name", envvar="NAME", help="What it does, such as add_bio_column.")
    ],
) -> None:
    """Write a new, empty migration file and print its path."""
    print(os.path.relpath(operations.create(name)))


@command(app)
def migrations(as_json: AsJson = False) -> None:
    """List every migration: its state, when, by whom, how long, and drift."""
    found = operations.migrations(resolved().database_url())
    if as_json:
        print(json.dumps([dataclasses.asdict(line) for line in found], indent=2, default=str))
        return
    table = Table("revision", "name", "state", "applied at", "by", "took", "drift")
    for line in found:
        table.add_row(
            line.revision,
            line.name.partition("_")[2] or line.name,
            Text(line.state, style="" if line.state in ("applied", "baseline") else "yellow"),
            line.applied_at.strftime("%Y-%m-%d %H:%M:%S %Z") if line.applied_at else "",
            line.by or "",
            "" if line.seconds is None else duration(line.seconds),
            Text("changed", style="red") if line.drift else "",
        )
    out.print(table)
    for line in found:
        if line.drift:
            print(line.drift)


@command(app)
def preview(
    to: To = None,
    steps: Steps = None,
    down: Annotated[bool, typer.Option("--down", envvar="DOWN", help="Of a rollback.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the exact SQL of a run, squawk's findings, and the locks of each statement."""
    target = resolved()
    found = operations.preview(
        target.database_url(), to=to, steps=steps, direction="down" if down or steps else "up"
    )
    if as_json:
        print(json.dumps([dataclasses.asdict(line) for line in found], indent=2))
    else:
        out.print(str(target.database))
        _show_previews(found)


@command(app)
def rehearse(to: To = None) -> None:
    """Apply, roll back and apply what is pending on a copy of the schema; 1 if that fails."""
    with terminal.Progress() as report:
        found = operations.rehearse(resolved().database_url(), to, report=report)
    broken = [line for line in found if not line.restores]
    for line in broken:
        out.print(Text(f"\n{line.name}: what its rollback leaves different", style="bold red"))
        print(line.difference)
    out.print(f"{len(found)} rehearsed, {len(broken)} not reversible.")
    if broken:
        raise typer.Exit(1)


@command(app)
def adopt(yes: Yes = False) -> None:
    """Take a database that has the tables but no history as it is, after asking."""
    with terminal.Progress() as report:
        out.print(carry_out(adopting(resolved()), report, yes=yes))


@command(app)
def seed(
    cognito: Annotated[
        list[str] | None, typer.Option(help="handle=sub of a Cognito user; may be repeated.")
    ] = None,
) -> None:
    """Add the demo users and their activities where they are missing."""
    pairs = {}
    for item in cognito or []:
        handle, separator, sub = item.partition("=")
        if not (handle and separator and sub):
            raise OperationError(f"{item!r} is not handle=sub.", "Write --cognito ada=<sub>.")
        pairs[handle] = sub
    with terminal.Progress() as report:
        out.print(carry_out(Seed(resolved(), pairs), report))


def _show_previews(previews: list[operations.Preview]) -> None:
    if not previews:
        out.print("Nothing to do.")
    for item in previews:
        how = "in a transaction" if item.transactional else "outside a transaction"
        out.print(f"\n{item.name} ({item.direction}, {how})", style="bold")
        for statement in item.statements:
            out.print(f"-- line {statement.line}\n{statement.sql};")
        table = Table("line", "lock", "on", "size", "rows", "keeps waiting", "rewrites")
        for statement in item.statements:
            for lock in statement.locks:
                table.add_row(
                    str(statement.line),
                    lock.mode,
                    lock.table,
                    "new" if lock.size_bytes is None else size(lock.size_bytes),
                    "" if lock.rows is None else f"~{lock.rows:,}",
                    lock.blocks,
                    "the whole table" if lock.rewrites else "",
                )
        if table.row_count:
            out.print(table)
        for finding in item.findings:
            line = f"line {finding.line}: " if finding.line else ""
            text = f"squawk {finding.level}: {line}{finding.rule}: {finding.message} {finding.help}"
            out.print(text.strip(), style="yellow")


def _show_statement(executed: operations.Executed) -> None:
    failed = " FAILED" if executed.failed else ""
    parameters = f"  {shorten(repr(executed.parameters), 200)}" if executed.parameters else ""
    sql = " ".join(executed.sql.split())
    out.print(f"    {executed.seconds * 1000:.1f} ms{failed}  {sql}{parameters}")
