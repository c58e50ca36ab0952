"""What survives when the local system is stopped, or started in bad circumstances."""

from __future__ import annotations

import socket
import time

import pytest

from console.operations import web
from console.operations.errors import OperationError
from console.operations.uploads import outcomes
from tests.integration.system import System, picture, wait_until


def test_a_stopped_system_comes_back_with_everything_in_it(system: System) -> None:
    here = system.deployment()
    version = here.s3.put_object(Bucket=here.uploads_bucket, Key="kept.jpg", Body=picture(2000))[
        "ETag"
    ].strip('"')
    wait_until(lambda: outcomes.shown_version(here, "kept") == version, "the avatar")
    system.make("down")
    assert "Nothing was running" in system.make("down")
    with pytest.raises(OperationError, match="make up"):
        outcomes.shown_version(here, "kept")
    began = time.monotonic()
    system.make("up")
    print(f"\nup after down: {time.monotonic() - began:.1f} s")
    assert outcomes.shown_version(here, "kept") == version
    assert web.request("GET", f"{here.assets_url}/avatars/kept.jpg").status == 200


def test_a_system_that_runs_is_left_alone_and_its_settings_are_put_right(system: System) -> None:
    files = [system.directory / "state/local" / f"{name}.pid" for name in ("emulator", "console")]
    running = [file.read_text() for file in files]
    began = time.monotonic()
    output = system.make("up")
    print(f"\nup of a system that runs: {time.monotonic() - began:.1f} s")
    assert [file.read_text() for file in files] == running
    assert "Terraform" not in output
    settings = system.directory / ".env.local"
    right = settings.read_text()
    settings.write_text(right.replace("API_URL=", "API_URL=http://elsewhere"))
    system.make("up")
    assert settings.read_text() == right


def test_a_taken_port_is_named_with_the_way_out(system: System) -> None:
    system.make("down")
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", system.aws_port))
        other.listen()
        output = system.make("up", status=2)
    assert f"Port {system.aws_port} is taken" in output
    assert "AWS_PORT=" in output
    system.make("up")
