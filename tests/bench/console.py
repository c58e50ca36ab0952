"""How long each page of the console takes, and which AWS calls it makes (`make up` first).

The first run of a page stands for its first paint, the middle one of three more for a rerun. A
page's own time is the processor's, so that neither AWS, the database nor another program counts.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from typing import Any

import altair  # noqa: F401 - as the server does before its first page
import botocore.client
import pandas  # noqa: F401
from streamlit.testing.v1 import AppTest

from console import session
from console.operations.environments import deployment
from console.operations.environments.deployment import ROOT

PAGES = (
    "overview", "test_avatars", "failures", "profile", "environment", "migrations", "cdn", "audit"
)  # fmt: skip


class Calls:
    """Counts AWS calls."""

    def __init__(self) -> None:
        self.count = 0
        call = botocore.client.BaseClient._make_api_call  # type: ignore[attr-defined]

        def counted(client: Any, operation: str, parameters: Any) -> Any:
            self.count += 1
            return call(client, operation, parameters)

        botocore.client.BaseClient._make_api_call = counted  # type: ignore[attr-defined]


def run(calls: Calls, test: AppTest) -> tuple[float, float, int]:
    """Run a page once; return its milliseconds, the processor's, and its AWS calls."""
    while session.jobs().running():  # what a page before has begun is none of this one's
        time.sleep(0.05)
    count, started, used = calls.count, time.perf_counter(), time.process_time()
    test.run(timeout=60)
    took, used = time.perf_counter() - started, time.process_time() - used
    assert not test.exception, test.exception
    return took * 1000, used * 1000, calls.count - count


def main() -> None:
    """Run each page and print what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    os.chdir(ROOT)
    os.environ.setdefault("ENV", "local")
    # as the server does before its first page
    deployment.make_clients(deployment.load(os.environ["ENV"]))
    calls, rows = Calls(), []
    opened = AppTest.from_file(str(ROOT / "console/app.py"))
    for name in PAGES:
        test = opened.switch_page(f"pages/{name}.py")
        first, _, asked = run(calls, test)
        again = sorted(run(calls, test) for _ in range(3))
        rows.append(
            {
                "page": name,
                "first_ms": round(first),
                "first_aws_calls": asked,
                "rerun_ms": round(again[1][0]),
                "rerun_own_ms": round(sorted(own for _, own, _ in again)[1]),
                "rerun_aws_calls": sum(more for _, _, more in again),
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
