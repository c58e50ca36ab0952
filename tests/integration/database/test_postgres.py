"""The local Postgres: started, stopped, killed, and in nobody's way."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from console.operations.errors import OperationError
from console.operations.migrations.postgres_binaries import installation
from local import postgres
from tests.postgres_fixture import free_port


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a cluster, below parents that only their owner may enter."""
    directory = tmp_path_factory.mktemp("closed", numbered=True) / "postgres"
    directory.parent.chmod(0o700)
    yield directory
    postgres.stop(directory)


def rows(url: str, query: str = "SELECT count(*) FROM kept") -> object:
    with psycopg.connect(url, connect_timeout=5) as connection:
        row = connection.execute(query.encode()).fetchone()
    return row and row[0]


def test_it_keeps_its_rows_over_a_stop_and_a_kill(directory: Path) -> None:
    port = free_port()
    assert not postgres.status(directory).running
    url = postgres.start(directory, port)
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 1 AS id")
    assert postgres.status(directory).port == port
    assert postgres.start(directory, port) == url  # started twice, it is the same server

    postgres.stop(directory)
    assert not postgres.status(directory).running
    postgres.stop(directory)  # stopped twice, nothing happens
    assert rows(postgres.start(directory, port)) == 1

    pid = postgres.status(directory).pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    assert (directory / "data" / "postmaster.pid").exists()
    assert rows(postgres.start(directory, port)) == 1


def test_a_pid_that_belongs_to_another_program_by_now_does_not_stop_it(directory: Path) -> None:
    port = free_port()
    postgres.stop(directory)
    postgres.start(directory, port)
    pid = postgres.status(directory).pid
    assert pid is not None
    file = directory / "data" / "postmaster.pid"
    lines = file.read_text().splitlines(keepends=True)
    postgres.stop(directory)
    # The same account's: Postgres itself overlooks other accounts' processes.
    other = subprocess.Popen(
        ["sleep", "60"], user=file.parent.stat().st_uid if os.geteuid() == 0 else None
    )
    try:
        file.write_text("".join([f"{other.pid}\n", *lines[1:]]))
        assert not postgres.status(directory).running
        assert rows(postgres.start(directory, port), "SELECT 1") == 1
    finally:
        other.kill()
        other.wait()


def test_only_this_machine_and_only_the_password_get_in(directory: Path) -> None:
    port = free_port()
    postgres.stop(directory)
    url = postgres.start(directory, port)
    assert rows(url, "SHOW listen_addresses") == "127.0.0.1"
    assert rows(url, "SELECT left(rolpassword, 13) FROM pg_authid WHERE rolname = 'postgres'") == (
        "SCRAM-SHA-256"
    )
    secret = directory / "password"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url.replace(secret.read_text(), "wrong"))
    assert secret.read_text() not in (directory / "data" / "server.log").read_text()
    command = Path(f"/proc/{postgres.status(directory).pid}/cmdline")
    if command.exists():
        assert secret.read_text() not in command.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its rights up")
def test_started_by_root_it_runs_as_nobody_below_closed_folders(directory: Path) -> None:
    port = free_port()
    postgres.stop(directory)
    modes = {parent: parent.stat().st_mode for parent in directory.parents}
    postgres.start(directory, port)
    pid = postgres.status(directory).pid
    assert Path(f"/proc/{pid}").stat().st_uid == pwd.getpwnam("nobody").pw_uid
    assert {parent: parent.stat().st_mode for parent in directory.parents} == modes
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its rights up")
def test_binaries_below_a_closed_folder_are_copied_and_the_copy_goes_with_the_server(
    directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(installation(), closed / "pginstall", copy_function=os.link)
    postgres.stop(directory)
    monkeypatch.setattr(postgres, "installation", lambda: closed / "pginstall")
    monkeypatch.setenv("TMPDIR", "/tmp")
    monkeypatch.setattr("tempfile.tempdir", None)
    url = postgres.start(directory, free_port())
    copy = (directory / "binaries").readlink()
    assert rows(url, "SELECT 1") == 1
    assert (copy / "bin" / "postgres").exists()
    postgres.stop(directory)
    assert not copy.exists()


def test_a_taken_port_is_one_clear_line(directory: Path) -> None:
    postgres.stop(directory)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(OperationError, match=f"Port {port} of 127.0.0.1 is not free"):
            postgres.start(directory, port)
    assert rows(postgres.start(directory, port), "SELECT 1") == 1
    with pytest.raises(OperationError, match=f"already runs on port {port}"):
        postgres.start(directory, free_port())


def test_a_half_made_cluster_is_made_anew(tmp_path: Path) -> None:
    directory = tmp_path / "postgres"
    (directory / "data.partial" / "base").mkdir(parents=True)
    url = postgres.start(directory, free_port())
    try:
        assert rows(url, "SELECT 1") == 1
        assert not (directory / "data.partial").exists()
    finally:
        postgres.stop(directory)


def test_a_start_that_fails_shows_what_the_log_says(tmp_path: Path) -> None:
    directory = tmp_path / "postgres"
    port = free_port()
    postgres.start(directory, port)
    postgres.stop(directory)
    with (directory / "data" / "postgresql.conf").open("a") as file:
        file.write("shared_buffers = nonsense\n")
    with pytest.raises(OperationError, match=r"did not start: .*shared_buffers") as caught:
        postgres.start(directory, port)
    assert "server.log" in caught.value.remedy
