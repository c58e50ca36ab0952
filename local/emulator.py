"""The embedded AWS: ministack in a virtual environment of its own."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from pathlib import Path

from console.operations import web
from console.operations.errors import OperationError
from local import virtual_environment
from local.process import BackgroundProcess
from local.settings import CREDENTIALS, REGION, ROOT, LocalSettings, is_listening

VIRTUAL_ENVIRONMENT = ROOT / ".local/emulator"
MAIN = ROOT / "local/emulator_main.py"
REQUIREMENTS = ROOT / "requirements/emulator.txt"
# The emulator signs tokens with `cryptography`, but functions run on its interpreter and must
# not find a package that is missing from their zip: only its own process sees this folder.
SIGNING_DIRECTORY = VIRTUAL_ENVIRONMENT / "signing"
SIGNING_REQUIREMENTS = ROOT / "requirements/emulator-signing.txt"
# Longer than any client keeps a connection that idles, Terraform's 90 s among them: a server that
# closes first may close on a request that was just sent, and AddPermission can't be sent twice.
_KEEP_ALIVE_SECONDS = 3600
_READY_SECONDS = 60


class Emulator:
    """Start, stop and look at the emulator of one state folder."""

    def __init__(self, settings: LocalSettings) -> None:
        self._settings = settings
        self._process = BackgroundProcess("emulator", settings.state)
        self._saved = settings.state / "emulator.saved"

    @property
    def log(self) -> Path:
        """The emulator's own log."""
        return self._process.log

    def is_running(self) -> bool:
        """Say whether this state folder's emulator answers on its port."""
        return self._process.pid() is not None and self._is_healthy()

    def pid(self) -> int | None:
        """Return the pid of the emulator, or None."""
        return self._process.pid()

    def state_was_saved(self) -> bool:
        """Say whether the last stop was graceful, so that the saved state is the newest."""
        return self._saved.exists()

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises
        ------
        OperationError
            If the port is taken or it doesn't start.
        """
        if is_listening(self._settings.aws_port):
            raise OperationError(
                f"Port {self._settings.aws_port} is taken by another program.",
                "Stop that program, or choose another port: `make up AWS_PORT=4567`.",
            )
        state = self._settings.state
        (state / "aws").mkdir(parents=True, exist_ok=True)
        (state / "tmp").mkdir(exist_ok=True)
        self._saved.unlink(missing_ok=True)
        program = [
            str(VIRTUAL_ENVIRONMENT / "bin/python"), "-I", str(MAIN),
            str(SIGNING_DIRECTORY), self._settings.emulator, "--workers", "0",
            "--bind", f"127.0.0.1:{self._settings.aws_port}",
            "--keep-alive", str(_KEEP_ALIVE_SECONDS),
        ]  # fmt: skip
        # Functions inherit this environment: nothing in it that AWS would not give them
        self._process.start(
            program,
            {
                "PATH": os.environ.get("PATH", os.defpath),
                "HOME": str(state),
                "TMPDIR": str(state / "tmp"),
                "LANG": "C.UTF-8",
                "BIND_HOST": "127.0.0.1",
                "IOT_MTLS_ENABLED": "0",
                "SFTP_ENABLED": "0",
                "GATEWAY_PORT": str(self._settings.aws_port),
                "AWS_ENDPOINT_URL": self._settings.endpoint,
                "AUTH": "true",
                "MINISTACK_REGION": REGION,
                "PERSIST_STATE": "1",
                "STATE_DIR": str(state / "aws"),
                "S3_PERSIST": "1",
                "S3_DATA_DIR": str(state / "s3"),
                **CREDENTIALS,
            },
        )
        self._process.wait_until(self._is_healthy, _READY_SECONDS)

    def stop(self) -> bool:
        """Stop it gracefully; say whether it saved its state."""
        graceful = self._process.stop()
        if graceful:
            self._saved.touch()
        return graceful

    def _is_healthy(self) -> bool:
        try:
            health = f"http://127.0.0.1:{self._settings.aws_port}/_ministack/health"
            return web.request("GET", health).status == 200
        except OperationError:
            return False


def install() -> None:
    """Make the emulator's virtual environment, with nothing but boto3 beside it."""
    stamp = VIRTUAL_ENVIRONMENT / "requirements.json"
    wanted = json.dumps([REQUIREMENTS.read_text(), SIGNING_REQUIREMENTS.read_text(), sys.version])
    VIRTUAL_ENVIRONMENT.parent.mkdir(parents=True, exist_ok=True)
    with VIRTUAL_ENVIRONMENT.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # for another system of this checkout
        if stamp.exists() and stamp.read_text() == wanted:
            return
        uv("venv", "--quiet", "--clear", "--python", sys.executable, str(VIRTUAL_ENVIRONMENT))
        python = str(VIRTUAL_ENVIRONMENT / "bin/python")
        for requirements, target in (
            (REQUIREMENTS, []),
            (SIGNING_REQUIREMENTS, ["--target", str(SIGNING_DIRECTORY)]),
        ):
            uv(
                "pip", "install", "--quiet", "--python", python, *target,
                "--require-hashes", "--requirements", str(requirements),
            )  # fmt: skip
        stamp.write_text(wanted)


def uv(*arguments: str) -> None:
    """Run uv, the package installer that `make` put beside this interpreter.

    Raises
    ------
    OperationError
        With uv's own words if it fails.
    """
    command = Path(sys.executable).with_name("uv")
    done = subprocess.run([str(command), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise OperationError(
            f"Installing packages failed: {' '.join(lines)[:600]}",
            virtual_environment.remedy(
                done.stderr,
                "Check that the package index can be reached, then run the command again.",
            ),
        )
