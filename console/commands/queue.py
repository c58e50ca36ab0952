"""The queue's commands: redrive, discard, reconcile, reprocess."""

from __future__ import annotations

import json
import shlex
import time
from typing import Annotated, Any

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
from console.operations.changes import Change, Operation
from console.operations.environments import logs
from console.operations.environments.deployment import Deployment
from console.operations.environments.insights import Group
from console.operations.environments.target import Target
from console.operations.errors import OperationError
from console.operations.pipeline import (
    causes,
    dead_letters,
    inventory,
    rejections,
    stale_profiles,
)
from console.operations.pipeline import reconcile as reconciliation
from console.operations.pipeline import reprocess as reprocessing
from console.operations.pipeline.causes import Selection
from console.operations.progress import Report

app = commands()
out = terminal.out


Cause = Annotated[
    str, typer.Option(envvar="CAUSE", help="Only messages that failed so: an error's name or code.")
]
Code = Annotated[
    str, typer.Option(envvar="CODE", help="Rejected uploads of this code, in place of messages.")
]
Find = Annotated[
    str,
    typer.Option(envvar="FIND", help="Only keys that contain this, such as a user's id."),
]
Since = Annotated[str, typer.Option(envvar="SINCE", help="Only failures of this time: 2h, 3d.")]
Rate = Annotated[int, typer.Option(envvar="RATE", help="At most so many a second.")]
_KEPT = "14d"  # as long as SQS keeps messages


@command(app)
def redrive(
    cause: Cause = "",
    code: Code = "",
    find: Find = "",
    since: Since = "",
    rate: Rate = dead_letters.RATE,
    stop: Annotated[
        bool, typer.Option("--stop", envvar="STOP", help="Stop the redrive that SQS carries out.")
    ] = False,
    dry_run: DryRun = False,
    as_json: AsJson = False,
) -> None:
    """Put the dead-letter messages back on the queue, or those of one cause."""
    if stop:
        deployment = deployed()
        task = dead_letters.move_task(deployment)
        if not task or not task.handle:
            raise OperationError("SQS carries out no redrive.", "Nothing is to be stopped.")
        with terminal.Progress() as report:
            out.print(carry_out(dead_letters.stop_move_task(resolved(), deployment, task), report))
        return
    selection = _selection(cause, code, find, since)
    kinds = (dead_letters.Redrive, rejections.TryAgain)
    _carry_out(kinds, selection, bool(code), rate, dry_run=dry_run, as_json=as_json)


