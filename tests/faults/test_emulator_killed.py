"""The embedded AWS dies in a burst of uploads, with all that was queued."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from console.operations import web
from console.operations.uploads import test_users
from tests.faults.ledger import WRITERS, Ledger
from tests.integration.system import System, picture, wait_until

BURST = 50


@pytest.mark.long
def test_no_accepted_upload_is_lost_when_the_emulator_is_killed(
    system: System, ledger: Ledger
) -> None:
    here = ledger.here
    token = test_users.sign_in(here, "ada").token
    bodies = {f"burst-{index}.jpg": picture(1000 + index) for index in range(BURST)}
    bodies["burst-0.jpg"] = b"this is not a picture"
    with ThreadPoolExecutor(WRITERS) as pool:
        sent = [pool.submit(ledger.put, key, body) for key, body in bodies.items()]
        wait_until(lambda: len(ledger.accepted) >= BURST // 2, "half of the burst")
        system.emulator().kill()
        for upload in sent:
            upload.result()
    assert len(ledger.accepted) < BURST, "the kill came too late to prove anything"

    began = time.monotonic()
    output = system.make("up")
    assert "The emulator had been killed" in output
    assert "make reconcile" in output
    print(f"\nup after SIGKILL: {time.monotonic() - began:.1f} s")

    system.make("reconcile")
    found = ledger.settle("SIGKILL of the emulator in a burst")
    assert found["rejected"] == ("burst-0.jpg" in {upload.key for upload in ledger.accepted})
    # a token from before the kill still works: keys and users were kept
    answer = web.request(
        "POST",
        f"{here.api_url}/avatars/key_upload",
        {"Authorization": f"Bearer {token}"},
        b'{"extension": "jpg", "size": 10}',
    )
    assert answer.status == 200
