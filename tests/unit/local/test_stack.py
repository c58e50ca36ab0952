"""What `up` does about a first apply that the emulator failed, and about a console that runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from console.operations import progress
from console.operations.errors import OperationError
from local import stack
from local.settings import LocalSettings
from local.stack import Stack

LOST = "terraform apply failed: x: operation error Lambda: AddPermission, https response error …"


class Emulator:
    def __init__(self) -> None:
        self.calls: list[str] = []

    def stop(self) -> bool:
        self.calls.append("stop")
        return True

    def start(self) -> None:
        self.calls.append("start")


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
    sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
    monkeypatch.setattr(console, "start", lambda *_: start(sleeper, os.environ))
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
