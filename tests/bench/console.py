"""How long each page of the console takes, and which AWS calls it makes (`make up` first).

The first run of a page stands for its first paint, the second for a rerun. A page's own time is
what is left of a run without the time spent waiting for AWS; calls made at once count once.
"""

from __future__ import annotations

import argparse
import json
import os
import threading
import time
from typing import Any

import altair  # noqa: F401 - as the server does before its first page
import botocore.client
import pandas  # noqa: F401
from streamlit.testing.v1 import AppTest

from console import session
from console.operations.deployment import ROOT

PAGES = (
    "overview", "test_avatars", "failures", "profile", "environment", "migrations", "cdn", "audit"
)  # fmt: skip


class Calls:
    """Counts AWS calls, and the time in which at least one was under way."""

    def __init__(self) -> None:
        self.count = 0
        self.seconds = 0.0
        self._open = 0
        self._since = 0.0
        self._lock = threading.Lock()
        self._call = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]
        calls = self

        def counted(client: Any, operation: str, parameters: Any) -> Any:
            calls._begin()
            try:
                return calls._call(client, operation, parameters)
            finally:
                calls._end()

        botocore.client.BaseClient._make_api_call = counted  # type: ignore[attr-defined]

    def _begin(self) -> None:
        with self._lock:
            self.count += 1
            if not self._open:
                self._since = time.perf_counter()
            self._open += 1

    def _end(self) -> None:
        with self._lock:
            self._open -= 1
            if not self._open:
                self.seconds += time.perf_counter() - self._since


def run(calls: Calls, test: AppTest) -> tuple[float, float, int]:
    """Run a page once; return its seconds, its own seconds, and its AWS calls."""
    count, waited, started = calls.count, calls.seconds, time.perf_counter()
    test.run(timeout=60)
    took = time.perf_counter() - started
    assert not test.exception, test.exception
    return took, took - (calls.seconds - waited), calls.count - count


def main() -> None:
    """Run each page twice and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    os.environ.setdefault("ENV", "local")
    calls, rows = Calls(), []
    # Through app.py, which knows the pages that links lead to
    test = AppTest.from_file(str(ROOT / "console/app.py")).run(timeout=60)
    for name in PAGES:
        test.switch_page(f"pages/{name}.py")
        session.forget()
        first, _, asked = run(calls, test)
        while session.jobs().running():  # the environment is examined behind its page
            time.sleep(0.1)
        again, own, more = run(calls, test)
        rows.append(
            {
                "page": name,
                "first_ms": round(first * 1000),
                "first_aws_calls": asked,
                "rerun_ms": round(again * 1000),
                "rerun_own_ms": round(own * 1000),
                "rerun_aws_calls": more,
            }
        )
    if arguments.json:
        print(json.dumps(rows))
        return
    print("".join(f"{heading:>18}" for heading in rows[0]))
    for row in rows:
        print("".join(f"{value:>18}" for value in row.values()))


if __name__ == "__main__":
    main()
