"""The folder of all that outlives a command: made by us, marked, used by one command at a time."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import fnmatch
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from console.operations.errors import OperationError

MARKER = "avatar-ops-state"
_LOCK = "up.lock"
# All that the version before made in it: its lock was the only mark
_BEFORE = {
    "applied", "aws", "build", "console.log", "console.pid", "emulator.log", "emulator.pid",
    "emulator.saved", "postgres", "s3", "terraform", "tmp", _LOCK,
}  # fmt: skip
_REMEDIES = {
    errno.ENOSPC: "Free some space, then run the command again.",
    errno.EDQUOT: "Free some space, then run the command again.",
}


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
    with _errors_named(directory):
        directory.mkdir(parents=True, exist_ok=True)
        check(directory, empty=True)
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


@contextlib.contextmanager
def _errors_named(directory: Path) -> Iterator[None]:
    """Say of an error of the system in the folder what it is about, and what to do."""
    try:
        yield
    except OSError as error:
        place = Path(error.filename or directory)
        denied = (PermissionError, FileExistsError, NotADirectoryError)
        usual = error.errno in {*_REMEDIES, errno.EROFS} or isinstance(error, denied)
        if not usual or not (place.is_relative_to(directory) or directory.is_relative_to(place)):
            raise
        raise OperationError(
            f"The state folder can't be used: {place}: {error.strerror}.",
            _REMEDIES.get(
                error.errno or 0,
                "Make it yours to write to, or set AVATAR_OPS_STATE to another folder.",
            ),
        ) from error


def exists(directory: Path) -> bool:
    """Say whether the folder is there for this account."""
    return os.path.isdir(directory)  # noqa: PTH112 - Path.is_dir raises where a parent is closed


def is_ours(directory: Path) -> bool:
    """Say whether this version or the one before has brought up a local system in the folder."""
    with _errors_named(directory):
        names = {path.name for path in directory.iterdir()}
    waiting = {name for name in names if fnmatch.fnmatch(name, "audit-waiting*.jsonl")}
    return MARKER in names or (_LOCK in names and names <= _BEFORE | waiting | {"audit"})


def is_of_an_older_version(root: Path) -> bool:
    """Say whether an older version kept the local system's state in the folder of all of them."""
    return os.path.exists(root / _LOCK)  # noqa: PTH110 - Path.exists raises in a closed folder


def move(root: Path, directory: Path) -> None:
    """Move the state that an older version kept in `root`, marking its new folder as ours.

    A move that broke off is finished by the next one.
    """
    with _errors_named(directory):
        directory.mkdir(exist_ok=True)
        (directory / MARKER).touch()
        for name in sorted(_BEFORE - {_LOCK, "terraform"}):  # each environment has its own there
            if (root / name).exists() and not (directory / name).exists():
                (root / name).rename(directory / name)
        (root / MARKER).unlink(missing_ok=True)
        (root / _LOCK).unlink()


def check(directory: Path, *, empty: bool = False) -> None:
    """Refuse a folder of someone else's.

    Parameters
    ----------
    empty
        Whether one will do that isn't ours yet: empty, but for what building and planning leave.

    Raises
    ------
    OperationError
        Naming something that the folder holds.
    """
    with _errors_named(directory):
        others = sorted(path for path in directory.iterdir() if not (empty and _is_cache(path)))
    if others and not is_ours(directory):
        raise OperationError(
            f"{directory} is not a state folder of Avatar Ops: it holds {others[0].name}.",
            "Set AVATAR_OPS_STATE to a folder that is empty or doesn't exist yet.",
        )


def _is_cache(path: Path) -> bool:
    """Say whether `make build` or `make plan` has made it."""
    if path.name == "build" and path.is_dir():
        return all(file.suffix in {".zip", ".sources", ".partial"} for file in path.iterdir())
    if path.name == "terraform" and path.is_dir():
        return all((folder / "initialised.json").exists() for folder in path.iterdir())
    return path.name == "audit" or fnmatch.fnmatch(path.name, "audit-waiting*.jsonl")


def delete(directory: Path) -> None:
    """Delete the folder with all that is in it, if it is ours.

    Raises
    ------
    OperationError
        If it isn't, or something can't be deleted.
    """
    check(directory)
    try:
        shutil.rmtree(directory)
    except OSError as error:
        raise OperationError(
            f"{error.filename} can't be deleted: {error.strerror}.",
            "Delete it by hand, as the account that owns it.",
        ) from error
