"""Functions that Lambda lets nobody call."""

from __future__ import annotations

from console.operations.pipeline import dead_letters
from console.operations.uploads.test_users import SignIn
from tests.faults.ledger import Ledger
from tests.integration.system import System, picture, wait_until
from tests.integration.test_uploads import ask


def test_uploads_wait_for_a_throttled_function(system: System, ledger: Ledger) -> None:
    here, resize = ledger.here, ledger.here.function_names["resize"]
    here.functions.put_function_concurrency(FunctionName=resize, ReservedConcurrentExecutions=0)
    try:
        ledger.put_all((f"throttled-{index}.jpg", picture(index)) for index in range(4))
        wait_until(lambda: dead_letters.counts(here)["waiting"] == 4, "all of them waiting")
        assert "waiting      4" in system.make("status")
    finally:
        here.functions.delete_function_concurrency(FunctionName=resize)
    assert ledger.settle("the resize function throttled")["served"] == 4


def test_a_throttled_api_refuses_and_then_serves_again(ledger: Ledger, ada: SignIn) -> None:
    here, presign = ledger.here, ledger.here.function_names["presign"]
    wish = {"extension": "jpg", "size": 10}
    here.functions.put_function_concurrency(FunctionName=presign, ReservedConcurrentExecutions=0)
    try:
        assert ask(here, ada.token, wish).status in {429, 500, 503}
    finally:
        here.functions.delete_function_concurrency(FunctionName=presign)
    assert ask(here, ada.token, wish).status == 200
