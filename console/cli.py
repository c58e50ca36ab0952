"""The command line: the same operations as the console's pages. `make help` lists them."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from console import terminal
from console.commands import database as database_commands
from console.commands import doctor
from console.commands.audited import audited
from console.operations import migrations
from console.operations.avatars import cdn, takedown
from console.operations.environments import databases, deployment, logs, settings_files, target
from console.operations.environments.deployment import Deployment
from console.operations.environments.doctor.database import Migrations
from console.operations.environments.terraform import Workspace, state_directory
from console.operations.errors import OperationError
from console.operations.pipeline import dead_letters, failures, stale_profiles
from console.operations.pipeline import reconcile as reconciliation
from console.operations.uploads import send

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
out = terminal.out

app.registered_commands += database_commands.app.registered_commands

Yes = Annotated[bool, typer.Option("--yes", envvar="YES", help="Don't ask.")]
DryRun = Annotated[bool, typer.Option("--dry-run", envvar="DRY_RUN", help="Change nothing.")]
AsJson = Annotated[bool, typer.Option("--json", envvar="JSON", help="Print JSON for scripts.")]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Register a command whose failures end with a sentence and exit code 1."""

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> None:
        with terminal.exit_on_error():
            function(*args, **kwargs)

    return app.command(function.__name__.removeprefix("show_"))(wrapper)


def _env() -> str:
    return os.environ.get("ENV") or "local"


def _deployment() -> Deployment:
    return deployment.load(_env())


def _workspace() -> Workspace:
    env = _env()
    access = deployment.read_access(env)
    if env == "local" and not access:
        raise OperationError("The local system was never started.", "Run `make up`.")
    return Workspace(env, access, state_directory())


@command
def bootstrap() -> None:
    """Make the bucket for Terraform's state."""
    workspace = _workspace()
    made = workspace.bootstrap()
    out.print(f"{workspace.state_bucket()}: {'made' if made else 'there already'}")


@command
def plan() -> None:
    """Show what `apply` would change."""
    if _workspace().show_plan() is None:
        out.print("Nothing to change.")


@command
def apply(yes: Yes = False) -> None:
    """Plan, ask, apply, and write the settings files."""
    workspace = _workspace()
    plan_file = workspace.show_plan()
    if plan_file is None:
        out.print("Nothing to change.")
    else:
        terminal.confirm(f"Apply this to {workspace.env}?", workspace.env, yes=yes)
        with terminal.Progress() as report:
            changes = audited("apply", workspace.env, lambda: workspace.apply(plan_file, report))
        out.print(f"Applied: {changes}.")
    _write_settings(workspace)


@command
def destroy(
    yes: Yes = False,
    force: Annotated[
        bool, typer.Option("--force", envvar="FORCE", help="Delete buckets with their objects.")
    ] = False,
) -> None:
    """Delete the infrastructure; refuses while a bucket holds objects, unless forced."""
    workspace = _workspace()
    plan_file = workspace.destroy_plan(force=force or workspace.env == "local")
    if plan_file is None:
        out.print("Nothing to delete.")
        return
    terminal.confirm(f"Delete all of {workspace.env}?", workspace.env, yes=yes)
    with terminal.Progress() as report:
        changes = audited("destroy", workspace.env, lambda: workspace.apply(plan_file, report))
        out.print(f"Deleted: {changes}.")


@command
def outputs(as_json: AsJson = False) -> None:
    """Print Terraform's outputs."""
    found = _workspace().outputs()
    if as_json:
        print(json.dumps(found, indent=2, sort_keys=True))
        return
    for name, value in sorted(found.items()):
        out.print(f"{name:<24} {value if isinstance(value, str) else json.dumps(value)}")


@command
def env() -> None:
    """Write .env.<ENV> and the front end's settings."""
    _write_settings(_workspace())


def _write_settings(workspace: Workspace) -> None:
    for path in settings_files.write(workspace.env, workspace.outputs(), workspace.access):
        out.print(f"wrote {path.name}")


