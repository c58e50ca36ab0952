"""Commands that change and show the database's schema; they only call the operations."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from console import terminal
from console.commands.audited import audited
from console.operations import migrations as operations
from console.operations.environments import databases, deployment
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.migrations.statements import shorten
from console.operations.progress import Event

app = typer.Typer(no_args_is_help=True, help="The database: migrations and demo rows.")

_out = Console(highlight=False, markup=False, width=terminal.WIDTH)
_err = Console(highlight=False, markup=False, width=terminal.WIDTH, stderr=True)

To = Annotated[
    str | None, typer.Option("--to", envvar="TO", help="A migration: id, name, slug, head or base.")
]
Steps = Annotated[
    int | None, typer.Option("--steps", envvar="STEPS", min=1, help="How many to take back.")
]
Verbose = Annotated[
    bool, typer.Option("--verbose", envvar="VERBOSE", help="Show every statement with its time.")
]
Yes = Annotated[bool, typer.Option("--yes", envvar="YES", help="Do not ask.")]
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
Wait = Annotated[
    float, typer.Option(envvar="WAIT", min=0, help="Seconds to wait for another run to end.")
]
_DEFAULT = operations.Limits()


@app.command()
def migrate(
    to: To = None,
    lock_timeout: LockTimeout = _DEFAULT.lock_timeout,
    statement_timeout: StatementTimeout = _DEFAULT.statement_timeout,
    concurrent_timeout: ConcurrentTimeout = _DEFAULT.concurrent_timeout,
    attempts: Attempts = _DEFAULT.attempts,
    wait: Wait = _DEFAULT.wait,
    verbose: Verbose = False,
) -> None:
    """Apply what is pending, all of it or up to --to."""
    limits = operations.Limits(lock_timeout, statement_timeout, concurrent_timeout, attempts, wait)
    trace = _show_statement if verbose else None
    with terminal.exit_on_error():
        url = _url()

        def run_it() -> operations.Run:
            return audited(
                "migrate",
                to or "head",
                lambda: operations.migrate(url, to, limits=limits, report=_show, trace=trace),
            )

        try:
            run = run_it()
        except operations.AdoptionNeededError as error:
            if not sys.stdin.isatty():
                raise
            _out.print(error.message)
            _ask_and_adopt(url)
            run = run_it()
        _out.print(f"{len(run.names)} applied in {run.seconds:.2f} s.")
        here = _here()
        # `make up` does so locally
        wanted = here and here.name != "local" and here.database_url_parameter and to is None
        if wanted and here and databases.ensure_login(here, url):
            _out.print("The profiles function has a new login.")


@app.command()
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
    """Take migrations back: those after --to, or the last --steps. Asks first at a terminal."""
    limits = operations.Limits(lock_timeout, statement_timeout, concurrent_timeout, attempts, wait)
    with terminal.exit_on_error():
        url = _url()
        if sys.stdin.isatty() and not yes:
            try:
                _show_previews(operations.preview(url, to=to, steps=steps, direction="down"))
            except OperationError as error:  # such as no right to make a scratch database
                _err.print(f"No preview: {error}", style="yellow", soft_wrap=True)
            typer.confirm("Run this?", abort=True)
        run = audited(
            "rollback",
            to or f"{steps} steps",
            lambda: operations.rollback(
                url,
                to=to,
                steps=steps,
                limits=limits,
                report=_show,
                trace=_show_statement if verbose else None,
            ),
        )
        _out.print(f"{len(run.names)} taken back in {run.seconds:.2f} s.")


@app.command()
def migration(
    name: Annotated[
        str, typer.Option("--name", envvar="NAME", help="What it does, such as add_bio_column.")
    ],
) -> None:
    """Write a new, empty migration file and print its path."""
    with terminal.exit_on_error():
        path = operations.create(name)
        _out.print(os.path.relpath(path), soft_wrap=True)


@app.command()
def migrations(
    as_json: Annotated[bool, typer.Option("--json", envvar="JSON", help="Print JSON.")] = False,
) -> None:
    """List every migration: its state, when, by whom, how long, and drift."""
    with terminal.exit_on_error():
        found = operations.migrations(_url())
    if as_json:
        rows = [dataclasses.asdict(line) for line in found]
        _out.print(json.dumps(rows, indent=2, default=str), soft_wrap=True)
        return
    table = Table("revision", "name", "state", "applied at", "by", "took", "drift")
    for line in found:
        table.add_row(
            line.revision,
            line.name.partition("_")[2] or line.name,
            Text(line.state, style="" if line.state in ("applied", "baseline") else "yellow"),
            line.applied_at.strftime("%Y-%m-%d %H:%M:%S %Z") if line.applied_at else "",
            line.by or "",
            _duration(line.seconds),
            Text("changed", style="red") if line.drift else "",
        )
    _out.print(table)
    for line in found:
        if line.drift:
            _out.print(line.drift, soft_wrap=True)


@app.command()
def preview(
    to: To = None,
    steps: Steps = None,
    down: Annotated[bool, typer.Option("--down", envvar="DOWN", help="Of a rollback.")] = False,
    as_json: Annotated[bool, typer.Option("--json", envvar="JSON", help="Print JSON.")] = False,
) -> None:
    """Show the exact SQL of a run, squawk's findings, and the locks of each statement."""
    with terminal.exit_on_error():
        found = operations.preview(
            _url(), to=to, steps=steps, direction="down" if down or steps else "up"
        )
    if as_json:
        rows = [dataclasses.asdict(line) for line in found]
        _out.print(json.dumps(rows, indent=2), soft_wrap=True)
    else:
        _show_previews(found)


