"""A background process known by its pid file, which survives the command that started it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import psutil

from console.operations.errors import OperationError


class BackgroundProcess:
    """A process that goes on when the command that started it ends.

    Parameters
    ----------
    name
        What operators call it.
    directory
        Holds ``<name>.pid`` and ``<name>.log``.
    """

    def __init__(self, name: str, directory: Path) -> None:
        self.name = name
        self.log = directory / f"{name}.log"
        self._pid_file = directory / f"{name}.pid"

    def pid(self) -> int | None:
        """Return the pid of the running process, or None."""
        process = self._process()
        return process.pid if process else None

    def start(self, command: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start it, detached, its output going to the log."""
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            started = subprocess.Popen(
                command,
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                cwd=self.log.parent,
            )
        # With its start, so that another process with a recycled pid is not taken for it
        self._pid_file.write_text(f"{started.pid} {_start(psutil.Process(started.pid))}")

    def wait_until(self, ready: Callable[[], bool], seconds: float) -> None:
        """Wait for the condition.

        Raises
        ------
        OperationError
            If the process ends or the time is over before.
        """
        deadline = time.monotonic() + seconds
        while not ready():
            if self._process() is None:
                raise OperationError(
                    f"The {self.name} stopped while starting: {self._last_line()}",
                    f"Read {self.log}, then run `make up` again.",
                )
            if time.monotonic() > deadline:
                raise OperationError(
                    f"The {self.name} did not become ready within {seconds:.0f} s.",
                    f"Read {self.log}, then run `make down up`.",
                )
            time.sleep(0.1)

    def stop(self, seconds: float = 30) -> bool:
        """Ask it to end (SIGTERM) and wait; kill its group if it doesn't.

        Returns
        -------
        bool
            Whether it ended by itself, so that it could save its state.
        """
        process = self._process()
        if process is None:
            self._pid_file.unlink(missing_ok=True)
            return False
        try:
            process.terminate()
        except psutil.AccessDenied:
            raise OperationError(
                f"The {self.name} (process {process.pid}) is another account's.",
                "Stop it as that account, or as root.",
            ) from None
        try:
            process.wait(seconds)
            graceful = True
        except psutil.TimeoutExpired:
            graceful = False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        self._pid_file.unlink(missing_ok=True)
        return graceful

    def _process(self) -> psutil.Process | None:
        try:
            pid, start = self._pid_file.read_text().split()
            process = psutil.Process(int(pid))
            # The second form is what the version before wrote everywhere
            same = start in {_start(process), str(process.create_time())}
            alive = same and process.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        return process if alive else None

    def _last_line(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "it wrote nothing"


def _start(process: psutil.Process) -> str:
    """Return what tells a process from all others of its pid, whatever happens to the clock.

    On Linux psutil's time of creation follows the clock's steps; the boot and the ticks since
    then don't.
    """
    if not psutil.LINUX:
        return str(process.create_time())
    try:
        stat = Path(f"/proc/{process.pid}/stat").read_text()
    except FileNotFoundError:
        raise psutil.NoSuchProcess(process.pid) from None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot}:{stat.rpartition(')')[2].split()[19]}"
