"""The resize function's process is killed in mid-picture."""

from __future__ import annotations

import threading
import time

from console.operations.environments import logs
from console.operations.uploads import outcomes
from tests.faults import workers
from tests.faults.ledger import Ledger, redelivered_after
from tests.integration.system import System, alive, picture, wait_until
from tests.strict_aws.control import resize_meets
from tests.strict_aws.fault import Fault


def test_a_picture_whose_function_was_killed_before_the_last_write_comes_again(
    system: System, ledger: Ledger
) -> None:
    here, began = ledger.here, time.time()
    reached, killed = threading.Event(), threading.Event()

    def hold_the_last_write(method: str, path: str) -> Fault:
        if method == "PUT" and path.endswith("/avatars/killed.jpg") and not killed.is_set():
            reached.set()
            killed.wait(30)
            return Fault.CUT
        return Fault.NONE

    with resize_meets(here, hold_the_last_write):
        with redelivered_after(here, 5):
            upload = ledger.put("killed.jpg", picture(31))
            assert upload
            assert reached.wait(30)
        for process in list(workers.of_function(system, here.function_names["resize"])):
            process.kill()
            # nobody waits for a worker that was idle: it stays a zombie
            wait_until(lambda process=process: not alive(process), "its death")  # type: ignore[misc]
        killed.set()
        # its variants are there, the avatar that names them is not
        assert here.s3.list_objects_v2(
            Bucket=here.assets_bucket, Prefix=f"variants/killed/{upload.version}/"
        )["Contents"]
        assert outcomes.shown_version(here, "killed") is None
        ledger.settle("SIGKILL of the resize function in mid-picture")
    wait_until(
        lambda: logs.read(here, ["resize"], began, "Worker process died"),
        "the line that reports the death",
    )
