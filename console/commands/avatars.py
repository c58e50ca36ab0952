"""Avatars' commands: upload, clear, invalidate."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from console import terminal
from console.commands.context import AsJson, Yes, carry_out, command, commands, deployed, resolved
from console.operations.avatars import cdn, takedown
from console.operations.changes import Operation
from console.operations.errors import OperationError
from console.operations.uploads import locks, send

User = Annotated[str, typer.Option("--name", envvar="NAME", help="The user's id, its sub.")]

app = commands()
out = terminal.out


@command(app)
def upload(
    file: Annotated[Path, typer.Option(envvar="FILE", help="The picture.")] = Path(),
    user: Annotated[str, typer.Option("--who", envvar="WHO", help="The test user.")] = "ada",
    direct: Annotated[
        bool, typer.Option("--direct", envvar="DIRECT", help="Straight into the bucket.")
    ] = False,
    key: Annotated[str, typer.Option(envvar="KEY", help="With --direct: the object's key.")] = "",
    crop: Annotated[
        str, typer.Option(envvar="CROP", help="What to show: x,y,side, each from 0 to 1.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Send a picture the way a user's browser does, and watch it arrive."""
    if file == Path():
        raise OperationError("No picture was named.", "Give one: make upload FILE=photo.jpg")
    if crop and direct:
        raise OperationError("CROP goes with a user's upload.", "Leave DIRECT out.")
    deployment, user = deployed(), user or "ada"
    change = Operation(
        resolved(),
        "upload",
        key or file.name if direct else f"{file.name} as {user}",
        (f"+ {file} into {deployment.uploads_bucket}",),
        lambda report: (
            send.upload_directly(deployment, file, key or None, report)
            if direct
            else send.upload_as_user(deployment, file, user, report, crop)
        ),
    )
    with terminal.Progress() as report:
        carry_out(change, report)
    (result,) = change.results
    if as_json:
        print(json.dumps(asdict(result)))
        return
    out.print(f"\n[bold]{result.url}[/]")
    for variant in result.variants:
        out.print(f"  [dim]{variant.url}[/]")


@command(app)
def clear(
    name: Annotated[str, typer.Option(envvar="NAME", help="The avatar's name.")] = "",
    yes: Yes = False,
) -> None:
    """Take an avatar down: it, its variants and its originals, after listing them."""
    change = takedown.take_down(resolved(), deployed(), name)
    with terminal.Progress() as report:
        out.print(carry_out(change, report, yes=yes))


@command(app)
def lock_user(name: User = "") -> None:
    """Let a user send no more pictures."""
    _set_lock(name, locked=True)


@command(app)
def unlock_user(name: User = "") -> None:
    """Let a locked user send pictures again."""
    _set_lock(name, locked=False)


def _set_lock(user: str, *, locked: bool) -> None:
    change = locks.set_lock(resolved(), deployed(), user, locked=locked)
    with terminal.Progress() as report:
        out.print(carry_out(change, report))


@command(app)
def invalidate(
    paths: Annotated[str, typer.Option(envvar="PATHS", help="Separated by spaces.")] = "",
) -> None:
    """Drop paths from CloudFront's caches and wait until that is done."""
    change = cdn.Invalidate(resolved(), deployed(), tuple(cdn.checked_paths(paths)))
    with terminal.Progress() as report:
        carry_out(change, report)
