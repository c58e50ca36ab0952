"""Where the console listens, and where it refuses to."""

from __future__ import annotations

import multiprocessing
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st
from moto import mock_aws
from streamlit import config
from streamlit.runtime.secrets import Secrets

from console import serve, session
from console.operations.audit.audit import Audit
from console.operations.environments import clients
from console.operations.environments.deployment import ROOT
from console.operations.errors import OperationError
from tests.integration.database.test_audit import act_for_ever
from tests.postgres_fixture import free_port
from tests.unit.console import deployments


@pytest.fixture(autouse=True)
def _port(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONSOLE_PORT", str(free_port()))
    monkeypatch.delenv("CONSOLE_ADDRESS", raising=False)


@pytest.fixture(autouse=True)
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of Streamlit's secrets, which is not there yet."""
    file = tmp_path / ".streamlit/secrets.toml"
    file.parent.mkdir()
    before = config.get_option("secrets.files")
    config.set_option("secrets.files", [str(file)])
    monkeypatch.setattr(st, "secrets", Secrets())
    yield file
    config.set_option("secrets.files", before)


def test_it_listens_on_this_machine_alone_unless_told_otherwise() -> None:
    assert serve.where()[0] == "127.0.0.1"


@pytest.mark.parametrize("address", ["::", "192.168.1.5", "console.example.com"])
def test_no_other_address_without_oidc(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("CONSOLE_ADDRESS", address)
    with pytest.raises(OperationError, match="without signing in"):
        serve.where()


def test_another_address_with_oidc(monkeypatch: pytest.MonkeyPatch, secrets: Path) -> None:
    monkeypatch.setenv("CONSOLE_ADDRESS", "::")
    secrets.write_text("[auth]\nclient_id = 'x'\n")
    assert serve.where()[0] == "::"


def test_secrets_that_cant_be_read_let_nobody_in(secrets: Path) -> None:
    """They may demand the sign-in, which a proxy on this machine relies on."""
    secrets.write_text("[auth")
    with pytest.raises(OperationError, match=r"can't be read.*secrets\.toml"):
        serve.where()
    with pytest.raises(OperationError, match="can't be read"):
        session.actor()


@pytest.mark.parametrize("port", ["http", "0", "70000"])
def test_a_port_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("CONSOLE_PORT", port)
    with pytest.raises(OperationError, match="CONSOLE_PORT"):
        serve.where()


@pytest.mark.parametrize(
    ("url", "flags"),
    [
        ("", []),
        (
            "https://ops.example.com/console/",
            [
                "--browser.serverAddress=ops.example.com",
                "--browser.serverPort=443",
                "--server.baseUrlPath=console",
            ],
        ),
        (
            "http://ops.localhost:8080",
            [
                "--browser.serverAddress=ops.localhost",
                "--browser.serverPort=8080",
                "--server.baseUrlPath=",
            ],
        ),
    ],
)
def test_streamlit_is_told_the_address_that_the_browser_shows(
    monkeypatch: pytest.MonkeyPatch, url: str, flags: list[str]
) -> None:
    monkeypatch.setenv("CONSOLE_URL", url)
    assert serve.public_address()[0] == flags


@pytest.mark.parametrize(
    "url", ["ops.example.com", "ftp://x", "https://", "https://x:port", "https://x/?a=1"]
)
def test_what_is_no_address_is_named(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("CONSOLE_URL", url)
    with pytest.raises(OperationError, match="CONSOLE_URL"):
        serve.public_address()


def test_a_taken_port_is_named_with_the_way_out() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(os.environ["CONSOLE_PORT"])))
        other.listen()
        with pytest.raises(OperationError, match="CONSOLE_PORT=8502"):
            serve.where()


def test_it_says_where_it_is_and_stops_when_told(tmp_path: Path) -> None:
    port = int(os.environ["CONSOLE_PORT"])
    with subprocess.Popen(
        [sys.executable, "-m", "console.serve"],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + 60
            while not serve.is_ready(port):
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        finally:
            process.terminate()
            output = process.communicate(timeout=30)[0]
    assert f"http://127.0.0.1:{port}" in output


def test_a_start_closes_what_a_console_before_it_was_killed_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, empty_database: str
) -> None:
    for name, value in {
        "ENV": "local",
        "AVATAR_OPS_ENV_DIR": str(tmp_path),
        "AVATAR_OPS_STATE": str(tmp_path),
        "DATABASE_URL": empty_database,
        "DATABASE_URL_ORIGIN": "command line",
    }.items():
        monkeypatch.setenv(name, value)
    folder = tmp_path / "local/audit"
    spawn = multiprocessing.get_context("spawn")
    started = spawn.Event()
    killed = spawn.Process(target=act_for_ever, args=(empty_database, folder, started, "local"))
    killed.start()
    assert started.wait(60)
    killed.kill()
    killed.join()
    with mock_aws():
        deployments.make(tmp_path)
        serve._prepare("local")
    clients.forget_clients()
    (action,) = Audit("local", lambda: empty_database, folder).actions()
    assert action.outcome == "interrupted"
    assert "starting the console" in action.detail
