"""The queue's commands: redrive, discard, reconcile."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from console import terminal
from console.commands.context import (
    AsJson,
    DryRun,
    Yes,
    carry_out,
    command,
    commands,
    deployed,
    resolved,
)
from console.operations.changes import Operation
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.pipeline import dead_letters, stale_profiles
from console.operations.pipeline import reconcile as reconciliation
from console.operations.progress import Report

app = commands()
out = terminal.out


@command(app)
def redrive(dry_run: DryRun = False) -> None:
    """Put the dead-letter messages back on the queue."""
    deployment = deployed()
    found = dead_letters.sample(deployment, limit=None)
    change = dead_letters.Redrive(resolved(), deployment, found, everything=True)
    if dry_run:
        terminal.show(change, out)
        return
    with terminal.Progress() as report:
        out.print(carry_out(change, report))


@command(app)
def discard(yes: Yes = False) -> None:
    """Delete the dead-letter messages, after listing them; their originals stay."""
    deployment = deployed()
    found = dead_letters.sample(deployment, limit=None)
    if not found.messages:
        out.print("There are no dead-letter messages.")
        return
    change = dead_letters.Discard(resolved(), deployment, found)
    with terminal.Progress() as report:
        out.print(carry_out(change, report, yes=yes))


@command(app)
def reconcile(
    dry_run: DryRun = False,
    everything: Annotated[
        bool, typer.Option("--all", envvar="ALL", help="Every original, not only missing ones.")
    ] = False,
    after: Annotated[str, typer.Option(envvar="AFTER", help="Begin after this key.")] = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Queue originals that were never processed, and update profiles that name an old avatar."""
    deployment, target = deployed(), resolved()
    with terminal.Progress() as report:
        found = _walk(deployment, report, everything, after, dry_run=True)
        if not as_json:
            out.print(
                f"{found.walked} originals: {found.shown} shown, {found.rejected} rejected, "
                f"{found.queued} to process."
            )
        if found.queued and not dry_run:
            what = "every original" if everything else "missing originals"
            change = Operation(
                target,
                "reconcile",
                what,
                (f"~ {found.queued} of {found.walked} originals are queued again",),
                lambda report: _walk(deployment, report, everything, after, dry_run=False),
                destructive=everything,
            )
            carry_out(change, report, yes=yes)
            (found,) = change.results
            if not as_json:
                out.print(f"{found.queued} put on the queue.")
        behind = _refresh_profiles(target, deployment, report, dry_run=dry_run)
    if as_json:
        print(json.dumps(vars(found) | {"profiles": behind}))
    elif behind:
        done = "" if dry_run else ", now updated"
        out.print(f"{behind} profiles named an old avatar{done}.")


def _refresh_profiles(
    target: Target, deployment: Deployment, report: Report, *, dry_run: bool
) -> int:
    if not deployment.database_url_parameter:
        return 0
    url = target.database_url()
    behind = stale_profiles.refresh(deployment, url, report, dry_run=True)
    if behind and not dry_run:
        change = Operation(
            target,
            "reconcile",
            "profiles",
            (f"~ {behind} users whose profile names an old avatar",),
            lambda report: stale_profiles.refresh(deployment, url, report, dry_run=False),
        )
        carry_out(change, report)
    return behind


def _walk(
    deployment: Deployment, report: Report, everything: bool, after: str, *, dry_run: bool
) -> reconciliation.Findings:
    findings = reconciliation.Findings(last_key=after)
    try:
        for found in reconciliation.reconcile(
            deployment, report, dry_run=dry_run, everything=everything, after=after
        ):
            findings = found
    except (OperationError, KeyboardInterrupt):
        if findings.last_key and not dry_run:
            terminal.err.print(f"To go on from here: make reconcile AFTER='{findings.last_key}'")
        raise
    return findings
