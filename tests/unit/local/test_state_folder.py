"""The state folder: ours or refused, and used by one command at a time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from console.operations import progress
from console.operations.errors import OperationError
from local import state_folder
from local.settings import LocalSettings
from local.stack import Stack


def stack(state: Path) -> Stack:
    return Stack(LocalSettings(state, 1, 2, 3, ""))


@pytest.mark.parametrize(
    "names",
    [
        ["thesis.txt"],
        ["build", "tmp"],  # names that a state folder has too, but without its lock
        ["up.lock", "applied", "aws", "thesis.txt"],
    ],
)
def test_a_folder_of_someone_elses_is_never_deleted(tmp_path: Path, names: list[str]) -> None:
    state = tmp_path / "state"
    state.mkdir()
    for name in names:
        (state / name).touch()
    with pytest.raises(OperationError, match="not a state folder of Avatar Ops") as caught:
        stack(state).reset(progress.ignore)
    assert "AVATAR_OPS_STATE" in caught.value.remedy
    assert sorted(path.name for path in state.iterdir()) == sorted(names)


def test_nothing_is_brought_up_among_files_of_someone_elses(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(OperationError, match=r"it holds thesis\.txt"):
        stack(tmp_path).up(progress.ignore)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize(
    "names",
    [
        [],
        [state_folder.MARKER, "whatever"],
        ["up.lock", "aws", "postgres"],  # a first start of the version before, half-finished
        ["up.lock", "applied", "emulator.log", "console.pid", "terraform", "build", "tmp"],
    ],
)
def test_a_folder_of_ours_is_deleted_that_of_the_version_before_too(
    tmp_path: Path, names: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    state = tmp_path / "state"
    state.mkdir()
    for name in names:
        (state / name).touch()
    stack(state).reset(progress.ignore)
    assert not state.exists()


@pytest.mark.parametrize("command", ["up", "down", "reset"])
def test_one_command_at_a_time_and_the_other_is_named(tmp_path: Path, command: str) -> None:
    state = tmp_path / "state"
    other = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import pathlib, sys; from local import state_folder\n"
            "with state_folder.held(pathlib.Path(sys.argv[1]), 'make up'):\n"
            "    print('held', flush=True); sys.stdin.read()",
            str(state),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(OperationError, match=rf"`make up` \(process {other.pid}\) is at work"):
            getattr(stack(state), command)(progress.ignore)
        assert state.exists()
    finally:
        other.communicate("")
    assert not stack(state).down(progress.ignore)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become an account without rights")
def test_a_folder_that_cant_be_written_to_is_named(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o755)
    code = (
        "import os, pathlib, sys; from local import state_folder; os.setuid(65534)\n"
        "with state_folder.held(pathlib.Path(sys.argv[1]), 'make up'): pass"
    )
    for parent in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        parent.chmod(0o755)
    done = subprocess.run(
        [sys.executable, "-c", code, str(state)], capture_output=True, text=True, check=False
    )
    assert "in the state folder, can't be used: Permission denied" in done.stderr


def test_a_state_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.touch()
    with pytest.raises(OperationError, match="can't be used: File exists"):
        stack(state).up(progress.ignore)
