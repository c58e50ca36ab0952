"""Audit entries that wait for the database: one file each, so that one can't hold up another.

A file is complete or absent, as it gets its name only when it is written; nobody needs a lock, and
inserting an entry twice is harmless.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
import uuid
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path


class Spool:
    """The folder of waiting entries, and of the processes that write them.

    Parameters
    ----------
    folder
        Holds ``waiting/``, ``quarantine/`` and ``processes/``; made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, text: str) -> None:
        """Keep an entry.

        Raises
        ------
        OSError
            If it can't be written, as on a full disk.
        """
        waiting = self._folder / "waiting"
        waiting.mkdir(parents=True, exist_ok=True)
        name = f"{time.time_ns():020d}-{uuid.uuid4().hex[:8]}"
        unfinished = waiting / f"{name}.part"
        try:
            unfinished.write_text(text)
            unfinished.rename(waiting / f"{name}.json")
        except OSError:
            with contextlib.suppress(OSError):
                unfinished.unlink(missing_ok=True)
            raise

    def take_over(self, lines: Path) -> None:
        """Keep each line of a file as an entry of its own: so older versions let them wait."""
        mine = lines.with_suffix(f".{uuid.uuid4().hex}")
        with contextlib.suppress(OSError):  # mostly there is none
            lines.rename(mine)
            try:
                for line in mine.read_text(errors="backslashreplace").splitlines():
                    self.put(line)
            except OSError:
                mine.rename(lines)  # once more later; an entry that is there twice is recorded once
            else:
                mine.unlink()

    def waiting(self) -> list[Path]:
        """Return the waiting entries' files, oldest first."""
        return sorted((self._folder / "waiting").glob("*.json"))

    def quarantined(self) -> list[Path]:
        """Return the files that hold no entry."""
        return sorted((self._folder / "quarantine").glob("*.json"))

    def quarantine(self, path: Path) -> None:
        """Set aside a file that can never become an entry."""
        aside = self._folder / "quarantine"
        aside.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process was quicker
            path.rename(aside / path.name)

    def enter(self, owner: object, running: Mapping[str, object]) -> str:
        """Say that this process is alive until it ends, however it ends; return its name.

        Parameters
        ----------
        owner
            As long as it exists, the process counts as alive.
        running
            Its actions that run, by their keys. A process that ends with some leaves its file.
        """
        processes = self._folder / "processes"
        processes.mkdir(parents=True, exist_ok=True)
        name = uuid.uuid4().hex
        unlocked = processes / f"{name}.part"
        handle = os.open(unlocked, os.O_CREAT | os.O_RDWR, 0o600)
        fcntl.flock(handle, fcntl.LOCK_EX)
        path = unlocked.rename(processes / name)
        weakref.finalize(owner, _leave, handle, path, running)
        return name

    def note(self, name: str, running: Mapping[str, object]) -> None:
        """Let other processes know what runs in this one."""
        with contextlib.suppress(OSError):  # on a full disk, they are not warned
            (self._folder / "processes" / name).write_text("\n".join(map(str, running.values())))

    def running(self) -> list[str]:
        """Return the actions that run in living processes of this machine."""
        found: list[str] = []
        for path in sorted((self._folder / "processes").glob("*")):
            if not path.suffix and self.is_alive(path.name):
                with contextlib.suppress(OSError):  # it has just ended
                    found += path.read_text(errors="replace").splitlines()
        return found

    def is_alive(self, name: str) -> bool | None:
        """Say whether that process runs; None if it is not one of this machine's."""
        try:
            handle = os.open(self._folder / "processes" / name, os.O_RDWR)
        except OSError:
            return None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(handle)
        return False

    def dead(self) -> Iterator[str]:
        """Yield the names of processes that ended while an action ran."""
        processes = self._folder / "processes"
        for path in sorted(processes.glob("*")) if processes.exists() else ():
            if not path.suffix and self.is_alive(path.name) is False:
                yield path.name

    def remove(self, name: str) -> None:
        """Remove the file of a process that has ended."""
        (self._folder / "processes" / name).unlink(missing_ok=True)


def _leave(handle: int, path: Path, running: Mapping[str, object]) -> None:
    if not running:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
    os.close(handle)
