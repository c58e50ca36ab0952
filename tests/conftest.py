"""What all tests share."""

from __future__ import annotations

from collections.abc import Generator

import pytest

pytest_plugins = ["tests.postgres_fixture", "tests.system_fixture"]
# The property under which a test keeps a row for the summary
DOCTOR = "What was broken, and what doctor said"


@pytest.hookimpl(wrapper=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Ask that all that works on the running system go to one worker.

    Each worker that gets such a test brings up a system of its own: slower, but as right.
    """
    for item in items:
        if "system" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("system"))
    return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table of what was broken by hand, whichever worker broke it."""
    rows = [
        row
        for report in terminalreporter.getreports("passed")
        for name, row in report.user_properties
        if report.when == "call" and name == DOCTOR
    ]
    if rows:
        terminalreporter.section(DOCTOR)
        for row in rows:
            terminalreporter.write_line(row)
