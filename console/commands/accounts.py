"""Commands about an account: erase, export, legal-hold, release-legal-hold."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from console import terminal
from console.commands.context import AsJson, Yes, carry_out, command, commands, deployed, resolved
from console.operations.accounts import account, erasure, export, legal_hold
from console.operations.changes import Change

Name = Annotated[str, typer.Option("--name", envvar="NAME", help="The user's handle or sub.")]

app = commands()
out = terminal.out


@command(app, "export")
def export_account(
    name: Name = "",
    file: Annotated[Path, typer.Option(envvar="FILE", help="The zip to write.")] = Path(),
    as_json: AsJson = False,
) -> None:
    """Write all that is stored of a user into a zip."""
    target, here = resolved(), deployed()
    whose = account.find(target, here, name)
    path = export.default_file(whose) if file == Path() else file
    _carry_out(export.export(target, here, whose, path), as_json=as_json, file=str(path))


@command(app)
def erase(
    name: Name = "",
    yes: Yes = False,
    caches_expire: Annotated[
        bool,
        typer.Option(
            "--caches-expire", envvar="CACHES_EXPIRE", help="Invalidate nothing in the CDN."
        ),
    ] = False,
    keep_user: Annotated[
        bool, typer.Option("--keep-user", envvar="KEEP_USER", help="Leave the pool's user.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Erase an account, and all that is stored of it, after listing it."""
    target, here = resolved(), deployed()
    change = erasure.erase(
        target,
        here,
        account.find(target, here, name),
        drops_caches=not caches_expire,
        keeps_user=keep_user,
    )
    _carry_out(change, yes=yes, as_json=as_json)


@command(app, "legal-hold")
def hold(
    name: Name = "",
    reason: Annotated[str, typer.Option(envvar="REASON", help="The order, or the case.")] = "",
    as_json: AsJson = False,
) -> None:
    """Keep a copy of all that is stored of a user, and refuse its erasure."""
    target, here = resolved(), deployed()
    change = legal_hold.place(target, here, account.find(target, here, name), reason)
    _carry_out(change, as_json=as_json)


@command(app)
def release_legal_hold(name: Name = "", yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete the copies of a held account, and allow its erasure again."""
    target, here = resolved(), deployed()
    change = legal_hold.release(target, here, account.find(target, here, name))
    _carry_out(change, yes=yes, as_json=as_json)


def _carry_out(change: Change, *, yes: bool = False, as_json: bool, **more: str) -> None:
    with terminal.Progress() as report:
        outcome = carry_out(change, report, yes=yes)
    if as_json:
        said = {"action": change.action, "subject": change.subject, "outcome": outcome}
        print(json.dumps(said | more))
    else:
        out.print(outcome, *more.values())