@command
def status(as_json: AsJson = False) -> None:
    """Show where everything is and how much is queued."""
    here = _deployment()
    queued = dead_letters.counts(here)
    facts = {
        "environment": here.name,
        "api": here.api_url,
        "assets": here.assets_url,
        "aws": here.access.get("AWS_ENDPOINT_URL", f"AWS, {here.region}"),
        **queued,
    }
    unreachable: OperationError | None = None
    if here.database_url_parameter:
        try:
            standing = databases.standing(databases.operator_url(here))
            facts["database"] = f"{standing.server}, {standing.pending} migrations pending"
        except OperationError as error:  # said at the end: the queue is worth knowing meanwhile
            unreachable = error
            facts["database"] = "away"
    if as_json:
        print(json.dumps(facts, indent=2))
    else:
        for name, value in facts.items():
            out.print(f"{name.replace('_', ' '):<12} {value}")
    if queued["dead"] and not as_json:
        out.print(
            "[red]![/] Uploads failed: `make logs FUNCTION=resize` says why, "
            "`make redrive` tries them again."
        )
    if unreachable:
        raise unreachable


@command
def show_logs(
    function: Annotated[str, typer.Option(envvar="FUNCTION", help="Only this one.")] = "",
    since: Annotated[str, typer.Option(envvar="SINCE", help="30s, 15m, 2h, 1d.")] = "15m",
    follow: Annotated[bool, typer.Option("--follow", envvar="FOLLOW")] = False,
    as_json: AsJson = False,
) -> None:
    """Show the functions' logs."""
    here = _deployment()
    names = [function] if function else sorted(here.function_names)
    start = time.time() - logs.seconds(since or "15m")
    lines = logs.follow(here, names, start) if follow else iter(logs.read(here, names, start))
    for line in lines:
        if as_json:
            print(json.dumps(line.fields or {"time": line.time, "message": line.text}))
        else:
            _print_line(line)


def _print_line(line: logs.Line) -> None:
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


@command
def upload(
    file: Annotated[Path, typer.Option(envvar="FILE", help="The picture.")] = Path(),
    user: Annotated[str, typer.Option("--who", envvar="WHO", help="The test user.")] = "ada",
    direct: Annotated[
        bool, typer.Option("--direct", envvar="DIRECT", help="Straight into the bucket.")
    ] = False,
    key: Annotated[str, typer.Option(envvar="KEY", help="With --direct: the object's key.")] = "",
    as_json: AsJson = False,
) -> None:
    """Send a picture the way a user's browser does, and watch it arrive."""
    if file == Path():
        raise OperationError("No picture was named.", "Give one: make upload FILE=photo.jpg")
    here = _deployment()
    with terminal.Progress() as report:
        if direct:
            arrival = audited(
                "upload",
                key or file.name,
                lambda: send.upload_directly(here, file, key or None, report),
            )
        else:
            who = user or "ada"
            arrival = audited(
                "upload",
                f"{file.name} as {who}",
                lambda: send.upload_as_user(here, file, who, report),
            )
    if as_json:
        print(json.dumps(asdict(arrival)))
        return
    out.print(f"\n[bold]{arrival.url}[/]")
    for variant in arrival.variants:
        out.print(f"  [dim]{variant.url}[/]")


@command
def clear(
    name: Annotated[str, typer.Option(envvar="NAME", help="The avatar's name.")] = "",
    yes: Yes = False,
) -> None:
    """Take an avatar down: it, its variants and its originals, after listing them."""
    here = _deployment()
    change = takedown.take_down(target.resolve(_env()), here, name)
    for line in change.lines():
        out.print(escape(line))
    terminal.confirm(f"Do this for good in {change.target}?", name, yes=yes)
    with terminal.Progress() as report:
        said = audited(change.action, change.subject, lambda: change.execute(report))
    out.print(said)


