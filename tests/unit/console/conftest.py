"""What tests of operations on moto share."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from moto import mock_aws

from console.operations.environments import clients
from console.operations.environments.deployment import Deployment
from console.operations.environments.target import Target
from tests.unit.console import deployments


@pytest.fixture(autouse=True)
def _main_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit's tests make their script the main module, which a spawned process would run."""
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """An environment on moto."""
    monkeypatch.setenv("AVATAR_OPS_ENV_DIR", str(tmp_path))
    with mock_aws():
        yield deployments.make(tmp_path)
    clients.forget_clients()


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target("local", "123456789012", deployments.REGION, None, tmp_path)
