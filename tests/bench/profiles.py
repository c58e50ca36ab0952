"""Where the time of a profile read goes, on the local system (`make up` first).

Each read is timed by the client; the function says how long it took, and how long in Postgres.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

from console import terminal
from console.operations import web
from console.operations.environments import deployment, logs

READS = 100


def main() -> None:
    """Read profiles one after the other, then print medians."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    here = deployment.load("local")
    began, walls = time.time(), []
    for _ in range(READS):
        started = time.perf_counter()
        assert web.request("GET", f"{here.api_url}/api/activities/ada").status == 200
        walls.append((time.perf_counter() - started) * 1000)
    lines = [
        line.fields for line in logs.read(here, ["profiles"], began) if "database_ms" in line.fields
    ]
    total = statistics.median(float(line["total_ms"]) for line in lines)
    database = statistics.median(float(line["database_ms"]) for line in lines)
    found = {
        "reads": len(lines),
        "client_ms": round(statistics.median(walls), 2),
        "function_ms": total,
        "postgres_ms": database,
        "outside_postgres_share": round(1 - database / total, 3),
    }
    if arguments.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<24} {value}")


if __name__ == "__main__":
    with terminal.exit_on_error():
        main()
