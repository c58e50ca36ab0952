"""There is no room on the function's disk."""

from __future__ import annotations

import sys

import psutil
import pytest

from tests.faults import workers
from tests.faults.ledger import Ledger
from tests.integration.system import System, picture, wait_for_version

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="only Linux limits a process from outside"),
    pytest.mark.long,
]


def test_resize_writes_nothing_to_its_disk(system: System, ledger: Ledger) -> None:
    """A process that may not write a single byte to a file makes avatars as before."""
    here, resize = ledger.here, ledger.here.function_names["resize"]
    upload = ledger.put("disk-0.jpg", picture(80))
    assert upload
    wait_for_version(here, upload.name, upload.version)
    limited = list(workers.of_function(system, resize))
    assert limited
    # one at a time, so that no further process is started
    here.functions.put_function_concurrency(FunctionName=resize, ReservedConcurrentExecutions=1)
    try:
        for process in limited:
            process.rlimit(psutil.RLIMIT_FSIZE, (0, 0))
        for index, image_format in enumerate(("JPEG", "PNG", "WEBP"), start=1):
            assert ledger.put(f"disk-{index}.jpg", picture(80 + index, image_format=image_format))
        ledger.settle("no room on the function's disk")
        assert {process.pid for process in workers.of_function(system, resize)} == {
            process.pid for process in limited
        }, "the pictures were made elsewhere"
    finally:
        here.functions.delete_function_concurrency(FunctionName=resize)
        for process in limited:
            process.kill()