@command
def invalidate(
    paths: Annotated[str, typer.Option(envvar="PATHS", help="Separated by spaces.")] = "",
) -> None:
    """Drop paths from CloudFront's caches and wait until that is done."""
    checked = cdn.checked_paths(paths)
    with terminal.Progress() as report:
        here = _deployment()
        audited("invalidate", " ".join(checked), lambda: cdn.invalidate(here, checked, report))


@command
def redrive(dry_run: DryRun = False) -> None:
    """Put the dead letters back on the queue."""
    here = _deployment()
    if dry_run:
        _list_dead_letters(here)
        return
    with terminal.Progress() as report:
        count = audited("redrive", "all", lambda: dead_letters.redrive_all(here, report))
        out.print(f"{count} dead letters put back.")


@command
def discard(yes: Yes = False) -> None:
    """Delete the dead letters, after listing them; their originals stay."""
    here = _deployment()
    letters = _list_dead_letters(here)
    if letters:
        terminal.confirm(f"Delete these {len(letters)} for good?", here.name, yes=yes)
        with terminal.Progress() as report:
            handled = audited("discard", "all", lambda: failures.discard(here, letters, report))
        out.print(handled)


def _list_dead_letters(here: Deployment) -> list[str]:
    """Print the dead letters, holding none back, and return their ids."""
    letters = list(dead_letters.receive(here))
    dead_letters.release(here, letters)
    for letter in letters:
        out.print(f"{letter.message_id}  {', '.join(letter.keys) or 'no S3 event'}")
    out.print(f"{len(letters)} dead letters.")
    return [letter.message_id for letter in letters]


@command
def reconcile(
    dry_run: DryRun = False,
    everything: Annotated[
        bool, typer.Option("--all", envvar="ALL", help="Every original, not only missing ones.")
    ] = False,
    after: Annotated[str, typer.Option(envvar="AFTER", help="Begin behind this key.")] = "",
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Queue originals that were never processed, and mend profiles that name an old avatar."""
    here = _deployment()
    found = _walk(here, everything, after, dry_run=True)
    summary = f"{found.walked} originals: {found.shown} shown, {found.rejected} rejected, "
    if not as_json:
        out.print(f"{summary}{found.queued} to process.")
    if found.queued and not dry_run:
        if everything:
            terminal.confirm(f"Process all {found.queued} again?", here.name, yes=yes)
        found = audited(
            "reconcile",
            "every original" if everything else "missing originals",
            lambda: _walk(here, everything, after, dry_run=False),
        )
        if not as_json:
            out.print(f"{found.queued} put on the queue.")
    behind = _refresh_profiles(here, dry_run=dry_run)
    if as_json:
        print(json.dumps(vars(found) | {"profiles": behind}))
    elif behind:
        out.print(f"{behind} profiles named an old avatar{'' if dry_run else ', now mended'}.")


def _refresh_profiles(here: Deployment, *, dry_run: bool) -> int:
    if not here.database_url_parameter:
        return 0
    url = databases.operator_url(here)
    with terminal.Progress() as report:
        behind = stale_profiles.refresh(here, url, report, dry_run=True)
        if behind and not dry_run:
            audited(
                "reconcile",
                "profiles",
                lambda: stale_profiles.refresh(here, url, report, dry_run=False),
            )
    return behind


def _walk(
    here: Deployment, everything: bool, after: str, *, dry_run: bool
) -> reconciliation.Findings:
    findings = reconciliation.Findings(last_key=after)
    try:
        with terminal.Progress() as report:
            for found in reconciliation.reconcile(
                here, report, dry_run=dry_run, everything=everything, after=after
            ):
                findings = found
    except (OperationError, KeyboardInterrupt):
        if findings.last_key and not dry_run:
            terminal.err.print(f"To go on from here: make reconcile AFTER='{findings.last_key}'")
        raise
    return findings


def _migrations() -> Migrations | None:
    try:
        here = _deployment()
    except OperationError:  # doctor says itself what is wrong with the file
        return None
    if not here.database_url_parameter:
        return None
    return lambda: migrations.migrations(databases.operator_url(here))


doctor.register(command, _env, _workspace, _migrations)


if __name__ == "__main__":
    app()
