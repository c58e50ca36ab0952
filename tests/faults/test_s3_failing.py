"""S3 answers with errors, late, or not at all."""

from __future__ import annotations

import re
import threading
import time
from collections import defaultdict

from console.operations.environments import logs
from console.operations.pipeline import dead_letters
from console.operations.uploads import outcomes
from tests.faults.ledger import Ledger, redelivered_after
from tests.integration.system import System, picture, wait_until
from tests.strict_aws.control import resize_meets
from tests.strict_aws.fault import Fault


class EachRequestOnce:
    """Let the first request for each object and method fail, in turn in each way."""

    def __init__(self, *faults: Fault) -> None:
        self.done: defaultdict[Fault, int] = defaultdict(int)
        self._faults = faults
        self._seen: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def __call__(self, method: str, path: str) -> Fault:
        with self._lock:
            if (method, path) in self._seen:
                return Fault.NONE
            fault = self._faults[len(self._seen) % len(self._faults)]
            self._seen.add((method, path))
            self.done[fault] += 1
            return fault


def test_a_request_that_fails_once_is_made_again(ledger: Ledger) -> None:
    """The function's own retries suffice, as long as its time does."""
    here, began = ledger.here, time.time()
    faults = [Fault.INTERNAL_ERROR, Fault.SLOW_DOWN, Fault.SLOW, Fault.CUT, Fault.ANSWER_LOST]
    once = EachRequestOnce(*faults)
    with resize_meets(here, once), redelivered_after(here, 30):
        ledger.put_all(
            [*((f"flaky-{n}.jpg", picture(40 + n)) for n in range(3)), ("flaky-3.jpg", b"broken")]
        )
        assert ledger.settle("S3: 500, 503, late, cut off, once each")["served"] == 3
    assert all(once.done[fault] >= 2 for fault in faults), once.done
    failed = logs.read(here, ["resize"], began, "message failed")
    assert [line for line in failed if not line.fields["reason"].startswith("not begun")] == []


def test_a_picture_that_was_read_by_half_is_not_taken_for_a_damaged_one(ledger: Ledger) -> None:
    halves = []

    def cut_the_first_reads(method: str, path: str) -> Fault:
        if method == "GET" and "half-" in path and len(halves) < 2:
            halves.append(path)
            return Fault.HALF
        return Fault.NONE

    with resize_meets(ledger.here, cut_the_first_reads):
        with redelivered_after(ledger.here, 5):
            ledger.put_all((f"half-{index}.jpg", picture(50 + index)) for index in range(2))
            wait_until(lambda: len(halves) == 2, "two reads cut off")
        assert ledger.settle("S3: originals read by half")["served"] == 2


def test_while_s3_is_gone_uploads_become_dead_letters_and_redrive_serves_them(
    system: System, ledger: Ledger
) -> None:
    here = ledger.here
    with (
        resize_meets(here, lambda method, path: Fault.SLOW_DOWN),
        redelivered_after(here, 2),
    ):
        ledger.put("outage.jpg", picture(60))
        wait_until(lambda: dead_letters.counts(here)["dead"] == 1, "a dead-letter message", 120)
        assert outcomes.shown_version(here, "outage") is None
        status = system.make("status")
        assert "dead         1" in status
        assert "Uploads failed: `make logs FUNCTION=resize` says why, `make redrive`" in status
        (*_, failure) = (
            line
            for line in system.make("logs", "FUNCTION=resize").splitlines()
            if "message failed" in line
        )
        # both are asked at once: whichever answer comes first is the reason
        reason = r"\((503|SlowDown)\) when calling the (HeadObject|GetObject) operation"
        assert re.search(reason, failure), failure
    assert "1 message put back on the queue." in system.make("redrive")
    ledger.settle("S3: nothing but 503, then redriven")
