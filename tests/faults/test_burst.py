"""Many uploads at once, some of them broken, some names twice, and at first nobody at work."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from console.operations.environments.deployment import Deployment
from console.operations.pipeline import dead_letters
from tests.faults.ledger import Ledger
from tests.integration.system import System, picture, wait_until


def crowd(uploads: int) -> Iterator[tuple[str, bytes]]:
    """Yield uploads: of each 25 one is broken, and two have the name of the one before."""
    for index in range(uploads):
        number = index - 1 if index % 25 in {5, 15} else index
        body = b"no picture" if index % 25 == 0 else picture(7000 + index)
        yield f"crowd-{uploads}-{number}.jpg", body


@contextmanager
def nobody_at_work(here: Deployment) -> Iterator[None]:
    """Disable the mapping from the queue to the resize function meanwhile."""
    (mapping,) = here.functions.list_event_source_mappings(
        FunctionName=here.function_names["resize"]
    )["EventSourceMappings"]

    def become(state: str) -> None:
        enabled = state == "Enabled"
        here.functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=enabled)
        wait_until(
            lambda: here.functions.get_event_source_mapping(UUID=mapping["UUID"])["State"] == state,
            f"a mapping that is {state}",
        )

    become("Disabled")
    try:
        yield
    finally:
        become("Enabled")


@pytest.mark.parametrize(
    "uploads", [100, pytest.param(1000, marks=[pytest.mark.long, pytest.mark.timeout(1200)])]
)
def test_of_a_burst_every_upload_is_accounted_for(
    system: System, ledger: Ledger, uploads: int
) -> None:
    here = ledger.here
    with nobody_at_work(here):
        began = time.monotonic()
        ledger.put_all(crowd(uploads))
        sent = time.monotonic() - began
        wait_until(
            lambda: dead_letters.counts(here)["waiting"] == uploads, "all of them in the queue"
        )
        lines = system.make("doctor", status=2).splitlines()
        (line,) = (
            line for line in lines if "event source mapping to resize" in " ".join(line.split())
        )
        assert "Disabled" in line
    began = time.monotonic()
    found = ledger.settle(f"a burst of {uploads} on a queue that nobody consumes", seconds=1000)
    print(f"\nsent in {sent:.1f} s, settled after {time.monotonic() - began:.1f} s: {dict(found)}")

    assert len(ledger.accepted) == uploads
    assert found == {
        "served": uploads * 22 // 25,
        "superseded": uploads * 2 // 25,
        "rejected": uploads // 25,
    }
