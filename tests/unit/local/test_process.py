"""A background process is found again, and no other is taken for it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from local.process import BackgroundProcess

# It is meant to outlive what started it
pytestmark = pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")


@pytest.fixture
def sleeper(tmp_path: Path) -> Iterator[BackgroundProcess]:
    process = BackgroundProcess("sleeper", tmp_path)
    process.start([sys.executable, "-c", "import time; time.sleep(600)"], os.environ)
    yield process
    process.stop(seconds=5)


def test_a_step_of_the_clock_loses_no_process(
    sleeper: BackgroundProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = sleeper.pid()
    assert pid is not None
    created = psutil.Process(pid).create_time()
    # As psutil sees it: time of boot, which moves with the clock, plus ticks
    monkeypatch.setattr(psutil.Process, "create_time", lambda _: created + 1)
    assert sleeper.pid() == pid
    assert sleeper.stop(seconds=5)
    assert not psutil.pid_exists(pid)


def test_another_process_with_the_same_pid_is_left_alone(
    sleeper: BackgroundProcess, tmp_path: Path
) -> None:
    pid = sleeper.pid()
    file = tmp_path / "sleeper.pid"
    same = file.read_text()
    file.write_text(f"{os.getpid()} {same.split()[1]}")
    assert sleeper.pid() is None
    assert not sleeper.stop()
    file.write_text(same)
    assert sleeper.pid() == pid


def test_what_the_version_before_started_is_found(
    sleeper: BackgroundProcess, tmp_path: Path
) -> None:
    pid = sleeper.pid()
    assert pid is not None
    file = tmp_path / "sleeper.pid"
    created = psutil.Process(pid).create_time()
    file.write_text(f"{pid} {created}")
    assert sleeper.pid() == pid
    file.write_text(f"{pid} {created - 60}")
    assert sleeper.pid() is None
    file.write_text(f"{pid} {created}")


@pytest.mark.parametrize("text", ["", "12", "a b", "1 2 3", "99999999 1.0"])
def test_a_damaged_pid_file_names_no_process(tmp_path: Path, text: str) -> None:
    (tmp_path / "sleeper.pid").write_text(text)
    process = BackgroundProcess("sleeper", tmp_path)
    assert process.pid() is None
    assert not process.stop()
