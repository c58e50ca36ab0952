"""Where the console listens, and where it refuses to."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from console import serve
from console.operations.environments.deployment import ROOT
from console.operations.errors import OperationError
from tests.postgres_fixture import free_port


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(serve, "ROOT", tmp_path / "root")
    monkeypatch.setenv("CONSOLE_PORT", str(free_port()))
    monkeypatch.delenv("CONSOLE_ADDRESS", raising=False)


def test_it_listens_on_this_machine_alone_unless_told_otherwise() -> None:
    assert serve.where()[0] == "127.0.0.1"


@pytest.mark.parametrize("address", ["::", "192.168.1.5", "console.example.com"])
def test_no_other_address_without_oidc(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    monkeypatch.setenv("CONSOLE_ADDRESS", address)
    with pytest.raises(OperationError, match="without signing in"):
        serve.where()


def test_another_address_with_oidc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CONSOLE_ADDRESS", "::")
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit/secrets.toml").write_text("[auth]\nclient_id = 'x'\n")
    assert serve.where()[0] == "::"


def test_secrets_that_are_no_toml_are_named(tmp_path: Path) -> None:
    (tmp_path / ".streamlit").mkdir()
    (tmp_path / ".streamlit/secrets.toml").write_text("[auth")
    with pytest.raises(OperationError, match=r"secrets\.toml can't be read"):
        serve.sign_in_is_configured()


@pytest.mark.parametrize("port", ["http", "0", "70000"])
def test_a_port_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, port: str) -> None:
    monkeypatch.setenv("CONSOLE_PORT", port)
    with pytest.raises(OperationError, match="CONSOLE_PORT"):
        serve.where()


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