@command(app)
def discard(
    cause: Cause = "",
    code: Code = "",
    find: Find = "",
    since: Since = "",
    rate: Rate = dead_letters.RATE,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Delete the dead-letter messages, or those of one cause; their originals stay."""
    selection = _selection(cause, code, find, since)
    kinds = (dead_letters.Discard, rejections.DiscardRecords)
    _carry_out(kinds, selection, bool(code), rate, dry_run=dry_run, as_json=as_json, yes=yes)


def _selection(cause: str, code: str, find: str, since: str) -> Selection:
    if cause and code:
        raise OperationError(
            "CAUSE is of dead-letter messages, CODE of rejected uploads.", "Use one of them."
        )
    now = time.time()
    everything = not (cause or code or find or since)
    return Selection(now - logs.seconds(since or _KEPT), now, cause or code, find, everything)


def _carry_out(
    kinds: tuple[
        type[dead_letters.Redrive | dead_letters.Discard],
        type[rejections.TryAgain | rejections.DiscardRecords],
    ],
    selection: Selection,
    of_rejections: bool,
    rate: int,
    *,
    dry_run: bool,
    as_json: bool,
    yes: bool = False,
) -> None:
    """Show by cause what there is, and carry the change out."""
    here = deployed()
    change: Change
    if of_rejections:
        groups = rejections.groups(here, selection)
        total = number = sum(group.count for group in groups)
        change = kinds[1](resolved(), here, selection=selection, number=number, rate=rate)
    else:
        found = dead_letters.sample(here)
        total, groups = found.total, _causes(here, selection, found.receives) if found.total else []
        number = sum(group.count for group in groups)
        change = kinds[0](resolved(), here, found, selection, number, rate)
    outcome = None if dry_run else "There is nothing to do."
    if not as_json:
        for group in groups:
            times = f"{_moment(group.first)} to {_moment(group.last)}"
            out.print(f"{group.count:>9,}  {group.value}  {times}", markup=False)
    if dry_run and not as_json:
        terminal.show(change, out)
    elif not dry_run and total:
        with terminal.Progress() as report:
            outcome = carry_out(change, report, yes=yes)
    if as_json:
        listed = [vars(group) for group in groups]
        print(json.dumps({"total": total, "groups": listed, "outcome": outcome}))
    elif outcome:
        out.print(outcome, markup=False)


def _causes(here: Deployment, selection: Selection, receives: int) -> list[Group]:
    try:
        return causes.groups(here, selection, receives)
    except OperationError as error:
        if not selection.everything:
            raise
        terminal.err.print(f"By cause: {error}", markup=False)  # all are known without the log
        return []


def _moment(at: float) -> str:
    return time.strftime("%d %b %H:%M:%S", time.localtime(at))


@command(app)
def reconcile(
    dry_run: DryRun = False,
    everything: Annotated[
        bool, typer.Option("--all", envvar="ALL", help="Every original, not only missing ones.")
    ] = False,
    after: Annotated[str, typer.Option(envvar="AFTER", help="Begin after this key.")] = "",
    until: Annotated[str, typer.Option(envvar="UNTIL", help="End with this key.")] = "",
    from_inventory: Annotated[
        str,
        typer.Option(
            "--inventory",
            envvar="INVENTORY",
            help="Ask S3 only for what its newest inventory (1) or a day's doesn't show.",
        ),
    ] = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Queue originals that were never processed, and update profiles that name an old avatar."""
    deployment, target = deployed(), resolved()
    keys = reconciliation.Keys(after, until)
    if everything and from_inventory:
        raise OperationError(
            "INVENTORY says what need not be queued, ALL=1 queues all.", "Use one of them."
        )
    with terminal.Progress() as report:
        made = None
        if from_inventory:
            made = inventory.load(
                deployment, inventory.find(deployment, from_inventory), report, keys
            )
        touches, found = "missing originals are queued again, as they are found", None
        if dry_run or (everything and not yes):  # somebody wants to know how many before
            found = _walk(deployment, report, everything, keys, made, dry_run=True)
            touches = f"{found.queued} of {found.walked} originals are queued again"
            if not as_json:
                out.print(_found(found, "to process", made))
        if not dry_run and (found is None or found.queued):
            change = Operation(
                target,
                "reconcile",
                "every original" if everything else "missing originals",
                (f"~ {touches}",),
                lambda report: _walk(deployment, report, everything, keys, made, dry_run=False),
                destructive=everything,
            )
            carry_out(change, report, yes=yes)
            (found,) = change.results
            if not as_json:
                out.print(_found(found, "put on the queue", made))
        # no list says what an avatar shows
        behind = None if made else _refresh_profiles(target, deployment, report, dry_run=dry_run)
    if as_json:
        taken = {"inventory": made.by.taken.isoformat()} if made else {}
        print(json.dumps(vars(found) | {"profiles": behind} | taken))
    elif made and deployment.database_url_parameter:
        out.print("Profiles were not compared: `make reconcile` without INVENTORY does.")
    elif behind:
        done = "" if dry_run else ", now updated"
        out.print(f"{behind} profiles named an old avatar{done}.")


def _found(found: reconciliation.Findings, queued: str, made: inventory.Made | None) -> str:
    said = (
        f"{found.walked} originals: {found.shown} shown, {found.rejected} rejected, "
        f"{found.queued} {queued}."
    )
    return f"{said} {found.spared} HEADs spared by {made.by}." if made else said


@command(app)
def reprocess(
    dry_run: DryRun = False,
    stop: Annotated[bool, typer.Option(envvar="STOP", help="Stop what runs.")] = False,
    job_id: Annotated[str, typer.Option("--job", envvar="JOB", help="A job to follow.")] = "",
    yes: Yes = False,
) -> None:
    """Process every original again, as after a change of sizes, formats or the engine."""
    deployment, target = deployed(), resolved()
    by_job = reprocessing.by_job(deployment)
    if job_id and not by_job:
        raise OperationError(
            f"{target.env} has no jobs: the queue serves.",
            "Set `reprocess = { enabled = true }` in its tfvars, then run `make apply`.",
        )
    job_id = job_id or (reprocessing.active(target, deployment) if by_job else "")
    with terminal.Progress() as report:
        if stop:
            _stop(target, deployment, job_id, report)
            return
        if not job_id:
            change = reprocessing.new(target, deployment)
            if dry_run:
                terminal.show(change, out)
                return
            try:
                out.print(carry_out(change, report, yes=yes))
            except KeyboardInterrupt:
                if isinstance(change, reprocessing.Queued):
                    terminal.err.print(f"To go on: make reprocess ENV={target.env}")
                raise
            if isinstance(change, reprocessing.Queued):
                return
            job_id = change.job_id
        try:
            job = reprocessing.follow(target, deployment, job_id, report)
        except KeyboardInterrupt:
            terminal.err.print(
                f"The job goes on. To follow it: make reprocess ENV={target.env} JOB={job_id}; "
                f"to stop it: make reprocess ENV={target.env} STOP=1"
            )
            raise
    _show_report(deployment, job)


def _stop(target: Target, deployment: Deployment, job_id: str, report: Report) -> None:
    if job_id:
        touches = (f"- the job {job_id}; what it has made stays",)
        work = lambda _: reprocessing.stop(target, deployment, job_id)  # noqa: E731
    elif (marker := reprocessing.marker(target)).exists():
        touches = (f"- {marker}, where it stands; what is queued already is still processed",)

        def work(_: Report) -> str:
            marker.unlink(missing_ok=True)
            return "The next run starts from the beginning."

    else:
        out.print("Nothing is being processed again.")
        return
    out.print(
        carry_out(Operation(target, "stop-reprocess", "every original", touches, work), report)
    )


def _show_report(deployment: Deployment, job: dict[str, Any]) -> None:
    done = job.get("ProgressSummary", {})
    out.print(
        f"{job['Status']}: {done.get('NumberOfTasksSucceeded', 0):,} done, "
        f"{done.get('NumberOfTasksFailed', 0):,} failed."
    )
    for reason in job.get("FailureReasons", []):
        out.print(f"  {reason.get('FailureCode')}: {reason.get('FailureReason')}", markup=False)
    for why, number, key in reprocessing.failures(deployment, job["JobId"]):
        out.print(f"  {number:,} x {why} (such as {key})", markup=False)
    if job["Status"] != "Complete":
        raise OperationError(
            f"The job {job['JobId']} has ended as {job['Status']}.",
            f"Run `make reprocess ENV={deployment.name}` again: nothing is harmed by it.",
        )


def _refresh_profiles(
    target: Target, deployment: Deployment, report: Report, *, dry_run: bool
) -> int:
    if not deployment.database_url_parameter:
        return 0
    url = target.database_url()
    if dry_run:
        return stale_profiles.refresh(deployment, url, report, dry_run=True)
    change = Operation(
        target,
        "reconcile",
        "profiles",
        ("~ profiles that name an old avatar are updated, as they are found",),
        lambda report: stale_profiles.refresh(deployment, url, report, dry_run=False),
    )
    carry_out(change, report)
    return int(change.results[0])


def _walk(
    deployment: Deployment,
    report: Report,
    everything: bool,
    keys: reconciliation.Keys,
    made: inventory.Made | None,
    *,
    dry_run: bool,
) -> reconciliation.Findings:
    findings = reconciliation.Findings(last_key=keys.after)
    try:
        for found in reconciliation.reconcile(
            deployment, report, dry_run=dry_run, everything=everything, keys=keys, made=made
        ):
            findings = found
    except (OperationError, KeyboardInterrupt):
        if findings.last_key:
            options = {
                "DRY_RUN": "1" if dry_run else "",
                "ALL": "1" if everything else "",
                "INVENTORY": f"{made.by.taken:%Y-%m-%d}" if made else "",
                "AFTER": shlex.quote(findings.last_key),
                "UNTIL": keys.until and shlex.quote(keys.until),
            }
            said = "".join(f" {name}={value}" for name, value in options.items() if value)
            so_far = _found(findings, "found missing", made)
            terminal.err.print(f"{so_far} To go on from here: make reconcile{said}", markup=False)
        raise
    return findings
