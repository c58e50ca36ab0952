"""The state folder: ours or refused, and used by one command at a time."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from console.operations import progress
from console.operations.errors import OperationError
from local import state_folder
from local.settings import ROOT, LocalSettings
from local.stack import Stack


def stack(state: Path) -> Stack:
    return Stack(LocalSettings(state, 1, 2, 3, ""))


@pytest.mark.parametrize(
    "names",
    [
        ["thesis.txt"],
        ["build", "tmp"],  # names that a state folder has too, but without its lock
        ["up.lock", "build", "src"],
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


@pytest.mark.parametrize("command", ["down", "up"])
def test_no_command_makes_a_folder_of_someone_elses_ours(tmp_path: Path, command: str) -> None:
    (tmp_path / "build").mkdir()
    (tmp_path / "build" / "main.o").touch()
    with contextlib.suppress(OperationError):
        getattr(stack(tmp_path), command)(progress.ignore)
    with pytest.raises(OperationError, match="it holds build"):
        stack(tmp_path).reset(progress.ignore)
    assert (tmp_path / "build" / "main.o").exists()


def test_what_a_build_and_a_plan_left_is_in_nobodys_way(tmp_path: Path) -> None:
    for name in ("build/resize.zip", "terraform/prod/initialised.json", "audit-waiting-x.jsonl"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    with state_folder.held(tmp_path, "make up"):
        assert state_folder.is_ours(tmp_path)


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
@pytest.mark.parametrize("place", ["state", "closed/state", "state/deep/er"])
def test_a_folder_that_cant_be_written_to_is_named(open_folder: Path, place: str) -> None:
    (open_folder / "state").mkdir(mode=0o755)
    (open_folder / "closed").mkdir(mode=0o700)
    code = (
        "import os, pathlib, sys; from local import state_folder; os.setuid(65534)\n"
        "state = pathlib.Path(sys.argv[1])\n"
        "print(state_folder.exists(state))\n"
        "with state_folder.held(state, 'make up'): pass"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(open_folder / place)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [str(place == "state")]
    assert "OperationError: The state folder can't be used" in done.stderr
    assert "Permission denied" in done.stderr


def test_a_state_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.touch()
    with pytest.raises(OperationError, match=r"can't be used.*File exists"):
        stack(state).up(progress.ignore)


def reset(folder: Path) -> subprocess.CompletedProcess[str]:
    places = {"AVATAR_OPS_STATE": str(folder / "state"), "AVATAR_OPS_ENV_DIR": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", "local", "reset"],
        cwd=ROOT,
        env={**os.environ, **places, "YES": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_reset_of_the_local_system_leaves_what_other_environments_keep(tmp_path: Path) -> None:
    kept = ["prod/audit/waiting/1.json", "prod/terraform/initialised.json"]
    for name in (f"local/{state_folder.MARKER}", "local/audit/waiting/1.json", *kept):
        (tmp_path / "state" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "state" / name).touch()
    done = reset(tmp_path)
    assert done.returncode == 0, done.stderr
    left = [path for path in (tmp_path / "state").rglob("*") if path.is_file()]
    assert sorted(str(path.relative_to(tmp_path / "state")) for path in left) == kept


def test_what_an_older_version_left_is_not_taken_for_nothing(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state/up.lock").touch()
    done = reset(tmp_path)
    assert done.returncode == 1
    assert "make down" in done.stderr
