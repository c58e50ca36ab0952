"""Terraform, initialised once for all tests of a worker."""

from __future__ import annotations

import pytest

from console.operations.environments.terraform import initialised_for_checks


@pytest.fixture(scope="session")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, str]]:
    """Terraform's path, and the environment to run it in."""
    return initialised_for_checks(tmp_path_factory.mktemp("terraform"))
