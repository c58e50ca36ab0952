"""The whole local system: brought up, stopped, deleted."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

from botocore.exceptions import ClientError

from console import serve
from console.operations import migrations, progress
from console.operations.audit.spool import Spool
from console.operations.environments import (
    databases,
    deployment,
    infrastructure,
    settings_files,
    target,
    terraform_program,
)
from console.operations.environments.aws_errors import aws_errors
from console.operations.environments.deployment import Deployment
from console.operations.environments.terraform import DIRECTORY, Workspace
from console.operations.errors import OperationError
from console.operations.migrations import postgres_server as postgres
from console.operations.uploads import test_users
from local import emulator, state_folder, zips
from local.emulator import Emulator
from local.process import BackgroundProcess
from local.settings import HOSTED_ZONE, ROOT, LocalSettings, is_listening

ENV = "local"
DEMO_USERS = tuple(migrations.DEMO_USERS)


@dataclass(frozen=True)
class Started:
    """What `up` brought up.

    Attributes
    ----------
    lost_messages
        Whether the emulator had been killed, so that queued messages are gone.
    """

    deployment: Deployment
    lost_messages: bool


class Stack:
    """The local system of one state folder."""

    def __init__(self, settings: LocalSettings) -> None:
        self.settings = settings
        self.emulator = Emulator(settings)
        self._applied = settings.state / "applied"
        self._settings_written = settings.state / "settings.written"
        self._console_code = settings.state / "console.code"
        self._postgres = settings.state / "postgres"
        self._console = BackgroundProcess("console", settings.state)
        self._actions = Spool(settings.state / "audit")

    def up(self, report: progress.Report) -> Started:
        """Bring everything up, doing only what isn't done yet.

        Raises
        ------
        OperationError
            Saying what is in the way and how to clear it.
        """
        self._bring_along(report)
        with self._exclusively("up"):
            if not self._applied.exists():
                with progress.timed(report, "Terraform") as detail:
                    detail.append(terraform_program.find().version)
            with progress.timed(report, "Emulator's packages"):
                emulator.install()
            with progress.timed(report, "Function zips"):
                built = zips.build("local", self.settings.state / "build", report)
            with progress.timed(report, "Postgres") as detail:
                url = self.settings.database_url
                if url:
                    detail.append("the server of DATABASE_URL")
                else:
                    url = postgres.start(self._postgres, self.settings.postgres_port)
                    detail.append(f"127.0.0.1:{self.settings.postgres_port}")
            lost_messages, current = self._start_emulator(report)
            wanted = self._fingerprint(built)
            up_to_date = current and self._applied.exists() and self._applied.read_text() == wanted
            if not (up_to_date and _digest_of_settings() == self._read(self._settings_written)):
                workspace = Workspace(target.resolve(ENV, self.settings.environment()))
                if not up_to_date:
                    self._check_idle("The emulator is to be restarted")
                    self._apply(workspace, report)
                settings_files.write(ENV, workspace.outputs(), self.settings.environment())
                self._settings_written.write_text(_digest_of_settings() or "")
            here = deployment.load(ENV)
            with progress.timed(report, "Demo users") as detail:
                subs = {name: test_users.ensure_test_user(here, name) for name in DEMO_USERS}
                detail.append(", ".join(DEMO_USERS))
            with progress.timed(report, "Database") as detail:
                applied = migrations.migrate(url, None)
                migrations.seed(url, subs, relink=True)
                databases.keep_operator_url(here, url)
                databases.ensure_login(here, url)
                detail.append(f"{len(applied.names)} migrations applied")
            if not up_to_date:
                with progress.timed(report, "Save the state"):
                    # The emulator saves when it stops; killed later, it comes back with all of
                    # this, and its users are the same
                    self.emulator.stop()
                    self.emulator.start()
                self._applied.write_text(wanted)
            with progress.timed(report, "Console") as detail:
                self._start_console()
                detail.append(f"http://127.0.0.1:{self.settings.console_port}")
            return Started(here, lost_messages)

    def down(self, report: progress.Report) -> bool:
        """Stop everything, keeping its state; return whether anything ran."""
        ran = self._bring_along(report)
        if not (
            state_folder.exists(self.settings.state) and state_folder.is_ours(self.settings.state)
        ):
            return ran
        with self._exclusively("down"):
            return self._stop(report) or ran

    def reset(self, report: progress.Report) -> None:
        """Stop everything and delete all that is in it.

        Raises
        ------
        OperationError
            If the state folder holds what is not the local system's.
        """
        state_folder.check(self.settings.state)
        with self._exclusively("reset"):
            self._stop(report)
            state_folder.delete(self.settings.state)
        for path in (deployment.settings_file(ENV), settings_files.front_end_file(ENV)):
            path.unlink(missing_ok=True)

    def _stop(self, report: progress.Report) -> bool:
        ran = self._console.pid() is not None
        if ran:
            with progress.timed(report, "Stop the console") as detail:
                if running := self._actions.running():
                    detail.append(f"cut off {', '.join(running)}")
                self._console.stop(seconds=5)
        if self.emulator.pid() is not None:
            ran = True
            with progress.timed(report, "Stop the emulator") as detail:
                detail.append("state saved" if self.emulator.stop() else "killed: it did not end")
        if postgres.status(self._postgres).running:
            ran = True
            with progress.timed(report, "Stop Postgres"):
                postgres.stop(self._postgres)
        return ran

    def _bring_along(self, report: progress.Report) -> bool:
        """Stop and move what an older version kept beside other environments' state.

        Returns
        -------
        bool
            Whether anything of it ran.
        """
        root = self.settings.state.parent
        if not state_folder.is_of_an_older_version(root):
            return False
        with progress.timed(report, "Move the state") as detail:
            ran = Stack(replace(self.settings, state=root))._stop(report)
            state_folder.move(root, self.settings.state)
            detail.append(str(self.settings.state))
        return ran

    def _start_console(self) -> None:
        """Start the console unless it runs: a restart would end what operators do in it.

        One whose code, packages or settings have changed is restarted once nothing runs in it.
        """
        code = self._fingerprint_of_console()
        if (
            self._console.pid() is not None
            and self._read(self._console_code) == code
            and serve.is_ready(self.settings.console_port)
        ):
            return
        if self._console.pid() is not None:
            self._check_idle("All is up, but the console runs on with its old code")
        self._console.stop(seconds=5)
        if is_listening(self.settings.console_port):
            raise OperationError(
                f"Port {self.settings.console_port} is taken by another program; all but the "
                "console is up.",
                "Stop that program, or choose another port: `make up CONSOLE_PORT=8502`.",
            )
        environment = {
            name: value for name, value in os.environ.items() if name != "CONSOLE_ADDRESS"
        }
        self._console.start(
            [sys.executable, "-m", "console.serve"],
            environment
            | {"CONSOLE_PORT": str(self.settings.console_port), "PYTHONPATH": str(ROOT)},
        )
        self._console.wait_until(lambda: serve.is_ready(self.settings.console_port), 60)
        self._console_code.write_text(code)

    def _check_idle(self, what: str) -> None:
        """Raise OperationError while an operator's action runs, which would be cut off."""
        if running := self._actions.running():
            raise OperationError(
                f"{what}: {len(running)} running, {', '.join(running)}.",
                "Run `make up` again when it has ended, or `make down up` to cut it off.",
            )

    def _start_emulator(self, report: progress.Report) -> tuple[bool, bool]:
        """Start it unless it runs.

        Returns
        -------
        tuple of bool
            Whether it had been killed, and whether its resources are those of the last apply.
        """
        if self.emulator.is_running():
            return False, True
        half_finished = not self._applied.exists()
        killed = not half_finished and not self.emulator.state_was_saved()
        with progress.timed(report, "Emulator") as detail:
            self.emulator.stop()
            if half_finished:
                self._empty_emulator()
            self.emulator.start()
            detail.append(self.settings.endpoint)
        return killed, not killed and not half_finished

    def _empty_emulator(self) -> None:
        """Delete what a first start left half-made: nothing of anyone's is in it yet."""
        for name in ("aws", "s3"):
            shutil.rmtree(self.settings.state / name, ignore_errors=True)

    def _apply(self, workspace: Workspace, report: progress.Report) -> None:
        """Apply; a first apply that the emulator failed begins again, once, with an empty one."""
        try:
            self._apply_once(workspace, report)
        except OperationError as error:
            if self._applied.exists() or "https response error" not in error.message:
                raise
            with progress.timed(report, "Begin again") as detail:
                detail.append("the emulator failed a call, and holds nothing yet")
                self.emulator.stop()
                self._empty_emulator()
                self.emulator.start()
            self._apply_once(workspace, report)

    def _apply_once(self, workspace: Workspace, report: progress.Report) -> None:
        with progress.timed(report, "Terraform init"):
            workspace.bootstrap()
            _make_hosted_zone(workspace)
            _remove_stale_lock(workspace)
            workspace.init()
        with workspace.planned(report) as plan:
            if not plan.empty:
                infrastructure.apply(workspace, plan, report)

    def _fingerprint(self, built: list[Path]) -> str:
        sources = [
            path
            for path in DIRECTORY.rglob("*")
            if path.suffix in {".tf", ".tfvars", ".jpg", ".hcl"} and ".terraform" not in path.parts
        ]
        ports = f"{self.settings.console_port} {self.settings.demo_port}"
        place = f"{self.settings.endpoint} {ports}"
        digest = hashlib.sha256(place.encode())
        for path in [*sorted(sources), *built]:
            digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    def _fingerprint_of_console(self) -> str:
        sources = [*(ROOT / "console").rglob("*.py"), *(ROOT / "migrations").rglob("*.py")]
        others = [ROOT / "requirements/product.txt", deployment.settings_file(ENV)]
        place = f"{sys.version} {self.settings.console_port} {os.environ.get('DATABASE_URL')}"
        digest = hashlib.sha256(place.encode())
        for path in [*sorted(sources), *others]:
            digest.update(path.name.encode() + hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()

    @staticmethod
    def _read(file: Path) -> str | None:
        return file.read_text() if file.exists() else None

    def _exclusively(self, command: str) -> contextlib.AbstractContextManager[None]:
        return state_folder.held(self.settings.state, f"make {command}")


def _digest_of_settings() -> str | None:
    """Return the digest of the settings files as they are, or None where one is missing."""
    files = (deployment.settings_file(ENV), settings_files.front_end_file(ENV))
    if not all(file.exists() for file in files):
        return None
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _make_hosted_zone(workspace: Workspace) -> None:
    """Make the hosted zone that an account with a domain already has."""
    route53 = workspace.client("route53")
    with aws_errors("make the hosted zone"):
        zones = route53.list_hosted_zones_by_name(DNSName=HOSTED_ZONE)["HostedZones"]
        if not any(zone["Name"] == f"{HOSTED_ZONE}." for zone in zones):
            route53.create_hosted_zone(Name=HOSTED_ZONE, CallerReference=HOSTED_ZONE)


def _remove_stale_lock(workspace: Workspace) -> None:
    """Remove the state's lock: nobody else works here, so whoever held it was killed."""
    s3, bucket = workspace.client("s3"), workspace.state_bucket
    try:
        s3.delete_object(Bucket=bucket, Key=f"{workspace.state_key}.tflock")
    except ClientError as error:
        raise OperationError(
            f"The state's lock can't be removed: {json.dumps(error.response['Error'])}",
            "Run `make reset up`.",
        ) from error
