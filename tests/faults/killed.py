"""Run a command as `console.cli` does, and kill the process before one call of its work.

``python -m tests.faults.killed NUMBER COMMAND [OPTIONS]``: what is counted are requests to AWS and
statements to Postgres, from the start that the audit has recorded; 0 kills nothing, and the number
of all calls is printed last.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import psycopg
from botocore.httpsession import URLLib3Session

from console import cli
from console.operations.accounts import erasure
from console.operations.audit.audit import Audit


def main() -> None:
    """Run the command."""
    at = int(sys.argv.pop(1))
    begun = threading.Event()
    numbers = itertools.count(1)

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(subject: Any, what: Any, *args: Any, **kwargs: Any) -> Any:
            of_audit = threading.current_thread().name == "audit" or "avatar_ops" in str(what)
            if begun.is_set() and not of_audit and next(numbers) == at:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(subject, what, *args, **kwargs)

        return wrapper

    erasure.ADDRESS_SECONDS = 1  # nobody was given one
    follow = Audit.follow

    def begin(*args: Any) -> Any:
        begun.set()
        return follow(*args)

    Audit.follow = begin  # type: ignore[method-assign]
    URLLib3Session.send = counted(URLLib3Session.send)
    psycopg.Cursor.execute = counted(psycopg.Cursor.execute)  # type: ignore[method-assign]
    try:
        cli.main()
    finally:
        print(f"calls: {next(numbers) - 1}", file=sys.stderr)


if __name__ == "__main__":
    main()
