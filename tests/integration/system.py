"""A whole system for the tests: its own ports, its own folder, gone afterwards."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TypeVar

import numpy as np
import psutil
from PIL import Image

from console.operations.environments import deployment, target
from console.operations.environments.deployment import ROOT, Deployment
from console.operations.environments.target import Target
from console.operations.uploads import outcomes

T = TypeVar("T")
NOWHERE = Target("local", "", "", None, Path("nowhere"))
"""For operations that only say where they are at work."""
ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(look: Callable[[], T], what: str, seconds: float = 60) -> T:
    """Return what `look` returns once it is true.

    Raises
    ------
    AssertionError
        If it doesn't become true in time.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.1)
    return found


def picture(seed: int = 0, size: tuple[int, int] = (640, 480), image_format: str = "JPEG") -> bytes:
    """Return a smooth random picture, encoded; the same seed gives the same bytes."""
    small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(small).resize(size, Image.Resampling.BICUBIC).save(
        stream, image_format, quality=90
    )
    return stream.getvalue()


def unattended(
    words: list[str], env: dict[str, str], cwd: Path = ROOT, seconds: float = 300
) -> tuple[int, str]:
    """Run a program that nobody is there to answer; return its status and all that it says."""
    done = subprocess.run(
        words,
        env=env,
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    return done.returncode, ANSI.sub("", done.stdout)


@dataclass
class Webhook:
    """An HTTP receiver that confirms its subscription and keeps what it is told."""

    received: list[dict[str, object]] = field(default_factory=list)
    port: int = 0

    def __post_init__(self) -> None:
        received = self.received

        class Receiver(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(200)
                self.end_headers()
                if message["Type"] == "SubscriptionConfirmation":
                    urllib.request.urlopen(message["SubscribeURL"], timeout=10).close()
                received.append(message)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


class System:
    """What `make up` makes, in a folder of its own."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="avatar-ops-test-"))
        self.aws_port = free_port()
        self.postgres_port = free_port()
        self.console_port = free_port()
        self.demo_port = free_port()
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("AWS_")},
            "AVATAR_OPS_STATE": str(self.directory / "state"),
            "AVATAR_OPS_ENV_DIR": str(self.directory),
            "AWS_PORT": str(self.aws_port),
            "POSTGRES_PORT": str(self.postgres_port),
            "CONSOLE_PORT": str(self.console_port),
            "DEMO_PORT": str(self.demo_port),
            "COLUMNS": "200",
            "EMULATOR_APP": f"{ROOT}/tests/strict_aws/app.py:app",
        }

    def make(
        self, *arguments: str, status: int = 0, env: str = "local", seconds: float = 400
    ) -> str:
        """Run make, check its exit status and return all it printed."""
        words = [str(shutil.which("make")), *arguments, f"ENV={env}"]
        ended, output = unattended(words, self.environment, seconds=seconds)
        assert (ended != 0) == bool(status), output
        assert "Traceback" not in output or "logs" in arguments
        return output

    def up(self) -> str:
        """Bring it up."""
        return self.make("up")

    def deployment(self, env: str = "local") -> Deployment:
        """Return what operations work on."""
        self._enter()
        return deployment.load(env)

    def target(self, env: str = "local") -> Target:
        """Return the environment, resolved."""
        self._enter()
        return target.resolve(env)

    def _enter(self) -> None:
        for name in ("AVATAR_OPS_ENV_DIR", "AVATAR_OPS_STATE", "CONSOLE_PORT", "DEMO_PORT"):
            os.environ[name] = self.environment[name]

    def built(self, function: str) -> bytes:
        """Return the zip that a function was made of."""
        return (self.directory / f"state/local/build/{function}.zip").read_bytes()

    def emulator(self) -> psutil.Process:
        """Return the emulator's process."""
        pid = (self.directory / "state/local/emulator.pid").read_text().split()[0]
        return psutil.Process(int(pid))

    def close(self) -> None:
        """Stop it and delete it; nothing of it may be left."""
        self.make("down")
        ours = psutil.Process()  # whose children have its settings, as multiprocessing's tracker
        its = [
            process
            for process in psutil.process_iter(["cmdline", "environ"])
            if str(self.directory) in str((process.info["environ"] or {}).values())
            and process not in (ours, *ours.children(recursive=True))
        ]
        _, left = psutil.wait_procs(its, timeout=10)  # a worker ends with the emulator's pipe
        shutil.rmtree(self.directory)
        assert not left, f"processes left behind: {[process.info['cmdline'] for process in left]}"


@contextmanager
def started() -> Iterator[System]:
    """A system that runs, until it is no longer needed."""
    running = System()
    try:
        running.up()
        yield running
    finally:
        running.close()


def alive(process: psutil.Process) -> bool:
    """Say whether a process runs: what nobody has waited for yet stays as a zombie."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for_version(here: Deployment, name: str, version: str, seconds: float = 60) -> None:
    """Wait until the stable avatar shows that upload."""
    wait_until(
        lambda: outcomes.shown_version(here, name) == version,
        f"avatar {name} showing {version}",
        seconds,
    )
