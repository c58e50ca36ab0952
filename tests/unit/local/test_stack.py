"""What `up` does about a first apply that failed, a console that runs, an older version's state."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from console.operations import progress
from console.operations.audit.access import Actor
from console.operations.audit.audit import Audit
from console.operations.errors import OperationError
from console.operations.migrations import postgres_server as postgres
from local import stack, state_folder
from local.process import BackgroundProcess
from local.settings import LocalSettings
from local.stack import Stack
from tests.integration.system import free_port

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
LOST = "terraform apply failed: x: operation error Lambda: AddPermission, https response error …"


class Emulator:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def stop(self) -> bool:
        self.calls.append("stop")
        return True

    def start(self) -> None:
        self.calls.append("start")

    def pid(self) -> None:
        return None


@pytest.fixture
def first(tmp_path: Path) -> Stack:
    """A first start that has got as far as its apply."""
    made = Stack(LocalSettings(tmp_path, 1, 2, 3, ""))
    made.emulator = Emulator()  # type: ignore[assignment]
    for name in ("aws", "s3"):
        (tmp_path / name).mkdir()
    return made


def failing(first: Stack, monkeypatch: pytest.MonkeyPatch, *errors: str) -> list[str]:
    """Let each apply fail with an error, and those after them succeed; return what was left."""
    left = list(errors)

    def apply(*_: object) -> None:
        if left:
            raise OperationError(left.pop(0), "")

    monkeypatch.setattr(first, "_apply_once", apply)
    return left


def test_a_first_apply_that_the_emulator_failed_begins_again_and_says_so(
    first: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(first, monkeypatch, LOST)
    steps: list[str] = []
    first._apply(SimpleNamespace(), lambda event: steps.append(event.step))  # type: ignore[arg-type]
    assert "Begin again" in steps
    assert first.emulator.calls == ["stop", "start"]  # type: ignore[attr-defined]
    assert not (tmp_path / "aws").exists()
    assert not (tmp_path / "s3").exists()


def test_it_begins_again_once_only(first: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    left = failing(first, monkeypatch, LOST, LOST, LOST)
    with pytest.raises(OperationError, match="AddPermission"):
        first._apply(SimpleNamespace(), progress.ignore)  # type: ignore[arg-type]
    assert len(left) == 1


@pytest.mark.parametrize(("error", "applied"), [(LOST, True), ("x: Invalid value", False)])
def test_what_holds_something_or_would_fail_again_is_left_as_it_is(
    first: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: str, applied: bool
) -> None:
    if applied:
        (tmp_path / "applied").touch()
    failing(first, monkeypatch, error)
    with pytest.raises(OperationError):
        first._apply(SimpleNamespace(), progress.ignore)  # type: ignore[arg-type]
    assert first.emulator.calls == []  # type: ignore[attr-defined]
    assert (tmp_path / "s3").exists()


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_console_is_restarted_only_for_its_code_or_settings(
    first: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    settings = tmp_path / ".env.local"
    settings.write_text("API_URL=one\n")
    monkeypatch.setattr(stack.serve, "is_ready", lambda _: True)
    monkeypatch.setattr(stack, "is_listening", lambda _: False)
    console: Any = first._console
    start = console.start
    monkeypatch.setattr(console, "start", lambda *_: start(SLEEPER, os.environ))
    try:
        first._start_console()
        pid = console.pid()
        first._start_console()
        assert console.pid() == pid
        settings.write_text("API_URL=two\n")
        first._start_console()
        assert console.pid() not in {pid, None}
    finally:
        console.stop(seconds=5)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_a_console_in_which_an_action_runs_is_not_restarted(
    first: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    (tmp_path / ".env.local").write_text("API_URL=one\n")
    monkeypatch.setattr(stack.serve, "is_ready", lambda _: True)
    monkeypatch.setattr(stack, "is_listening", lambda _: False)
    console: Any = first._console
    start = console.start
    monkeypatch.setattr(console, "start", lambda *_: start(SLEEPER, os.environ))

    def no_database() -> str:
        raise OperationError("There is none.", "")

    audit = Audit("local", no_database, tmp_path / "audit")
    steps: list[progress.Event] = []
    running, go_on = threading.Event(), threading.Event()

    def work() -> None:
        running.set()
        assert go_on.wait(30)

    who = Actor("ada", may_operate=True)
    try:
        first._start_console()
        pid = console.pid()
        (tmp_path / ".env.local").write_text("API_URL=two\n")
        thread = threading.Thread(
            target=audit.perform, args=(who, "redrive", "all 3\nof them", "key", work)
        )
        thread.start()
        assert running.wait(30)
        with pytest.raises(OperationError, match="1 running, redrive: all 3 of them"):
            first._start_console()
        with pytest.raises(OperationError, match="1 running, redrive: all 3 of them"):
            first._check_idle("The emulator is to be restarted")
        assert console.pid() == pid
        go_on.set()
        thread.join(30)
        first._start_console()
        assert console.pid() not in {pid, None}
        audit._running["other"] = "migrate: up"
        audit._spool.note(audit._process, audit._running)
        first._stop(steps.append)
        del audit._running["other"]
        assert "cut off migrate: up" in [event.detail for event in steps]
    finally:
        go_on.set()
        console.stop(seconds=5)


@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
@pytest.mark.parametrize("broke_off", [False, True])
def test_what_an_older_version_runs_is_stopped_and_its_state_moved(
    tmp_path: Path, broke_off: bool
) -> None:
    root, state, port = tmp_path / "state", tmp_path / "state/local", free_port()
    for name in ("aws/users", "s3/kept.jpg", "applied", "up.lock", "terraform/prod/initialised"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("kept")
    console = BackgroundProcess("console", root)
    console.start(SLEEPER, dict(os.environ))
    with psycopg.connect(postgres.start(root / "postgres", port)) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS row")
    if broke_off:
        state.mkdir()
        (root / "aws").rename(state / "aws")

    made = Stack(LocalSettings(state, 1, 2, 3, ""))
    assert made.down(progress.ignore), "something ran"
    assert console.pid() is None
    assert sorted(path.name for path in root.iterdir()) == ["local", "terraform"]
    assert (root / "terraform/prod/initialised").exists(), "another environment's"
    for name in ("aws/users", "s3/kept.jpg", "applied"):
        assert (state / name).read_text() == "kept"
    with state_folder.held(state, "make up"):
        url = postgres.start(state / "postgres", port)
    try:
        with psycopg.connect(url) as connection:
            assert connection.execute("TABLE kept").fetchall() == [(1,)]
    finally:
        assert made.down(progress.ignore)
