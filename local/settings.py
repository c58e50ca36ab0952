"""Where the local system keeps its state, and on which ports it listens."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from console.operations.environments import target
from console.operations.errors import OperationError

ROOT = Path(__file__).resolve().parent.parent
REGION = "eu-central-1"
HOSTED_ZONE = "avatars.test"
EMULATOR = "ministack.app:app"
# The emulator's root account, the same for everyone: no secret
CREDENTIALS = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}


@dataclass(frozen=True)
class LocalSettings:
    """What `make up` may be told through its environment.

    Attributes
    ----------
    state
        The folder of everything that outlives a stop: ``local`` in ``AVATAR_OPS_STATE``.
    aws_port, postgres_port, console_port, demo_port
        Where the emulator (``AWS_PORT``), Postgres (``POSTGRES_PORT``), the console
        (``CONSOLE_PORT``) and the front end's demo (``DEMO_PORT``) listen.
    database_url
        Another Postgres to use instead (make's ``DATABASE_URL=``); empty to start one.
    emulator
        The ASGI application that serves the AWS APIs (``EMULATOR_APP``); the tests' is stricter.
    """

    state: Path
    aws_port: int
    postgres_port: int
    console_port: int
    database_url: str
    demo_port: int = 3000
    emulator: str = EMULATOR

    @classmethod
    def from_environment(cls) -> LocalSettings:
        """Read the settings; an error names the variable at fault."""
        return cls(
            state=target.state_folder("local"),
            aws_port=_port("AWS_PORT", 4566),
            postgres_port=_port("POSTGRES_PORT", 54320),
            console_port=_port("CONSOLE_PORT", 8501),
            demo_port=_port("DEMO_PORT", 3000),
            database_url=target.given_database_url("local"),
            emulator=os.environ.get("EMULATOR_APP") or EMULATOR,
        )

    @property
    def endpoint(self) -> str:
        """The address of every AWS API."""
        return f"http://localhost:{self.aws_port}"

    def environment(self) -> dict[str, str]:
        """Return what points the AWS SDK and Terraform at the emulator."""
        return {"AWS_ENDPOINT_URL": self.endpoint, "AWS_REGION": REGION, **CREDENTIALS}


def is_listening(port: int) -> bool:
    """Say whether anything answers on that port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _port(name: str, default: int) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdecimal() or not 1024 <= int(value) <= 65535:
        raise OperationError(
            f"{name} is {value!r}, which is not a valid port.",
            f"Set {name} to a number from 1024 to 65535.",
        )
    return int(value)
