"""Functions that Lambda lets nobody call."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from console.operations.environments.deployment import Deployment
from console.operations.pipeline import dead_letters
from console.operations.uploads.test_users import SignIn
from tests.faults.ledger import Ledger, redelivered_after
from tests.integration.system import System, picture, wait_until
from tests.integration.test_uploads import ask


@contextmanager
def throttled(here: Deployment, function: str) -> Iterator[None]:
    """Lambda refuses to run the function meanwhile."""
    name = here.function_names[function]
    here.functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    try:
        yield
    finally:
        here.functions.delete_function_concurrency(FunctionName=name)


def test_uploads_outlive_a_function_that_is_throttled_for_a_while(ledger: Ledger) -> None:
    here = ledger.here
    with redelivered_after(here, 10), throttled(here, "resize"):
        ledger.put_all((f"throttled-{index}.jpg", picture(index)) for index in range(4))
        wait_until(lambda: dead_letters.counts(here)["in_flight"] == 4, "refused batches")
    # what is received now may take its time
    assert ledger.settle("the resize function throttled for a while")["served"] == 4


def test_each_refused_batch_costs_a_receive_until_uploads_are_dead_letters(
    system: System, ledger: Ledger
) -> None:
    here = ledger.here
    with redelivered_after(here, 1), throttled(here, "resize"):
        ledger.put_all((f"refused-{index}.jpg", picture(index)) for index in range(4))
        wait_until(lambda: dead_letters.counts(here)["dead"] == 4, "dead-letter messages")
        assert "dead         4" in system.make("status")
    assert "4 messages put back on the queue." in system.make("redrive")
    assert ledger.settle("the resize function throttled, then redriven")["served"] == 4


def test_a_throttled_api_refuses_and_then_serves_again(ledger: Ledger, ada: SignIn) -> None:
    here = ledger.here
    wish = {"extension": "jpg", "size": 10}
    with throttled(here, "presign"):
        assert ask(here, ada.token, wish).status in {429, 500, 503}
    assert ask(here, ada.token, wish).status == 200
