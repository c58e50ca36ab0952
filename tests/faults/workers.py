"""The processes in which the emulator runs functions."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import psutil

from tests.integration.system import System


def of_function(system: System, name: str) -> Iterator[psutil.Process]:
    """Yield the function's processes that live."""
    for process in system.emulator().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            if process.environ().get("AWS_LAMBDA_FUNCTION_NAME") == name:
                yield process