@app.command()
def rehearse(to: To = None) -> None:
    """Apply, take back and apply what is pending on a copy of the schema; 1 if a way back fails."""
    with terminal.exit_on_error():
        found = operations.rehearse(_url(), to, report=_show)
    broken = [line for line in found if not line.restores]
    for line in broken:
        _out.print(f"\n{line.name}: what its rollback leaves different", style="bold red")
        _out.print(line.difference, soft_wrap=True)
    _out.print(f"{len(found)} rehearsed, {len(broken)} without a way back.")
    if broken:
        raise typer.Exit(1)


@app.command()
def adopt(yes: Yes = False) -> None:
    """Take a database that has the tables but no history as it is, after asking."""
    with terminal.exit_on_error():
        url = _url()
        if yes:
            audited("adopt", "the database", lambda: operations.adopt(url, report=_show))
        else:
            _ask_and_adopt(url)


@app.command()
def seed(
    cognito: Annotated[
        list[str] | None, typer.Option(help="handle=sub of a Cognito user; may be repeated.")
    ] = None,
) -> None:
    """Add the demo users and their activities where they are missing."""
    with terminal.exit_on_error():
        pairs = {}
        for item in cognito or []:
            handle, separator, sub = item.partition("=")
            if not (handle and separator and sub):
                raise OperationError(f"{item!r} is no handle=sub.", "Write --cognito ada=<sub>.")
            pairs[handle] = sub
        added = operations.seed(_url(), pairs)
        _out.print(f"{added} users added.")


def _ask_and_adopt(url: str) -> None:
    found = operations.adoption(url)
    if found is None:
        raise OperationError("There is nothing to adopt here.", "Run `make migrate`.")
    _out.print(f"Its schema is that of {found.revision}. These would count as applied:")
    for name in found.baseline:
        _out.print(f"  {name}")
    for difference in found.differences:
        _out.print(f"  {difference}", style="yellow")
    typer.confirm("Adopt it? Nothing in its tables changes.", abort=True)
    audited("adopt", "the database", lambda: operations.adopt(url, report=_show))


def _show_previews(previews: list[operations.Preview]) -> None:
    if not previews:
        _out.print("Nothing to do.")
    for item in previews:
        how = "in a transaction" if item.transactional else "outside a transaction"
        _out.print(f"\n{item.name} ({item.direction}, {how})", style="bold")
        for statement in item.statements:
            _out.print(f"-- line {statement.line}\n{statement.sql};", soft_wrap=True)
        table = Table("line", "lock", "on", "size", "rows", "keeps waiting", "rewrites")
        for statement in item.statements:
            for lock in statement.locks:
                table.add_row(
                    str(statement.line),
                    lock.mode,
                    lock.table,
                    _size(lock.size_bytes),
                    "" if lock.rows is None else f"~{lock.rows:,}",
                    lock.blocks,
                    "the whole table" if lock.rewrites else "",
                )
        if table.row_count:
            _out.print(table)
        for finding in item.findings:
            line = f"line {finding.line}: " if finding.line else ""
            text = f"squawk {finding.level}: {line}{finding.rule}: {finding.message} {finding.help}"
            _out.print(text.strip(), style="yellow", soft_wrap=True)


def _show(event: Event) -> None:
    mark = {"started": "·", "advanced": "…", "done": "✓", "failed": "✗"}[event.state]
    if event.state == "started" and not event.detail:
        return
    count = f"[{event.done}/{event.total}] " if event.state == "done" and event.total else ""
    took = f" {_duration(event.seconds)}" if event.seconds is not None else ""
    detail = f": {event.detail}" if event.detail else ""
    _out.print(f"{mark} {count}{event.step}{took}{detail}", soft_wrap=True)


def _show_statement(executed: operations.Executed) -> None:
    failed = " FAILED" if executed.failed else ""
    parameters = f"  {shorten(repr(executed.parameters), 200)}" if executed.parameters else ""
    sql = " ".join(executed.sql.split())
    _out.print(f"    {executed.seconds * 1000:.1f} ms{failed}  {sql}{parameters}", soft_wrap=True)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _size(size: int | None) -> str:
    if size is None:
        return "new"
    amount = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TB"


def _here() -> Deployment | None:
    env = os.environ.get("ENV") or "local"
    return deployment.load(env) if deployment.settings_file(env).exists() else None


def _url() -> str:
    return databases.operator_url(_here())
