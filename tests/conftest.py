"""What all tests share."""

from __future__ import annotations

from collections.abc import Generator

import pytest

pytest_plugins = ["tests.postgres_fixture", "tests.system_fixture", "tests.faults.ledger"]


@pytest.hookimpl(wrapper=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Ask that all that works on the running system go to one worker.

    Each worker that gets such a test brings up a system of its own: slower, but as right.
    """
    for item in items:
        if "system" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("system"))
    return (yield)
