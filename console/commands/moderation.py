"""Commands for pictures that were held or reported: review, approve, refuse."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer

from console import terminal
from console.commands.context import AsJson, Yes, carry_out, command, commands, deployed, resolved
from console.operations.avatars import moderation
from console.operations.environments.deployment import Deployment
from console.operations.errors import OperationError
from console.operations.pipeline import reviews
from console.operations.pipeline.reviews import Review
from console.operations.uploads.names import name_of
from console.units import duration

Key = Annotated[str, typer.Option("--key", envvar="KEY", help="The original's key.")]
Version = Annotated[
    str, typer.Option("--version", envvar="VERSION", help="S3's version id, if several wait.")
]

app = commands()
out = terminal.out


@command(app)
def review(as_json: AsJson = False) -> None:
    """List what is held or reported, oldest first."""
    deployment = deployed()
    waiting = reviews.summary(deployment)
    found = reviews.page(deployment)
    if as_json:
        oldest = None if waiting.oldest is None else round(time.time() - waiting.oldest)
        print(
            json.dumps(
                {
                    "waiting": waiting.count,
                    "oldest_seconds": oldest,
                    "reviews": [reviews.as_json(each) for each in found.reviews],
                },
                indent=2,
            )
        )
        return
    if not found.reviews:
        out.print("Nothing is held or reported.")
        return
    for each in found.reviews:
        reasons = ", ".join(sorted({report.reason for report in each.reports}))
        said = f"  {len(each.reports)} reports: {reasons}" if each.reports else ""
        score = "" if each.score is None else f"  score {each.score:.2f}"
        age = duration(time.time() - each.since)
        out.print(f"{age:>7}  {each.state:<8}  {each}{score}{said}", markup=False)
    more = "at least " if waiting.more else ""
    out.print(f"{more}{waiting.count} wait; {len(found.reviews)} shown, the oldest first.")


@command(app)
def approve(key: Key = "", version: Version = "") -> None:
    """Show a held picture, or keep a reported one."""
    deployment = deployed()
    change = moderation.approve(resolved(), deployment, _waiting(deployment, key, version))
    with terminal.Progress() as report:
        out.print(carry_out(change, report))


@command(app)
def refuse(
    key: Key = "",
    version: Version = "",
    lock: Annotated[bool, typer.Option("--lock", envvar="LOCK", help="Lock the sender.")] = False,
    yes: Yes = False,
) -> None:
    """Reject a held picture, or take a reported one down."""
    deployment = deployed()
    chosen = _waiting(deployment, key, version)
    change = moderation.refuse(resolved(), deployment, chosen, lock=lock)
    with terminal.Progress() as report:
        out.print(carry_out(change, report, yes=yes))


def _waiting(deployment: Deployment, key: str, version: str) -> Review:
    if not key:
        raise OperationError("No picture was named.", "Give its key: KEY=…; `make review` lists.")
    found = [
        each
        for each in reviews.of_avatar(deployment, name_of(key))
        if each.waits and each.key == key and version in {"", each.version_id}
    ]
    if not found:
        raise OperationError(
            f"No picture of {key} is held or reported.", "`make review` lists what is."
        )
    if len(found) > 1:
        raise OperationError(
            f"{len(found)} pictures of {key} wait: {', '.join(map(str, found))}.",
            "Say which: VERSION=…",
        )
    return found[0]
