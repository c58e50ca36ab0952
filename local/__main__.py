"""The local system's commands: ``python -m local up|down|reset|build``."""

from __future__ import annotations

import collections
import os
import shutil
import sys
import time

from rich.markup import escape

from console import terminal
from console.operations import progress
from console.operations.environments import databases, deployment, target
from console.operations.environments.terraform import artifacts_directory
from console.operations.errors import OperationError
from console.operations.migrations import postgres_server as postgres
from local import state_folder, zips
from local.settings import LocalSettings
from local.stack import DEMO_USERS, Stack, Started

out = terminal.out


def up() -> None:
    """Bring everything up and say where it is."""
    began = time.monotonic()
    out.print("[bold]Avatar Ops[/] on this machine. A first start takes 2 to 4 minutes.")
    with terminal.Progress() as report:
        started = Stack(LocalSettings.from_environment()).up(report)
    _summary(started, time.monotonic() - began)


def down() -> None:
    """Stop everything, keeping what is in it."""
    with terminal.Progress() as report:
        if not Stack(LocalSettings.from_environment()).down(report):
            out.print("Nothing was running.")


def reset() -> None:
    """Stop everything and delete what is in it."""
    settings = LocalSettings.from_environment()
    if state_folder.is_of_an_older_version(settings.state.parent):
        raise OperationError(
            f"{settings.state.parent} holds the state of an older version.",
            "Run `make down` first, which moves it; then `make reset` again.",
        )
    if not state_folder.exists(settings.state):
        out.print("There is nothing to delete.")
        return
    state_folder.check(settings.state)
    size = sum(path.lstat().st_size for path in settings.state.rglob("*") if path.is_file())
    out.print(f"This deletes {settings.state} ({size / 1e6:,.0f} MB): every local avatar and user.")
    terminal.confirm_word("Delete it?", "reset", yes=bool(os.environ.get("YES")))
    with terminal.Progress() as report:
        Stack(settings).reset(report)
    out.print("Deleted.")


def logs() -> None:
    """Show the last lines of the emulator's or of Postgres's own log."""
    state = LocalSettings.from_environment().state
    name = os.environ.get("FUNCTION")
    path = state / f"{name}.log"
    if name == "postgres":
        path = postgres.status(state / "postgres").log
    if not path.exists():
        raise OperationError(f"There is no {path}.", "Run `make up` first.")
    with path.open(errors="replace") as log:
        sys.stdout.writelines(collections.deque(log, maxlen=200))


def build() -> None:
    """Build the zips for where ENV lives: the emulator, or AWS."""
    env = target.chosen_env()
    emulated = env == "local" or bool(target.endpoint_of(env))
    platform: zips.Target = "local" if emulated else "aws"
    directory = artifacts_directory(target.state_folder(env), emulated=emulated)
    with terminal.Progress() as report, progress.timed(report, "Function zips") as detail:
        built = zips.build(platform, directory, report)
        detail.append(
            ", ".join(f"{path.stem} {path.stat().st_size / 2**20:.1f} MiB" for path in built)
        )


def _summary(started: Started, seconds: float) -> None:
    here = started.deployment
    width = min(shutil.get_terminal_size().columns, 100)
    out.print(f"\n[bold green]Running[/] after {seconds:.0f} s\n{'─' * width}")
    for name, value in (
        ("Console", f"http://127.0.0.1:{LocalSettings.from_environment().console_port}"),
        ("AWS (emulated)", here.access["AWS_ENDPOINT_URL"]),
        ("API", here.api_url),
        ("Avatars (CDN)", here.assets_url),
        ("Postgres", str(databases.parse(databases.operator_url(here)))),
        ("Demo users", ", ".join(DEMO_USERS)),
        ("Settings", deployment.settings_file("local").name),
    ):
        out.print(f"  {name:<16} {escape(value)}")
    out.print("\nSend a picture: [bold]make upload FILE=photo.jpg[/]     Stop: [bold]make down[/]")
    if started.lost_messages:
        out.print(
            "[yellow]![/] The emulator had been killed, and with it what was queued. "
            "Run [bold]make reconcile[/] to process what was uploaded and never resized."
        )


COMMANDS = {"up": up, "down": down, "reset": reset, "logs": logs, "build": build}


def main() -> None:
    """Run the command that the arguments name."""
    if len(sys.argv) != 2 or sys.argv[1] not in COMMANDS:
        sys.exit(f"usage: python -m local {'|'.join(COMMANDS)}")
    if sys.argv[1] != "build" and target.chosen_env() != "local":
        raise OperationError(
            f"`make {sys.argv[1]}` is for the local system.", "Leave ENV out, or use `make apply`."
        )
    COMMANDS[sys.argv[1]]()


if __name__ == "__main__":
    with terminal.exit_on_error():
        main()
