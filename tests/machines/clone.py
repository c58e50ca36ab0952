"""A clone of the checkout on a machine of its own kind: place, account, environment."""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from local.settings import ROOT
from tests.integration.system import ANSI, free_port, picture

ACCOUNT = "avatar-ops-guest"
# The environment of a login; what a clone's environment adds stands over it
_LOGIN = ("PATH", "LANG", "TF_PLUGIN_DIR", "PIP_CERT", "SSL_CERT_FILE")


@dataclass
class Clone:
    """The files that git knows, copied, with no environment made and nothing started.

    Attributes
    ----------
    directory
        Where it lies.
    account
        Who works there: a name, or None for who runs the tests.
    environment
        What the account's shell exports.
    ports
        AWS, Postgres and the console.
    """

    directory: Path
    account: str | None = None
    environment: dict[str, str] = field(default_factory=dict)
    ports: tuple[int, int, int] = field(
        default_factory=lambda: (free_port(), free_port(), free_port())
    )

    def __post_init__(self) -> None:
        copy_sources(self.directory)
        if self.account:
            entry = pwd.getpwnam(self.account)
            for folder, _, names in os.walk(self.directory):
                for path in (folder, *(os.path.join(folder, name) for name in names)):  # noqa: PTH118
                    os.chown(path, entry.pw_uid, entry.pw_gid, follow_symlinks=False)

    def start(self, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.Popen[str]:
        """Start make as the account."""
        entry = pwd.getpwnam(self.account) if self.account else None
        aws, postgres, console = self.ports
        environment = {name: os.environ[name] for name in _LOGIN if name in os.environ}
        environment |= {"HOME": entry.pw_dir if entry else os.environ.get("HOME", "/")}
        if entry:
            # root's tools may lie where only root may enter
            environment["PATH"] = ":".join(
                folder
                for folder in environment["PATH"].split(":")
                if not folder.startswith("/root")
            )
        environment |= self.environment
        return subprocess.Popen(
            [
                *prefix, str(shutil.which("make")), *arguments, f"AWS_PORT={aws}",
                f"POSTGRES_PORT={postgres}", f"CONSOLE_PORT={console}",
            ],
            cwd=self.directory,
            env={name: value for name, value in environment.items() if value},
            user=entry.pw_uid if entry else None,
            group=entry.pw_gid if entry else None,
            extra_groups=[] if entry else None,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )  # fmt: skip

    def make(self, *arguments: str, status: int = 0, seconds: float = 900) -> str:
        """Run make as the account, check how it ended, and return what it said."""
        process = self.start(*arguments)
        output, _ = process.communicate(timeout=seconds)
        output = ANSI.sub("", output)
        assert (process.returncode != 0) == bool(status), output
        assert "Traceback" not in output, output
        assert "defect in Avatar Ops" not in output, output
        return output

    def serve(self) -> float:
        """Bring it up, send a picture and look at the avatar; return the seconds until then."""
        began = time.monotonic()
        self.make("up")
        self.send()
        return time.monotonic() - began

    def send(self) -> None:
        """Send a picture and look at the avatar that comes of it."""
        file = self.directory / "a picture.jpg"
        file.write_bytes(picture(1))
        file.chmod(0o644)
        output = self.make("upload", f"FILE={file}")
        url = re.findall(r"http://\S+/avatars/\S+", output)[-1]
        done = subprocess.run(
            [sys.executable, "-c", _LOOK, url], capture_output=True, text=True, check=False
        )
        assert done.stdout.startswith("200 image/jpeg"), done.stdout + done.stderr

    def processes(self) -> list[psutil.Process]:
        """Return what runs from this clone."""
        return [
            process
            for process in psutil.process_iter(["pid", "cwd", "cmdline"])
            if str(self.directory) in " ".join(process.info["cmdline"] or [])
            or str(process.info["cwd"]).startswith(str(self.directory))
        ]

    def close(self) -> None:
        """Stop and delete it; nothing of it may go on."""
        with contextlib.suppress(AssertionError):
            self.make("reset", "YES=1")
        left = self.processes()
        for process in left:
            process.kill()
        shutil.rmtree(self.directory)
        assert not left, f"left behind: {left}"


# Debian's resolver knows only localhost itself, so the name goes into the request
_LOOK = """
import http.client, sys, urllib.parse
url = urllib.parse.urlsplit(sys.argv[1])
connection = http.client.HTTPConnection("127.0.0.1", url.port, timeout=30)
connection.request("GET", url.path, headers={"Host": url.netloc})
answer = connection.getresponse()
print(answer.status, answer.headers["Content-Type"])
"""


def copy_sources(directory: Path) -> None:
    """Copy what git knows or would know; without git, all but what is made."""
    directory.mkdir(parents=True, exist_ok=True)
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        made = shutil.ignore_patterns(".venv", ".local", "build", "__pycache__", ".env.*", ".git")
        shutil.copytree(ROOT, directory, ignore=made, dirs_exist_ok=True, symlinks=True)
        return
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).exists():
            (directory / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, directory / name, follow_symlinks=False)


@contextlib.contextmanager
def guest() -> Iterator[str]:
    """Make an ordinary account with a home, and remove both afterwards."""
    home = Path(tempfile.mkdtemp(prefix="avatar-ops-home-"))
    home.rmdir()
    name = f"{ACCOUNT}-{os.getpid()}"
    subprocess.run(["useradd", "--create-home", "--home-dir", str(home), name], check=True)
    try:
        yield name
    finally:
        subprocess.run(["userdel", "--remove", name], check=False, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)


def path_without_terraform(directory: Path) -> str:
    """Return a PATH on which every program is found but Terraform."""
    directory.mkdir(mode=0o755)
    for folder in reversed(os.environ["PATH"].split(":")):
        with contextlib.suppress(OSError):
            for program in Path(folder).iterdir():
                link = directory / program.name
                if program.name != "terraform":
                    link.unlink(missing_ok=True)
                    link.symlink_to(program)
    return str(directory)
