"""The folder of all that outlives a command: made by us, marked, used by one command at a time."""

from __future__ import annotations

import contextlib
import fcntl
import fnmatch
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from console.operations.errors import OperationError

MARKER = "avatar-ops-state"
_LOCK = "up.lock"
# What commands leave in a folder that nothing has marked yet
_UNMARKED = (
    "applied", "audit", "audit-waiting*.jsonl", "aws", "build", "console.*", "emulator.*",
    "postgres", "s3", "terraform", "tmp", _LOCK,
)  # fmt: skip


@contextlib.contextmanager
def held(directory: Path, command: str) -> Iterator[None]:
    """Make the folder, mark it as ours, and keep other commands out of it meanwhile.

    Parameters
    ----------
    command
        Who holds it, for the message of those who are kept out.

    Raises
    ------
    OperationError
        If another command works in it, it isn't ours, or it can't be written to.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
        check(directory)
        with (directory / _LOCK).open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                lock.seek(0)
                raise OperationError(
                    f"{lock.read() or 'Another command'} is at work in {directory}.",
                    "Wait until it has finished.",
                ) from error
            if not (directory / _LOCK).exists():  # `reset` has deleted it meanwhile
                raise OperationError("`make reset` is at work here.", "Wait until it has finished.")
            lock.truncate(0)
            lock.write(f"`{command}` (process {os.getpid()})")
            lock.flush()
            (directory / MARKER).touch()
            yield
    except OSError as error:
        if error.filename is None or not str(error.filename).startswith(str(directory)):
            raise
        raise OperationError(
            f"{error.filename}, in the state folder, can't be used: {error.strerror}.",
            "Make it yours to write to, or set AVATAR_OPS_STATE to another folder.",
        ) from error


def check(directory: Path, *, marked: bool = False) -> None:
    """Refuse a folder that holds anything and was not made by us.

    Parameters
    ----------
    marked
        Whether the names alone don't make it ours.

    Raises
    ------
    OperationError
        Naming something that the folder holds.
    """
    names = sorted(path.name for path in directory.iterdir())
    unknown = [
        name for name in names if not any(fnmatch.fnmatch(name, known) for known in _UNMARKED)
    ]
    # The version before left its lock, and no marker
    by_names = not unknown and (not marked or not names or _LOCK in names)
    if MARKER not in names and not by_names:
        raise OperationError(
            f"{directory} is not a state folder of Avatar Ops: it holds {(unknown or names)[0]}.",
            "Set AVATAR_OPS_STATE to a folder that is empty or doesn't exist yet.",
        )


def delete(directory: Path) -> None:
    """Delete the folder with all that is in it, if it is ours.

    Raises
    ------
    OperationError
        If it isn't, or something can't be deleted.
    """
    check(directory, marked=True)
    try:
        shutil.rmtree(directory)
    except OSError as error:
        raise OperationError(
            f"{error.filename} can't be deleted: {error.strerror}.",
            "Delete it by hand, as the account that owns it.",
        ) from error
