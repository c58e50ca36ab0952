"""Fixtures for tests of migrations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.database.migration_folder import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty folder of migrations."""
    return Folder(tmp_path)
