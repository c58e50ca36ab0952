"""What all tests share."""

from __future__ import annotations

import functools
from collections.abc import Generator, Iterator

import botocore.session
import pytest
from streamlit.components.v2 import manifest_scanner

pytest_plugins = [
    "tests.browser_fixture",
    "tests.postgres_fixture",
    "tests.system_fixture",
    "tests.faults.ledger",
]
# The properties under which tests keep rows for the summary
DOCTOR = "What was broken, and what doctor said"
ORDER = "The order of uploads, replayed"
MACHINES = "Machines, and the seconds to a served avatar"


@pytest.fixture(autouse=True, scope="session")
def _read_once() -> Iterator[None]:
    """Read what doesn't change once: AWS's services for each session, packages for each page."""
    with pytest.MonkeyPatch.context() as patch:
        for module, name in (
            (botocore.session, "create_loader"),
            (manifest_scanner, "scan_component_manifests"),
        ):
            patch.setattr(module, name, functools.cache(getattr(module, name)))
        yield


@pytest.hookimpl(wrapper=True)  # before xdist reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Ask that all that works on the running system go to two workers, a system for each.

    More would each wait for a system; one would work when all others are done.
    """
    for item in items:
        if "system" in getattr(item, "fixturenames", ()):
            here = {item.path.parent.name, item.path.stem}
            other = here & {
                "browser",
                "faults",
                "test_acceptance",
                "test_accounts",
                "test_infrastructure",
            }
            item.add_marker(pytest.mark.xdist_group("other system" if other else "system"))
    return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what tests kept for it, whichever worker ran them."""
    kept = [
        item
        for report in terminalreporter.getreports("passed")
        for item in report.user_properties
        if report.when == "call"
    ]
    for title in (DOCTOR, ORDER, MACHINES):
        rows = [str(row) for name, row in kept if name == title]
        if rows:
            terminalreporter.section(title)
            for row in rows:
                terminalreporter.write_line(row)
